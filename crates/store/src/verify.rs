//! Whether the record is as it was written: pure, entry by entry, in bounded memory.
//!
//! What the chains alone show: an entry edited, removed, put elsewhere or put in, a payload that is
//! not the recorded one, a chain taken away whole. What only checkpoints show, because whoever can
//! write the database can compute hashes: an end that was cut off, a chain rewritten to its end.

use std::collections::{BTreeMap, HashMap};

use crmgate_domain::ChainId;

use crate::chain::{self, ErasureNote, PrunedWhat, PruningNote, Start};
use crate::checkpoint::Checkpoint;
use crate::{Digest, Entry, EntryKind, Head, RawEntry};

mod ranges;
mod report;

use self::ranges::Ranges;
pub use self::report::{ChainReport, Covered, Fault, FaultKind, Payloads, Report};

/// Most faults that are told one by one.
const MOST_FAULTS: usize = 200;

/// One chain, as far as it was seen.
struct Seen {
    first: Entry,
    next: u64,
    head: Head,
    entries: u64,
    first_bad: Option<u64>,
    /// Whether a later start names it.
    named: bool,
}

/// Takes the record's entries in the order of positions and tells what is wrong with it.
#[derive(Default)]
pub struct Verification {
    chains: HashMap<ChainId, Seen>,
    /// In the order in which they began.
    order: Vec<ChainId>,
    last: Option<u64>,
    /// Set when the entries before the first one are not looked at.
    from: Option<u64>,
    entries: u64,
    payloads: Payloads,
    missing: Ranges,
    erased: Ranges,
    payloads_pruned: u64,
    entries_pruned: u64,
    /// By chain and link: an entry that was removed last, once.
    cuts: HashMap<(ChainId, u64), Head>,
    absent: Vec<(Head, Head)>,
    expected: BTreeMap<u64, Vec<(Head, u64)>>,
    checkpoints: Vec<Checkpoint>,
    faults: Vec<Fault>,
    more_faults: u64,
}

impl Verification {
    /// Of the whole record, against checkpoints whose signatures were verified.
    #[must_use]
    pub fn new(mut checkpoints: Vec<Checkpoint>) -> Self {
        checkpoints.sort_by_key(|checkpoint| checkpoint.number);
        checkpoints.dedup();
        let mut check = Self::default();
        for checkpoint in &checkpoints {
            for head in &checkpoint.heads {
                let at = check.expected.entry(head.position).or_default();
                at.push((*head, checkpoint.number));
            }
        }
        check.checkpoints = checkpoints;
        check
    }

    /// Of the end of the record: the first entry is believed.
    #[must_use]
    pub fn tail(checkpoints: Vec<Checkpoint>, after: u64) -> Self {
        let mut check = Self::new(checkpoints);
        check.expected = check.expected.split_off(&(after + 1));
        check.from = Some(after);
        check
    }

    /// Looks at the next entry.
    pub fn take(&mut self, raw: &RawEntry) {
        let entry = &raw.entry;
        self.entries += 1;
        let mut sound = true;
        if self.last.is_some_and(|last| entry.position <= last) {
            sound = self.fault(entry, FaultKind::Order, "is not behind the one before it");
        }
        self.last = Some(entry.position);
        sound &= self.link(entry);
        sound &= self.payload(raw);
        self.against_checkpoints(entry);
        if sound {
            self.note(entry);
        }
    }

    /// Whether the entry continues its chain.
    fn link(&mut self, entry: &Entry) -> bool {
        let Some(seen) = self.chains.get_mut(&entry.chain) else {
            return self.begin(entry);
        };
        let (next, previous) = (seen.next, seen.head.chained.hash);
        if entry.link < next {
            let text = format!("repeats link {} of its chain: it was put in", entry.link);
            return self.fault(entry, FaultKind::Inserted, &text);
        }
        seen.next = entry.link + 1;
        seen.entries += 1;
        seen.head = head(entry);
        if entry.link > next {
            let count = entry.link - next;
            let text = format!("stands behind a gap in its chain: {count} missing before it");
            return self.fault(entry, FaultKind::Missing, &text);
        }
        self.hash(entry, previous)
    }

    fn hash(&mut self, entry: &Entry, previous: Digest) -> bool {
        chain::hash_of(entry, previous) == entry.hash || {
            let text = "does not fit its hash: it, or the one before it in its chain, was changed";
            self.fault(entry, FaultKind::Edited, text)
        }
    }

