//! Packages that can never agree: both set one field, always, to different values.
//!
//! Each write that both govern would be refused with `patch_conflict`; better is to say so when
//! they are loaded, to both owners. Patches under conditions are the linter's business.

use std::collections::BTreeMap;

use crmgate_domain::{Document, Enforcement, PatchOp};

use super::fault;
use crate::LoadError;
use crate::analysis::literal;
use crate::package::Package;
use crate::rules::Reserved;
use crate::syntax::{self, Expr, Module, Place, Rule, RuleBody, RuleHead};

/// A `patch` of a literal field to a literal value.
#[derive(Debug, Clone)]
pub struct ConstantPatch<'a> {
    /// What it does.
    pub op: PatchOp,
    /// The field.
    pub field: &'a str,
    /// The value; null for `clear`.
    pub value: Document,
    /// The bodies under which it holds; it always does where there are none.
    pub bodies: &'a [RuleBody],
    /// Where it stands.
    pub place: Place,
}

impl ConstantPatch<'_> {
    /// Whether it holds whatever is written.
    #[must_use]
    pub fn always(&self) -> bool {
        self.bodies.iter().all(|body| body.query.stmts.is_empty())
    }

    /// Whether both can't be done at once.
    #[must_use]
    pub fn conflicts(&self, other: &Self) -> bool {
        let late = |op| op == PatchOp::Default;
        self.field == other.field && late(self.op) == late(other.op) && self.value != other.value
    }
}

/// The patches of a file whose field and value are literals.
#[must_use]
pub fn constant_patches(module: &Module) -> Vec<ConstantPatch<'_>> {
    let rules = module
        .rules
        .iter()
        .filter(|rule| rule.name == Reserved::Patch.name() && !rule.nested);
    rules.filter_map(|rule| constant(&rule.node)).collect()
}

fn constant(rule: &Rule) -> Option<ConstantPatch<'_>> {
    let Rule::Spec {
        head: RuleHead::Set { key: Some(key), .. },
        bodies,
        ..
    } = rule
    else {
        return None;
    };
    let Expr::Object { fields, .. } = key.as_ref() else {
        return None;
    };
    let member = |name: &str| {
        let mut all = fields.iter();
        all.find(|(_, key, _)| syntax::literal_text(key) == Some(name))
            .map(|(_, _, value)| value)
    };
    let op = match syntax::literal_text(member("op")?)? {
        "set" => PatchOp::Set,
        "default" => PatchOp::Default,
        "clear" => PatchOp::Clear,
        _ => return None,
    };
    let value = match (op, member("value")) {
        (PatchOp::Clear, None) => Document::Null,
        (_, Some(value)) => literal(value)?,
        (_, None) => return None,
    };
    Some(ConstantPatch {
        op,
        field: syntax::literal_text(member("field")?)?,
        value,
        bodies,
        // The engine's span of an object begins at its last member.
        place: fields.first().map(|(_, key, _)| key.span())?.into(),
    })
}

/// Finds pairs of enforced packages that always patch one field to different values. `others` are
/// packages of the layer above.
pub(crate) fn check(
    (modules, packages): (&[Module], &[Package]),
    (other_modules, others): (&[Module], &[Package]),
    faults: &mut Vec<LoadError>,
) {
    let mine = fixed(modules, packages);
    let theirs = fixed(other_modules, others);
    for (index, one) in mine.iter().enumerate() {
        let rest = mine.get(index + 1..).unwrap_or_default();
        for other in rest.iter().chain(&theirs) {
            let apart = one.package.name == other.package.name
                || !one.package.metadata.overlaps(&other.package.metadata);
            if !apart && one.patch.conflicts(&other.patch) {
                faults.push(told(one, other));
            }
        }
    }
}

struct Fixed<'a> {
    package: &'a Package,
    file: &'a str,
    patch: ConstantPatch<'a>,
}

/// Patches that are made whenever their package governs.
fn fixed<'a>(modules: &'a [Module], packages: &'a [Package]) -> Vec<Fixed<'a>> {
    let enforced = |package: &&Package| package.enforcement() == Enforcement::Enforce;
    let by_name: BTreeMap<&str, &Package> = packages
        .iter()
        .filter(enforced)
        .map(|package| (package.name.as_str(), package))
        .collect();
    let mut all = Vec::new();
    for module in modules {
        let Some(package) = by_name.get(module.package_name().as_str()) else {
            continue;
        };
        let patches = constant_patches(module).into_iter();
        all.extend(
            patches
                .filter(|patch| patch.always() && patch.op != PatchOp::Default)
                .map(|patch| Fixed {
                    package,
                    file: &module.file,
                    patch,
                }),
        );
    }
    all
}

fn told(one: &Fixed<'_>, other: &Fixed<'_>) -> LoadError {
    let owners = (&one.package.metadata.owner, &other.package.metadata.owner);
    let message = format!(
        "`{}` of {} sets `{}` to {}, and `{}` of {} ({}:{}) sets it to {}: what both govern would always be refused",
        one.package.name,
        owners.0,
        one.patch.field,
        one.patch.value.to_json(),
        other.package.name,
        owners.1,
        other.file,
        other.patch.place.line,
        other.patch.value.to_json(),
    );
    fault("patch_conflict", one.file, one.patch.place, message)
        .remedy("let one of the two owners set the field, or give each patch a condition that excludes the other's")
}
