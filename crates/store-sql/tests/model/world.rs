//! The store and the model, side by side.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crmgate_domain::{
    Actor, Ambient, ConnectionName, Effect, OperationId, PayloadHash, ProcessId, RevisionId, State,
    SubmissionId, Timestamp,
};
use crmgate_store::suite::{QueuedStore, Ticking, full_record};
use crmgate_store::{
    Begun, By, Claimed, Dependency, Move, Moved, NewOperation, OperationFilter, Outcome,
    OutcomeKind, RowLease, Settlement, StoredOperation, Submission, Verdict, queue_of,
};
use jiff::SignedDuration;

use super::plain::{Answer, Model, Op};
use super::steps::Spec;

/// A clock past all times of a test, so that jobs are due.
pub(crate) struct Late(pub(crate) Ticking);

impl Ambient for Late {
    fn now(&self) -> Timestamp {
        self.0.now() + SignedDuration::from_hours(10_000)
    }

    fn random(&self) -> [u8; 16] {
        self.0.random()
    }
}

/// How long a worker's hold on a row lasts.
const LEASE: i64 = 5_000;

/// What a worker has.
pub(crate) struct Hand {
    pub(crate) job: Claimed,
    pub(crate) ops: Vec<usize>,
    pub(crate) seen: Vec<StoredOperation>,
}

pub(crate) struct World<'a, S> {
    pub(crate) store: &'a S,
    pub(crate) model: Model,
    pub(crate) ids: Vec<OperationId>,
    pub(crate) hands: Vec<Hand>,
    /// What workers still believe to have whose jobs others have.
    ghosts: Vec<Hand>,
    pub(crate) now: i64,
    ambient: Ticking,
    connection: ConnectionName,
    worker: ProcessId,
    revision: u64,
}

fn time(millis: i64) -> Timestamp {
    let start: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
    start + SignedDuration::from_millis(millis)
}

/// What a worker does next.
fn next(state: State, choice: u8) -> State {
    match (state, choice % 8) {
        (State::Deciding, 0) => State::Denied,
        (State::Deciding, 1) => State::Held,
        (State::Deciding, 2) => State::Unjudged,
        (State::Deciding | State::Permitted, 3) => State::Received,
        (State::Deciding, _) => State::Permitted,
        (State::Permitted, 0) => State::Dead,
        (State::Permitted, _) => State::Writing,
        (State::Writing, 0) => State::Refused,
        (State::Writing, 1) => State::Uncertain,
        (State::Writing, 2) => State::Received,
        (State::Writing, _) => State::Succeeded,
        _ => State::Uncertain,
    }
}

impl<'a, S: QueuedStore> World<'a, S> {
    pub(crate) fn new(store: &'a S) -> Self {
        static MADE: AtomicU64 = AtomicU64::new(1 << 20);
        let nth = MADE.fetch_add(1, Ordering::Relaxed);
        let ambient = Ticking::after(nth << 32);
        Self {
            store,
            model: Model::default(),
            ids: Vec::new(),
            hands: Vec::new(),
            ghosts: Vec::new(),
            now: 0,
            connection: format!("c{nth}").parse().unwrap(),
            worker: ProcessId::fresh(&ambient),
            revision: nth << 20,
            ambient,
        }
    }

    fn by(&self) -> By {
        By("worker w".into())
    }

    fn lease(&self) -> RowLease {
        RowLease {
            owner: self.worker,
            until: time(self.now + LEASE),
        }
    }

