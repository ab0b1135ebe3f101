//! Whatever callers make up, the number of series stays what it is.

use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};

use super::scrape::Scrape;
use super::{WATCHED, traffic};
use crate::served::Site;

/// Stands in everything that is made up, and nowhere else.
const MARK: &str = "zqmadeup";
/// More than any bound on labels.
const ROUNDS: usize = 250;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn made_up_names_make_no_series() {
    let site = Arc::new(Site::new(&[("watched", WATCHED)]).await);
    // Otherwise the masks make one code of all that quote a name.
    let _gate = site.start(&[("CRMGATE__DECISION_LOG__PERSONAL", "keep")]);
    traffic(&site).await;
    site.metrics().await;
    flood(&site, 0).await;
    let first = site.metrics().await;
    flood(&site, ROUNDS).await;
    let second = site.metrics().await;
    assert_eq!(
        first.samples.len(),
        second.samples.len(),
        "{}",
        news(&first, &second)
    );
    let made_up = |(_, value): &(&String, &String)| value.contains(MARK);
    let labels = second.samples.iter().flat_map(|sample| &sample.labels);
    let named: Vec<_> = labels.filter(made_up).collect();
    assert!(named.iter().all(|(label, _)| *label == "code"), "{named:?}");
    assert!((1..=100).contains(&named.len()), "{} codes", named.len());
    let counted = second.sum("crmgate_refusals_total", &[("code", "other")]);
    assert!(counted > 0.0, "codes beyond the bound are counted");
}

fn news(first: &Scrape, second: &Scrape) -> String {
    let known = |series: &&super::scrape::Sample| {
        !first
            .samples
            .iter()
            .any(|old| old.name == series.name && old.labels == series.labels)
    };
    let new: Vec<_> = second
        .samples
        .iter()
        .filter(known)
        .map(|s| (&s.name, &s.labels))
        .collect();
    format!("{new:#?}")
}

/// What callers choose: objects, ids, actors, codes, hosts, paths, methods, headers.
async fn flood(site: &Arc<Site>, start: usize) {
    let tasks = (0..4).map(|task| {
        let site = Arc::clone(site);
        tokio::spawn(async move {
            for n in (start..start + ROUNDS).filter(|n| n % 4 == task) {
                once(&site, n).await;
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

async fn once(site: &Site, n: usize) {
    let made_up = format!("{MARK}{n}");
    let (sf, dv, control) = (
        site.salesforce_url(),
        site.dynamics_url(),
        site.control_url(),
    );
    let coded = json!({"LastName": "Coded", "FirstName": made_up});
    let answer = site.create(true, &coded).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    let data = format!("{sf}/services/data/v66.0");
    for (method, url, token, body) in [
        (
            "POST",
            format!("{data}/sobjects/{made_up}"),
            &site.salesforce_token,
            Some(&coded),
        ),
        (
            "PATCH",
            format!("{data}/sobjects/Contact/{made_up}"),
            &site.salesforce_token,
            Some(&coded),
        ),
        (
            "GET",
            format!("{data}/sobjects/Contact/{made_up}"),
            &site.salesforce_token,
            None,
        ),
        ("GET", format!("{sf}/{made_up}?{made_up}=1"), &made_up, None),
        (
            "POST",
            format!("{dv}/api/data/v9.2/{made_up}s"),
            &site.dynamics_token,
            Some(&coded),
        ),
        (
            "DELETE",
            format!("{dv}/api/data/v9.2/contacts({made_up})"),
            &site.dynamics_token,
            None,
        ),
        (
            made_up.as_str(),
            format!("{control}/v1/decisions"),
            &made_up,
            None,
        ),
        ("GET", format!("{control}/v1/{made_up}"), &site.admin, None),
        (
            "GET",
            format!("{control}/v1/connections/{made_up}"),
            &site.admin,
            None,
        ),
    ] {
        send(site, method, &url, token, &made_up, body).await;
    }
}

async fn send(
    site: &Site,
    method: &str,
    url: &str,
    token: &str,
    made_up: &str,
    body: Option<&Value>,
) {
    let request = Request::builder()
        .method(method)
        .uri(url)
        .header("authorization", format!("Bearer {token}"))
        .header("x-request-id", made_up)
        .header("user-agent", made_up)
        .header("content-type", "application/json")
        .header("traceparent", made_up)
        .body(body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string())))
        .unwrap();
    let answer = site.gate.execute_bytes(request, 1 << 20).await;
    assert!(answer.is_ok(), "{method} {url}: {answer:?}");
}
