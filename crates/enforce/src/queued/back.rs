//! Rows are given back, or end, without having been sent.

use std::time::Duration;

use crmgate_domain::{OperationId, State};
use crmgate_store::{Move, Moved, StoreError, StoredOperation, Why};

use super::{Desk, Ended, Ready, Setback, Step, until};
use crate::Gate;

impl Gate {
    /// Gives permitted rows back to be judged again after a while.
    ///
    /// # Errors
    /// When it is not certain that it is stored.
    pub async fn put_by(
        &self,
        desk: &Desk,
        ready: Vec<Ready>,
        (pause, reason): (Duration, Why),
    ) -> Result<Vec<(OperationId, Ended)>, StoreError> {
        let rows = ready.iter().map(|ready| &ready.stored);
        self.hand_back(desk, rows.collect(), (pause, reason)).await
    }

    /// Gives rows back that were not sent; no try counts.
    ///
    /// # Errors
    /// When it is not certain that it is stored.
    pub async fn hand_back(
        &self,
        desk: &Desk,
        rows: Vec<&StoredOperation>,
        (pause, reason): (Duration, Why),
    ) -> Result<Vec<(OperationId, Ended)>, StoreError> {
        let step = Step::HandBack.start();
        let now = self.ambient().now();
        let moves = rows.iter().map(|stored| Move {
            due: now.checked_add(pause).ok(),
            why: Some(reason.clone()),
            ..desk.step(stored, State::Received, now)
        });
        let moves = moves.collect();
        let ended = self.move_on(desk, rows, (moves, Ended::Again(pause))).await;
        step.stop();
        ended
    }

    /// Ends rows about which nothing was decided: they ask for nothing that could be judged.
    ///
    /// # Errors
    /// When it is not certain that it is stored.
    pub async fn end_undecided(
        &self,
        desk: &Desk,
        rows: Vec<&StoredOperation>,
        (to, reason): (State, Why),
    ) -> Result<Vec<(OperationId, Ended)>, StoreError> {
        let now = self.ambient().now();
        let moves = rows.iter().map(|stored| Move {
            why: Some(reason.clone()),
            ..desk.step(stored, to, now)
        });
        let moves = moves.collect();
        self.move_on(desk, rows, (moves, Ended::Over(to))).await
    }

    /// Puts a row back about which nothing could be found out.
    ///
    /// # Errors
    /// When it is not certain that it is stored.
    pub async fn put_back(
        &self,
        desk: &Desk,
        stored: &StoredOperation,
        setback: Setback,
    ) -> Result<Ended, StoreError> {
        let now = self.ambient().now();
        let then = desk.put_back(stored, setback, (now, self.random()));
        let ended = match then.to {
            State::Received => Ended::Again(until(then.due, now)),
            other => Ended::Over(other),
        };
        let moved = self
            .move_on(desk, vec![stored], (vec![then], ended))
            .await?;
        Ok(moved
            .into_iter()
            .next()
            .map_or(Ended::Lost, |(_, ended)| ended))
    }

    async fn move_on(
        &self,
        desk: &Desk,
        rows: Vec<&StoredOperation>,
        (moves, ended): (Vec<Move>, Ended),
    ) -> Result<Vec<(OperationId, Ended)>, StoreError> {
        let now = self.ambient().now();
        let states: Vec<State> = moves.iter().map(|then| then.to).collect();
        let moved = self.shift(desk, moves).await?;
        let done = rows.into_iter().zip(moved).zip(states);
        Ok(done
            .map(|((stored, moved), to)| match moved {
                Moved::Done(_) => {
                    self.queue_meters().moved(stored, to, now);
                    (stored.id, ended)
                }
                _ => (stored.id, Ended::Lost),
            })
            .collect())
    }
}
