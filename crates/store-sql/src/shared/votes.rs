//! What people answer to held operations.

use std::sync::Arc;

use async_trait::async_trait;
use crmgate_domain::approval::{Choice, Ended, Vote};
use crmgate_domain::{HoldId, Timestamp};
use crmgate_store::chain::Draft;
use crmgate_store::{
    Ballot, Cast, DecisionRecord, Digest, EntryKind, HoldStatus, SealedPayload, StoreError,
    VoteLog, VoteNote, VoteWords,
};
use sqlx::Row as _;

use super::decisions::DecisionRow;
use super::operations::{Effects, Wanted, act, find, follow, make};
use super::steps::with_record;
use super::writer::Writer;
use super::{Row, Store, batch, plain, scalar, sql, within};
use crate::convert::{nanoseconds, read, timestamp, write};
use crate::error::corrupt;

/// A ballot, ready to be stored.
struct Paper {
    ballot: Ballot,
    draft: Draft,
    ended: Option<String>,
    agreements: String,
}

impl Paper {
    fn new(ballot: Ballot, store: &Store) -> Result<Self, StoreError> {
        let vote = &ballot.vote;
        let mut key = Digest::default();
        let (head, tail) = key.0.split_at_mut(16);
        head.copy_from_slice(&store.ambient().random());
        tail.copy_from_slice(&store.ambient().random());
        let words = VoteWords {
            person: vote.person.clone(),
            reason: vote.reason.clone(),
        };
        let payload = SealedPayload {
            key,
            body: plain(&write("a vote", &words)?).into_owned(),
        };
        let envelope = plain(&write("a vote", &VoteNote::of(&ballot))?).into_owned();
        let ended = ballot.ends.as_ref();
        let ended = ended
            .map(|ended| write("a hold's end", ended))
            .transpose()?;
        Ok(Self {
            draft: Draft::new(EntryKind::Vote, vote.at, envelope, Some(payload)),
            ended,
            agreements: write("agreements", &vote.agreements)?,
            ballot,
        })
    }

    /// INVARIANT: of all that would change the hold from the version that was seen, one does; and
    /// with it goes the operation that waits in it, or nothing is done.
    async fn store(&self, writer: &mut Writer, effects: &mut Effects) -> Result<Cast, sqlx::Error> {
        let mut released = None;
        if let Some(then) = &self.ballot.then {
            let found = find(&mut writer.connection, &[then.id]).await?;
            let found = found.into_values().next();
            let wanted = found.map(|(row, _)| Wanted::new(row, then.clone()));
            released = wanted.filter(Wanted::fits);
            if released.is_none() {
                return Ok(Cast::Lost);
            }
        }
        let hold = &self.ballot.hold;
        let ends = self.ballot.ends.as_ref();
        let status = ends.map_or(HoldStatus::Waiting, |ended| ended.how.into());
        let until = self.ballot.usable_until.unwrap_or(hold.expires_at);
        let changed = sql(
            "UPDATE holds SET status = ?, ended = ?, expires_at = ?, version = version + 1 \
             WHERE id = ? AND version = ? AND status = 'waiting'",
        )
        .bind(status.as_str())
        .bind(self.ended.as_deref().map(plain))
        .bind(nanoseconds(until))
        .bind(hold.id.uuid().as_bytes().as_slice())
        .bind(i64::try_from(hold.version).unwrap_or(i64::MAX))
        .execute(&mut writer.connection)
        .await?;
        if changed.rows_affected() == 0 {
            return Ok(Cast::Lost);
        }
        let seq = writer.append(&self.draft).await?;
        if let Some(payload) = self.draft.payload() {
            sql("INSERT INTO payloads (seq, key, body) VALUES (?, ?, ?)")
                .bind(seq)
                .bind(payload.key.0.to_vec())
                .bind(payload.body.as_str())
                .execute(&mut writer.connection)
                .await?;
        }
        self.file(writer, seq).await?;
        if let Some(wanted) = released {
            let connection = &mut writer.connection;
            let made = make(connection, vec![wanted], effects).await?;
            follow(connection, made.into_iter().flatten().collect(), effects).await?;
        }
        Ok(Cast::Done)
    }

    async fn file(&self, writer: &mut Writer, seq: i64) -> Result<(), sqlx::Error> {
        let vote = &self.ballot.vote;
        sql(
            "INSERT INTO votes (seq, hold, person, account, choice, reason, at, channel, \
             agreements) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(seq)
        .bind(self.ballot.hold.id.uuid().as_bytes().as_slice())
        .bind(plain(&vote.person))
        .bind(plain(&vote.account))
        .bind(vote.choice.as_str())
        .bind(vote.reason.as_deref().map(plain))
        .bind(nanoseconds(vote.at))
        .bind(plain(&vote.channel))
        .bind(plain(&self.agreements))
        .execute(&mut writer.connection)
        .await
        .map(|_| ())
    }
}

fn stored(row: &Row) -> Result<Vote, StoreError> {
    let choice = [Choice::Approve, Choice::Reject];
    let word: &str = row.get(2);
    let choice = choice.into_iter().find(|choice| choice.as_str() == word);
    Ok(Vote {
        person: row.get(0),
        account: row.get(1),
        choice: choice.ok_or_else(|| corrupt("a vote", format!("`{word}` is no answer")))?,
        reason: row.get(3),
        at: timestamp(row.get(4))?,
        channel: row.get(5),
        agreements: read("agreements", row.get(6))?,
    })
}

#[async_trait]
impl VoteLog for Store {
    async fn cast(&self, ballot: Ballot) -> Result<Cast, StoreError> {
        let paper = Arc::new(Paper::new(ballot, self)?);
        act(self, move |writer, effects| {
            let paper = Arc::clone(&paper);
            Box::pin(async move { paper.store(writer, effects).await })
        })
        .await
    }

