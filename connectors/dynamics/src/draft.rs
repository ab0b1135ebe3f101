//! From request to draft: which record, which change.

use std::sync::Arc;

use bytes::Bytes;
use crmgate_connector::secret::SecretString;
use crmgate_connector::{Credential, Draft, Malformed, Matched, ParseFailure, RequestHead, Target};
use crmgate_domain::{Document, Kind, Object, OperationId, RequestInfo};
use http::Method;

use crate::auth::random_guid;
use crate::body::{self, BadBody, Origins, Parsed};
use crate::connector::Dynamics;
use crate::key::Key;
use crate::metadata::Directory;
use crate::request::{self, Condition};
use crate::table::{ColumnKind, Property, Table};

/// The name space of the keys of created records. Never to change: a create that was judged before
/// an upgrade must get the same key after it.
const KEYS: uuid::Uuid = uuid::Uuid::from_u128(0x4f0d_51c2_7a86_5e3b_9d14_c0be_27f3_68a9);

/// What a write is, in the protocol's own terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `POST /set`.
    Create,
    /// `PATCH /set(key)`.
    Patch,
    /// One column or lookup by its own address.
    Property,
    /// `DELETE /set(key)`.
    Delete,
}

/// What `resolve` needs of the parse.
#[derive(Debug, Clone)]
pub(crate) struct Detail {
    pub(crate) table: Arc<Table>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) form: Form,
    pub(crate) condition: Condition,
    pub(crate) parsed: Parsed,
    /// The primary key that the gate gives a create, so that it can be found again.
    pub(crate) own_id: Option<String>,
    /// `v9.2`, as the client asked for it.
    pub(crate) version: String,
    /// With its question mark.
    pub(crate) query: String,
}

/// The request as it came, or as it is made up.
pub(crate) struct Came {
    pub(crate) head: RequestHead,
    pub(crate) raw: Bytes,
    pub(crate) request: Option<RequestInfo>,
}

impl Dynamics {
    /// Whose credential metadata is read with.
    pub(crate) fn metadata_reader(&self, token: Option<SecretString>) -> Credential {
        match (&self.upstream.session, token) {
            (None, Some(token)) => Credential::Caller(token),
            _ => Credential::Service,
        }
    }

    pub(crate) async fn draft_of(
        &self,
        head: RequestHead,
        matched: Matched,
        raw: Bytes,
    ) -> Result<Draft, ParseFailure> {
        let form = match matched.route.id.as_str() {
            "create" => Form::Create,
            "update" => Form::Patch,
            "delete" => Form::Delete,
            _ => Form::Property,
        };
        let condition = request::condition(&head.headers, &head.method)?;
        let query = request::write_query(&head)?;
        let who = self.metadata_reader(crate::sign_in::bearer(&head.headers));
        let set = matched.parameter("set");
        let mut table = self.metadata.by_set(set, &who).await?.ok_or_else(|| {
            // An action's name looks like a set's.
            Malformed::new(
                "not_understood",
                format!("`{set}` is no table; actions are not understood"),
            )
        })?;
        let directory = self.metadata.directory(&who).await?;
        let origins = Origins {
            gate: &head.gate,
            crm: &self.upstream.url,
        };
        let read = |table: &Table| read_body(&matched, &head, &raw, table, &directory, &origins);
        let parsed = match read(&table) {
            Err(BadBody::UnknownField(malformed)) => {
                // Perhaps a column made a moment ago.
                let Some(fresh) = self.metadata.fresher(&table, &who).await? else {
                    return Err(malformed.into());
                };
                table = fresh;
                read(&table)
            }
            parsed => parsed,
        };
        let parsed = parsed.map_err(|bad| match bad {
            BadBody::UnknownField(malformed) | BadBody::Malformed(malformed) => malformed,
        })?;
        let target = match form {
            Form::Create => Target::New,
            _ => Key::parse(matched.parameter("key"))?.target(&table)?,
        };
        let requested = match (form, &condition) {
            (Form::Create, _) | (Form::Patch, Condition::MustNotExist) => Kind::Create,
            (Form::Patch, Condition::None) => Kind::Upsert,
            (Form::Patch | Form::Property, _) => Kind::Update,
            (Form::Delete, _) => Kind::Delete,
        };
        let detail = Detail {
            own_id: self.own_id(form, &table, &parsed),
            form,
            condition,
            parsed,
            directory,
            version: matched.parameter("version").to_owned(),
            query,
            table,
        };
        let came = Came {
            request: Some(request::info(&head, &matched)),
            head,
            raw,
        };
        Ok(self.finish(detail, requested, target, came))
    }

