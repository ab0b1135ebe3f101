//! What was judged, as one JSON text, with the places in it that may not be remembered.
//!
//! The text is made once: it is hashed as it is, and what is kept of it is cut out of it.

use std::collections::BTreeMap;
use std::ops::Range;

use crmgate_decision_log::mask::{self, HashKey, pointer};
use crmgate_decision_log::{Scrubber, Treatment};
use crmgate_domain::{
    Actor, BatchInfo, Change, Document, Kind, Object, Operation, PayloadHash, RequestInfo, Views,
};

use super::classes::{Marker, View};
use crate::hash::{write, write_text};

/// A member of the input whose value is not kept as it is.
#[derive(Debug, Clone)]
struct Span {
    /// Where the member begins, its name included.
    member: usize,
    value: Range<usize>,
    pointer: String,
    treatment: Treatment,
}

/// What was judged.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// SHA-256 over the text.
    pub(crate) hash: PayloadHash,
    pub(crate) text: String,
    /// In the order of the text; none inside another.
    spans: Vec<Span>,
    /// Texts and numbers elsewhere, which may quote a hidden value.
    leaves: Vec<Range<usize>>,
    /// Whole records: more than what changes.
    whole: Vec<Span>,
}

/// What is kept of the text.
pub(crate) struct Kept {
    pub(crate) text: String,
    pub(crate) erased: Vec<String>,
    pub(crate) masked: Vec<String>,
}

/// A place to leave out or replace: where its member begins, where its value stands, what it is
/// called; a leaf that may quote has no name.
type Cut<'a> = (usize, Range<usize>, Option<(&'a str, Treatment)>);

impl Span {
    fn cut(&self) -> Cut<'_> {
        let named = (self.pointer.as_str(), self.treatment);
        (self.member, self.value.clone(), Some(named))
    }
}

impl Seen {
    /// The policy input, as `policies/schema/input.schema.json` describes it, in canonical form:
    /// names sorted, no spaces, numbers as the connector normalized them.
    pub(crate) fn of(operation: &Operation, views: &Views, marker: &mut Marker<'_>) -> Self {
        let mut out = Writer {
            out: String::with_capacity(2_048),
            marker,
            spans: Vec::new(),
            leaves: Vec::new(),
            whole: Vec::new(),
        };
        out.input(operation, views);
        Self {
            hash: PayloadHash::of(&[out.out.as_bytes()]),
            text: out.out,
            spans: out.spans,
            leaves: out.leaves,
            whole: out.whole,
        }
    }

    /// The values that are not kept as they are.
    pub(crate) fn hidden(&self) -> impl Iterator<Item = Document> {
        let places = self.spans.iter();
        let mut texts: Vec<&str> = places
            .filter_map(|span| self.text.get(span.value.clone()))
            .collect();
        // One value stands in many places: in the record, in its native form, in what changes.
        texts.sort_unstable();
        texts.dedup();
        texts
            .into_iter()
            .filter_map(|text| Document::parse(text.as_bytes()).ok())
    }

    /// What may be kept: without the values of marked places, and without those values anywhere
    /// else; without whole records where only changes are kept.
    pub(crate) fn kept(&self, scrubber: &Scrubber, key: &HashKey, changes_only: bool) -> Kept {
        let mut cuts: Vec<Cut<'_>> = self.spans.iter().map(Span::cut).collect();
        if changes_only {
            cuts.extend(self.whole.iter().map(Span::cut));
        }
        if !scrubber.is_empty() {
            let quoting = |it: &&Range<usize>| {
                let leaf = self.text.get(Range::clone(it));
                leaf.is_some_and(|leaf| scrubber.may_be_in(leaf))
            };
            let quoting = self.leaves.iter().filter(quoting);
            cuts.extend(quoting.map(|it| (it.start, it.clone(), None)));
        }
        cuts.sort_by_key(|(member, value, _)| (*member, std::cmp::Reverse(value.end)));
        let mut kept = Kept {
            text: String::with_capacity(self.text.len()),
            erased: Vec::new(),
            masked: Vec::new(),
        };
        let mut copied = 0;
        for (member, value, named) in cuts {
            // Inside one that was cut out.
            if member < copied {
                continue;
            }
            copied = self.cut(&mut kept, scrubber, key, copied, (member, value, named));
        }
        kept.text
            .push_str(self.text.get(copied..).unwrap_or_default());
        kept
    }

