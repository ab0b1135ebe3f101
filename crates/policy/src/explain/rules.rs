//! Rules, definition by definition, and the rules behind them.

use std::collections::BTreeSet;

use regorus::Value;

use super::body::{self, Body, End, all};
use super::probe::{Answer, Prober, literal};
use super::text;
use super::told::{Came, RuleTold, document, documents};
use crate::check::calls;
use crate::symbols::{GroupId, Meaning, Symbols};
use crate::syntax::{
    self, Expr, ExprRef, Module, Query, Rule, RuleAssign, RuleBody, RuleHead, RuleNode, Span, Step,
};

/// Rules behind rules behind rules.
const DEPTH: usize = 4;
/// Values of a rule that are shown.
const MOST: usize = 20;

/// Explains the rules of one layer for one input.
pub(crate) struct Explainer<'a> {
    symbols: &'a Symbols<'a>,
    prober: &'a Prober,
    /// What has been explained: a rule is told once.
    told: BTreeSet<(GroupId, String)>,
}

/// One body of a definition, with the value it gives.
struct Part<'a> {
    span: &'a Span,
    value: String,
    /// The value's expression, where it is written.
    term: Option<&'a ExprRef>,
    query: Option<&'a Query>,
    otherwise: bool,
}

impl<'a> Explainer<'a> {
    pub(crate) const fn new(symbols: &'a Symbols<'a>, prober: &'a Prober) -> Self {
        Self {
            symbols,
            prober,
            told: BTreeSet::new(),
        }
    }

    /// Every definition of a rule, from the package that `home` names.
    pub(crate) fn group(&mut self, id: GroupId, home: &str) -> Vec<RuleTold> {
        self.definitions(id, &[], home, DEPTH)
    }

    fn definitions(
        &mut self,
        id: GroupId,
        arguments: &[Value],
        home: &str,
        depth: usize,
    ) -> Vec<RuleTold> {
        let given: Vec<String> = arguments.iter().map(literal).collect();
        if !self.told.insert((id, given.join(", "))) {
            return Vec::new();
        }
        let symbols = self.symbols;
        let mut told = Vec::new();
        for (module, rule) in symbols.rules(id) {
            let Some(module) = symbols.modules.get(module) else {
                continue;
            };
            let name = if module.package_name() == home {
                rule.name.clone()
            } else {
                format!("{}.{}", module.package_name(), rule.name)
            };
            let made = |(span, came): (&Span, Came)| {
                let (line, column) = text::place(span);
                RuleTold {
                    rule: name.clone(),
                    file: module.file.clone(),
                    line,
                    column,
                    came,
                }
            };
            let came = self.definition(module, rule, &given, depth);
            told.extend(came.into_iter().map(made));
        }
        told
    }

    fn definition(
        &mut self,
        module: &'a Module,
        rule: &'a RuleNode,
        arguments: &[String],
        depth: usize,
    ) -> Vec<(&'a Span, Came)> {
        let Some(given) = given(&rule.node, arguments) else {
            return vec![(rule.node.span(), Came::Unfit)];
        };
        if let Rule::Default { value, .. } = rule.node.as_ref() {
            let answer = self.ask(module, &all(text::of(value), ""));
            let value = answer.members().first().map(document).unwrap_or_default();
            return vec![(rule.node.span(), Came::Default { value })];
        }
        if !given.is_empty() && self.ask(module, &all("1", &given)).members().is_empty() {
            return vec![(rule.node.span(), Came::Unfit)];
        }
        let mut told = Vec::new();
        for part in parts(&rule.node) {
            let came = self.part(module, &part, given.clone(), depth);
            // What stands after a body that holds is not looked at.
            let done = matches!(came, Came::Fired { .. } | Came::Failed { .. });
            let chained = part.otherwise || told.is_empty();
            told.push((part.span, came));
            if done && chained && part.query.is_some() {
                break;
            }
        }
        told
    }

    fn part(&mut self, module: &'a Module, part: &Part<'a>, given: String, depth: usize) -> Came {
        let Some(query) = part.query else {
            return self.value(module, part, &given, depth);
        };
        let body = Body {
            module,
            given,
            query,
        };
        match body.walk(self.prober) {
            End::Whole => self.value(module, part, &body.text(), depth),
            End::At(stop) => match stop.error {
                Some(message) => Came::Failed {
                    at: Some(stop.place),
                    message,
                    saw: stop.saw,
                },
                // With another input or other data, rules would be asked about the wrong world.
                None => Came::Stopped {
                    because: if stop.statement.with_mods.is_empty() {
                        let exprs = body::subjects(stop.statement);
                        self.behind(module, &exprs, &stop.prefix, depth)
                    } else {
                        Vec::new()
                    },
                    at: stop.place,
                    saw: stop.saw,
                },
            },
        }
    }

    /// The value of a definition whose body holds.
    fn value(&mut self, module: &'a Module, part: &Part<'a>, body: &str, depth: usize) -> Came {
        let exprs = part.term.map(body::within).unwrap_or_default();
        let saw = |explainer: &Self| body::seen(explainer.prober, module, &exprs, body);
        match self.ask(module, &all(&part.value, body)) {
            Answer::Error(told) => Came::Failed {
                at: None,
                message: told.message,
                saw: saw(self),
            },
            answer if answer.members().is_empty() => Came::Undefined {
                saw: saw(self),
                because: self.behind(module, &exprs, body, depth),
            },
            answer => Came::Fired {
                values: documents(answer.members(), MOST),
            },
        }
    }

