//! One transaction for everything that waits.

use std::collections::HashMap;

use crmgate_store::StoreError;
use crmgate_store::chain::Chain;

use super::decisions::{DecisionRow, package_set};
use super::places::Part;
use super::session::{self, Mark};
use super::writer::{Command, Lane, Writer};
use super::{insert, operations};
use crate::bells::Rung;
use crate::error::{own_fault, unavailable};

/// The numbers of package sets. Forgotten with the writer when a transaction fails, so that it
/// never holds a number that was rolled back.
pub(crate) type PackageSets = HashMap<String, i64>;

/// A transaction whose end was asked for and not heard of.
pub(crate) struct Doubt {
    pub(crate) mark: Mark,
    /// The chain as it is if the transaction came through.
    pub(crate) chain: Chain,
    pub(crate) placed: Placed,
}

/// What a transaction did.
#[derive(Default)]
pub(crate) struct Placed {
    /// Where its decisions stand.
    positions: Vec<i64>,
    /// Whom to tell.
    rung: Rung,
}

/// Does all of it in one transaction and answers.
pub(crate) async fn carry_out(lane: &mut Lane, mut commands: Vec<Command>) {
    let error = match lane.attempt(&mut commands).await {
        Ok(placed) => {
            lane.bells.ring(placed.rung);
            return confirm(commands, placed.positions);
        }
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

/// A failure leaves the writer as it was before.
pub(crate) async fn transaction(
    writer: &mut Writer,
    commands: &mut [Command],
    doubt: &mut Option<Doubt>,
) -> Result<Placed, sqlx::Error> {
    let before = (writer.last, writer.chain);
    let done = statements(writer, commands, doubt).await;
    if done.is_err() {
        (writer.last, writer.chain) = before;
        writer.sets.clear();
        writer.rung = Rung::default();
    }
    done
}

async fn statements(
    writer: &mut Writer,
    commands: &mut [Command],
    doubt: &mut Option<Doubt>,
) -> Result<Placed, sqlx::Error> {
    let steps = commands.iter().any(Command::is_step);
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
    let positions: Vec<i64> = part.decisions.iter().map(|decision| decision.seq).collect();
    part.run(writer, alone).await?;
    if alone {
        return Ok(Placed {
            positions,
            rung: Rung::default(),
        });
    }
    steps_of(writer, commands).await?;
    let rung = std::mem::take(&mut writer.rung);
    let placed = &mut doubt
        .insert(Doubt {
            mark: writer.mark,
            chain: writer.chain,
            placed: Placed { positions, rung },
        })
        .placed;
    session::commit(writer).await?;
    Ok(std::mem::take(placed))
}

/// Does the steps in their order; what is done to operations in between two others goes together.
async fn steps_of(writer: &mut Writer, commands: &mut [Command]) -> Result<(), sqlx::Error> {
    let mut deeds = Vec::new();
    for command in commands {
        match command {
            Command::Deed(deed) => deeds.push(deed.as_mut()),
            Command::Other(step) => {
                operations::together(writer, std::mem::take(&mut deeds)).await?;
                step.run(writer).await?;
            }
            Command::Decision(..) | Command::Outcome(..) | Command::Close => {}
        }
    }
    operations::together(writer, deeds).await
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
    let mut part = Part::default();
    for command in commands {
        match command {
            Command::Decision(row, _) => {
                let packages = sets.next().copied().unwrap_or_default();
                part.decision(writer, packages, row);
            }
            Command::Outcome(row, _) => part.outcome(writer, row),
            Command::Deed(_) | Command::Other(_) | Command::Close => {}
        }
    }
    part
}

/// Appends one decision inside a step's transaction.
pub(crate) async fn append(writer: &mut Writer, row: &DecisionRow) -> Result<(), sqlx::Error> {
    let packages = package_set(writer, &row.packages).await?;
    let mut part = Part::default();
    part.decision(writer, packages, row);
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
            Command::Deed(deed) => deed.answer(Ok(())),
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
        Command::Deed(deed) => deed.answer(Err(error)),
        Command::Other(step) => step.answer(Err(error)),
        Command::Close => {}
    }
}