    /// Copies what is before one place, and then what that place becomes; where to go on.
    fn cut(
        &self,
        kept: &mut Kept,
        scrubber: &Scrubber,
        key: &HashKey,
        copied: usize,
        (member, value, named): Cut<'_>,
    ) -> usize {
        let text = |range: Range<usize>| self.text.get(range).unwrap_or_default();
        let parse = || Document::parse(text(value.clone()).as_bytes()).unwrap_or_default();
        let Some((pointer, treatment)) = named else {
            kept.text.push_str(text(copied..value.start));
            let mut leaf = parse();
            scrubber.document(&mut leaf);
            write(&leaf, &mut kept.text);
            return value.end;
        };
        if let Some(treated) = mask::treated(&parse_if(treatment, parse), treatment, key) {
            kept.masked.push(pointer.to_owned());
            kept.text.push_str(text(copied..value.start));
            write(&treated, &mut kept.text);
            return value.end;
        }
        kept.erased.push(pointer.to_owned());
        kept.text.push_str(text(copied..member));
        if text(value.end..value.end + 1) == "," {
            return value.end + 1;
        }
        if kept.text.ends_with(',') {
            kept.text.pop();
        }
        value.end
    }
}

/// A value that is replaced whatever it is need not be read.
fn parse_if(treatment: Treatment, parse: impl Fn() -> Document) -> Document {
    match treatment {
        Treatment::Mask | Treatment::Drop => Document::Null,
        Treatment::Keep | Treatment::Partial | Treatment::Hash => parse(),
    }
}

/// Where a value stands.
#[derive(Clone, Copy)]
struct Path<'a> {
    above: Option<&'a Path<'a>>,
    key: &'a str,
}

impl<'a> Path<'a> {
    const fn root(key: &'a str) -> Self {
        Self { above: None, key }
    }

    const fn below(&'a self, key: &'a str) -> Self {
        Self {
            above: Some(self),
            key,
        }
    }

    fn pointer(&self) -> String {
        let above = self
            .above
            .map_or_else(|| "/input".to_owned(), Path::pointer);
        format!("{above}/{}", pointer::escape(self.key))
    }
}

/// Writes JSON with sorted names.
struct Writer<'m, 's> {
    out: String,
    marker: &'m mut Marker<'s>,
    spans: Vec<Span>,
    leaves: Vec<Range<usize>>,
    whole: Vec<Span>,
}

/// Writes one member's value.
type Member<'a, 'm, 's> = (&'a str, &'a dyn Fn(&mut Writer<'m, 's>));

impl<'m, 's> Writer<'m, 's> {
    fn input(&mut self, operation: &Operation, views: &Views) {
        let connection = &operation.connection;
        self.object(&mut [
            ("actor", &|out| out.actor(&operation.actor)),
            ("approvals", &|out| out.raw("[]")),
            ("before", &|out| {
                out.record("before", View::Canonical, views.before.as_ref());
            }),
            ("changes", &|out| out.changes(&views.changes)),
            ("connection", &|out| {
                out.object(&mut [
                    ("name", &|out| out.text(Some(connection.name.as_str()))),
                    ("org", &|out| out.text(connection.org.as_deref())),
                    ("system", &|out| out.text(Some(&connection.system))),
                ]);
            }),
            ("exceptions", &|out| out.raw("[]")),
            ("id", &|out| out.text(operation.record_id.as_deref())),
            ("native", &|out| {
                out.record("native", View::Native, views.native.as_ref());
            }),
            ("native_before", &|out| {
                out.record("native_before", View::Native, views.native_before.as_ref());
            }),
            ("native_object", &|out| {
                out.text(Some(&operation.native_object));
            }),
            ("object", &|out| out.text(Some(&operation.object))),
            ("operation", &|out| out.operation(operation)),
            ("purpose", &|out| out.quoting(operation.purpose.as_deref())),
            ("record", &|out| {
                out.record("record", View::Canonical, views.record.as_ref());
            }),
            ("related", &|out| {
                out.record("related", View::Related, Some(&views.related));
            }),
            ("request", &|out| out.request(operation.request.as_ref())),
        ]);
    }

