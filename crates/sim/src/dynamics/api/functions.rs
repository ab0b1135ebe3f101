//! Functions: calls that only tell something.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::super::address::Argument;
use super::super::error::{ApiError, Outcome};
use super::super::read::Reader;
use super::Request;

/// The version that the environment says it is.
const VERSION: &str = "9.2.26103.00183";

/// What the environment tells of itself.
pub(crate) struct Organization<'a> {
    pub(crate) id: Uuid,
    pub(crate) tenant: Uuid,
    pub(crate) unique_name: &'a str,
    pub(crate) friendly_name: &'a str,
}

const FUNCTIONS: [&str; 5] = [
    "WhoAmI",
    "RetrieveVersion",
    "RetrieveAvailableLanguages",
    "RetrieveCurrentOrganization",
    "RetrieveTotalRecordCount",
];

pub(super) fn exists(name: &str) -> bool {
    FUNCTIONS.contains(&name)
}

pub(super) fn call(
    request: &Request<'_>,
    reader: &Reader<'_>,
    organization: &Organization<'_>,
    name: &str,
) -> Outcome<Map<String, Value>> {
    if !exists(name) {
        return Err(ApiError::no_segment(name));
    }
    let arguments = request
        .segments
        .first()
        .and_then(|segment| segment.arguments.as_deref())
        .unwrap_or_default();
    let body = match name {
        "WhoAmI" => json!({
            "BusinessUnitId": reader.caller.user.unit,
            "UserId": reader.caller.user.id,
            "OrganizationId": organization.id,
        }),
        "RetrieveVersion" => json!({"Version": VERSION}),
        "RetrieveAvailableLanguages" => json!({"LocaleIds": [1033]}),
        "RetrieveCurrentOrganization" => {
            let access = argument(request, arguments, "AccessType");
            access.ok_or_else(|| missing(name, "AccessType"))?;
            current_organization(request, organization)
        }
        _ => total_counts(request, reader, arguments)?,
    };
    let mut answer = Map::new();
    reader.put_context(
        &mut answer,
        &format!("Microsoft.Dynamics.CRM.{name}Response"),
    );
    if let Value::Object(body) = body {
        answer.extend(body);
    }
    Ok(answer)
}

/// A parameter's value: in the parentheses, or by an alias in the query.
fn argument(request: &Request<'_>, arguments: &[Argument], name: &str) -> Option<String> {
    let argument = arguments
        .iter()
        .find(|argument| argument.name.as_deref() == Some(name))?;
    if argument.value.starts_with('@') {
        return request.options.aliases.get(&argument.value).cloned();
    }
    Some(argument.value.clone())
}

fn missing(function: &str, parameter: &str) -> ApiError {
    ApiError::query(format!(
        "The function '{function}' needs the parameter '{parameter}'."
    ))
}

fn current_organization(request: &Request<'_>, organization: &Organization<'_>) -> Value {
    let base = &request.call.base_url;
    let url_name = base
        .split_once("://")
        .and_then(|(_, host)| host.split(['.', ':']).next())
        .unwrap_or_default();
    json!({"Detail": {
        "OrganizationId": organization.id,
        "FriendlyName": organization.friendly_name,
        "OrganizationVersion": VERSION,
        "EnvironmentId": organization.id,
        "DatacenterId": Uuid::nil(),
        "Geo": "EMEA",
        "TenantId": organization.tenant,
        "UrlName": url_name,
        "UniqueName": organization.unique_name,
        "State": "Enabled",
        "SchemaType": "Standard",
        "OrganizationType": "Customer",
        "Endpoints": {
            "Count": 3,
            "IsReadOnly": false,
            "Keys": ["WebApplication", "OrganizationService", "OrganizationDataService"],
            "Values": [
                format!("{base}/"),
                format!("{base}/XRMServices/2011/Organization.svc"),
                format!("{base}/XRMServices/2011/OrganizationData.svc"),
            ],
        },
    }})
}

fn total_counts(
    request: &Request<'_>,
    reader: &Reader<'_>,
    arguments: &[Argument],
) -> Outcome<Value> {
    let names = argument(request, arguments, "EntityNames")
        .ok_or_else(|| missing("RetrieveTotalRecordCount", "EntityNames"))?;
    let names: Vec<String> = serde_json::from_str(&names.replace('\'', "\"")).map_err(|_| {
        ApiError::query("EntityNames must be a list of logical names, such as ['account'].")
    })?;
    let mut counts = Vec::new();
    for name in &names {
        if reader.store.schema().table(name).is_none() {
            return Err(ApiError::new(
                http::StatusCode::NOT_FOUND,
                "0x80060888",
                format!("The entity with a name = '{name}' was not found in the MetadataCache."),
            ));
        }
        counts.push(reader.store.count(name));
    }
    Ok(json!({"EntityRecordCountCollection": {
        "Count": names.len(),
        "IsReadOnly": false,
        "Keys": names,
        "Values": counts,
    }}))
}
