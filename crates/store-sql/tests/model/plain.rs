//! The model: what queued operations do, in plain words and without a database.

use std::collections::BTreeMap;

use crmgate_domain::State;

/// An operation of the model.
#[derive(Debug, Clone)]
pub(crate) struct Op {
    pub(crate) lane: Option<u8>,
    /// The first member.
    pub(crate) group: Option<usize>,
    pub(crate) needs: Vec<usize>,
    pub(crate) expires: Option<i64>,
    pub(crate) due: i64,
    pub(crate) seq: u64,
    pub(crate) state: State,
    pub(crate) version: u64,
    pub(crate) lease: Option<i64>,
    pub(crate) restored: bool,
    pub(crate) attempts: u32,
    /// Those it still waits for.
    pub(crate) open: Vec<usize>,
}

/// What beginning with an operation gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Decide(Vec<usize>),
    Settle(Vec<usize>),
    NotYet,
    Busy,
    Over(State),
}

/// All operations of a test.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) ops: Vec<Op>,
    /// Those accepted and not unfolded, in order.
    pub(crate) folded: Vec<usize>,
    placed: u64,
}

impl Model {
    fn all(&self) -> std::ops::Range<usize> {
        0..self.ops.len()
    }

    pub(crate) fn members(&self, n: usize) -> Vec<usize> {
        match self.ops[n].group {
            Some(group) => self
                .all()
                .filter(|m| self.ops[*m].group == Some(group))
                .collect(),
            None => vec![n],
        }
    }

    fn apart(&self, a: usize, b: usize) -> bool {
        a != b && (self.ops[a].group.is_none() || self.ops[a].group != self.ops[b].group)
    }

    /// Whether it is its turn.
    pub(crate) fn movable(&self, n: usize) -> bool {
        let op = &self.ops[n];
        let first = self.all().filter(|m| self.apart(n, *m)).all(|m| {
            let other = &self.ops[m];
            if op.lane.is_none() || other.lane != op.lane {
                return true;
            }
            match other.state {
                State::Received => other.seq > op.seq,
                State::Deciding
                | State::Permitted
                | State::Writing
                | State::Uncertain
                | State::Unjudged => false,
                _ => true,
            }
        });
        op.state == State::Received && op.open.is_empty() && first
    }

    pub(crate) fn may(&self, n: usize, to: State) -> bool {
        let op = &self.ops[n];
        let known = !op.restored
            || matches!(op.state, State::Writing | State::Uncertain)
            || (op.state == State::Received && to == State::Uncertain);
        known && op.state.may_become(to)
    }

    /// Moves one, and all that follows from it.
    pub(crate) fn shift(&mut self, n: usize, to: State, now: i64, lease: Option<i64>) {
        assert!(self.may(n, to), "{n} {:?} {to}", self.ops[n]);
        let op = &mut self.ops[n];
        let found_out = op.state == State::Uncertain && to == State::Received;
        if to == State::Received {
            op.due = now;
            if op.state.is_final() || op.state == State::Uncertain {
                op.attempts = 0;
            }
        }
        op.state = to;
        op.version += 1;
        op.lease = lease;
        op.restored = false;
        self.follow(n, now);
        let needs = self.ops[n].needs.clone();
        if found_out && needs.iter().any(|m| self.ops[*m].state.came_to_nothing()) {
            self.shift(n, State::Cancelled, now, None);
        }
    }

    fn follow(&mut self, n: usize, now: i64) {
        let state = self.ops[n].state;
        if !state.is_final() {
            return;
        }
        for m in self.all() {
            if !self.ops[m].open.contains(&n) {
                continue;
            }
            self.ops[m].open.retain(|open| *open != n);
            if state.came_to_nothing() && !self.ops[m].restored && self.may(m, State::Cancelled) {
                self.shift(m, State::Cancelled, now, None);
            }
        }
        if state.came_to_nothing() && self.ops[n].group.is_some() {
            for m in self.members(n) {
                let op = &self.ops[m];
                let waits = matches!(
                    op.state,
                    State::Received | State::Unjudged | State::Held | State::Stale
                );
                let idle = waits && op.lease.is_none_or(|until| until <= now);
                if idle && self.may(m, State::Cancelled) {
                    self.shift(m, State::Cancelled, now, None);
                }
            }
        }
    }

