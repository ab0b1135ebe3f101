//! Rules that say something else in a scan than at a write.
//!
//! A scan judges a stored record as an update that changes nothing: what was before is what is,
//! and the time is the scan's.

use std::collections::BTreeSet;

use crmgate_domain::{Kind, Point};
use crmgate_policy::analysis::{
    Expr, GroupId, Meaning, Place, RuleNode, Step, every_expr, static_path,
};

use crate::finding::{Finding, Level};
use crate::layer::{Layer, Package};
use crate::unused::{uses, uses_of};

/// Rules that a scan applies.
const APPLIED: [&str; 4] = ["deny", "allow", "patch", "warn"];

/// Looks at every package that governs scans.
pub(crate) fn run(layer: &Layer<'_>, found: &mut Vec<Finding>) {
    for package in layer.parsed.packages.values() {
        let metadata = &package.metadata;
        if metadata.points.contains(&Point::Scan) && metadata.operations.contains(&Kind::Update) {
            for rule in APPLIED {
                look(layer, package, rule, found);
            }
        }
    }
}

fn look(layer: &Layer<'_>, package: &Package, rule: &str, found: &mut Vec<Finding>) {
    let path: Vec<String> = package.name.split('.').map(str::to_owned).collect();
    let Some(id) = layer.symbols.group(&path, rule) else {
        return;
    };
    let rules: Vec<_> = layer.symbols.rules(id).collect();
    // Members of a set are made each by its own rule; a single value by all of them.
    for (module, node) in rules {
        let mut reads = Reads::default();
        reads.of(layer, module, node);
        let mut open: Vec<GroupId> = uses_of(layer, module, node).into_iter().collect();
        let mut seen: BTreeSet<GroupId> = open.iter().copied().collect();
        while let Some(id) = open.pop() {
            for (module, node) in layer.symbols.rules(id) {
                reads.of(layer, module, node);
            }
            open.extend(uses(layer, id).into_iter().filter(|id| seen.insert(*id)));
        }
        tell(rule, reads, found);
    }
}

fn tell(rule: &str, reads: Reads, found: &mut Vec<Finding>) {
    if reads.changes {
        return;
    }
    let remedy =
        "read `input.changes`, or leave scans out by `points: [gateway, queue, hook, validate]`";
    if let Some((file, place)) = reads.time {
        let message = format!(
            "`{rule}` depends on the time and governs scans, where that is the time of the scan"
        );
        found.push(
            Finding::new(Level::Warning, "time_in_scan", &file, message)
                .at(place)
                .remedy(remedy),
        );
    }
    if let Some((file, place)) = reads.before {
        let message =
            format!("`{rule}` reads what was before and governs scans, where that is what is");
        found.push(
            Finding::new(Level::Info, "before_in_scan", &file, message)
                .at(place)
                .remedy(remedy),
        );
    }
}

#[derive(Default)]
struct Reads {
    changes: bool,
    time: Option<(String, Place)>,
    before: Option<(String, Place)>,
}

impl Reads {
    fn of<'a>(&mut self, layer: &Layer<'a>, index: usize, node: &'a RuleNode) {
        let Some(module) = layer.symbols.modules.get(index) else {
            return;
        };
        every_expr(&node.node, &mut |expr| {
            let place = || (module.file.clone(), Place::from(expr.span()));
            if let Expr::Call { fcn, .. } = expr.as_ref() {
                if static_path(fcn).unwrap_or_default().join(".") == "time.now_ns" {
                    self.time.get_or_insert_with(place);
                }
                return;
            }
            let Some(Meaning::Input(steps)) = layer.symbols.meaning(index, expr) else {
                return;
            };
            match steps.as_slice() {
                // A rule for one kind or point speaks of it alone.
                [Step::Key("changes"), ..]
                | [Step::Key("operation"), Step::Key("point" | "kind"), ..] => {
                    self.changes = true;
                }
                [Step::Key("before" | "native_before"), ..] => {
                    self.before.get_or_insert_with(place);
                }
                [Step::Key("operation"), Step::Key("at"), ..] => {
                    self.time.get_or_insert_with(place);
                }
                _ => {}
            }
        });
    }
}