    fn raw(&mut self, text: &str) {
        self.out.push_str(text);
    }

    fn text(&mut self, text: Option<&str>) {
        match text {
            Some(text) => write_text(text, &mut self.out),
            None => self.raw("null"),
        }
    }

    /// A text that may quote a hidden value.
    fn quoting(&mut self, text: Option<&str>) {
        let start = self.out.len();
        self.text(text);
        if text.is_some() {
            self.leaves.push(start..self.out.len());
        }
    }

    fn texts(&mut self, texts: Option<&[String]>) {
        let Some(texts) = texts else {
            return self.raw("null");
        };
        self.raw("[");
        for (index, text) in texts.iter().enumerate() {
            if index > 0 {
                self.raw(",");
            }
            write_text(text, &mut self.out);
        }
        self.raw("]");
    }

    fn name(&mut self, index: usize, name: &str) -> usize {
        if index > 0 {
            self.raw(",");
        }
        let member = self.out.len();
        write_text(name, &mut self.out);
        self.raw(":");
        member
    }

    fn object(&mut self, members: &mut [Member<'_, 'm, 's>]) {
        members.sort_by_key(|(name, _)| *name);
        self.raw("{");
        for (index, (name, value)) in members.iter().enumerate() {
            self.name(index, name);
            value(self);
        }
        self.raw("}");
    }

    /// A whole record under a name of the input.
    fn record(&mut self, name: &str, view: View, record: Option<&Object>) {
        let start = self.out.len();
        let path = Path::root(name);
        match record {
            Some(record) => self.members(view, &path, record),
            None => self.raw("null"),
        }
        self.whole.push(Span {
            // `"name":` stands before it.
            member: start.saturating_sub(name.len() + 3),
            value: start..self.out.len(),
            pointer: path.pointer(),
            treatment: Treatment::Drop,
        });
    }

    fn members(&mut self, view: View, path: &Path<'_>, record: &Object) {
        let mut members: Vec<(&str, &Document)> = record.iter().collect();
        members.sort_by_key(|(name, _)| *name);
        self.raw("{");
        for (index, (name, value)) in members.into_iter().enumerate() {
            let member = self.name(index, name);
            let treatment = self.marker.treatment(view, name, value);
            let inner = view.inside(name);
            self.value((inner, member), &path.below(name), value, treatment);
        }
        self.raw("}");
    }

    /// A value, noted where it is not kept as it is.
    fn value(
        &mut self,
        (view, member): (View, usize),
        path: &Path<'_>,
        value: &Document,
        treatment: Treatment,
    ) {
        let start = self.out.len();
        if treatment == Treatment::Keep {
            return self.walk(view, path, value);
        }
        write(value, &mut self.out);
        self.spans.push(Span {
            member,
            value: start..self.out.len(),
            pointer: path.pointer(),
            treatment,
        });
    }

    fn walk(&mut self, view: View, path: &Path<'_>, value: &Document) {
        let start = self.out.len();
        match value {
            Document::Object(object) => self.members(view, path, object),
            Document::Array(items) => {
                self.raw("[");
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        self.raw(",");
                    }
                    let key = index.to_string();
                    self.walk(view, &path.below(&key), item);
                }
                self.raw("]");
            }
            Document::String(_) | Document::Number(_) => {
                write(value, &mut self.out);
                self.leaves.push(start..self.out.len());
            }
            Document::Null | Document::Bool(_) => write(value, &mut self.out),
        }
    }

    fn changes(&mut self, changes: &BTreeMap<String, Change>) {
        let root = Path::root("changes");
        self.raw("{");
        for (index, (name, change)) in changes.iter().enumerate() {
            self.name(index, name);
            let path = root.below(name);
            let (view, bare) = match name.strip_prefix("native.") {
                Some(bare) => (View::Native, bare),
                None => (View::Canonical, name.as_str()),
            };
            let nothing = Document::Null;
            let from = change.from.as_ref().unwrap_or(&nothing);
            self.raw("{");
            for (index, (key, value)) in
                [("from", from), ("to", &change.to)].into_iter().enumerate()
            {
                let member = self.name(index, key);
                let treatment = self.marker.treatment(view, bare, value);
                self.value((view, member), &path.below(key), value, treatment);
            }
            self.raw("}");
        }
        self.raw("}");
    }

    fn actor(&mut self, actor: &Actor) {
        self.object(&mut [
            ("client", &|out| out.quoting(actor.client.as_deref())),
            ("email", &|out| {
                let path = Path::root("actor");
                let email = actor
                    .email
                    .as_deref()
                    .map_or(Document::Null, Document::from);
                let member = out.out.len().saturating_sub("\"email\":".len());
                let treatment = out.marker.of_actor(&email);
                out.value(
                    (View::Plain, member),
                    &path.below("email"),
                    &email,
                    treatment,
                );
            }),
            ("groups", &|out| out.texts(Some(&actor.groups))),
            ("id", &|out| out.text(Some(&actor.id))),
            ("on_behalf_of", &|out| {
                out.quoting(actor.on_behalf_of.as_deref());
            }),
            ("roles", &|out| out.texts(Some(&actor.roles))),
            ("scopes", &|out| out.texts(actor.scopes.as_deref())),
            ("username", &|out| out.quoting(actor.username.as_deref())),
        ]);
    }

    fn operation(&mut self, operation: &Operation) {
        let requested = operation.requested.map(Kind::as_str);
        let path = Path::root("operation");
        self.object(&mut [
            ("arguments", &|out| match &operation.arguments {
                Some(arguments) => {
                    out.members(View::Native, &path.below("arguments"), arguments);
                }
                None => out.raw("null"),
            }),
            ("at", &|out| out.text(Some(&operation.at.to_string()))),
            ("batch", &|out| out.batch(operation.batch.as_ref())),
            ("id", &|out| out.text(Some(&operation.id.to_string()))),
            ("kind", &|out| out.text(Some(operation.kind.as_str()))),
            ("name", &|out| out.text(operation.name.as_deref())),
            ("point", &|out| out.text(Some(operation.point.as_str()))),
            ("relation", &|out| match &operation.relation {
                Some(relation) => write(relation, &mut out.out),
                None => out.raw("null"),
            }),
            ("requested", &|out| out.text(requested)),
        ]);
    }

    fn batch(&mut self, batch: Option<&BatchInfo>) {
        let Some(batch) = batch else {
            return self.raw("null");
        };
        self.object(&mut [
            ("atomic", &|out| {
                out.raw(if batch.atomic { "true" } else { "false" });
            }),
            ("id", &|out| out.text(Some(&batch.id))),
            ("index", &|out| out.raw(&batch.index.to_string())),
            ("size", &|out| out.raw(&batch.size.to_string())),
        ]);
    }

    fn request(&mut self, request: Option<&RequestInfo>) {
        let Some(request) = request else {
            return self.raw("null");
        };
        let path = Path::root("request");
        self.object(&mut [
            ("method", &|out| out.text(Some(&request.method))),
            ("path_parameters", &|out| {
                out.parameters(&path.below("path_parameters"), &request.path_parameters);
            }),
            ("query_parameters", &|out| {
                out.parameters(&path.below("query_parameters"), &request.query_parameters);
            }),
            ("resource", &|out| out.text(Some(&request.resource))),
        ]);
    }

    fn parameters(&mut self, path: &Path<'_>, parameters: &BTreeMap<String, String>) {
        let members = parameters
            .iter()
            .map(|(name, text)| (name.clone(), text.as_str().into()));
        self.members(View::Plain, path, &members.collect());
    }
}