    pub(crate) async fn submit(&mut self, specs: &[Spec]) {
        let first = self.ids.len();
        let submission = Submission {
            id: SubmissionId::fresh(&self.ambient),
            owner: self.connection.to_string(),
            key: None,
            at: time(self.now),
            accepted_at: Some(time(self.now)),
            content: None,
            count: specs.len() as u64,
            repeated: 0,
            refused: 0,
            answer: None,
        };
        let mut groups: BTreeMap<u8, usize> = BTreeMap::new();
        let mut lines = Vec::new();
        for (n, spec) in specs.iter().enumerate() {
            let id = OperationId::fresh(&self.ambient);
            let total = first + specs.len();
            let mut needs: Vec<usize> =
                spec.needs.iter().map(|n| usize::from(*n) % total).collect();
            needs.sort_unstable();
            needs.dedup();
            let group = spec
                .group
                .map(|group| *groups.entry(group).or_insert(first + n));
            self.ids.push(id);
            self.model.ops.push(Op {
                lane: spec.lane,
                group,
                expires: spec
                    .expires
                    .map(|after| self.now + i64::from(after) * 1_000),
                due: self.now,
                seq: 0,
                state: State::Staged,
                version: 0,
                lease: None,
                restored: false,
                attempts: 0,
                open: Vec::new(),
                needs,
            });
            lines.push(self.line(first + n, n, spec));
        }
        self.store.open_submission(&submission).await.unwrap();
        self.store.stage(submission.id, lines).await.unwrap();
        if self
            .store
            .misfits(submission.id, 99)
            .await
            .unwrap()
            .is_empty()
        {
            self.store.accept(&submission).await.unwrap();
            self.model.folded.extend(first..self.ids.len());
        } else {
            self.store.drop_staged(submission.id, None).await.unwrap();
            self.ids.truncate(first);
            self.model.ops.truncate(first);
        }
    }

    fn line(&self, n: usize, line: usize, spec: &Spec) -> NewOperation {
        let op = &self.model.ops[n];
        NewOperation {
            id: self.ids[n],
            connection: self.connection.clone(),
            client_id: Some(format!("n{n}")),
            line: line as u64 + 1,
            actor: Actor::default(),
            kind: "update".to_owned(),
            object: "contact".to_owned(),
            record_id: None,
            lane: op.lane.map(|lane| format!("lane {lane}")),
            group: spec.group.map(|group| format!("group {group}")),
            depends_on: op
                .needs
                .iter()
                .map(|need| Dependency::ClientId(format!("n{need}")))
                .collect(),
            priority: 0,
            not_before: None,
            expires_at: op.expires.map(time),
            purpose: None,
            callback: None,
            request: "{}".to_owned(),
            content: PayloadHash::of(&[b"x"]),
            trace: None,
        }
    }

    pub(crate) async fn unfold(&mut self, most: usize) {
        if most > 0 {
            self.store.unfold(time(self.now), most).await.unwrap();
            self.model.unfold(most, self.now);
        }
    }

    fn queue(&self) -> String {
        queue_of(&self.connection)
    }

    /// Takes a job and begins with what it names. Whether there was one.
    pub(crate) async fn begin(&mut self) -> bool {
        let long = Duration::from_secs(1 << 30);
        let queue = self.queue();
        let Some(job) = self.store.claim(&queue, "w", 1, long).await.unwrap().pop() else {
            return false;
        };
        let id: OperationId = job.id.parse().unwrap();
        let n = self.ids.iter().position(|known| *known == id).unwrap();
        let expected = self.model.begin(n, self.now, self.now + LEASE);
        let (by, lease) = (self.by(), self.lease());
        let begun = self.store.begin(id, &by, lease, time(self.now)).await;
        let (answer, seen) = match begun.unwrap() {
            Begun::Decide(all) => (Answer::Decide(self.numbers(&all)), all),
            Begun::Settle(all) => (Answer::Settle(self.numbers(&all)), all),
            Begun::NotYet(_) => (Answer::NotYet, Vec::new()),
            Begun::Busy(_) => (Answer::Busy, Vec::new()),
            Begun::Over(state) => (Answer::Over(state), Vec::new()),
            Begun::Absent => panic!("{id} is there"),
        };
        assert_eq!(answer, expected, "beginning with {n}");
        match answer {
            Answer::Decide(ops) | Answer::Settle(ops) => {
                assert!(ops.iter().all(|n| self.model.ops[*n].open.is_empty()));
                self.hands.push(Hand { job, ops, seen });
            }
            Answer::Busy => self.settle(job, Verdict::Again(Duration::ZERO)).await,
            Answer::NotYet | Answer::Over(_) => self.settle(job, Verdict::Done).await,
        }
        true
    }

