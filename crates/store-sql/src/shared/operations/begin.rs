//! Taking an operation that a worker was woken for.

use crmgate_domain::{OperationId, State, Timestamp};
use crmgate_store::{Begun, By, RowLease};
use sqlx::QueryBuilder;

use super::effects::Effects;
use super::follow::{follow, movable_members};
use super::moves::{Done, because, find, hand_over, make, moment, plain_move};
use super::rows::{COLUMNS, MOVABLE, SEEN, Seen, seen, stored};
use super::{Connection, Db, nanoseconds};

/// Who takes what.
#[derive(Clone)]
pub(super) struct Taking {
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

    async fn look(&self, connection: &mut Connection) -> Result<Found, sqlx::Error> {
        let mut query = QueryBuilder::<Db>::new("SELECT ");
        query
            .push(SEEN)
            .push(", CAST(CASE WHEN ")
            .push(MOVABLE)
            .push(" THEN 1 ELSE 0 END AS BIGINT) AS movable FROM operations o WHERE o.id = ")
            .push_bind(self.id.uuid().as_bytes().to_vec());
        let Some(row) = query.build().fetch_optional(&mut *connection).await? else {
            return Ok(Vec::new());
        };
        let movable = sqlx::Row::get::<i64, _>(&row, "movable") == 1;
        let row = seen(&row)?;
        match row.group {
            Some(group) => movable_members(connection, group).await,
            None => Ok(vec![(row, movable)]),
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
                taken.push(row.id);
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
        let mut done = Vec::new();
        for (mut row, _) in open {
            // What may have been written is nobody's to cancel but an operator's.
            if row.state == State::Uncertain {
                continue;
            }
            let why = because(
                "group_broken",
                "another operation of its group came to nothing",
            );
            let wanted = plain_move(&row, State::Cancelled, self.at, &self.by, why);
            done.extend(make(connection, &mut row, &wanted, None, effects).await?);
        }
        if done.is_empty() {
            return Ok(Begun::NotYet(None));
        }
        follow(connection, done, (self.at, &self.by), effects).await?;
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
        let mut done = Vec::new();
        for (row, _) in &mut open {
            if row.state.is_worked_on() {
                done.extend(self.release(connection, row, effects).await?);
            }
        }
        if !done.is_empty() {
            // Whether it can go on is to be asked anew: it may stand behind others now.
            open = self.again(connection, &open).await?;
        }
        let late = open.iter().position(|(row, _)| {
            row.state == State::Received
                && !row.restored
                && row.expires_at.is_some_and(|ends| ends <= at)
        });
        if let Some((row, _)) = late.and_then(|late| open.get_mut(late)) {
            let wanted = plain_move(row, State::Expired, self.at, &self.by, overdue());
            done.extend(make(connection, row, &wanted, None, effects).await?);
            follow(connection, done, (self.at, &self.by), effects).await?;
            return Ok(Begun::Over(State::Expired));
        }
        let due = open.iter().map(|(row, _)| row.due).max().unwrap_or(at);
        let free = open.iter().all(|(_, movable)| *movable);
        if !free || due > at {
            let waits = (free && due > at).then(|| moment(due));
            follow(connection, done, (self.at, &self.by), effects).await?;
            if let (Some((row, _)), Some(_)) = (open.first(), waits) {
                effects.wake(
                    row.group.unwrap_or(row.id),
                    &row.connection,
                    due,
                    row.priority,
                );
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

    /// Takes a row from a worker that broke off before anything was sent.
    async fn release(
        &self,
        connection: &mut Connection,
        row: &mut Seen,
        effects: &mut Effects,
    ) -> Result<Option<Done>, sqlx::Error> {
        let why = because(
            "worker_lost",
            "its worker broke off before anything was sent",
        );
        let mut wanted = plain_move(row, State::Received, self.at, &self.by, why);
        wanted.failed_try = true;
        make(connection, row, &wanted, None, effects).await
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
        let mut taken = Vec::new();
        for (mut row, _) in open {
            let mut wanted = plain_move(&row, State::Deciding, self.at, &self.by, None);
            wanted.lease = Some(self.lease.clone());
            if make(connection, &mut row, &wanted, None, effects)
                .await?
                .is_some()
            {
                taken.push(row.id);
            }
        }
        Ok(Begun::Decide(whole(connection, &taken).await?))
    }
}

/// Why something is ended that nobody wants any more.
pub(super) fn overdue() -> Option<crmgate_store::Why> {
    because("expired", "it was not wanted any more after `expires_at`")
}

/// All that is kept of operations, in the order of these ids.
pub(super) async fn whole(
    connection: &mut Connection,
    ids: &[OperationId],
) -> Result<Vec<crmgate_store::StoredOperation>, sqlx::Error> {
    let mut query = QueryBuilder::<Db>::new(COLUMNS);
    query.push(" WHERE o.id IN (");
    let mut list = query.separated(",");
    for id in ids {
        list.push_bind(id.uuid().as_bytes().to_vec());
    }
    query.push(") ORDER BY o.seq");
    let rows = query
        .build()
        .persistent(ids.len() <= 8)
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| stored(row).map_err(|error| sqlx::Error::Decode(error.into())))
        .collect()
}

/// Makes moves, each by itself, and does what follows from them.
pub(crate) async fn shift(
    connection: &mut Connection,
    moves: &[crmgate_store::Move],
    effects: &mut Effects,
) -> Result<Vec<crmgate_store::Moved>, sqlx::Error> {
    use crmgate_store::Moved;

    let ids: Vec<OperationId> = moves.iter().map(|wanted| wanted.id).collect();
    let mut found = find(connection, &ids).await?;
    let mut answers = Vec::with_capacity(moves.len());
    let mut done = Vec::new();
    for wanted in moves {
        let Some(row) = found.get_mut(&wanted.id) else {
            answers.push(Moved::Absent);
            continue;
        };
        answers.push(match make(connection, row, wanted, None, effects).await? {
            Some(made) => {
                let version = made.row.version.unsigned_abs();
                done.push((made, wanted));
                Moved::Done(version)
            }
            None => row.lost(),
        });
    }
    let Some((_, first)) = done.first() else {
        return Ok(answers);
    };
    let (at, by) = (first.at, first.by.clone());
    revive(connection, &done).await?;
    let done = done.into_iter().map(|(made, _)| made).collect();
    follow(connection, done, (at, &by), effects).await?;
    Ok(answers)
}

/// Whoever wants something tried once more wants its job, too, even when that is dead.
async fn revive(
    connection: &mut Connection,
    done: &[(Done, &crmgate_store::Move)],
) -> Result<(), sqlx::Error> {
    for (made, _) in done {
        let again = made.was.is_final() || made.was == State::Uncertain;
        if again && made.row.state == State::Received {
            let id = made.row.group.unwrap_or(made.row.id).to_string();
            let queue = format!("operations/{}", made.row.connection);
            super::jobs::bury_not(connection, &queue, &id).await?;
        }
    }
    Ok(())
}
