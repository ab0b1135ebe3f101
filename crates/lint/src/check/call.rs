//! Calls: of the author's functions and of the engine's.

use crmgate_policy::analysis::{self, Expr, ExprRef, Span, literal_text, static_path};

use super::compare::shown;
use super::env::Env;
use super::{Checker, builtins};
use crate::catalogue::FieldKind;
use crate::finding::{Finding, Level};
use crate::types::{Kinds, Ty};

/// Functions with a pattern, and which argument it is.
const PATTERNS: [(&str, usize); 5] = [
    ("regex.match", 0),
    ("regex.split", 0),
    ("regex.find_n", 0),
    ("regex.find_all_string_submatch_n", 0),
    ("regex.replace", 1),
];

impl<'a> Checker<'_, 'a> {
    pub(super) fn call(
        &mut self,
        call: &'a ExprRef,
        fcn: &'a ExprRef,
        params: &'a [ExprRef],
        env: &mut Env,
    ) -> Ty {
        let args: Vec<Ty> = params.iter().map(|param| self.value(param, env)).collect();
        if let Some(id) = analysis::function(&self.layer.symbols, self.module, fcn) {
            let known = self.params.entry(id).or_default();
            for (index, arg) in args.iter().enumerate() {
                // Callers that look at a value mean one of its kinds.
                match known.get_mut(index) {
                    Some(ty) => *ty = ty.join(arg),
                    None => known.push(arg.clone()),
                }
            }
            return self.group(id);
        }
        let name = static_path(fcn).unwrap_or_default().join(".");
        self.deprecated(&name, fcn);
        self.pattern(&name, params);
        if name == "sprintf" {
            self.format(params, &args);
        }
        if name == "object.get"
            && let ([_, key, ..], [object, _, default, ..]) = (params, args.as_slice())
            && let Some(path) = keys(key)
        {
            let member = |at, name| self.member(&at, name, key.span(), env);
            let found = path.into_iter().fold(object.clone(), member);
            return Ty {
                absent: false,
                ..found.join(default)
            };
        }
        let Some((takes, gives)) = builtins::signature(&name) else {
            return Ty::any();
        };
        for (index, takes) in takes.iter().enumerate() {
            if let (Some(param), Some(ty)) = (params.get(index), args.get(index)) {
                self.argument(&name, param, ty, *takes);
                self.form(&name, index, param, ty, env);
            }
        }
        let text = args.first().is_some_and(|ty| ty.kinds.only(Kinds::STRING));
        // What a pattern has matched has been looked at already.
        if name == "count" && text && !params.first().is_some_and(|text| env.is_guarded(text)) {
            self.count_of_text(call.span());
        }
        if params.len() != takes.len() {
            // The last one may take the result; other numbers do not load.
            return Ty::any();
        }
        let personal = args.iter().find_map(|ty| ty.personal.clone());
        let quotes = gives.has(Kinds::STRING);
        // What a pattern finds is a part of it, and a hash of it is not it.
        Ty {
            personal: personal
                .or_else(|| inner_personal(&args))
                .filter(|_| quotes),
            ..Ty::of(gives)
        }
    }

    fn argument(&mut self, name: &str, param: &'a ExprRef, ty: &Ty, takes: Kinds) {
        if ty.kinds.unknown() || takes.unknown() || ty.kinds.only(takes) {
            return;
        }
        let what = shown(param);
        if !ty.kinds.has(takes) {
            let message = format!("`{name}` is given {}: `{what}`", ty.kinds.words());
            self.push(|file| {
                Finding::new(Level::Error, "argument_type", file, message)
                    .of(param.span())
                    .expected(takes.words())
                    .remedy("it is an error each time, and the write is held up, not judged")
            });
        } else if ty.may_be_null() && !takes.has(Kinds::NULL) {
            let check = if takes == Kinds::STRING {
                format!("`is_string({what})`")
            } else if takes == Kinds::NUMBER {
                format!("`is_number({what})`")
            } else {
                format!("`{what} != null`")
            };
            let message = format!(
                "`{what}` may be null, and `{name}` of null is an error: the write is held up, not judged"
            );
            self.push(|file| {
                Finding::new(Level::Warning, "null_argument", file, message)
                    .of(param.span())
                    .expected(takes.words())
                    .remedy(format!("check it first, in a statement before: {check}"))
            });
        }
    }

    /// A text that may not have the form that a function asks for.
    fn form(&mut self, name: &str, index: usize, param: &'a ExprRef, ty: &Ty, env: &Env) {
        let Some(check) = builtins::check_of(name, index) else {
            return;
        };
        let sure = literal_text(param).is_some()
            || !ty.kinds.has(Kinds::STRING)
            || !is_of_record(ty)
            || ty.is_field(FieldKind::Datetime)
            || ty.path.as_deref() == Some("input.operation.at")
            || env.is_guarded(param);
        if sure {
            return;
        }
        let what = shown(param);
        let message = format!("`{name}` is an error where `{what}` has another form");
        self.push(|file| {
            Finding::new(Level::Warning, "may_fail", file, message)
                .of(param.span())
                .remedy(format!(
                    "an error holds the write up: check the form first, by {check}"
                ))
        });
    }

    fn count_of_text(&mut self, span: &Span) {
        self.push(|file| {
            let message =
                "`count` of a text counts UTF-16 units: an emoji is two, and OPA says one";
            Finding::new(Level::Info, "count_text", file, message.into())
                .of(span)
                .remedy("good for a rough limit; for the form of a text, use `regex.match`")
        });
    }

    fn deprecated(&mut self, name: &str, fcn: &'a ExprRef) {
        let Some(instead) = builtins::instead_of(name) else {
            return;
        };
        let (level, message) = if analysis::builtin(name).is_some() {
            (Level::Warning, format!("`{name}` is deprecated"))
        } else {
            let message = format!("`{name}` is deprecated, and this engine does not have it");
            (Level::Error, message)
        };
        self.push(|file| {
            Finding::new(level, "deprecated", file, message)
                .of(fcn.span())
                .remedy(format!("write {instead}"))
        });
    }

    fn pattern(&mut self, name: &str, params: &'a [ExprRef]) {
        let known = PATTERNS.iter().find(|(function, _)| *function == name);
        let Some(param) = known.and_then(|(_, index)| params.get(*index)) else {
            return;
        };
        let Some(pattern) = literal_text(param) else {
            return;
        };
        for (class, means, instead) in [
            ("d", "digits of every script, Arabic ones too", "[0-9]"),
            ("w", "letters of every script", "[A-Za-z0-9_]"),
        ] {
            if !has_class(pattern, class) {
                continue;
            }
            let message = format!("`\\{class}` means {means} here, and ASCII in OPA");
            self.push(|file| {
                Finding::new(Level::Warning, "regex_unicode", file, message)
                    .of(param.span())
                    .remedy(format!("write `{instead}`"))
            });
        }
    }
}