    fn numbers(&self, all: &[StoredOperation]) -> Vec<usize> {
        let number = |id: OperationId| self.ids.iter().position(|known| *known == id).unwrap();
        let mut numbers: Vec<usize> = all.iter().map(|one| number(one.id)).collect();
        numbers.sort_unstable();
        numbers
    }

    async fn settle(&self, job: Claimed, verdict: Verdict) {
        let settlement = Settlement {
            id: job.id,
            lease: job.lease,
            verdict,
        };
        let lost = self.store.settle(&self.queue(), vec![settlement]).await;
        assert_eq!(lost.unwrap(), Vec::<String>::new());
    }

    /// A worker breaks off: its job comes again.
    pub(crate) async fn crash(&mut self, pick: usize) {
        if self.hands.is_empty() {
            return;
        }
        let hand = self.hands.swap_remove(pick % self.hands.len());
        self.settle(hand.job.clone(), Verdict::Again(Duration::ZERO))
            .await;
        self.ghosts.push(hand);
    }

    /// A worker that others took for dead goes on.
    pub(crate) async fn haunt(&mut self, pick: usize, choice: u8) {
        if self.ghosts.is_empty() {
            return;
        }
        let ghost = self.ghosts.swap_remove(pick % self.ghosts.len());
        let to = next(ghost.seen[0].state, choice);
        if !self.move_all(&ghost.seen, to).await && to == State::Writing {
            self.take_back(&ghost.ops).await;
        }
    }

    /// One of a group was taken away: nothing was sent, and nothing will be.
    async fn take_back(&mut self, ops: &[usize]) {
        let seen = self.read(ops).await;
        let back: Vec<_> = seen
            .into_iter()
            .filter(|one| one.state == State::Writing)
            .collect();
        if !back.is_empty() {
            assert!(self.move_all(&back, State::Received).await);
        }
    }

    /// A worker does the next thing to what it has.
    pub(crate) async fn advance(&mut self, pick: usize, choice: u8) {
        if self.hands.is_empty() {
            return;
        }
        let mut hand = self.hands.swap_remove(pick % self.hands.len());
        let to = next(hand.seen[0].state, choice);
        let all = self.move_all(&hand.seen, to).await;
        if all && to.is_worked_on() {
            hand.seen = self.read(&hand.ops).await;
            self.hands.push(hand);
            return;
        }
        if !all && to == State::Writing {
            self.take_back(&hand.ops).await;
        }
        self.settle(hand.job, Verdict::Done).await;
    }

    async fn read(&self, ops: &[usize]) -> Vec<StoredOperation> {
        let mut all = Vec::new();
        for n in ops {
            all.push(self.store.operation(self.ids[*n]).await.unwrap().unwrap());
        }
        all
    }

    /// Moves all of them, as the model says; whether none was lost.
    async fn move_all(&mut self, seen: &[StoredOperation], to: State) -> bool {
        let mut none_lost = true;
        let decided = seen.iter().any(|one| one.state == State::Deciding) && to != State::Received;
        let moves: Vec<Move> = seen.iter().map(|one| self.wanted(one, to)).collect();
        if decided {
            for wanted in moves {
                let n = self.number(wanted.id);
                let fits = self.fits(n, wanted.seen, to);
                let mut record = full_record(&self.ambient);
                record.connection = self.connection.clone();
                record.decision.judgement.effect = Effect::Allow;
                record.decision.judgement.revision = self.current();
                record.read_back = None;
                let done = self.store.decide(record, wanted).await.unwrap();
                assert_eq!(done.is_ok(), fits, "{done:?}");
                if fits {
                    self.apply(n, to);
                }
                none_lost &= fits;
            }
            return none_lost;
        }
        // All are looked at before what follows from any of them happens.
        let fits: Vec<bool> = moves
            .iter()
            .map(|wanted| self.fits(self.number(wanted.id), wanted.seen, to))
            .collect();
        let numbers: Vec<usize> = moves.iter().map(|wanted| self.number(wanted.id)).collect();
        let answers = self.store.shift(moves).await.unwrap();
        for ((n, fits), answer) in numbers.into_iter().zip(fits).zip(answers) {
            assert_eq!(matches!(answer, Moved::Done(_)), fits, "{answer:?}");
            if fits {
                self.apply(n, to);
            }
            none_lost &= fits;
        }
        none_lost
    }

