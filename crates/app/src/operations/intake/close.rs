//! The second half: staging what was read, and closing the submission.

use std::sync::Arc;
use std::time::Duration;

use crmgate_domain::{ConnectionName, SubmissionId, Timestamp};
use crmgate_enforce::queued::Step;
use crmgate_store::{NewOperation, Staged, Submission};

use super::super::Operations;
use super::super::meters;
use super::super::request::Wrong;
use super::super::submit::{OnError, SubmitError, Submitted};
use super::{CHUNK, CHUNK_BYTES, Intake};

/// How often what stands against accepting is looked for anew, after lines were left out.
const MOST_ROUNDS: usize = 100;
/// After how long the store is asked again to drop what was not accepted, at first and later.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

impl Intake {
    pub(super) async fn keep(&mut self, row: NewOperation) -> Result<(), SubmitError> {
        // When nothing will be taken, the rest is read for its errors alone.
        if self.submit.on_error == OnError::Refuse && self.errors.count > 0 {
            return Ok(());
        }
        self.chunk_bytes += row.request.len();
        self.chunk.push(row);
        if self.chunk.len() >= CHUNK || self.chunk_bytes >= CHUNK_BYTES {
            self.stage().await?;
        }
        Ok(())
    }

    async fn stage(&mut self) -> Result<(), SubmitError> {
        let rows = std::mem::take(&mut self.chunk);
        self.chunk_bytes = 0;
        if rows.is_empty() {
            return Ok(());
        }
        let mut asked: Vec<&ConnectionName> = rows.iter().map(|row| &row.connection).collect();
        asked.sort_unstable();
        asked.dedup();
        for connection in asked {
            self.operations.pressure.check(Some(connection)).await?;
        }
        let kept: Vec<_> = rows
            .iter()
            .map(|row| (row.id, row.line, row.client_id.clone()))
            .collect();
        let step = Step::Stage.start();
        let staged = self.operations.log.stage(self.submission.id, rows).await?;
        step.stop();
        for ((id, line, client_id), staged) in kept.into_iter().zip(staged) {
            match staged {
                Staged::New => {
                    self.submission.count += 1;
                    self.single = Some(id);
                }
                Staged::Same(known) => {
                    self.submission.repeated += 1;
                    self.single = Some(known);
                    self.groups.repeat(line);
                }
                Staged::Differs(known) => {
                    let message = format!(
                        "was used with another content, for operation `{known}`: use another one for another content"
                    );
                    let wrong = Wrong::at("client_id_reused", "client_id", message);
                    self.errors.add(wrong.on(line, client_id.as_deref()));
                    self.groups.refuse_line(line);
                }
            }
        }
        Ok(())
    }

    pub(super) async fn finish(&mut self) -> Result<Submitted, SubmitError> {
        self.stage().await?;
        if self.lines == 0 {
            return Err(SubmitError::Empty);
        }
        self.leave_groups_out().await?;
        self.leave_misfits_out().await?;
        if self.submission.count + self.submission.repeated == 0 {
            return Err(self.refused());
        }
        let submitted = Submitted {
            submission: self.submission.id,
            accepted: self.submission.count,
            repeated: self.submission.repeated,
            refused: self.errors.count,
            truncated: self.errors.truncated(),
            errors: std::mem::take(&mut self.errors.told),
            operation: self.single.filter(|_| self.submit.single),
            replayed: false,
        };
        let content = self.content();
        let submission = &mut self.submission;
        submission.refused = submitted.refused;
        submission.accepted_at = Some(self.operations.ambient.now());
        submission.content = Some(content);
        submission.answer = serde_json::to_string(&submitted).ok();
        let step = Step::Accept.start();
        self.operations.log.accept(submission).await?;
        step.stop();
        self.operations.took(submission).await;
        Ok(submitted)
    }

    /// Nothing is taken when a line is wrong, or (`skip`) only what belongs to no refused group.
    async fn leave_groups_out(&mut self) -> Result<(), SubmitError> {
        let refuse = self.submit.on_error == OnError::Refuse;
        if refuse && self.errors.count > 0 {
            return Err(self.refused());
        }
        let mut lines = Vec::new();
        for (line, wrong) in self.groups.incomplete() {
            self.errors.add(wrong.on(line, None));
            lines.push(line);
        }
        if refuse && !lines.is_empty() {
            return Err(self.refused());
        }
        self.leave_out(&lines).await
    }

    /// Dependencies and groups can only be looked at when everything is there.
    async fn leave_misfits_out(&mut self) -> Result<(), SubmitError> {
        let most = self.operations.limits.group;
        for _ in 0..MOST_ROUNDS {
            let misfits = self
                .operations
                .log
                .misfits(self.submission.id, most)
                .await?;
            if misfits.is_empty() {
                return Ok(());
            }
            let mut lines = Vec::new();
            for misfit in misfits {
                if lines.contains(&misfit.line) {
                    continue;
                }
                lines.push(misfit.line);
                let wrong = Wrong::at(misfit.code, field_of(misfit.code), misfit.message);
                self.errors.add(wrong.on(misfit.line, None));
                self.groups.refuse_line(misfit.line);
            }
            if self.submit.on_error == OnError::Refuse {
                return Err(self.refused());
            }
            for (line, wrong) in self.groups.incomplete() {
                if !lines.contains(&line) {
                    lines.push(line);
                    self.errors.add(wrong.on(line, None));
                }
            }
            self.leave_out(&lines).await?;
        }
        Err(self.refused())
    }

    async fn leave_out(&mut self, lines: &[u64]) -> Result<(), SubmitError> {
        if lines.is_empty() {
            return Ok(());
        }
        let log = &self.operations.log;
        let dropped = log.drop_staged(self.submission.id, Some(lines)).await?;
        self.submission.count = self.submission.count.saturating_sub(dropped);
        Ok(())
    }

    pub(super) fn refused(&mut self) -> SubmitError {
        let errors = std::mem::take(&mut self.errors.told);
        if self.submit.single
            && let Some(error) = errors.first()
        {
            return SubmitError::Wrong(error.clone());
        }
        SubmitError::Refused {
            lines: self.lines,
            refused: self.errors.count,
            truncated: self.errors.count > errors.len() as u64,
            errors,
        }
    }
}

fn field_of(code: &str) -> &'static str {
    if code.contains("group") {
        "group"
    } else {
        "depends_on"
    }
}

impl Operations {
    /// Drops what was begun and not accepted, so that its key is free again. What the store cannot
    /// do now is done as soon as it can: until then the key is this process' and nobody else's.
    pub(super) async fn let_go(&self, id: SubmissionId) {
        let Err(error) = self.log.drop_staged(id, None).await else {
            return;
        };
        tracing::warn!(%error, submission = %id, "what was not accepted is dropped later");
        let log = Arc::clone(&self.log);
        tokio::spawn(async move {
            let mut pause = FIRST_PAUSE;
            loop {
                tokio::time::sleep(pause).await;
                if log.drop_staged(id, None).await.is_ok() {
                    return;
                }
                pause = LONGEST_PAUSE.min(pause * 2);
            }
        });
    }

    /// Lets what was accepted begin at once where it is little; a sweeper does the rest.
    async fn took(&self, submission: &Submission) {
        meters::submitted(submission);
        let at: Timestamp = self.ambient.now();
        if let Err(error) = self.log.unfold(at, CHUNK).await {
            tracing::warn!(%error, submission = %submission.id, "accepted operations begin later");
        }
    }
}
