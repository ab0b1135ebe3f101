//! What a package reads of a record, found from its syntax tree.
//!
//! An abstract evaluation without values: every expression is evaluated to the parts of the input
//! that it may be, through variables, imports, helper rules and functions. What is consumed (by a
//! comparison, a builtin, a result) counts as read. Where a path can't be told, all fields do.
//!
//! INVARIANT: the set is never too small. Order and reachability are ignored, and a name that is
//! both a variable and a rule counts as both.

use std::collections::{BTreeMap, BTreeSet};

use crmgate_domain::{FieldRef, FieldSet, Reads};

use crate::looks::Looks;
use crate::rules::Reserved;
use crate::symbols::{GroupId, Symbols};

mod alias;
mod eval;
mod expr;
#[cfg(test)]
mod tests;

use alias::{Alias, Hop, Path};

/// How many rule bodies are looked at for one package before giving up, which means all fields.
const BUDGET: usize = 5_000;

/// What a package reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PackageReads {
    /// Fields and related records.
    pub(crate) reads: Reads,
    /// Whether it looks at the native request.
    pub(crate) request: bool,
    /// The parts of the input it looks at, the record's among them.
    pub(crate) looks: Looks,
}

/// Finds what the reserved rules of a package read.
pub(crate) fn of_package(symbols: &Symbols<'_>, package: &[String]) -> PackageReads {
    let mut reader = Reader {
        symbols,
        consumed: BTreeSet::new(),
        compared: BTreeSet::new(),
        touched: BTreeSet::new(),
        known: BTreeMap::new(),
        looked_at: 0,
    };
    for reserved in Reserved::ALL {
        let Some(id) = symbols.group(package, reserved.name()) else {
            continue;
        };
        let value = reader.rule(id, &[]);
        reader.consume(&value);
        if reserved == Reserved::Patch {
            reader.patches(id);
        }
    }
    reader.told()
}

struct Reader<'a, 's> {
    symbols: &'s Symbols<'a>,
    /// The paths whose value was used.
    consumed: BTreeSet<Path>,
    /// The paths whose value the engine compares on its own, to find a rule with two values.
    compared: BTreeSet<Path>,
    /// The members of the input that any expression comes near.
    touched: BTreeSet<String>,
    /// Rules and functions that were looked at, by their arguments, with what they evaluate to.
    known: BTreeMap<(GroupId, Vec<Alias>), Alias>,
    looked_at: usize,
}

impl Reader<'_, '_> {
    /// Gives up: the whole input counts as read.
    fn everything(&mut self) {
        self.consumed.insert(Path::new());
    }

    fn consume(&mut self, alias: &Alias) {
        self.consumed.extend(alias.paths.iter().cloned());
    }

    /// A look at whether a value is there at all. A record's existence is known with its id.
    fn consume_existence(&mut self, alias: &Alias) {
        for path in &alias.paths {
            match path.as_slice() {
                [Hop::Key(root)] if root == "before" || root == "native_before" => {
                    self.consumed
                        .insert(vec![Hop::Key("before".into()), Hop::Key("id".into())]);
                }
                [Hop::Key(root)] if root != "request" => {}
                _ => _ = self.consumed.insert(path.clone()),
            }
        }
    }

    fn told(self) -> PackageReads {
        let mut told = PackageReads::default();
        for path in &self.consumed {
            told.add(path);
        }
        for path in &self.compared {
            told.look(path);
        }
        for part in &self.touched {
            told.looks.part(part);
        }
        told
    }
}

impl PackageReads {
    fn look(&mut self, path: &[Hop]) {
        match path {
            [Hop::Key(part), Hop::Key(member), ..] => self.looks.add(part, Some(member)),
            [Hop::Key(part), ..] => self.looks.add(part, None),
            [Hop::Any, ..] | [] => self.looks.everything(),
        }
    }

    fn add(&mut self, path: &[Hop]) {
        self.look(path);
        let Some(Hop::Key(root)) = path.first() else {
            self.reads.record = FieldSet::All;
            self.reads.before = FieldSet::All;
            return;
        };
        let below = path.get(1);
        let reads = &mut self.reads;
        match root.as_str() {
            "record" => reads.record.extend(&field("", below)),
            "native" => reads.record.extend(&field("native.", below)),
            "before" => reads.before.extend(&field("", below)),
            "native_before" => reads.before.extend(&field("native.", below)),
            "changes" => {
                reads.before.extend(&field("", below));
                if matches!(below, Some(Hop::Key(_))) {
                    reads.record.extend(&field("", below));
                }
            }
            "related" => {
                if let Some(Hop::Key(name)) = below {
                    reads.related.insert(name.clone());
                }
            }
            "request" => self.request = true,
            _ => {}
        }
    }
}

fn field(prefix: &str, hop: Option<&Hop>) -> FieldSet {
    match hop {
        Some(Hop::Key(name)) => FieldSet::Only([FieldRef(format!("{prefix}{name}"))].into()),
        Some(Hop::Any) | None => FieldSet::All,
    }
}
