//! What the environment says about the requests that are left.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crmgate_connector::Allowance;
use crmgate_domain::Timestamp;
use http::HeaderMap;

/// What service protection allows a user, as it is documented: the answers say only what is left.
const REQUESTS: u64 = 6_000;
const EXECUTION_SECONDS: f64 = 1_200.0;
const WINDOW: Duration = Duration::from_secs(300);

const REQUESTS_LEFT: &str = "x-ms-ratelimit-burst-remaining-xrm-requests";
const SECONDS_LEFT: &str = "x-ms-ratelimit-time-remaining-xrm-requests";
const AT_ONCE: &str = "x-ms-dop-hint";

/// What was said last.
#[derive(Debug, Default)]
pub(crate) struct Allowed {
    told: Mutex<Option<Allowance>>,
}

impl Allowed {
    /// Notes what an answer says; most of what is no answer of the Web API says nothing.
    pub(crate) fn note(&self, headers: &HeaderMap, at: Timestamp) {
        if let Some(allowance) = read(headers, at) {
            *self.told.lock().unwrap_or_else(PoisonError::into_inner) = Some(allowance);
        }
    }

    pub(crate) fn told(&self) -> Option<Allowance> {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// In requests; where the execution time is nearer to its end, as if so many had been made.
fn read(headers: &HeaderMap, at: Timestamp) -> Option<Allowance> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let left: u64 = text(REQUESTS_LEFT)?.parse().ok()?;
    let most = REQUESTS.max(left);
    let seconds: Option<f64> = text(SECONDS_LEFT)
        .and_then(|text| text.replace(',', "").parse().ok())
        .filter(|seconds: &f64| seconds.is_finite());
    let by_time = seconds.map_or(left, |seconds| {
        let share = (seconds / EXECUTION_SECONDS).clamp(0.0, 1.0);
        whole(share, most)
    });
    Some(Allowance {
        used: most - left.min(by_time),
        most,
        over: WINDOW,
        at_once: text(AT_ONCE).and_then(|text| text.parse().ok()),
        at,
    })
}

/// A share of `most`, in thousandths, so that nothing is rounded by way of floating point.
fn whole(share: f64, most: u64) -> u64 {
    let thousandths = (0..=1000_u16)
        .rev()
        .find(|part| f64::from(*part) <= share * 1000.0)
        .unwrap_or_default();
    most * u64::from(thousandths) / 1000
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn allowance(headers: &[(&'static str, &str)]) -> Option<Allowance> {
        let map = headers
            .iter()
            .map(|(name, value)| {
                let value = HeaderValue::from_str(value).unwrap();
                (HeaderName::from_static(name), value)
            })
            .collect();
        read(&map, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn the_nearer_limit_counts() {
        let by_requests = allowance(&[
            (REQUESTS_LEFT, "5990"),
            (SECONDS_LEFT, "1,200.00"),
            (AT_ONCE, "7"),
        ])
        .unwrap();
        assert_eq!((by_requests.left(), by_requests.most), (5990, 6000));
        assert_eq!(by_requests.at_once, Some(7));
        let by_time = allowance(&[(REQUESTS_LEFT, "5990"), (SECONDS_LEFT, "300.00")]).unwrap();
        assert_eq!((by_time.left(), by_time.used), (1500, 4500));
        assert_eq!(by_time.at_once, None);
        let spent = allowance(&[(REQUESTS_LEFT, "0"), (SECONDS_LEFT, "-1")]).unwrap();
        assert_eq!(spent.left(), 0);
    }

    #[test]
    fn what_cannot_be_read_says_nothing() {
        assert_eq!(allowance(&[]), None);
        assert_eq!(allowance(&[(REQUESTS_LEFT, "many")]), None);
        let odd = allowance(&[(REQUESTS_LEFT, "10"), (SECONDS_LEFT, "NaN"), (AT_ONCE, "x")]);
        assert_eq!(odd.map(|odd| (odd.left(), odd.at_once)), Some((10, None)));
        let generous = allowance(&[(REQUESTS_LEFT, "9000")]).unwrap();
        assert_eq!((generous.left(), generous.used), (9000, 0));
    }
}