    /// Makes the next ones `received`.
    pub(crate) fn unfold(&mut self, most: usize, now: i64) {
        let some: Vec<usize> = self.folded.drain(..most.min(self.folded.len())).collect();
        for n in &some {
            self.placed += 1;
            let op = &mut self.ops[*n];
            (op.state, op.version, op.seq) = (State::Received, 1, self.placed);
        }
        let stand: BTreeMap<usize, State> = self.all().map(|n| (n, self.ops[n].state)).collect();
        let mut lost = Vec::new();
        for n in some {
            let needs = self.ops[n].needs.clone();
            self.ops[n].open = needs
                .iter()
                .copied()
                .filter(|m| !stand[m].is_final())
                .collect();
            if needs.iter().any(|m| stand[m].came_to_nothing()) {
                lost.push(n);
            }
        }
        for n in lost {
            if self.ops[n].state == State::Received {
                self.ops[n].open.clear();
                self.shift(n, State::Cancelled, now, None);
            }
        }
    }

    pub(crate) fn begin(&mut self, n: usize, now: i64, lease: i64) -> Answer {
        let all = self.members(n);
        let open: Vec<usize> = all
            .iter()
            .copied()
            .filter(|m| !self.ops[*m].state.is_final())
            .collect();
        let broken =
            self.ops[n].group.is_some() && all.iter().any(|m| self.ops[*m].state.came_to_nothing());
        let is = |model: &Self, state| open.iter().any(|m| model.ops[*m].state == state);
        if open.is_empty() {
            return Answer::Over(self.ops[n].state);
        }
        if open
            .iter()
            .any(|m| self.ops[*m].lease.is_some_and(|until| until > now))
        {
            return Answer::Busy;
        }
        if is(self, State::Staged) {
            return Answer::NotYet;
        }
        if is(self, State::Writing) {
            return self.settle(&open, State::Writing, lease);
        }
        let unknown = |m: &usize| self.ops[*m].restored && self.ops[*m].state == State::Received;
        if broken && open.iter().any(unknown) {
            return self.settle(&open, State::Received, lease);
        }
        if broken {
            let mut any = false;
            for m in open {
                if self.ops[m].state != State::Uncertain && self.may(m, State::Cancelled) {
                    self.shift(m, State::Cancelled, now, None);
                    any = true;
                }
            }
            return if any {
                Answer::Over(State::Cancelled)
            } else {
                Answer::NotYet
            };
        }
        for m in &open {
            if self.ops[*m].state.is_worked_on() {
                self.ops[*m].attempts += 1;
                self.shift(*m, State::Received, now, None);
            }
        }
        let late = open.iter().copied().find(|m| {
            let op = &self.ops[*m];
            let over = op.expires.is_some_and(|ends| ends <= now);
            op.state == State::Received && !op.restored && over
        });
        if let Some(late) = late {
            self.shift(late, State::Expired, now, None);
            return Answer::Over(State::Expired);
        }
        if !open
            .iter()
            .all(|m| self.movable(*m) && self.ops[*m].due <= now)
        {
            return Answer::NotYet;
        }
        if open.iter().any(|m| self.ops[*m].restored) {
            return self.settle(&open, State::Received, lease);
        }
        for m in &open {
            self.shift(*m, State::Deciding, now, Some(lease));
        }
        Answer::Decide(open)
    }

    fn settle(&mut self, open: &[usize], state: State, lease: i64) -> Answer {
        let taken: Vec<usize> = open
            .iter()
            .copied()
            .filter(|m| self.ops[*m].state == state)
            .filter(|m| self.ops[*m].restored || state == State::Writing)
            .collect();
        for m in &taken {
            self.ops[*m].version += 1;
            self.ops[*m].lease = Some(lease);
        }
        Answer::Settle(taken)
    }

    pub(crate) fn expire(&mut self, now: i64) {
        // By their ends, and of one end in any order: it makes no difference.
        let mut late: Vec<usize> = self
            .all()
            .filter(|n| {
                let op = &self.ops[*n];
                let waits = matches!(
                    op.state,
                    State::Received | State::Unjudged | State::Held | State::Stale
                );
                waits && !op.restored && op.expires.is_some_and(|ends| ends <= now)
            })
            .collect();
        late.sort_by_key(|n| self.ops[*n].expires);
        // All of them first, as what was found then; what follows comes after.
        for n in &late {
            let op = &mut self.ops[*n];
            (op.state, op.lease) = (State::Expired, None);
            op.version += 1;
        }
        for n in late {
            self.follow(n, now);
        }
    }

    pub(crate) fn restore(&mut self, now: i64) {
        for n in self.all() {
            let state = self.ops[n].state;
            if state.is_final() || state == State::Staged || self.ops[n].restored {
                continue;
            }
            if !matches!(state, State::Received | State::Writing | State::Uncertain) {
                self.shift(n, State::Received, now, None);
            }
            self.ops[n].restored = true;
            self.ops[n].lease = None;
        }
    }
}