    fn current(&self) -> RevisionId {
        RevisionId::new(&format!("{:016x}", self.revision))
    }

    fn number(&self, id: OperationId) -> usize {
        self.ids.iter().position(|known| *known == id).unwrap()
    }

    fn fits(&self, n: usize, seen: u64, to: State) -> bool {
        self.model.ops[n].version == seen && self.model.may(n, to)
    }

    fn apply(&mut self, n: usize, to: State) {
        let lease = to.is_worked_on().then_some(self.now + LEASE);
        self.model.shift(n, to, self.now, lease);
    }

    fn wanted(&self, one: &StoredOperation, to: State) -> Move {
        let mut wanted = Move::new(one, to, time(self.now), self.by());
        wanted.lease = to.is_worked_on().then(|| self.lease());
        let sent = one.state == State::Writing && !to.is_worked_on();
        wanted.outcome = one.decision.filter(|_| sent).map(|decision| Outcome {
            decision,
            at: time(self.now),
            kind: match to {
                State::Succeeded => OutcomeKind::Succeeded,
                State::Refused => OutcomeKind::Refused,
                State::Uncertain => OutcomeKind::Uncertain,
                _ => OutcomeKind::NotWritten,
            },
            status: None,
            code: None,
            record_id: None,
        });
        wanted
    }

    /// Somebody tries any move, from the version that is there or from one before.
    pub(crate) async fn try_any(&mut self, pick: usize, to: State, late: bool) {
        if self.ids.is_empty() {
            return;
        }
        let n = pick % self.ids.len();
        // What a worker would do is the workers' to do.
        let op = &self.model.ops[n];
        let workers = to.is_worked_on() || op.state.is_worked_on() || op.state == State::Staged;
        // What an operator finds out about one of a group is no affair of the store's.
        let found_out = op.group.is_some() && op.state == State::Uncertain;
        if !late && (workers || found_out && to != State::Received) {
            return;
        }
        let seen = self.store.operation(self.ids[n]).await.unwrap().unwrap();
        let mut wanted = self.wanted(&seen, to);
        if late {
            wanted.seen = wanted.seen.wrapping_sub(1);
        }
        let fits = self.fits(n, wanted.seen, to);
        let answers = self.store.shift(vec![wanted]).await.unwrap();
        assert_eq!(
            matches!(answers[..], [Moved::Done(_)]),
            fits,
            "{n} {to}: {answers:?}"
        );
        if fits {
            self.apply(n, to);
        }
    }

    pub(crate) async fn expire(&mut self) {
        self.store
            .expire(time(self.now), &self.by(), 200)
            .await
            .unwrap();
        self.model.expire(self.now);
    }

    pub(crate) async fn other_policies(&mut self) {
        self.revision += 1;
        let revision = self.current();
        let done = self.store.judge_again(&revision, time(self.now), 200);
        done.await.unwrap();
        for n in 0..self.ids.len() {
            if self.model.may(n, State::Received) && self.model.ops[n].state == State::Unjudged {
                self.apply(n, State::Received);
            }
        }
    }

    /// A backup is put back: nobody who worked is there any more.
    pub(crate) async fn restore(&mut self) {
        while !self.hands.is_empty() {
            self.crash(0).await;
        }
        self.ghosts.clear();
        self.store
            .mark_restored(time(self.now), &self.by())
            .await
            .unwrap();
        self.model.restore(self.now);
        // Nothing is woken by it: that is the sweepers'.
        self.store.stuck(time(self.now), 10_000).await.unwrap();
    }

