//! What a package says about itself: its `# METADATA` block, in OPA's annotation form.

use std::collections::BTreeSet;

use crmgate_domain::{Document, Enforcement, Kind, Layer, Point, Severity};

use crate::{LoadError, Source};

mod block;
mod fields;
#[cfg(test)]
mod tests;

use block::Block;
use fields::Fields;

/// Some names, or all there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Names {
    /// `"*"`, which somebody wrote down.
    Any,
    /// These, in lower case.
    Only(BTreeSet<String>),
}

impl Names {
    /// Whether both may name one thing.
    #[must_use]
    pub fn meet(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Only(a), Self::Only(b)) => !a.is_disjoint(b),
            _ => true,
        }
    }
}

/// A package's metadata, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// One line about what it does.
    pub title: String,
    /// More about it.
    pub description: Option<String>,
    /// The team that answers for it.
    pub owner: String,
    /// The objects it governs, by canonical or native name.
    pub objects: Names,
    /// The kinds it governs. `"*"` is every kind of write; `read` and `event` are always named.
    pub operations: BTreeSet<Kind>,
    /// The connections it governs.
    pub connections: Names,
    /// The points it governs at.
    pub points: BTreeSet<Point>,
    /// How strongly it counts.
    pub enforcement: Enforcement,
    /// How bad its refusals are.
    pub severity: Severity,
    /// The related records it reads.
    pub needs: BTreeSet<String>,
    /// Whether no connection may weaken it.
    pub is_final: bool,
    /// What to do about a refusal.
    pub remediation: Option<String>,
}

impl Metadata {
    /// Whether some operation is governed by both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.objects.meet(&other.objects)
            && self.connections.meet(&other.connections)
            && !self.operations.is_disjoint(&other.operations)
            && !self.points.is_disjoint(&other.points)
    }
}

const WRITES: [Kind; 6] = [
    Kind::Create,
    Kind::Update,
    Kind::Delete,
    Kind::Associate,
    Kind::Disassociate,
    Kind::Action,
];

const POINTS: [Point; 6] = [
    Point::Gateway,
    Point::Queue,
    Point::Hook,
    Point::Validate,
    Point::Scan,
    Point::Event,
];

/// What a file's blocks hold for its package.
pub(crate) enum Found {
    /// No block of the package's own.
    None,
    /// One, at this line.
    One(Box<Metadata>, u32),
}

/// Reads the blocks of one file; every fault is added to `faults`.
pub(crate) fn read(source: &Source, layer: Layer, faults: &mut Vec<LoadError>) -> Found {
    let mut found = Found::None;
    for block in block::all(&source.text) {
        match block.parse(&source.path) {
            Err(fault) => faults.push(fault),
            Ok(document) if block.is_of_package(&document) => {
                if let Found::One(_, line) = &found {
                    faults.push(second_block(&source.path, block.line, &source.path, *line));
                    continue;
                }
                let mut fields = Fields::new(&source.path, &block, faults);
                if let Some(metadata) = package(&document, layer, &mut fields) {
                    found = Found::One(Box::new(metadata), block.line);
                }
            }
            Ok(document) => rule(&document, &block, &source.path, faults),
        }
    }
    found
}

/// The fault of a package that says twice what it is.
pub(crate) fn second_block(file: &str, line: u32, other: &str, other_line: u32) -> LoadError {
    LoadError::file(
        "metadata",
        file,
        format!("the package has a metadata block at {other}:{other_line} already"),
    )
    .at(line, None)
    .remedy("keep one block per package, in one of its files")
}

/// A block on a rule is for readers only; what counts is written on the package.
fn rule(document: &Document, block: &Block, file: &str, faults: &mut Vec<LoadError>) {
    let custom = document.as_object().is_some_and(|o| o.contains("custom"));
    if custom {
        let message = "`custom` on a rule has no effect";
        faults.push(
            LoadError::file("metadata", file, message)
                .at(block.line_of("custom"), None)
                .remedy("write it on the package, above its `package` line"),
        );
    }
}

