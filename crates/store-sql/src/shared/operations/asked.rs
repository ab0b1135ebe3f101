//! Operations that came by another way than a submission, held from the start.

use std::sync::Arc;

use crmgate_domain::{Ambient, State};
use crmgate_store::{By, DecisionRecord, HeldOperation, Hold, StoreError};

use super::super::decisions::DecisionRow;
use super::super::writer::Writer;
use super::super::{batch, holds};
use super::decide::Deciding;
use super::effects::{Effects, act};
use super::follow::follow;
use super::make::{Done, Wanted, make};
use super::stage::{self, Line};
use super::unfold::receive_one;
use super::{Connection, Store, nanoseconds, plain, scalar, sql};

/// What is taken, ready to be stored.
struct Asked {
    held: HeldOperation,
    line: Line,
    by: By,
}

/// The hold that is in force instead, or what is wrong with it.
type Joined = Option<Result<Hold, StoreError>>;

pub(super) async fn take(store: &Store, mut held: HeldOperation) -> Result<Hold, StoreError> {
    // What cannot be written must not leave anything behind.
    DecisionRow::new(&held.record, store.ambient())?;
    held.hold.queued = Some(held.operation.id);
    held.operation.line = 1;
    let hold = held.hold.clone();
    let asked = Arc::new(Asked {
        line: Line::new(&held.operation)?,
        by: By("gate".into()),
        held,
    });
    let ambient = store.shared_ambient();
    let joined = act(store, move |writer, effects| {
        let (asked, ambient) = (Arc::clone(&asked), Arc::clone(&ambient));
        Box::pin(async move {
            let hold = &asked.held.hold;
            match holds::join(writer, &hold.request_key(), hold.created_at).await? {
                Some(row) => {
                    asked
                        .join(writer, holds::stored(&row), ambient.as_ref())
                        .await
                }
                None => asked
                    .take(writer, effects, ambient.as_ref())
                    .await
                    .map(|()| None),
            }
        })
    })
    .await?;
    joined.unwrap_or(Ok(hold))
}

fn unwritable(error: StoreError) -> sqlx::Error {
    sqlx::Error::Encode(error.into())
}

impl Asked {
    /// The decision alone: an equal request asked before.
    async fn join(
        &self,
        writer: &mut Writer,
        found: Result<Hold, StoreError>,
        ambient: &dyn Ambient,
    ) -> Result<Joined, sqlx::Error> {
        if let Ok(hold) = &found {
            let record = DecisionRecord {
                hold: Some(hold.id),
                ..self.held.record.clone()
            };
            let row = DecisionRow::new(&record, ambient).map_err(unwritable)?;
            batch::append(writer, &row).await?;
        }
        Ok(Some(found))
    }

    /// The way of every operation to `held`, in one step.
    async fn take(
        &self,
        writer: &mut Writer,
        effects: &mut Effects,
        ambient: &dyn Ambient,
    ) -> Result<(), sqlx::Error> {
        let HeldOperation {
            owner,
            submission,
            hold,
            record,
            why,
            ..
        } = &self.held;
        let at = record.decision.at;
        let connection = &mut writer.connection;
        let nr: i64 =
            scalar("INSERT INTO submissions (id, owner, at) VALUES (?, ?, ?) RETURNING nr")
                .bind(submission.uuid().as_bytes().to_vec())
                .bind(plain(owner).into_owned())
                .bind(nanoseconds(at))
                .fetch_one(&mut *connection)
                .await?;
        stage::stage(connection, *submission, std::slice::from_ref(&self.line)).await?;
        let received = receive_one(connection, (nr, owner.clone()), at, effects).await?;
        accept(connection, nr, nanoseconds(at)).await?;
        let row = received.ok_or(sqlx::Error::RowNotFound)?;
        let who = (at, &self.by);
        let deciding = Wanted::plain(row, State::Deciding, who, None);
        let deciding = self.made(connection, deciding, effects).await?;
        let then = Wanted::plain(deciding.row.clone(), State::Held, who, why.clone()).then;
        let (hold, record) = (Some(hold.clone()), record.clone());
        let decided = Deciding::new(hold, record, then, ambient).map_err(unwritable)?;
        // The hold is there before the row that names it: its end is looked up.
        if let Some(hold) = &decided.hold {
            holds::insert(writer, hold).await?;
        }
        let held = decided.wanted(deciding.row);
        let held = self.made(&mut writer.connection, held, effects).await?;
        batch::append(writer, &decided.row).await?;
        follow(&mut writer.connection, vec![held], effects).await
    }

    /// A move that nobody can be in the way of.
    async fn made(
        &self,
        connection: &mut Connection,
        wanted: Wanted,
        effects: &mut Effects,
    ) -> Result<Done, sqlx::Error> {
        let made = make(connection, vec![wanted], effects).await?;
        let made = made.into_iter().flatten().next();
        let id = self.held.operation.id;
        made.ok_or_else(|| sqlx::Error::Protocol(format!("{id} could not be held")))
    }
}

async fn accept(connection: &mut Connection, nr: i64, at: i64) -> Result<(), sqlx::Error> {
    sql("UPDATE submissions SET accepted_at = ?, count = 1, unfolded = NULL WHERE nr = ?")
        .bind(at)
        .bind(nr)
        .execute(connection)
        .await
        .map(|_| ())
}
