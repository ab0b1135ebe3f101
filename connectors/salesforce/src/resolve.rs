//! Looking up what a draft is about and what the policies need.

use std::collections::BTreeSet;
use std::sync::Arc;

use crmgate_connector::assemble::{Values as _, field_refs, wanted};
use crmgate_connector::{
    Credential, Draft, Failure, Fields, Locator, Needs, ParseFailure, Resolved, Target,
};
use crmgate_domain::{FieldRef, Kind, Object, Reads};
use http::StatusCode;

use crate::change::{Base, Key, SalesforceChange};
use crate::connector::SalesforceConnector;
use crate::draft::Detail;
use crate::failure::{not_found, refused};
use crate::metadata::{Describe, FieldKind};
use crate::own_key::own_key;
use crate::records::Row;
use crate::values::{ObjectValues, normalize};

/// What is said of fields that cannot be read because there is nobody to read them.
const NO_CREDENTIAL: &str = "the connection has no credential of its own";

/// What was found out about the record.
#[derive(Default)]
struct Found {
    id: Option<String>,
    row: Option<Row>,
    /// Why what was wanted could not be read.
    unreadable: Option<String>,
}

impl SalesforceConnector {
    pub(crate) async fn resolve_draft(
        &self,
        draft: Draft,
        needs: &dyn Needs,
        caller: &Credential,
    ) -> Result<Resolved, ParseFailure> {
        let detail = Detail::of(&draft)?;
        let lookup = Lookup {
            connector: self,
            draft: &draft,
            detail: &detail,
            needs,
            caller,
        };
        let (kind, found, key) = lookup.target().await?;
        let reads = needs.reads(kind, &draft.object, &draft.native_object);
        let base = lookup.base(kind, found, key, &reads).await;
        let change = base.asked.clone();
        let record_id = base.values.record_id.clone();
        let change = SalesforceChange::new(Arc::new(base), change);
        Ok(Resolved {
            kind,
            record_id,
            change: Arc::new(change),
        })
    }

    /// The connection's own credential, if it has one.
    pub(crate) fn reader(&self) -> Option<Credential> {
        self.upstream.session.as_ref().map(|_| Credential::Service)
    }

    /// Whether a field that the object's description lacks may exist all the same, hidden from the
    /// connection's user. A custom field of the connector's own table is taken not to exist: that
    /// table names what orgs mostly have. A name in another CRM's style is none of this one's.
    fn may_be_hidden(&self, object: &str, name: &str) -> bool {
        if name == "CurrencyIsoCode" {
            return false;
        }
        let own = format!("{object}.{name}").to_ascii_lowercase();
        if self.own_fields.contains(&own) {
            return true;
        }
        let custom = name.ends_with("__c");
        let mapped = self
            .mapping
            .object(object)
            .is_some_and(|map| map.field_by_native(name).is_some());
        if custom {
            !mapped
        } else {
            name.starts_with(|first: char| first.is_ascii_uppercase())
        }
    }
}

/// One look-up.
struct Lookup<'a> {
    connector: &'a SalesforceConnector,
    draft: &'a Draft,
    detail: &'a Detail,
    needs: &'a dyn Needs,
    caller: &'a Credential,
}

