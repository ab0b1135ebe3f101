//! What calls did to the records: every change that stayed, whatever the caller was told.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::clock::Clock;

const MAX_ENTRIES: usize = 500_000;

/// The newest changes, bounded in number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Effects {
    clock: Clock,
    kept: VecDeque<Effect>,
    last: u64,
}

#[derive(Clone, Debug)]
struct Effect {
    seq: u64,
    at: Timestamp,
    object: String,
    id: String,
    kind: Kind,
    values: Map<String, Value>,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Create,
    Update,
    Delete,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

impl Effects {
    /// None yet; those that come are told with this clock's time.
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            ..Self::default()
        }
    }

    /// A change happened; `values` are the fields that changed, as they are now.
    pub(crate) fn push(
        &mut self,
        object: &str,
        id: String,
        kind: Kind,
        values: Map<String, Value>,
    ) {
        self.last += 1;
        if self.kept.len() == MAX_ENTRIES {
            self.kept.pop_front();
        }
        self.kept.push_back(Effect {
            seq: self.last,
            at: self.clock.now(),
            object: object.to_owned(),
            id,
            kind,
            values,
        });
    }

    /// The number of the last change.
    pub(crate) const fn last(&self) -> u64 {
        self.last
    }

    /// What came after this number did not stay.
    pub(crate) fn take_back(&mut self, last: u64) {
        while self.kept.back().is_some_and(|effect| effect.seq > last) {
            self.kept.pop_back();
        }
        self.last = self.last.min(last);
    }

    /// The changes after the one of this number, oldest first.
    pub(crate) fn after(&self, seq: u64) -> Vec<Value> {
        let first = self.kept.partition_point(|effect| effect.seq <= seq);
        let shown = |effect: &Effect| {
            json!({
                "seq": effect.seq,
                "at": effect.at.to_string(),
                "object": effect.object,
                "id": effect.id,
                "kind": effect.kind.as_str(),
                "values": effect.values,
            })
        };
        self.kept.range(first..).map(shown).collect()
    }
}
