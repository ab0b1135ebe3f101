//! Functions of the language that could exhaust memory or run without an end, bounded.
//!
//! The engine's time limit is looked for between its own steps: nothing ends a function that is
//! running, and a function that asks for too much memory ends the process. So each of these is
//! asked for how much it would do before it does it. Below its bound it answers as the engine's
//! own, because it is the engine's own; above it the evaluation is in error.

use std::cell::Cell;
use std::sync::LazyLock;

use regorus::unstable::{BUILTINS, Expr, ExprRef, Parser, Rule, RuleHead, Source, Span};
use regorus::{Engine, Value};

use crate::message::Told;

mod numbers;
mod patterns;
mod size;
mod structures;
mod texts;

#[cfg(test)]
mod tests;

/// Bytes of a text that a function makes.
const MAX_TEXT: usize = 1 << 20;
/// Members of a collection that a function makes.
const MAX_ITEMS: usize = 100_000;
/// Values inside one another that a function walks through.
const MAX_NODES: usize = 250_000;
/// Bytes of everything that functions make in one evaluation of a package.
const MAX_MADE: usize = 64 << 20;

/// What a function would do, and what it may.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{function}` goes beyond its bound: {what} {found}, at most {most}")]
pub(crate) struct Exceeded {
    function: &'static str,
    what: &'static str,
    found: String,
    most: usize,
}

/// What a function's arguments ask for too much of: what, how much, and how much may be.
#[derive(Debug, Clone, PartialEq, Eq)]
struct TooMuch {
    what: &'static str,
    found: Option<usize>,
    most: usize,
}

/// Nothing, or what there is too much of.
type Bound = Result<(), TooMuch>;

fn at_most(what: &'static str, found: usize, most: usize) -> Bound {
    if found <= most {
        return Ok(());
    }
    Err(TooMuch {
        what,
        found: Some(found),
        most,
    })
}

/// Too much to be counted.
const fn more_than(what: &'static str, most: usize) -> TooMuch {
    TooMuch {
        what,
        found: None,
        most,
    }
}

/// A function with what bounds it.
type Bounded = (&'static str, fn(&[Value]) -> Bound);

/// Every function that is bounded.
fn all() -> impl Iterator<Item = Bounded> {
    let numbers = numbers::BOUNDED.iter();
    numbers
        .chain(texts::BOUNDED)
        .chain(patterns::BOUNDED)
        .chain(structures::BOUNDED)
        .copied()
}

/// Whether a value is small enough to be taken over into a record.
pub(crate) fn is_small(value: &Value) -> bool {
    let limits = size::Limits {
        nodes: 10_000,
        text: MAX_TEXT,
    };
    size::of(value, limits).is_some()
}

/// Gives an engine the bounded functions in place of its own.
pub(crate) fn install(engine: &mut Engine) -> Result<(), String> {
    let call = Call::nowhere().ok_or("the engine reads no policy")?;
    for (name, bound) in all() {
        let Some((original, arity)) = BUILTINS.get(name) else {
            return Err(format!("the engine has no function `{name}`"));
        };
        let bounded = move |args: Vec<Value>| {
            bound(&args).map_err(|too_much| exceeded(name, &too_much))?;
            let made = original(call.span, call.params(args.len()), &args, true)
                // Its own place is no line of the policy; the engine adds the call's.
                .map_err(|error| Failed(Told::read(&error).message))?;
            count(size::shallow(&made)).map_err(|too_much| exceeded(name, &too_much))?;
            Ok(made)
        };
        engine
            .add_extension(name.to_owned(), *arity, Box::new(bounded))
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn exceeded(function: &'static str, too_much: &TooMuch) -> Exceeded {
    let most = too_much.most;
    Exceeded {
        function,
        what: too_much.what,
        found: too_much
            .found
            .map_or_else(|| format!("more than {most}"), |found| found.to_string()),
        most,
    }
}

/// What the engine's own function said.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Failed(String);

thread_local! {
    static MADE: Cell<usize> = const { Cell::new(0) };
}

/// Starts to count what functions make: an evaluation begins on this thread.
pub(crate) fn begin() {
    MADE.set(0);
}

fn count(made: usize) -> Bound {
    let all = MADE.get().saturating_add(made);
    MADE.set(all);
    at_most("bytes made in one evaluation:", all, MAX_MADE)
}

/// An expression by which one of the engine's functions is called.
#[derive(Clone, Copy)]
struct Call {
    span: &'static Span,
    params: &'static [ExprRef],
}

impl Call {
    /// A call that stands nowhere: its place is told by nobody.
    fn nowhere() -> Option<Self> {
        static CALL: LazyLock<Option<(Span, Vec<ExprRef>)>> = LazyLock::new(call);
        let (span, params) = CALL.as_ref()?;
        Some(Self { span, params })
    }

    fn params(self, count: usize) -> &'static [ExprRef] {
        self.params.get(..count).unwrap_or(self.params)
    }
}

fn call() -> Option<(Span, Vec<ExprRef>)> {
    let text = "package nowhere\n\nx := [0, 0, 0, 0, 0]\n".to_owned();
    let source = Source::from_contents("nowhere".into(), text).ok()?;
    let module = Parser::new(&source).ok()?.parse().ok()?;
    module.policy.iter().find_map(|rule| match rule.as_ref() {
        Rule::Spec {
            head: RuleHead::Compr { assign, .. },
            ..
        } => match assign.as_ref()?.value.as_ref() {
            Expr::Array { span, items, .. } => Some((span.clone(), items.clone())),
            _ => None,
        },
        _ => None,
    })
}
