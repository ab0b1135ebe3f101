//! One policy package, checked.

use crmgate_domain::{Enforcement, Layer, Reads};

use crate::looks::Looks;
use crate::metadata::Metadata;
use crate::rules::Reserved;

/// The file of the generated module that evaluates a package.
pub(crate) const ENTRY_FILE: &str = "crmgate/entry.rego";

/// Its one rule.
const ENTRY: &str = "data.crmgate.entry.out";

/// A package and what the engine must know of it.
#[derive(Debug, Clone)]
pub struct Package {
    /// Its name: `crm.sales.discounts`.
    pub name: String,
    /// What it says about itself.
    pub metadata: Metadata,
    /// The layer it belongs to.
    pub layer: Layer,
    /// The files it is in, sorted.
    pub files: Vec<String>,
    /// The reserved rules it has, sorted.
    pub rules: Vec<Reserved>,
    /// What it reads of a record.
    pub reads: Reads,
    /// What it looks at in the input.
    pub(crate) looks: Looks,
    /// Whether single steps of it may outrun the engine's time limit.
    pub(crate) heavy: bool,
}

impl Package {
    /// The file that messages about all of it name.
    pub(crate) fn first_file(&self) -> &str {
        self.files.first().map_or(&self.name, String::as_str)
    }

    /// Whether it has that rule.
    #[must_use]
    pub fn has(&self, rule: Reserved) -> bool {
        self.rules.contains(&rule)
    }

    /// The rules that a judgement evaluates.
    pub(crate) fn judging(&self) -> impl Iterator<Item = Reserved> {
        self.rules.iter().copied().filter(|rule| rule.judges())
    }

    /// The rule to evaluate: the package's own where it has but one, else the generated one.
    pub(crate) fn entry(&self) -> (String, Option<Reserved>) {
        let mut rules = self.judging();
        match (rules.next(), rules.next()) {
            (Some(only), None) => (format!("data.{}.{}", self.name, only.name()), Some(only)),
            _ => (ENTRY.to_owned(), None),
        }
    }

    /// The generated module that evaluates the package's rules in one go, so that helper rules
    /// are evaluated once; none where the package has but one rule.
    pub(crate) fn entry_module(&self) -> Option<String> {
        if self.judging().count() == 1 {
            return None;
        }
        let members: Vec<String> = self
            .judging()
            .map(|rule| {
                let name = rule.name();
                let path = format!("data.{}.{name}", self.name);
                // A complete rule may be undefined, which would take the others with it.
                match rule.shape() {
                    crate::rules::Shape::Set => format!("\"{name}\": {path}"),
                    crate::rules::Shape::Truth => format!("\"{name}\": [x | x := {path}]"),
                }
            })
            .collect();
        Some(format!(
            "package crmgate.entry\n\nout := {{\n\t{}\n}}\n",
            members.join(",\n\t")
        ))
    }

    /// How strongly it counts, unless its connection says otherwise.
    #[must_use]
    pub const fn enforcement(&self) -> Enforcement {
        self.metadata.enforcement
    }
}
