//! The ends of chains.

use std::collections::HashSet;

use crmgate_domain::ChainId;
use crmgate_store::Head;
use crmgate_store::chain::Start;
use sqlx::Row as _;

use super::{Connection, ledger};

/// Each chain's last entry: from one chain to the next by the index, however long they are.
const ENDS: &str = "WITH RECURSIVE chains AS (\
     (SELECT chain FROM ledger ORDER BY chain LIMIT 1) UNION ALL \
     SELECT (SELECT l.chain FROM ledger l WHERE l.chain > chains.chain ORDER BY l.chain LIMIT 1) \
     FROM chains WHERE chains.chain IS NOT NULL) \
     SELECT e.seq, e.chain, e.link, e.hash FROM chains CROSS JOIN LATERAL \
     (SELECT seq, chain, link, hash FROM ledger WHERE ledger.chain = chains.chain \
     ORDER BY link DESC LIMIT 1) e WHERE chains.chain IS NOT NULL ORDER BY e.seq";

/// The ends that no start names, in the order of positions: those of living processes, and of
/// processes that ended since the last one began.
pub(super) async fn unnamed(connection: &mut Connection) -> Result<Vec<Head>, sqlx::Error> {
    let unreadable = |error: crmgate_store::StoreError| sqlx::Error::Decode(error.into());
    let rows = sqlx::query(ENDS).fetch_all(&mut *connection).await?;
    let ends: Result<Vec<Head>, _> = rows.iter().map(ledger::head).collect();
    let mut ends = ends.map_err(unreadable)?;
    let Some(first) = ends.first().map(|head| head.position.cast_signed()) else {
        return Ok(ends);
    };
    // Only a later start can name an end.
    let rows = sqlx::query("SELECT envelope FROM ledger WHERE kind = 'start' AND seq > $1")
        .bind(first)
        .fetch_all(connection)
        .await?;
    let mut named: HashSet<(ChainId, u64)> = HashSet::new();
    for row in rows {
        // One that cannot be read names nothing; verifying tells of it.
        if let Ok(start) = serde_json::from_str::<Start>(row.get(0)) {
            let heads = start.predecessors.iter();
            named.extend(heads.map(|head| (head.chained.chain, head.chained.link)));
        }
    }
    ends.retain(|head| !named.contains(&(head.chained.chain, head.chained.link)));
    Ok(ends)
}
