//! One submission on its way in: read, checked and staged piece by piece, accepted at the end.
//!
//! INVARIANT: memory does not grow with the body. What is held is one line, one chunk of rows, a
//! bounded list of errors, and the line numbers of a bounded number of grouped operations.

use std::sync::Arc;
use std::time::Duration;

use crmgate_domain::{Actor, ConnectionName, OperationId, PayloadHash, SubmissionId, Timestamp};
use crmgate_enforce::queued::Step;
use crmgate_store::{NewOperation, Opened, Role, Staged, Submission};
use futures::StreamExt as _;
use sha2::{Digest as _, Sha256};

use super::Operations;
use super::form::Form;
use super::grouped::Groups;
use super::lines::{Line, Lines};
use super::names::Names;
use super::request::{self, About, LineError, OperationRequest, Placed, Wrong};
use super::submit::{Incoming, OnError, Submit, SubmitError, Submitted};
use crate::Principal;
use crate::identify::actor_of;

/// Rows that are staged together, and how many bytes of requests at most.
const CHUNK: usize = 500;
const CHUNK_BYTES: usize = 4 << 20;
/// Errors that are told one by one.
const MOST_ERRORS: usize = 1000;
/// How often what stands against accepting is looked for anew, after lines were left out.
const MOST_ROUNDS: usize = 100;
/// After how long the store is asked again to drop what was not accepted, at first and later.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What is wrong, as far as it is told.
#[derive(Default)]
struct Errors {
    told: Vec<LineError>,
    count: u64,
}

impl Errors {
    fn add(&mut self, error: LineError) {
        self.count += 1;
        if self.told.len() < MOST_ERRORS {
            self.told.push(error);
        }
    }

    fn truncated(&self) -> bool {
        self.count > self.told.len() as u64
    }
}

/// A submission that is being taken.
pub(crate) struct Intake {
    operations: Arc<Operations>,
    by: Principal,
    actor: Actor,
    submit: Submit,
    submission: Submission,
    names: Names,
    groups: Groups,
    chunk: Vec<NewOperation>,
    chunk_bytes: usize,
    errors: Errors,
    lines: u64,
    hash: Sha256,
    single: Option<OperationId>,
}

impl Intake {
    pub(crate) fn new(operations: Arc<Operations>, by: Principal, submit: Submit) -> Self {
        let submission = Submission {
            id: SubmissionId::fresh(operations.ambient.as_ref()),
            owner: by.token.id.clone(),
            key: submit.key.clone(),
            at: operations.ambient.now(),
            accepted_at: None,
            content: None,
            count: 0,
            repeated: 0,
            refused: 0,
            answer: None,
        };
        let mut hash = Sha256::new();
        // The same body submitted in another way is another content.
        let how = format!(
            "{:?} {:?} {}\n",
            submit.on_error, submit.connection, submit.single
        );
        hash.update(how.as_bytes());
        Self {
            actor: actor_of(&by),
            names: Names::default(),
            groups: Groups::default(),
            chunk: Vec::new(),
            chunk_bytes: 0,
            errors: Errors::default(),
            lines: 0,
            single: None,
            hash,
            operations,
            by,
            submit,
            submission,
        }
    }

    /// Takes it in, or nothing of it.
    pub(crate) async fn take(mut self, body: Incoming) -> Result<Submitted, SubmitError> {
        let log = Arc::clone(&self.operations.log);
        match log.open_submission(&self.submission).await? {
            Opened::UnderWay(id) => return Err(SubmitError::UnderWay(id)),
            Opened::Known(known) => return self.again(*known, body).await,
            Opened::New => {}
        }
        let taken = match self.read(body).await {
            Ok(()) => self.finish().await,
            Err(error) => Err(error),
        };
        if taken.is_err() {
            self.operations.let_go(self.submission.id).await;
        }
        taken
    }

    /// The answer of the first time, if it is the same body.
    async fn again(
        mut self,
        known: Submission,
        mut body: Incoming,
    ) -> Result<Submitted, SubmitError> {
        let reading = async {
            while let Some(piece) = body.next().await {
                let piece = piece.map_err(|error| SubmitError::BrokenOff(error.0))?;
                self.hash.update(&piece);
            }
            Ok::<_, SubmitError>(())
        };
        let limit = self.operations.limits.time;
        tokio::time::timeout(limit, reading).await.map_err(|_| {
            SubmitError::TooSlow(format!("the body did not come within {limit:?}"))
        })??;
        if known.content != Some(self.content()) {
            return Err(SubmitError::KeyReused(known.id));
        }
        let answer = known.answer.as_deref().map(serde_json::from_str);
        let Some(Ok(answer)) = answer else {
            return Err(SubmitError::KeyReused(known.id));
        };
        Ok(Submitted {
            replayed: true,
            ..answer
        })
    }

    fn content(&self) -> PayloadHash {
        PayloadHash::of(&[&self.hash.clone().finalize()])
    }

    async fn read(&mut self, mut body: Incoming) -> Result<(), SubmitError> {
        let limits = self.operations.limits.clone();
        let late =
            || SubmitError::TooSlow(format!("the body did not come within {:?}", limits.time));
        let end = tokio::time::Instant::now() + limits.time;
        let mut lines = Lines::new(limits.line);
        let mut whole = Vec::new();
        loop {
            let next = tokio::time::timeout(limits.idle, body.next());
            let next = tokio::time::timeout_at(end, next)
                .await
                .map_err(|_| late())?;
            let Some(piece) = next.map_err(|_| {
                SubmitError::TooSlow(format!("the body stood still for {:?}", limits.idle))
            })?
            else {
                break;
            };
            let piece = piece.map_err(|error| SubmitError::BrokenOff(error.0))?;
            self.hash.update(&piece);
            if self.submit.single {
                if whole.len() + piece.len() > limits.line {
                    return Err(too_large(limits.line));
                }
                whole.extend_from_slice(&piece);
                continue;
            }
            lines.push(&piece);
            self.bound(lines.count())?;
            while let Some(line) = lines.pop() {
                self.line(line).await?;
            }
        }
        if self.submit.single {
            let line = Line {
                number: 1,
                text: Ok(whole),
            };
            return self.line(line).await;
        }
        lines.end();
        self.bound(lines.count())?;
        while let Some(line) = lines.pop() {
            self.line(line).await?;
        }
        Ok(())
    }