    fn ask(&self, module: &Module, question: &str) -> Answer {
        let answers = self.prober.ask(module, &[question.to_owned()]);
        answers.into_iter().next().unwrap_or(Answer::Refused)
    }

    /// The rules that expressions use, behind the statements before them.
    fn behind(
        &mut self,
        module: &'a Module,
        exprs: &[&'a ExprRef],
        prefix: &str,
        depth: usize,
    ) -> Vec<RuleTold> {
        let symbols = self.symbols;
        let index = symbols.modules.iter().position(|it| it.file == module.file);
        let Some(index) = index.filter(|_| depth > 0) else {
            return Vec::new();
        };
        let home = module.package_name();
        let mut told = Vec::new();
        for expr in exprs {
            if let Expr::Call { fcn, params, .. } = expr.as_ref() {
                let Some(id) = calls::function(symbols, index, fcn) else {
                    continue;
                };
                let terms: Vec<&str> = params.iter().map(text::of).collect();
                let question = all(&format!("[{}]", terms.join(", ")), prefix);
                let answer = self.ask(module, &question);
                if let Some(Value::Array(arguments)) = answer.members().first() {
                    let arguments = arguments.to_vec();
                    told.extend(self.definitions(id, &arguments, &home, depth - 1));
                }
            } else if let Some(Meaning::Rule(id, _)) = symbols.meaning(index, expr)
                && calls::arity(symbols, id).is_none()
                && !self.is_local(prefix, expr.span().text())
            {
                told.extend(self.definitions(id, &[], &home, depth - 1));
            }
        }
        told
    }

    /// Whether a name is a variable of the body, though a rule has it as well.
    fn is_local(&self, prefix: &str, text: &str) -> bool {
        let name = text.split(['.', '[']).next().unwrap_or(text);
        prefix.contains(&format!("{name} :="))
    }
}

/// Statements that give a function's parameters their values; `None` where their number differs.
fn given(rule: &Rule, arguments: &[String]) -> Option<String> {
    let patterns = match rule {
        Rule::Spec {
            head: RuleHead::Func { args, .. },
            ..
        }
        | Rule::Default { args, .. } => args.as_slice(),
        Rule::Spec { .. } => &[],
    };
    if patterns.len() != arguments.len() {
        return None;
    }
    let mut text = String::new();
    for (pattern, value) in patterns.iter().zip(arguments) {
        let name = text::of(pattern);
        let statement = match pattern.as_ref() {
            Expr::Var { .. } if name == "_" => continue,
            Expr::Var { .. } | Expr::Array { .. } | Expr::Object { .. } => {
                format!("\n{name} := {value}")
            }
            _ => format!("\n{name} == {value}"),
        };
        text.push_str(&statement);
    }
    Some(text)
}

/// The bodies of a definition in order; one without a query where it has none.
fn parts(rule: &Rule) -> Vec<Part<'_>> {
    let Rule::Spec { span, head, bodies } = rule else {
        return Vec::new();
    };
    let (refr, term) = match head {
        RuleHead::Set { key, refr, .. } => (Some(refr), key.as_ref()),
        RuleHead::Compr { refr, assign, .. } => (Some(refr), assigned(assign.as_ref())),
        RuleHead::Func { assign, .. } => (None, assigned(assign.as_ref())),
    };
    let value = term.map_or("true", text::of);
    let value = match refr {
        Some(refr) => nested(refr, value),
        None => value.to_owned(),
    };
    of_bodies(span, &value, term, bodies)
}

fn assigned(assign: Option<&RuleAssign>) -> Option<&ExprRef> {
    assign.map(|assign| &assign.value)
}

/// The value below the steps of a name: of `phones[field] := value`, `{field: value}`.
fn nested(refr: &ExprRef, value: &str) -> String {
    let steps = syntax::chain(refr).map(|(_, steps)| steps);
    let mut nested = value.to_owned();
    for step in steps.unwrap_or_default().into_iter().rev() {
        nested = match step {
            Step::Key(key) => format!("{{{}: {nested}}}", literal(&Value::from(key))),
            Step::Index(index) => format!("{{{}: {nested}}}", text::of(index)),
        };
    }
    nested
}

fn of_bodies<'a>(
    span: &'a Span,
    value: &str,
    term: Option<&'a ExprRef>,
    bodies: &'a [RuleBody],
) -> Vec<Part<'a>> {
    if bodies.is_empty() {
        return vec![Part {
            span,
            value: value.to_owned(),
            term,
            query: None,
            otherwise: false,
        }];
    }
    let part = |(index, body): (usize, &'a RuleBody)| {
        let own = assigned(body.assign.as_ref());
        Part {
            span: if index == 0 { span } else { &body.span },
            value: match (own, body.is_else) {
                (Some(own), _) => text::of(own).to_owned(),
                (None, true) => "true".to_owned(),
                (None, false) => value.to_owned(),
            },
            term: own.or(term.filter(|_| !body.is_else)),
            query: (!body.query.stmts.is_empty()).then(|| body.query.as_ref()),
            otherwise: body.is_else,
        }
    };
    bodies.iter().enumerate().map(part).collect()
}

/// What a definition gives, as one question: a list of its values. For those that measure.
pub(crate) fn questions(rule: &RuleNode) -> Vec<String> {
    let question = |part: Part<'_>| {
        let statements = part.query.map_or_else(String::new, |query| {
            let texts = query.stmts.iter().map(text::of_statement);
            texts.fold(String::new(), |text, it| text + "\n" + it)
        });
        all(&part.value, &statements)
    };
    parts(&rule.node).into_iter().map(question).collect()
}
