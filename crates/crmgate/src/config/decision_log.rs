//! What of decisions is remembered, and where it goes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use ::config::Value;
use crmgate_connector::Secret;
use crmgate_decision_log::Treatment;
use crmgate_enforce::PayloadKept;
use http::HeaderName;
use url::Url;

use super::areas::Upstream;
use super::section::Section;
use super::{secret, value};

#[cfg(test)]
mod tests;

/// What of decisions is remembered, and where it goes.
#[derive(Debug)]
pub(crate) struct DecisionLog {
    pub(crate) kept: Kept,
    pub(crate) mask_time_limit: Duration,
    /// The key of hashes that stand for values; one of its own is made without.
    pub(crate) hash_key: Option<Secret>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) sinks: BTreeMap<String, SinkSettings>,
}

/// How decisions are remembered; a connection can say it differently.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) payload: Option<PayloadKept>,
    pub(crate) personal: Option<Treatment>,
    pub(crate) sensitive: Option<Treatment>,
    pub(crate) unmapped: Option<Treatment>,
}

/// Where decisions go.
#[derive(Debug, Clone)]
pub(crate) struct SinkSettings {
    /// Whether it begins with what is decided from now on.
    pub(crate) from_now: bool,
    pub(crate) target: Target,
}

/// What kind of sink it is.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    Stdout,
    File(crmgate_decision_log::sink::file::FileSettings),
    Http(Box<HttpTarget>),
}

/// A service that takes OPA's decision logs.
#[derive(Debug, Clone)]
pub(crate) struct HttpTarget {
    pub(crate) url: Url,
    pub(crate) partition_name: Option<String>,
    pub(crate) token: Option<Secret>,
    pub(crate) headers: Vec<(HeaderName, Secret)>,
    pub(crate) upload_size_limit: u64,
    pub(crate) client_certificate: Option<(PathBuf, PathBuf)>,
    pub(crate) upstream: Upstream,
}

/// Longer names are no names.
const MAX_NAME: usize = 64;
/// A file is full at.
const ROTATE_SIZE: usize = 100 << 20;
const ROTATE_AGE: Duration = Duration::from_secs(24 * 60 * 60);
/// OPA's own limit, which services are made for.
const UPLOAD_SIZE: usize = 32 << 10;

const PAYLOADS: [(&str, PayloadKept); 3] = [
    ("full", PayloadKept::Full),
    ("changes", PayloadKept::Changes),
    ("none", PayloadKept::None),
];
const TREATMENTS: [(&str, Treatment); 4] = [
    ("mask", Treatment::Mask),
    ("hash", Treatment::Hash),
    ("partial", Treatment::Partial),
    ("keep", Treatment::Keep),
];

impl Kept {
    /// Reads what is said; what is not is left to the general settings.
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let payload = section.get("payload", |v| value::word(v, &PAYLOADS));
        let mut treatment = |key| section.get(key, |v| value::word(v, &TREATMENTS));
        Self {
            payload,
            personal: treatment("personal"),
            sensitive: treatment("sensitive"),
            unmapped: treatment("unmapped"),
        }
    }

    /// What a connection says of its own.
    pub(super) fn of_connection(section: &mut Section<'_>) -> Self {
        section
            .section("decision_log")
            .map_or_else(Self::default, |mut section| {
                let kept = Self::read(&mut section);
                section.finish();
                kept
            })
    }

    /// Its own words first, then the general ones.
    pub(crate) fn or(self, general: Self) -> Self {
        Self {
            payload: self.payload.or(general.payload),
            personal: self.personal.or(general.personal),
            sensitive: self.sensitive.or(general.sensitive),
            unmapped: self.unmapped.or(general.unmapped),
        }
    }
}

impl DecisionLog {
    pub(super) fn read(mut section: Section<'_>, upstream: &Upstream) -> Self {
        let kept = Kept::read(&mut section);
        let mask_time_limit = section.need("mask_time_limit", value::duration);
        let hash_key = reference(&mut section, "hash_key");
        let labels = section.section("labels").map(labels).unwrap_or_default();
        let sinks = section.section_or_empty("sinks").sections();
        let sinks = sinks.into_iter().filter_map(|(name, mut section)| {
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b);
            if name.len() > MAX_NAME || !name.bytes().all(plain) {
                let problem =
                    "is no name of a sink: expected lower-case letters, digits, `-` and `_`";
                section.fault("kind", format!("`{name}` {problem}"));
            }
            let sink = SinkSettings::read(&mut section, upstream);
            section.finish();
            Some((name, sink?))
        });
        let sinks = sinks.collect();
        section.finish();
        Self {
            kept,
            mask_time_limit,
            hash_key,
            labels,
            sinks,
        }
    }
}

