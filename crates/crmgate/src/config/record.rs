//! How the record is kept, checked and vouched for.

use std::path::PathBuf;
use std::time::Duration;

use config::Value;
use crmgate_app::{Keep, RecordSettings};
use crmgate_connector::Secret;
use url::Url;

use super::section::Section;
use super::{secret, value};

/// The record.
pub(crate) struct Record {
    pub(crate) settings: RecordSettings,
    /// The private key that signs checkpoints; one is made in the data folder without it.
    pub(crate) key: Option<Secret>,
    /// A file that checkpoints are appended to.
    pub(crate) checkpoint_file: Option<PathBuf>,
    /// Whether checkpoints stand in the log.
    pub(crate) checkpoint_log: bool,
    /// Where checkpoints are posted to.
    pub(crate) checkpoint_url: Option<Url>,
    /// With which bearer token.
    pub(crate) checkpoint_bearer: Option<Secret>,
}

impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Record")
            .field("settings", &self.settings)
            .field("checkpoint_file", &self.checkpoint_file)
            .finish_non_exhaustive()
    }
}

impl Record {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let keep = Keep {
            payloads: section.need("keep_payloads", kept),
            entries: section.need("keep", kept),
            sightings: section.need("keep_sightings", kept),
            revisions: section.need("keep_revisions", kept),
            holds: section.need("keep_holds", kept),
            past_sinks: section.need("prune_past_sinks", value::flag),
        };
        if let (Some(payloads), Some(entries)) = (keep.payloads, keep.entries)
            && payloads > entries
        {
            section.fault("keep_payloads", "expected no longer time than `keep`");
        }
        let entries = section.need("checkpoint_entries", value::count);
        let settings = RecordSettings {
            checkpoint_every: section.need("checkpoint_every", value::duration),
            checkpoint_entries: entries as u64,
            check_every: section.need("check_every", value::duration),
            keep,
        };
        let key = reference(&mut section, "key");
        let checkpoint_file = section.path("checkpoint_file");
        let checkpoint_log = section.need("checkpoint_log", value::flag);
        let checkpoint_url = section.get("checkpoint_url", value::web_url);
        let checkpoint_bearer = reference(&mut section, "checkpoint_bearer");
        if checkpoint_bearer.is_some() && checkpoint_url.is_none() {
            section.fault("checkpoint_bearer", "expected `checkpoint_url` beside it");
        }
        section.finish();
        Self {
            settings,
            key,
            checkpoint_file,
            checkpoint_log,
            checkpoint_url,
            checkpoint_bearer,
        }
    }
}

fn reference(section: &mut Section<'_>, key: &'static str) -> Option<Secret> {
    let setting = section.name(key);
    let base = section.base().to_owned();
    section.get(key, |v| {
        secret::resolve(&base, &setting, &value::text(v)?).map_err(|error| error.problem)
    })
}

/// A long time, `None` for "forever".
pub(super) fn kept(value: &Value) -> Result<Option<Duration>, String> {
    let expected = || {
        format!(
            "expected how long to keep it, such as \"90d\", \"18mo\" or \"7y\", or \"forever\", \
             found {}",
            value::describe(value)
        )
    };
    let text = value::text(value).map_err(|_| expected())?;
    if text == "forever" {
        return Ok(None);
    }
    let span: jiff::Span = text.parse().map_err(|_| expected())?;
    // A year of retention is 365 days, wherever in the calendar it begins.
    let days = i64::from(span.get_years()) * 365
        + i64::from(span.get_months()) * 30
        + i64::from(span.get_weeks()) * 7
        + i64::from(span.get_days());
    let seconds = days * 86_400
        + i64::from(span.get_hours()) * 3_600
        + span.get_minutes() * 60
        + span.get_seconds();
    let seconds = u64::try_from(seconds).ok().filter(|seconds| *seconds > 0);
    seconds
        .map(|seconds| Some(Duration::from_secs(seconds)))
        .ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_kept_in_days_and_years() {
        let text = |text: &str| kept(&Value::from(text));
        let days = |days: u64| Ok(Some(Duration::from_secs(days * 86_400)));
        assert_eq!(text("90d"), days(90));
        assert_eq!(text("7y"), days(7 * 365));
        assert_eq!(text("1y 6mo"), days(365 + 180));
        assert_eq!(text("36h"), Ok(Some(Duration::from_secs(36 * 3_600))));
        assert_eq!(text("forever"), Ok(None));
        for wrong in ["", "7", "0d", "-3d", "never", "soon"] {
            let problem = text(wrong).unwrap_err();
            assert!(problem.contains("\"90d\""), "{wrong}: {problem}");
        }
    }
}
