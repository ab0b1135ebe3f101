//! Writes that are functions.

use async_trait::async_trait;
use crmgate_store::StoreError;
use futures::future::BoxFuture;

use super::Store;
use super::writer::{Command, Reply, Step, Writer};

/// A write that is a function.
struct Run<F, T> {
    work: F,
    result: Option<T>,
    reply: Reply<T>,
}

#[async_trait]
impl<F, T> Step for Run<F, T>
where
    F: for<'w> FnMut(&'w mut Writer) -> BoxFuture<'w, Result<T, sqlx::Error>> + Send,
    T: Send,
{
    async fn run(&mut self, writer: &mut Writer) -> Result<(), sqlx::Error> {
        self.result = Some((self.work)(writer).await?);
        Ok(())
    }

    fn answer(self: Box<Self>, result: Result<(), StoreError>) {
        let Self {
            result: given,
            reply,
            ..
        } = *self;
        let nothing = || StoreError::Unavailable("nothing was done".to_owned());
        let _ = reply.send(result.and_then(|()| given.ok_or_else(nothing)));
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
        result: None,
        reply,
    };
    let queue = store.queue();
    queue
        .ask(|reply| Command::Other(Box::new(step(reply))))
        .await
}
