//! What of a decision is remembered, and that the caller is told all the same.

use crmgate_connector::Refusal;
use crmgate_domain::{Document, Effect, Object};
use crmgate_enforce::{LogSettings, PayloadKept, Settings};
use crmgate_store::{DecisionRecord, PayloadState};

use crate::world::{World, settings};

/// Quotes what it is asked about in every text that it can make.
const TALKATIVE: &str = r#"# METADATA
# scope: package
# title: Talkative
# description: Quotes what it sees.
# custom:
#   owner: sales
#   objects: [contact]
#   operations: [create, update]
package crm.sales.talkative

deny contains {"code": "no", "message": sprintf("`%s` is no address, %s", [input.record.email, input.native.Secret])} if {
	input.record.title == "deny"
}

warn contains {"code": "quoted", "message": upper(input.record.email)}

patch contains {"op": "set", "field": "phone", "value": input.record.email} if input.record.title == "patch"

patch contains {"op": "set", "field": "title", "value": concat(" ", ["of", input.record.email])} if input.record.title == "patch"

require_approval contains {"code": "c", "reason": concat(" ", ["let", input.record.email, "in"]), "approvers": {"users": ["boss"]}} if {
	input.record.title == "hold"
}

deny contains {"code": "broken", "message": "m"} if {
	input.record.title == "break"
	to_number(input.record.email) > 0
}
"#;

const ADDRESS: &str = "ada.lovelace@planted.example";
const SECRET: &str = "s3cr3t-planted";

