//! Writes as one change set: all of them or none.

use crmgate_connector::{Failure, Written};

use super::{Row, Run, again, batch, rolled_back, unknown, whole};
use crate::multipart::{self, Message, Part};
use crate::upstream::Answer;

const SENT_TWICE: &str = "one write of its group was done before; perhaps all were";

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
            Err(failure) => self.put_all(&rows, || again(&failure)),
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
            return self.put_all(rows, || unknown("the batch's answer holds no part"));
        };
        match multipart::boundary(&only.headers) {
            Some(_) => self.told(rows, &inner(&only)).await,
            None => match only.answer().filter(|answer| !answer.status.is_success()) {
                // One error in the change set's place, with nothing that says whose.
                Some(answer) => self.failed(rows, None, answer).await,
                None => self.put_all(rows, || unknown("the answer holds no change set")),
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
                None => Err(unknown("the batch's answer broke off before this write")),
            };
            self.put(row.index, result);
        }
    }

    /// One write failed, and all were undone.
    async fn failed(&mut self, rows: &[Row], named: Option<usize>, answer: Answer) {
        let Some(culprit) = named.and_then(|at| rows.get(at)) else {
            return self.failed_somewhere(rows, &answer).await;
        };
        let result = self.settled(culprit, answer).await;
        let others = match &result {
            // The gate's own key was taken, by an earlier sending of the same.
            Ok(Written { .. }) => Some(SENT_TWICE),
            Err(Failure::Unknown { .. }) => Some("the outcome of its group is unknown"),
            Err(_) => None,
        };
        let wait = match &result {
            Err(Failure::Repeatable { retry_after, .. }) => *retry_after,
            _ => None,
        };
        for row in rows.iter().filter(|row| row.index != culprit.index) {
            let failure = others.map_or_else(|| rolled_back(wait), unknown);
            self.put(row.index, Err(failure));
        }
        self.put(culprit.index, result);
    }
}

impl Run<'_> {
    /// One write failed, and the answer does not say which: any of them may be the one.
    async fn failed_somewhere(&mut self, rows: &[Row], answer: &Answer) {
        let mut failures = Vec::with_capacity(rows.len());
        for row in rows {
            failures.push(match self.settled(row, answer.clone()).await {
                Err(failure) => failure,
                Ok(_) => unknown(SENT_TWICE),
            });
        }
        let moved = |failure: &Failure| matches!(failure, Failure::VersionMismatch);
        let pinned = failures.iter().any(moved);
        for (row, failure) in rows.iter().zip(failures) {
            let failure = if pinned && !moved(&failure) {
                rolled_back(None)
            } else {
                failure
            };
            self.put(row.index, Err(failure));
        }
    }
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
