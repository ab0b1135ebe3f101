//! Fields of records, by the vocabulary and the mappings.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crmgate_policy::analysis::Span;

use super::Checker;
use crate::catalogue::{Field, FieldKind};
use crate::finding::{Finding, Level};
use crate::types::{Fact, Kinds, Objects, Shape, Ty, View};
use crate::words::{did_you_mean, list, nearest};

impl Checker<'_, '_> {
    /// A field of a record of one of some objects.
    pub(super) fn field(
        &mut self,
        view: View,
        objects: &Objects,
        base: &Ty,
        name: &str,
        span: &Span,
    ) -> Ty {
        match view {
            View::Canonical => self.canonical(objects, base, name, span),
            View::Native => self.native(objects, base, name, span),
        }
    }

    fn canonical(&mut self, objects: &Objects, base: &Ty, name: &str, span: &Span) -> Ty {
        let fields = self.fields_named(objects, name);
        if fields.is_empty() {
            let minor = name.strip_suffix("_minor");
            let money = minor.is_some_and(|name| {
                let fields = self.fields_named(objects, name);
                fields.iter().any(|field| field.kind == FieldKind::Money)
            });
            if money {
                return absent(Ty::of(Kinds::NUMBER.or(Kinds::NULL)));
            }
            self.unknown_field(objects, base, name, span);
            return absent(Ty::any());
        }
        self.one_system(&fields, name, span);
        let mut ty = typed(&fields);
        if ty.fact.as_ref().is_some_and(|fact| fact.personal) {
            let path = base.path.as_deref().unwrap_or("record");
            ty.personal = Some(format!("{path}.{name}").into());
        }
        ty
    }

    fn fields_named(&self, objects: &Objects, name: &str) -> Vec<Field> {
        let known = objects.names.iter();
        known
            .filter_map(|object| self.layer.catalogue.objects.get(object))
            .filter_map(|object| object.fields.get(name))
            .cloned()
            .collect()
    }

    fn unknown_field(&mut self, objects: &Objects, base: &Ty, name: &str, span: &Span) {
        let catalogue = self.layer.catalogue;
        let known: BTreeSet<&str> = objects
            .names
            .iter()
            .filter_map(|object| catalogue.objects.get(object))
            .flat_map(|object| object.fields.keys().map(String::as_str))
            .collect();
        if objects.names.is_empty() || known.is_empty() {
            return;
        }
        let elsewhere: Vec<&str> = catalogue
            .objects
            .iter()
            .filter(|(_, object)| object.fields.contains_key(name))
            .map(|(object, _)| object.as_str())
            .collect();
        let near = nearest(name, known.iter().copied());
        // A connection's own mapping may know it, and so may an object without one.
        let level = match near {
            Some(_) => Level::Error,
            None if objects.others => Level::Info,
            None => Level::Warning,
        };
        let whose = match objects.names.len() {
            1..=3 => format!(
                " of {}",
                list(objects.names.iter().map(String::as_str), "and")
            ),
            _ => String::new(),
        };
        let whole = base.path.as_deref().unwrap_or("the record");
        let remedy = match near {
            Some(near) => did_you_mean(near),
            None if !elsewhere.is_empty() => format!(
                "{} has it: add the object to `objects`, or read another field",
                list(elsewhere, "and")
            ),
            None => "name a field of the vocabulary or `input.native.X`; a connection's own mapping is known with `--config`".into(),
        };
        let message = format!("`{whole}` has no field `{name}`: no mapping{whose} knows it");
        self.push(|file| {
            Finding::new(level, "unknown_field", file, message)
                .of(span)
                .remedy(remedy)
        });
    }

