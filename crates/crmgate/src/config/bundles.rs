//! `policies.keys` and `policies.bundles`: policies that come as OPA bundles.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use ::config::Value;
use crmgate_bundle::{Algorithm, BundleError, Verification, VerificationKey};
use crmgate_connector::Secret;
use crmgate_connector::secret::ExposeSecret as _;
use crmgate_domain::ConnectionName;
use http::HeaderName;
use url::Url;

use super::section::Section;
use super::{Connection, Faults, secret, value};

#[cfg(test)]
mod tests;

/// Bundles by name, and the keys that verify them.
#[derive(Debug, Default)]
pub(crate) struct Bundles {
    pub(crate) keys: Keys,
    pub(crate) all: BTreeMap<String, BundleSource>,
}

/// One bundle.
#[derive(Debug, Clone)]
pub(crate) struct BundleSource {
    /// The connection whose layer it belongs to; the global layer without.
    pub(crate) connection: Option<ConnectionName>,
    pub(crate) origin: Origin,
    /// The one key that counts; without it, the one that the signature names.
    pub(crate) keyid: Option<String>,
    pub(crate) scope: Option<String>,
}

/// Where a bundle comes from.
#[derive(Debug, Clone)]
pub(crate) enum Origin {
    File(PathBuf),
    Http(Box<HttpOrigin>),
}

/// A bundle on a server.
#[derive(Debug, Clone)]
pub(crate) struct HttpOrigin {
    pub(crate) url: Url,
    pub(crate) bearer: Option<Secret>,
    pub(crate) headers: Vec<(HeaderName, Secret)>,
    /// The time between two questions lies between these.
    pub(crate) min_delay: Duration,
    pub(crate) max_delay: Duration,
    /// How long the server may wait for something new before it answers.
    pub(crate) long_poll: Option<Duration>,
    /// The time for a whole answer, waiting apart.
    pub(crate) timeout: Duration,
}

/// Keys by id, read again at each use.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keys(BTreeMap<String, Key>);

#[derive(Debug, Clone)]
struct Key {
    algorithm: Algorithm,
    text: Secret,
    scope: Option<String>,
}

const MIN_DELAY: Duration = Duration::from_secs(60);
const MAX_DELAY: Duration = Duration::from_secs(120);
const TIMEOUT: Duration = Duration::from_secs(30);
/// Longer names are no names.
const MAX_NAME: usize = 64;

impl Keys {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The keys as they are now.
    ///
    /// # Errors
    /// When one of them cannot be read any more, or is no key.
    pub(crate) fn verification(&self, source: &BundleSource) -> Result<Verification, BundleError> {
        let keys = self.0.iter().map(|(id, key)| Ok((id.clone(), key.now()?)));
        Ok(Verification {
            keys: keys.collect::<Result<_, BundleError>>()?,
            keyid: source.keyid.clone(),
            scope: source.scope.clone(),
        })
    }
}

impl Key {
    fn now(&self) -> Result<VerificationKey, BundleError> {
        let text = self
            .text
            .get()
            .map_err(|error| BundleError::Key(error.to_string()))?;
        VerificationKey::new(self.algorithm, text.expose_secret(), self.scope.clone())
    }

    fn read(section: &mut Section<'_>) -> Option<Self> {
        let algorithm = section.get("algorithm", |v| value::text(v)?.parse());
        let text = reference(section, "key");
        let key = Self {
            algorithm: algorithm.unwrap_or(Algorithm::Rs256),
            text: text?,
            scope: section.get("scope", value::text),
        };
        if let Err(BundleError::Key(problem)) = key.now() {
            section.fault("key", problem);
        }
        Some(key)
    }
}

impl Bundles {
    /// Reads `keys` and `bundles` of the policies' section.
    pub(super) fn read(policies: &mut Section<'_>) -> Self {
        let keys = policies.section_or_empty("keys").sections();
        let keys = keys.into_iter().filter_map(|(id, mut section)| {
            if !section.has("key") {
                section.fault("key", "is missing: expected `env:NAME` or `file:PATH`");
            }
            let key = Key::read(&mut section);
            section.finish();
            Some((id, key?))
        });
        let keys = Keys(keys.collect());
        let sections = policies.section_or_empty("bundles").sections();
        let all = sections.into_iter().filter_map(|(name, mut section)| {
            if !is_name(&name) {
                policies.fault(
                    &format!("bundles.{name}"),
                    format!(
                        "`{name}` is no name of a bundle: expected at most {MAX_NAME} lower-case \
                         letters, digits, `-` and `_`"
                    ),
                );
            }
            let source = BundleSource::read(&mut section, &keys);
            section.finish();
            Some((name, source?))
        });
        let all = all.collect();
        Self { keys, all }
    }

