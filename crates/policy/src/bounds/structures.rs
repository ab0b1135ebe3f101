//! Collections of collections, graphs and networks.

use std::collections::BTreeSet;

use regorus::Value;

use super::size::{self, Limits};
use super::{Bound, Bounded, MAX_ITEMS, MAX_NODES, MAX_TEXT, at_most, more_than};

/// The longest path through a graph.
const MAX_PATH: usize = 500;
/// Bits of a network's hosts.
const MAX_HOST_BITS: usize = 16;
/// Changes that a patch makes.
const MAX_PATCHES: usize = 1000;
/// Copies that a patch makes: each may double the document.
const MAX_COPIES: usize = 8;

pub(super) const BOUNDED: &[Bounded] = &[
    ("array.concat", together),
    ("object.union", together),
    ("object.union_n", together),
    ("object.subset", together),
    ("union", together),
    ("intersection", together),
    ("sort", together),
    ("graph.reachable", together),
    ("graph.reachable_paths", paths),
    ("walk", walk),
    ("json.patch", patch),
    ("net.cidr_expand", hosts),
];

const WHOLE: Limits = Limits {
    nodes: MAX_NODES,
    text: MAX_TEXT * 16,
};

/// All that is given, taken together.
fn together(args: &[Value]) -> Bound {
    let mut nodes = 0;
    for arg in args {
        let size = size::of(arg, WHOLE).ok_or_else(|| more_than("values:", MAX_NODES))?;
        nodes += size.nodes;
    }
    at_most("values:", nodes, MAX_NODES)
}

fn walk(args: &[Value]) -> Bound {
    let Some(value) = args.first() else {
        return Ok(());
    };
    let size = size::of(value, WHOLE).ok_or_else(|| more_than("values:", MAX_ITEMS))?;
    at_most("values:", size.nodes, MAX_ITEMS)?;
    // Each value is told with its own path.
    at_most("steps of all paths:", size.steps, MAX_NODES * 4)
}

fn patch(args: &[Value]) -> Bound {
    together(args)?;
    let Some(Value::Array(patches)) = args.get(1) else {
        return Ok(());
    };
    at_most("changes:", patches.len(), MAX_PATCHES)?;
    let copies = |patch: &&Value| {
        let op = patch
            .as_object()
            .ok()
            .and_then(|patch| patch.get(&"op".into()));
        size::text(op) == "copy"
    };
    at_most("copies:", patches.iter().filter(copies).count(), MAX_COPIES)
}

fn hosts(args: &[Value]) -> Bound {
    let network = size::text(args.first());
    let Some((address, prefix)) = network.split_once('/') else {
        return Ok(());
    };
    let all = if address.contains(':') { 128 } else { 32 };
    let prefix: usize = prefix.parse().unwrap_or(all);
    at_most("bits of hosts:", all.saturating_sub(prefix), MAX_HOST_BITS)
}

/// Goes the ways that the function would go, and counts.
fn paths(args: &[Value]) -> Bound {
    together(args)?;
    let [graph, from, ..] = args else {
        return Ok(());
    };
    let mut cells = 0_usize;
    for start in members(from) {
        let mut path: Vec<(&Value, Vec<&Value>)> = vec![(start, next(graph, start))];
        let mut on: BTreeSet<&Value> = [start].into();
        while let Some((_, left)) = path.last_mut() {
            let Some(node) = left.pop() else {
                if let Some((done, _)) = path.pop() {
                    on.remove(done);
                }
                continue;
            };
            cells = cells.saturating_add(path.len() + 1);
            at_most("steps of all paths:", cells, MAX_NODES)?;
            if on.insert(node) {
                path.push((node, next(graph, node)));
                at_most("steps of a path:", path.len(), MAX_PATH)?;
            }
        }
    }
    Ok(())
}

fn next<'a>(graph: &'a Value, node: &Value) -> Vec<&'a Value> {
    match graph {
        Value::Object(graph) => graph.get(node).map(members).unwrap_or_default(),
        _ => Vec::new(),
    }
}

fn members(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Set(items) => items.iter().collect(),
        _ => Vec::new(),
    }
}
