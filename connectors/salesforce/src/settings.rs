//! A connection's settings.

use std::collections::BTreeMap;

use crmgate_connector::mapping::{Mapping, Table};
use crmgate_connector::{Fault, Secret, SecretError};
use serde_json::Value;
use url::Url;

use crate::auth::Flow;
use crate::section::Section;

/// The API version that the gate's own calls use where the settings name none.
const API_VERSION: &str = "66.0";

/// What a connection is configured with.
pub(crate) struct Settings {
    /// Where clients sign in.
    pub(crate) login: Url,
    /// The org's own address.
    pub(crate) instance: Url,
    /// `66.0`.
    pub(crate) api_version: String,
    /// The connection's own sign-in.
    pub(crate) flow: Option<Flow>,
    /// What the scopes of callers' tokens are asked with.
    pub(crate) introspection: Option<Introspection>,
    /// Object in lower case to the unique external id field that gets a key of the gate's.
    pub(crate) key_fields: BTreeMap<String, String>,
    /// The currency of records that name none.
    pub(crate) currency: Option<String>,
    /// Names and values.
    pub(crate) mapping: Mapping,
    /// Native names (`Object.Field`, lower case) that the connection's own mapping names.
    pub(crate) own_fields: Vec<String>,
}

/// A client that may introspect tokens.
pub(crate) struct Introspection {
    pub(crate) client_id: String,
    pub(crate) client_secret: Secret,
}

impl Settings {
    /// Reads them.
    pub(crate) fn read(
        settings: &Value,
        secrets: &dyn Fn(&str, &str) -> Result<Secret, SecretError>,
    ) -> Result<Self, Vec<Fault>> {
        let mut section = Section::new(settings, secrets);
        // Read by the binary.
        section.take("identity");
        let login = match section.origin("login_url") {
            Some(url) => Some(url),
            None => Url::parse("https://login.salesforce.com").ok(),
        };
        if settings.get("instance_url").is_none_or(Value::is_null) {
            section.fault(
                "instance_url",
                "is missing: expected the org's My Domain, `https://ORG.my.salesforce.com`",
            );
        }
        let instance = section.origin("instance_url");
        let api_version = api_version(&mut section);
        let login_text = login.as_ref().map(origin_text).unwrap_or_default();
        let flow = section
            .inner("auth", |auth| flow(auth, &login_text))
            .flatten();
        let introspection = section.inner("introspection", |inner| {
            let client_id = inner.required("client_id", "the consumer key");
            let client_secret = inner.required_secret("client_secret");
            Some(Introspection {
                client_id: client_id?,
                client_secret: client_secret?,
            })
        });
        let key_fields: BTreeMap<String, String> = section.shape("external_id_fields");
        let currency = currency(&mut section);
        let extension: Table = section.shape("mapping");
        let own_fields = own_fields(&extension);
        let mapping = match mapping(&extension) {
            Ok(mapping) => Some(mapping),
            Err(problems) => {
                for problem in problems {
                    section.fault("mapping", problem);
                }
                None
            }
        };
        let faults = section.finish();
        match (login, instance, mapping) {
            (Some(login), Some(instance), Some(mapping)) if faults.is_empty() => Ok(Self {
                login,
                instance,
                api_version,
                flow,
                introspection,
                key_fields: key_fields
                    .into_iter()
                    .map(|(object, field)| (object.to_ascii_lowercase(), field))
                    .collect(),
                currency,
                mapping,
                own_fields,
            }),
            _ => Err(faults),
        }
    }
}

fn api_version(section: &mut Section<'_>) -> String {
    let version = section
        .text("api_version")
        .unwrap_or_else(|| API_VERSION.to_owned());
    if crate::door::version_number(&format!("v{version}")).is_none() {
        section.fault(
            "api_version",
            format!("`{version}` is no API version: expected one such as `{API_VERSION}`"),
        );
    }
    version
}

fn currency(section: &mut Section<'_>) -> Option<String> {
    let code = section.text("currency")?;
    if code.len() != 3 || !code.bytes().all(|byte| byte.is_ascii_uppercase()) {
        section.fault(
            "currency",
            format!("`{code}` is no currency: expected an ISO code such as `EUR`"),
        );
    }
    Some(code)
}

