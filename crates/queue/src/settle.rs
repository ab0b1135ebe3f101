//! From what handlers say to what the store holds: in batches, as long as it takes.

use std::sync::Arc;

use crmgate_store::{Settlement, StoreError, Verdict};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::held::patience;
use crate::line::Shared;

/// How many go to the store at once.
const MOST: usize = 500;

/// Settles until the line is gone. While one batch is on its way, the next one gathers.
pub(crate) async fn settle(line: Arc<Shared>, mut said: UnboundedReceiver<Settlement>) {
    let mut batch = Vec::new();
    while said.recv_many(&mut batch, MOST).await > 0 {
        store(&line, std::mem::take(&mut batch)).await;
    }
}

const fn is_for_later(settled: &Settlement) -> bool {
    matches!(settled.verdict, Verdict::Again(_) | Verdict::Failed(..))
}

/// Stores one batch. A store that cannot be asked is asked again: what a handler did must not be
/// done twice. One that cannot ever take it leaves the jobs to their leases.
async fn store(line: &Shared, batch: Vec<Settlement>) {
    let mut failures = 0;
    loop {
        let settled = line.guarded("settle", line.jobs.settle(&line.spec.name, batch.clone()));
        match settled.await {
            Ok(lost) => {
                line.meters.settled(&batch, &lost);
                if batch.iter().any(is_for_later) {
                    line.put_back.notify_one();
                }
                break;
            }
            Err(StoreError::Unavailable(_)) => {
                tokio::time::sleep(patience(failures, line.salt)).await;
                failures = failures.saturating_add(1);
            }
            Err(_) => break,
        }
    }
    line.held
        .release(batch.iter().map(|one| (one.id.as_str(), one.lease)));
}
