//! What a package says outright.

use std::collections::{BTreeMap, BTreeSet};

use crmgate_domain::{Document, Enforcement};
use crmgate_policy::Reserved;
use crmgate_policy::analysis::{
    ConstantPatch, Expr, Literal, Module, Place, Query, Rule, RuleBody, RuleHead, RuleNode,
    constant_patches, literal_text, static_path,
};

use crate::layer::{Package, Parsed};

/// A package and what it says outright.
pub(super) struct Speaker<'a> {
    pub(super) connection: Option<&'a str>,
    pub(super) package: &'a Package,
    pub(super) patches: Vec<(&'a str, ConstantPatch<'a>)>,
    pub(super) refusals: Vec<Refusal<'a>>,
    pub(super) scopes: BTreeMap<&'a str, (&'a str, Place)>,
    /// Whether every scope it asks for is a literal.
    pub(super) all_scopes: bool,
    /// A rule that takes its scopes from a list that is empty.
    pub(super) no_scopes: Option<(&'a str, Place, String)>,
    /// Each reserved rule's text, blanks aside, with its place.
    pub(super) texts: BTreeMap<String, (&'a str, Place)>,
    /// All rules' texts together.
    pub(super) whole: BTreeSet<String>,
}

/// A rule of `deny`.
pub(super) struct Refusal<'a> {
    pub(super) file: &'a str,
    pub(super) place: Place,
    pub(super) code: Option<&'a str>,
    pub(super) bodies: &'a [RuleBody],
}

impl<'a> Speaker<'a> {
    pub(super) fn new(layer: &'a Parsed, package: &'a Package) -> Self {
        let mut all = Self {
            connection: layer.connection.as_deref(),
            package,
            patches: Vec::new(),
            refusals: Vec::new(),
            scopes: BTreeMap::new(),
            all_scopes: true,
            no_scopes: None,
            texts: BTreeMap::new(),
            whole: BTreeSet::new(),
        };
        let own = layer.modules.iter().take(layer.own);
        for module in own.filter(|module| module.package_name() == package.name) {
            let patches = constant_patches(module).into_iter();
            all.patches
                .extend(patches.map(|patch| (module.file.as_str(), patch)));
            for node in &module.rules {
                all.rule(layer, module, node);
            }
        }
        all
    }

    fn rule(&mut self, layer: &Parsed, module: &'a Module, node: &'a RuleNode) {
        let text: Vec<&str> = node.node.span().text().split_whitespace().collect();
        let text = text.join(" ");
        if Reserved::ALL.iter().any(|rule| rule.name() == node.name) {
            self.texts
                .entry(text.clone())
                .or_insert((module.file.as_str(), node.place));
        }
        self.whole.insert(text);
        let Rule::Spec {
            head: RuleHead::Set { key: Some(key), .. },
            bodies,
            ..
        } = node.node.as_ref()
        else {
            return;
        };
        match node.name.as_str() {
            "deny" => self.refusals.push(Refusal {
                file: &module.file,
                place: node.place,
                code: code(key),
                bodies,
            }),
            "allow_scopes" => {
                if let Some(scope) = literal_text(key) {
                    self.scopes.insert(scope, (&module.file, node.place));
                } else {
                    self.all_scopes = false;
                    let list = first(bodies).and_then(|query| empty_list(layer, query));
                    self.no_scopes = list.map(|list| (module.file.as_str(), node.place, list));
                }
            }
            _ => {}
        }
    }

    pub(super) fn meets(&self, other: &Self) -> bool {
        let apart = matches!((self.connection, other.connection), (Some(a), Some(b)) if a != b);
        let (mine, theirs) = (&self.package.metadata, &other.package.metadata);
        let off = |package: &Package| package.metadata.enforcement == Enforcement::Off;
        let governs = (&self.package.governs, &other.package.governs);
        let objects = match (&governs.0.object_names, &governs.1.object_names) {
            (Some(a), Some(b)) => !a.is_disjoint(b),
            _ => true,
        };
        !apart
            && !off(self.package)
            && !off(other.package)
            && objects
            && mine.connections.meet(&theirs.connections)
            && !mine.operations.is_disjoint(&theirs.operations)
            && !mine.points.is_disjoint(&theirs.points)
    }

    pub(super) fn enforced(&self) -> bool {
        self.package.metadata.enforcement == Enforcement::Enforce
    }

    /// The package and who answers for it.
    pub(super) fn named(&self) -> String {
        format!("`{}` of {}", self.package.name, self.package.metadata.owner)
    }
}

fn code(key: &Expr) -> Option<&str> {
    let Expr::Object { fields, .. } = key else {
        return None;
    };
    let mut fields = fields.iter();
    let (_, _, value) = fields.find(|(_, key, _)| literal_text(key) == Some("code"))?;
    literal_text(value)
}

/// The list that a body goes through, when it is data and empty.
fn empty_list(layer: &Parsed, query: &Query) -> Option<String> {
    query.stmts.iter().find_map(|statement| {
        let Literal::SomeIn { collection, .. } = &statement.literal else {
            return None;
        };
        let path = static_path(collection)?;
        let (root, rest) = path.split_first()?;
        let (first, rest) = rest.split_first().filter(|_| root == "data")?;
        let mut at = layer.data.get(first)?;
        for key in rest {
            at = at.as_object()?.get(key)?;
        }
        matches!(at, Document::Array(items) if items.is_empty()).then(|| path.join("."))
    })
}

pub(super) fn first(bodies: &[RuleBody]) -> Option<&Query> {
    bodies.first().map(|body| body.query.as_ref())
}
