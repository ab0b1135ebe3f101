//! The one door to the engine's syntax tree.
//!
//! The tree is the engine's internal form: only this crate's checks and, through
//! [`crate::analysis`], the linter name its types.

use std::collections::BTreeMap;

pub use regorus::unstable::{
    ArithOp, AssignOp, BinOp, BoolOp, Expr, ExprRef, Literal, LiteralStmt, Query, Rule, RuleAssign,
    RuleBody, RuleHead, Span,
};
use regorus::unstable::{Parser, Ref};

use crate::{LoadError, Source};

/// One parsed file.
#[derive(Debug, Clone)]
pub struct Module {
    /// The file, as its source names it.
    pub file: String,
    /// The package's path without `data`: `["crm", "sales", "discounts"]`.
    pub package: Vec<String>,
    /// The line of the package clause.
    pub package_line: u32,
    /// Imported paths by the name they have in the file, `input` or `data` first.
    pub imports: BTreeMap<String, Vec<String>>,
    /// The imports as they stand, those of the language itself among them.
    pub import_list: Vec<Import>,
    /// The rules in order.
    pub rules: Vec<RuleNode>,
}

/// One import of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The path, `input`, `data` or `rego` first.
    pub path: Vec<String>,
    /// The name it has in the file.
    pub name: String,
    /// Where it stands.
    pub place: Place,
}

/// One rule of a file. Several may have one name.
#[derive(Debug, Clone)]
pub struct RuleNode {
    /// The first part of its name: `limits` of `limits.eu := 1`.
    pub name: String,
    /// Whether the name has further parts.
    pub nested: bool,
    /// Where it stands.
    pub place: Place,
    /// Its last line.
    pub end_line: u32,
    /// The tree.
    pub node: Ref<Rule>,
}

/// A place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// One-based line.
    pub line: u32,
    /// One-based column.
    pub column: u32,
}

impl From<&Span> for Place {
    /// Where a span begins, in characters. The engine's own columns count a tab as four, and of
    /// an operation name its operator.
    fn from(span: &Span) -> Self {
        let engines = Self {
            line: span.line,
            column: span.col,
        };
        let start = usize::try_from(span.start).ok();
        let Some(before) = start.and_then(|start| span.source.contents().get(..start)) else {
            return engines;
        };
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before
            .chars()
            .rev()
            .take_while(|char| *char != '\n')
            .count()
            + 1;
        match (u32::try_from(line), u32::try_from(column)) {
            (Ok(line), Ok(column)) => Self { line, column },
            _ => engines,
        }
    }
}

/// One step of a reference: `.name`, `["name"]`, or an index that is not a literal.
#[derive(Debug, Clone, Copy)]
pub enum Step<'a> {
    /// A literal name.
    Key(&'a str),
    /// Anything else.
    Index(&'a ExprRef),
}

impl Module {
    /// Parses one file. The caller has checked its size and nesting.
    pub fn parse(source: &Source) -> Result<Self, LoadError> {
        let fault = |error: &dyn std::fmt::Display| crate::message::syntax(&source.path, error);
        let text =
            regorus::unstable::Source::from_contents(source.path.clone(), source.text.clone())
                .map_err(|error| fault(&error))?;
        let mut parser = Parser::new(&text).map_err(|error| fault(&error))?;
        parser.enable_rego_v1().map_err(|error| fault(&error))?;
        let module = parser.parse().map_err(|error| fault(&error))?;
        let package = static_path(&module.package.refr).ok_or_else(|| {
            LoadError::file("package", &source.path, "a package name has plain parts")
        })?;
        let rules = module.policy.iter().filter_map(rule_node).collect();
        let import_list: Vec<Import> = module.imports.iter().filter_map(import).collect();
        let of_documents = import_list.iter().filter(|import| {
            matches!(
                import.path.first().map(String::as_str),
                Some("input" | "data")
            )
        });
        Ok(Self {
            file: source.path.clone(),
            package,
            package_line: module.package.span.line,
            imports: of_documents
                .map(|import| (import.name.clone(), import.path.clone()))
                .collect(),
            import_list,
            rules,
        })
    }

    /// The package's name with dots.
    pub fn package_name(&self) -> String {
        self.package.join(".")
    }
}

fn import(import: &regorus::unstable::Import) -> Option<Import> {
    let path = static_path(&import.refr)?;
    let name = match &import.r#as {
        Some(alias) => alias.text().to_owned(),
        None => path.last()?.clone(),
    };
    Some(Import {
        path,
        name,
        place: (&import.span).into(),
    })
}

