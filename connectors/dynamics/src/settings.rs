//! A connection's own settings.

use std::time::Duration;

use crmgate_connector::{BuildContext, Fault, Secret, mapping};
use serde::Deserialize;
use url::Url;

/// The table of the connection, as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    url: Option<String>,
    #[serde(default = "default_authority")]
    authority: String,
    tenant: Option<String>,
    client_id: Option<String>,
    #[serde(default = "default_version")]
    api_version: String,
    #[serde(default)]
    auth: RawAuth,
    #[serde(default)]
    mapping: mapping::Table,
    #[serde(default)]
    secured_columns: SecuredColumns,
    #[serde(default = "default_metadata_seconds")]
    metadata_seconds: u64,
    /// Read by the binary.
    #[serde(default, rename = "identity")]
    _identity: Option<serde::de::IgnoredAny>,
}

/// What a secured column that reads as null means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SecuredColumns {
    /// Its value is not known: who may not see it reads null, too.
    #[default]
    Unknown,
    /// It has no value: the connection's user may see every secured column.
    Readable,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawAuth {
    #[serde(default)]
    flow: Option<String>,
    secret: Option<String>,
    certificate: Option<String>,
    private_key: Option<String>,
    scope: Option<String>,
}

fn default_authority() -> String {
    "https://login.microsoftonline.com".to_owned()
}

fn default_version() -> String {
    "v9.2".to_owned()
}

const fn default_metadata_seconds() -> u64 {
    300
}

/// How the connection signs in for itself.
pub(crate) enum Flow {
    /// With the application's secret.
    ClientSecret(Secret),
    /// With an assertion signed by the application's key; both in PEM.
    Certificate {
        certificate: Secret,
        private_key: Secret,
    },
}

/// What a connection signs in with.
pub(crate) struct Auth {
    pub(crate) token_url: Url,
    pub(crate) client_id: String,
    pub(crate) scope: String,
    pub(crate) flow: Flow,
}

/// Settings, checked.
pub(crate) struct Settings {
    pub(crate) url: Url,
    pub(crate) authority: Url,
    pub(crate) tenant: Option<String>,
    pub(crate) api_version: String,
    pub(crate) auth: Option<Auth>,
    pub(crate) mapping: mapping::Mapping,
    pub(crate) metadata_life: Duration,
    pub(crate) secured_columns: SecuredColumns,
}

/// The connector's own mapping table.
pub(crate) fn own_mapping() -> Result<mapping::Table, String> {
    yaml_serde::from_str(include_str!("../mapping.yaml")).map_err(|error| error.to_string())
}

impl Settings {
    /// Reads a connection's table.
    ///
    /// # Errors
    /// All faults together.
    pub(crate) fn read(
        value: &serde_json::Value,
        context: &BuildContext<'_>,
    ) -> Result<Self, Vec<Fault>> {
        let raw: Raw =
            Raw::deserialize(value).map_err(|error| vec![Fault::new("", error.to_string())])?;
        let mut faults = Vec::new();
        let url = raw
            .url
            .as_deref()
            .map(|text| base_url("url", text, &mut faults));
        let url = url.unwrap_or_else(|| {
            let problem =
                "expected the environment's address, such as `https://org.crm.dynamics.com`";
            faults.push(Fault::new("url", problem));
            None
        });
        let authority = base_url("authority", &raw.authority, &mut faults);
        if !is_version(&raw.api_version) {
            faults.push(Fault::new(
                "api_version",
                format!("`{}`: expected a version such as `v9.2`", raw.api_version),
            ));
        }
        let mapping = mapping(&raw.mapping, &mut faults);
        let auth = match (&url, &authority) {
            (Some(url), Some(authority)) => auth(&raw, url, authority, context, &mut faults),
            _ => None,
        };
        match (url, authority, mapping) {
            (Some(url), Some(authority), Some(mapping)) if faults.is_empty() => Ok(Self {
                url,
                authority,
                tenant: raw.tenant,
                api_version: raw.api_version,
                auth,
                mapping,
                metadata_life: Duration::from_secs(raw.metadata_seconds),
                secured_columns: raw.secured_columns,
            }),
            _ => Err(faults),
        }
    }
}

/// `v9.2`.
pub(crate) fn is_version(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.strip_prefix('v')
        .and_then(|rest| rest.split_once('.'))
        .is_some_and(|(major, minor)| digits(major) && digits(minor))
}

fn base_url(setting: &str, text: &str, faults: &mut Vec<Fault>) -> Option<Url> {
    let url = Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "https" | "http")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    });
    if url.as_ref().is_none_or(|url| url.path() != "/") {
        faults.push(Fault::new(
            setting,
            format!("`{text}`: expected scheme and host only, such as `https://host.example`"),
        ));
        return None;
    }
    url
}

fn mapping(extension: &mapping::Table, faults: &mut Vec<Fault>) -> Option<mapping::Mapping> {
    let own = match own_mapping() {
        Ok(own) => own,
        Err(error) => {
            faults.push(Fault::new("mapping", error));
            return None;
        }
    };
    match mapping::Mapping::new(&own, extension) {
        Ok(mapping) => Some(mapping),
        Err(bad) => {
            faults.extend(
                bad.into_iter()
                    .map(|bad| Fault::new(&format!("mapping.{}", bad.place), bad.problem)),
            );
            None
        }
    }
}

fn auth(
    raw: &Raw,
    url: &Url,
    authority: &Url,
    context: &BuildContext<'_>,
    faults: &mut Vec<Fault>,
) -> Option<Auth> {
    let secret = |setting: &str, reference: Option<&String>, faults: &mut Vec<Fault>| {
        let setting = format!("auth.{setting}");
        let Some(reference) = reference else {
            let problem = "expected a reference such as `env:NAME` or `file:PATH`";
            faults.push(Fault::new(&setting, problem));
            return None;
        };
        (context.secrets)(&setting, reference)
            .map_err(|error| faults.push(Fault::new(&error.setting, error.problem)))
            .ok()
    };
    let flow = match raw.auth.flow.as_deref() {
        None | Some("none") => return None,
        Some("client_secret") => {
            secret("secret", raw.auth.secret.as_ref(), faults).map(Flow::ClientSecret)
        }
        Some("certificate") => {
            let certificate = secret("certificate", raw.auth.certificate.as_ref(), faults);
            let private_key = secret("private_key", raw.auth.private_key.as_ref(), faults);
            certificate
                .zip(private_key)
                .map(|(certificate, private_key)| Flow::Certificate {
                    certificate,
                    private_key,
                })
        }
        Some(other) => {
            faults.push(Fault::new(
                "auth.flow",
                format!("`{other}`: expected `client_secret`, `certificate` or `none`"),
            ));
            None
        }
    };
    let mut text = |setting: &str, value: &Option<String>, expected: &str| {
        let value = value.clone().filter(|text| !text.is_empty());
        if value.is_none() {
            faults.push(Fault::new(setting, format!("expected {expected}")));
        }
        value
    };
    let tenant = text("tenant", &raw.tenant, "the Entra tenant's id or domain");
    let client_id = text("client_id", &raw.client_id, "the application's id");
    let token_url = authority
        .join(&format!("{}/oauth2/v2.0/token", tenant?))
        .map_err(|error| faults.push(Fault::new("tenant", error.to_string())))
        .ok();
    let scope = raw.auth.scope.clone();
    Some(Auth {
        token_url: token_url?,
        client_id: client_id?,
        scope: scope.unwrap_or_else(|| format!("{url}.default")),
        flow: flow?,
    })
}
