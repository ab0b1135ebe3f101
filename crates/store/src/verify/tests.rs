use proptest::prelude::*;

use super::*;
use crate::chain::{Chain, Draft, digest};
use crate::{Extent, SealedPayload};

/// Chains after each other, of so many entries each, with their start.
fn record(lengths: &[usize]) -> (Vec<RawEntry>, Checkpoint) {
    let at = "2026-03-01T12:00:00Z".parse().unwrap();
    let mut all: Vec<RawEntry> = Vec::new();
    for (number, length) in lengths.iter().enumerate() {
        let id = format!("01980000-0000-7000-8000-0000000000{number:02x}");
        let mut chain = Chain::new(id.parse().unwrap());
        let start = Start {
            form: 1,
            version: "test".to_owned(),
            predecessors: all.last().map(|raw| head(&raw.entry)).into_iter().collect(),
        };
        let start = serde_json::to_string(&start).unwrap();
        let mut drafts = vec![Draft::new(EntryKind::Start, at, start, None)];
        for entry in 0..*length {
            let body = format!("payload {number} {entry}");
            let key = digest(body.as_bytes());
            let payload = SealedPayload { key, body };
            let envelope = format!("{{\"entry\":{entry}}}");
            drafts.push(Draft::new(EntryKind::Decision, at, envelope, Some(payload)));
        }
        for draft in drafts {
            let position = all.len() as u64 + 1;
            let place = chain.append(position, &draft);
            let (entry, payload) = draft.into_entry(position, place);
            all.push(RawEntry { entry, payload });
        }
    }
    let extent = Extent {
        heads: vec![head(&all.last().unwrap().entry)],
        first: 1,
        last: all.len() as u64,
    };
    (all, Checkpoint::next(None, extent, at))
}

fn verify(entries: &[RawEntry], checkpoints: Vec<Checkpoint>) -> Report {
    let mut check = Verification::new(checkpoints);
    entries.iter().for_each(|raw| check.take(raw));
    check.finish()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever is done to one or two entries is found; nothing is found where nothing was done.
    #[test]
    fn any_change_is_found(
        lengths in prop::collection::vec(0_usize..6, 1..5),
        one: prop::sample::Index,
        other: prop::sample::Index,
        how in 0_usize..7,
        bit in 0_usize..256,
    ) {
        let (mut all, checkpoint) = record(&lengths);
        let whole = verify(&all, vec![checkpoint.clone()]);
        prop_assert!(whole.whole, "{:#?}", whole);
        let before = all.clone();
        let (one, other) = (one.index(all.len()), other.index(all.len()));
        match how {
            0 => drop(all.remove(one)),
            1 => all.swap(one, other),
            2 => all.insert(other, before[one].clone()),
            3 => all.truncate(one),
            4 => all[one].entry.hash.0[bit / 8] ^= 1 << (bit % 8),
            5 => all[one].entry.envelope.push(' '),
            _ => {
                let payload = all[other].payload.clone();
                all[one].payload = payload;
            }
        }
        let report = verify(&all, vec![checkpoint]);
        prop_assert_eq!(report.whole, all == before, "{:#?}", report);
    }
}

#[test]
fn the_end_alone_is_verified_from_where_it_begins() {
    let (mut all, checkpoint) = record(&[5, 5, 5]);
    for from in [1, 5, 6, 7, 11, 16] {
        let mut check = Verification::tail(vec![checkpoint.clone()], from as u64);
        all.iter().skip(from).for_each(|raw| check.take(raw));
        let report = check.finish();
        assert!(report.whole, "from {from}: {:#?}", report.faults);
    }
    all[14].entry.envelope.push(' ');
    let mut check = Verification::tail(Vec::new(), 8);
    all.iter().skip(8).for_each(|raw| check.take(raw));
    let report = check.finish();
    assert_eq!(report.faults.len(), 1, "{:#?}", report.faults);
    assert_eq!(report.faults[0].position, 15);
}

#[test]
fn an_erasure_that_does_not_fit_its_chain_excuses_nothing() {
    let (mut all, _) = record(&[3]);
    all[1].payload = None;
    let mut forged = all[3].clone();
    forged.payload = None;
    forged.entry.commitment = None;
    forged.entry.kind = EntryKind::Erasure.as_str().into();
    forged.entry.position = 5;
    forged.entry.link = 4;
    forged.entry.envelope = r#"{"by":"x","at":"2026-03-01T12:00:00Z","reason":"x","wanted":{},
        "erased":{"decisions":1,"read_backs":0,"holds":0},"positions":[[2,2]]}"#
        .to_owned();
    all.push(forged);
    let report = verify(&all, Vec::new());
    assert_eq!((report.payloads.erased, report.payloads.missing), (0, 1));
    assert!(!report.whole && report.faults[0].kind == FaultKind::Edited);
}