fn rule_node(rule: &Ref<Rule>) -> Option<RuleNode> {
    let refr = head_ref(rule);
    let (name, steps) = chain(refr)?;
    let span = rule.span();
    let lines = span.text().lines().count().max(1);
    Some(RuleNode {
        name: name.to_owned(),
        nested: !steps.is_empty(),
        place: span.into(),
        end_line: span.line + u32::try_from(lines).unwrap_or(1) - 1,
        node: rule.clone(),
    })
}

/// The reference a rule is named by.
pub fn head_ref(rule: &Rule) -> &ExprRef {
    match rule {
        Rule::Spec { head, .. } => match head {
            RuleHead::Compr { refr, .. }
            | RuleHead::Set { refr, .. }
            | RuleHead::Func { refr, .. } => refr,
        },
        Rule::Default { refr, .. } => refr,
    }
}

/// A reference as its first variable and the steps from it; `None` when it starts at anything
/// else.
pub fn chain(expr: &ExprRef) -> Option<(&str, Vec<Step<'_>>)> {
    let mut steps = Vec::new();
    let mut at = expr;
    loop {
        match at.as_ref() {
            Expr::Var { span, .. } => {
                steps.reverse();
                return Some((span.text(), steps));
            }
            Expr::RefDot { refr, field, .. } => {
                steps.push(Step::Key(field.0.text()));
                at = refr;
            }
            Expr::RefBrack { refr, index, .. } => {
                steps.push(literal_text(index).map_or(Step::Index(index), Step::Key));
                at = refr;
            }
            _ => return None,
        }
    }
}

/// The text of a string literal.
pub fn literal_text(expr: &ExprRef) -> Option<&str> {
    match expr.as_ref() {
        Expr::String { value, .. } | Expr::RawString { value, .. } => {
            value.as_string().ok().map(AsRef::as_ref)
        }
        _ => None,
    }
}

/// A reference of literal steps only.
pub fn static_path(expr: &ExprRef) -> Option<Vec<String>> {
    let (root, steps) = chain(expr)?;
    let mut path = vec![root.to_owned()];
    for step in steps {
        match step {
            Step::Key(key) => path.push(key.to_owned()),
            Step::Index(_) => return None,
        }
    }
    Some(path)
}

