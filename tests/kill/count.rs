//! What the gate says, held against what the CRMs did.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use crate::chaos::Toll;
use crate::client::get;
use crate::plan::{Parcel, Planned};
use crate::site::Site;

/// Both sides, as they are at the end.
pub(crate) struct Books {
    /// By the submitter's id.
    operations: BTreeMap<String, Value>,
    /// By connection.
    effects: BTreeMap<&'static str, Vec<Value>>,
    /// Numbers of changes by connection, whether they are deletes, and mark.
    marks: BTreeMap<(&'static str, bool, String), Vec<u64>>,
}

fn marks(
    site: &Site,
    effects: &BTreeMap<&'static str, Vec<Value>>,
) -> BTreeMap<(&'static str, bool, String), Vec<u64>> {
    let mut marks = BTreeMap::new();
    for (connection, effects) in effects {
        let description = site.crm(connection).description;
        for effect in effects {
            let deleted = effect["kind"] == "delete";
            let mark = if deleted {
                &effect["id"]
            } else {
                &effect["values"][description]
            };
            if let Some(mark) = mark.as_str() {
                let numbers: &mut Vec<u64> = marks
                    .entry((*connection, deleted, mark.to_owned()))
                    .or_default();
                numbers.push(effect["seq"].as_u64().unwrap());
            }
        }
    }
    marks
}

impl Books {
    /// `before`: the last effects that are nobody's business, in the order of the CRMs.
    pub(crate) async fn read(site: &Site, before: &[u64]) -> Self {
        let mut operations = BTreeMap::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/v1/operations?limit=500{cursor}");
            let page = get(&site.client, &site.gates, &site.admin, &path).await;
            for one in page["items"].as_array().unwrap() {
                let id = one["client_id"].as_str().unwrap().to_owned();
                let twice = operations.insert(id, one.clone());
                assert!(twice.is_none(), "a client id names two: {one}");
            }
            let Some(next) = page["next"].as_str() else {
                break;
            };
            cursor = format!("&cursor={next}");
        }
        let mut effects = BTreeMap::new();
        for (crm, before) in site.crms.iter().zip(before) {
            effects.insert(crm.connection, crm.effects(&site.client, *before).await);
        }
        Self {
            operations,
            marks: marks(site, &effects),
            effects,
        }
    }

    fn state(&self, client_id: &str) -> &str {
        let found = self.operations.get(client_id);
        found.map_or("absent", |one| one["state"].as_str().unwrap())
    }

    /// Numbers of the changes that are this operation's.
    fn effects_of(&self, one: &Planned) -> &[u64] {
        let key = (one.connection, one.kind == "delete", one.mark.clone());
        self.marks.get(&key).map_or(&[], Vec::as_slice)
    }
}

/// What was done, and what came of it.
pub(crate) fn print(toll: &Toll, books: &Books, rest: Duration) {
    let mut states: BTreeMap<&str, usize> = BTreeMap::new();
    let mut calls = 0.0;
    for one in books.operations.values() {
        *states.entry(one["state"].as_str().unwrap()).or_default() += 1;
        calls += one["calls"].as_f64().unwrap_or_default();
    }
    eprintln!(
        "{} kills ({} at random, {} at points), {} pauses, {} stops, {} servers felled",
        toll.kills(),
        toll.at_random,
        toll.at_points.values().sum::<usize>(),
        toll.pauses,
        toll.stops,
        toll.servers
    );
    eprintln!("died at: {:?}", toll.at_points);
    let all = books.operations.len();
    let each = calls / f64::from(u32::try_from(all.max(1)).unwrap());
    eprintln!("{all} operations: {states:?}; {each:.2} calls each; at rest after {rest:.1?}");
}

/// All that is wrong, each with the life of the operation.
/// `raised`: what had been dead, so that what waited for it was cancelled.
pub(crate) async fn wrong(
    site: &Site,
    parcels: &[Parcel],
    (books, raised): (&Books, &BTreeSet<String>),
) -> Vec<String> {
    let mut found = Vec::new();
    let all = parcels.iter().flat_map(|parcel| {
        let mut own = parcel.operations.iter();
        let forsaken = own.any(|one| raised.contains(&one.client_id));
        parcel.operations.iter().map(move |one| (one, forsaken))
    });
    for (one, forsaken) in all {
        let mut faults = alone(books, one, forsaken);
        // What an operator brought back comes after what had waited behind it.
        if !raised.contains(&one.client_id) {
            faults.extend(in_turn(books, parcels, one));
        }
        if books.state(&one.client_id) == "succeeded" && !recorded(site, books, one).await {
            faults.push("unrecorded: no decision with the outcome `succeeded`".to_owned());
        }
        if !faults.is_empty() {
            let life = life(site, books, one).await;
            found.push(format!("{}: {}\n{life}", one.client_id, faults.join("; ")));
        }
    }
    found.extend(strangers(site, parcels, books));
    found
}

