//! One transaction for everything that waits.

use std::collections::HashMap;

use crmgate_store::StoreError;

use crate::decisions;
use crate::error::{is_constraint, unavailable};
use crate::outcomes;
use crate::writer::{Command, Writer};

/// The numbers of package sets. Forgotten with the writer when a transaction fails, so that it
/// never holds a number that was rolled back.
pub(crate) type PackageSets = HashMap<String, i64>;

/// Does all of it in one transaction and answers. Gives the writer back if it is still good.
pub(crate) async fn carry_out(mut writer: Writer, mut commands: Vec<Command>) -> Option<Writer> {
    let error = match transaction(&mut writer, &mut commands).await {
        Ok(first) => {
            confirm(commands, first);
            return Some(writer);
        }
        Err(error) => error,
    };
    if !is_constraint(&error) || !roll_back(&mut writer).await {
        tracing::error!(%error, writes = commands.len(), "a transaction failed");
        writer.meters.failed();
        for command in commands {
            refuse(command, unavailable(&error));
        }
        return None;
    }
    if let [_] = commands.as_slice() {
        for command in commands {
            refuse(command, StoreError::Exists("a row with this id".to_owned()));
        }
        return Some(writer);
    }
    // One of them breaks a rule of the schema: each is done by itself, so that the others do not
    // pay for it.
    for command in commands {
        writer = Box::pin(carry_out(writer, vec![command])).await?;
    }
    Some(writer)
}

/// Gives the number of the first decision in it.
async fn transaction(writer: &mut Writer, commands: &mut [Command]) -> Result<i64, sqlx::Error> {
    execute(writer, "BEGIN IMMEDIATE").await?;
    let first = writer.last_decision + 1;
    let rows: Vec<_> = commands
        .iter()
        .filter_map(|command| match command {
            Command::Decision(row, _) => Some(row.as_ref()),
            _ => None,
        })
        .collect();
    decisions::insert(writer, &rows).await?;
    let rows: Vec<_> = commands
        .iter()
        .filter_map(|command| match command {
            Command::Outcome(row, _) => Some(row),
            _ => None,
        })
        .collect();
    outcomes::insert(writer, &rows).await?;
    for command in commands {
        if let Command::Other(step) = command {
            step.run(writer).await?;
        }
    }
    execute(writer, "COMMIT").await?;
    Ok(first)
}

async fn execute(writer: &mut Writer, sql: &'static str) -> Result<(), sqlx::Error> {
    sqlx::query(sql)
        .execute(&mut writer.connection)
        .await
        .map(|_| ())
}

/// Whether the transaction is undone and the writer as it was before.
async fn roll_back(writer: &mut Writer) -> bool {
    writer.sets.clear();
    if execute(writer, "ROLLBACK").await.is_err() {
        return false;
    }
    let last: Result<Option<i64>, _> = sqlx::query_scalar("SELECT max(seq) FROM decisions")
        .fetch_one(&mut writer.connection)
        .await;
    let Ok(last) = last else {
        return false;
    };
    writer.last_decision = last.unwrap_or(0);
    true
}

fn confirm(commands: Vec<Command>, first: i64) {
    let mut next = first.unsigned_abs();
    // A caller that stopped waiting is no failure: what it asked for is done.
    for command in commands {
        match command {
            Command::Decision(_, reply) => {
                let _ = reply.send(Ok(next));
                next += 1;
            }
            Command::Outcome(_, reply) => {
                let _ = reply.send(Ok(()));
            }
            Command::Other(step) => step.answer(Ok(())),
            Command::Close => {}
        }
    }
}

pub(crate) fn refuse(command: Command, error: StoreError) {
    match command {
        Command::Decision(_, reply) => {
            let _ = reply.send(Err(error));
        }
        Command::Outcome(_, reply) => {
            let _ = reply.send(Err(error));
        }
        Command::Other(step) => step.answer(Err(error)),
        Command::Close => {}
    }
}
