//! What the names in a layer's files stand for.

use std::collections::{BTreeMap, BTreeSet};

use crate::syntax::{
    self, Expr, ExprRef, Literal, Module, Part, Rule, RuleHead, RuleNode, Span, Step,
};

/// All rules of one name in one package, wherever they stand.
#[derive(Debug)]
pub struct Group {
    /// The package, with dots.
    pub package: String,
    /// The rule's name.
    pub name: String,
    /// Module and rule indices.
    pub rules: Vec<(usize, usize)>,
}

/// Names one group of [`Symbols`].
pub type GroupId = usize;

/// The names of one layer.
#[derive(Debug)]
pub struct Symbols<'a> {
    /// The modules, in the order that indices name.
    pub modules: &'a [Module],
    /// Every name.
    pub groups: Vec<Group>,
    ids: BTreeMap<(Vec<String>, String), GroupId>,
    packages: BTreeSet<Vec<String>>,
}

/// What a reference points at.
#[derive(Debug)]
pub enum Meaning<'a> {
    /// A part of the input.
    Input(Vec<Step<'a>>),
    /// A rule, and the steps into its value.
    Rule(GroupId, Vec<Step<'a>>),
    /// Several rules at once: a package taken as a value.
    Rules(Vec<GroupId>),
    /// A document under `data` that no rule makes.
    Data(Vec<Step<'a>>),
}

impl<'a> Symbols<'a> {
    /// Indexes the modules.
    pub fn new(modules: &'a [Module]) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        let mut ids = BTreeMap::new();
        let mut packages = BTreeSet::new();
        for (module_index, module) in modules.iter().enumerate() {
            packages.insert(module.package.clone());
            for (rule_index, rule) in module.rules.iter().enumerate() {
                let key = (module.package.clone(), rule.name.clone());
                let id = *ids.entry(key).or_insert_with(|| {
                    groups.push(Group {
                        package: module.package_name(),
                        name: rule.name.clone(),
                        rules: Vec::new(),
                    });
                    groups.len() - 1
                });
                if let Some(group) = groups.get_mut(id) {
                    group.rules.push((module_index, rule_index));
                }
            }
        }
        Self {
            modules,
            groups,
            ids,
            packages,
        }
    }

    /// The group of a rule in a package.
    pub fn group(&self, package: &[String], name: &str) -> Option<GroupId> {
        self.ids.get(&(package.to_vec(), name.to_owned())).copied()
    }

    /// The rules of a group with their modules' indices.
    pub fn rules(&self, id: GroupId) -> impl Iterator<Item = (usize, &'a RuleNode)> {
        let rules = self.groups.get(id).map(|group| group.rules.as_slice());
        rules
            .unwrap_or_default()
            .iter()
            .filter_map(|(module, rule)| {
                let node = self.modules.get(*module)?.rules.get(*rule)?;
                Some((*module, node))
            })
    }

    /// What a reference means in a module, local variables left aside.
    pub fn meaning(&self, module: usize, expr: &'a ExprRef) -> Option<Meaning<'a>> {
        let module = self.modules.get(module)?;
        let (root, mut steps) = syntax::chain(expr)?;
        match root {
            "input" => return Some(Meaning::Input(steps)),
            "data" => return Some(self.data(steps)),
            _ => {}
        }
        if let Some(id) = self.group(&module.package, root) {
            return Some(Meaning::Rule(id, steps));
        }
        let path = module.imports.get(root)?;
        let (first, rest) = path.split_first()?;
        let mut whole: Vec<Step<'a>> = rest.iter().map(|key| Step::Key(key)).collect();
        whole.append(&mut steps);
        if first == "input" {
            Some(Meaning::Input(whole))
        } else {
            Some(self.data(whole))
        }
    }

    /// The packages whose rules a reference may mean.
    pub fn packages_of(&self, module: usize, expr: &'a ExprRef) -> Vec<String> {
        let ids = match self.meaning(module, expr) {
            Some(Meaning::Rule(id, _)) => vec![id],
            Some(Meaning::Rules(ids)) => ids,
            _ => Vec::new(),
        };
        let groups = ids.iter().filter_map(|id| self.groups.get(*id));
        groups.map(|group| group.package.clone()).collect()
    }

    /// The packages that an imported path names, or holds, or has a rule of.
    pub fn named(&self, path: &[String]) -> Vec<String> {
        let path = path.get(1..).unwrap_or_default();
        let packages = self.packages.iter();
        packages
            .filter(|package| package.starts_with(path) || path.starts_with(package))
            .map(|package| package.join("."))
            .collect()
    }

    fn data(&self, steps: Vec<Step<'a>>) -> Meaning<'a> {
        let keys: Vec<String> = steps
            .iter()
            .map_while(|step| match step {
                Step::Key(key) => Some((*key).to_owned()),
                Step::Index(_) => None,
            })
            .collect();
        for length in (1..keys.len()).rev() {
            let (Some(package), Some(name)) = (keys.get(..length), keys.get(length)) else {
                continue;
            };
            if let Some(id) = self.group(package, name) {
                return Meaning::Rule(id, steps.into_iter().skip(length + 1).collect());
            }
        }
        // A package taken whole, or by an index that can't be told: any of its rules.
        let below = |package: &Vec<String>| {
            package.starts_with(&keys) || (keys.len() < steps.len() && keys.starts_with(package))
        };
        let taken: BTreeSet<&Vec<String>> = self.packages.iter().filter(|p| below(p)).collect();
        if taken.is_empty() {
            return Meaning::Data(steps);
        }
        let all = self.ids.iter();
        Meaning::Rules(
            all.filter(|((package, _), _)| taken.contains(package))
                .map(|(_, id)| *id)
                .collect(),
        )
    }
}

/// The variables that a rule declares itself: arguments, `:=`, `some` and `every`.
pub fn locals(rule: &Rule) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    let args = match rule {
        Rule::Spec {
            head: RuleHead::Func { args, .. },
            ..
        }
        | Rule::Default { args, .. } => args.as_slice(),
        Rule::Spec { .. } => &[],
    };
    args.iter().for_each(|arg| variables(arg, &mut names));
    let mut open = Vec::new();
    syntax::rule_parts(rule, &mut |part| open.push(part));
    while let Some(part) = open.pop() {
        match part {
            Part::Expr(expr) => {
                if let Expr::AssignExpr { lhs, op, .. } = expr.as_ref()
                    && *op == regorus::unstable::AssignOp::ColEq
                {
                    variables(lhs, &mut names);
                }
                syntax::parts(expr, &mut |part| open.push(part));
            }
            Part::Query(query) => {
                for statement in &query.stmts {
                    declared(&statement.literal, &mut names);
                }
                syntax::literal_parts(query, &mut |part| open.push(part));
            }
        }
    }
    names
}

fn declared<'a>(literal: &'a Literal, names: &mut BTreeSet<&'a str>) {
    match literal {
        Literal::SomeVars { vars, .. } => names.extend(vars.iter().map(Span::text)),
        Literal::SomeIn { key, value, .. } => {
            key.iter().for_each(|key| variables(key, names));
            variables(value, names);
        }
        Literal::Every { key, value, .. } => {
            names.extend(key.iter().map(Span::text));
            names.insert(value.text());
        }
        Literal::Expr { .. } | Literal::NotExpr { .. } => {}
    }
}

/// The variables of a pattern.
pub fn variables<'a>(pattern: &'a ExprRef, names: &mut BTreeSet<&'a str>) {
    match pattern.as_ref() {
        Expr::Var { span, .. } => _ = names.insert(span.text()),
        Expr::Array { items, .. } => items.iter().for_each(|item| variables(item, names)),
        Expr::Object { fields, .. } => fields
            .iter()
            .for_each(|(_, _, value)| variables(value, names)),
        _ => {}
    }
}