fn package(document: &Document, layer: Layer, at: &mut Fields<'_>) -> Option<Metadata> {
    let top = at.object(document, "the metadata block")?;
    at.known(
        &top,
        "",
        &[
            "scope",
            "title",
            "description",
            "related_resources",
            "authors",
            "organizations",
            "schemas",
            "entrypoint",
            "custom",
        ],
    );
    let title = at.text(&top, "title");
    let description = at.optional_text(&top, "description");
    let Some(custom) = top.get("custom") else {
        at.missing(
            "custom",
            "a mapping with `owner`, `objects` and `operations`",
        );
        return None;
    };
    let custom = at.object(custom, "`custom`")?;
    at.known(
        &custom,
        "custom.",
        &[
            "owner",
            "objects",
            "operations",
            "connections",
            "points",
            "enforcement",
            "severity",
            "needs",
            "final",
            "remediation",
        ],
    );
    let owner = at.text(&custom, "owner");
    let objects = at.names(&custom, "objects", true);
    let operations = operations(&custom, at);
    let metadata = Metadata {
        connections: connections(&custom, layer, at),
        points: points(&custom, at),
        enforcement: enforcement(&custom, at),
        severity: severity(&custom, at),
        needs: needs(&custom, at),
        is_final: is_final(&custom, layer, at),
        remediation: at.optional_text(&custom, "remediation"),
        title: title?,
        description,
        owner: owner?,
        objects: objects?,
        operations: operations?,
    };
    Some(metadata)
}

fn operations(custom: &crmgate_domain::Object, at: &mut Fields<'_>) -> Option<BTreeSet<Kind>> {
    let expected = "`\"*\"` (every write) or a list of create, update, delete, associate, disassociate, action, read, event";
    let words = at.words(custom, "operations", expected)?;
    let mut kinds = BTreeSet::new();
    for word in words {
        match word.as_str() {
            "*" => kinds.extend(WRITES),
            "upsert" => at.wrong(
                "operations",
                "`upsert`, which is resolved before policies see it",
                "`create` and `update`",
            ),
            "read" => _ = kinds.insert(Kind::Read),
            "event" => _ = kinds.insert(Kind::Event),
            word => match WRITES.iter().find(|kind| kind.as_str() == word) {
                Some(kind) => _ = kinds.insert(*kind),
                None => at.wrong("operations", &format!("`{word}`"), expected),
            },
        }
    }
    Some(kinds)
}

fn points(custom: &crmgate_domain::Object, at: &mut Fields<'_>) -> BTreeSet<Point> {
    let expected = "a list of gateway, queue, hook, validate, scan, event";
    if !custom.contains("points") {
        return POINTS.into();
    }
    let mut points = BTreeSet::new();
    for word in at.words(custom, "points", expected).unwrap_or_default() {
        match POINTS.iter().find(|point| point.as_str() == word) {
            Some(point) => _ = points.insert(*point),
            None if word == "*" => points.extend(POINTS),
            None => at.wrong("points", &format!("`{word}`"), expected),
        }
    }
    points
}

fn connections(custom: &crmgate_domain::Object, layer: Layer, at: &mut Fields<'_>) -> Names {
    if !custom.contains("connections") {
        return Names::Any;
    }
    if layer == Layer::Connection {
        at.wrong(
            "connections",
            "a list in a connection's own layer",
            "no `connections` there: the layer governs its connection only",
        );
    }
    at.names(custom, "connections", false).unwrap_or(Names::Any)
}

fn enforcement(custom: &crmgate_domain::Object, at: &mut Fields<'_>) -> Enforcement {
    at.choice(
        custom,
        "enforcement",
        &[
            ("enforce", Enforcement::Enforce),
            ("warn", Enforcement::Warn),
            ("dryrun", Enforcement::Dryrun),
            ("off", Enforcement::Off),
        ],
    )
    .unwrap_or_default()
}

fn severity(custom: &crmgate_domain::Object, at: &mut Fields<'_>) -> Severity {
    at.choice(
        custom,
        "severity",
        &[
            ("low", Severity::Low),
            ("medium", Severity::Medium),
            ("high", Severity::High),
            ("critical", Severity::Critical),
        ],
    )
    .unwrap_or_default()
}

fn needs(custom: &crmgate_domain::Object, at: &mut Fields<'_>) -> BTreeSet<String> {
    let expected = "a list of related records: `related.account`";
    let mut needs = BTreeSet::new();
    if !custom.contains("needs") {
        return needs;
    }
    for word in at.words(custom, "needs", expected).unwrap_or_default() {
        match word.strip_prefix("related.") {
            Some(relation) if !relation.is_empty() => _ = needs.insert(relation.to_owned()),
            // The stored record is supplied whenever a rule reads it; saying so does no harm.
            None if word == "before" => {}
            _ => at.wrong("needs", &format!("`{word}`"), expected),
        }
    }
    needs
}

fn is_final(custom: &crmgate_domain::Object, layer: Layer, at: &mut Fields<'_>) -> bool {
    match custom.get("final") {
        None => false,
        Some(Document::Bool(flag)) => {
            if *flag && layer == Layer::Connection {
                at.wrong(
                    "final",
                    "`true` in a connection's own layer",
                    "`final` only on global packages",
                );
            }
            *flag
        }
        Some(other) => {
            at.wrong("final", other.type_name(), "`true` or `false`");
            false
        }
    }
}
