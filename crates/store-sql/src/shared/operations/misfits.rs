//! What stands against accepting a submission.

use std::collections::{BTreeMap, HashMap, HashSet};

use crmgate_domain::SubmissionId;
use crmgate_store::{Misfit, StoreError};
use sqlx::Row as _;

use super::{Row, Store, scalar, sql, within};

/// Most misfits that are told.
const MOST: usize = 1_000;

pub(super) async fn misfits(
    store: &Store,
    id: SubmissionId,
    most_in_group: usize,
) -> Result<Vec<Misfit>, StoreError> {
    let nr: Option<i64> = within(
        scalar("SELECT nr FROM submissions WHERE id = ?")
            .bind(id.uuid().as_bytes().to_vec())
            .fetch_optional(store.reader()),
    )
    .await?;
    let Some(nr) = nr else {
        return Ok(Vec::new());
    };
    let mut found = unknown(store, nr).await?;
    found.extend(groups(store, nr, most_in_group).await?);
    if found.is_empty() {
        found = circles(store, nr).await?;
    }
    found.sort_by_key(|misfit| misfit.line);
    found.truncate(MOST);
    Ok(found)
}

fn line(row: &Row) -> u64 {
    row.get::<i64, _>(0).unsigned_abs()
}

/// Dependencies on what is not there, or is not the owner's, or not accepted.
async fn unknown(store: &Store, nr: i64) -> Result<Vec<Misfit>, StoreError> {
    let by_client_id = sql("SELECT o.line, d.client_id FROM operation_dependencies d \
         JOIN operations o ON o.nr = d.dependant \
         WHERE o.submission = ? AND d.client_id IS NOT NULL AND NOT EXISTS \
         (SELECT 1 FROM operations t JOIN submissions s ON s.nr = t.submission \
         WHERE t.owner = o.owner AND t.client_id = d.client_id \
         AND (s.nr = o.submission OR s.accepted_at IS NOT NULL)) ORDER BY o.line LIMIT 1000")
    .bind(nr);
    let by_client_id = within(by_client_id.fetch_all(store.reader())).await?;
    let by_id = sql("SELECT o.line, d.target FROM operation_dependencies d \
         JOIN operations o ON o.nr = d.dependant \
         WHERE o.submission = ? AND d.target IS NOT NULL AND NOT EXISTS \
         (SELECT 1 FROM operations t JOIN submissions s ON s.nr = t.submission \
         WHERE t.id = d.target AND t.owner = o.owner \
         AND (s.nr = o.submission OR s.accepted_at IS NOT NULL)) ORDER BY o.line LIMIT 1000")
    .bind(nr);
    let by_id = within(by_id.fetch_all(store.reader())).await?;
    let misfit = |line: u64, name: String| Misfit {
        line,
        code: "unknown_dependency",
        message: format!(
            "`depends_on` names `{name}`, which is no accepted operation of yours and no line of \
             this submission: expected the id or the client id of one"
        ),
    };
    let named = by_client_id.iter().map(|row| misfit(line(row), row.get(1)));
    let numbered = by_id.iter().map(|row| {
        let id = uuid::Uuid::from_slice(row.get(1)).unwrap_or_default();
        misfit(line(row), id.to_string())
    });
    Ok(named.chain(numbered).collect())
}

/// Groups that cannot happen together.
async fn groups(store: &Store, nr: i64, most: usize) -> Result<Vec<Misfit>, StoreError> {
    let rows = within(
        sql(
            "SELECT min(line), count(*), count(DISTINCT connection), group_name FROM operations \
             WHERE submission = ? AND group_name IS NOT NULL GROUP BY group_name \
             HAVING count(*) > ? OR count(DISTINCT connection) > 1 ORDER BY min(line) LIMIT 1000",
        )
        .bind(nr)
        .bind(i64::try_from(most).unwrap_or(i64::MAX))
        .fetch_all(store.reader()),
    )
    .await?;
    let misfits = rows.iter().map(|row| {
        let (count, name): (i64, &str) = (row.get(1), row.get(3));
        if row.get::<i64, _>(2) > 1 {
            Misfit {
                line: line(row),
                code: "group_of_several_connections",
                message: format!(
                    "the group `{name}` has operations of several connections: expected one, since \
                     they can happen together in one CRM only"
                ),
            }
        } else {
            Misfit {
                line: line(row),
                code: "group_too_large",
                message: format!(
                    "the group `{name}` has {count} operations: expected {most} at most"
                ),
            }
        }
    });
    Ok(misfits.collect())
}

/// What waits for what: operations, those of one group as one.
#[derive(Default)]
struct Graph {
    /// The node of each operation.
    nodes: HashMap<i64, usize>,
    lines: Vec<u64>,
    /// For each node, those that wait for it.
    followers: Vec<Vec<usize>>,
    waits: Vec<usize>,
    itself: HashSet<usize>,
}

impl Graph {
    fn edge(&mut self, before: usize, after: usize) {
        if before == after {
            self.itself.insert(after);
            return;
        }
        if let (Some(followers), Some(waits)) =
            (self.followers.get_mut(before), self.waits.get_mut(after))
        {
            followers.push(after);
            *waits += 1;
        }
    }

