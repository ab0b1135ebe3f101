//! Many deeds in few statements.
//!
//! Deeds that name different operations are done as one: all are found, all are moved, and then all
//! that follows is done. That is as if those that take operations had come first: of several that
//! wait for each other in a lane, at most one could be begun with.
//!
//! INVARIANT: what follows from a deed is done once all of it is made: nobody meets an operation
//! midway that one deed moves several times.

use std::collections::{HashMap, HashSet};

use crmgate_domain::{OperationId, State};
use crmgate_store::{Begun, Moved, StoredOperation};

use super::super::decisions::package_set;
use super::super::holds;
use super::super::places::Part as Entries;
use super::super::writer::Writer;
use super::begin::{Taking, whole};
use super::decide::{Deciding, Deed, Shifting};
use super::effects::Effects;
use super::follow::follow;
use super::make::{Done, Made, Wanted, make};
use super::moves::find;
use super::rows::Seen;
use super::{Connection, jobs};

/// Operations as they were found, and whether each could be begun with.
type Found = HashMap<OperationId, (Seen, bool)>;

/// The part of a deed that is about one operation.
#[derive(Clone, Copy)]
enum Part<'a> {
    Take(&'a Taking),
    Decide(&'a Deciding),
    Shift(&'a Shifting),
}

/// What a part came to.
enum Said {
    Begun(Begun),
    Decided(Result<u64, Moved>),
    Moved(Moved),
}

/// What a part came to so far.
enum So {
    Said(Said),
    /// It took the operation of this number.
    Took(i64),
    /// It has to look for itself.
    Looks,
}

/// Does all of them in their order, as many as possible as one.
pub(crate) async fn together(
    writer: &mut Writer,
    deeds: Vec<&mut Deed>,
) -> Result<(), sqlx::Error> {
    if deeds.is_empty() {
        return Ok(());
    }
    let mut effects = writer.effects();
    let mut said = Vec::with_capacity(deeds.len());
    let mut wave = Vec::with_capacity(deeds.len());
    let mut named: HashSet<OperationId> = HashSet::new();
    for deed in &deeds {
        let own = waves(parts(deed));
        let met = |part: &Part<'_>| named.contains(&part.id());
        if own.len() > 1 || own.iter().flatten().any(met) {
            said.extend(as_one(writer, &[std::mem::take(&mut wave)], &mut effects).await?);
            named.clear();
        }
        match <[Vec<Part<'_>>; 1]>::try_from(own) {
            Ok([own]) => {
                named.extend(own.iter().map(Part::id));
                wave.extend(own);
            }
            Err(own) => said.extend(as_one(writer, &own, &mut effects).await?),
        }
    }
    said.extend(as_one(writer, &[wave], &mut effects).await?);
    answer(deeds, said);
    writer.finish(effects).await
}

/// Parts of one deed in their order, each wave of which names different operations.
fn waves(parts: Vec<Part<'_>>) -> Vec<Vec<Part<'_>>> {
    let mut waves = Vec::new();
    let mut wave = Vec::with_capacity(parts.len());
    let mut named: HashSet<OperationId> = HashSet::new();
    for part in parts {
        if !named.insert(part.id()) {
            waves.push(std::mem::take(&mut wave));
            named = HashSet::from([part.id()]);
        }
        wave.push(part);
    }
    waves.push(wave);
    waves
}

fn parts(deed: &Deed) -> Vec<Part<'_>> {
    match deed {
        Deed::Take(taking, _) => vec![Part::Take(taking)],
        Deed::Decide(deciding, _) => vec![Part::Decide(deciding)],
        Deed::Shift(moves, _) => moves.iter().map(Part::Shift).collect(),
    }
}

/// Puts down what each is answered.
fn answer(deeds: Vec<&mut Deed>, said: Vec<Said>) {
    let mut said = said.into_iter();
    for deed in deeds {
        match deed {
            Deed::Take(_, slot) => {
                if let Some(Said::Begun(begun)) = said.next() {
                    slot.said = Some(begun);
                }
            }
            Deed::Decide(_, slot) => {
                if let Some(Said::Decided(decided)) = said.next() {
                    slot.said = Some(decided);
                }
            }
            Deed::Shift(moves, slot) => {
                let moved = said.by_ref().take(moves.len());
                let moved = moved.filter_map(|said| match said {
                    Said::Moved(moved) => Some(moved),
                    Said::Begun(_) | Said::Decided(_) => None,
                });
                slot.said = Some(moved.collect());
            }
        }
    }
}

/// Does waves of parts, and then all that follows from them: what each part came to.
async fn as_one(
    writer: &mut Writer,
    waves: &[Vec<Part<'_>>],
    effects: &mut Effects,
) -> Result<Vec<Said>, sqlx::Error> {
    let mut ways = Ways::default();
    let mut so = Vec::new();
    for wave in waves.iter().filter(|wave| !wave.is_empty()) {
        so.extend(made(writer, wave, &mut ways, effects).await?);
    }
    revive(&mut writer.connection, &ways.done).await?;
    follow(&mut writer.connection, ways.done, effects).await?;
    let parts: Vec<&Part<'_>> = waves.iter().flatten().collect();
    said(writer, &parts, so, effects).await
}

/// Does parts that name different operations, without what follows.
async fn made(
    writer: &mut Writer,
    parts: &[Part<'_>],
    ways: &mut Ways,
    effects: &mut Effects,
) -> Result<Vec<So>, sqlx::Error> {
    let ids: Vec<OperationId> = parts.iter().map(Part::id).collect();
    let mut found = find(&mut writer.connection, &ids).await?;
    let mut wanted = Vec::with_capacity(parts.len());
    for part in parts {
        wanted.extend(part.wanted(writer, &mut found).await?);
    }
    let made = make(&mut writer.connection, wanted, effects).await?;
    let mut stand = Stand::new(made, found);
    let mut entries = Entries::default();
    let mut so = Vec::with_capacity(parts.len());
    for part in parts {
        so.push(stand.tell(writer, part, &mut entries).await?);
    }
    entries.run(writer, false).await?;
    stand.done.into_iter().for_each(|done| ways.go(done));
    Ok(so)
}

/// The ways of operations, each from where it stood to where it came.
#[derive(Default)]
struct Ways {
    done: Vec<Done>,
    places: HashMap<i64, usize>,
}

impl Ways {
    fn go(&mut self, step: Done) {
        let at = *self.places.entry(step.row.nr).or_insert(self.done.len());
        let Some(way) = self.done.get_mut(at) else {
            self.done.push(step);
            return;
        };
        // What was brought back from there is to be looked after, wherever else it was.
        let back = step.was.is_final() || step.was == State::Uncertain;
        let was = if back { step.was } else { way.was };
        *way = Done { was, ..step };
    }
}

impl Part<'_> {
    const fn id(&self) -> OperationId {
        match self {
            Self::Take(taking) => taking.id,
            Self::Decide(deciding) => deciding.then.id,
            Self::Shift(shifting) => shifting.then.id,
        }
    }

    /// The move that it wants, if it can be made of what was found, which is then taken out.
    async fn wanted(
        &self,
        writer: &mut Writer,
        found: &mut Found,
    ) -> Result<Option<Wanted>, sqlx::Error> {
        let Some((row, movable)) = found.remove(&self.id()) else {
            return Ok(None);
        };
        let wanted = match self {
            Self::Take(taking) if !taking.at_once(&row, movable) => None,
            Self::Take(taking) => Some(taking.wanted(row.clone())),
            Self::Decide(deciding) => Some(deciding.wanted(row.clone())),
            Self::Shift(Shifting { then, .. }) => Some(Wanted::new(row.clone(), then.clone())),
        };
        let Some(wanted) = wanted.filter(Wanted::fits) else {
            found.insert(row.id, (row, movable));
            return Ok(None);
        };
        // The hold is there before the row that names it: its end is looked up.
        if let Self::Decide(deciding) = self
            && let Some(hold) = &deciding.hold
        {
            holds::insert(writer, hold).await?;
        }
        Ok(Some(wanted))
    }
}

/// Where all stands after the moves.
struct Stand {
    made: HashMap<OperationId, Made>,
    done: Vec<Done>,
}

impl Stand {
    fn new(made: Vec<Made>, found: Found) -> Self {
        let made = made.into_iter().map(|made| match made {
            Ok(done) => (done.row.id, Ok(done)),
            Err(row) => (row.id, Err(row)),
        });
        let untouched = found.into_iter().map(|(id, (row, _))| (id, Err(row)));
        Self {
            made: made.chain(untouched).collect(),
            done: Vec::new(),
        }
    }

    /// What came of the move of an operation: its version.
    fn moved(&mut self, id: OperationId) -> Result<u64, Moved> {
        match self.made.remove(&id) {
            Some(Ok(done)) => {
                let version = done.row.version.unsigned_abs();
                self.done.push(done);
                Ok(version)
            }
            Some(Err(row)) => Err(row.lost()),
            None => Err(Moved::Absent),
        }
    }

    /// What a part came to; what is to be appended to the record goes to the entries.
    async fn tell<'a>(
        &mut self,
        writer: &mut Writer,
        part: &Part<'a>,
        entries: &mut Entries<'a>,
    ) -> Result<So, sqlx::Error> {
        Ok(So::Said(match part {
            Part::Take(taking) => {
                return Ok(match self.made.remove(&taking.id) {
                    Some(Ok(done)) => So::Took(done.row.nr),
                    _ => So::Looks,
                });
            }
            Part::Decide(Deciding {
                row, then, outcome, ..
            }) => Said::Decided(match self.moved(then.id) {
                Ok(_) => {
                    let packages = package_set(writer, &row.packages).await?;
                    let place = entries.decision(writer, packages, row);
                    if let Some(outcome) = outcome {
                        entries.outcome(writer, outcome);
                    }
                    Ok(place.unsigned_abs())
                }
                Err(lost) => Err(lost),
            }),
            Part::Shift(Shifting { then, outcome }) => {
                let moved = self.moved(then.id);
                if let (Ok(_), Some(outcome)) = (&moved, outcome) {
                    entries.outcome(writer, outcome);
                }
                Said::Moved(moved.map_or_else(|lost| lost, Moved::Done))
            }
        }))
    }
}

/// What each is told. Those that have to look for themselves do so now.
async fn said(
    writer: &mut Writer,
    parts: &[&Part<'_>],
    so: Vec<So>,
    effects: &mut Effects,
) -> Result<Vec<Said>, sqlx::Error> {
    let taken = so.iter().filter_map(|so| match so {
        So::Took(nr) => Some(*nr),
        So::Said(_) | So::Looks => None,
    });
    let taken: Vec<i64> = taken.collect();
    let taken = whole(&mut writer.connection, &taken).await?;
    let mut taken: HashMap<OperationId, StoredOperation> =
        taken.into_iter().map(|taken| (taken.id, taken)).collect();
    let mut all = Vec::with_capacity(parts.len());
    for (part, so) in parts.iter().zip(so) {
        all.push(match (so, part) {
            (So::Said(said), _) => said,
            (So::Looks, Part::Take(taking)) => {
                Said::Begun(taking.take(&mut writer.connection, effects).await?)
            }
            _ => {
                let taken = taken.remove(&part.id()).ok_or(sqlx::Error::RowNotFound)?;
                Said::Begun(Begun::Decide(vec![taken]))
            }
        });
    }
    Ok(all)
}

/// Whoever wants something tried once more wants its job, too, even when that is dead.
async fn revive(connection: &mut Connection, done: &[Done]) -> Result<(), sqlx::Error> {
    for done in done {
        let again = done.was.is_final() || done.was == State::Uncertain;
        if again && done.row.state == State::Received {
            let id = done.row.group.unwrap_or(done.row.id).to_string();
            let queue = format!("operations/{}", done.row.connection);
            jobs::bury_not(connection, &queue, &id).await?;
        }
    }
    Ok(())
}
