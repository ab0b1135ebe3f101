//! Permits for tests of connectors: through the one mint, over a record in memory.

use std::sync::Arc;

use crmgate_domain::{
    Ambient, ConnectionName, Decision, DecisionId, Effect, Judgement, Mode, OperationId,
    PayloadHash, RevisionId,
};
use crmgate_store::{Basis, DecisionRecord, Permit, Recorder};

use crate::MemoryStore;

/// A permit for one payload on a connection, as if policies had allowed it.
pub async fn permit(
    connection: &ConnectionName,
    payload: PayloadHash,
    ambient: &Arc<dyn Ambient>,
) -> Permit {
    let judgement = Judgement {
        effect: Effect::Allow,
        reasons: Vec::new(),
        approvals: Vec::new(),
        approved: Vec::new(),
        warnings: Vec::new(),
        patches: Vec::new(),
        redactions: Vec::new(),
        errors: Vec::new(),
        packages: Vec::new(),
        dryrun: Vec::new(),
        ungoverned: false,
        revision: RevisionId::new("test"),
    };
    let decision = Decision {
        id: DecisionId::fresh(ambient.as_ref()),
        operation: OperationId::fresh(ambient.as_ref()),
        at: ambient.now(),
        mode: Mode::Enforce,
        judgement,
    };
    let record = DecisionRecord {
        operation: None,
        connection: connection.clone(),
        decision,
        input_hash: Some(PayloadHash::of(&[])),
        payload_hash: Some(payload),
        asked: None,
        basis: Some(Basis::Judged),
        written_as: None,
        changed: Vec::new(),
        hold: None,
        opaque: None,
        asked_by: None,
        read_back: None,
        round: 0,
        payload: crmgate_store::Payload::default(),
        trace: None,
        metrics: std::collections::BTreeMap::new(),
    };
    let recorder = Recorder::new(Arc::new(MemoryStore::default()), Arc::clone(ambient));
    recorder.record(record).await.unwrap().permit.unwrap()
}
