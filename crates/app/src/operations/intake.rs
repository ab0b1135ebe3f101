//! One submission on its way in: read, checked and staged piece by piece, accepted at the end.
//!
//! INVARIANT: memory does not grow with the body. What is held is one line, one chunk of rows, a
//! bounded list of errors, and the line numbers of a bounded number of grouped operations.

use std::sync::Arc;

use crmgate_domain::{Actor, OperationId, PayloadHash, SubmissionId};
use crmgate_store::{NewOperation, Opened, Submission};
use futures::StreamExt as _;
use sha2::{Digest as _, Sha256};

use super::Operations;
use super::grouped::Groups;
use super::lines::{Line, Lines};
use super::names::Names;
use super::request::{LineError, OperationRequest, Wrong};
use super::submit::{Incoming, OnError, Submit, SubmitError, Submitted};
use crate::Principal;
use crate::identify::actor_of;

mod close;
mod row;

/// Rows that are staged together, and how many bytes of requests at most.
const CHUNK: usize = 500;
const CHUNK_BYTES: usize = 4 << 20;
/// Errors that are told one by one.
const MOST_ERRORS: usize = 1000;

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
}

fn too_large(limit: usize) -> SubmitError {
    SubmitError::TooLarge {
        message: format!("the operation is longer than {limit} bytes"),
        limit: limit as u64,
    }
}
