//! No rule or function reaches itself, and chains of calls end soon.
//!
//! The engine accepts a function that calls itself and then overflows its stack.

use std::collections::{BTreeMap, BTreeSet};

use super::{calls, fault};
use crate::LoadError;
use crate::symbols::{self, GroupId, Meaning, Symbols};
use crate::syntax::{self, Expr, Module};

/// Rules that use rules that use rules: at most so many. A thread's stack holds four times that.
const MAX_DEPTH: usize = 100;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    New,
    Open,
    /// Done, with the length of the longest chain below.
    Done(usize),
}

/// Finds recursion and chains that are too long.
pub(crate) fn check(symbols: &Symbols<'_>, faults: &mut Vec<LoadError>) {
    let edges: Vec<BTreeSet<GroupId>> = (0..symbols.groups.len())
        .map(|id| uses(symbols, id))
        .collect();
    let mut marks = vec![Mark::New; edges.len()];
    for id in 0..edges.len() {
        let mut walk = Walk {
            symbols,
            edges: &edges,
            marks: &mut marks,
            path: Vec::new(),
            faults,
        };
        walk.visit(id);
    }
}

struct Walk<'w, 'a> {
    symbols: &'w Symbols<'a>,
    edges: &'w [BTreeSet<GroupId>],
    marks: &'w mut [Mark],
    path: Vec<GroupId>,
    faults: &'w mut Vec<LoadError>,
}

impl Walk<'_, '_> {
    /// Goes depth first; the path never gets longer than `MAX_DEPTH`, so neither does the stack.
    fn visit(&mut self, id: GroupId) -> usize {
        match self.marks.get(id) {
            Some(Mark::Done(below)) => return *below,
            Some(Mark::Open) => {
                self.recursion(id);
                return 0;
            }
            _ => {}
        }
        if self.path.len() >= MAX_DEPTH {
            let message = format!("rules use one another over more than {MAX_DEPTH} steps");
            self.report("depth", id, message, "shorten the chain");
            return 0;
        }
        self.mark(id, Mark::Open);
        self.path.push(id);
        let mut below = 0;
        for next in self.edges.get(id).into_iter().flatten() {
            below = below.max(self.visit(*next) + 1);
        }
        self.path.pop();
        self.mark(id, Mark::Done(below));
        // A part that was done before may make the chain too long from here.
        if below > MAX_DEPTH {
            let message = format!("rules use one another over more than {MAX_DEPTH} steps");
            self.report("depth", id, message, "shorten the chain");
        }
        below
    }

    fn mark(&mut self, id: GroupId, mark: Mark) {
        if let Some(slot) = self.marks.get_mut(id) {
            *slot = mark;
        }
    }

    fn recursion(&mut self, id: GroupId) {
        let start = self.path.iter().position(|on| *on == id).unwrap_or(0);
        let mut names: Vec<String> = self
            .path
            .iter()
            .skip(start)
            .map(|id| self.name(*id))
            .collect();
        names.push(self.name(id));
        let message = format!("rules may not use themselves: {}", names.join(" uses "));
        self.report("recursion", id, message, "break the circle");
    }

    fn name(&self, id: GroupId) -> String {
        self.symbols
            .groups
            .get(id)
            .map(|group| format!("`{}.{}`", group.package, group.name))
            .unwrap_or_default()
    }

    fn report(&mut self, code: &'static str, id: GroupId, message: String, remedy: &str) {
        let place = self.symbols.rules(id).next().and_then(|(module, rule)| {
            let file = &self.symbols.modules.get(module)?.file;
            Some((file.clone(), rule.place))
        });
        if let Some((file, place)) = place {
            self.faults
                .push(fault(code, &file, place, message).remedy(remedy));
        }
    }
}

/// The groups that a group's rules use.
fn uses(symbols: &Symbols<'_>, id: GroupId) -> BTreeSet<GroupId> {
    let mut used = BTreeSet::new();
    for (module, rule) in symbols.rules(id) {
        let locals = symbols::locals(&rule.node);
        syntax::every_expr(&rule.node, &mut |expr| {
            if let Expr::Call { fcn, .. } = expr.as_ref() {
                used.extend(calls::function(symbols, module, fcn));
                return;
            }
            match syntax::chain(expr) {
                Some((root, _)) if !locals.contains(root) => {}
                _ => return,
            }
            match symbols.meaning(module, expr) {
                Some(Meaning::Rule(id, _)) => _ = used.insert(id),
                Some(Meaning::Rules(ids)) => used.extend(ids),
                _ => {}
            }
        });
    }
    used
}

/// The modules that packages' rules can reach, their own included: by package, their indices.
///
/// INVARIANT: never too few, or a rule would be silent: names of variables that are rules or
/// imports as well count as those, and so does every import.
pub(crate) fn reach(symbols: &Symbols<'_>) -> BTreeMap<String, Vec<usize>> {
    let names: Vec<String> = symbols.modules.iter().map(Module::package_name).collect();
    let mut edges: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (index, (module, name)) in symbols.modules.iter().zip(&names).enumerate() {
        let used = edges.entry(name).or_default();
        used.extend(module.imports.values().flat_map(|path| symbols.named(path)));
        for rule in &module.rules {
            syntax::every_expr(&rule.node, &mut |expr| {
                let name = match expr.as_ref() {
                    Expr::Call { fcn, .. } => fcn,
                    _ => expr,
                };
                used.extend(symbols.packages_of(index, name));
            });
        }
    }
    let mut at: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, name) in names.iter().enumerate() {
        at.entry(name).or_default().push(index);
    }
    let reached = |start: &str| {
        let mut packages = BTreeSet::from([start]);
        let mut open = vec![start];
        while let Some(name) = open.pop() {
            for next in edges.get(name).into_iter().flatten() {
                if packages.insert(next) {
                    open.push(next);
                }
            }
        }
        let modules = packages.iter().filter_map(|name| at.get(name));
        let mut modules: Vec<usize> = modules.flatten().copied().collect();
        modules.sort_unstable();
        modules
    };
    at.keys()
        .map(|name| ((*name).to_owned(), reached(name)))
        .collect()
}
