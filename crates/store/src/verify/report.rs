//! What was found out about the record.

use crmgate_domain::{ChainId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Head;

/// What is wrong with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// It does not fit its hash.
    Edited,
    /// Entries before it, or chains it names, are missing.
    Missing,
    /// It was put in.
    Inserted,
    /// It is not at its place.
    Order,
    /// Its payload is not the recorded one.
    Payload,
    /// It is not the one that a checkpoint saw.
    Rewritten,
    /// A checkpoint saw it, and it is gone.
    Cut,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The entry's place in the order of commits.
    pub position: u64,
    /// Its chain.
    pub chain: ChainId,
    /// Its number in the chain.
    pub link: u64,
    /// What kind of fault.
    pub kind: FaultKind,
    /// For people.
    pub message: String,
}

/// One chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainReport {
    /// Its id.
    pub chain: ChainId,
    /// When its first entry that is there was made.
    pub began: Timestamp,
    /// The number of its first entry that is there; not 0 where earlier ones were pruned.
    pub first_link: u64,
    /// How many entries are there.
    pub entries: u64,
    /// Its last entry.
    pub head: Head,
    /// The position of its first bad entry.
    pub first_bad: Option<u64>,
}

/// The payloads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payloads {
    /// There.
    pub kept: u64,
    /// Erased on request.
    pub erased: u64,
    /// Removed by age.
    pub expired: u64,
    /// Gone without a word in the record.
    pub missing: u64,
    /// The position of the first one that is missing.
    pub first_missing: Option<u64>,
}

/// How far checkpoints vouch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Covered {
    /// The newest checkpoint's number.
    pub checkpoint: u64,
    /// When it was signed.
    pub at: Timestamp,
    /// The last position it saw.
    pub up_to: u64,
}

/// What was found out about the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Whether nothing is wrong.
    pub whole: bool,
    /// How many entries were looked at.
    pub entries: u64,
    /// The position of the last one.
    pub last: u64,
    /// Up to which position entries were pruned; 0 when none were.
    pub pruned_up_to: u64,
    /// The chains, in the order in which they began.
    pub chains: Vec<ChainReport>,
    /// The payloads.
    pub payloads: Payloads,
    /// How far checkpoints vouch; `None` where none were given.
    pub covered: Option<Covered>,
    /// What is wrong, in the order of positions as far as it was found on the way.
    pub faults: Vec<Fault>,
    /// Faults that are not told one by one.
    pub more_faults: u64,
    /// What is proven, in words.
    pub certain: Vec<String>,
    /// What is not, in words.
    pub uncertain: Vec<String>,
}

impl Report {
    pub(super) fn new(
        whole: bool,
        (entries, last, pruned_up_to, from): (u64, u64, u64, Option<u64>),
        chains: Vec<ChainReport>,
        payloads: Payloads,
        covered: Option<Covered>,
        (faults, more_faults): (Vec<Fault>, u64),
    ) -> Self {
        let mut report = Self {
            whole,
            entries,
            last,
            pruned_up_to,
            chains,
            payloads,
            covered,
            faults,
            more_faults,
            certain: Vec::new(),
            uncertain: Vec::new(),
        };
        report.certainties();
        report.doubts(from);
        report
    }

    fn certainties(&mut self) {
        if self.whole {
            let text = "the entries that are there fit together: none was edited, removed from \
                        between others, put in or put elsewhere, and no payload was exchanged";
            self.certain.push(text.to_owned());
        } else {
            self.certain
                .push("the record is not as it was written: see the faults".to_owned());
        }
        if let Some(covered) = &self.covered
            && self.whole
        {
            self.certain.push(format!(
                "up to entry {} it is what checkpoint {} signed at {}: nothing was cut or \
                 rewritten",
                covered.up_to, covered.checkpoint, covered.at
            ));
        }
        let gone = self.payloads.erased + self.payloads.expired;
        if gone > 0 {
            self.certain.push(format!(
                "{gone} payloads are gone and the record says so: {} erased, {} kept long enough",
                self.payloads.erased, self.payloads.expired
            ));
        }
    }

    fn doubts(&mut self, from: Option<u64>) {
        if let Some(from) = from {
            self.uncertain
                .push(format!("entries up to {from} were not looked at"));
        }
        if self.entries == 0 {
            let text = "there is not one entry: a record that was taken away whole looks like this";
            self.uncertain.push(text.to_owned());
        }
        let covered = self.covered.as_ref().map(|covered| covered.up_to);
        match covered {
            None => self.uncertain.push(
                "no checkpoints were given: whoever can write the database could have cut the \
                 record's end or rewritten it as a whole"
                    .to_owned(),
            ),
            Some(up_to) if up_to < self.last => self.uncertain.push(format!(
                "no checkpoint covers the {} entries after {up_to}: their end could have been cut \
                 or rewritten",
                self.last - up_to
            )),
            Some(_) => {}
        }
        if self.pruned_up_to > 0 {
            self.uncertain.push(format!(
                "entries up to {} were pruned: that they went by age is the record's own word",
                self.pruned_up_to
            ));
        }
    }
}
