//! One run: submit, vote, kill; let it come to rest; count.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::chaos::{Toll, reign, weather};
use crate::client::{AGAIN, Ask, get, send};
use crate::count::{self, Books};
use crate::dice::Dice;
use crate::fleet::Fleet;
use crate::plan::{Author, Parcel, Planned};
use crate::site::{Form, Site};

/// How long all may take to come to rest once nothing goes wrong any more.
const REST: Duration = Duration::from_secs(120);

/// So many records of each CRM are there to be deleted.
const COLD: usize = 20;

/// What is played.
pub(crate) struct Drama {
    pub(crate) form: Form,
    pub(crate) seed: u64,
    pub(crate) kills: usize,
}

/// Plays it: what was done to the processes. Fails when anything was lost, doubled, unrecorded, ….
pub(crate) async fn perform(drama: Drama) -> Toll {
    eprintln!("KILL_SEED={} {:?}", drama.seed, drama.form);
    let Some(mut site) = Site::new(drama.form).await else {
        return Toll::default();
    };
    let mut dice = Dice::new(drama.seed);
    let mut fleet = Fleet::new(drama.form, site.dir.path());
    fleet.start_all();
    until_it_serves(&site, &fleet).await;
    site.make_tokens();
    let hot = [
        make(&site, 0, "hot", 4).await,
        make(&site, 1, "hot", 4).await,
    ];
    let cold = [
        make(&site, 0, "cold", COLD).await,
        make(&site, 1, "cold", COLD).await,
    ];
    let mut before = Vec::new();
    for crm in &site.crms {
        let effects = crm.effects(&site.client, 0).await;
        before.push(
            effects
                .last()
                .map_or(0, |last| last["seq"].as_u64().unwrap()),
        );
    }
    let site = Arc::new(site);
    let bad = tokio::spawn({
        let (site, dice) = (Arc::clone(&site), dice.fork());
        async move { weather(&site, dice).await }
    });
    let voters: Vec<_> = (0..site.voters.len())
        .map(|voter| tokio::spawn(vote(Arc::clone(&site), voter, dice.fork())))
        .collect();
    let author = Author::new(dice.fork(), hot, cold);
    let over = Arc::new(AtomicBool::new(false));
    let submitting = tokio::spawn(submit(
        Arc::clone(&site),
        author,
        dice.fork(),
        Arc::clone(&over),
    ));
    let toll = reign(&site, &mut fleet, dice.fork(), drama.kills).await;
    bad.abort();
    let _ = bad.await;
    for crm in &site.crms {
        crm.faults(&site.client, &json!([])).await;
    }
    fleet.start_all();
    over.store(true, Ordering::Relaxed);
    let parcels = submitting.await.unwrap();
    let began = Instant::now();
    let mut rested = rest(&site).await;
    let raised = raise(&site).await;
    if !raised.is_empty() {
        eprintln!("brought back from the dead by an operator: {raised:?}");
        rested &= rest(&site).await;
    }
    for voter in voters {
        voter.abort();
    }
    let books = Books::read(&site, &before).await;
    count::print(&toll, &books, began.elapsed());
    let mut wrong = count::wrong(&site, &parcels, (&books, &raised)).await;
    if !rested {
        wrong.push("it did not come to rest".to_owned());
    }
    let verified = site.crmgate(&["decisions", "verify"]);
    if !verified.0 {
        wrong.push(format!("the record does not verify: {}", verified.1));
    }
    if !wrong.is_empty() {
        let told = wrong.join("\n\n");
        panic!("KILL_SEED={}\n{told}\n\n{}", drama.seed, fleet.said());
    }
    toll
}