    async fn votes(&self, hold: HoldId) -> Result<Vec<Vote>, StoreError> {
        let rows = within(
            sql(
                "SELECT person, account, choice, reason, at, channel, agreements FROM votes \
                 WHERE hold = ? ORDER BY seq",
            )
            .bind(hold.uuid().as_bytes().as_slice())
            .fetch_all(self.reader()),
        )
        .await?;
        rows.iter().map(stored).collect()
    }

    async fn end_hold(&self, hold: HoldId, seen: u64, ended: Ended) -> Result<Cast, StoreError> {
        let status = HoldStatus::from(ended.how).as_str();
        let ended: Arc<str> = plain(&write("a hold's end", &ended)?).into();
        let seen = i64::try_from(seen).unwrap_or(i64::MAX);
        let changed = with_record(self, move |writer| {
            let ended = Arc::clone(&ended);
            Box::pin(async move {
                sql(
                    "UPDATE holds SET status = ?, ended = ?, version = version + 1 \
                     WHERE id = ? AND version = ? AND status IN ('waiting', 'approved')",
                )
                .bind(status)
                .bind(ended.as_ref())
                .bind(hold.uuid().as_bytes().as_slice())
                .bind(seen)
                .execute(&mut writer.connection)
                .await
            })
        })
        .await?;
        Ok(cast(changed.rows_affected()))
    }

    async fn expire_holds(&self, at: Timestamp, most: usize) -> Result<u64, StoreError> {
        let (at, most) = (nanoseconds(at), i64::try_from(most).unwrap_or(i64::MAX));
        let changed = with_record(self, move |writer| {
            Box::pin(async move {
                sql(
                    "UPDATE holds SET status = 'expired', version = version + 1 \
                     WHERE seq IN (SELECT seq FROM holds \
                     WHERE status IN ('waiting', 'approved') AND expires_at <= ? \
                     AND (status = 'waiting' OR queued IS NULL) ORDER BY seq LIMIT ?)",
                )
                .bind(at)
                .bind(most)
                .execute(&mut writer.connection)
                .await
            })
        })
        .await?;
        Ok(changed.rows_affected())
    }

    async fn spend(
        &self,
        holds: Vec<(HoldId, u64)>,
        record: DecisionRecord,
    ) -> Result<Option<u64>, StoreError> {
        let row = Arc::new(DecisionRow::new(&record, self.ambient())?);
        let id = *record.decision.id.uuid().as_bytes();
        if let Some(read_back) = &record.read_back {
            self.open_writes().begin(id, *read_back.join_key.bytes());
        }
        let holds = Arc::new(holds);
        let spent = with_record(self, move |writer| {
            let (row, holds) = (Arc::clone(&row), Arc::clone(&holds));
            Box::pin(async move {
                if !spend(writer, &holds, id).await? {
                    return Ok(None);
                }
                batch::append(writer, &row).await?;
                Ok(Some(writer.last.unsigned_abs()))
            })
        })
        .await;
        if !matches!(spent, Ok(Some(_))) {
            self.open_writes().end(&id);
        }
        spent
    }
}

/// Spends all of them, or none. INVARIANT: whatever changes holds does so in the one transaction
/// at a time that appends to the record, so that what was seen is still so below.
async fn spend(
    writer: &mut Writer,
    holds: &[(HoldId, u64)],
    by: [u8; 16],
) -> Result<bool, sqlx::Error> {
    for (hold, seen) in holds {
        let ready: Option<i64> = scalar(
            "SELECT seq FROM holds \
             WHERE id = ? AND version = ? AND status IN ('approved', 'spent')",
        )
        .bind(hold.uuid().as_bytes().as_slice())
        .bind(i64::try_from(*seen).unwrap_or(i64::MAX))
        .fetch_optional(&mut writer.connection)
        .await?;
        if ready.is_none() {
            return Ok(false);
        }
    }
    for (hold, _) in holds {
        sql("UPDATE holds SET status = 'spent', spent_by = ?, version = version + 1 WHERE id = ?")
            .bind(by.as_slice())
            .bind(hold.uuid().as_bytes().as_slice())
            .execute(&mut writer.connection)
            .await?;
    }
    Ok(!holds.is_empty())
}

const fn cast(changed: u64) -> Cast {
    if changed == 0 { Cast::Lost } else { Cast::Done }
}
