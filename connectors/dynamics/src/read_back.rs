//! Whether a write whose answer was lost happened.

use std::collections::BTreeSet;

use crmgate_connector::unkeyed::{CLOCKS, looked_up};
use crmgate_connector::{Credential, Failure, Fields, ReadBackResult, Target};
use crmgate_domain::{Document, Object, Timestamp};
use crmgate_store::ReadBack;
use crmgate_store::attempt::Locate;

use crate::connector::Dynamics;
use crate::fingerprint;
use crate::key::Key;
use crate::row::Row;
use crate::table::Table;
use crate::value;

const MODIFIED_BY: &str = "modifiedby";
const MODIFIED_ON: &str = "modifiedon";

/// Where to look, and whether a record found there can only be ours.
struct Place {
    target: Target,
    ours: bool,
}

impl Dynamics {
    pub(crate) async fn found_out(&self, read_back: &ReadBack) -> Result<ReadBackResult, Failure> {
        if self.upstream.session.is_none() {
            let why = "the connection has no credential of its own to look with";
            return Ok(ReadBackResult::Uncertain(why.to_owned()));
        }
        let who = Credential::Service;
        let table = self.table_named(&read_back.native_object, &who).await?;
        let Some(place) = place(&table, &read_back.locate) else {
            return self.found_without_key(read_back, &table).await;
        };
        let mut names: BTreeSet<String> = read_back
            .expect
            .iter()
            .map(|(name, _)| name.to_owned())
            .collect();
        names.extend([MODIFIED_BY, MODIFIED_ON].map(str::to_owned));
        let row = self
            .row(&table, &place.target, &Fields::Only(names), &who)
            .await?;
        let creates = read_back.version.is_none() && !read_back.deleted;
        let Some(row) = row else {
            return Ok(if read_back.deleted {
                ReadBackResult::Happened(id_of(&place.target))
            } else if creates {
                ReadBackResult::DidNotHappen
            } else {
                ReadBackResult::Uncertain("the record is gone".to_owned())
            });
        };
        if read_back.deleted {
            return Ok(ReadBackResult::DidNotHappen);
        }
        let own = self.writer(read_back).await;
        Ok(verdict(read_back, &row, &place, own.as_deref()))
    }

    async fn found_without_key(
        &self,
        read_back: &ReadBack,
        table: &Table,
    ) -> Result<ReadBackResult, Failure> {
        let since = looked_up(read_back.version.as_deref());
        let told = !read_back.deleted && fingerprint::tells(&read_back.expect);
        let writer = self.writer(read_back).await;
        match (since, writer) {
            (Some(since), Some(writer)) if told => {
                self.look_for(read_back, table, (since, &writer)).await
            }
            _ => Ok(uncertain("the record has no key that it could be found by")),
        }
    }

    /// Who wrote, where it is known.
    async fn writer(&self, read_back: &ReadBack) -> Option<String> {
        match &read_back.actor {
            Some(actor) => Some(actor.clone()),
            None => self.own_user().await,
        }
    }

    /// The connection's own user.
    async fn own_user(&self) -> Option<String> {
        let asking = || async {
            let me = self.who_am_i(&Credential::Service).await?;
            Ok::<_, Failure>(me.user_id.to_ascii_lowercase())
        };
        let user = self.own_user.get_or_try_init(asking).await;
        user.ok().cloned()
    }
}

fn verdict(read_back: &ReadBack, row: &Row, place: &Place, writer: Option<&str>) -> ReadBackResult {
    let happened = || ReadBackResult::Happened(row.id.clone());
    if let Some(version) = &read_back.version
        && row.etag.as_ref() == Some(version)
    {
        return ReadBackResult::DidNotHappen;
    }
    if place.ours && read_back.version.is_none() {
        // Nobody else knows the key that the gate drew for this create.
        return happened();
    }
    let others = differing(&read_back.expect, &row.fields);
    let holds = match others.as_slice() {
        [] => "the record holds these values".to_owned(),
        others => format!("the record holds other values: {}", others.join(", ")),
    };
    match (others.is_empty(), is_ours(row, writer)) {
        (true, Some(true)) => happened(),
        (false, _) if is_older(read_back, row) => ReadBackResult::DidNotHappen,
        (false, Some(true)) => ReadBackResult::Uncertain(holds),
        (_, Some(false)) => uncertain(&format!("{holds}; another user wrote last")),
        (_, None) => uncertain(&format!("{holds}; who wrote last is not known")),
    }
}

fn uncertain(why: &str) -> ReadBackResult {
    ReadBackResult::Uncertain(why.to_owned())
}

/// Whether the writer changed the record last; `None` where one of them is not known.
fn is_ours(row: &Row, writer: Option<&str>) -> Option<bool> {
    let (_, id) = row.fields.get(MODIFIED_BY).and_then(value::parts)?;
    Some(id == writer?)
}

/// Whether nobody has changed the record since an update that was pinned to no version.
fn is_older(read_back: &ReadBack, row: &Row) -> bool {
    let sent = looked_up(read_back.version.as_deref());
    let modified: Option<Timestamp> = row
        .fields
        .get(MODIFIED_ON)
        .and_then(|time| time.as_str()?.parse().ok());
    match (sent, modified) {
        (Some(sent), Some(modified)) => sent.duration_since(modified) > CLOCKS,
        _ => false,
    }
}

/// Fields whose stored values are not those that were written.
pub(crate) fn differing<'a>(expect: &'a Object, fields: &Object) -> Vec<&'a str> {
    let differs =
        |(name, wanted): &(&str, &Document)| fields.get(name).unwrap_or(&Document::Null) != *wanted;
    expect
        .iter()
        .filter(differs)
        .map(|(name, _)| name)
        .collect()
}

fn id_of(target: &Target) -> Option<String> {
    match target {
        Target::Id(id) => Some(id.clone()),
        Target::New | Target::Key(_) => None,
    }
}

fn place(table: &Table, locate: &Locate) -> Option<Place> {
    Some(match locate {
        Locate::Nowhere => return None,
        Locate::Id(id) => Place {
            target: Target::Id(id.clone()),
            ours: true,
        },
        Locate::Key { field, value } if *field == table.primary_id => Place {
            target: Target::Id(value.clone()),
            ours: false,
        },
        Locate::Key { value, .. } => {
            let decoded = percent_encoding::percent_decode_str(value)
                .decode_utf8()
                .ok()?;
            Place {
                target: Key::parse(&decoded).ok()?.target(table).ok()?,
                ours: false,
            }
        }
    })
}
