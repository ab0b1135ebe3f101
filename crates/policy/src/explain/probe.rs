//! Questions to the engine that judged: what an expression of a rule comes to, where the rule
//! stands, with its package's names and its file's imports.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use regorus::{Engine, Value};

use crate::bounds;
use crate::message::Told;
use crate::syntax::Module;
use crate::value;

/// The file of the generated questions.
const FILE: &str = "crmgate/probe.rego";
/// What their rules are called, before a number.
const NAME: &str = "crmgate_probe_";

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    Value(Value),
    /// The engine stopped: what it told, its place only where that is in a policy.
    Error(Told),
    /// The question can't be asked there: it needs a variable that has no value yet.
    Refused,
}

impl Answer {
    /// The members of a list.
    pub(crate) fn members(&self) -> &[Value] {
        match self {
            Self::Value(Value::Array(items)) => items.as_slice(),
            _ => &[],
        }
    }
}

/// An engine with an input, to be asked.
pub(crate) struct Prober(Engine);

impl Prober {
    /// The engine holds the policies, their data and the input.
    pub(crate) const fn new(engine: Engine) -> Self {
        Self(engine)
    }

    /// Asks for expressions as rules of the module's package would have them.
    pub(crate) fn ask(&self, module: &Module, questions: &[String]) -> Vec<Answer> {
        if questions.is_empty() {
            return Vec::new();
        }
        match self.compiled(module, questions) {
            Some(mut engine) => (0..questions.len())
                .map(|number| answer(&mut engine, &path(module, number)))
                .collect(),
            None if questions.len() == 1 => vec![Answer::Refused],
            // One that can't be asked must not take the others with it.
            None => questions
                .iter()
                .flat_map(|question| self.ask(module, std::slice::from_ref(question)))
                .collect(),
        }
    }

    /// An engine that has the questions as rules, and the rules' paths; for those that ask often.
    pub(crate) fn prepared(&self, module: &Module, question: &str) -> Option<(Engine, String)> {
        let engine = self.compiled(module, &[question.to_owned()])?;
        Some((engine, path(module, 0)))
    }

    fn compiled(&self, module: &Module, questions: &[String]) -> Option<Engine> {
        let mut text = head(module);
        for (number, question) in questions.iter().enumerate() {
            write!(text, "\n{NAME}{number} := {question}\n").ok()?;
        }
        let mut engine = self.0.clone();
        engine.add_policy(FILE.to_owned(), text).ok()?;
        engine
            .compile_with_entrypoint(&path(module, 0).as_str().into())
            .ok()?;
        Some(engine)
    }
}

fn head(module: &Module) -> String {
    let mut text = format!("package {}\n\n", module.package_name());
    let imports: &BTreeMap<String, Vec<String>> = &module.imports;
    for (name, path) in imports {
        let whole = path.join(".");
        writeln!(text, "import {whole} as {name}").ok();
    }
    text
}

fn path(module: &Module, number: usize) -> String {
    format!("data.{}.{NAME}{number}", module.package_name())
}

fn answer(engine: &mut Engine, path: &str) -> Answer {
    bounds::begin();
    match engine.eval_rule(path.to_owned()) {
        Ok(value) => Answer::Value(value),
        Err(error) => {
            let mut told = Told::read(&error);
            if told.file.as_deref() == Some(FILE) {
                told.file = None;
                told.place = None;
            }
            Answer::Error(told)
        }
    }
}

/// A value as Rego has it.
pub(crate) fn literal(value: &Value) -> String {
    let all = |items: Vec<String>| items.join(", ");
    match value {
        Value::Set(items) if items.is_empty() => "set()".to_owned(),
        Value::Set(items) => format!("{{{}}}", all(items.iter_sorted().map(literal).collect())),
        Value::Array(items) => format!("[{}]", all(items.iter().map(literal).collect())),
        Value::Object(members) => {
            let member = |(key, member)| format!("{}: {}", literal(key), literal(member));
            format!("{{{}}}", all(members.iter_sorted().map(member).collect()))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Undefined => {
            value::to_document(value).map_or_else(|_| "null".to_owned(), |it| it.to_json())
        }
    }
}
