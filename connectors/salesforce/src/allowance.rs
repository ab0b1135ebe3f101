//! What the org says about the calls that are left.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crmgate_connector::Allowance;
use crmgate_domain::Timestamp;
use http::HeaderMap;

/// The span over which the org counts.
const DAY: Duration = Duration::from_hours(24);

/// The newest that was said.
#[derive(Debug, Default)]
pub(crate) struct Seen(Mutex<Option<Allowance>>);

impl Seen {
    /// Takes note of an answer: `Sforce-Limit-Info: api-usage=18/5000`, more after a semicolon.
    pub(crate) fn note(&self, headers: &HeaderMap, at: Timestamp) {
        let told = headers
            .get("sforce-limit-info")
            .and_then(|value| value.to_str().ok())
            .and_then(read);
        if let Some((used, most)) = told {
            self.put(Allowance {
                used,
                most,
                over: DAY,
                at_once: None,
                at,
            });
        }
    }

    /// Takes note of a refusal because nothing is left, which comes without numbers.
    pub(crate) fn spent(&self, at: Timestamp) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(allowance) = seen.as_mut() {
            allowance.used = allowance.used.max(allowance.most);
            allowance.at = at;
        }
    }

    pub(crate) fn told(&self) -> Option<Allowance> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, allowance: Allowance) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(allowance);
    }
}

fn read(text: &str) -> Option<(u64, u64)> {
    let usage = text
        .split([';', ','])
        .find_map(|part| part.trim().strip_prefix("api-usage="))?;
    let (used, most) = usage.split_once('/')?;
    let most = most.split(|c: char| !c.is_ascii_digit()).next()?;
    Some((used.trim().parse().ok()?, most.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_read() {
        assert_eq!(read("api-usage=18/5000"), Some((18, 5000)));
        assert_eq!(
            read("api-bursts=1/750; api-usage=18/5000; per-app-api-usage=17/250(appName=x)"),
            Some((18, 5000))
        );
        assert_eq!(read("api-usage=18/250(appName=x)"), Some((18, 250)));
        for bad in [
            "",
            "api-usage=",
            "api-usage=x/5",
            "api-usage=5",
            "per-app-api-usage=1/2",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_spent_stays_spent_until_told_otherwise() {
        let seen = Seen::default();
        let at = Timestamp::UNIX_EPOCH;
        seen.spent(at);
        assert_eq!(
            seen.told(),
            None,
            "without a number there is nothing to say"
        );
        let mut headers = HeaderMap::new();
        headers.insert("sforce-limit-info", "api-usage=8/10".parse().unwrap());
        seen.note(&headers, at);
        assert_eq!(seen.told().unwrap().left(), 2);
        seen.spent(at);
        assert_eq!(seen.told().unwrap().left(), 0);
        seen.note(&HeaderMap::new(), at);
        assert_eq!(seen.told().unwrap().left(), 0);
    }
}
