//! Events in the form of OPA's decision log (`EventV1`), with a `crm` extension.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crmgate_domain::{
    ConnectionName, Decision, DecisionId, Document, Effect, HoldId, Judgement, Kind, Mode,
    OperationId, PayloadHash, Point, Timestamp,
};
use crmgate_store::{
    Basis, ChainRef, DecisionRecord, FeedEntry, FeedItem, Outcome, OutcomeKind, PayloadState,
    StoredDecision,
};
use serde::Serialize;
use serde_json::value::RawValue;

#[cfg(test)]
mod tests;

/// The path of decisions.
pub const DECISION: &str = "crm/decision";
/// The path of what came of writes.
pub const OUTCOME: &str = "crm/outcome";
/// The name of the policies in `bundles`.
const BUNDLE: &str = "crmgate";

/// In which form decisions leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// OPA's decision log events.
    #[default]
    Opa,
    /// As the control API shows them.
    Crmgate,
    /// A table, one row per decision.
    Csv,
}

impl Form {
    /// The form of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "opa" => Some(Self::Opa),
            "crmgate" => Some(Self::Crmgate),
            "csv" => Some(Self::Csv),
            _ => None,
        }
    }
}

/// What tells one process' events from another's: `id`, `version`, `app`, and what the
/// configuration adds.
pub type Labels = BTreeMap<String, String>;

/// One event. Written as JSON it is what OPA would write, and `crm`.
#[derive(Debug, Serialize)]
pub struct Event<'a> {
    labels: Cow<'a, Labels>,
    /// Names the event.
    pub decision_id: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    trace_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    span_id: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    bundles: BTreeMap<&'static str, Bundle<'a>>,
    path: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<Box<RawValue>>,
    result: Result<'a>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    erased: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    masked: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failed<'a>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    requested_by: &'a str,
    timestamp: Timestamp,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metrics: Cow<'a, BTreeMap<String, u64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    req_id: Option<u64>,
    crm: Crm<'a>,
}

#[derive(Debug, Serialize)]
struct Bundle<'a> {
    revision: &'a str,
}

/// OPA's result is whatever the rule gave; ours is the judgement, or the outcome.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Result<'a> {
    Decision(&'a Judgement),
    Outcome {
        outcome: OutcomeKind,
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<&'a str>,
    },
}

/// OPA's error object.
#[derive(Debug, Serialize)]
struct Failed<'a> {
    code: &'static str,
    message: &'a str,
    errors: &'a [crmgate_domain::EvaluationError],
}

/// What OPA has no word for.
#[derive(Debug, Default, Serialize)]
struct Crm<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    connection: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    org: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    native_object: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    record_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<Kind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requested: Option<Kind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    point: Option<Point>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    opaque: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<OperationId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effect: Option<Effect>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<Mode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    basis: Option<Basis>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ungoverned: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    packages: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    codes: Vec<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    changed: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<HoldId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    round: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<PayloadState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_hash: Option<PayloadHash>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_hash: Option<PayloadHash>,
    /// What came of the write, as far as it is known when the event is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<OutcomeKind>,
    /// The decision that an outcome is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<DecisionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chain: Option<ChainRef>,
}

impl<'a> Event<'a> {
    /// A decision; `place` is where it stands in the record, once it does.
    #[must_use]
    pub fn decision(
        labels: &'a Labels,
        record: &'a DecisionRecord,
        place: Option<(u64, ChainRef)>,
    ) -> Self {
        let Decision {
            id, at, judgement, ..
        } = &record.decision;
        let trace = record.trace.as_ref();
        let bundle = Bundle {
            revision: judgement.revision.as_str(),
        };
        let input = record.payload.input.as_ref();
        Self {
            labels: Cow::Borrowed(labels),
            decision_id: id.to_string(),
            trace_id: trace.map_or("", |trace| &trace.trace_id),
            span_id: trace.map_or("", |trace| &trace.span_id),
            bundles: [(BUNDLE, bundle)].into(),
            path: DECISION,
            input: input.and_then(|text| RawValue::from_string(text.clone()).ok()),
            result: Result::Decision(judgement),
            erased: &record.payload.erased,
            masked: &record.payload.masked,
            error: judgement.errors.first().map(|first| Failed {
                code: "evaluation_error",
                message: &first.message,
                errors: &judgement.errors,
            }),
            requested_by: asked_by(record).unwrap_or_default(),
            timestamp: *at,
            metrics: Cow::Borrowed(&record.metrics),
            req_id: place.map(|(position, _)| position),
            crm: Crm {
                chain: place.map(|(_, chained)| chained),
                ..Crm::of(record)
            },
        }
    }

