//! Looking up what a draft is about and what the policies need.

use std::collections::BTreeSet;
use std::sync::Arc;

use crmgate_connector::assemble::{field_refs, wanted};
use crmgate_connector::{
    Credential, Draft, Failure, Fields, Malformed, Needs, ParseFailure, Resolved, Target,
};
use crmgate_domain::{Kind, Object, OperationId};

use crate::body::Parsed;
use crate::change::DynamicsChange;
use crate::connector::Dynamics;
use crate::draft::{Detail, Form, seeded_id};
use crate::frame::{self, Frame, Precondition};
use crate::request::Condition;
use crate::row::Row;
use crate::settings::SecuredColumns;
use crate::table::Table;
use crate::value;
use crate::values::{RowValues, touches_names};

const NO_CREDENTIAL: &str = "the connection has no credential of its own";

/// What was found out about the record.
struct Found {
    kind: Kind,
    /// Id and version, where anybody looked.
    place: Option<Row>,
    /// What was read for the policies.
    stored: Option<Row>,
    /// Columns that they read and that could not be had.
    missing: BTreeSet<String>,
    because: Option<String>,
}

impl Found {
    fn just(kind: Kind) -> Self {
        Self {
            kind,
            place: None,
            stored: None,
            missing: BTreeSet::new(),
            because: None,
        }
    }
}

/// One look-up.
struct Lookup<'a> {
    connector: &'a Dynamics,
    draft: &'a Draft,
    detail: &'a Detail,
    needs: &'a dyn Needs,
    caller: &'a Credential,
    /// Whose credential metadata is read with.
    reader: Credential,
    values: RowValues,
}

impl Dynamics {
    pub(crate) async fn resolve_draft(
        &self,
        draft: Draft,
        needs: &dyn Needs,
        caller: &Credential,
    ) -> Result<Resolved, ParseFailure> {
        let detail = draft
            .detail
            .clone()
            .and_then(|detail| detail.downcast::<Detail>().ok())
            .ok_or_else(|| Failure::not_sent("the draft is another connector's"))?;
        let detail = keyed(detail, draft.seed);
        let reader = if self.upstream.session.is_some() {
            Credential::Service
        } else {
            caller.clone()
        };
        let lookup = Lookup {
            connector: self,
            draft: &draft,
            values: RowValues {
                table: Arc::clone(&detail.table),
                mapping: Arc::clone(&self.mapping),
                currencies: self.metadata.currencies(&reader).await?,
                kind: Kind::Update,
                names_change: touches_names(draft.change.as_ref()),
                record_id: None,
            },
            detail: &detail,
            needs,
            caller,
            reader,
        };
        let parsed = lookup.references().await?;
        let found = lookup.find(&parsed).await?;
        let frame = lookup.frame(&detail, parsed, found).await?;
        let change = (frame.kind != Kind::Delete).then(|| frame.baseline.clone());
        let record_id = match (&frame.kind, &frame.sent) {
            (Kind::Update | Kind::Delete, Target::Id(id)) => Some(id.clone()),
            _ => None,
        };
        Ok(Resolved {
            kind: frame.kind,
            record_id,
            change: Arc::new(DynamicsChange::new(Arc::new(frame), change)),
        })
    }
}