    /// The first entry of a chain that is seen.
    fn begin(&mut self, entry: &Entry) -> bool {
        let seen = Seen {
            first: entry.clone(),
            next: entry.link + 1,
            head: head(entry),
            entries: 1,
            first_bad: None,
            named: false,
        };
        self.chains.insert(entry.chain, seen);
        self.order.push(entry.chain);
        if entry.link > 0 {
            // Whether what was before it was pruned is known at the end.
            return true;
        }
        if !self.hash(entry, Digest::default()) {
            return false;
        }
        let start = (entry.kind == EntryKind::Start.as_str())
            .then(|| serde_json::from_str::<Start>(&entry.envelope).ok())
            .flatten();
        let Some(start) = start else {
            let text = "begins a chain and is no start";
            return self.fault(entry, FaultKind::Inserted, text);
        };
        let mut sound = true;
        for named in start.predecessors {
            sound &= self.predecessor(entry, named);
        }
        sound
    }

    fn predecessor(&mut self, entry: &Entry, named: Head) -> bool {
        let chain = named.chained.chain;
        let Some(seen) = self.chains.get_mut(&chain) else {
            self.absent.push((head(entry), named));
            return true;
        };
        seen.named = true;
        let end = seen.head;
        if end == named {
            return true;
        }
        let text = if end.chained.link < named.chained.link {
            let count = named.chained.link - end.chained.link;
            format!("names {count} entries at the end of chain {chain} that are missing")
        } else {
            format!("names an end of chain {chain} that is not the one which is there")
        };
        self.fault(entry, FaultKind::Missing, &text)
    }

    fn payload(&mut self, raw: &RawEntry) -> bool {
        let entry = &raw.entry;
        match (&entry.commitment, &raw.payload) {
            (None, None) => true,
            (Some(_), None) => {
                self.missing.add(entry.position, entry.position);
                true
            }
            (None, Some(_)) => {
                let text = "has a payload, and none was recorded";
                self.fault(entry, FaultKind::Payload, text)
            }
            (Some(committed), Some(payload)) => {
                self.payloads.kept += 1;
                chain::commitment(payload) == *committed || {
                    let text = "has a payload that is not the recorded one";
                    self.fault(entry, FaultKind::Payload, text)
                }
            }
        }
    }

    fn against_checkpoints(&mut self, entry: &Entry) {
        let expected = self.expected.remove(&entry.position).unwrap_or_default();
        for (wanted, number) in expected {
            if wanted.chained != entry.chained() {
                let text = format!("is not the one that checkpoint {number} saw: rewritten");
                self.fault(entry, FaultKind::Rewritten, &text);
            }
        }
    }

    /// What the entry says about others.
    fn note(&mut self, entry: &Entry) {
        let unreadable = if entry.kind == EntryKind::Erasure.as_str() {
            let note = serde_json::from_str::<ErasureNote>(&entry.envelope);
            let read = note.map(|note| {
                for (first, last) in note.positions {
                    self.erased.add(first, last.min(entry.position));
                }
            });
            read.is_err()
        } else if entry.kind == EntryKind::Pruning.as_str() {
            let note = serde_json::from_str::<PruningNote>(&entry.envelope);
            note.map(|note| self.pruned(note, entry.position)).is_err()
        } else {
            false
        };
        if unreadable {
            let text = "says what is erased or pruned in a form that is not known";
            self.fault(entry, FaultKind::Edited, text);
        }
    }

    fn pruned(&mut self, note: PruningNote, by: u64) {
        let up_to = note.up_to.min(by.saturating_sub(1));
        match note.what {
            PrunedWhat::Payloads => self.payloads_pruned = self.payloads_pruned.max(up_to),
            PrunedWhat::Entries => {
                self.entries_pruned = self.entries_pruned.max(up_to);
                let cuts = note.cut.into_iter();
                self.cuts
                    .extend(cuts.map(|cut| ((cut.chained.chain, cut.chained.link), cut)));
            }
        }
    }

    /// Always `false`.
    fn fault(&mut self, entry: &Entry, kind: FaultKind, text: &str) -> bool {
        if let Some(seen) = self.chains.get_mut(&entry.chain) {
            seen.first_bad.get_or_insert(entry.position);
        }
        if self.faults.len() < MOST_FAULTS {
            self.faults.push(Fault {
                position: entry.position,
                chain: entry.chain,
                link: entry.link,
                kind,
                message: format!("entry {} {text}", entry.position),
            });
        } else {
            self.more_faults += 1;
        }
        false
    }

    /// The end: what only the whole record shows, and the report.
    #[must_use]
    pub fn finish(mut self) -> Report {
        self.beginnings();
        self.absences();
        self.unnamed();
        self.payloads_gone();
        self.ends();
        self.report()
    }

