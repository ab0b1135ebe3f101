use proptest::prelude::*;

use super::*;
use crate::HoldId;

const NOON: &str = "2026-11-20T12:00:00Z";

fn at(minutes: i64) -> Timestamp {
    let noon: Timestamp = NOON.parse().unwrap();
    noon + jiff::Span::new().minutes(minutes)
}

fn person(name: &str, accounts: &[&str], groups: &[&str]) -> Person {
    let owned = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect();
    Person {
        name: name.to_owned(),
        accounts: owned(accounts),
        groups: owned(groups),
    }
}

fn people() -> People {
    People::new(vec![
        person("ada@example.com", &["ada", "005A", "tok-ada"], &["finance"]),
        person("bob@example.com", &["bob", "005B"], &["finance", "sales"]),
        person(
            "cyd@example.com",
            &["cyd", "tok-cyd", "tok-cyd-2"],
            &["Sales"],
        ),
    ])
    .unwrap()
}

fn asked(code: &str, users: &[&str], groups: &[&str], quorum: u32) -> ApprovalRequest {
    let owned = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect();
    ApprovalRequest {
        package: "crm.t.p".to_owned(),
        code: code.to_owned(),
        reason: "because".to_owned(),
        users: owned(users),
        groups: owned(groups),
        quorum,
        expires_in_seconds: 3_600,
        reject_needs_reason: code == "explained",
    }
}

/// Somebody answers: by stated person, token id and token name.
fn answer(
    matter: &Matter<'_>,
    who: (Option<&str>, &str, &str),
    choice: Choice,
    reason: Option<&str>,
) -> Counted {
    let people = people();
    let voter = people.voter(who.0, &[who.1, who.2]).unwrap();
    let answered = Answered {
        voter: &voter,
        account: who.1,
        channel: "api",
        choice,
        reason,
        at: at(1),
    };
    decide(matter, &people, &answered)
}

fn matter<'a>(
    asked: &'a [ApprovalRequest],
    votes: &'a [Vote],
    requester: &'a [String],
) -> Matter<'a> {
    Matter {
        asked,
        votes,
        requester,
        ended: None,
        expires_at: at(60),
    }
}

fn word(counted: &Counted) -> &'static str {
    match counted {
        Counted::More { .. } => "more",
        Counted::Approved(_) => "approved",
        Counted::Rejected(_) => "rejected",
        Counted::NotAllowed(NotAllowed::Requester) => "requester",
        Counted::NotAllowed(NotAllowed::NotAsked) => "not asked",
        Counted::ReasonNeeded => "reason needed",
        Counted::AlreadyVoted { .. } => "voted",
        Counted::Over(ended) => ended.how.as_str(),
    }
}

