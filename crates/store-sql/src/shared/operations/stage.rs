//! Staging operations of one submission.

use std::collections::{BTreeMap, HashMap};

use crmgate_domain::{OperationId, State, SubmissionId};
use crmgate_store::{Dependency, NewOperation, Staged, StoreError};
use sqlx::{QueryBuilder, Row as _};

use super::effects::recount;
use super::rows::Body;
use super::submit::{Groups, delete};
use super::{Connection, Db, FOR_SHARE, nanoseconds, plain, sql};
use crate::convert::write;

/// Rows of one statement.
const PART: usize = 64;

/// One operation, ready to be staged.
#[derive(Clone)]
pub(super) struct Line {
    new: NewOperation,
    body: String,
}

impl Line {
    pub(super) fn new(operation: &NewOperation) -> Result<Self, StoreError> {
        let body = Body {
            actor: operation.actor.clone(),
            purpose: operation.purpose.clone(),
            callback: operation.callback.clone(),
            trace: operation.trace.clone(),
        };
        Ok(Self {
            body: plain(&write("an operation", &body)?).into_owned(),
            new: operation.clone(),
        })
    }
}

/// The submission that is staged into.
struct Open {
    nr: i64,
    owner: String,
    at: i64,
    groups: Groups,
}

/// What came of each; `None` when the submission is not open.
pub(super) async fn stage(
    connection: &mut Connection,
    id: SubmissionId,
    lines: &[Line],
) -> Result<Option<Vec<Staged>>, sqlx::Error> {
    // INVARIANT: it stays open to the end of this transaction. Were it dropped meanwhile, rows would
    // be left that belong to nothing, and whoever brings the same ids would be told they are there.
    let mut query = QueryBuilder::<Db>::new("SELECT nr, owner, at FROM submissions WHERE id = ");
    query
        .push_bind(id.uuid().as_bytes().to_vec())
        .push(" AND accepted_at IS NULL AND broken = 0")
        .push(FOR_SHARE);
    let row = query.build().fetch_optional(&mut *connection).await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let mut open = Open {
        nr: row.get(0),
        owner: row.get(1),
        at: row.get(2),
        groups: Groups::new(),
    };
    // In one order of the callers' ids, so that two submissions that bring the same ones do not
    // wait for each other in a circle. Those of groups come by themselves, in their own order.
    let mut order: Vec<usize> = (0..lines.len()).collect();
    order.sort_by_key(|n| {
        lines
            .get(*n)
            .map(|line| (line.new.group.is_some(), &line.new.client_id))
    });
    let mut answers: HashMap<OperationId, Staged> = HashMap::with_capacity(lines.len());
    let chosen: Vec<&Line> = order.iter().filter_map(|n| lines.get(*n)).collect();
    let loose = chosen
        .iter()
        .take_while(|line| line.new.group.is_none())
        .count();
    let (loose, grouped) = chosen.split_at(loose);
    for part in loose.chunks(PART) {
        open.put(connection, part, &mut answers).await?;
    }
    let mut grouped = grouped.to_vec();
    grouped.sort_by_key(|line| line.new.line);
    for line in grouped {
        open.put(connection, &[line], &mut answers).await?;
    }
    count(connection, lines, &answers).await?;
    let answers = lines.iter().map(|line| {
        let answer = answers.get(&line.new.id).copied();
        answer.unwrap_or(Staged::Same(line.new.id))
    });
    Ok(Some(answers.collect()))
}

