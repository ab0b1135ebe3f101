//! No value grows beyond what a single step of the engine can look through.
//!
//! Values share their parts, so `[x, x]` costs nothing to make; but what compares, prints or
//! walks through a value looks at every part as often as it is there, in one step, which no time
//! limit ends. Thirty rules that each name the one before twice hold a value that takes hours to
//! compare. Numbers that are multiplied with themselves grow just so.
//!
//! The rules cannot call themselves, so how large each value can become is found here, as a
//! multiple of what the rules are given: an upper bound, told in copies, in loops within loops,
//! and in factors of numbers. What may be too large for a step is refused; what may take a step
//! long is marked, and evaluated where nobody waits for it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use crmgate_domain::Object;
use regorus::unstable::ArithOp;

use super::calls;
use crate::LoadError;
use crate::symbols::{GroupId, Meaning, Symbols};
use crate::syntax::{self, Expr, ExprRef, Part, Query, Rule, RuleHead, RuleNode, Step};

mod names;
mod size;
mod steps;
#[cfg(test)]
mod tests;

use names::{Names, Scope, Stands};
use size::Size;

/// Finds values that grow beyond bounds, and gives the modules with rules that may take a step
/// long. The rules must not be recursive.
pub(crate) fn check(
    symbols: &Symbols<'_>,
    data: &Object,
    faults: &mut Vec<LoadError>,
) -> BTreeSet<usize> {
    let mut growth = Growth {
        symbols,
        data,
        sizes: vec![Known::Not; symbols.groups.len()],
        heavy: BTreeSet::new(),
        found: Vec::new(),
    };
    for id in 0..symbols.groups.len() {
        growth.group(id);
    }
    faults.append(&mut growth.found);
    growth.heavy
}

#[derive(Debug, Clone, Copy)]
enum Known {
    Not,
    Open,
    Size(Size),
}

struct Growth<'g, 'a> {
    symbols: &'g Symbols<'a>,
    data: &'g Object,
    sizes: Vec<Known>,
    heavy: BTreeSet<usize>,
    found: Vec<LoadError>,
}

/// One rule with the names in it.
struct Here<'a> {
    module: usize,
    names: Names<'a>,
    /// How large its own names can be, as far as they were followed.
    sizes: RefCell<BTreeMap<&'a str, Size>>,
    /// Several definitions of one value are compared with each other.
    compared: bool,
}

