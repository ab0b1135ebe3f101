//! Policies change under load: every decision is made under one named revision, whole.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::control::call;
use crate::served::{Site, contact, put_policy};

/// Two rules that always speak together: a decision that has one code without the other was made
/// under two revisions at once.
fn policy(version: u32) -> String {
    format!(
        "# METADATA
# title: Reload
# description: Refuses everything, naming its version twice.
# scope: package
# custom:
#   owner: tests
#   objects: [contact]
#   operations: [create]
package crm.tests.reload

deny contains {{\"code\": \"first_{version}\", \"message\": \"version {version}\", \"fields\": []}}

deny contains {{\"code\": \"second_{version}\", \"message\": \"version {version}\", \"fields\": []}}
"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_decision_names_the_one_revision_it_was_made_under() {
    let site = Arc::new(Site::new(&[("reload", &policy(0))]).await);
    let _gate = site.start(&[]);
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (site, stop) = (Arc::clone(&site), Arc::clone(&stop));
            tokio::spawn(async move {
                let url = format!(
                    "{}/services/data/v66.0/sobjects/Contact",
                    site.salesforce_url()
                );
                let mut refused = 0;
                while !stop.load(Ordering::Relaxed) {
                    let body = contact(true, "Reload");
                    let answer = call(
                        &site.gate,
                        "POST",
                        &url,
                        &site.salesforce_token,
                        Some(&body),
                    )
                    .await
                    .unwrap();
                    assert_eq!(answer.status, 400, "{}", answer.body);
                    assert!(answer.header("crmgate-decision").is_some());
                    refused += 1;
                }
                refused
            })
        })
        .collect();
    let mut revisions = BTreeSet::new();
    for version in 1..=6 {
        put_policy(site.path(), "reload", &policy(version));
        revisions.insert(next_revision(&site, &revisions).await);
    }
    stop.store(true, Ordering::Relaxed);
    let mut refused = 0;
    for client in clients {
        refused += client.await.unwrap();
    }
    assert!(refused > 20, "too little load: {refused}");
    assert!(
        site.writes(&site.salesforce).await.is_empty(),
        "a refused write reached the CRM"
    );
    each_revision_speaks_with_one_voice(&site).await;
}

async fn next_revision(site: &Site, seen: &BTreeSet<String>) -> String {
    let first = site.control("/v1/policies").await.body["revision"]
        .as_str()
        .unwrap()
        .to_owned();
    if seen.is_empty() {
        return wait_other(site, &BTreeSet::from([first])).await;
    }
    wait_other(site, seen).await
}

async fn wait_other(site: &Site, seen: &BTreeSet<String>) -> String {
    for _ in 0..1000 {
        let answer = site.control("/v1/policies").await;
        let revision = answer.body["revision"]
            .as_str()
            .unwrap_or_else(|| panic!("{}", answer.body))
            .to_owned();
        if !seen.contains(&revision) {
            return revision;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("no new revision came into force");
}

async fn each_revision_speaks_with_one_voice(site: &Site) {
    let mut voices: BTreeMap<String, BTreeSet<Vec<String>>> = BTreeMap::new();
    for stored in site.decisions().await {
        let decision = &stored["decision"];
        let revision = decision["revision"]
            .as_str()
            .unwrap_or_else(|| panic!("{decision}"))
            .to_owned();
        let mut codes: Vec<String> = decision["reasons"]
            .as_array()
            .unwrap()
            .iter()
            .map(|r| r["code"].as_str().unwrap().to_owned())
            .collect();
        codes.sort();
        voices.entry(revision).or_default().insert(codes);
    }
    assert!(
        voices.len() > 1,
        "the load met one revision only: {voices:?}"
    );
    for (revision, codes) in &voices {
        assert_eq!(codes.len(), 1, "{revision} spoke differently: {codes:?}");
        let codes = codes.first().unwrap();
        assert_eq!(codes.len(), 2, "{revision}: {codes:?}");
        assert_eq!(
            codes[0].rsplit('_').next(),
            codes[1].rsplit('_').next(),
            "{codes:?}"
        );
    }
}
