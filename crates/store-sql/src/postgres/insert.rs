//! The statement that appends all entries of a batch, and changes what its outcomes change.
//!
//! Values go as arrays, one for each column, so that a batch of any size is the same statement.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use crmgate_domain::ProcessId;

mod columns;

use self::columns::{Entries, Filed, Open, Sealed};
use super::places::{Part, PlacedDecision, PlacedOutcome};
use super::writer::Writer;
use super::{Statement, plain, sql};

/// Whether [`Part::run`] can be a whole transaction.
pub(crate) const BEGINS_AND_COMMITS: bool = false;

const APPEND: &str = "WITH entries AS (\
     INSERT INTO ledger (seq, chain, link, kind, at, envelope, commitment, hash) \
     SELECT * FROM unnest(?::bigint[], ?::bytea[], ?::bigint[], ?::text[], ?::bigint[], ?::text[], \
     ?::bytea[], ?::bytea[])), \
     sealed AS (INSERT INTO payloads (seq, key, body) \
     SELECT * FROM unnest(?::bigint[], ?::bytea[], ?::text[])), \
     filed AS (INSERT INTO decisions (seq, id, at, connection, object, record_id, actor, effect, \
     mode, package_set) \
     SELECT * FROM unnest(?::bigint[], ?::bytea[], ?::bigint[], ?::text[], ?::text[], ?::text[], \
     ?::text[], ?::text[], ?::text[], ?::bigint[])), \
     open AS (INSERT INTO read_backs (seq, at, connection, join_key, body, owner, point) \
     SELECT * FROM unnest(?::bigint[], ?::bigint[], ?::text[], ?::bytea[], ?::text[], ?::bytea[], \
     ?::text[])), \
     said AS (INSERT INTO decision_reasons (code, decision) \
     SELECT * FROM unnest(?::text[], ?::bigint[]))";

const END: &str = "newest AS (\
     UPDATE decisions SET outcome = new.outcome, outcome_seq = new.seq, \
     record_id = coalesce(decisions.record_id, new.record_id) \
     FROM unnest(?::bytea[], ?::text[], ?::bigint[], ?::text[]) AS new (id, outcome, seq, record_id) \
     WHERE decisions.id = new.id) \
     DELETE FROM read_backs USING decisions \
     WHERE read_backs.seq = decisions.seq AND decisions.id = ANY(?::bytea[])";

static ONLY_APPEND: LazyLock<String> = LazyLock::new(|| format!("{APPEND} SELECT 1"));
static ONLY_END: LazyLock<String> = LazyLock::new(|| format!("WITH {END}"));
static BOTH: LazyLock<String> = LazyLock::new(|| format!("{APPEND}, {END}"));

impl Part<'_> {
    /// Appends all, inside a transaction.
    pub(crate) async fn run(&self, writer: &mut Writer, _alone: bool) -> Result<(), sqlx::Error> {
        if self.decisions.is_empty() && self.outcomes.is_empty() {
            return Ok(());
        }
        let connection = &mut writer.connection;
        if self.outcomes.is_empty() {
            let append = self.append(writer.owner, sql(&ONLY_APPEND));
            append.execute(connection).await?;
            return Ok(());
        }
        // One statement sees nothing of what it inserts itself.
        let own: HashSet<[u8; 16]> = self.decisions.iter().map(|d| d.row.id).collect();
        if self.outcomes.iter().any(|o| own.contains(&o.row.decision)) {
            let append = self.append(writer.owner, sql(&ONLY_APPEND));
            append.execute(&mut *connection).await?;
            self.end(sql(&ONLY_END)).execute(connection).await?;
        } else {
            let both = self.end(self.append(writer.owner, sql(&BOTH)));
            both.execute(connection).await?;
        }
        Ok(())
    }

    fn append<'q>(&self, owner: ProcessId, query: Statement<'q>) -> Statement<'q> {
        let mut entries = Entries::default();
        for decision in &self.decisions {
            entries.push(decision.seq, &decision.place, &decision.row.draft);
        }
        for outcome in &self.outcomes {
            entries.push(outcome.seq, &outcome.place, &outcome.row.draft);
        }
        let mut sealed = Sealed::default();
        let mut filed = Filed::default();
        let mut open = Open::default();
        let mut said: (Vec<String>, Vec<i64>) = Default::default();
        for decision in &self.decisions {
            sealed.push(decision);
            filed.push(decision);
            open.push(decision, owner);
            for code in &decision.row.reasons {
                said.0.push(plain(code).into_owned());
                said.1.push(decision.seq);
            }
        }
        let query = open.bind(filed.bind(sealed.bind(entries.bind(query))));
        query.bind(said.0).bind(said.1)
    }

    fn end<'q>(&self, query: Statement<'q>) -> Statement<'q> {
        // Of several outcomes of one decision, the last one holds.
        let outcomes = self.outcomes.iter();
        let newest: HashMap<[u8; 16], i64> =
            outcomes.clone().map(|o| (o.row.decision, o.seq)).collect();
        let (mut ids, mut kinds, mut seqs, mut records) = (vec![], vec![], vec![], vec![]);
        let holds = |o: &&PlacedOutcome<'_>| newest.get(&o.row.decision) == Some(&o.seq);
        for outcome in outcomes.clone().filter(holds) {
            ids.push(outcome.row.decision.to_vec());
            kinds.push(outcome.row.kind);
            seqs.push(outcome.seq);
            let record = outcome.row.record_id.as_deref();
            records.push(record.map(|id| plain(id).into_owned()));
        }
        let ended = outcomes.filter(|outcome| outcome.row.ends);
        let ended: Vec<Vec<u8>> = ended.map(|o| o.row.decision.to_vec()).collect();
        let query = query.bind(ids).bind(kinds).bind(seqs).bind(records);
        query.bind(ended)
    }
}