async fn until_it_serves(site: &Site, fleet: &Fleet) {
    let until = Instant::now() + Duration::from_secs(60);
    for gate in &site.gates {
        let ask = Ask {
            token: &site.admin,
            ..Ask::default()
        };
        let url = format!("{gate}/v1/operations?limit=1");
        while !matches!(send(&site.client, "GET", &url, ask).await, Ok(answer) if answer.status == 200)
        {
            assert!(Instant::now() < until, "no gate:\n{}", fleet.said());
            sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn make(site: &Site, crm: usize, name: &str, count: usize) -> Vec<String> {
    let mut made = Vec::new();
    for number in 0..count {
        let name = format!("{name} {number}");
        made.push(site.crms[crm].make(&site.client, &name).await);
    }
    made
}

/// Sends parcel after parcel to some gate until one has accepted it: all that was accepted.
async fn submit(
    site: Arc<Site>,
    mut author: Author,
    mut dice: Dice,
    over: Arc<AtomicBool>,
) -> Vec<Parcel> {
    let mut parcels = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let parcel = author.parcel(&site);
        let single = parcel.operations.len() == 1;
        let lines = parcel.operations.iter().map(|one| one.line.to_string());
        let body = lines.collect::<Vec<_>>().join("\n");
        let until = Instant::now() + AGAIN;
        let mut last = String::new();
        loop {
            assert!(
                Instant::now() < until,
                "{} was not accepted: {last}",
                parcel.key
            );
            let url = format!("{}/v1/operations", dice.pick(&site.gates));
            let ask = Ask {
                token: &site.owner,
                key: Some(&parcel.key),
                lines: !single,
                body: Some(&body),
            };
            match send(&site.client, "POST", &url, ask).await {
                Ok(answer) if answer.status == 202 => break,
                Ok(answer) if matches!(answer.status, 409 | 429 | 500..) => {
                    last = format!("{} {}", answer.status, answer.body);
                }
                Ok(answer) => panic!("{}: {} {}", parcel.key, answer.status, answer.body),
                Err(error) => last = error,
            }
            sleep(Duration::from_millis(100)).await;
        }
        for one in parcel.operations.iter().filter(|one| one.regretted) {
            take_back(&site, one).await;
        }
        parcels.push(parcel);
        sleep(Duration::from_millis(dice.between(0, 1200))).await;
    }
    parcels
}

/// Whoever is asked says whether it can still be; that it is heard is not needed.
async fn take_back(site: &Site, one: &Planned) {
    let path = format!("/v1/operations?client_id={}", one.client_id);
    let found = get(&site.client, &site.gates, &site.owner, &path).await;
    let id = found["items"][0]["id"].as_str().unwrap();
    let url = format!("{}/v1/operations/{id}/cancel", site.gates[0]);
    let ask = Ask {
        token: &site.owner,
        body: Some(r#"{"reason": "regretted"}"#),
        ..Ask::default()
    };
    if let Ok(answer) = send(&site.client, "POST", &url, ask).await {
        let told = answer.status;
        assert!(
            matches!(told, 200 | 409 | 429 | 500..),
            "{} {}",
            told,
            answer.body
        );
    }
}

/// One person, who answers whatever waits, in a hurry.
async fn vote(site: Arc<Site>, voter: usize, mut dice: Dice) {
    loop {
        let ask = Ask {
            token: &site.voters[voter],
            ..Ask::default()
        };
        let gate = dice.pick(&site.gates).clone();
        let url = format!("{gate}/v1/approvals?status=waiting&limit=100");
        let listed = match send(&site.client, "GET", &url, ask).await {
            Ok(answer) if answer.status == 200 => answer.body,
            _ => Value::Null,
        };
        let none = Vec::new();
        let waiting = listed["items"].as_array().unwrap_or(&none);
        for hold in waiting {
            let id = hold["id"].as_str().unwrap();
            let word = if dice.one_in(3) { "reject" } else { "approve" };
            let url = format!("{gate}/v1/approvals/{id}/{word}");
            let ask = Ask {
                body: Some(r#"{"reason": "as played"}"#),
                ..ask
            };
            let _ = send(&site.client, "POST", &url, ask).await;
        }
        sleep(Duration::from_millis(dice.between(100, 400))).await;
    }
}

/// Waits until nothing moves any more; whether that was in time.
async fn rest(site: &Site) -> bool {
    let until = Instant::now() + REST;
    while Instant::now() < until {
        let path = "/v1/operations?limit=100&state=received,deciding,permitted,writing,staged,held,stale,unjudged";
        let open = get(&site.client, &site.gates, &site.admin, path).await;
        let mut open = open["items"].as_array().unwrap().iter();
        if open.all(may_take_long) {
            return true;
        }
        sleep(Duration::from_millis(200)).await;
    }
    false
}

/// Does what operators do with operations over which processes died ten times: here it was never
/// their fault. Gives their owner's ids.
async fn raise(site: &Site) -> BTreeSet<String> {
    let path = "/v1/operations?limit=500&state=dead&reason=tried_too_often";
    let dead = get(&site.client, &site.gates, &site.admin, path).await;
    let mut raised = BTreeSet::new();
    for one in dead["items"].as_array().unwrap() {
        let url = format!(
            "{}/v1/operations/{}/retry",
            site.gates[0],
            one["id"].as_str().unwrap()
        );
        let ask = Ask {
            token: &site.admin,
            body: Some(r#"{"reason": "the machine was at fault"}"#),
            ..Ask::default()
        };
        let answer = send(&site.client, "POST", &url, ask).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        raised.insert(one["client_id"].as_str().unwrap().to_owned());
    }
    raised
}

/// A create without a key whose answer is lost.
fn may_take_long(open: &Value) -> bool {
    (&open["connection"], &open["object"], &open["state"])
        == (&json!("acme-sf"), &json!("account"), &json!("writing"))
}
