//! Rows turned into columns.

use crmgate_domain::ProcessId;
use crmgate_store::ChainRef;
use crmgate_store::chain::{Draft, nanoseconds};

use super::super::{Statement, plain};
use super::PlacedDecision;

fn owned(word: Option<&String>) -> Option<String> {
    word.map(|word| plain(word).into_owned())
}

/// Of the ledger.
#[derive(Default)]
pub(super) struct Entries {
    seqs: Vec<i64>,
    chains: Vec<Vec<u8>>,
    links: Vec<i64>,
    kinds: Vec<String>,
    times: Vec<i64>,
    envelopes: Vec<String>,
    commitments: Vec<Option<Vec<u8>>>,
    hashes: Vec<Vec<u8>>,
}

impl Entries {
    pub(super) fn push(&mut self, seq: i64, place: &ChainRef, draft: &Draft) {
        self.seqs.push(seq);
        self.chains.push(place.chain.uuid().as_bytes().to_vec());
        self.links
            .push(i64::try_from(place.link).unwrap_or(i64::MAX));
        self.kinds.push(draft.kind().to_owned());
        self.times.push(nanoseconds(draft.at()));
        self.envelopes.push(draft.envelope().to_owned());
        let commitment = draft.commitment().map(|digest| digest.0.to_vec());
        self.commitments.push(commitment);
        self.hashes.push(place.hash.0.to_vec());
    }

    pub(super) fn bind(self, query: Statement<'_>) -> Statement<'_> {
        query
            .bind(self.seqs)
            .bind(self.chains)
            .bind(self.links)
            .bind(self.kinds)
            .bind(self.times)
            .bind(self.envelopes)
            .bind(self.commitments)
            .bind(self.hashes)
    }
}

/// Of payloads.
#[derive(Default)]
pub(super) struct Sealed {
    seqs: Vec<i64>,
    keys: Vec<Vec<u8>>,
    bodies: Vec<String>,
}

impl Sealed {
    pub(super) fn push(&mut self, decision: &PlacedDecision<'_>) {
        if let Some(payload) = decision.row.draft.payload() {
            self.seqs.push(decision.seq);
            self.keys.push(payload.key.0.to_vec());
            self.bodies.push(payload.body.clone());
        }
    }

    pub(super) fn bind(self, query: Statement<'_>) -> Statement<'_> {
        query.bind(self.seqs).bind(self.keys).bind(self.bodies)
    }
}

/// Of decisions.
#[derive(Default)]
pub(super) struct Filed {
    seqs: Vec<i64>,
    ids: Vec<Vec<u8>>,
    times: Vec<i64>,
    connections: Vec<String>,
    objects: Vec<Option<String>>,
    records: Vec<Option<String>>,
    actors: Vec<Option<String>>,
    effects: Vec<&'static str>,
    modes: Vec<&'static str>,
    package_sets: Vec<i64>,
}

impl Filed {
    pub(super) fn push(&mut self, decision: &PlacedDecision<'_>) {
        let row = decision.row;
        self.seqs.push(decision.seq);
        self.ids.push(row.id.to_vec());
        self.times.push(row.at);
        self.connections.push(row.connection.clone());
        self.objects.push(owned(row.object.as_ref()));
        self.records.push(owned(row.record_id.as_ref()));
        self.actors.push(owned(row.actor.as_ref()));
        self.effects.push(row.effect);
        self.modes.push(row.mode);
        self.package_sets.push(decision.packages);
    }

    pub(super) fn bind(self, query: Statement<'_>) -> Statement<'_> {
        query
            .bind(self.seqs)
            .bind(self.ids)
            .bind(self.times)
            .bind(self.connections)
            .bind(self.objects)
            .bind(self.records)
            .bind(self.actors)
            .bind(self.effects)
            .bind(self.modes)
            .bind(self.package_sets)
    }
}

/// Of read-backs.
#[derive(Default)]
pub(super) struct Open {
    seqs: Vec<i64>,
    times: Vec<i64>,
    connections: Vec<String>,
    keys: Vec<Vec<u8>>,
    bodies: Vec<String>,
    owners: Vec<Vec<u8>>,
    points: Vec<&'static str>,
}

impl Open {
    pub(super) fn push(&mut self, decision: &PlacedDecision<'_>, owner: ProcessId) {
        let row = decision.row;
        if let Some(read_back) = &row.read_back {
            self.seqs.push(decision.seq);
            self.times.push(row.at);
            self.connections.push(row.connection.clone());
            self.keys.push(read_back.key.clone());
            self.bodies.push(read_back.body.clone());
            self.owners.push(owner.uuid().as_bytes().to_vec());
            self.points.push(read_back.point);
        }
    }

    pub(super) fn bind(self, query: Statement<'_>) -> Statement<'_> {
        query
            .bind(self.seqs)
            .bind(self.times)
            .bind(self.connections)
            .bind(self.keys)
            .bind(self.bodies)
            .bind(self.owners)
            .bind(self.points)
    }
}
