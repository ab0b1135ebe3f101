//! Drafts of operations in canonical form, which came by no request.

use std::sync::Arc;

use bytes::Bytes;
use crmgate_connector::assemble::{Values as _, Writable};
use crmgate_connector::mapping::ObjectMap;
use crmgate_connector::{Credential, Draft, Failure, Malformed, ParseFailure, RequestHead, Target};
use crmgate_domain::{Document, FieldRef, Kind, Object, Operation};
use http::{HeaderMap, Method, Uri};

use crate::body::{self, Parsed};
use crate::connector::Dynamics;
use crate::draft::{Came, Detail, Form};
use crate::metadata::Directory;
use crate::request::Condition;
use crate::table::Table;
use crate::value;
use crate::values::{RowValues, touches_names};

impl Dynamics {
    pub(crate) async fn canonical_draft(
        &self,
        operation: &Operation,
        change: Option<Object>,
    ) -> Result<Draft, ParseFailure> {
        let who = Credential::Service;
        let map = self
            .mapping
            .object(&operation.object)
            .or_else(|| self.mapping.object_by_native(&operation.native_object));
        let native = map.map_or(operation.native_object.as_str(), |map| map.native.as_str());
        let native = if native.is_empty() {
            &operation.object
        } else {
            native
        };
        let table = self.metadata.table(native, &who).await?.ok_or_else(|| {
            let message = format!("the environment has no table `{native}`");
            Malformed::new("unknown_object", message)
        })?;
        let (form, condition, target) = form(operation)?;
        let values = RowValues {
            table: Arc::clone(&table),
            mapping: Arc::clone(&self.mapping),
            currencies: self.metadata.currencies(&who).await?,
            kind: operation.kind,
            names_change: touches_names(change.as_ref()),
            record_id: None,
        };
        let change = native_change(map, &values, change.unwrap_or_default())?;
        let directory = self.metadata.directory(&who).await?;
        let parsed = parsed(&table, &directory, change);
        let detail = Detail {
            own_id: self.own_id(form, &table, &parsed),
            form,
            condition,
            parsed,
            directory,
            version: self.upstream.api_version.clone(),
            query: String::new(),
            table: Arc::clone(&table),
        };
        let head = self.made_up_head(&table, &target, form)?;
        let came = Came {
            head,
            raw: Bytes::new(),
            request: None,
        };
        Ok(self.finish(detail, operation.kind, target, came))
    }

    fn made_up_head(
        &self,
        table: &Table,
        target: &Target,
        form: Form,
    ) -> Result<RequestHead, Failure> {
        let (method, place) = match (form, target) {
            (Form::Create, _) => (Method::POST, String::new()),
            (Form::Delete, target) => (
                Method::DELETE,
                format!("({})", crate::key::render(table, target)),
            ),
            (_, target) => (
                Method::PATCH,
                format!("({})", crate::key::render(table, target)),
            ),
        };
        let path = self.upstream.api(&format!("{}{place}", table.set));
        Ok(RequestHead {
            method,
            uri: path
                .parse::<Uri>()
                .map_err(|error| Failure::not_sent(error.to_string()))?,
            headers: HeaderMap::new(),
            gate: self.upstream.url.clone(),
        })
    }
}

/// The change as if it had come in a body.
fn parsed(table: &Table, directory: &Directory, change: Object) -> Parsed {
    let mut parsed = Parsed {
        rewritten: true,
        ..Parsed::default()
    };
    for (column, value) in change.iter() {
        let (member, written) = body::member(table, directory, column, value);
        parsed.member_of.insert(column.to_owned(), member.clone());
        parsed.members.set(&member, written);
    }
    parsed.change = change;
    parsed
}

fn form(operation: &Operation) -> Result<(Form, Condition, Target), Malformed> {
    let id = operation.record_id.as_deref();
    let target = id
        .map(|id| {
            value::guid(id).map(Target::Id).ok_or_else(|| {
                Malformed::new(
                    "invalid_id",
                    format!("`{id}`: expected a GUID as record id"),
                )
            })
        })
        .transpose()?;
    match (operation.kind, target) {
        (Kind::Create, None) => Ok((Form::Create, Condition::None, Target::New)),
        (Kind::Create, Some(target)) => Ok((Form::Patch, Condition::MustNotExist, target)),
        (Kind::Upsert, Some(target)) => Ok((Form::Patch, Condition::None, target)),
        (Kind::Update, Some(target)) => Ok((Form::Patch, Condition::MustExist, target)),
        (Kind::Delete, Some(target)) => Ok((Form::Delete, Condition::None, target)),
        (Kind::Update | Kind::Upsert | Kind::Delete, None) => Err(Malformed::new(
            "invalid_id",
            format!(
                "an operation of kind `{}` needs a record id",
                operation.kind.as_str()
            ),
        )),
        (kind, _) => Err(Malformed::new(
            "not_understood",
            format!("operations of kind `{}` are not understood", kind.as_str()),
        )),
    }
}

/// A change under canonical or `native.X` names as columns and normalized values.
fn native_change(
    map: Option<&ObjectMap>,
    values: &RowValues,
    change: Object,
) -> Result<Object, Malformed> {
    let mut native = Object::new();
    for (name, given) in change {
        let field = FieldRef(name);
        let mapped = field.canonical().and_then(|name| map?.field(name));
        let unknown = || {
            let message = format!("`{}` has no field `{field}`", values.table.name);
            Malformed::field("unknown_field", &field.0, message)
        };
        let column = match (field.native(), mapped) {
            (Some(name), _) => name,
            (None, Some(mapped)) => mapped.native.as_str(),
            (None, None) => return Err(unknown()),
        };
        let Writable::Field(column) = values.writable(column) else {
            return Err(unknown());
        };
        let normal = match mapped {
            _ if given.is_null() => Ok(Document::Null),
            Some(mapped) => values.to_native(mapped, &given),
            None => values.normalize(&column, &given),
        };
        let normal = normal.map_err(|expected| {
            let message = format!("`{field}`: expected {expected}");
            Malformed::field("invalid_value", &field.0, message)
        })?;
        if native.contains(&column) {
            let message = format!("`{field}` sets a column that another field sets, too");
            return Err(Malformed::field("duplicate_field", &field.0, message));
        }
        native.push(column, normal);
    }
    Ok(native)
}