impl Lookup<'_> {
    /// What the operation really is, and the record it is about, read as far as the policies need.
    async fn target(&self) -> Result<(Kind, Found, Option<Key>), ParseFailure> {
        let updates = if self.draft.requested == Kind::Delete {
            Kind::Delete
        } else {
            Kind::Update
        };
        match &self.draft.target {
            Target::New => Ok((Kind::Create, Found::default(), None)),
            Target::Id(id) => {
                let found = self.by_id(updates, id).await?;
                Ok((updates, found, None))
            }
            Target::Key(keys) => {
                let [(field, value)] = keys.as_slice() else {
                    return Err(Failure::not_sent("a record has one key field").into());
                };
                let key = Key {
                    field: field.clone(),
                    value: value.clone(),
                };
                let found = self.by_key(updates, &key).await?;
                if found.id.is_some() {
                    return Ok((updates, found, Some(key)));
                }
                if updates == Kind::Delete || self.detail.update_only {
                    return Err(not_found("The requested resource does not exist").into());
                }
                Ok((Kind::Create, found, Some(key)))
            }
        }
    }

    fn wanted(&self, kind: Kind) -> Option<Fields> {
        let (object, native) = (&self.draft.object, &self.draft.native_object);
        let reads = self.needs.reads(kind, object, native);
        wanted(
            self.connector.mapping.object_by_native(native),
            &self.values(kind, None),
            kind,
            &reads,
            self.draft.change.as_ref(),
        )
    }

    fn values(&self, kind: Kind, record_id: Option<String>) -> ObjectValues {
        ObjectValues {
            describe: Arc::clone(&self.detail.describe),
            mapping: Arc::clone(&self.connector.mapping),
            kind,
            record_id,
            default_currency: self.connector.currency.clone(),
        }
    }

    async fn by_id(&self, kind: Kind, id: &str) -> Result<Found, ParseFailure> {
        let mut found = Found {
            id: Some(id.to_owned()),
            ..Found::default()
        };
        let Some(fields) = self.wanted(kind) else {
            return Ok(found);
        };
        let Some(reader) = self.connector.reader() else {
            found.unreadable = Some(NO_CREDENTIAL.to_owned());
            return Ok(found);
        };
        let values = self.values(kind, None);
        let locator = Locator::Id(id.to_owned());
        match self
            .connector
            .row(&reader, &values, &locator, &fields)
            .await
        {
            Ok(Some(row)) => found.row = Some(row),
            Ok(None) => return Err(not_found("The requested resource does not exist").into()),
            Err(Failure::Refused { code, .. }) => {
                found.unreadable = Some(format!("the connection's user may not read it ({code})"));
            }
            Err(failure) => return Err(failure.into()),
        }
        Ok(found)
    }

    /// Whether a record of that key exists is asked with the caller's token where there is no
    /// other: it decides what is sent, and no policy sees anything of it.
    async fn by_key(&self, kind: Kind, key: &Key) -> Result<Found, ParseFailure> {
        let wanted = self.wanted(kind);
        let reader = self.connector.reader();
        let (credential, fields) = match (&reader, &wanted) {
            (Some(service), Some(fields)) => (service, fields.clone()),
            (Some(service), None) => (service, Fields::Only(BTreeSet::new())),
            (None, _) => (self.caller, Fields::Only(BTreeSet::new())),
        };
        let values = self.values(kind, None);
        let locator = Locator::Key(vec![(key.field.clone(), key.value.clone())]);
        let row = match self
            .connector
            .row(credential, &values, &locator, &fields)
            .await
        {
            Ok(row) => row,
            Err(Failure::Refused { code, .. }) if code == "300" || code == "MULTIPLE_CHOICES" => {
                let message = format!("several records have this {}", key.field);
                let fields = std::slice::from_ref(&key.field);
                let status = StatusCode::BAD_REQUEST;
                return Err(refused(status, "DUPLICATE_EXTERNAL_ID", &message, fields).into());
            }
            Err(failure) => return Err(failure.into()),
        };
        let id = row.as_ref().map(|row| row.record.id.clone());
        let judged = reader.is_some() && wanted.is_some();
        let unreadable = (reader.is_none() && wanted.is_some() && id.is_some())
            .then(|| NO_CREDENTIAL.to_owned());
        Ok(Found {
            id,
            row: row.filter(|_| judged),
            unreadable,
        })
    }

    async fn base(&self, kind: Kind, found: Found, key: Option<Key>, reads: &Reads) -> Base {
        let values = self.values(kind, found.id.clone());
        let mut asked = self.draft.change.clone();
        if let (Kind::Create, Some(key), Some(change)) = (kind, &key, &mut asked) {
            change.set(&key.field, key_value(&self.detail.describe, key));
        }
        let mut unknown = self.unknown(kind, &values, &found);
        let stored = found.row.as_ref().map(|row| row.record.fields.clone());
        let native = stored
            .iter()
            .chain(&asked)
            .fold(Object::new(), |mut all, part| {
                for (name, value) in part.iter() {
                    all.set(name, value.clone());
                }
                all
            });
        let related = self
            .connector
            .related(&self.detail.describe, &native, &reads.related)
            .await;
        unknown.extend(related.unknown);
        let generated = self.generated(kind, key.as_ref(), asked.as_ref());
        Base {
            connection: self.connector.name.clone(),
            object: self.draft.object.clone(),
            requested: self.draft.requested,
            kind,
            links: self.connector.upstream.links(&self.draft.head.gate),
            gate: self.draft.head.gate.clone(),
            version: self.detail.version.clone(),
            raw: self.draft.raw.clone(),
            body: self.detail.body.clone(),
            nested: self.detail.nested.clone(),
            asked,
            row_version: found
                .row
                .as_ref()
                .and_then(|row| row.record.version.clone()),
            etag: found.row.and_then(|row| row.etag),
            stored,
            headers: self.detail.headers.clone(),
            unknown_because: found.unreadable.or(related.because).or_else(|| {
                (!unknown.is_empty()).then(|| "the connection's user may not see it".to_owned())
            }),
            unknown,
            related: related.records,
            key,
            generated,
            at: self.connector.ambient.now(),
            values,
        }
    }

    /// Fields that the policies read and whose stored value could not be had.
    fn unknown(&self, kind: Kind, values: &ObjectValues, found: &Found) -> BTreeSet<FieldRef> {
        if found.id.is_none() {
            return BTreeSet::new();
        }
        let map = self
            .connector
            .mapping
            .object_by_native(&self.draft.native_object);
        let refs = |name: &str| field_refs(map, name);
        let describe = &self.detail.describe;
        let stored = found.row.as_ref().map(|row| &row.record.fields);
        match (self.wanted(kind), stored) {
            (None, _) => BTreeSet::new(),
            (Some(Fields::All), Some(_)) => BTreeSet::new(),
            (Some(Fields::All), None) => describe
                .fields()
                .flat_map(|field| refs(&field.name))
                .collect(),
            (Some(Fields::Only(names)), stored) => names
                .iter()
                .filter(|name| match describe.field(name) {
                    Some(field) => !stored.is_some_and(|stored| stored.contains(&field.name)),
                    None => self.connector.may_be_hidden(&self.draft.object, name),
                })
                .flat_map(|name| {
                    let mut all = refs(name);
                    // A compound that lacks a part is not known either.
                    all.extend(
                        describe
                            .field(name)
                            .and_then(|field| field.compound_field_name.as_deref())
                            .into_iter()
                            .flat_map(refs),
                    );
                    all
                })
                .filter(|field| !self.carried(field, values))
                .collect(),
        }
    }

    /// Compounds are named unknown only where the change does not carry all of their parts.
    fn carried(&self, field: &FieldRef, values: &ObjectValues) -> bool {
        let Some(change) = &self.draft.change else {
            return false;
        };
        let Some(name) = field.native() else {
            return false;
        };
        let sources = values.sources(name);
        sources.len() > 1 && sources.iter().skip(1).all(|part| change.contains(part))
    }

    /// A key of the gate's own for a create that has none, where the connection names a field for
    /// it: reading back is conclusive then.
    fn generated(&self, kind: Kind, key: Option<&Key>, asked: Option<&Object>) -> Option<Key> {
        if kind != Kind::Create || key.is_some() {
            return None;
        }
        let object = self.draft.native_object.to_ascii_lowercase();
        let name = self.connector.key_fields.get(&object)?;
        let field = self.detail.describe.field(name)?;
        let given = asked.and_then(|asked| asked.get(&field.name));
        if !field.unique || given.is_some_and(|value| !value.is_null()) {
            return None;
        }
        Some(Key {
            field: field.name.clone(),
            value: own_key(self.draft.seed, self.connector.ambient.as_ref()),
        })
    }
}

/// The key of an upsert as the value of its field.
pub(crate) fn key_value(describe: &Describe, key: &Key) -> crmgate_domain::Document {
    let text = crmgate_domain::Document::from(key.value.as_str());
    match describe.field(&key.field) {
        Some(field) if field.kind != FieldKind::Text => normalize(field, &text).unwrap_or(text),
        _ => text,
    }
}
