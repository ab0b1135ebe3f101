//! Policies as trees, for tools that look at them without judging: the linter.
//!
//! The tree is the engine's own and changes with it. What is here is for crates of this workspace
//! that are built together with this one.

use crmgate_domain::{Document, Layer, Object};

mod said;
pub use said::misshapen;

pub use crate::check::calls::{arity, function};
pub use crate::check::conflicts::{ConstantPatch, constant_patches};
pub use crate::symbols::{Group, GroupId, Meaning, Symbols, locals, variables};
pub use crate::syntax::{
    ArithOp, AssignOp, BinOp, BoolOp, Expr, ExprRef, Import, Literal, LiteralStmt, Module, Part,
    Place, Query, Rule, RuleAssign, RuleBody, RuleHead, RuleNode, Span, Step, chain, every_expr,
    head_ref, literal_parts, literal_text, parts, rule_parts, static_path,
};

use crate::load::Files;
use crate::metadata::{self, Found, Metadata};
use crate::{LoadError, Source, precheck};

/// One layer's files: the global layer's or a connection's.
#[derive(Debug, Clone)]
pub struct LayerFiles {
    /// The connection, for its own layer.
    pub connection: Option<String>,
    /// The policies, under the names that messages use.
    pub rego: Vec<Source>,
    /// Everything under `data` that files hold.
    pub data: Object,
    /// What a connection sets of the global layer's parameters.
    pub settings: Object,
}

/// The files of every layer, the global one first. What can't be read is left out: loading tells.
#[must_use]
pub fn layers(sources: &crate::Sources) -> Vec<LayerFiles> {
    let global = std::iter::once((None, sources.global.as_slice(), String::new()));
    let own = sources.connections.iter().map(|(name, own)| {
        let prefix = format!("connections/{name}/");
        (Some(name.to_string()), own.files.as_slice(), prefix)
    });
    let mut faults = Vec::new();
    let mut read = |(connection, files, prefix): (_, &[Source], String)| {
        let files = Files::sort(files, &prefix, &mut faults);
        LayerFiles {
            connection,
            data: files.data(&mut faults),
            settings: files.settings.unwrap_or_default(),
            rego: files.rego,
        }
    };
    global.chain(own).map(&mut read).collect()
}

/// Parses one file, after the checks that keep the parser from hanging.
///
/// # Errors
/// The first fault of the text.
pub fn parse(source: &Source) -> Result<Module, LoadError> {
    precheck::check(source)?;
    Module::parse(source)
}

/// The metadata of the package in a file, with the line of its block. `None` where there is none
/// or it is malformed: loading tells.
#[must_use]
pub fn metadata(source: &Source, layer: Layer) -> Option<(Metadata, u32)> {
    match metadata::read(source, layer, &mut Vec::new()) {
        Found::One(metadata, line) => Some((*metadata, line)),
        Found::None => None,
    }
}

/// How many arguments a function of the engine takes.
#[must_use]
pub fn builtin(name: &str) -> Option<u8> {
    regorus::unstable::BUILTINS
        .get(name)
        .map(|(_, takes)| *takes)
}

/// The value of a literal: a text, a number, `true`, `false` or `null`; arrays, sets (as arrays)
/// and objects of them.
#[must_use]
pub fn literal(expr: &Expr) -> Option<Document> {
    match expr {
        Expr::String { value, .. }
        | Expr::RawString { value, .. }
        | Expr::Number { value, .. }
        | Expr::Bool { value, .. }
        | Expr::Null { value, .. } => crate::value::to_document(value).ok(),
        Expr::Array { items, .. } | Expr::Set { items, .. } => {
            let items: Option<Vec<Document>> = items.iter().map(|item| literal(item)).collect();
            items.map(Document::Array)
        }
        Expr::Object { fields, .. } => {
            let mut object = Object::new();
            for (_, key, value) in fields {
                object.set(literal_text(key)?, literal(value)?);
            }
            Some(Document::Object(object))
        }
        _ => None,
    }
}