impl SinkSettings {
    fn read(section: &mut Section<'_>, upstream: &Upstream) -> Option<Self> {
        #[derive(Clone, Copy)]
        enum Kind {
            Stdout,
            File,
            Http,
        }
        let kinds = [
            ("file", Kind::File),
            ("http", Kind::Http),
            ("stdout", Kind::Stdout),
        ];
        if !section.has("kind") {
            section.fault(
                "kind",
                "is missing: expected \"file\", \"http\" or \"stdout\"",
            );
        }
        let kind = section.get("kind", |v| value::word(v, &kinds));
        let from = section.get("from", |v| {
            value::word(v, &[("start", false), ("now", true)])
        });
        let target = match kind? {
            Kind::Stdout => Target::Stdout,
            Kind::File => Target::File(file(section)?),
            Kind::Http => Target::Http(Box::new(HttpTarget::read(section, upstream)?)),
        };
        Some(Self {
            from_now: from.unwrap_or_default(),
            target,
        })
    }
}

fn file(section: &mut Section<'_>) -> Option<crmgate_decision_log::sink::file::FileSettings> {
    let path = section.path("path");
    if path.is_none() {
        section.fault("path", "expected the path of the file to write");
    }
    let size = section
        .get("rotate_size", value::size)
        .unwrap_or(ROTATE_SIZE);
    let age = section.get("rotate_age", value::duration);
    let gzip = section.get("gzip", value::flag);
    let keep = section.get("keep", value::count);
    Some(crmgate_decision_log::sink::file::FileSettings {
        path: path?,
        rotate_size: size as u64,
        rotate_age: age.unwrap_or(ROTATE_AGE),
        gzip: gzip.unwrap_or(true),
        keep,
    })
}

impl HttpTarget {
    fn read(section: &mut Section<'_>, upstream: &Upstream) -> Option<Self> {
        if !section.has("url") {
            section.fault(
                "url",
                "is missing: expected the address of the service; `/logs` comes behind it",
            );
        }
        let url = section.get("url", |v| plain(value::web_url(v)?));
        let partition_name = section.get("partition_name", value::text);
        let token = reference(section, "token");
        let headers = section.section("headers").map(headers).unwrap_or_default();
        let limit = section
            .get("upload_size_limit", value::size)
            .unwrap_or(UPLOAD_SIZE);
        let certificate = section.path("client_certificate");
        let key = section.path("client_key");
        if certificate.is_some() != key.is_some() {
            section.fault(
                "client_key",
                "goes with `client_certificate`: expected both or neither",
            );
        }
        let upstream = Upstream::read(section.section_or_empty("upstream"), Some(upstream));
        Some(Self {
            url: url?,
            partition_name,
            token,
            headers,
            upload_size_limit: limit as u64,
            client_certificate: certificate.zip(key),
            upstream,
        })
    }
}

fn plain(url: Url) -> Result<Url, String> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "holds a name or a password: expected them as a reference in `headers`".to_owned(),
        );
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!(
            "expected an address without a query, found `{url}`"
        ));
    }
    Ok(url)
}

fn labels(mut section: Section<'_>) -> BTreeMap<String, String> {
    let entries = section.entries();
    let read = entries.into_iter().filter_map(|(name, entry)| {
        let text = value::text(&entry).map_err(|problem| section.fault(&name, problem));
        Some((name.clone(), text.ok()?))
    });
    read.collect()
}

fn headers(mut section: Section<'_>) -> Vec<(HeaderName, Secret)> {
    let base = section.base().to_owned();
    let entries = section.entries();
    let read = entries.into_iter().filter_map(|(name, entry)| {
        let known = name
            .parse::<HeaderName>()
            .map_err(|_| format!("`{name}` is no name of a header"));
        let found = known.and_then(|known| {
            let reference = value::text(&entry)?;
            let secret = secret::resolve(&base, &section.name(&name), &reference);
            Ok((known, secret.map_err(|error| error.problem)?))
        });
        found.map_err(|problem| section.fault(&name, problem)).ok()
    });
    read.collect()
}

fn reference(section: &mut Section<'_>, key: &'static str) -> Option<Secret> {
    let base = section.base().to_owned();
    let name = section.name(key);
    section.get(key, |v: &Value| {
        let reference = value::text(v)?;
        secret::resolve(&base, &name, &reference).map_err(|error| error.problem)
    })
}
