//! Jobs that were tried too often: their operations are dead, once it is known that nothing was
//! written.

use std::sync::Arc;

use crmgate_domain::{OperationId, State};
use crmgate_enforce::queued::Ended;
use crmgate_store::{Begun, Jobs, NewJob, StoreError, Why, queue_of};

use crate::line::Line;

/// The code of an operation whose workers died over it.
const POISON: &str = "tried_too_often";
/// Tries of a job that is put back to be settled.
const TRIES: u32 = 16;

impl Line {
    /// Ends the operations of dead jobs. What cannot be ended now is left to the sweeper.
    pub(crate) async fn bury(self: &Arc<Self>, jobs: &dyn Jobs, ids: &[String]) {
        let queue = queue_of(self.gate.connection());
        for name in ids {
            let ended = match name.parse::<OperationId>() {
                Ok(id) => self.bury_one(jobs, id).await,
                Err(_) => Ok(true),
            };
            let removed = match ended {
                Ok(true) => jobs.remove(&queue, std::slice::from_ref(name)).await,
                Ok(false) => continue,
                Err(error) => Err(error),
            };
            if let Err(error) = removed {
                tracing::warn!(operation = name, %error, "the operation of a dead job could not be ended; it is tried again");
            }
        }
    }

    /// Whether the dead job is of no more use.
    async fn bury_one(
        self: &Arc<Self>,
        jobs: &dyn Jobs,
        id: OperationId,
    ) -> Result<bool, StoreError> {
        let rows = match self.begin(id).await? {
            Begun::Decide(rows) => rows,
            Begun::Settle(rows) => {
                let Some(ended) = self.settle(rows).await else {
                    return Ok(false);
                };
                let unknown = ended.iter().find_map(|(_, ended)| match ended {
                    Ended::Unknown(pause) => Some(*pause),
                    _ => None,
                });
                if let Some(pause) = unknown {
                    // What may have been written is settled by a job with tries of its own.
                    self.revive(jobs, id, pause).await?;
                    return Ok(false);
                }
                match self.begin(id).await? {
                    Begun::Decide(rows) => rows,
                    Begun::Over(_) | Begun::Absent => return Ok(true),
                    _ => return Ok(false),
                }
            }
            Begun::Over(_) | Begun::Absent => return Ok(true),
            Begun::NotYet(_) | Begun::Busy(_) => return Ok(false),
        };
        let message = "the processes that worked on it died or lost it each time";
        let dead = (State::Dead, Why::new(POISON, message));
        self.gate
            .end_undecided(&self.desk, rows.iter().collect(), dead)
            .await?;
        tracing::error!(operation = %id, "an operation was given up: {message}");
        Ok(true)
    }

    async fn revive(
        &self,
        jobs: &dyn Jobs,
        id: OperationId,
        pause: std::time::Duration,
    ) -> Result<(), StoreError> {
        let queue = queue_of(self.gate.connection());
        let now = self.now();
        jobs.remove(&queue, &[id.to_string()]).await?;
        jobs.push(vec![NewJob {
            queue,
            id: id.to_string(),
            due: now.checked_add(pause).unwrap_or(now),
            priority: 0,
            most_attempts: TRIES,
        }])
        .await?;
        Ok(())
    }
}