#[expect(
    clippy::option_option,
    reason = "the outer level says whether the table could be read, the inner whether there is a flow"
)]
fn flow(auth: &mut Section<'_>, login: &str) -> Option<Option<Flow>> {
    let name = auth.required(
        "flow",
        "`jwt_bearer`, `client_credentials`, `refresh_token` or `none`",
    )?;
    match name.as_str() {
        "none" => Some(None),
        "jwt_bearer" => {
            let client_id = auth.required("client_id", "the consumer key");
            let username = auth.required("username", "the user to sign in as");
            let private_key = auth.required_secret("private_key");
            let audience = auth.text("audience").unwrap_or_else(|| login.to_owned());
            Some(Some(Flow::JwtBearer {
                client_id: client_id?,
                username: username?,
                private_key: private_key?,
                audience,
            }))
        }
        "client_credentials" => {
            let client_id = auth.required("client_id", "the consumer key");
            let client_secret = auth.required_secret("client_secret");
            Some(Some(Flow::ClientCredentials {
                client_id: client_id?,
                client_secret: client_secret?,
            }))
        }
        "refresh_token" => {
            let client_id = auth.required("client_id", "the consumer key");
            let client_secret = auth.secret("client_secret");
            let refresh_token = auth.required_secret("refresh_token");
            Some(Some(Flow::RefreshToken {
                client_id: client_id?,
                client_secret,
                refresh_token: refresh_token?,
            }))
        }
        other => {
            auth.fault(
                "flow",
                format!(
                    "`{other}` is no flow: expected `jwt_bearer`, `client_credentials`, \
                     `refresh_token` or `none`"
                ),
            );
            None
        }
    }
}

/// Scheme, host and port, without a slash at the end.
pub(crate) fn origin_text(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// The connector's own mapping table.
pub(crate) fn own_mapping() -> Result<Table, String> {
    yaml_serde::from_str(include_str!("../mapping.yaml"))
        .map_err(|error| format!("the connector's own table: {error}"))
}

fn mapping(extension: &Table) -> Result<Mapping, Vec<String>> {
    let standard = own_mapping().map_err(|error| vec![error])?;
    Mapping::new(&standard, extension).map_err(|bad| bad.iter().map(ToString::to_string).collect())
}

fn own_fields(extension: &Table) -> Vec<String> {
    use crmgate_connector::mapping::FieldEntry;
    extension
        .iter()
        .flat_map(|(object, entry)| {
            entry.fields.values().map(move |field| {
                let native = match field {
                    FieldEntry::Name(native) => native,
                    FieldEntry::Full(map) => &map.native,
                };
                format!("{object}.{native}").to_ascii_lowercase()
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(settings: &Value) -> Result<Settings, Vec<String>> {
        let secrets = |setting: &str, reference: &str| {
            if reference.starts_with("env:") {
                Ok(Secret::fixed("s3cret"))
            } else {
                Err(SecretError {
                    setting: setting.to_owned(),
                    problem: format!("`{reference}` is no reference"),
                })
            }
        };
        Settings::read(settings, &secrets).map_err(|faults| {
            faults
                .into_iter()
                .map(|fault| format!("{}: {}", fault.setting, fault.problem))
                .collect()
        })
    }

    #[test]
    fn all_faults_come_together() {
        let faults = read(&json!({
            "login_url": "http://login.example",
            "instance_url": "https://acme.example/path",
            "api_version": "66",
            "identity": "brokered",
            "auth": {"flow": "jwt_bearer", "client_id": "x", "private_key": "BEGIN", "tokn": 1},
            "introspection": 4,
            "currency": "euro",
            "mapping": {"contact": {"fields": {"shoe_size": "Shoe__c"}}},
            "nonsense": true
        }))
        .err()
        .unwrap();
        insta::assert_snapshot!(faults.join("\n"));
    }

    #[test]
    fn a_minimal_connection_has_defaults() {
        let settings = read(&json!({"instance_url": "https://acme.my.salesforce.com"})).unwrap();
        assert_eq!(settings.login.as_str(), "https://login.salesforce.com/");
        assert_eq!(settings.api_version, "66.0");
        assert!(settings.flow.is_none());
    }

    #[test]
    fn settings_extend_the_mapping() {
        let settings = read(&json!({
            "instance_url": "http://127.0.0.1:8711",
            "auth": {"flow": "client_credentials", "client_id": "id", "client_secret": "env:X"},
            "external_id_fields": {"Contact": "Ext_Id__c"},
            "mapping": {"contact": {"fields": {"shoe_size": {"native": "Shoe__c", "type": "integer"}}}}
        }))
        .unwrap();
        assert!(settings.flow.is_some());
        assert_eq!(settings.key_fields["contact"], "Ext_Id__c");
        assert_eq!(settings.own_fields, ["contact.shoe__c"]);
        let contact = settings.mapping.object("contact").unwrap();
        assert_eq!(
            contact.field_by_native("shoe__C").unwrap().canonical,
            "shoe_size"
        );
    }
}