async fn count(
    connection: &mut Connection,
    lines: &[Line],
    answers: &HashMap<OperationId, Staged>,
) -> Result<(), sqlx::Error> {
    let mut counts: BTreeMap<(String, &'static str), i64> = BTreeMap::new();
    for line in lines {
        if answers.get(&line.new.id) == Some(&Staged::New) {
            let key = (line.new.connection.to_string(), State::Staged.as_str());
            *counts.entry(key).or_default() += 1;
        }
    }
    recount(connection, &counts).await
}

impl Open {
    async fn put(
        &mut self,
        connection: &mut Connection,
        part: &[&Line],
        answers: &mut HashMap<OperationId, Staged>,
    ) -> Result<(), sqlx::Error> {
        let mut left: Vec<&Line> = part.to_vec();
        // Once, and once more after others' open submissions gave way.
        for _ in 0..2 {
            let numbers = self.insert(connection, &left).await?;
            insert_bodies(connection, &left, &numbers).await?;
            insert_dependencies(connection, &left, &numbers).await?;
            for line in &left {
                if numbers.contains_key(&line.new.id) {
                    answers.insert(line.new.id, Staged::New);
                }
            }
            left.retain(|line| !numbers.contains_key(&line.new.id));
            let mut again = Vec::new();
            for line in left {
                match self.known(connection, line).await? {
                    Some(answer) => {
                        answers.insert(line.new.id, answer);
                    }
                    None => again.push(line),
                }
            }
            left = again;
            if left.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// The numbers of those that were new.
    async fn insert(
        &mut self,
        connection: &mut Connection,
        lines: &[&Line],
    ) -> Result<HashMap<OperationId, i64>, sqlx::Error> {
        if lines.is_empty() {
            return Ok(HashMap::new());
        }
        let mut groups = Vec::with_capacity(lines.len());
        for line in lines {
            groups.push(self.group(connection, &line.new).await?);
        }
        let mut query = QueryBuilder::<Db>::new(
            "INSERT INTO operations (id, submission, line, owner, client_id, content, connection, \
             actor, kind, object, record_id, lane, grp, group_name, priority, created_at, \
             expires_at, state, version, due, open_dependencies, updated_at, calls_back) ",
        );
        let mut groups = groups.into_iter();
        query.push_values(lines, |mut row, line| {
            let new = &line.new;
            let text = |text: &str| plain(text).into_owned();
            let at = self.at;
            let group: Option<OperationId> = groups.next().flatten();
            row.push_bind(new.id.uuid().as_bytes().to_vec())
                .push_bind(self.nr)
                .push_bind(new.line.cast_signed())
                .push_bind(self.owner.clone())
                .push_bind(new.client_id.as_deref().map(text))
                .push_bind(new.content.bytes().to_vec())
                .push_bind(new.connection.to_string())
                .push_bind(text(&new.actor.id))
                .push_bind(text(&new.kind))
                .push_bind(text(&new.object))
                .push_bind(new.record_id.as_deref().map(text))
                .push_bind(new.lane.as_deref().map(text))
                .push_bind(group.map(|id| id.uuid().as_bytes().to_vec()))
                .push_bind(new.group.as_deref().map(text))
                .push_bind(i64::from(new.priority))
                .push_bind(at)
                .push_bind(new.expires_at.map(nanoseconds))
                .push_bind(State::Staged.as_str())
                .push_bind(0_i64)
                .push_bind(new.not_before.map_or(at, nanoseconds))
                .push_bind(i64::try_from(new.depends_on.len()).unwrap_or(i64::MAX))
                .push_bind(at)
                .push_bind(i64::from(new.callback.is_some()));
        });
        query.push(
            " ON CONFLICT (owner, client_id) WHERE client_id IS NOT NULL DO NOTHING \
             RETURNING nr, id",
        );
        let whole = lines.len() == PART || lines.len() == 1;
        let rows = query
            .build()
            .persistent(whole)
            .fetch_all(connection)
            .await?;
        rows.iter()
            .map(|row| Ok((super::rows::id(row.get(1))?, row.get(0))))
            .collect()
    }

    /// The first member of an operation's group, which may be itself.
    async fn group(
        &mut self,
        connection: &mut Connection,
        new: &NewOperation,
    ) -> Result<Option<OperationId>, sqlx::Error> {
        let Some(name) = &new.group else {
            return Ok(None);
        };
        if let Some(known) = self.groups.get(name) {
            return Ok(Some(*known));
        }
        let row = sql(
            "SELECT grp FROM operations WHERE submission = ? AND group_name = ? \
             ORDER BY line LIMIT 1",
        )
        .bind(self.nr)
        .bind(plain(name).into_owned())
        .fetch_optional(connection)
        .await?;
        let first = match row {
            Some(row) => super::rows::id(row.get(0))?,
            None => return Ok(Some(new.id)),
        };
        self.groups.insert(name.clone(), first);
        Ok(Some(first))
    }

    /// The operation that has the owner's id already. `None` when it was one of a submission that
    /// is not accepted: that one gave way, and never will be.
    async fn known(
        &self,
        connection: &mut Connection,
        line: &Line,
    ) -> Result<Option<Staged>, sqlx::Error> {
        let row = sql(
            "SELECT o.nr, o.connection, o.id, o.content, s.nr, s.accepted_at FROM operations o \
             JOIN submissions s ON s.nr = o.submission WHERE o.owner = ? AND o.client_id = ?",
        )
        .bind(self.owner.clone())
        .bind(
            line.new
                .client_id
                .as_deref()
                .map(|id| plain(id).into_owned()),
        )
        .fetch_optional(&mut *connection)
        .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        let id: OperationId = super::rows::id(row.get(2))?;
        let other: i64 = row.get(4);
        if other != self.nr && row.get::<Option<i64>, _>(5).is_none() {
            sql("UPDATE submissions SET broken = 1 WHERE nr = ?")
                .bind(other)
                .execute(&mut *connection)
                .await?;
            delete(connection, &[row]).await?;
            return Ok(None);
        }
        let same = row.get::<&[u8], _>(3) == line.new.content.bytes();
        Ok(Some(if same {
            Staged::Same(id)
        } else {
            Staged::Differs(id)
        }))
    }
}

async fn insert_bodies(
    connection: &mut Connection,
    lines: &[&Line],
    numbers: &HashMap<OperationId, i64>,
) -> Result<(), sqlx::Error> {
    let new: Vec<(i64, &Line)> = numbered(lines, numbers);
    if new.is_empty() {
        return Ok(());
    }
    let mut query = QueryBuilder::<Db>::new("INSERT INTO operation_bodies (nr, body, request) ");
    query.push_values(&new, |mut row, (nr, line)| {
        row.push_bind(*nr)
            .push_bind(line.body.clone())
            .push_bind(plain(&line.new.request).into_owned());
    });
    let whole = new.len() == PART || new.len() == 1;
    let query = query.build().persistent(whole);
    query.execute(connection).await.map(|_| ())
}

async fn insert_dependencies(
    connection: &mut Connection,
    lines: &[&Line],
    numbers: &HashMap<OperationId, i64>,
) -> Result<(), sqlx::Error> {
    let mut all = Vec::new();
    for (nr, line) in numbered(lines, numbers) {
        for (n, dependency) in (0_i64..).zip(&line.new.depends_on) {
            all.push((nr, n, dependency));
        }
    }
    for part in all.chunks(PART) {
        let mut query = QueryBuilder::<Db>::new(
            "INSERT INTO operation_dependencies (dependant, n, target, client_id, open) ",
        );
        query.push_values(part, |mut row, (nr, n, dependency)| {
            let (target, client_id) = match dependency {
                Dependency::Id(id) => (Some(id.uuid().as_bytes().to_vec()), None),
                Dependency::ClientId(id) => (None, Some(plain(id).into_owned())),
            };
            row.push_bind(*nr)
                .push_bind(*n)
                .push_bind(target)
                .push_bind(client_id)
                .push_bind(0_i64);
        });
        let query = query.build().persistent(part.len() == 1);
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

fn numbered<'a>(lines: &[&'a Line], numbers: &HashMap<OperationId, i64>) -> Vec<(i64, &'a Line)> {
    lines
        .iter()
        .filter_map(|line| Some((*numbers.get(&line.new.id)?, *line)))
        .collect()
}