fn alone(books: &Books, one: &Planned, forsaken: bool) -> Vec<String> {
    let state = books.state(&one.client_id);
    let effects = books.effects_of(one).len();
    let mut faults = Vec::new();
    match (state, effects) {
        ("absent", _) => faults.push("lost: accepted, and not there".to_owned()),
        ("succeeded", 0) => faults.push("lost: `succeeded` without an effect".to_owned()),
        ("succeeded", 1) | ("uncertain" | "writing", 0 | 1) | (_, 0) => {}
        (_, 1) => faults.push(format!("unrecorded: `{state}`, with an effect")),
        (_, more) => faults.push(format!("doubled: `{state}`, with {more} effects")),
    }
    let open = [
        "staged",
        "received",
        "deciding",
        "permitted",
        "writing",
        "held",
        "stale",
        "unjudged",
    ];
    if one.ends.contains(&state) || forsaken && state == "cancelled" {
        return faults;
    }
    if open.contains(&state) {
        faults.push(format!("stuck: `{state}`"));
    } else {
        faults.push(format!(
            "ended as `{state}`, expected one of {:?}",
            one.ends
        ));
    }
    faults
}

/// What it must not be before, or without.
fn in_turn(books: &Books, parcels: &[Parcel], one: &Planned) -> Vec<String> {
    let mut faults = Vec::new();
    let [own] = *books.effects_of(one) else {
        return faults;
    };
    let seq = |of: &Planned| books.operations[&of.client_id]["seq"].as_u64();
    for other in parcels.iter().flat_map(|parcel| &parcel.operations) {
        let theirs = books.effects_of(other);
        if one.group.is_some() && one.group == other.group && theirs.is_empty() {
            faults.push(format!("half a group: {} did not happen", other.client_id));
        }
        let first = theirs.first().copied();
        if one.after.as_ref() == Some(&other.client_id) && first.is_none_or(|it| it > own) {
            faults.push(format!("out of order: before {}", other.client_id));
        }
        let same = one.record.is_some()
            && one.record == other.record
            && one.connection == other.connection;
        // What waits for people leaves its lane.
        let asked = |of: &Planned| of.mark.starts_with("ask");
        if same
            && !asked(one)
            && !asked(other)
            && seq(one) < seq(other)
            && let Some(it) = first.filter(|it| *it < own)
        {
            let id = &other.client_id;
            faults.push(format!("out of order: {own}, after {it} of {id}"));
        }
    }
    faults
}

/// Whether the record has the decision that allowed it, and what came of it.
async fn recorded(site: &Site, books: &Books, one: &Planned) -> bool {
    let life = history(site, books, one).await;
    let decisions = life["decisions"].as_array().unwrap();
    decisions
        .iter()
        .any(|decision| decision["outcome"]["kind"] == "succeeded" && !decision["basis"].is_null())
}

async fn history(site: &Site, books: &Books, one: &Planned) -> Value {
    let Some(stored) = books.operations.get(&one.client_id) else {
        return Value::Null;
    };
    let path = format!("/v1/operations/{}/history", stored["id"].as_str().unwrap());
    get(&site.client, &site.gates, &site.admin, &path).await
}

/// Changes of contacts and accounts that no operation explains.
fn strangers(site: &Site, parcels: &[Parcel], books: &Books) -> Vec<String> {
    let planned = || parcels.iter().flat_map(|parcel| &parcel.operations);
    let mut found = Vec::new();
    for crm in &site.crms {
        for effect in &books.effects[crm.connection] {
            let text = &effect["values"][crm.description];
            let known = |one: &Planned| {
                text == one.mark.as_str()
                    || (effect["kind"] == "delete" && effect["id"] == *one.mark)
            };
            let object = effect["object"].as_str().unwrap().to_lowercase();
            let about = matches!(object.as_str(), "contact" | "account")
                && (effect["kind"] != "update" || !text.is_null());
            if about && !planned().any(known) {
                found.push(format!("unrecorded: nobody asked for {effect}"));
            }
        }
    }
    found
}

/// All that is known of one operation.
async fn life(site: &Site, books: &Books, one: &Planned) -> String {
    let history = history(site, books, one).await;
    let crm = site.crm(one.connection);
    let numbers = books.effects_of(one);
    let effects = books.effects[one.connection].iter();
    let effects: Vec<&Value> = effects
        .filter(|effect| numbers.contains(&effect["seq"].as_u64().unwrap()))
        .collect();
    let names = [
        one.mark.as_str(),
        one.record.as_deref().unwrap_or(&one.mark),
    ];
    let is_its = |call: &Value| {
        let text = call.to_string();
        names.iter().any(|name| text.contains(name))
    };
    let calls: Vec<String> = crm
        .calls(&site.client)
        .await
        .iter()
        .filter(|call| is_its(call))
        .map(|call| {
            let (at, method, path) = (&call["at"], &call["method"], &call["path"]);
            let (status, fault) = (&call["status"], &call["fault"]);
            format!(
                "  {at} {method} {path} {status} {fault}\n    {}",
                call["body"]
            )
        })
        .collect();
    format!(
        "asked: {}\nhistory: {history:#}\neffects: {effects:?}\ncalls:\n{}",
        one.line,
        calls.join("\n")
    )
}