    /// The store is what the model is.
    pub(crate) async fn compare(&self) {
        let filter = OperationFilter {
            connection: Some(self.connection.clone()),
            ..OperationFilter::default()
        };
        let listed = self.store.operations(&filter, None, 10_000).await.unwrap();
        let listed: BTreeMap<OperationId, StoredOperation> =
            listed.items.into_iter().map(|one| (one.id, one)).collect();
        let mut counts: BTreeMap<State, u64> = BTreeMap::new();
        for (n, id) in self.ids.iter().enumerate() {
            let op = &self.model.ops[n];
            if !op.state.is_final() {
                *counts.entry(op.state).or_default() += 1;
            }
            assert_eq!(op.state == State::Staged, !listed.contains_key(id), "{n}");
            let Some(stored) = listed.get(id) else {
                continue;
            };
            let found = (
                stored.state,
                stored.version,
                stored.restored,
                stored.attempts,
            );
            let expected = (op.state, op.version, op.restored, op.attempts);
            assert_eq!(found, expected, "{n}: {:?}", stored.why);
            let open = usize::try_from(stored.open_dependencies).unwrap();
            if !op.state.is_final() {
                assert_eq!(open, op.open.len(), "{n}");
            }
        }
        let standing = self.store.standing().await.unwrap();
        let standing: BTreeMap<State, u64> = standing
            .into_iter()
            .filter(|((connection, _), _)| *connection == self.connection)
            .map(|((_, state), standing)| (state, standing.count))
            .collect();
        assert_eq!(standing, counts);
        self.lanes();
    }

    async fn compare_history(&self, stored: &StoredOperation) {
        let history = self.store.history(stored.id).await.unwrap();
        assert_eq!(history.len() as u64, stored.version);
        let mut before = None;
        for (entry, version) in history.iter().zip(1..) {
            assert_eq!((entry.version, entry.from), (version, before));
            if let Some(before) = before {
                let handed_over = before == entry.to;
                assert!(handed_over || before.may_become(entry.to), "{history:?}");
            }
            before = Some(entry.to);
        }
        assert_eq!(before.unwrap_or(State::Staged), stored.state);
        let succeeded = history.iter().filter(|entry| entry.to == State::Succeeded);
        assert!(succeeded.count() <= 1, "{history:?}");
    }

    /// At most one of a lane is worked on, but for those of one group.
    fn lanes(&self) {
        let mut worked: BTreeMap<u8, usize> = BTreeMap::new();
        for (n, op) in self.model.ops.iter().enumerate() {
            if let (Some(lane), true) = (op.lane, op.state.is_worked_on()) {
                let other = worked.insert(lane, n);
                let group = other.map(|other| self.model.ops[other].group);
                assert!(
                    group.is_none_or(|group| group.is_some() && group == op.group),
                    "{lane}"
                );
            }
        }
    }

    /// Lets everything come to its end, without sweeping: whatever has not been woken stays.
    pub(crate) async fn finish(&mut self) {
        self.unfold(10_000).await;
        for _ in 0..400 {
            self.now += LEASE * 2;
            while !self.hands.is_empty() {
                self.advance(0, 7).await;
            }
            self.answer_all().await;
            let mut any = false;
            for _ in 0..self.ids.len() {
                any |= self.begin().await;
            }
            if !any && self.hands.is_empty() {
                break;
            }
        }
        self.compare().await;
        for id in &self.ids {
            let stored = self.store.operation(*id).await.unwrap().unwrap();
            self.compare_history(&stored).await;
        }
        for (n, op) in self.model.ops.iter().enumerate() {
            assert!(op.state.is_final(), "{n} never ended: {op:?}");
            for need in &op.needs {
                let need = self.model.ops[*need].state;
                assert!(
                    op.state != State::Succeeded || need == State::Succeeded,
                    "{n}"
                );
            }
            let done = |m: &usize| self.model.ops[*m].state == State::Succeeded;
            let members = self.model.members(n);
            let together = members.iter().all(done) || !members.iter().any(done);
            assert!(together, "{members:?} are half done");
        }
    }

    /// People and new policies let go what waits for them.
    async fn answer_all(&mut self) {
        self.other_policies().await;
        for n in 0..self.ids.len() {
            match self.model.ops[n].state {
                State::Held | State::Stale | State::Uncertain => {
                    self.try_any(n, State::Received, false).await;
                }
                _ => {}
            }
        }
    }
}
