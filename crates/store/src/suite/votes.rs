//! What people answer.

use crmgate_domain::approval::{Agreement, Choice, End, Ended, Vote};
use crmgate_domain::{Ambient, Effect};
use jiff::ToSpan as _;

use super::Ticking;
use super::holds::hold;
use super::samples::{name, record};
use crate::{
    Ballot, Basis, Cast, EntryKind, EraseFilter, Erasure, Hold, HoldFilter, HoldStatus, Store,
    VoteNote, VoteWords,
};

fn vote(person: &str, choice: Choice, ambient: &dyn Ambient) -> Vote {
    Vote {
        person: person.to_owned(),
        account: format!("token of {person}"),
        choice,
        reason: Some("a reason to remember".to_owned()),
        at: ambient.now(),
        channel: "api".to_owned(),
        agreements: vec![Agreement {
            package: "crm.t.p".to_owned(),
            code: "c".to_owned(),
        }],
    }
}

fn ballot(hold: &Hold, vote: Vote, how: Option<End>) -> Ballot {
    Ballot {
        hold: hold.clone(),
        ends: how.map(|how| Ended {
            how,
            by: Some(vote.person.clone()),
            at: vote.at,
        }),
        usable_until: how
            .filter(|how| *how == End::Approved)
            .map(|_| hold.expires_at + 1.hour()),
        vote,
        then: None,
    }
}

pub(super) async fn one_vote_ends_a_hold(store: &impl Store) {
    let ambient = Ticking::default();
    let waiting = store.hold(hold(&ambient, "u1", "p")).await.unwrap();
    let first = ballot(&waiting, vote("ada", Choice::Approve, &ambient), None);
    assert_eq!(store.cast(first.clone()).await.unwrap(), Cast::Done);
    assert_eq!(store.cast(first.clone()).await.unwrap(), Cast::Lost, "seen");
    let seen = store.held(waiting.id).await.unwrap().unwrap();
    assert_eq!(
        (seen.status, seen.ended.clone()),
        (HoldStatus::Waiting, None)
    );
    assert!(seen.version > waiting.version);
    let last = ballot(
        &seen,
        vote("bob", Choice::Approve, &ambient),
        Some(End::Approved),
    );
    assert_eq!(store.cast(last.clone()).await.unwrap(), Cast::Done);
    let ended = store.held(waiting.id).await.unwrap().unwrap();
    assert_eq!(ended.status, HoldStatus::Approved);
    assert_eq!(ended.ended, last.ends);
    assert_eq!(Some(ended.expires_at), last.usable_until);
    let late = ballot(
        &ended,
        vote("cyd", Choice::Reject, &ambient),
        Some(End::Rejected),
    );
    assert_eq!(store.cast(late).await.unwrap(), Cast::Lost, "it is over");
    let votes = store.votes(waiting.id).await.unwrap();
    assert_eq!(votes, [first.vote, last.vote]);
    let approved = HoldFilter {
        statuses: vec![HoldStatus::Approved],
        ..HoldFilter::default()
    };
    let listed = store.holds(&approved, None, 9).await.unwrap().items;
    assert_eq!(listed, std::slice::from_ref(&ended));
    let waiting_only = HoldFilter {
        statuses: vec![HoldStatus::Waiting, HoldStatus::Rejected],
        ..HoldFilter::default()
    };
    assert!(
        store
            .holds(&waiting_only, None, 9)
            .await
            .unwrap()
            .items
            .is_empty()
    );
    let again = store.last_asked(&ended.request_key()).await.unwrap();
    assert_eq!(again, Some(ended));
    assert_eq!(store.last_asked("nothing").await.unwrap(), None);
}

pub(super) async fn of_many_at_once_one_ends_it(store: &impl Store) {
    let ambient = Ticking::default();
    let waiting = store.hold(hold(&ambient, "u1", "p")).await.unwrap();
    let cast = (0..50).map(|number| {
        let (choice, how) = if number % 2 == 0 {
            (Choice::Approve, End::Approved)
        } else {
            (Choice::Reject, End::Rejected)
        };
        let vote = vote(&format!("person {number}"), choice, &ambient);
        store.cast(ballot(&waiting, vote, Some(how)))
    });
    let results = futures::future::join_all(cast).await;
    let done = results
        .iter()
        .filter(|result| matches!(result, Ok(Cast::Done)))
        .count();
    assert_eq!(done, 1);
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    let votes = store.votes(waiting.id).await.unwrap();
    let ended = store.held(waiting.id).await.unwrap().unwrap();
    assert_eq!(votes.len(), 1);
    assert_eq!(ended.ended.unwrap().by, Some(votes[0].person.clone()));
}

