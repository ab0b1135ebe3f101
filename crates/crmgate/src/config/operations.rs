//! What may be submitted, who may be told of the end, how long what is kept.

use crmgate_app::operations::Limits;
use crmgate_app::operations::callbacks::{CallbackSettings, HostPattern, key_of};
use crmgate_connector::Secret;
use crmgate_worker::Keeping;

use super::record::kept;
use super::section::Section;
use super::{secret, value};

/// Queued operations.
#[derive(Debug, Clone)]
pub(crate) struct Operations {
    pub(crate) limits: Limits,
    pub(crate) callbacks: CallbackSettings,
    pub(crate) keep: Keeping,
}

impl Operations {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let payloads = section.need("keep_requests", kept);
        let rows = section.need("keep", kept);
        if let (Some(payloads), Some(rows)) = (payloads, rows)
            && payloads > rows
        {
            section.fault("keep_requests", "expected no longer time than `keep`");
        }
        let keep = Keeping {
            payloads,
            rows,
            abandoned: section.need("keep_abandoned", value::duration),
        };
        let limits = Limits {
            line: section.need("line", value::size),
            lines: section.need("lines", value::count) as u64,
            time: section.need("submission_timeout", value::duration),
            submissions: section.need("submissions", value::count),
            group: section.need("group", value::count),
            ..Limits::default()
        };
        let callbacks = callbacks(section.section_or_empty("callbacks"));
        section.finish();
        Self {
            limits,
            callbacks,
            keep,
        }
    }
}

fn callbacks(mut section: Section<'_>) -> CallbackSettings {
    let hosts = section.get("hosts", |v| {
        value::list(v, |item| value::text(item)?.parse::<HostPattern>())
    });
    let hosts = hosts.unwrap_or_default();
    let secrets = if hosts.is_empty() {
        signing(&mut section).unwrap_or_default()
    } else {
        needed(&mut section)
    };
    let tokens = section.section_or_empty("tokens").sections().into_iter();
    let of_tokens = tokens.map(|(token, mut own)| {
        // A token's name would be nobody's secret, and its messages signed with another one.
        if !token.chars().all(|digit| digit.is_ascii_hexdigit()) {
            let problem = "is for no token: expected the id of one, as `crmgate token list` tells";
            own.fault("secrets", problem);
        }
        let secrets = needed(&mut own);
        own.finish();
        (token, secrets)
    });
    let settings = CallbackSettings {
        hosts,
        private: section.get("private", value::flag).unwrap_or_default(),
        secrets,
        of_tokens: of_tokens.collect(),
        links: section.get("links", value::web_url),
    };
    section.finish();
    settings
}

/// What is expected where messages are to be signed.
const EXPECTED: &str = "expected references to one or two secrets that messages are signed with, \
     such as [\"file:PATH\"]";

/// The secrets of a table, which must have some.
fn needed(section: &mut Section<'_>) -> Vec<Secret> {
    if !section.has("secrets") {
        section.fault("secrets", format!("is missing: {EXPECTED}"));
    }
    signing(section).unwrap_or_default()
}

/// The secrets of a table. What they name must be there now, and be a key.
fn signing(section: &mut Section<'_>) -> Option<Vec<Secret>> {
    let (base, setting) = (section.base().to_owned(), section.name("secrets"));
    section.get("secrets", |v| {
        let secrets = value::list(v, |item| {
            let reference = value::text(item)?;
            let found = secret::resolve(&base, &setting, &reference);
            let found = found.map_err(|error| error.problem)?;
            key_of(&found)
                .map_err(|error| format!("`{reference}` holds no key: {}", error.problem))?;
            Ok(found)
        })?;
        if (1..=2).contains(&secrets.len()) {
            return Ok(secrets);
        }
        Err(EXPECTED.to_owned())
    })
}