    /// Chains whose first entries are not there must have been pruned up to there.
    fn beginnings(&mut self) {
        for chain in self.order.clone() {
            let Some(first) = self.chains.get(&chain).map(|seen| seen.first.clone()) else {
                continue;
            };
            // Several processes may have been writing where looking began.
            let believed = self.from.is_some();
            if first.link == 0 || believed {
                continue;
            }
            let cut = self.cuts.get(&(chain, first.link - 1));
            let fits =
                cut.is_some_and(|cut| chain::hash_of(&first, cut.chained.hash) == first.hash);
            if !fits {
                let count = first.link;
                let text = format!("stands behind a gap in its chain: {count} missing before it");
                self.fault(&first, FaultKind::Missing, &text);
            }
        }
    }

    /// Chains that a start names and that are not there must have been pruned.
    fn absences(&mut self) {
        let before = self.from.unwrap_or(0).max(self.entries_pruned);
        for (by, named) in std::mem::take(&mut self.absent) {
            if named.position <= before {
                continue;
            }
            let Some(seen) = self.chains.get(&by.chained.chain) else {
                continue;
            };
            let first = seen.first.clone();
            let text = format!("names chain {}, which is missing", named.chained.chain);
            self.fault(&first, FaultKind::Missing, &text);
        }
    }

    /// Every chain that begins must be named by the next start; the one that began last, by the
    /// checkpoints that were signed since. What continues a chain whose beginning was pruned is
    /// vouched for by what was pruned.
    fn unnamed(&mut self) {
        let began = self.order.iter().filter_map(|chain| self.chains.get(chain));
        let mut began: Vec<&Seen> = began.filter(|seen| seen.first.link == 0).collect();
        let last = began.pop();
        let seen = |seen: &Seen, checkpoint: &Checkpoint| {
            let chain = seen.first.chain;
            let heads = &checkpoint.heads;
            checkpoint.last < seen.first.position
                || heads.iter().any(|head| head.chained.chain == chain)
        };
        let mut put_in: Vec<(Entry, &str)> = began
            .into_iter()
            .filter(|seen| !seen.named)
            .map(|seen| {
                let text = "begins a chain that no later start names: it was put in, or the start \
                            that names it is gone";
                (seen.first.clone(), text)
            })
            .collect();
        if let (Some(last), Some(checkpoint)) = (last, self.checkpoints.last())
            && !seen(last, checkpoint)
        {
            let text = "begins a chain that a later checkpoint does not know: it was put in";
            put_in.push((last.first.clone(), text));
        }
        for (first, text) in put_in {
            self.fault(&first, FaultKind::Inserted, text);
        }
    }

    /// Payloads that are gone must have been erased or pruned.
    fn payloads_gone(&mut self) {
        for (first, last) in self.missing.each() {
            for position in first..=last {
                if self.erased.has(position) {
                    self.payloads.erased += 1;
                } else if position <= self.payloads_pruned {
                    self.payloads.expired += 1;
                } else {
                    self.payloads.missing += 1;
                    self.payloads.first_missing.get_or_insert(position);
                }
            }
        }
    }

    /// Heads that a checkpoint saw and that are not there must have been pruned.
    fn ends(&mut self) {
        for (position, heads) in std::mem::take(&mut self.expected) {
            if position <= self.entries_pruned {
                continue;
            }
            for (wanted, number) in heads {
                self.faults.push(Fault {
                    position,
                    chain: wanted.chained.chain,
                    link: wanted.chained.link,
                    kind: FaultKind::Cut,
                    message: format!(
                        "entry {position} was there when checkpoint {number} was signed and is \
                         missing: the record was cut"
                    ),
                });
            }
        }
    }

    fn report(self) -> Report {
        let chains: Vec<ChainReport> = self
            .order
            .iter()
            .filter_map(|chain| self.chains.get(chain))
            .map(|seen| ChainReport {
                chain: seen.first.chain,
                began: seen.first.at,
                first_link: seen.first.link,
                entries: seen.entries,
                head: seen.head,
                first_bad: seen.first_bad,
            })
            .collect();
        let last = self.last.unwrap_or(0);
        let covered = self.checkpoints.last().map(|checkpoint| Covered {
            checkpoint: checkpoint.number,
            at: checkpoint.at,
            up_to: checkpoint.last,
        });
        let whole = self.faults.is_empty() && self.payloads.missing == 0;
        Report::new(
            whole,
            (self.entries, last, self.entries_pruned, self.from),
            chains,
            self.payloads,
            covered,
            (self.faults, self.more_faults),
        )
    }
}

fn head(entry: &Entry) -> Head {
    Head {
        position: entry.position,
        chained: entry.chained(),
    }
}

#[cfg(test)]
mod tests;