    /// A field that only some CRMs have.
    fn one_system(&mut self, fields: &[Field], name: &str, span: &Span) {
        let systems = &self.layer.catalogue.systems;
        let having: BTreeSet<&str> = fields
            .iter()
            .flat_map(|field| field.systems.keys().map(String::as_str))
            .filter(|system| systems.contains(*system))
            .collect();
        if having.len() >= systems.len() || having.is_empty() {
            return;
        }
        let missing = systems.iter().map(String::as_str);
        let missing = list(missing.filter(|system| !having.contains(system)), "and");
        let message = format!("`{name}` is mapped for {} only", list(having, "and"));
        self.push(|file| {
            Finding::new(Level::Info, "one_system", file, message)
                .of(span)
                .remedy(format!("on {missing} the field is always absent"))
        });
    }

    fn native(&mut self, objects: &Objects, base: &Ty, name: &str, span: &Span) -> Ty {
        let catalogue = self.layer.catalogue;
        let fields = || {
            let known = objects.names.iter();
            known
                .filter_map(|object| catalogue.objects.get(object))
                .flat_map(|object| object.fields.values())
        };
        let natives: BTreeSet<&str> = fields()
            .flat_map(|field| field.systems.values().map(String::as_str))
            .collect();
        if !natives.contains(name) {
            self.unknown_native(&natives, base, name, span);
        }
        // A native value is as the CRM has it: of a choice, its own; of a lookup, the id.
        absent(Ty::any())
    }

    fn unknown_native(&mut self, natives: &BTreeSet<&str>, base: &Ty, name: &str, span: &Span) {
        if natives.is_empty() {
            return;
        }
        let custom = name.ends_with("__c") || name.ends_with("__r") || name.contains('_');
        let near = nearest(name, natives.iter().copied())
            .filter(|near| near.eq_ignore_ascii_case(name) || !custom);
        let whole = base.path.as_deref().unwrap_or("the record");
        let (level, remedy) = match near {
            Some(near) => (Level::Warning, did_you_mean(near)),
            None => (
                Level::Info,
                "a custom field is there under the CRM's own API name; check its spelling in the org".into(),
            ),
        };
        let message = format!("`{whole}.{name}` is a field that no mapping names");
        self.push(|file| {
            Finding::new(level, "unknown_native", file, message)
                .of(span)
                .remedy(remedy)
        });
    }

    /// `input.changes.<field>`.
    pub(super) fn change(&mut self, objects: &Objects, base: &Ty, key: &str, span: &Span) -> Ty {
        let field = match key.strip_prefix("native.") {
            Some(native) => self.field(View::Native, objects, base, native, span),
            None => self.field(View::Canonical, objects, base, key, span),
        };
        let path = format!("input.changes.{key}");
        let side = |name: &str| {
            let mut ty = field.clone().with_path(&format!("{path}.{name}"));
            ty.absent = false;
            ty
        };
        let members = BTreeMap::from([
            ("from".to_owned(), side("from")),
            ("to".to_owned(), side("to")),
        ]);
        absent(Ty::shaped(Kinds::OBJECT, Shape::Object(Rc::new(members))).with_path(&path))
    }

    pub(super) fn some_change(&self) -> Ty {
        let members =
            BTreeMap::from([("from".to_owned(), Ty::any()), ("to".to_owned(), Ty::any())]);
        Ty::shaped(Kinds::OBJECT, Shape::Object(Rc::new(members)))
    }

    /// `input.related.<relation>`.
    pub(super) fn relation(&mut self, objects: &Objects, name: &str, span: &Span) -> Ty {
        let lookups: Vec<Field> = self
            .fields_named(objects, name)
            .into_iter()
            .filter(|field| field.kind == FieldKind::Lookup)
            .collect();
        self.unsaid(name, span);
        let kinds = Kinds::OBJECT.or(Kinds::NULL);
        let path = format!("input.related.{name}");
        if lookups.is_empty() {
            if let Some((level, remedy)) = relation_fault(self.layer.catalogue, objects, name) {
                let message = format!("no mapping knows a relation `{name}`");
                self.push(|file| {
                    Finding::new(level, "unknown_relation", file, message)
                        .of(span)
                        .remedy(remedy)
                });
            }
            return absent(Ty::of(kinds).with_path(&path));
        }
        let mut to = Objects::default();
        for field in &lookups {
            for object in &field.to {
                if self.layer.catalogue.objects.contains_key(object) {
                    to.names.insert(object.clone());
                } else {
                    to.others = true;
                }
            }
        }
        let shape = Shape::Record(View::Canonical, Rc::new(to));
        absent(Ty::shaped(kinds, shape).with_path(&path))
    }
}