    /// A decision as the record gives it, with what came of its write.
    #[must_use]
    pub fn stored(labels: &'a Labels, stored: &'a StoredDecision) -> Self {
        let mut event = Self::decision(labels, &stored.record, None);
        event.req_id = Some(stored.sequence);
        event.crm.chain = stored.chained;
        event.crm.outcome = stored.outcome.as_ref().map(|outcome| outcome.kind);
        event
    }

    /// What came of a write: an event of its own, because a decision's is never changed.
    #[must_use]
    pub fn outcome(
        labels: &'a Labels,
        outcome: &'a Outcome,
        connection: Option<&'a str>,
        (position, chained): (u64, ChainRef),
    ) -> Self {
        // One of its own that is the same whenever it is told: consumers tell repeats by it.
        let name = format!("{}/{}", chained.chain, chained.link);
        let id = uuid::Uuid::new_v5(&outcome.decision.uuid(), name.as_bytes());
        Self {
            labels: Cow::Borrowed(labels),
            decision_id: id.to_string(),
            trace_id: "",
            span_id: "",
            bundles: BTreeMap::new(),
            path: OUTCOME,
            input: None,
            result: Result::Outcome {
                outcome: outcome.kind,
                status: outcome.status,
                code: outcome.code.as_deref(),
            },
            erased: &[],
            masked: &[],
            error: None,
            requested_by: "",
            timestamp: outcome.at,
            metrics: Cow::Owned(BTreeMap::new()),
            req_id: Some(position),
            crm: Crm {
                connection,
                record_id: outcome.record_id.as_deref(),
                decision: Some(outcome.decision),
                chain: Some(chained),
                ..Crm::default()
            },
        }
    }

    /// What a sink is told of an entry; `None` where a rule dropped it.
    #[must_use]
    pub fn of(labels: &'a Labels, entry: &'a FeedEntry) -> Option<Self> {
        let place = (entry.position, entry.chained);
        match &entry.item {
            FeedItem::Decision(record) if record.payload.state == PayloadState::Dropped => None,
            FeedItem::Decision(record) => Some(Self::decision(labels, record, Some(place))),
            FeedItem::Outcome {
                outcome,
                connection,
            } => {
                let connection = connection.as_ref().map(ConnectionName::as_str);
                Some(Self::outcome(labels, outcome, connection, place))
            }
        }
    }

    /// The event as rules see it, with an input that is not in the record yet.
    ///
    /// # Errors
    /// When a part of it is no JSON.
    pub fn with_input(&self, input: Document) -> std::result::Result<Document, String> {
        let text = serde_json::to_vec(self).map_err(|error| error.to_string())?;
        let mut event = Document::parse(&text).map_err(|error| error.to_string())?;
        if let Document::Object(members) = &mut event {
            members.set("input", input);
        }
        Ok(event)
    }

    /// The JSON text, on one line.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        // Every part is a text, a number or a list; keys are texts.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl<'a> Crm<'a> {
    fn of(record: &'a DecisionRecord) -> Self {
        let judgement = &record.decision.judgement;
        let operation = record.operation.as_ref();
        let mut codes: Vec<&str> = judgement
            .reasons
            .iter()
            .map(|reason| reason.code.as_str())
            .chain(judgement.approvals.iter().map(|it| it.code.as_str()))
            .filter(|code| !code.is_empty())
            .collect();
        codes.sort_unstable();
        codes.dedup();
        Self {
            connection: Some(record.connection.as_str()),
            system: operation.map(|it| it.connection.system.as_str()),
            org: operation.and_then(|it| it.connection.org.as_deref()),
            object: operation.map(|it| it.object.as_str()),
            native_object: operation.map(|it| it.native_object.as_str()),
            record_id: operation.and_then(|it| it.record_id.as_deref()),
            kind: operation.map(|it| it.kind),
            requested: operation.and_then(|it| it.requested),
            point: operation.map(|it| it.point),
            actor: asked_by(record),
            opaque: record.opaque.as_deref(),
            operation: Some(record.decision.operation),
            effect: Some(judgement.effect),
            mode: Some(record.decision.mode),
            basis: record.basis,
            ungoverned: judgement.ungoverned.then_some(true),
            packages: judgement
                .packages
                .iter()
                .map(|it| it.package.as_str())
                .collect(),
            codes,
            changed: &record.changed,
            hold: record.hold,
            round: (record.round > 0).then_some(record.round),
            payload: Some(record.payload.state),
            input_hash: record.input_hash,
            payload_hash: record.payload_hash,
            outcome: None,
            decision: None,
            chain: None,
        }
    }
}

/// The id of who asked.
fn asked_by(record: &DecisionRecord) -> Option<&str> {
    let operation = record.operation.as_ref();
    operation
        .map(|operation| operation.actor.id.as_str())
        .or(record.asked_by.as_deref())
}
