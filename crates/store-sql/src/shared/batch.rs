//! One transaction for everything that waits.

use std::collections::HashMap;

use crmgate_store::StoreError;
use crmgate_store::chain::Chain;

use super::decisions::{DecisionRow, package_set};
use super::insert;
use super::outcomes::OutcomeRow;
use super::places::{Part, PlacedDecision, PlacedOutcome};
use super::session::{self, Mark};
use super::writer::{Command, Lane, Writer};
use crate::error::{own_fault, unavailable};

/// The numbers of package sets. Forgotten with the writer when a transaction fails, so that it
/// never holds a number that was rolled back.
pub(crate) type PackageSets = HashMap<String, i64>;

/// A transaction whose end was asked for and not heard of.
pub(crate) struct Doubt {
    pub(crate) mark: Mark,
    /// The chain as it is if the transaction came through.
    pub(crate) chain: Chain,
    pub(crate) placed: Vec<i64>,
}

/// Does all of it in one transaction and answers.
pub(crate) async fn carry_out(lane: &mut Lane, mut commands: Vec<Command>) {
    let error = match lane.attempt(&mut commands).await {
        Ok(placed) => return confirm(commands, placed),
        Err(error) => error,
    };
    if lane.writer().is_none() {
        tracing::error!(%error, writes = commands.len(), "a transaction failed");
        lane.meters.failed();
        for command in commands {
            refuse(command, unavailable(&error));
        }
        return;
    }
    if let [_] = commands.as_slice() {
        for command in commands {
            refuse(command, own_fault(&error));
        }
        return;
    }
    // One of them breaks a rule of the schema: each is done by itself, so that the others do not
    // pay for it.
    for command in commands {
        Box::pin(carry_out(lane, vec![command])).await;
    }
}

/// Gives the positions of the decisions in it. A failure leaves the writer as it was before.
pub(crate) async fn transaction(
    writer: &mut Writer,
    commands: &mut [Command],
    doubt: &mut Option<Doubt>,
) -> Result<Vec<i64>, sqlx::Error> {
    let before = (writer.last, writer.chain);
    let done = statements(writer, commands, doubt).await;
    if done.is_err() {
        (writer.last, writer.chain) = before;
        writer.sets.clear();
    }
    done
}

async fn statements(
    writer: &mut Writer,
    commands: &mut [Command],
    doubt: &mut Option<Doubt>,
) -> Result<Vec<i64>, sqlx::Error> {
    let steps = commands.iter().any(|c| matches!(c, Command::Other(_)));
    let known = commands.iter().all(|command| match command {
        Command::Decision(row, _) => writer.sets.contains_key(&row.packages),
        _ => true,
    });
    let alone = insert::BEGINS_AND_COMMITS && known && !steps;
    if !alone {
        session::begin(writer).await?;
    }
    let mut sets = Vec::with_capacity(commands.len());
    for names in packages(commands) {
        sets.push(package_set(writer, &names).await?);
    }
    let part = place(writer, commands, &sets);
    let placed: Vec<i64> = part.decisions.iter().map(|decision| decision.seq).collect();
    part.run(writer, alone).await?;
    if !alone {
        for command in commands {
            if let Command::Other(step) = command {
                step.run(writer).await?;
            }
        }
        *doubt = Some(Doubt {
            mark: writer.mark,
            chain: writer.chain,
            placed: placed.clone(),
        });
        session::commit(writer).await?;
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

/// Appends outcomes inside a step's transaction.
pub(crate) async fn append_outcomes<'a>(
    writer: &mut Writer,
    rows: impl IntoIterator<Item = &'a OutcomeRow>,
) -> Result<(), sqlx::Error> {
    let mut outcomes = Vec::new();
    for row in rows {
        let (seq, place) = writer.next(&row.draft);
        outcomes.push(PlacedOutcome { seq, place, row });
    }
    if outcomes.is_empty() {
        return Ok(());
    }
    let part = Part {
        decisions: Vec::new(),
        outcomes,
    };
    part.run(writer, false).await
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