impl Lookup<'_> {
    /// The body with lookups by another record's key turned into lookups by its id: between
    /// judging and writing the key could come to name another record.
    async fn references(&self) -> Result<Parsed, ParseFailure> {
        let mut parsed = self.detail.parsed.clone();
        for pending in std::mem::take(&mut parsed.pending) {
            let table = self
                .connector
                .table_named(&pending.table, &self.reader)
                .await?;
            let target = pending.key.target(&table)?;
            let row = self
                .connector
                .probe_row(&table, &target, &self.reader)
                .await?;
            let id = row.and_then(|row| row.id).ok_or_else(|| {
                let message = format!("`{}`: no `{}` has this key", pending.member, table.name);
                Malformed::field("invalid_reference", &pending.member, message)
            })?;
            let written = format!("/{}({id})", table.set);
            parsed.members.set(&pending.member, written.into());
            parsed
                .change
                .set(&pending.column, value::reference(&table.name, &id));
        }
        Ok(parsed)
    }

    fn wanted(&self, kind: Kind, change: &Object) -> Option<Fields> {
        let table = &self.detail.table;
        let reads = self.needs.reads(kind, &self.draft.object, &table.name);
        let map = self.connector.mapping.object_by_native(&table.name);
        let fields = wanted(map, &self.values, kind, &reads, Some(change))?;
        Some(match fields {
            Fields::All => Fields::All,
            Fields::Only(names) => Fields::Only(
                names
                    .into_iter()
                    .filter_map(|name| self.column_name(&name))
                    .collect(),
            ),
        })
    }

    /// The column that a policy's `native.X` means, in whichever of its spellings.
    fn column_name(&self, name: &str) -> Option<String> {
        use crmgate_connector::assemble::{Values as _, Writable};
        if self.detail.table.column(name).is_some() {
            return Some(name.to_owned());
        }
        match self.values.writable(name) {
            Writable::Field(column) => Some(column),
            Writable::ReadOnly | Writable::Missing => None,
        }
    }

    async fn find(&self, parsed: &Parsed) -> Result<Found, ParseFailure> {
        let kind = match (self.detail.form, &self.detail.condition) {
            (Form::Create, _) | (Form::Patch, Condition::MustNotExist) => {
                return Ok(Found::just(Kind::Create));
            }
            (Form::Delete, _) => Kind::Delete,
            (Form::Patch | Form::Property, _) => Kind::Update,
        };
        let upsert = self.draft.requested == Kind::Upsert;
        let wanted = self.wanted(kind, &parsed.change);
        let by_key = matches!(self.draft.target, Target::Key(_));
        let mut found = Found::just(kind);
        let absent = if wanted.is_some() || upsert || by_key {
            self.look(&mut found, wanted, upsert || by_key).await?
        } else {
            false
        };
        if absent && upsert {
            return Ok(Found::just(Kind::Create));
        }
        if absent {
            return Err(self
                .connector
                .no_record(&self.detail.table, &self.draft.target)
                .into());
        }
        Ok(found)
    }

    /// Reads the record; says whether it is absent. `must_exist`: the kind or the id hangs on it.
    async fn look(
        &self,
        found: &mut Found,
        wanted: Option<Fields>,
        must_exist: bool,
    ) -> Result<bool, Failure> {
        let masked = self.connector.secured_columns == SecuredColumns::Unknown;
        let (table, target) = (&*self.detail.table, &self.draft.target);
        let fields = wanted
            .clone()
            .unwrap_or_else(|| Fields::Only(BTreeSet::new()));
        let mut because = None;
        if self.connector.upstream.session.is_some() {
            let read = self
                .connector
                .row(table, target, &fields, &Credential::Service);
            match read.await {
                Ok(None) => return Ok(true),
                Ok(Some(row)) => {
                    found.place = Some(row.clone());
                    found.missing = missing(table, wanted.as_ref(), Some(&row), masked);
                    found.stored = wanted.map(|_| row);
                    if !found.missing.is_empty() {
                        found.because =
                            Some("the connection's own user may not see the column".to_owned());
                    }
                    return Ok(false);
                }
                Err(Failure::Refused { message, .. }) => {
                    because = Some(format!(
                        "the connection's own user may not read it: {message}"
                    ));
                }
                Err(failure) => return Err(failure),
            }
        }
        found.missing = missing(table, wanted.as_ref(), None, masked);
        found.because = because.or_else(|| Some(NO_CREDENTIAL.to_owned()));
        if !must_exist {
            return Ok(false);
        }
        // That a record exists decides what is sent; no policy sees anything of it. The write is
        // pinned to the answer, so a caller who sees less cannot make it do something else.
        let row = self.connector.probe_row(table, target, self.caller).await?;
        let absent = row.is_none();
        found.place = row;
        Ok(absent)
    }

    async fn frame(
        &self,
        detail: &Arc<Detail>,
        parsed: Parsed,
        found: Found,
    ) -> Result<Frame, ParseFailure> {
        let kind = found.kind;
        let mut frame = Frame {
            detail: Arc::clone(detail),
            head: self.draft.head.clone(),
            raw: self.draft.raw.clone(),
            crm: self.connector.upstream.url.clone(),
            values: RowValues {
                kind,
                record_id: found
                    .place
                    .as_ref()
                    .and_then(|row| row.id.clone())
                    .or_else(|| match &self.draft.target {
                        Target::Id(id) => Some(id.clone()),
                        Target::New | Target::Key(_) => None,
                    }),
                ..self.values.clone()
            },
            kind,
            at: self.connector.ambient.now(),
            asked: self.draft.target.clone(),
            sent: frame::sent(&self.draft.target, kind, found.place.as_ref()),
            precondition: Precondition::None,
            pinned_by_gate: false,
            baseline: parsed.change,
            members: parsed.members,
            member_of: parsed.member_of,
            rewritten: parsed.rewritten,
            stored: found.stored,
            related: Object::new(),
            unknown: BTreeSet::new(),
            unknown_because: found.because,
        };
        (frame.precondition, frame.pinned_by_gate) = frame::pin(detail, kind, found.place.as_ref());
        frame.settle(&self.draft.target)?;
        let map = self.connector.mapping.object_by_native(&detail.table.name);
        let missing = found.missing.iter().flat_map(|name| field_refs(map, name));
        frame.unknown = missing.collect();
        let reads = self
            .needs
            .reads(kind, &self.draft.object, &detail.table.name);
        let related = self.connector.related(&frame, &reads.related).await;
        frame.related = related.records;
        frame.unknown.extend(related.unknown);
        if frame.unknown_because.is_none() {
            frame.unknown_because = related.because;
        }
        Ok(frame)
    }
}

/// With the key that derives from the operation, where the gate gives one at all.
fn keyed(detail: Arc<Detail>, seed: Option<OperationId>) -> Arc<Detail> {
    match seed {
        Some(seed) if detail.own_id.is_some() => Arc::new(Detail {
            own_id: Some(seeded_id(seed, &detail.table)),
            ..Detail::clone(&detail)
        }),
        _ => detail,
    }
}

/// Columns that were wanted and not had. `masked`: who may not see a secured column reads null.
fn missing(
    table: &Table,
    wanted: Option<&Fields>,
    row: Option<&Row>,
    masked: bool,
) -> BTreeSet<String> {
    let names: Vec<&str> = match wanted {
        None => return BTreeSet::new(),
        Some(Fields::All) => table
            .readable()
            .map(|column| column.name.as_str())
            .collect(),
        Some(Fields::Only(names)) => names.iter().map(String::as_str).collect(),
    };
    let had = |name: &str| {
        let value = row.and_then(|row| row.fields.get(name));
        let secured = masked && table.column(name).is_some_and(|column| column.secured);
        value.is_some_and(|value| !(secured && value.is_null()))
    };
    names
        .into_iter()
        .filter(|name| !had(name))
        .map(str::to_owned)
        .collect()
}
