//! What a resolved write stands on: the record it is about, the request it came by, what is sent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use crmgate_connector::assemble::Parts;
use crmgate_connector::mapping::ObjectMap;
use crmgate_connector::rewrite::Links;
use crmgate_connector::{Malformed, RequestHead, Target};
use crmgate_domain::{Document, FieldRef, Kind, Object, Timestamp};
use http::HeaderValue;

use crate::draft::{Detail, Form};
use crate::key;
use crate::request::Condition;
use crate::row::Row;
use crate::table::{ColumnKind, Table};
use crate::value;
use crate::values::{RowValues, touches_names};

/// The precondition that goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Precondition {
    None,
    IfMatch(String),
    IfNoneMatch,
    /// The client's, which the record that was judged does not meet: nothing is sent.
    Stale(String),
}

/// What is the same for a write before and after patches.
#[derive(Clone)]
pub(crate) struct Frame {
    pub(crate) detail: Arc<Detail>,
    pub(crate) head: RequestHead,
    pub(crate) raw: Bytes,
    pub(crate) crm: url::Url,
    pub(crate) values: RowValues,
    pub(crate) kind: Kind,
    /// When it was looked up.
    pub(crate) at: Timestamp,
    /// What the request named.
    pub(crate) asked: Target,
    /// What is sent.
    pub(crate) sent: Target,
    pub(crate) precondition: Precondition,
    pub(crate) pinned_by_gate: bool,
    /// The change as judged first, by column; what the address says of a new record included.
    pub(crate) baseline: Object,
    /// The body's members that say the same.
    pub(crate) members: Object,
    pub(crate) member_of: BTreeMap<String, String>,
    pub(crate) rewritten: bool,
    pub(crate) stored: Option<Row>,
    pub(crate) related: Object,
    pub(crate) unknown: BTreeSet<FieldRef>,
    pub(crate) unknown_because: Option<String>,
}

impl Frame {
    pub(crate) fn map(&self) -> Option<&ObjectMap> {
        self.values
            .mapping
            .object_by_native(&self.detail.table.name)
    }

    pub(crate) fn parts<'a>(&'a self, change: Option<&'a Object>) -> Parts<'a> {
        Parts {
            map: self.map(),
            values: &self.values,
            kind: self.kind,
            change,
            stored: self.stored.as_ref().map(|row| &row.fields),
        }
    }

    pub(crate) fn object_name(&self) -> &str {
        let name = &self.detail.table.name;
        self.map()
            .map_or(name.as_str(), |map| map.canonical.as_str())
    }

    /// The links of answers, turned to the gate.
    pub(crate) fn links(&self) -> Links {
        Links::new([&self.crm], &self.head.gate)
    }

    /// The record's address at the gate.
    pub(crate) fn address_at_gate(&self, target: &Target) -> Option<HeaderValue> {
        let origin = self.head.gate.origin().ascii_serialization();
        let (version, set) = (&self.detail.version, &self.detail.table.set);
        let place = key::render(&self.detail.table, target);
        HeaderValue::from_str(&format!("{origin}/api/data/{version}/{set}({place})")).ok()
    }
}

/// Which record is named to the CRM: an update or delete by key goes out by id, so that it can
/// only meet the record that was judged.
pub(crate) fn sent(asked: &Target, kind: Kind, place: Option<&Row>) -> Target {
    let id = place.and_then(|row| row.id.clone());
    match (kind, id) {
        (Kind::Update | Kind::Delete, Some(id)) => Target::Id(id),
        _ => asked.clone(),
    }
}

