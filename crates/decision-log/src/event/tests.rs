use crmgate_domain::ChainId;
use crmgate_store::suite::{Ticking, full_record};
use crmgate_store::{Digest, Payload, TraceRef};

use super::*;

fn labels() -> Labels {
    [("app", "crmgate"), ("id", "one"), ("version", "0.0.0")]
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .into()
}

fn place(link: u64) -> (u64, ChainRef) {
    let chained = ChainRef {
        chain: ChainId::fresh(&Ticking::default()),
        link,
        hash: Digest([7; 32]),
    };
    (12 + link, chained)
}

fn record() -> DecisionRecord {
    let mut record = full_record(&Ticking::default());
    record.payload = Payload {
        state: PayloadState::Kept,
        input: Some(r#"{"object":"opportunity","record":{"amount":12.50}}"#.to_owned()),
        erased: vec!["/input/record/iban".to_owned()],
        masked: vec!["/input/record/email".to_owned()],
    };
    record.trace = Some(TraceRef {
        trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned(),
        span_id: "00f067aa0ba902b7".to_owned(),
    });
    record.metrics = [("timer_rego_query_eval_ns".to_owned(), 1_500)].into();
    record
}

fn outcome() -> Outcome {
    Outcome {
        decision: record().decision.id,
        at: record().decision.at,
        kind: OutcomeKind::Refused,
        status: Some(400),
        code: Some("FIELD_INTEGRITY_EXCEPTION".to_owned()),
        record_id: None,
    }
}

fn json(event: &Event<'_>) -> serde_json::Value {
    serde_json::from_slice(&event.to_json()).unwrap()
}

/// As written in `policies/schema/decision-log.schema.json`, which others may rely on.
#[test]
fn events_are_as_their_schema_says() {
    let schema = include_str!("../../../../policies/schema/decision-log.schema.json");
    let schema: serde_json::Value = serde_json::from_str(schema).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let labels = labels();
    let full = record();
    let mut bare = record();
    bare.operation = None;
    bare.opaque = Some("POST /odd".to_owned());
    bare.payload = Payload {
        state: PayloadState::MaskFailed,
        ..Payload::default()
    };
    bare.trace = None;
    bare.metrics.clear();
    bare.decision.judgement.errors.clear();
    let outcome = outcome();
    for event in [
        Event::decision(&labels, &full, Some(place(0))),
        Event::decision(&labels, &bare, None),
        Event::outcome(&labels, &outcome, Some("acme-sf"), place(1)),
    ] {
        let event = json(&event);
        let wrong: Vec<String> = schema
            .iter_errors(&event)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}\n{event:#}");
    }
    let mut odd = json(&Event::decision(&labels, &full, None));
    odd["surprise"] = true.into();
    assert!(!schema.is_valid(&odd));
}

#[test]
fn a_decision_is_an_event_of_opas_decision_log() {
    let (labels, record) = (labels(), record());
    let event = Event::decision(&labels, &record, Some(place(0)));
    insta::assert_snapshot!(format!("{:#}", json(&event)));
}

#[test]
fn an_outcome_is_one_of_its_own() {
    let (labels, outcome) = (labels(), outcome());
    let event = Event::outcome(&labels, &outcome, Some("acme-sf"), place(1));
    insta::assert_snapshot!(format!("{:#}", json(&event)));
}

#[test]
fn the_input_is_kept_to_the_digit() {
    let (labels, record) = (labels(), record());
    let event = Event::decision(&labels, &record, None).to_json();
    let event = String::from_utf8(event).unwrap();
    assert!(event.contains(r#""input":{"object":"opportunity","record":{"amount":12.50}}"#));
    assert!(!event.contains('\n'));
}
