//! Whether a backup was put back: the record is shorter, or another one, than it was.
//!
//! How far the record reached is kept where a restored database does not take it back: in a file
//! beside the database, or in the queue's server. What was open in the backup may have gone on
//! after it was made; it is marked, and read back before it is written again.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crmgate_app::Leading;
use crmgate_domain::Ambient;
use crmgate_store::{By, Cells, Digest, OperationLog, Store, StoreError};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

/// How often it is noted.
const EVERY: Duration = Duration::from_secs(5);
/// The file, or the cell.
const NAME: &str = "crmgate.head";

/// An entry of the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    position: u64,
    hash: Digest,
}

/// Where it is kept.
#[derive(Clone)]
pub(crate) enum Keeper {
    /// Beside the database.
    File(PathBuf),
    /// In a server of its own.
    Cells(Arc<dyn Cells>),
}

impl Keeper {
    /// Of a data folder.
    pub(crate) fn of_folder(data_dir: &std::path::Path) -> Self {
        Self::File(data_dir.join(NAME))
    }

    async fn read(&self) -> Result<Option<Mark>, String> {
        let text = match self {
            Self::File(path) => match std::fs::read_to_string(path) {
                Ok(text) => Some(text),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
                Err(error) => return Err(format!("`{}`: {error}", path.display())),
            },
            Self::Cells(cells) => {
                let cell = cells.cell(NAME).await.map_err(|error| error.to_string())?;
                cell.map(|cell| cell.body)
            }
        };
        // A file that was cut off says nothing; it is written by rename, so that this is rare.
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    async fn write(&self, mark: Mark) -> Result<(), String> {
        let text = serde_json::to_string(&mark).map_err(|error| error.to_string())?;
        match self {
            Self::File(path) => {
                let beside = path.with_extension("head.new");
                std::fs::write(&beside, text)
                    .and_then(|()| std::fs::rename(&beside, path))
                    .map_err(|error| format!("`{}`: {error}", path.display()))
            }
            Self::Cells(cells) => {
                let told = |error: StoreError| error.to_string();
                let seen = cells.cell(NAME).await.map_err(told)?;
                let seen = seen.map(|cell| cell.version);
                // Whoever was faster noted something as new.
                cells.swap(NAME, seen, text, None).await.map_err(told)?;
                Ok(())
            }
        }
    }
}

/// Watches how far the record reaches.
pub(crate) struct Watermark {
    keeper: Keeper,
    store: Arc<dyn Store>,
}

impl Watermark {
    pub(crate) fn new(keeper: Keeper, store: Arc<dyn Store>) -> Self {
        Self { keeper, store }
    }

    /// Looks whether the record still holds what it held, and marks what is open if it does not.
    ///
    /// # Errors
    /// When it cannot be told, or not be marked: then nothing may be worked on.
    pub(crate) async fn check(
        &self,
        operations: &dyn OperationLog,
        ambient: &dyn Ambient,
    ) -> Result<(), String> {
        let Some(mark) = self.keeper.read().await? else {
            return self.note().await;
        };
        if self.holds(mark).await.map_err(|error| error.to_string())? {
            return Ok(());
        }
        let by = By("gate".into());
        let marked = operations.mark_restored(ambient.now(), &by);
        let marked = marked.await.map_err(|error| error.to_string())?;
        tracing::warn!(
            was = mark.position,
            marked,
            "the record is not what it was: a backup was put back. Open operations are read back \
             before they go on; those of which nothing can be found out become uncertain"
        );
        self.note().await
    }

    async fn holds(&self, mark: Mark) -> Result<bool, StoreError> {
        let extent = self.store.extent().await?;
        if extent.last < mark.position {
            return Ok(false);
        }
        // What was pruned meanwhile cannot be compared.
        if extent.first > mark.position {
            return Ok(true);
        }
        let found = self.store.entries(mark.position - 1, 1).await?;
        Ok(found
            .first()
            .is_none_or(|raw| raw.entry.position != mark.position || raw.entry.hash == mark.hash))
    }

    /// Notes how far it reaches now.
    async fn note(&self) -> Result<(), String> {
        let told = |error: StoreError| error.to_string();
        let last = self.store.extent().await.map_err(told)?.last;
        let Some(before) = last.checked_sub(1) else {
            return Ok(());
        };
        let found = self.store.entries(before, 1).await.map_err(told)?;
        match found.first() {
            Some(raw) => {
                let mark = Mark {
                    position: raw.entry.position,
                    hash: raw.entry.hash,
                };
                self.keeper.write(mark).await
            }
            None => Ok(()),
        }
    }

    /// Notes it again and again, where this process leads, and once more at the end.
    pub(crate) async fn run(self, leading: Leading, stop: CancellationToken) {
        let mut told = false;
        loop {
            let ends = tokio::select! {
                () = tokio::time::sleep(EVERY) => false,
                () = stop.cancelled() => true,
            };
            if leading.now() {
                let noted = self.note().await;
                if let Err(problem) = noted.as_ref()
                    && !told
                {
                    tracing::warn!(problem, "how far the record reaches could not be noted");
                }
                told = noted.is_err();
            }
            if ends {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;