/// The precondition that goes out, and whether it is the gate's own.
pub(crate) fn pin(detail: &Detail, kind: Kind, place: Option<&Row>) -> (Precondition, bool) {
    let etag = place
        .and_then(|row| row.etag.clone())
        .filter(|_| detail.table.versioned);
    let upsert = detail.form == Form::Patch && detail.condition == Condition::None;
    match (&detail.condition, kind) {
        // Sent, it could meet the version after the judged one: versions are counted.
        (Condition::Version(theirs), _)
            if etag
                .as_ref()
                .is_some_and(|ours| !same_version(ours, theirs)) =>
        {
            (Precondition::Stale(theirs.clone()), false)
        }
        (Condition::Version(theirs), _) => (Precondition::IfMatch(theirs.clone()), false),
        (Condition::MustNotExist, _) => (Precondition::IfNoneMatch, false),
        (_, Kind::Create) if upsert => (Precondition::IfNoneMatch, true),
        (_, Kind::Create) => (Precondition::None, false),
        (condition, _) => match etag {
            Some(etag) => (Precondition::IfMatch(etag), true),
            // A PATCH without a precondition could create.
            None if kind == Kind::Update => (Precondition::IfMatch("*".to_owned()), upsert),
            None if *condition == Condition::MustExist => {
                (Precondition::IfMatch("*".to_owned()), false)
            }
            None => (Precondition::None, false),
        },
    }
}

fn same_version(ours: &str, theirs: &str) -> bool {
    let bare = |etag: &str| etag.trim_start_matches("W/").trim_matches('"').to_owned();
    bare(ours) == bare(theirs)
}

impl Frame {
    /// Makes the change say exactly what the CRM would do: columns that it sets itself are taken
    /// out, the address's own columns are ignored on update and count on create.
    pub(crate) fn settle(&mut self, asked: &Target) -> Result<(), Malformed> {
        let table = Arc::clone(&self.detail.table);
        for (name, text) in address_columns(&table, asked) {
            let given = self.baseline.get(&name).map(value::text);
            let same = |given: &Option<String>| {
                given
                    .as_ref()
                    .is_some_and(|given| given.eq_ignore_ascii_case(&text))
            };
            if given.as_ref().is_some_and(|given| !same(given)) {
                let message =
                    format!("`{name}` has one value in the address and another in the body");
                return Err(Malformed::field("conflicting_key", &name, message));
            }
            if self.kind == Kind::Create {
                if given.is_none() {
                    let value = address_value(&table, &name, &text);
                    self.baseline.push(name, value);
                }
            } else if given.is_some() {
                self.drop_column(&name);
            }
        }
        let ignored: Vec<String> = self
            .baseline
            .iter()
            .filter_map(|(name, _)| table.column(name))
            .filter(|column| {
                let allowed = match self.kind {
                    Kind::Create => column.creatable,
                    _ => column.updatable,
                };
                !allowed
            })
            .map(|column| column.name.clone())
            .collect();
        for name in ignored {
            self.drop_column(&name);
        }
        self.values.names_change = touches_names(Some(&self.baseline));
        Ok(())
    }

    fn drop_column(&mut self, name: &str) {
        self.baseline.remove(name);
        if let Some(member) = self.member_of.remove(name) {
            self.members.remove(&member);
            self.members.remove(&format!("{member}@odata.type"));
            self.rewritten = true;
        }
    }
}

fn address_columns(table: &Table, asked: &Target) -> Vec<(String, String)> {
    match asked {
        Target::New => Vec::new(),
        Target::Id(id) => vec![(table.primary_id.clone(), id.clone())],
        Target::Key(values) => values.clone(),
    }
}

fn address_value(table: &Table, name: &str, text: &str) -> Document {
    match table.column(name).map(|column| column.kind) {
        Some(ColumnKind::Lookup) => {
            let targets = table.targets(name);
            value::reference(targets.first().copied().unwrap_or_default(), text)
        }
        Some(ColumnKind::Decimal | ColumnKind::Money) => {
            value::number(text).unwrap_or_else(|| text.into())
        }
        Some(kind) => value::normalize(kind, &text.into()).unwrap_or_else(|_| text.into()),
        None => text.into(),
    }
}