    /// The lines of nodes that wait for each other in a circle.
    fn circular(mut self) -> Vec<u64> {
        let mut free: Vec<usize> = (0..self.waits.len())
            .filter(|node| self.waits.get(*node) == Some(&0))
            .collect();
        while let Some(node) = free.pop() {
            let followers = self.followers.get_mut(node).map(std::mem::take);
            for after in followers.unwrap_or_default() {
                if let Some(waits) = self.waits.get_mut(after) {
                    *waits -= 1;
                    if *waits == 0 {
                        free.push(after);
                    }
                }
            }
        }
        self.waits
            .iter()
            .zip(&self.lines)
            .enumerate()
            .filter(|(node, (waits, _))| **waits > 0 || self.itself.contains(node))
            .map(|(_, (_, line))| *line)
            .collect()
    }
}

/// What is looked at of an operation.
struct Node {
    nr: i64,
    line: i64,
    lane: Option<(String, String)>,
    group: Option<Vec<u8>>,
}

/// From a row with its columns from this one on.
fn node(row: &Row, from: usize) -> Node {
    let lane: Option<String> = row.get(from + 3);
    Node {
        nr: row.get(from),
        line: row.get(from + 1),
        lane: lane.map(|lane| (row.get(from + 2), lane)),
        group: row.get(from + 4),
    }
}

/// Operations that wait for each other in a circle: by their dependencies, by the order of their
/// lanes, and by their groups, which go together. Only those that are in a group, depend on
/// something or are depended on are looked at; others merely stand between them.
async fn circles(store: &Store, nr: i64) -> Result<Vec<Misfit>, StoreError> {
    let edges = within(
        sql("SELECT t.nr, t.line, t.connection, t.lane, t.grp, \
             o.nr, o.line, o.connection, o.lane, o.grp FROM operations o \
             JOIN operation_dependencies d ON d.dependant = o.nr \
             JOIN operations t ON t.owner = o.owner AND t.client_id = d.client_id \
             WHERE o.submission = ? AND t.submission = o.submission \
             UNION ALL SELECT t.nr, t.line, t.connection, t.lane, t.grp, \
             o.nr, o.line, o.connection, o.lane, o.grp FROM operations o \
             JOIN operation_dependencies d ON d.dependant = o.nr \
             JOIN operations t ON t.id = d.target \
             WHERE o.submission = ? AND t.submission = o.submission")
        .bind(nr)
        .bind(nr)
        .fetch_all(store.reader()),
    )
    .await?;
    let members = within(
        sql("SELECT nr, line, connection, lane, grp FROM operations \
             WHERE submission = ? AND group_name IS NOT NULL")
        .bind(nr)
        .fetch_all(store.reader()),
    )
    .await?;
    let ends: Vec<(i64, i64)> = edges.iter().map(|row| (row.get(0), row.get(5))).collect();
    let nodes = edges.iter().flat_map(|row| [node(row, 0), node(row, 5)]);
    let nodes = nodes.chain(members.iter().map(|row| node(row, 0)));
    let mut nodes: BTreeMap<i64, Node> = nodes.map(|node| (node.line, node)).collect();
    between(store, nr, &mut nodes).await?;
    let lines = graph(nodes.into_values(), &ends).circular();
    Ok(lines
        .into_iter()
        .map(|line| Misfit {
            line,
            code: "circular_dependency",
            message: "it waits for itself, by way of `depends_on`, of operations on the same \
                      record that come before, or of others in its group: expected an order in \
                      which all can happen"
                .to_owned(),
        })
        .collect())
}

/// Adds what stands in lanes that several members of one group share: one of another kind between
/// them would wait for the group, and the group for it.
async fn between(
    store: &Store,
    nr: i64,
    nodes: &mut BTreeMap<i64, Node>,
) -> Result<(), StoreError> {
    let mut shared: HashSet<(String, String)> = HashSet::new();
    let mut seen: HashSet<(&[u8], &(String, String))> = HashSet::new();
    for node in nodes.values() {
        if let (Some(group), Some(lane)) = (&node.group, &node.lane)
            && !seen.insert((group.as_slice(), lane))
        {
            shared.insert(lane.clone());
        }
    }
    let mut after: i64 = 0;
    while !shared.is_empty() {
        let rows = within(
            sql("SELECT nr, line, connection, lane, grp FROM operations \
                 WHERE submission = ? AND line > ? ORDER BY line LIMIT 5000")
            .bind(nr)
            .bind(after)
            .fetch_all(store.reader()),
        )
        .await?;
        let Some(last) = rows.last() else {
            break;
        };
        after = last.get(1);
        let all = rows.iter().map(|row| node(row, 0));
        let there = all.filter(|node| node.lane.as_ref().is_some_and(|lane| shared.contains(lane)));
        nodes.extend(there.map(|node| (node.line, node)));
    }
    Ok(())
}

/// Of nodes in the order of their lines, and those that wait for others.
fn graph(nodes: impl Iterator<Item = Node>, edges: &[(i64, i64)]) -> Graph {
    let mut graph = Graph::default();
    let mut groups: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    let mut lanes: HashMap<(String, String), usize> = HashMap::new();
    for one in nodes {
        let fresh = graph.lines.len();
        let group = one.group.map(|group| *groups.entry(group).or_insert(fresh));
        let node = group.unwrap_or(fresh);
        if node == fresh {
            graph.lines.push(one.line.unsigned_abs());
            graph.followers.push(Vec::new());
            graph.waits.push(0);
        }
        graph.nodes.insert(one.nr, node);
        // Members of one group share their turn.
        if let Some(before) = one.lane.and_then(|lane| lanes.insert(lane, node))
            && before != node
        {
            graph.edge(before, node);
        }
    }
    for (before, after) in edges {
        let before = graph.nodes.get(before).copied();
        if let Some((before, after)) = before.zip(graph.nodes.get(after).copied()) {
            graph.edge(before, after);
        }
    }
    graph
}