impl<'a> Growth<'_, 'a> {
    /// How large the value of a rule can be; of a function, given things of one copy.
    fn group(&mut self, id: GroupId) -> Size {
        match self.sizes.get(id) {
            Some(Known::Size(size)) => return *size,
            Some(Known::Not) => {}
            _ => return Size::GIVEN,
        }
        self.know(id, Known::Open);
        let rules: Vec<(usize, &'a RuleNode)> = self.symbols.rules(id).collect();
        let mut size: Option<Size> = None;
        for (module, rule) in &rules {
            let here = Here {
                module: *module,
                names: Names::of(&rule.node),
                sizes: RefCell::default(),
                compared: rules.len() > 1,
            };
            let one = self.rule(&here, &rule.node);
            size = Some(match size {
                None => one,
                Some(size) if gathers(&rule.node) => size.and(one),
                // Of several definitions of one value, one gives it.
                Some(size) => size.or(one),
            });
            syntax::every_expr(&rule.node, &mut |expr| self.looked_through(&here, expr));
            self.modifiers(&here, &rule.node);
        }
        let size = size.unwrap_or(Size::NOTHING);
        self.know(id, Known::Size(size));
        size
    }

    fn know(&mut self, id: GroupId, known: Known) {
        if let Some(slot) = self.sizes.get_mut(id) {
            *slot = known;
        }
    }

    fn rule(&mut self, here: &Here<'a>, rule: &'a Rule) -> Size {
        let Rule::Spec { head, bodies, .. } = rule else {
            let Rule::Default { value, .. } = rule else {
                return Size::SCALAR;
            };
            return self.size(here, value);
        };
        let mut values: Vec<&'a ExprRef> = bodies
            .iter()
            .filter_map(|body| body.assign.as_ref().map(|assign| &assign.value))
            .collect();
        let mut size = Size::SCALAR;
        match head {
            RuleHead::Compr { refr, assign, .. } => {
                values.extend(assign.iter().map(|assign| &assign.value));
                let steps = syntax::chain(refr).map_or_else(Vec::new, |(_, steps)| steps);
                let keyed = !steps.is_empty();
                let mut keys = Size::NOTHING;
                for step in &steps {
                    if let Step::Index(key) = step {
                        let one = self.size(here, key);
                        self.deep(here, one, key);
                        keys = keys.with(one);
                    }
                }
                for value in values {
                    let one = self.size(here, value);
                    if here.compared {
                        self.deep(here, one, value);
                    }
                    let one = if keyed {
                        let row = keys.with(one);
                        let queries = bodies.iter().map(|body| body.query.as_ref());
                        let all = self.gathered(here, row, &[value], queries);
                        all.gathered(row.is_small())
                    } else {
                        one
                    };
                    size = if keyed { size.and(one) } else { size.or(one) };
                }
            }
            RuleHead::Set { key, .. } => {
                if let Some(key) = key {
                    let one = self.size(here, key);
                    self.deep(here, one, key);
                    let queries = bodies.iter().map(|body| body.query.as_ref());
                    let all = self.gathered(here, one, &[key], queries);
                    let all = all.gathered(one.is_scalar());
                    size = size.and(all);
                }
            }
            RuleHead::Func { assign, .. } => {
                values.extend(assign.iter().map(|assign| &assign.value));
                for value in values {
                    size = size.or(self.size(here, value));
                }
            }
        }
        size
    }

    /// What `with` puts in place of something else is given to everything below.
    fn modifiers(&mut self, here: &Here<'a>, rule: &'a Rule) {
        let mut open = Vec::new();
        syntax::rule_parts(rule, &mut |part| open.push(part));
        while let Some(part) = open.pop() {
            match part {
                Part::Expr(expr) => syntax::parts(expr, &mut |part| open.push(part)),
                Part::Query(query) => {
                    for modifier in query.stmts.iter().flat_map(|stmt| &stmt.with_mods) {
                        let size = self.size(here, &modifier.r#as);
                        self.deep(here, size, &modifier.r#as);
                    }
                    syntax::literal_parts(query, &mut |part| open.push(part));
                }
            }
        }
    }

    fn size(&mut self, here: &Here<'a>, expr: &'a ExprRef) -> Size {
        match expr.as_ref() {
            Expr::String { .. }
            | Expr::RawString { .. }
            | Expr::Number { .. }
            | Expr::Bool { .. }
            | Expr::Null { .. }
            | Expr::BoolExpr { .. }
            | Expr::Membership { .. }
            | Expr::AssignExpr { .. } => Size::SCALAR,
            Expr::Var { .. } | Expr::RefDot { .. } | Expr::RefBrack { .. } => {
                self.reference(here, expr)
            }
            Expr::Array { items, .. } | Expr::Set { items, .. } => {
                let sizes = items.iter().map(|item| self.size(here, item));
                sizes.fold(Size::NOTHING, Size::with)
            }
            Expr::Object { fields, .. } => {
                let values = fields.iter().flat_map(|(_, key, value)| [key, value]);
                let sizes = values.map(|value| self.size(here, value));
                sizes.fold(Size::NOTHING, Size::with)
            }
            Expr::ArrayCompr { term, query, .. } | Expr::SetCompr { term, query, .. } => {
                let one = self.size(here, term);
                let all = self.gathered(here, one, &[term], std::iter::once(query.as_ref()));
                all.gathered(one.is_scalar())
            }
            Expr::ObjectCompr {
                key, value, query, ..
            } => {
                let one = Size::NOTHING
                    .with(self.size(here, key))
                    .with(self.size(here, value));
                let queries = std::iter::once(query.as_ref());
                let all = self.gathered(here, one, &[key, value], queries);
                all.gathered(one.is_small())
            }
            Expr::Call { fcn, params, .. } => self.call(here, fcn, params),
            Expr::UnaryExpr { expr, .. } => self.size(here, expr),
            Expr::BinExpr { lhs, rhs, .. } => self.size(here, lhs).and(self.size(here, rhs)),
            Expr::ArithExpr { op, lhs, rhs, .. } => {
                let (lhs, rhs) = (self.size(here, lhs), self.size(here, rhs));
                match op {
                    ArithOp::Mul => lhs.times(rhs),
                    // Sets have it, too.
                    ArithOp::Sub => lhs.or(rhs),
                    _ => lhs.or(rhs).scalar(),
                }
            }
        }
    }

    fn reference(&mut self, here: &Here<'a>, expr: &'a ExprRef) -> Size {
        let Some((root, steps)) = syntax::chain(expr) else {
            // Into what a call or a literal gives: no more than all of it.
            let mut at = expr;
            while let Expr::RefDot { refr, .. } | Expr::RefBrack { refr, .. } = at.as_ref() {
                at = refr;
            }
            return if std::ptr::eq(at, expr) {
                Size::GIVEN
            } else {
                self.size(here, at)
            };
        };
        if let Some(size) = self.local(here, root) {
            return if steps.is_empty() {
                size
            } else {
                size.member()
            };
        }
        match self.symbols.meaning(here.module, expr) {
            // A field of a record, as `input.record.name`, is a plain value.
            Some(Meaning::Input(steps)) if steps.len() >= 2 => Size::FIELD,
            Some(Meaning::Rule(id, rest)) if rest.is_empty() => self.group(id),
            Some(Meaning::Rule(id, _)) => self.group(id).member(),
            Some(Meaning::Rules(ids)) => {
                let sizes = ids.into_iter().map(|id| self.group(id));
                sizes.fold(Size::NOTHING, Size::and)
            }
            Some(Meaning::Data(steps)) if size::is_plain(self.data, &steps) => Size::SCALAR,
            Some(_) => Size::GIVEN,
            // A name that nothing else explains is the place in a collection.
            None if steps.is_empty() => Size::FIELD,
            None => Size::GIVEN,
        }
    }

    /// The size of a name of the rule's own.
    fn local(&mut self, here: &Here<'a>, name: &'a str) -> Option<Size> {
        let values = match here.names.stands_for(name)? {
            Stands::Given => return Some(Size::GIVEN),
            Stands::For(values) => values,
        };
        if let Some(known) = here.sizes.borrow().get(name) {
            return Some(*known);
        }
        // A name that leads back to itself adds nothing to what it is.
        here.sizes.borrow_mut().insert(name, Size::SCALAR);
        let mut size = Size::SCALAR;
        for definition in values {
            let one = self.size(here, definition.value);
            size = size.or(if definition.member { one.member() } else { one });
        }
        here.sizes.borrow_mut().insert(name, size);
        Some(size)
    }

    fn call(&mut self, here: &Here<'a>, fcn: &'a ExprRef, params: &'a [ExprRef]) -> Size {
        let given = params.iter().map(|param| self.size(here, param));
        let given = given.fold(Size::SCALAR, Size::or);
        if let Some(id) = calls::function(self.symbols, here.module, fcn) {
            return self.group(id).of(given);
        }
        let name = syntax::static_path(fcn).unwrap_or_default().join(".");
        size::made_by(&name, given)
    }

    /// The size of all that a loop gathers, of which one is of that size.
    fn gathered(
        &mut self,
        here: &Here<'a>,
        one: Size,
        terms: &[&'a ExprRef],
        queries: impl Iterator<Item = &'a Query>,
    ) -> Size {
        let mut size = one;
        for query in queries {
            // A name that was looked at once gives nothing new the second time.
            let (loops, mut scope) = here.names.loops(query);
            let shares = loops > 0 && terms.iter().any(|term| self.shares(here, term, &mut scope));
            if shares || (loops > 1 && !one.is_small()) {
                size = size.or(one.in_a_loop());
            }
        }
        size
    }

    /// Whether a function gives more than a plain value, whatever it is given.
    fn gives_parts(&mut self, here: &Here<'a>, fcn: &'a ExprRef) -> bool {
        if let Some(id) = calls::function(self.symbols, here.module, fcn) {
            return !self.group(id).is_scalar();
        }
        let name = syntax::static_path(fcn).unwrap_or_default().join(".");
        !size::made_by(&name, Size::GIVEN).is_scalar()
    }

    /// Whether each run of a loop gives the same parts again: of something else than what it runs
    /// over.
    fn shares(&mut self, here: &Here<'a>, expr: &'a ExprRef, scope: &mut Scope<'a>) -> bool {
        match expr.as_ref() {
            Expr::Array { items, .. } | Expr::Set { items, .. } => {
                items.iter().any(|item| self.shares(here, item, scope))
            }
            Expr::Object { fields, .. } => fields.iter().any(|(_, key, value)| {
                self.shares(here, key, scope) || self.shares(here, value, scope)
            }),
            Expr::Call { fcn, params, .. } => {
                self.gives_parts(here, fcn)
                    && params.iter().any(|param| self.shares(here, param, scope))
            }
            Expr::Var { .. } | Expr::RefDot { .. } | Expr::RefBrack { .. } => {
                let Some((root, _)) = syntax::chain(expr) else {
                    return true;
                };
                if scope.seen.contains(root) || here.names.runs_over(expr) {
                    return false;
                }
                if let Some(value) = scope.assigned.get(root).copied() {
                    scope.seen.insert(root);
                    return self.shares(here, value, scope);
                }
                match here.names.stands_for(root) {
                    Some(Stands::Given) => return true,
                    Some(Stands::For(values)) => {
                        scope.seen.insert(root);
                        return values.iter().any(|one| self.shares(here, one.value, scope));
                    }
                    None => {}
                }
                !self.reference(here, expr).is_scalar()
            }
            Expr::ArrayCompr { .. } | Expr::SetCompr { .. } | Expr::ObjectCompr { .. } => true,
            _ => false,
        }
    }
}

/// Whether the definitions of a rule together make one collection.
fn gathers(rule: &Rule) -> bool {
    match rule {
        Rule::Spec { head, .. } => match head {
            RuleHead::Set { .. } => true,
            RuleHead::Compr { refr, .. } => {
                syntax::chain(refr).is_some_and(|(_, steps)| !steps.is_empty())
            }
            RuleHead::Func { .. } => false,
        },
        Rule::Default { .. } => false,
    }
}
