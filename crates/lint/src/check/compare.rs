//! Comparisons: between kinds that never meet, with words that no field has, of money.

use crmgate_policy::analysis::{BoolOp, Expr, ExprRef, Span, literal, literal_text};

use super::Checker;
use super::env::Env;
use crate::catalogue::FieldKind;
use crate::finding::{Finding, Level};
use crate::types::{Kinds, Shape, Ty};
use crate::words::{did_you_mean, list, nearest};

impl<'a> Checker<'_, 'a> {
    pub(super) fn comparison(
        &mut self,
        span: &'a Span,
        op: &BoolOp,
        sides: [&'a ExprRef; 2],
        env: &mut Env,
    ) {
        match op {
            BoolOp::Eq => {
                let level = if env.negated {
                    Level::Warning
                } else {
                    Level::Error
                };
                self.equality(span, sides, level, env);
            }
            BoolOp::Ne => {
                self.equality(span, sides, Level::Warning, env);
                self.some_not_equal(span, sides, env);
            }
            BoolOp::Lt | BoolOp::Le | BoolOp::Gt | BoolOp::Ge => self.order(span, sides, env),
        }
    }

    /// `level` is how bad it is that they are never equal for what the package governs.
    pub(super) fn equality(
        &mut self,
        span: &'a Span,
        sides: [&'a ExprRef; 2],
        level: Level,
        env: &mut Env,
    ) {
        let [left, right] = sides.map(|side| self.value(side, env));
        let [lhs, rhs] = sides;
        self.meet(span, [(lhs, &left), (rhs, &right)]);
        self.words(span_of(rhs, span), &left, &right, level);
        self.words(span_of(lhs, span), &right, &left, level);
        for (ty, side, other, other_ty) in [(&left, lhs, rhs, &right), (&right, rhs, lhs, &left)] {
            let zero = literal(other).is_some_and(|value| value.to_json() == "0");
            let compared = other_ty.kinds.only(Kinds::NUMBER) && !zero;
            if ty.is_field(FieldKind::Money) && compared {
                let what = side.span().text().to_owned();
                self.money(span, &what, "compared for equality");
            }
        }
    }

    /// Two values of kinds that are never equal.
    fn meet(&mut self, span: &'a Span, [(lhs, left), (rhs, right)]: [(&'a ExprRef, &Ty); 2]) {
        let known = |ty: &Ty| (!ty.kinds.unknown()).then(|| ty.kinds.without(Kinds::NULL));
        let (Some(a), Some(b)) = (known(left), known(right)) else {
            return;
        };
        if a == Kinds::NONE || b == Kinds::NONE || a.has(b) {
            return;
        }
        let sets = Kinds::SET.or(Kinds::ARRAY);
        let remedy = if a.only(sets) && b.only(sets) {
            "make a set of the array: `{x | some x in …}`"
        } else if (a.has(Kinds::NUMBER) || b.has(Kinds::NUMBER))
            && (a.has(Kinds::STRING) || b.has(Kinds::STRING))
        {
            "write the number without quotes, or turn one into the other"
        } else {
            "compare values of one kind"
        };
        let message = format!(
            "`{}` is {} and `{}` is {}: they are never equal",
            shown(lhs),
            a.words(),
            shown(rhs),
            b.words()
        );
        self.push(|file| {
            Finding::new(Level::Error, "compared_types", file, message)
                .of(span)
                .remedy(remedy)
        });
    }

    /// A literal that is no value of the field it is compared with.
    fn words(&mut self, span: &Span, ty: &Ty, other: &Ty, level: Level) {
        let Some(texts) = &other.texts else { return };
        // One of several that is never there does no harm to the others.
        let level = if texts.len() > 1 {
            Level::Warning
        } else {
            level
        };
        for text in texts.iter().filter(|text| !text.starts_with("native:")) {
            self.word(span, ty, text, level);
        }
    }

    fn word(&mut self, span: &Span, ty: &Ty, text: &str, level: Level) {
        if self.not_governed(span, ty, text, level) {
            return;
        }
        let Some(words) = ty.words.as_ref().filter(|words| !words.contains(text)) else {
            return;
        };
        let path = ty.path.as_deref().unwrap_or("the field").to_owned();
        let remedy = nearest(text, words.iter().map(String::as_str)).map_or_else(
            || "a value that no mapping names is `native:<value>`".to_owned(),
            did_you_mean,
        );
        let expected = format!("one of {}", list(words.iter().map(String::as_str), "or"));
        self.push(|file| {
            let message = format!("`{text}` is no value of `{path}`");
            Finding::new(Level::Error, "unknown_value", file, message)
                .of(span)
                .expected(expected)
                .remedy(remedy)
        });
    }

    /// What the package's metadata rules out. Tells whether it did.
    fn not_governed(&mut self, span: &Span, ty: &Ty, text: &str, level: Level) -> bool {
        let governs = self.governs();
        let (key, governed): (&str, Vec<String>) = match ty.path.as_deref() {
            Some("input.object") => match &governs.object_names {
                Some(names) => ("objects", names.iter().cloned().collect()),
                None => return self.no_object(span, text),
            },
            Some("input.operation.kind") => match &governs.kinds {
                Some(kinds) => (
                    "operations",
                    kinds.iter().map(|kind| kind.as_str().to_owned()).collect(),
                ),
                None => return false,
            },
            Some("input.operation.point") => match &governs.points {
                Some(points) => (
                    "points",
                    points.iter().map(|p| p.as_str().to_owned()).collect(),
                ),
                None => return false,
            },
            _ => return false,
        };
        // A word that does not exist at all is told as such.
        let exists = ty.words.as_ref().is_none_or(|words| words.contains(text));
        if !exists || governed.iter().any(|name| name == text) {
            return false;
        }
        let path = ty.path.as_deref().unwrap_or_default().to_owned();
        let remedy = nearest(text, governed.iter().map(String::as_str)).map_or_else(
            || format!("add `{text}` to `{key}` in the metadata, or take the comparison out"),
            did_you_mean,
        );
        let expected = format!("one of {}", list(governed.iter().map(String::as_str), "or"));
        let message =
            format!("`{path}` is never `{text}` here: the package's `{key}` do not name it");
        self.push(|file| {
            Finding::new(level, "never", file, message)
                .of(span)
                .expected(expected)
                .remedy(remedy)
        });
        true
    }

    /// An object's name in a package that governs all objects.
    fn no_object(&mut self, span: &Span, text: &str) -> bool {
        let catalogue = self.layer.catalogue;
        if catalogue.objects.contains_key(text) {
            return false;
        }
        let names = catalogue.objects.keys().map(String::as_str);
        let remedy = match (catalogue.canonical(text), nearest(text, names)) {
            (Some(canonical), _) => format!("`input.object` has the canonical name: `{canonical}`"),
            (None, Some(near)) => did_you_mean(near),
            (None, None) => return false,
        };
        self.push(|file| {
            let message = format!("`{text}` is no object that a mapping names");
            Finding::new(Level::Warning, "unknown_object", file, message)
                .of(span)
                .remedy(remedy)
        });
        true
    }

    fn order(&mut self, span: &'a Span, sides: [&'a ExprRef; 2], env: &mut Env) {
        let types = sides.map(|side| (side, self.value(side, env)));
        for (side, ty) in &types {
            if ty.is_field(FieldKind::Choice) {
                let what = shown(side);
                self.push(|file| {
                    Finding::new(
                        Level::Warning,
                        "compared_order",
                        file,
                        format!("`{what}` is a choice: its values are compared by the alphabet"),
                    )
                    .of(span)
                    .remedy("name the values that are meant: `… in {\"a\", \"b\"}`")
                });
            }
        }
        let known = |ty: &Ty| (!ty.kinds.unknown()).then(|| ty.kinds.without(Kinds::NULL));
        let [(lhs, left), (rhs, right)] = &types;
        let (Some(a), Some(b)) = (known(left), known(right)) else {
            return;
        };
        if a == Kinds::NONE || b == Kinds::NONE || a.has(b) {
            return;
        }
        let message = format!(
            "`{}` is {} and `{}` is {}: which is larger depends on their kinds alone, whatever the values",
            shown(lhs),
            a.words(),
            shown(rhs),
            b.words()
        );
        self.push(|file| {
            Finding::new(Level::Error, "compared_types", file, message)
                .of(span)
                .expected("two numbers, or two texts")
                .remedy("write numbers without quotes, or turn a text into one behind a check of its form")
        });
    }

    pub(super) fn membership(
        &mut self,
        span: &'a Span,
        value: &'a ExprRef,
        collection: &'a ExprRef,
        env: &mut Env,
    ) {
        let one = self.value(value, env);
        let of = self.value(collection, env);
        let fits = Kinds::ARRAY.or(Kinds::SET).or(Kinds::OBJECT);
        let known = of.kinds.without(Kinds::NULL);
        if !of.kinds.unknown() && known != Kinds::NONE && !known.has(fits) {
            let message = format!(
                "`{}` is {}: nothing is ever in it",
                shown(collection),
                known.words()
            );
            self.push(|file| {
                Finding::new(Level::Error, "compared_types", file, message)
                    .of(span)
                    .expected("an array, a set or an object")
                    .remedy("for a part of a text, write `contains(text, part)`")
            });
            return;
        }
        let item = self.item(&of);
        if matches!(of.shape, Shape::Items(_) | Shape::Data(_)) {
            let both = !one.kinds.unknown() && !item.kinds.unknown();
            let (a, b) = (
                one.kinds.without(Kinds::NULL),
                item.kinds.without(Kinds::NULL),
            );
            if both && a != Kinds::NONE && b != Kinds::NONE && !a.has(b) {
                let message = format!(
                    "`{}` is {} and the items of `{}` are not: it is never in there",
                    shown(value),
                    a.words(),
                    shown(collection)
                );
                self.push(|file| {
                    Finding::new(Level::Error, "compared_types", file, message)
                        .of(span)
                        .expected(format!("{}, as the items are", b.words()))
                });
            }
        }
        let level = if env.negated {
            Level::Warning
        } else {
            Level::Error
        };
        self.words(span, &one, &item, level);
        self.words(span_of(value, span), &item, &one, level);
    }

    /// `x[_] != "a"` is true if any item differs.
    fn some_not_equal(&mut self, span: &'a Span, sides: [&'a ExprRef; 2], env: &Env) {
        if env.negated {
            return;
        }
        for (side, other) in [(sides[0], sides[1]), (sides[1], sides[0])] {
            if side.span().text().contains("[_]") {
                let whole = side.span().text().replace("[_]", "");
                let message = format!(
                    "`{} != …` is true if any one item differs, which is nearly always so",
                    shown(side)
                );
                let other = shown(other);
                self.push(|file| {
                    Finding::new(Level::Warning, "some_not_equal", file, message)
                        .of(span)
                        .remedy(format!("write `not {other} in {whole}`"))
                });
            }
        }
    }

    pub(super) fn money(&mut self, span: &Span, what: &str, how: &str) {
        let message = format!("`{what}` is money in major units, and it is {how}");
        let minor = format!("{what}_minor");
        self.push(|file| {
            Finding::new(Level::Warning, "money", file, message)
                .of(span)
                .expected("whole minor units: the engine computes in floating point, where 0.1 + 0.2 is not 0.3")
                .remedy(format!("read the exact field of minor units, as `{minor}`"))
        });
    }
}

/// Where a literal text stands; else the whole comparison.
fn span_of<'a>(side: &'a ExprRef, whole: &'a Span) -> &'a Span {
    match side.as_ref() {
        Expr::String { span, .. } => span,
        _ => whole,
    }
}

/// An expression as it is written, short.
pub(super) fn shown(expr: &ExprRef) -> String {
    if let Some(text) = literal_text(expr) {
        return format!("{text:?}");
    }
    let text = expr.span().text();
    let mut short: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if short.chars().count() > 60 {
        short = short.chars().take(57).collect::<String>() + "…";
    }
    short
}
