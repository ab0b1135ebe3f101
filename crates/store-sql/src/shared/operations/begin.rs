//! Taking an operation that a worker was woken for.

use crmgate_domain::{OperationId, State, Timestamp};
use crmgate_store::{Begun, By, RowLease, StoredOperation};
use sqlx::QueryBuilder;

use super::effects::Effects;
use super::follow::{follow, movable_members};
use super::make::{Done, Wanted, make};
use super::moves::{because, find, hand_over, moment};
use super::rows::{COLUMNS, Seen, stored};
use super::{Connection, Db, among, nanoseconds};

/// Who takes what.
#[derive(Clone)]
pub(crate) struct Taking {
    pub(super) id: OperationId,
    pub(super) by: By,
    pub(super) lease: RowLease,
    pub(super) at: Timestamp,
}

/// An operation, or all members of its group, and whether each could be begun with.
type Found = Vec<(Seen, bool)>;

impl Taking {
    pub(super) async fn take(
        &self,
        connection: &mut Connection,
        effects: &mut Effects,
    ) -> Result<Begun, sqlx::Error> {
        let found = self.look(connection).await?;
        let Some((first, _)) = found
            .iter()
            .find(|(row, _)| row.id == self.id)
            .or(found.first())
        else {
            return Ok(Begun::Absent);
        };
        let (state, lone) = (first.state, first.group.is_none());
        let broken = !lone && found.iter().any(|(row, _)| row.state.came_to_nothing());
        let open: Found = found
            .into_iter()
            .filter(|(row, _)| !row.state.is_final())
            .collect();
        if open.is_empty() {
            return Ok(Begun::Over(state));
        }
        let at = nanoseconds(self.at);
        let leased = open.iter().filter(|(row, _)| row.is_leased(at));
        if let Some(until) = leased.filter_map(|(row, _)| row.lease_until).max() {
            return Ok(Begun::Busy(moment(until)));
        }
        if open.iter().any(|(row, _)| row.state == State::Staged) {
            return Ok(Begun::NotYet(None));
        }
        if open.iter().any(|(row, _)| row.state == State::Writing) {
            return self.settle(connection, open, State::Writing, effects).await;
        }
        let unknown = |(row, _): &(Seen, bool)| row.restored && row.state == State::Received;
        if broken && open.iter().any(unknown) {
            return self
                .settle(connection, open, State::Received, effects)
                .await;
        }
        if broken {
            return self.end(connection, open, effects).await;
        }
        self.go_on(connection, open, effects).await
    }

    /// Whether one that was found so can be decided without a further look.
    pub(super) fn at_once(&self, row: &Seen, movable: bool) -> bool {
        let at = nanoseconds(self.at);
        let due = row.due_by(at) <= at && row.expires_at.is_none_or(|ends| ends > at);
        movable && due && row.group.is_none() && !row.restored && !row.is_leased(at)
    }

    /// What is wanted of one that can be decided.
    pub(super) fn wanted(&self, row: Seen) -> Wanted {
        let mut wanted = Wanted::plain(row, State::Deciding, (self.at, &self.by), None);
        wanted.then.lease = Some(self.lease.clone());
        wanted
    }

    async fn look(&self, connection: &mut Connection) -> Result<Found, sqlx::Error> {
        let found = find(connection, &[self.id]).await?.remove(&self.id);
        match found {
            Some((row, movable)) => match row.group {
                Some(group) => movable_members(connection, group).await,
                None => Ok(vec![(row, movable)]),
            },
            None => Ok(Vec::new()),
        }
    }

    /// Takes what may have been written, as it is.
    async fn settle(
        &self,
        connection: &mut Connection,
        open: Found,
        state: State,
        effects: &mut Effects,
    ) -> Result<Begun, sqlx::Error> {
        let mut taken = Vec::new();
        for (mut row, _) in open {
            if row.state == state && (row.restored || state == State::Writing) {
                let whose = (&self.lease, &self.by);
                hand_over(connection, &mut row, whose, self.at, effects).await?;
                taken.push(row.nr);
            }
        }
        Ok(Begun::Settle(whole(connection, &taken).await?))
    }

    /// Ends what is left of a group of which something came to nothing.
    async fn end(
        &self,
        connection: &mut Connection,
        open: Found,
        effects: &mut Effects,
    ) -> Result<Begun, sqlx::Error> {
        // What may have been written is nobody's to cancel but an operator's.
        let idle = open
            .into_iter()
            .filter(|(row, _)| row.state != State::Uncertain);
        let wanted = idle.map(|(row, _)| {
            let why = because(
                "group_broken",
                "another operation of its group came to nothing",
            );
            Wanted::plain(row, State::Cancelled, (self.at, &self.by), why)
        });
        let made = make(connection, wanted.collect(), effects).await?;
        let done: Vec<Done> = made.into_iter().flatten().collect();
        if done.is_empty() {
            return Ok(Begun::NotYet(None));
        }
        follow(connection, done, effects).await?;
        Ok(Begun::Over(State::Cancelled))
    }