fn body(title: &str) -> String {
    format!(r#"{{"Name": "Ada", "Email": "{ADDRESS}", "Secret": "{SECRET}", "Title": "{title}"}}"#)
}

fn world(log_rules: &[&str], log: LogSettings) -> World {
    let mut files = vec![("sales/talkative.rego".to_owned(), TALKATIVE.to_owned())];
    for (number, rules) in log_rules.iter().enumerate() {
        let text = format!("package system.log\n\n{rules}\n");
        files.push((format!("log/{number}.rego"), text));
    }
    World::of(files, Settings { log, ..settings() })
}

fn assert_clean(record: &DecisionRecord) {
    let text = serde_json::to_string(record).unwrap();
    let lower = text.to_lowercase();
    assert!(!lower.contains("planted"), "{text}");
}

fn input(record: &DecisionRecord) -> Object {
    let text = record.payload.input.as_ref().unwrap();
    let document = Document::parse(text.as_bytes()).unwrap();
    document.as_object().unwrap().clone()
}

#[tokio::test]
async fn no_text_of_a_decision_quotes_what_is_hidden_and_the_caller_is_told_all() {
    let world = world(&[], LogSettings::default());
    for (title, effect) in [
        ("deny", Effect::Deny),
        ("patch", Effect::Allow),
        ("hold", Effect::RequireApproval),
        ("break", Effect::Error),
        ("plain", Effect::Allow),
    ] {
        let answer = world.send("POST", "/records/Contact", &body(title)).await;
        assert_eq!(answer.effect, Some(effect), "{title}: {answer:?}");
        if let Some(Refusal::Denied { message, .. }) = answer.refusal() {
            assert!(
                message.contains(ADDRESS) && message.contains(SECRET),
                "{message}"
            );
        }
        let record = world.store.all_decisions().pop().unwrap();
        assert_eq!(record.decision.judgement.effect, effect);
        assert_eq!(record.payload.state, PayloadState::Kept);
        assert!(!record.decision.judgement.packages.is_empty());
        assert_clean(&record);
        assert_eq!(input(&record).get("object"), Some(&"contact".into()));
        assert!(
            record
                .payload
                .masked
                .contains(&"/input/record/email".to_owned())
        );
    }
    let sent = &world.crm.writes()[0].body;
    assert!(
        sent.contains(ADDRESS),
        "what was judged is what is written: {sent}"
    );
}

#[tokio::test]
async fn broken_masks_keep_the_envelope_and_nothing_else() {
    let endless = "mask contains \"/input\" if { some i in numbers.range(1, 9000); some j in numbers.range(1, 9000); i * j == -1 }";
    let broken = "drop if 1 / (count(input.input.record) - count(input.input.record)) > 0";
    for rules in [
        "mask contains 7",
        endless,
        broken,
        "mask contains input.input.record.email",
    ] {
        let log = LogSettings {
            mask_time: std::time::Duration::from_millis(20),
            ..LogSettings::default()
        };
        let world = world(&[rules], log);
        for title in ["deny", "patch", "hold", "break", "plain"] {
            world.send("POST", "/records/Contact", &body(title)).await;
        }
        let records = world.store.all_decisions();
        assert_eq!(records.len(), 5);
        for record in records {
            assert_eq!(record.payload.state, PayloadState::MaskFailed, "{rules}");
            assert_eq!(record.payload.input, None);
            assert_clean(&record);
            let judgement = &record.decision.judgement;
            assert!(judgement.reasons.iter().all(|it| it.message.is_empty()));
            assert!(judgement.warnings.iter().all(|it| it.message.is_empty()));
            assert!(!judgement.packages.is_empty());
            let operation = record.operation.unwrap();
            assert_eq!(
                (operation.object.as_str(), operation.actor.id.as_str()),
                ("contact", "u1")
            );
        }
    }
}

#[tokio::test]
async fn rules_add_to_the_defaults_and_cannot_take_them_back() {
    let rules = [
        "mask contains {\"op\": \"upsert\", \"path\": \"/input/record/email\", \"value\": input.input.record.email}",
        "mask contains {\"op\": \"upsert\", \"path\": \"/input/leak\", \"value\": [input.input.native.Secret]}",
        "mask contains \"/input/record/name\"",
        "mask contains \"/input/nothing/there\"",
        "mask contains \"/result/reasons/0/message\" if input.result.effect == \"deny\"",
        "drop if input.crm.object == \"task\"",
    ];
    let world = world(&rules, LogSettings::default());
    world.send("POST", "/records/Contact", &body("deny")).await;
    let record = world.store.all_decisions().pop().unwrap();
    assert_clean(&record);
    assert_eq!(record.payload.state, PayloadState::Kept);
    assert!(!serde_json::to_string(&record).unwrap().contains("Ada"));
    let reasons = &record.decision.judgement.reasons;
    assert_eq!(
        (reasons[0].code.as_str(), reasons[0].message.as_str()),
        ("no", "")
    );
    let erased = &record.payload.erased;
    assert_eq!(erased, &["/input/record/name", "/result/reasons/0/message"]);
    assert!(record.payload.masked.contains(&"/input/leak".to_owned()));
}

#[tokio::test]
async fn a_dropped_decision_keeps_its_envelope() {
    let world = world(
        &["drop if input.result.effect == \"deny\""],
        LogSettings::default(),
    );
    for title in ["deny", "plain"] {
        world.send("POST", "/records/Contact", &body(title)).await;
    }
    let records = world.store.all_decisions();
    let states: Vec<PayloadState> = records.iter().map(|record| record.payload.state).collect();
    assert_eq!(states, [PayloadState::Dropped, PayloadState::Kept]);
    assert_eq!(records[0].payload.input, None);
    assert_eq!(records[0].decision.judgement.effect, Effect::Deny);
}

#[tokio::test]
async fn a_connection_can_keep_less_or_nothing() {
    for (payload, state) in [
        (PayloadKept::Changes, PayloadState::Kept),
        (PayloadKept::None, PayloadState::Off),
    ] {
        let log = LogSettings {
            payload,
            ..LogSettings::default()
        };
        let world = world(&[], log);
        world.send("POST", "/records/Contact", &body("deny")).await;
        let record = world.store.all_decisions().pop().unwrap();
        assert_clean(&record);
        assert_eq!(record.payload.state, state);
        if payload == PayloadKept::Changes {
            let input = input(&record);
            assert!(input.contains("changes") && !input.contains("record"));
        }
    }
}

#[tokio::test]
async fn what_nobody_understands_is_recorded_without_values() {
    let world = world(&[], LogSettings::default());
    world.gate.set_mode(crmgate_domain::Mode::Observe);
    let request = crmgate_testkit::request("POST", "/odd/planted@x.example", "{}");
    let caller = crate::world::caller("u1");
    world
        .gate
        .pass_opaque(
            request,
            caller,
            "not_understood",
            "no route for /odd/planted@x.example",
        )
        .await;
    let record = world.store.all_decisions().pop().unwrap();
    assert!(record.opaque.is_some());
    assert_clean(&record);
}
