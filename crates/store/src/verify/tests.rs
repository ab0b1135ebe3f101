use proptest::prelude::*;

use super::*;
use crate::chain::{Chain, Draft, digest};
use crate::{Extent, SealedPayload};

/// A record that several processes write, entry by entry.
#[derive(Default)]
struct Scribes {
    all: Vec<RawEntry>,
    /// What each writes, where it writes.
    chains: Vec<Option<Chain>>,
    /// The end of each chain, unless a start names it.
    ends: Vec<Head>,
    began: usize,
}

impl Scribes {
    fn append(&mut self, process: usize, draft: Draft) {
        let chain = self.chains[process].as_mut().unwrap();
        let position = self.all.len() as u64 + 1;
        let place = chain.append(position, &draft);
        let (entry, payload) = draft.into_entry(position, place);
        self.ends.retain(|end| end.chained.chain != entry.chain);
        self.ends.push(head(&entry));
        self.all.push(RawEntry { entry, payload });
    }

    fn start(&mut self, process: usize) {
        let id = format!("01980000-0000-7000-8000-0000000000{:02x}", self.began);
        self.began += 1;
        self.chains.resize(self.chains.len().max(process + 1), None);
        self.chains[process] = Some(Chain::new(id.parse().unwrap()));
        let start = Start {
            form: 1,
            version: "test".to_owned(),
            predecessors: std::mem::take(&mut self.ends),
        };
        let start = serde_json::to_string(&start).unwrap();
        self.append(process, Draft::new(EntryKind::Start, at(), start, None));
    }

    fn decide(&mut self, process: usize) {
        let number = self.all.len();
        let body = format!("payload {number}");
        let key = digest(body.as_bytes());
        let payload = SealedPayload { key, body };
        let envelope = format!("{{\"entry\":{number}}}");
        let draft = Draft::new(EntryKind::Decision, at(), envelope, Some(payload));
        self.append(process, draft);
    }

    fn checkpoint(&self) -> Checkpoint {
        let extent = Extent {
            heads: self.ends.clone(),
            first: 1,
            last: self.all.len() as u64,
        };
        Checkpoint::next(None, extent, at())
    }
}

fn at() -> crmgate_domain::Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

/// Chains after each other, of so many entries each, with their start.
fn record(lengths: &[usize]) -> (Vec<RawEntry>, Checkpoint) {
    let mut scribes = Scribes::default();
    for length in lengths {
        scribes.start(0);
        (0..*length).for_each(|_| scribes.decide(0));
    }
    let checkpoint = scribes.checkpoint();
    (scribes.all, checkpoint)
}

/// Chains beside each other: who writes next, and whether it started anew.
fn beside(turns: &[(usize, bool)]) -> Scribes {
    let mut scribes = Scribes::default();
    for (process, anew) in turns {
        if *anew || scribes.chains.get(*process).is_none_or(Option::is_none) {
            scribes.start(*process);
        } else {
            scribes.decide(*process);
        }
    }
    scribes
}

/// Does one thing to the entries.
fn tamper(all: &mut Vec<RawEntry>, how: usize, (one, other): (usize, usize), bit: usize) {
    let before = all.clone();
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
        tamper(&mut all, how, (one, other), bit);
        let report = verify(&all, vec![checkpoint]);
        prop_assert_eq!(report.whole, all == before, "{:#?}", report);
    }

    /// So it is when several processes write at once, and start while others write.
    #[test]
    fn any_change_is_found_of_several_writers(
        turns in prop::collection::vec((0_usize..4, prop::bool::weighted(0.1)), 1..40),
        one: prop::sample::Index,
        other: prop::sample::Index,
        how in 0_usize..7,
        bit in 0_usize..256,
    ) {
        let scribes = beside(&turns);
        let checkpoint = scribes.checkpoint();
        let before = scribes.all;
        let whole = verify(&before, vec![checkpoint.clone()]);
        prop_assert!(whole.whole, "{:#?}", whole);
        let mut all = before.clone();
        let places = (one.index(all.len()), other.index(all.len()));
        tamper(&mut all, how, places, bit);
        let report = verify(&all, vec![checkpoint]);
        prop_assert_eq!(report.whole, all == before, "{:#?}", report);
    }

    /// From wherever looking begins, what was not touched is whole.
    #[test]
    fn the_end_of_what_several_wrote_is_whole(
        turns in prop::collection::vec((0_usize..4, prop::bool::weighted(0.1)), 1..40),
        from: prop::sample::Index,
    ) {
        let scribes = beside(&turns);
        let from = from.index(scribes.all.len());
        let mut check = Verification::tail(vec![scribes.checkpoint()], from as u64);
        scribes.all.iter().skip(from).for_each(|raw| check.take(raw));
        let report = check.finish();
        prop_assert!(report.whole, "from {}: {:#?}", from, report.faults);
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

#[test]
fn a_chain_that_was_put_in_is_found() {
    let turns = [(0, false), (1, false), (0, false), (1, false), (0, false)];
    let scribes = beside(&turns);
    let checkpoint = scribes.checkpoint();
    let mut forged = scribes;
    // One who writes the database begins a chain of its own before the end, naming what is there.
    forged.all.truncate(4);
    forged.start(2);
    forged.decide(2);
    let put_in = |all: &[RawEntry], checkpoints| {
        let faults = verify(all, checkpoints).faults;
        faults
            .iter()
            .any(|fault| fault.kind == FaultKind::Inserted && fault.position == 5)
    };
    assert!(put_in(&forged.all, vec![checkpoint]));
    // The next start does not know it either.
    forged.chains[2] = None;
    forged.ends.retain(|end| end.position < 5);
    forged.start(3);
    assert!(put_in(&forged.all, Vec::new()));
}