    /// Begins with it, when all of it can go.
    async fn go_on(
        &self,
        connection: &mut Connection,
        mut open: Found,
        effects: &mut Effects,
    ) -> Result<Begun, sqlx::Error> {
        let at = nanoseconds(self.at);
        let mut done = self.release(connection, &open, effects).await?;
        if !done.is_empty() {
            // Whether it can go on is to be asked anew: it may stand behind others now.
            open = self.again(connection, &open).await?;
        }
        let late = open.iter().position(|(row, _)| {
            row.state == State::Received
                && !row.restored
                && row.expires_at.is_some_and(|ends| ends <= at)
        });
        if let Some(late) = late {
            let (row, _) = open.swap_remove(late);
            let who = (self.at, &self.by);
            let wanted = Wanted::plain(row, State::Expired, who, overdue());
            done.extend(
                make(connection, vec![wanted], effects)
                    .await?
                    .into_iter()
                    .flatten(),
            );
            follow(connection, done, effects).await?;
            return Ok(Begun::Over(State::Expired));
        }
        let due = open.iter().map(|(row, _)| row.due_by(at)).max();
        let due = due.unwrap_or(at);
        let free = open.iter().all(|(_, movable)| *movable);
        if !free || due > at {
            let waits = (free && due > at).then(|| moment(due));
            follow(connection, done, effects).await?;
            if let (Some((row, _)), Some(_)) = (open.first(), waits) {
                let name = row.group.unwrap_or(row.id);
                effects.wake_group(name, open.iter().map(|(row, _)| row));
            }
            return Ok(Begun::NotYet(waits));
        }
        if open.iter().any(|(row, _)| row.restored) {
            return self
                .settle(connection, open, State::Received, effects)
                .await;
        }
        self.decide(connection, open, effects).await
    }

    /// Takes rows from a worker that broke off before anything was sent.
    async fn release(
        &self,
        connection: &mut Connection,
        open: &Found,
        effects: &mut Effects,
    ) -> Result<Vec<Done>, sqlx::Error> {
        let lost = open.iter().filter(|(row, _)| row.state.is_worked_on());
        let wanted = lost.map(|(row, _)| {
            let why = because(
                "worker_lost",
                "its worker broke off before anything was sent",
            );
            let who = (self.at, &self.by);
            let mut wanted = Wanted::plain(row.clone(), State::Received, who, why);
            wanted.then.failed_try = true;
            wanted
        });
        let made = make(connection, wanted.collect(), effects).await?;
        Ok(made.into_iter().flatten().collect())
    }

    async fn again(&self, connection: &mut Connection, open: &Found) -> Result<Found, sqlx::Error> {
        let found = self.look(connection).await?;
        let ids: Vec<OperationId> = open.iter().map(|(row, _)| row.id).collect();
        Ok(found
            .into_iter()
            .filter(|(row, _)| ids.contains(&row.id))
            .collect())
    }

    async fn decide(
        &self,
        connection: &mut Connection,
        open: Found,
        effects: &mut Effects,
    ) -> Result<Begun, sqlx::Error> {
        let wanted = open.into_iter().map(|(row, _)| self.wanted(row));
        let made = make(connection, wanted.collect(), effects).await?;
        let taken: Vec<i64> = made.iter().flatten().map(|done| done.row.nr).collect();
        Ok(Begun::Decide(whole(connection, &taken).await?))
    }
}

/// Why something is ended that nobody wants any more.
pub(super) fn overdue() -> Option<crmgate_store::Why> {
    because("expired", "it was not wanted any more after `expires_at`")
}

/// All that is kept of operations, in the order in which they were accepted.
pub(super) async fn whole(
    connection: &mut Connection,
    numbers: &[i64],
) -> Result<Vec<StoredOperation>, sqlx::Error> {
    if numbers.is_empty() {
        return Ok(Vec::new());
    }
    let mut query = QueryBuilder::<Db>::new(COLUMNS);
    query.push(" WHERE ");
    among(&mut query, "o.nr", numbers);
    query.push(" ORDER BY o.seq");
    let rows = query.build().fetch_all(connection).await?;
    rows.iter()
        .map(|row| stored(row).map_err(|error| sqlx::Error::Decode(error.into())))
        .collect()
}