    pub(crate) fn finish(
        &self,
        detail: Detail,
        requested: Kind,
        target: Target,
        came: Came,
    ) -> Draft {
        let Came { head, raw, request } = came;
        let table = &detail.table;
        let mapped = self.mapping.object_by_native(&table.name);
        Draft {
            requested,
            object: mapped.map_or_else(|| table.name.clone(), |object| object.canonical.clone()),
            native_object: table.name.clone(),
            target,
            change: (requested != Kind::Delete).then(|| detail.parsed.change.clone()),
            raw,
            head,
            request,
            action: None,
            arguments: None,
            relation: None,
            seed: None,
            detail: Some(Arc::new(detail)),
        }
    }

    /// A primary key for a create whose client chose none, where the table lets it be set.
    pub(crate) fn own_id(&self, form: Form, table: &Table, parsed: &Parsed) -> Option<String> {
        let settable = table
            .column(&table.primary_id)
            .is_some_and(|column| column.creatable && column.kind == ColumnKind::Id);
        let wanted = form == Form::Create && settable && !parsed.change.contains(&table.primary_id);
        wanted.then(|| random_guid(&*self.ambient))
    }
}

/// The primary key of the record that an operation creates: the same whenever and wherever it is
/// judged.
pub(crate) fn seeded_id(seed: OperationId, table: &Table) -> String {
    let name = format!("{seed}/{}", table.name);
    uuid::Uuid::new_v5(&KEYS, name.as_bytes()).to_string()
}

fn read_body(
    matched: &Matched,
    head: &RequestHead,
    raw: &Bytes,
    table: &Table,
    directory: &Directory,
    origins: &Origins<'_>,
) -> Result<Parsed, BadBody> {
    let property = matched.parameter("property");
    if matched.method == Method::DELETE {
        if !raw.is_empty() {
            return Err(Malformed::new("not_understood", "a delete has no body").into());
        }
        return match matched.route.id.as_str() {
            "clear_property" => column(property, &Document::Null, table, directory, origins),
            "clear_lookup" => lookup(property, &Document::Null, table, directory, origins),
            _ => Ok(Parsed::default()),
        };
    }
    request::check_content_type(&head.headers)?;
    let document = Document::parse(raw)
        .map_err(|error| Malformed::new("invalid_json", format!("the body is no JSON: {error}")))?;
    let Document::Object(object) = document else {
        let message = format!("expected a JSON object, found {}", document.type_name());
        return Err(Malformed::new("invalid_json", message).into());
    };
    match matched.route.id.as_str() {
        "set_property" => {
            let value = only_member(&object, "value")?;
            column(property, value, table, directory, origins)
        }
        "set_lookup" => {
            let value = only_member(&object, "@odata.id")?;
            lookup(property, value, table, directory, origins)
        }
        _ => body::parse(&object, table, directory, origins),
    }
}

/// One column by its own address.
fn column(
    name: &str,
    value: &Document,
    table: &Table,
    directory: &Directory,
    origins: &Origins<'_>,
) -> Result<Parsed, BadBody> {
    match table.property(name) {
        Some(Property::Column(column)) if column.kind != ColumnKind::Lookup => {}
        Some(_) => {
            let message = format!("`{name}` is a lookup: use `/{name}/$ref`");
            return Err(Malformed::field("not_understood", name, message).into());
        }
        None => {}
    }
    one_member(name, value, table, directory, origins)
}

/// One lookup by its own address.
fn lookup(
    nav: &str,
    value: &Document,
    table: &Table,
    directory: &Directory,
    origins: &Origins<'_>,
) -> Result<Parsed, BadBody> {
    if !matches!(table.property(nav), Some(Property::Nav(..))) {
        let message = format!("`{nav}` is no lookup: links between collections are not understood");
        return Err(Malformed::field("not_understood", nav, message).into());
    }
    let member = if value.is_null() {
        nav.to_owned()
    } else {
        format!("{nav}@odata.bind")
    };
    one_member(&member, value, table, directory, origins)
}

fn one_member(
    member: &str,
    value: &Document,
    table: &Table,
    directory: &Directory,
    origins: &Origins<'_>,
) -> Result<Parsed, BadBody> {
    let mut object = Object::new();
    object.set(member, value.clone());
    let mut parsed = body::parse(&object, table, directory, origins)?;
    // It goes out as a PATCH of the record, so never as it came.
    parsed.rewritten = true;
    Ok(parsed)
}

fn only_member<'o>(object: &'o Object, name: &str) -> Result<&'o Document, Malformed> {
    let others = object
        .iter()
        .any(|(key, _)| key != name && key != "@odata.context");
    match object.get(name) {
        Some(value) if !others && object.first_duplicate(str::to_owned).is_none() => Ok(value),
        _ => Err(Malformed::new(
            "invalid_json",
            format!("expected an object with one member `{name}`"),
        )),
    }
}
