//! Writes as one change set: all of them or none.

use crmgate_connector::{Failure, Written};

use super::{Row, Run, batch, rolled_back, whole};
use crate::multipart::{self, Message, Part};
use crate::upstream::Answer;

impl Run<'_> {
    pub(super) async fn all_or_none(&mut self, mut rows: Vec<Row>) {
        if rows.len() < 2 {
            if let Some(row) = rows.pop() {
                self.alone(row).await;
            }
            return;
        }
        let outer = self.boundary("batch", &rows);
        let inner = self.boundary("changeset", &rows);
        let calls = rows.iter().map(|row| &row.sending.call);
        let body = multipart::change_set(calls, (&outer, &inner));
        let call = batch(&rows, &outer, body);
        match self.call(&call).await {
            Err(failure) => self.put_all(&rows, || failure.of_one()),
            Ok(answer) => match multipart::boundary(&answer.headers) {
                Some(boundary) => self.change_set(&rows, &answer, &boundary).await,
                None => self.put_all(&rows, || whole(&answer)),
            },
        }
    }

    async fn change_set(&mut self, rows: &[Row], answer: &Answer, boundary: &str) {
        let mut outer = multipart::read(&answer.body, boundary);
        // Its own end may have come, if not the batch's.
        let cut_off = outer.cut_off.take();
        let Some(only) = outer.parts.into_iter().next().flatten().or(cut_off) else {
            return self.put_all(rows, || {
                Failure::unknown("the batch's answer holds no part")
            });
        };
        match multipart::boundary(&only.headers) {
            Some(_) => self.told(rows, &inner(&only)).await,
            None => match only.answer().filter(|answer| !answer.status.is_success()) {
                // One error in the change set's place, with nothing that says whose.
                Some(answer) => self.failed(rows, None, answer).await,
                None => self.put_all(rows, || Failure::unknown("the answer holds no change set")),
            },
        }
    }

    /// Reads the answers to the writes of the change set.
    async fn told(&mut self, rows: &[Row], message: &Message<'_>) {
        let mut answers = Vec::new();
        for (at, part) in message.parts.iter().enumerate() {
            let Some((part, answer)) = part.as_ref().and_then(|part| Some((part, part.answer()?)))
            else {
                continue;
            };
            let named = place(part);
            if !answer.status.is_success() {
                return self.failed(rows, named, answer).await;
            }
            answers.push((named.unwrap_or(at), answer));
        }
        for (at, row) in rows.iter().enumerate() {
            let found = answers.iter().position(|(place, _)| *place == at);
            let result = match found.map(|found| answers.swap_remove(found)) {
                Some((_, answer)) => self.settled(row, answer).await,
                None => Err(Failure::unknown(
                    "the batch's answer broke off before this write",
                )),
            };
            self.desk.put(row.index, result);
        }
    }

    /// One write failed, and all were undone.
    async fn failed(&mut self, rows: &[Row], named: Option<usize>, answer: Answer) {
        let Some(culprit) = named.and_then(|at| rows.get(at)) else {
            return self.failed_somewhere(rows, &answer).await;
        };
        let result = self.settled(culprit, answer).await;
        let wait = match &result {
            Err(Failure::Repeatable { retry_after, .. }) => *retry_after,
            _ => None,
        };
        let before = may_have_happened(&result);
        self.put_all(rows, || rolled_back(wait));
        self.desk.put(culprit.index, result);
        if before {
            self.desk.doubt_the_rolled_back();
        }
    }

    /// One write failed, and the answer does not say which: any of them may be the one.
    async fn failed_somewhere(&mut self, rows: &[Row], answer: &Answer) {
        let mut results = Vec::with_capacity(rows.len());
        for row in rows {
            results.push(self.settled(row, answer.clone()).await);
        }
        let moved = |result: &Result<_, _>| matches!(result, Err(Failure::VersionMismatch));
        let (before, pinned) = (
            results.iter().any(may_have_happened),
            results.iter().any(moved),
        );
        for (row, result) in rows.iter().zip(results) {
            let is_other = match before {
                true => result.is_err(),
                false => pinned && !moved(&result),
            };
            let result = if is_other {
                Err(rolled_back(None))
            } else {
                result
            };
            self.desk.put(row.index, result);
        }
        if before {
            self.desk.doubt_the_rolled_back();
        }
    }
}

/// Whether a write that the CRM says it did not do now was done before, by an earlier sending of
/// the same, or nobody can tell.
const fn may_have_happened(result: &Result<Written, Failure>) -> bool {
    matches!(result, Ok(_) | Err(Failure::Unknown { .. }))
}

fn inner<'a>(part: &Part<'a>) -> Message<'a> {
    let boundary = multipart::boundary(&part.headers);
    boundary.map_or_else(Message::default, |boundary| {
        multipart::read(part.body, &boundary)
    })
}

/// Which write a part answers, by the number that it was sent with.
fn place(part: &Part<'_>) -> Option<usize> {
    part.content_id()?.parse::<usize>().ok()?.checked_sub(1)
}
