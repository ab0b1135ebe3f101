//! References: variables, rules, data, and parts of the input.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crmgate_domain::{Kind, Point};
use crmgate_policy::analysis::{Expr, ExprRef, Meaning, Span, Step, chain};

use super::Checker;
use super::env::Env;
use crate::catalogue::FieldKind;
use crate::finding::{Finding, Level};
use crate::schema::{self, Member};
use crate::types::{Kinds, Shape, Ty, View};
use crate::words::{did_you_mean, list, nearest};

impl<'a> Checker<'_, 'a> {
    pub(super) fn reference(&mut self, expr: &'a ExprRef, env: &mut Env) -> Ty {
        let Some((root, steps)) = chain(expr) else {
            return self.inside(expr, env);
        };
        if let Some(local) = env.variable(root).cloned() {
            let base = env.apply(first_of(expr), local);
            return self.steps(base, &steps, expr, env);
        }
        match self.layer.symbols.meaning(self.module, expr) {
            Some(Meaning::Input(steps)) => {
                let input = Ty::shaped(Kinds::OBJECT, Shape::Schema(schema::input()));
                self.steps(input.with_path("input"), &steps, expr, env)
            }
            Some(Meaning::Rule(id, steps)) => {
                let value = self.group(id);
                if let Some(guards) = self.guards.get(&id) {
                    env.learn(guards);
                }
                self.steps(value, &steps, expr, env)
            }
            Some(Meaning::Data(steps)) => {
                let data = Ty::shaped(Kinds::OBJECT, Shape::Data(Rc::new(Vec::new())));
                self.steps(data, &steps, expr, env)
            }
            Some(Meaning::Rules(_)) => Ty::any(),
            None => {
                self.no_value(root, first_of(expr).span());
                Ty::any()
            }
        }
    }

    /// A name that nothing gives a value.
    fn no_value(&mut self, name: &str, span: &Span) {
        let Some(node) = self.node.filter(|_| !self.muted && !name.starts_with('_')) else {
            return;
        };
        let bound = crate::variables::bound(&node.node);
        if bound.contains(name) {
            return;
        }
        let module = self.layer.parsed.modules.get(self.module);
        let rules = module.into_iter().flat_map(|module| &module.rules);
        let imports = module.into_iter().flat_map(|module| module.imports.keys());
        let known: BTreeSet<&str> = rules
            .map(|rule| rule.name.as_str())
            .chain(imports.map(String::as_str))
            .chain(bound.iter().copied())
            .chain(["input", "data"])
            .collect();
        let remedy = nearest(name, known).map_or_else(
            || "write `:=` to give it a value, or `some x in …` to go through a collection; inside `not` it must have one before".to_owned(),
            did_you_mean,
        );
        let message = format!("nothing gives `{name}` a value");
        self.push(|file| {
            Finding::new(Level::Error, "unsafe", file, message)
                .of(span)
                .remedy(remedy)
        });
    }

    /// A step into a call's result or into a literal.
    fn inside(&mut self, expr: &'a ExprRef, env: &mut Env) -> Ty {
        match expr.as_ref() {
            Expr::RefDot { refr, field, .. } => {
                let base = self.value(refr, env);
                self.member(&base, field.0.text(), &field.0, env)
            }
            Expr::RefBrack { refr, index, .. } => {
                let base = self.value(refr, env);
                self.index(&base, index, env)
            }
            _ => Ty::any(),
        }
    }

    fn steps(&mut self, base: Ty, steps: &[Step<'a>], expr: &'a ExprRef, env: &mut Env) -> Ty {
        let mut ty = base;
        let spans = key_spans(expr);
        for (index, step) in steps.iter().enumerate() {
            ty = match step {
                Step::Key(key) => {
                    // An import's own steps stand elsewhere: the whole reference is meant then.
                    let back = steps.len() - index;
                    let written = spans.len().checked_sub(back).and_then(|at| spans.get(at));
                    self.member(&ty, key, written.copied().unwrap_or(expr.span()), env)
                }
                Step::Index(index) => self.index(&ty, index, env),
            };
        }
        ty
    }

    fn index(&mut self, base: &Ty, index: &'a ExprRef, env: &mut Env) -> Ty {
        // A wild card, or a variable that the index binds.
        if let Some(name) = super::variable(index)
            && env.variable(name).is_none()
            && self.is_unbound(name)
        {
            env.bind(name, self.keys(base));
            return Ty {
                absent: false,
                ..self.item(base)
            };
        }
        let by = self.value(index, env);
        let Some(texts) = by.texts else {
            return Ty {
                absent: true,
                ..self.item(base)
            };
        };
        let mut all: Option<Ty> = None;
        for text in texts.iter() {
            let ty = self.member(base, text, index.span(), env);
            all = Some(all.map_or_else(|| ty.clone(), |all| all.join(&ty)));
        }
        all.unwrap_or_else(Ty::any)
    }

    fn is_unbound(&self, name: &str) -> bool {
        let module = self.layer.parsed.modules.get(self.module);
        module.is_some_and(|module| {
            !module.imports.contains_key(name)
                && self.layer.symbols.group(&module.package, name).is_none()
        })
    }

    /// A member by its name.
    pub(super) fn member(&mut self, base: &Ty, key: &str, span: &Span, env: &Env) -> Ty {
        let ty = match &base.shape {
            Shape::Open | Shape::Items(_) if key.is_empty() => Ty::any(),
            Shape::Open => return Ty::any(),
            Shape::Items(item) => Ty {
                absent: true,
                ..item.as_ref().clone()
            },
            Shape::Object(members) => {
                if let Some(ty) = members.get(key) {
                    ty.clone()
                } else {
                    self.no_member(base, members, key, span);
                    Ty {
                        absent: true,
                        ..Ty::any()
                    }
                }
            }
            Shape::Schema(schema) => self.described(base, schema, key, span),
            Shape::Record(view, objects) => {
                let objects = Rc::clone(objects);
                self.of_nothing(base, span, env);
                self.field(*view, &objects, base, key, span)
            }
            Shape::Changes(objects) => {
                let objects = Rc::clone(objects);
                self.change(&objects, base, key, span)
            }
            Shape::Related(objects) => {
                let objects = Rc::clone(objects);
                self.relation(&objects, key, span)
            }
            Shape::Data(path) => {
                let path = Rc::clone(path);
                return self.data_member(&path, key, span);
            }
        };
        match (&base.path, ty.path.is_none()) {
            (Some(path), true) => ty.with_path(&format!("{path}.{key}")),
            _ => ty,
        }
    }

    /// A member that neither a lookup nor a change has.
    fn no_member(&mut self, base: &Ty, members: &BTreeMap<String, Ty>, key: &str, span: &Span) {
        let Some(path) = base
            .path
            .as_deref()
            .filter(|path| path.starts_with("input."))
        else {
            return;
        };
        let known: Vec<&str> = members.keys().map(String::as_str).collect();
        if base.is_field(FieldKind::Lookup) {
            let name = path.rsplit('.').next().unwrap_or_default();
            let message =
                format!("`{path}` has no member `{key}`: it only says which record is meant");
            let expected = format!("one of {}", list(known, "or"));
            self.push(|file| {
                Finding::new(Level::Error, "unknown_input", file, message)
                    .of(span)
                    .expected(expected)
                    .remedy(format!(
                        "read `input.related.{name}.{key}`, with `needs: [related.{name}]` in the metadata"
                    ))
            });
        } else {
            self.unknown_member(path, key, &known, span);
        }
    }

    /// A member of the input that its schema tells of.
    fn described(
        &mut self,
        base: &Ty,
        schema: &'static serde_json::Value,
        key: &str,
        span: &Span,
    ) -> Ty {
        let whole = base.path.clone().unwrap_or_else(|| "input".into());
        let of = match schema::member(schema, key) {
            Member::Known(of) => of,
            Member::Free => return Ty::any(),
            Member::None => {
                let known: Vec<&str> = schema::names(schema).collect();
                self.unknown_member(&whole, key, &known, span);
                return Ty::any();
            }
        };
        let ty = Ty::shaped(schema::kinds(of), Shape::Schema(of));
        if &*whole != "input" {
            let words = schema::words(of);
            return match words.as_slice() {
                [] => ty,
                words => Ty {
                    words: Some(Rc::new(words.iter().map(|w| (*w).to_owned()).collect())),
                    ..ty
                },
            };
        }
        self.root(key, ty, span)
    }

    /// A member of the input itself.
    fn root(&mut self, key: &str, ty: Ty, span: &Span) -> Ty {
        let governs = self.governs();
        let objects = Rc::clone(&governs.objects);
        let view = if key.starts_with("native") {
            View::Native
        } else {
            View::Canonical
        };
        let record = |shape| {
            Ty::shaped(Kinds::OBJECT.or(Kinds::NULL), shape).with_path(&format!("input.{key}"))
        };
        match key {
            "record" | "native" | "before" | "native_before" => {
                record(Shape::Record(view, objects))
            }
            "request" => {
                self.request(span);
                ty
            }
            "changes" => Ty::shaped(Kinds::OBJECT, Shape::Changes(objects)),
            "related" => Ty::shaped(Kinds::OBJECT, Shape::Related(objects)),
            _ => ty,
        }
    }

    /// The native request is there at the gateway only.
    fn request(&mut self, span: &Span) {
        let governs = self.governs();
        let elsewhere = governs.points.as_ref().map(|points| {
            let others = points.iter().filter(|point| **point != Point::Gateway);
            others.map(|point| point.as_str()).collect::<Vec<_>>()
        });
        let Some(elsewhere) = elsewhere.filter(|points| !points.is_empty()) else {
            return;
        };
        let message = format!(
            "`input.request` is there at the gateway only, and the package governs {}, too",
            list(elsewhere, "and")
        );
        self.push(|file| {
            Finding::new(Level::Error, "request_unsaid", file, message)
                .of(span)
                .remedy("add `points: [gateway]` to the metadata, or read `input.operation` and `input.record`")
        });
    }

    /// A field of a record that is null for all that the package governs.
    fn of_nothing(&mut self, base: &Ty, span: &Span, env: &Env) {
        let (kind, word, other) = match base.path.as_deref() {
            Some("input.record" | "input.native") => (Kind::Delete, "a delete", "input.before"),
            Some("input.before" | "input.native_before") => {
                (Kind::Create, "a create", "input.record")
            }
            _ => return,
        };
        if env.negated || !self.governs().only(&[kind]) {
            return;
        }
        let path = base.path.as_deref().unwrap_or_default();
        let message = format!(
            "this can never be true: `{path}` is null for {word}, the only operation that the package governs"
        );
        self.push(|file| {
            Finding::new(Level::Error, "never", file, message)
                .of(span)
                .remedy(format!(
                    "read `{other}`, or add the operations that are meant to `operations`"
                ))
        });
    }

    fn unknown_member(&mut self, whole: &str, key: &str, known: &[&str], span: &Span) {
        let remedy = nearest(key, known.iter().copied()).map_or_else(
            || "see `policies/schema/input.schema.json`".to_owned(),
            did_you_mean,
        );
        let message = format!("`{whole}` has no member `{key}`");
        let expected = format!("one of {}", list(known.iter().copied(), "or"));
        self.push(|file| {
            Finding::new(Level::Error, "unknown_input", file, message)
                .of(span)
                .expected(expected)
                .remedy(remedy)
        });
    }
}

/// The variable that a reference begins with.
fn first_of(expr: &ExprRef) -> &ExprRef {
    let mut at = expr;
    while let Expr::RefDot { refr, .. } | Expr::RefBrack { refr, .. } = at.as_ref() {
        at = refr;
    }
    at
}

/// Where each step of a reference stands.
fn key_spans(expr: &ExprRef) -> Vec<&Span> {
    let mut spans = Vec::new();
    let mut at = expr;
    loop {
        match at.as_ref() {
            Expr::RefDot { refr, field, .. } => {
                spans.push(&field.0);
                at = refr;
            }
            Expr::RefBrack { refr, index, .. } => {
                spans.push(index.span());
                at = refr;
            }
            _ => break,
        }
    }
    spans.reverse();
    spans
}