    /// Checks that each bundle's connection is configured.
    pub(super) fn check(
        &self,
        connections: &BTreeMap<ConnectionName, Connection>,
        faults: &Faults,
    ) {
        for (name, bundle) in &self.all {
            let unknown = bundle
                .connection
                .as_ref()
                .filter(|connection| !connections.contains_key(connection));
            if let Some(unknown) = unknown {
                faults.add(
                    &format!("policies.bundles.{name}.connection"),
                    format!("no connection `{unknown}` is configured"),
                );
            }
        }
    }
}

fn is_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    !name.is_empty() && name.len() <= MAX_NAME && name.bytes().all(plain)
}

impl BundleSource {
    fn read(section: &mut Section<'_>, keys: &Keys) -> Option<Self> {
        let connection = section.get("connection", |v| {
            value::text(v)?
                .parse::<ConnectionName>()
                .map_err(|error| error.to_string())
        });
        let scope = section.get("scope", value::text);
        let keyid = section.get("keyid", |v| {
            let id = value::text(v)?;
            if keys.0.contains_key(&id) {
                return Ok(id);
            }
            Err(format!("there is no key `{id}` in `policies.keys`"))
        });
        let both = section.has("file") == section.has("url");
        if both {
            section.fault("url", "expected either a `url` or a `file`");
        }
        let file = section.path("file");
        let http = HttpOrigin::read(section, keys);
        if both {
            return None;
        }
        let origin = match file {
            Some(file) => Origin::File(file),
            None => Origin::Http(Box::new(http?)),
        };
        Some(Self {
            connection,
            origin,
            keyid,
            scope,
        })
    }
}

impl HttpOrigin {
    fn read(section: &mut Section<'_>, keys: &Keys) -> Option<Self> {
        let url = section.get("url", address);
        let secrets = section.has("bearer") || section.has("headers");
        let bearer = reference(section, "bearer");
        let headers = headers(section);
        let min = section.get("min_delay", value::duration);
        let max = section.get("max_delay", value::duration);
        let (min_delay, max_delay) = match (min, max) {
            (None, None) => (MIN_DELAY, MAX_DELAY),
            (Some(min), None) => (min, (min * 2).max(min)),
            (None, Some(max)) => (MIN_DELAY.min(max), max),
            (Some(min), Some(max)) => (min, max),
        };
        if min_delay > max_delay {
            section.fault("min_delay", "expected no more than `max_delay`");
        }
        let long_poll = section.get("long_poll", value::duration);
        let timeout = section.get("timeout", value::duration).unwrap_or(TIMEOUT);
        let url = url?;
        let loopback = match url.host() {
            Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
            Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
            Some(url::Host::Domain(name)) => name == "localhost",
            None => false,
        };
        // Whoever stands in between could write policies, or read the token.
        let exposed = keys.is_empty() || secrets;
        if url.scheme() == "http" && !loopback && exposed {
            section.fault(
                "url",
                "expected `https://`: policies over plain HTTP must be signed (`policies.keys`), \
                 and secrets never travel over it",
            );
        }
        Some(Self {
            url,
            bearer,
            headers,
            min_delay,
            max_delay,
            long_poll,
            timeout,
        })
    }
}

fn address(v: &Value) -> Result<Url, String> {
    let url = value::web_url(v)?;
    if url.username().is_empty() && url.password().is_none() {
        return Ok(url);
    }
    Err("holds a user name or a password: expected them in `bearer` or `headers`".to_owned())
}

fn headers(section: &mut Section<'_>) -> Vec<(HeaderName, Secret)> {
    let Some(mut headers) = section.section("headers") else {
        return Vec::new();
    };
    let entries = headers.entries().into_iter();
    let read = entries.filter_map(|(name, entry)| {
        let fault = |problem: String| headers.fault(&name, problem);
        let Ok(header) = name.parse::<HeaderName>() else {
            fault("is no name of a header".to_owned());
            return None;
        };
        let text = value::text(&entry).map_err(fault).ok()?;
        let resolved = secret::resolve(headers.base(), &headers.name(&name), &text);
        let resolved = resolved.map_err(|error| headers.fault(&name, error.problem));
        Some((header, resolved.ok()?))
    });
    read.collect()
}

/// A secret by reference.
fn reference(section: &mut Section<'_>, key: &'static str) -> Option<Secret> {
    let setting = section.name(key);
    let base = section.base().to_owned();
    section.get(key, |v| {
        secret::resolve(&base, &setting, &value::text(v)?).map_err(|error| error.problem)
    })
}