    /// Refuses more lines than there may be, empty ones included.
    fn bound(&self, lines: u64) -> Result<(), SubmitError> {
        let most = self.operations.limits.lines;
        if lines <= most {
            return Ok(());
        }
        Err(SubmitError::TooLarge {
            message: format!("more than {most} lines in one request"),
            limit: most,
        })
    }

    async fn line(&mut self, line: Line) -> Result<(), SubmitError> {
        self.lines += 1;
        let limits = &self.operations.limits;
        let Ok(text) = line.text else {
            let message = format!("is longer than {} bytes", limits.line);
            let error = Wrong::new("line_too_long", message).on(line.number, None);
            return self.unreadable(error, true);
        };
        match OperationRequest::read(&text) {
            Err(wrong) => {
                let grouped = text.windows(7).any(|window| window == b"\"group\"");
                self.unreadable(wrong.on(line.number, None), grouped)
            }
            Ok(request) => {
                let (client_id, group) = (request.client_id.clone(), request.group.clone());
                match self.row(request, line.number).await {
                    Ok(row) => self.keep(row).await,
                    Err(wrong) => {
                        if let Some(group) = &group {
                            self.groups.refuse(group);
                        }
                        self.errors.add(wrong.on(line.number, client_id.as_deref()));
                        Ok(())
                    }
                }
            }
        }
    }

    /// A line that nothing is known of. When it may belong to a group, nothing can be taken: the
    /// group would lack it.
    fn unreadable(&mut self, error: LineError, grouped: bool) -> Result<(), SubmitError> {
        self.errors.add(error);
        if grouped && self.submit.on_error == OnError::Skip && !self.submit.single {
            return Err(self.refused());
        }
        Ok(())
    }

    async fn row(&mut self, request: OperationRequest, line: u64) -> Result<NewOperation, Wrong> {
        let operations = Arc::clone(&self.operations);
        request.check(self.submission.at)?;
        let name = request
            .connection
            .as_ref()
            .or(self.submit.connection.as_ref())
            .cloned()
            .ok_or_else(|| Wrong::at("no_connection", "connection", "is missing"))?;
        let connection = operations
            .connections
            .visible(&self.by, &name)
            .map_err(|_| {
                let message = format!("there is no connection `{name}`");
                Wrong::at("unknown_connection", "connection", message)
            })?;
        if !connection.connector().has_service_credential() {
            let message = format!(
                "connection `{name}` has no credential of its own, which queued operations are written with"
            );
            return Err(Wrong::at("no_service_credential", "connection", message));
        }
        let actor = self.speak_for(request.actor.as_ref())?;
        if let Some(callback) = &request.callback {
            operations.callbacks.check(&callback.url)?;
        }
        let form = Form::one(request.operation.clone(), request.request.clone())?;
        let about = About::of(connection, &form)?;
        let names = self.names.of(connection, &about.named).await?;
        if let Some(group) = &request.group {
            let most = operations.limits.group;
            self.groups.join(group, &name, line, most)?;
        }
        let placed = Placed {
            id: OperationId::fresh(operations.ambient.as_ref()),
            line,
            connection: &name,
            object: names.canonical.clone(),
            native: &names.native,
            actor,
            trace: self.submit.trace.clone(),
        };
        request::row(request, &form, &about, placed)
    }

    /// Who asks. Only some may speak for others; who spoke stays on record as the owner.
    fn speak_for(&self, actor: Option<&Actor>) -> Result<Actor, Wrong> {
        let Some(actor) = actor else {
            return Ok(self.actor.clone());
        };
        if !self.by.has(Role::Admin) && !self.by.has(Role::Operator) {
            let message = format!(
                "token `{}` may not submit on behalf of another actor",
                self.by.token.name
            );
            return Err(Wrong::at("not_for_others", "actor", message));
        }
        if actor.id.is_empty() {
            return Err(Wrong::at("invalid_member", "actor.id", "is empty"));
        }
        let mut actor = actor.clone();
        actor
            .client
            .get_or_insert_with(|| self.by.token.name.clone());
        Ok(actor)
    }

    async fn keep(&mut self, row: NewOperation) -> Result<(), SubmitError> {
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

    async fn finish(&mut self) -> Result<Submitted, SubmitError> {
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
        let submission = &mut self.submission;
        submission.refused = submitted.refused;
        submission.accepted_at = Some(self.operations.ambient.now());
        submission.content = Some(PayloadHash::of(&[&self.hash.clone().finalize()]));
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

    fn refused(&mut self) -> SubmitError {
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

fn too_large(limit: usize) -> SubmitError {
    SubmitError::TooLarge {
        message: format!("the operation is longer than {limit} bytes"),
        limit: limit as u64,
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
    async fn let_go(&self, id: SubmissionId) {
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
        super::meters::submitted(submission);
        let at: Timestamp = self.ambient.now();
        if let Err(error) = self.log.unfold(at, CHUNK).await {
            tracing::warn!(%error, submission = %submission.id, "accepted operations begin later");
        }
    }
}
