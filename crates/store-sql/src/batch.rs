//! One transaction for everything that waits.

use std::collections::HashMap;

use crmgate_store::StoreError;

use crate::decisions::{DecisionRow, package_set};
use crate::error::{is_constraint, unavailable};
use crate::insert::{Part, PlacedDecision, PlacedOutcome};
use crate::writer::{Command, Writer};

/// The numbers of package sets. Forgotten with the writer when a transaction fails, so that it
/// never holds a number that was rolled back.
pub(crate) type PackageSets = HashMap<String, i64>;

/// Does all of it in one transaction and answers. Gives the writer back if it is still good.
pub(crate) async fn carry_out(mut writer: Writer, mut commands: Vec<Command>) -> Option<Writer> {
    let before = (writer.last, writer.chain);
    let error = match transaction(&mut writer, &mut commands).await {
        Ok(placed) => {
            confirm(commands, placed);
            return Some(writer);
        }
        Err(error) => error,
    };
    (writer.last, writer.chain) = before;
    writer.sets.clear();
    if !is_constraint(&error) || execute(&mut writer, "ROLLBACK").await.is_err() {
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

/// Gives the positions of the decisions in it.
async fn transaction(
    writer: &mut Writer,
    commands: &mut [Command],
) -> Result<Vec<i64>, sqlx::Error> {
    let steps = commands.iter().any(|c| matches!(c, Command::Other(_)));
    let known = commands.iter().all(|command| match command {
        Command::Decision(row, _) => writer.sets.contains_key(&row.packages),
        _ => true,
    });
    let alone = known && !steps;
    if !alone {
        execute(writer, "BEGIN IMMEDIATE").await?;
    }
    let mut sets = Vec::with_capacity(commands.len());
    for names in packages(commands) {
        sets.push(package_set(writer, &names).await?);
    }
    let part = place(writer, commands, &sets);
    let placed = part.decisions.iter().map(|decision| decision.seq).collect();
    part.run(writer, alone).await?;
    if !alone {
        for command in commands {
            if let Command::Other(step) = command {
                step.run(writer).await?;
            }
        }
        execute(writer, "COMMIT").await?;
    }
    Ok(placed)
}

/// The sets of packages of the decisions, in their order.
fn packages(commands: &[Command]) -> Vec<String> {
    let decisions = commands.iter().filter_map(|command| match command {
        Command::Decision(row, _) => Some(row.packages.clone()),
        _ => None,
    });
    decisions.collect()
}

/// Gives every decision and outcome its place in the chain, in the order in which they came.
fn place<'a>(writer: &mut Writer, commands: &'a [Command], sets: &[i64]) -> Part<'a> {
    let mut sets = sets.iter();
    let mut part = Part {
        decisions: Vec::with_capacity(commands.len()),
        outcomes: Vec::new(),
    };
    for command in commands {
        match command {
            Command::Decision(row, _) => {
                let packages = sets.next().copied().unwrap_or_default();
                let (seq, place) = writer.next(&row.draft);
                part.decisions.push(PlacedDecision {
                    seq,
                    place,
                    packages,
                    row,
                });
            }
            Command::Outcome(row, _) => {
                let (seq, place) = writer.next(&row.draft);
                part.outcomes.push(PlacedOutcome { seq, place, row });
            }
            Command::Other(_) | Command::Close => {}
        }
    }
    part
}

/// Appends one decision inside a step's transaction.
pub(crate) async fn append(writer: &mut Writer, row: &DecisionRow) -> Result<(), sqlx::Error> {
    let packages = package_set(writer, &row.packages).await?;
    let (seq, place) = writer.next(&row.draft);
    let decisions = vec![PlacedDecision {
        seq,
        place,
        packages,
        row,
    }];
    let part = Part {
        decisions,
        outcomes: Vec::new(),
    };
    part.run(writer, false).await
}

pub(crate) async fn execute(writer: &mut Writer, sql: &'static str) -> Result<(), sqlx::Error> {
    sqlx::query(sql)
        .execute(&mut writer.connection)
        .await
        .map(|_| ())
}

fn confirm(commands: Vec<Command>, placed: Vec<i64>) {
    let mut placed = placed.into_iter();
    // A caller that stopped waiting is no failure: what it asked for is done.
    for command in commands {
        match command {
            Command::Decision(_, reply) => {
                let position = placed.next().unwrap_or_default();
                let _ = reply.send(Ok(position.unsigned_abs()));
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
