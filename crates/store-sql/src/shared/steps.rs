//! Writes that are functions.

use async_trait::async_trait;
use crmgate_store::StoreError;
use futures::future::BoxFuture;

use super::Store;
use super::writer::{Command, Reply, Step, Writer};

/// Where an answer is put until the transaction is committed, and then sent.
pub(crate) struct Slot<T> {
    pub(crate) said: Option<T>,
    reply: Reply<T>,
}

impl<T> Slot<T> {
    pub(crate) const fn new(reply: Reply<T>) -> Self {
        Self { said: None, reply }
    }

    pub(crate) fn answer(self, result: Result<(), StoreError>) {
        let Self { said, reply } = self;
        let nothing = || StoreError::Unavailable("nothing was done".to_owned());
        // Who stopped waiting is not told.
        let _ = reply.send(result.and_then(|()| said.ok_or_else(nothing)));
    }
}

/// A write that is a function.
struct Run<F, T> {
    work: F,
    slot: Slot<T>,
}

#[async_trait]
impl<F, T> Step for Run<F, T>
where
    F: for<'w> FnMut(&'w mut Writer) -> BoxFuture<'w, Result<T, sqlx::Error>> + Send,
    T: Send,
{
    async fn run(&mut self, writer: &mut Writer) -> Result<(), sqlx::Error> {
        self.slot.said = Some((self.work)(writer).await?);
        Ok(())
    }

    fn answer(self: Box<Self>, result: Result<(), StoreError>) {
        self.slot.answer(result);
    }
}

/// Has a function write, inside the next transaction of the task that appends to the record: one at
/// a time, over all processes. It may be called again when that fails.
pub(crate) async fn with_record<F, T>(store: &Store, work: F) -> Result<T, StoreError>
where
    F: for<'w> FnMut(&'w mut Writer) -> BoxFuture<'w, Result<T, sqlx::Error>> + Send + 'static,
    T: Send + 'static,
{
    let step = |reply| Run {
        work,
        slot: Slot::new(reply),
    };
    let queue = store.queue();
    queue
        .ask(|reply| Command::Other(Box::new(step(reply))))
        .await
}
