//! What may be submitted, who may be told of the end, how long what is kept.

use crmgate_app::operations::Limits;
use crmgate_app::operations::callbacks::{CallbackSettings, HostPattern};
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
    let base = section.base().to_owned();
    let setting = section.name("secrets");
    let secrets = section.get("secrets", |v| {
        value::list(v, |item| {
            let reference = value::text(item)?;
            let found = secret::resolve(&base, &setting, &reference);
            found.map_err(|error| error.problem)
        })
    });
    let hosts = section.get("hosts", |v| {
        value::list(v, |item| value::text(item)?.parse::<HostPattern>())
    });
    let settings = CallbackSettings {
        hosts: hosts.unwrap_or_default(),
        private: section.get("private", value::flag).unwrap_or_default(),
        secrets: secrets.unwrap_or_default(),
        links: section.get("links", value::web_url),
        ..CallbackSettings::default()
    };
    if !settings.hosts.is_empty() && settings.secrets.is_empty() {
        section.fault(
            "secrets",
            "is missing: expected references to one or two secrets that messages are signed with, \
             such as [\"file:PATH\"]",
        );
    }
    section.finish();
    settings
}