impl Checker<'_, '_> {
    /// Related records are read where the metadata asks for them.
    fn unsaid(&mut self, name: &str, span: &Span) {
        let governs = self.governs();
        // Helpers have no metadata: it is for the packages that use them to say.
        if governs.kinds.is_none() || governs.needs.contains(name) {
            return;
        }
        let message =
            format!("the related record `{name}` is read, and the metadata does not say so");
        self.push(|file| {
            Finding::new(Level::Error, "need_unsaid", file, message)
                .of(span)
                .remedy(format!("add `needs: [related.{name}]` to the metadata"))
        });
    }
}

/// What is wrong with the name of a relation, if anything is.
pub(crate) fn relation_fault(
    catalogue: &crate::catalogue::Catalogue,
    objects: &Objects,
    name: &str,
) -> Option<(Level, String)> {
    let lookups: BTreeSet<&str> = objects
        .names
        .iter()
        .filter_map(|object| catalogue.objects.get(object))
        .flat_map(|object| &object.fields)
        .filter(|(_, field)| field.kind == FieldKind::Lookup)
        .map(|(name, _)| name.as_str())
        .collect();
    if lookups.is_empty() || lookups.contains(name) {
        return None;
    }
    Some(match nearest(name, lookups.iter().copied()) {
        Some(near) => (Level::Error, did_you_mean(near)),
        None => (
            Level::Info,
            format!(
                "the lookups of the vocabulary are {}; another relation is found by the CRM's own name",
                list(lookups, "and")
            ),
        ),
    })
}

fn absent(ty: Ty) -> Ty {
    Ty { absent: true, ..ty }
}

/// What a value of one of some fields may be.
fn typed(fields: &[Field]) -> Ty {
    let kinds = fields
        .iter()
        .fold(Kinds::NULL, |all, field| all.or(kinds(field.kind)));
    let choices = fields
        .iter()
        .all(|field| matches!(field.kind, FieldKind::Choice | FieldKind::Choices));
    let words: Option<BTreeSet<String>> =
        choices.then(|| fields.iter().flat_map(|f| f.values.clone()).collect());
    let fact = Fact {
        kinds: fields.iter().map(|field| field.kind).collect(),
        personal: fields.iter().any(|field| field.personal),
    };
    let shape = match fields.first().map(|field| field.kind) {
        Some(FieldKind::Choices) if choices => {
            let item = Ty {
                words: words.clone().map(Rc::new),
                ..Ty::of(Kinds::STRING)
            };
            Shape::Items(Rc::new(item))
        }
        Some(FieldKind::Lookup) => {
            let members = BTreeMap::from([
                ("id".to_owned(), Ty::of(Kinds::STRING)),
                ("type".to_owned(), Ty::of(Kinds::STRING)),
            ]);
            Shape::Object(Rc::new(members))
        }
        _ => Shape::Open,
    };
    let single = fields.iter().all(|field| field.kind == FieldKind::Choice);
    absent(Ty {
        fact: Some(Rc::new(fact)),
        words: words.filter(|_| single).map(Rc::new),
        ..Ty::shaped(kinds, shape)
    })
}

const fn kinds(kind: FieldKind) -> Kinds {
    match kind {
        FieldKind::Text
        | FieldKind::LongText
        | FieldKind::Email
        | FieldKind::Phone
        | FieldKind::Url
        | FieldKind::Date
        | FieldKind::Datetime
        | FieldKind::Choice => Kinds::STRING,
        FieldKind::Boolean => Kinds::BOOL,
        FieldKind::Integer | FieldKind::Decimal | FieldKind::Percent | FieldKind::Money => {
            Kinds::NUMBER
        }
        FieldKind::Choices => Kinds::ARRAY,
        FieldKind::Lookup => Kinds::OBJECT,
    }
}