pub(super) async fn a_hold_is_spent_once_with_its_decision(store: &impl Store) {
    let ambient = Ticking::default();
    let waiting = store.hold(hold(&ambient, "u1", "p")).await.unwrap();
    let decision = || {
        let mut record = record(&ambient, "a", ("contact", "u1"), Effect::Allow);
        record.basis = Some(Basis::Judged);
        record.hold = Some(waiting.id);
        record
    };
    let early = store
        .spend(vec![(waiting.id, waiting.version)], decision())
        .await;
    assert_eq!(early.unwrap(), None, "nobody agreed yet");
    let yes = vote("ada", Choice::Approve, &ambient);
    store
        .cast(ballot(&waiting, yes, Some(End::Approved)))
        .await
        .unwrap();
    let ready = store.held(waiting.id).await.unwrap().unwrap();
    let tries = (0..20).map(|_| store.spend(vec![(ready.id, ready.version)], decision()));
    let results = futures::future::join_all(tries).await;
    let places: Vec<u64> = results.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(places.len(), 1, "it passes once");
    let spent = store.held(ready.id).await.unwrap().unwrap();
    assert_eq!(spent.status, HoldStatus::Spent);
    let by = store
        .decision(spent.spent_by.unwrap())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(by.sequence, places[0], "and only that decision is there");
    let again = store
        .spend(vec![(spent.id, spent.version)], decision())
        .await
        .unwrap();
    assert!(
        again.is_some(),
        "once the write is proven not to have happened"
    );
    let old = store
        .spend(vec![(spent.id, spent.version)], decision())
        .await
        .unwrap();
    assert_eq!(old, None);
}

pub(super) async fn holds_end_and_are_replaced(store: &impl Store) {
    let ambient = Ticking::default();
    let first = store.hold(hold(&ambient, "u1", "p")).await.unwrap();
    let mut other = hold(&ambient, "u1", "p");
    other.replaces = Some(first.id);
    let second = store.hold(other.clone()).await.unwrap();
    assert_eq!(second.id, other.id, "the old one is not joined");
    let old = store.held(first.id).await.unwrap().unwrap();
    assert_eq!(old.status, HoldStatus::Superseded);
    let cancelled = Ended {
        how: End::Cancelled,
        by: Some("u1".to_owned()),
        at: ambient.now(),
    };
    let late = store
        .end_hold(first.id, old.version, cancelled.clone())
        .await;
    assert_eq!(late.unwrap(), Cast::Lost);
    let done = store
        .end_hold(second.id, second.version, cancelled.clone())
        .await
        .unwrap();
    assert_eq!(done, Cast::Done);
    let ended = store.held(second.id).await.unwrap().unwrap();
    assert_eq!(
        (ended.status, ended.ended),
        (HoldStatus::Cancelled, Some(cancelled))
    );
    let mut queued = Hold {
        queued: Some(crmgate_domain::OperationId::fresh(&ambient)),
        ..hold(&ambient, "u1", "p")
    };
    queued.operation.point = crmgate_domain::Point::Queue;
    let third = store.hold(queued.clone()).await.unwrap();
    assert_eq!(third.id, queued.id);
    let fourth = store.hold(hold(&ambient, "u1", "p")).await.unwrap();
    assert_ne!(fourth.id, third.id, "a queued one is joined by nobody");
    let yes = vote("ada", Choice::Approve, &ambient);
    let approving = ballot(&third, yes, Some(End::Approved));
    let until = approving.usable_until.unwrap();
    store.cast(approving).await.unwrap();
    let ticket = store.hold(hold(&ambient, "u2", "p")).await.unwrap();
    let yes = vote("ada", Choice::Approve, &ambient);
    let approving = ballot(&ticket, yes, Some(End::Approved));
    store.cast(approving).await.unwrap();
    let over = fourth.expires_at;
    assert_eq!(store.expire_holds(over, 10).await.unwrap(), 1);
    let late = until + 1.hour();
    assert_eq!(store.expire_holds(late, 10).await.unwrap(), 1);
    assert_eq!(store.expire_holds(late, 10).await.unwrap(), 0);
    for id in [ticket.id, fourth.id] {
        let over = store.held(id).await.unwrap().unwrap();
        assert_eq!(over.status, HoldStatus::Expired);
        assert_eq!(over.ended.unwrap().how, End::Expired);
    }
    let worked_on = store.held(third.id).await.unwrap().unwrap();
    assert_eq!(
        worked_on.status,
        HoldStatus::Approved,
        "its operation goes on"
    );
}

pub(super) async fn votes_are_chained_and_their_words_can_be_erased(store: &impl Store) {
    let ambient = Ticking::default();
    let waiting = store.hold(hold(&ambient, "u1", "p")).await.unwrap();
    let no = vote("ada", Choice::Reject, &ambient);
    let cast = ballot(&waiting, no, Some(End::Rejected));
    let note = VoteNote::of(&cast);
    store.cast(cast).await.unwrap();
    let entry = || async {
        let entries = store.entries(0, 100).await.unwrap();
        let found = entries
            .into_iter()
            .find(|raw| raw.entry.kind == EntryKind::Vote.as_str());
        found.unwrap()
    };
    let there = entry().await;
    let told: VoteNote = serde_json::from_str(&there.entry.envelope).unwrap();
    assert_eq!(told, note);
    assert!(!there.entry.envelope.contains("remember"));
    let words: VoteWords = serde_json::from_str(&there.payload.unwrap().body).unwrap();
    assert_eq!(words.person, "ada");
    assert!(words.reason.unwrap().contains("remember"));
    let wanted = EraseFilter {
        connection: Some(name("a")),
        actor: Some("u1".to_owned()),
        ..EraseFilter::default()
    };
    let erasure = Erasure {
        at: ambient.now(),
        by: "somebody".to_owned(),
        reason: "asked".to_owned(),
    };
    store.erase(&wanted, &erasure).await.unwrap();
    assert!(entry().await.payload.is_none());
    let left = &store.votes(waiting.id).await.unwrap()[0];
    assert_eq!((left.person.as_str(), left.reason.as_deref()), ("", None));
    assert_eq!(left.choice, Choice::Reject);
    assert!(super::record::verify(store).await.whole);
}