fn vote_of(counted: Counted) -> Vote {
    match counted {
        Counted::More { vote, .. } | Counted::Approved(vote) | Counted::Rejected(vote) => vote,
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_may_comes_from_the_agreement() {
    use Choice::{Approve, Reject};
    let by_group = [asked("c", &[], &["FINANCE"], 1)];
    let by_user = [asked("c", &["Ada@Example.com"], &[], 1)];
    let by_account = [asked("c", &["005a"], &[], 1)];
    let nobody = [asked("c", &[], &[], 1)];
    let explained = [asked("explained", &["ada"], &[], 1)];
    let stranger = ["dan".to_owned()];
    let ada = (None, "tok-ada", "laptop");
    let cyd = (None, "tok-cyd", "x");
    let stated = (Some("ada@example.com"), "unlisted", "y");
    let outsider = (Some("eve@example.com"), "unlisted", "ada@example.org");
    for (asked, who, choice, reason, expected) in [
        (&by_group, ada, Approve, None, "approved"),
        (&by_group, ada, Reject, None, "rejected"),
        (&by_group, cyd, Approve, None, "not asked"),
        (&by_group, cyd, Reject, None, "not asked"),
        (&by_user, ada, Approve, None, "approved"),
        (&by_user, stated, Approve, None, "approved"),
        (&by_user, outsider, Approve, None, "not asked"),
        (&by_account, ada, Approve, None, "approved"),
        (&nobody, ada, Approve, None, "not asked"),
        (&nobody, ada, Reject, None, "not asked"),
        (&explained, ada, Reject, None, "reason needed"),
        (&explained, ada, Reject, Some("  "), "reason needed"),
        (&explained, ada, Reject, Some("no"), "rejected"),
        (&explained, ada, Approve, None, "approved"),
    ] {
        let counted = answer(&matter(asked, &[], &stranger), who, choice, reason);
        assert_eq!(word(&counted), expected, "{asked:?} {who:?} {choice:?}");
    }
}

#[test]
fn whoever_asked_never_counts_under_no_account() {
    let asked = [asked("c", &["ada", "tok-x"], &["finance", "sales"], 1)];
    for (requester, who, expected) in [
        ("005A", (None, "tok-ada", "n"), "requester"),
        ("ADA@example.com ", (None, "tok-ada", "n"), "requester"),
        ("tok-cyd", (None, "tok-cyd-2", "n"), "requester"),
        ("tok-cyd", (Some("cyd"), "new token", "n"), "requester"),
        ("tok-x", (None, "tok-x", "n"), "requester"),
        ("005B", (None, "tok-ada", "n"), "approved"),
    ] {
        let requester = [requester.to_owned()];
        let counted = answer(&matter(&asked, &[], &requester), who, Choice::Approve, None);
        assert_eq!(word(&counted), expected, "{requester:?} {who:?}");
    }
}

#[test]
fn a_quorum_counts_people_and_each_agreement_is_given_by_itself() {
    let both = [asked("a", &[], &["sales"], 2), asked("b", &["cyd"], &[], 1)];
    let nobody: [String; 0] = [];
    let first = answer(
        &matter(&both, &[], &nobody),
        (None, "tok-cyd", "n"),
        Choice::Approve,
        None,
    );
    let Counted::More { vote, missing } = first else {
        panic!("{first:?}");
    };
    assert_eq!(vote.agreements.len(), 2, "one person may satisfy several");
    assert_eq!(missing.len(), 1);
    assert_eq!(missing[0].agreement.code, "a");
    assert_eq!(missing[0].agreed, ["cyd@example.com"]);
    let votes = [vote];
    let again = answer(
        &matter(&both, &votes, &nobody),
        (None, "tok-cyd-2", "other"),
        Choice::Approve,
        None,
    );
    assert_eq!(word(&again), "voted", "two accounts of one person");
    let second = answer(
        &matter(&both, &votes, &nobody),
        (Some("bob@example.com"), "t", "n"),
        Choice::Approve,
        None,
    );
    assert_eq!(word(&second), "approved");
    let refused = answer(
        &matter(&both, &votes, &nobody),
        (Some("bob@example.com"), "t", "n"),
        Choice::Reject,
        None,
    );
    assert_eq!(word(&refused), "rejected");
}

#[test]
fn what_is_over_stays_over_and_tells_how() {
    let asked = [asked("c", &["ada"], &[], 1)];
    let nobody: [String; 0] = [];
    let ended = Ended {
        how: End::Rejected,
        by: Some("bob@example.com".to_owned()),
        at: at(0),
    };
    let over = Matter {
        ended: Some(&ended),
        ..matter(&asked, &[], &nobody)
    };
    let told = answer(&over, (None, "tok-ada", "n"), Choice::Approve, None);
    assert_eq!(told, Counted::Over(ended.clone()));
    let late = Matter {
        expires_at: at(1),
        ..matter(&asked, &[], &nobody)
    };
    let told = answer(&late, (None, "tok-ada", "n"), Choice::Approve, None);
    assert_eq!(word(&told), "expired");
}

#[test]
fn accounts_of_two_people_are_nobodys() {
    let people = people();
    assert!(people.voter(Some("bob"), &["tok-ada", "n"]).is_err());
    let faults = People::new(vec![
        person("a", &["x"], &[]),
        person("b", &["X "], &[]),
        person("c", &[""], &[]),
    ])
    .unwrap_err();
    assert_eq!(faults.len(), 2, "{faults:?}");
}

#[test]
fn nobody_is_found_where_the_group_is_empty_or_but_the_requester() {
    let people = people();
    for (users, groups, quorum, requester, found) in [
        (&[][..], &["nobody"][..], 1, "x", false),
        (&[], &[], 1, "x", false),
        (&["anyone@example.com"], &[], 1, "x", true),
        (&["anyone@example.com"], &[], 2, "x", false),
        (&["ada", "005A"], &[], 2, "x", false),
        (&["ada"], &["finance"], 2, "x", true),
        (&["ada"], &["finance"], 2, "005B", false),
        (&[], &["sales"], 1, "005B", true),
        (&["bob"], &[], 1, "005B", false),
    ] {
        let request = asked("c", users, groups, quorum);
        let can = people.can_agree(&request, &[requester.to_owned()]);
        assert_eq!(can, found, "{request:?} {requester}");
    }
}

#[test]
fn an_agreement_holds_only_for_those_whom_it_asks_today() {
    let hold: HoldId = "0197a1b2-0000-7000-8000-000000000001".parse().unwrap();
    let asked_then = [asked("c", &[], &["finance"], 1)];
    let nobody: [String; 0] = [];
    let vote = vote_of(answer(
        &matter(&asked_then, &[], &nobody),
        (None, "tok-ada", "n"),
        Choice::Approve,
        None,
    ));
    let approvers = |requester: &str| Approvers {
        people: std::sync::Arc::new(people()),
        searched: true,
        requester: vec![requester.to_owned()],
        given: vec![Given {
            hold,
            votes: vec![vote.clone()],
        }],
    };
    for (today, requester, there) in [
        (asked("c", &[], &["finance"], 1), "x", true),
        (asked("c", &["005A"], &[], 1), "x", true),
        (asked("c", &[], &["finance"], 2), "x", false),
        (asked("c", &[], &["sales"], 1), "x", false),
        (asked("d", &[], &["finance"], 1), "x", false),
        (asked("c", &[], &["finance"], 1), "ada", false),
    ] {
        let granted = approvers(requester).granted(&today);
        assert_eq!(granted.is_some(), there, "{today:?} {requester}");
    }
}

/// Who comes, by which of the accounts, and with which answer.
fn answers() -> impl Strategy<Value = Vec<(usize, bool)>> {
    prop::collection::vec((0..8_usize, prop::bool::weighted(0.9)), 0..24)
}

/// Tokens: four people with two accounts each.
const TOKENS: [(&str, &str); 8] = [
    ("p0", "p0"),
    ("p0", "p0-b"),
    ("p1", "p1"),
    ("p1", "p1-b"),
    ("p2", "p2"),
    ("p2", "p2-b"),
    ("p3", "p3"),
    ("p3", "p3-b"),
];

proptest! {
    /// Whatever order answers come in: what is approved has the people that it takes, each once,
    /// the requester never among them; a rejection ends it, and nothing counts afterwards.
    #[test]
    fn approved_is_what_enough_others_agreed_to(
        answers in answers(),
        quorum in 1_u32..4,
        requester in 0..8_usize,
    ) {
        let directory = People::new(
            (0..4).map(|n| person(&format!("p{n}"), &[&format!("p{n}-b")], &["g"])).collect(),
        ).unwrap();
        let requests = [asked("a", &[], &["g"], quorum), asked("b", &["p1", "p2"], &[], 1)];
        let requester = [TOKENS[requester].1.to_owned()];
        let (mut votes, mut ended): (Vec<Vote>, Option<Ended>) = (Vec::new(), None);
        for (who, yes) in answers {
            let (owner, account) = TOKENS[who];
            let voter = directory.voter(None, &[account]).unwrap();
            let choice = if yes { Choice::Approve } else { Choice::Reject };
            let answered = Answered {
                voter: &voter, account, channel: "api", choice, reason: None, at: at(1),
            };
            let now = Matter {
                asked: &requests, votes: &votes, requester: &requester,
                ended: ended.as_ref(), expires_at: at(60),
            };
            let end = |how| Some(Ended { how, by: Some(owner.to_owned()), at: at(1) });
            match decide(&now, &directory, &answered) {
                Counted::More { vote, missing } => {
                    prop_assert!(!missing.is_empty());
                    votes.push(vote);
                }
                Counted::Approved(vote) => {
                    votes.push(vote);
                    ended = end(End::Approved);
                }
                Counted::Rejected(_) => ended = end(End::Rejected),
                Counted::NotAllowed(NotAllowed::Requester) => {
                    prop_assert!(directory.same(account, &requester[0]));
                }
                Counted::AlreadyVoted { .. } => {
                    prop_assert!(votes.iter().any(|vote| vote.person == owner));
                }
                Counted::Over(told) => prop_assert_eq!(Some(told), ended.clone()),
                other => prop_assert!(false, "{:?}", other),
            }
        }
        let mut people: Vec<&str> = votes.iter().map(|vote| vote.person.as_str()).collect();
        people.sort_unstable();
        let counted = people.len();
        people.dedup();
        prop_assert_eq!(counted, people.len(), "each person once");
        prop_assert!(!people.iter().any(|one| directory.same(one, &requester[0])));
        if ended.is_some_and(|ended| ended.how == End::Approved) {
            prop_assert!(people.len() >= quorum as usize);
            prop_assert!(people.iter().any(|one| ["p1", "p2"].contains(one)));
        }
    }
}