/// The literal key, or keys one below the other, that `object.get` asks for.
fn keys(expr: &ExprRef) -> Option<Vec<&str>> {
    match expr.as_ref() {
        Expr::Array { items, .. } => items.iter().map(literal_text).collect(),
        _ => literal_text(expr).map(|key| vec![key]),
    }
}

/// Whether a value is what somebody wrote into a record, and not what a policy made of it.
fn is_of_record(ty: &Ty) -> bool {
    let path = ty.path.as_deref().unwrap_or_default();
    [
        "input.record.",
        "input.native.",
        "input.before.",
        "input.changes.",
    ]
    .iter()
    .any(|root| path.starts_with(root))
}

/// The personal field in one of the items of `sprintf`'s or `concat`'s list.
fn inner_personal(args: &[Ty]) -> Option<std::rc::Rc<str>> {
    args.iter().find_map(|ty| match &ty.shape {
        crate::types::Shape::Items(item) => item.personal.clone(),
        _ => None,
    })
}

/// Whether a pattern has an escaped class, the backslash itself not escaped.
fn has_class(pattern: &str, class: &str) -> bool {
    let mut bytes = pattern.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'\\'
            && let Some(next) = bytes.next()
            && class.as_bytes().contains(&next)
        {
            return true;
        }
    }
    false
}