/// A part of an expression.
#[derive(Debug)]
pub enum Part<'a> {
    /// An expression.
    Expr(&'a ExprRef),
    /// The statements of a body or of a comprehension.
    Query(&'a Query),
}

/// The direct parts of an expression, the name of a called function left out.
pub fn parts<'a>(expr: &'a Expr, each: &mut dyn FnMut(Part<'a>)) {
    match expr {
        Expr::String { .. }
        | Expr::RawString { .. }
        | Expr::Number { .. }
        | Expr::Bool { .. }
        | Expr::Null { .. }
        | Expr::Var { .. } => {}
        Expr::Array { items, .. } | Expr::Set { items, .. } => {
            items.iter().for_each(|item| each(Part::Expr(item)));
        }
        Expr::Object { fields, .. } => fields.iter().for_each(|(_, key, value)| {
            each(Part::Expr(key));
            each(Part::Expr(value));
        }),
        Expr::ArrayCompr { term, query, .. } | Expr::SetCompr { term, query, .. } => {
            each(Part::Expr(term));
            each(Part::Query(query));
        }
        Expr::ObjectCompr {
            key, value, query, ..
        } => {
            each(Part::Expr(key));
            each(Part::Expr(value));
            each(Part::Query(query));
        }
        Expr::Call { params, .. } => params.iter().for_each(|param| each(Part::Expr(param))),
        Expr::UnaryExpr { expr, .. } => each(Part::Expr(expr)),
        Expr::RefDot { refr, .. } => each(Part::Expr(refr)),
        Expr::RefBrack { refr, index, .. } => {
            each(Part::Expr(refr));
            each(Part::Expr(index));
        }
        Expr::BinExpr { lhs, rhs, .. }
        | Expr::BoolExpr { lhs, rhs, .. }
        | Expr::ArithExpr { lhs, rhs, .. }
        | Expr::AssignExpr { lhs, rhs, .. } => {
            each(Part::Expr(lhs));
            each(Part::Expr(rhs));
        }
        Expr::Membership {
            key,
            value,
            collection,
            ..
        } => {
            key.iter().for_each(|key| each(Part::Expr(key)));
            each(Part::Expr(value));
            each(Part::Expr(collection));
        }
    }
}

/// The direct parts of one statement, its `with` modifiers included.
pub fn literal_parts<'a>(query: &'a Query, each: &mut dyn FnMut(Part<'a>)) {
    for statement in &query.stmts {
        match &statement.literal {
            Literal::SomeVars { .. } => {}
            Literal::SomeIn {
                key,
                value,
                collection,
                ..
            } => {
                key.iter().for_each(|key| each(Part::Expr(key)));
                each(Part::Expr(value));
                each(Part::Expr(collection));
            }
            Literal::Expr { expr, .. } | Literal::NotExpr { expr, .. } => each(Part::Expr(expr)),
            Literal::Every { domain, query, .. } => {
                each(Part::Expr(domain));
                each(Part::Query(query));
            }
        }
        for modifier in &statement.with_mods {
            each(Part::Expr(&modifier.refr));
            each(Part::Expr(&modifier.r#as));
        }
    }
}

/// The direct parts of a rule: its head's terms, its values and its bodies.
pub fn rule_parts<'a>(rule: &'a Rule, each: &mut dyn FnMut(Part<'a>)) {
    match rule {
        Rule::Default { args, value, .. } => {
            args.iter().for_each(|arg| each(Part::Expr(arg)));
            each(Part::Expr(value));
        }
        Rule::Spec { head, bodies, .. } => {
            for step in chain(head_ref(rule))
                .map(|(_, steps)| steps)
                .unwrap_or_default()
            {
                if let Step::Index(index) = step {
                    each(Part::Expr(index));
                }
            }
            match head {
                RuleHead::Compr { assign, .. } => {
                    assign.iter().for_each(|a| each(Part::Expr(&a.value)));
                }
                RuleHead::Set { key, .. } => key.iter().for_each(|key| each(Part::Expr(key))),
                RuleHead::Func { args, assign, .. } => {
                    args.iter().for_each(|arg| each(Part::Expr(arg)));
                    assign.iter().for_each(|a| each(Part::Expr(&a.value)));
                }
            }
            for body in bodies {
                body.assign.iter().for_each(|a| each(Part::Expr(&a.value)));
                each(Part::Query(&body.query));
            }
        }
    }
}

/// Visits every expression of a rule, outer ones first. A reference is visited as a whole, not
/// again as each of its beginnings.
pub fn every_expr<'a>(rule: &'a Rule, visit: &mut dyn FnMut(&'a ExprRef)) {
    let mut open = Vec::new();
    rule_parts(rule, &mut |part| open.push(part));
    open.reverse();
    while let Some(part) = open.pop() {
        let mut inner = Vec::new();
        match part {
            Part::Expr(expr) => {
                visit(expr);
                match chain(expr) {
                    None => parts(expr, &mut |part| inner.push(part)),
                    Some((_, steps)) => inner.extend(steps.iter().filter_map(|step| match step {
                        Step::Index(index) => Some(Part::Expr(index)),
                        Step::Key(_) => None,
                    })),
                }
            }
            Part::Query(query) => literal_parts(query, &mut |part| inner.push(part)),
        }
        open.extend(inner.into_iter().rev());
    }
}
