//! Operations of which nobody knows what they did after a backup was made: looked for in the CRM
//! by what they ask, never written again blindly.

use std::time::Duration;

use crmgate_connector::{Fields, Locator, Needs, Target};
use crmgate_domain::{Kind, OperationId, Reads, State, Timestamp};
use crmgate_store::{Locate, Move, ReadBack, StoreError, StoredOperation, Why};

use super::ended::Ending;
use super::settle::Found;
use super::{Desk, Ended, Queued, Step};
use crate::Gate;

/// Nothing is judged: what is written is all that is looked for.
struct Nothing;

impl Needs for Nothing {
    fn reads(&self, _: Kind, _: &str, _: &str) -> Reads {
        Reads::default()
    }
}

impl Gate {
    /// Finds out whether an operation that was put back with a backup has been written since, by
    /// the key that its create would have, or by what its record holds.
    ///
    /// # Errors
    /// When it is not certain that what was found is stored.
    pub async fn settle_restored(
        &self,
        desk: &Desk,
        queued: &Queued,
    ) -> Result<(OperationId, Ended), StoreError> {
        let step = Step::ReadBack.start();
        let found = self.search(queued).await;
        step.stop();
        let stored = &queued.stored;
        let now = self.ambient().now();
        let Some(ending) = ending(desk, stored, (found, now)) else {
            return Ok((stored.id, Ended::Unknown(PAUSE)));
        };
        let step = Step::Settle.start();
        let moved = self.shift_surely(desk, ending.moves).await?;
        step.stop();
        let done = matches!(moved.last(), Some(crmgate_store::Moved::Done(_)));
        Ok((stored.id, if done { ending.ended } else { Ended::Lost }))
    }

    /// An operation that was put back with a backup and asks for nothing that could be looked for.
    ///
    /// # Errors
    /// When it is not certain that it is stored.
    pub async fn settle_unreadable(
        &self,
        desk: &Desk,
        stored: &StoredOperation,
        problem: &str,
    ) -> Result<(OperationId, Ended), StoreError> {
        let found = Found::Unsure(format!("it cannot be looked for: {problem}"));
        let now = self.ambient().now();
        let Some(ending) = ending(desk, stored, (found, now)) else {
            return Ok((stored.id, Ended::Unknown(PAUSE)));
        };
        let moved = self.shift_surely(desk, ending.moves).await?;
        let done = matches!(moved.last(), Some(crmgate_store::Moved::Done(_)));
        Ok((stored.id, if done { ending.ended } else { Ended::Lost }))
    }

    async fn search(&self, queued: &Queued) -> Found {
        let draft = queued.ask.draft.clone();
        let creates = draft.target == Target::New;
        let credential = &queued.ask.caller.credential;
        let looking = self.connector().resolve(draft, &Nothing, credential);
        let limit = self.settings().judge_within;
        let resolved = match tokio::time::timeout(limit, looking).await {
            Ok(Ok(resolved)) => resolved,
            Ok(Err(crmgate_connector::ParseFailure::Failure(
                crmgate_connector::Failure::Repeatable { .. }
                | crmgate_connector::Failure::Unknown { .. },
            )))
            | Err(_) => return Found::Open,
            Ok(Err(error)) => return Found::Unsure(format!("it cannot be looked up: {error}")),
        };
        let read_back = resolved.change.read_back(None);
        match &read_back.locate {
            // Only a key tells a record that this operation made from all others.
            Locate::Nowhere => Found::Unsure(
                "it has no key by which what it may have written could be found".to_owned(),
            ),
            _ if creates => self.ask_crm(&queued.stored, &read_back).await,
            locate => self.holds(&read_back, locate).await,
        }
    }

    /// Whether a record holds all that was to be written: then there is nothing left to do. A
    /// version says nothing here, because the one that stands was read just now.
    async fn holds(&self, read_back: &ReadBack, locate: &Locate) -> Found {
        let unsure = || {
            Found::Unsure(
                "the record does not hold what was to be written, which may have been written and \
                 changed again since the backup"
                    .to_owned(),
            )
        };
        let Locate::Id(id) = locate else {
            return unsure();
        };
        let names = read_back.expect.iter().map(|(name, _)| name.to_owned());
        let fields = Fields::Only(names.collect());
        let locator = Locator::Id(id.clone());
        let reading = self
            .connector()
            .read(&read_back.native_object, &locator, &fields);
        let limit = self.settings().judge_within;
        let Ok(Ok(record)) = tokio::time::timeout(limit, reading).await else {
            return Found::Open;
        };
        let mut expected = read_back.expect.iter();
        let holds = record.is_some_and(|record| {
            !read_back.deleted
                && expected.all(|(name, value)| record.fields.get(name) == Some(value))
        });
        if holds {
            Found::Happened(Some(id.clone()))
        } else {
            unsure()
        }
    }
}

/// How long until the CRM is asked again.
const PAUSE: Duration = Duration::from_secs(10);

/// The way to where a restored operation belongs.
pub(super) fn ending(
    desk: &Desk,
    stored: &StoredOperation,
    (found, now): (Found, Timestamp),
) -> Option<Ending> {
    let (to, reason, record_id) = match found {
        Found::Open => return None,
        Found::Happened(id) => (State::Succeeded, None, id),
        Found::DidNotHappen => (State::Received, None, None),
        Found::Unsure(reason) => {
            let message = format!("a backup was put back while it was open: {reason}");
            (State::Uncertain, Some(Why::new("restored", message)), None)
        }
    };
    let mut moves: Vec<Move> = Vec::new();
    for (index, state) in (0..).zip(way(stored.state, to)) {
        let mut then = desk.step(stored, state, now);
        then.seen = stored.version + index;
        then.why = Some(Why::new(
            "restored",
            "a backup was put back while it was open",
        ));
        moves.push(then);
    }
    if let Some(last) = moves.last_mut() {
        last.record_id = record_id;
        last.millicalls = 1_000;
        last.due = (to == State::Received).then_some(now);
        if reason.is_some() {
            last.why = reason;
        }
    }
    let ended = if to == State::Received {
        Ended::Again(Duration::ZERO)
    } else {
        Ended::Over(to)
    };
    Some(Ending { moves, ended })
}

/// The shortest allowed way from one state to another, of one step at least.
fn way(from: State, to: State) -> Vec<State> {
    const THROUGH: [State; 3] = [State::Received, State::Uncertain, State::Writing];
    let mut ways: Vec<Vec<State>> = from.next().iter().map(|next| vec![*next]).collect();
    for _ in 0..THROUGH.len() {
        if let Some(found) = ways.iter().find(|way| way.last() == Some(&to)) {
            return found.clone();
        }
        let longer = ways.iter().filter_map(|way| {
            let last = way.last().filter(|last| THROUGH.contains(last))?;
            Some(
                last.next()
                    .iter()
                    .map(|next| [way.as_slice(), &[*next]].concat()),
            )
        });
        ways = longer.flatten().collect();
    }
    ways.into_iter()
        .find(|way| way.last() == Some(&to))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_an_allowed_way_to_every_end() {
        for from in [
            State::Received,
            State::Deciding,
            State::Permitted,
            State::Writing,
        ] {
            for to in [State::Received, State::Succeeded, State::Uncertain] {
                let way = way(from, to);
                assert_eq!(way.last(), Some(&to), "{from} to {to}");
                let mut at = from;
                for next in way {
                    assert!(at.may_become(next), "{from} to {to}: {at} to {next}");
                    at = next;
                }
            }
        }
        assert_eq!(
            way(State::Received, State::Received),
            [State::Uncertain, State::Received]
        );
    }
}
