//! How the value of a field may be kept, by its name.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use crmgate_connector::NativeChange;
use crmgate_connector::mapping::ObjectMap;
use crmgate_connector::vocabulary::{DataClass, Vocabulary};
use crmgate_decision_log::Treatment;
use crmgate_decision_log::mask::{Hint, hint};
use crmgate_domain::{Document, Operation, Redaction};

use crate::settings::LogSettings;

/// Names that are remembered per object; what is beyond is worked out each time.
const MOST_NAMES: usize = 5_000;
/// Objects that are remembered.
const MOST_OBJECTS: usize = 2_000;

/// Which names a part of the input has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    /// Canonical ones.
    Canonical,
    /// The CRM's own.
    Native,
    /// Relations, with records of other objects in them.
    Related,
    /// Canonical ones, of whatever object.
    OfOther,
    /// Neither: parameters.
    Plain,
}

impl View {
    /// The names inside a member.
    pub(crate) fn inside(self, name: &str) -> Self {
        match (self, name) {
            (Self::Related, _) => Self::OfOther,
            (Self::OfOther, "native") => Self::Native,
            (view, _) => view,
        }
    }
}

/// Who a value is about, as far as its name tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Plain,
    Personal,
    Sensitive,
    Secret,
    /// No mapping knows it.
    Unmapped,
}

impl From<DataClass> for Class {
    fn from(class: DataClass) -> Self {
        match class {
            DataClass::Business | DataClass::System => Self::Plain,
            DataClass::Personal => Self::Personal,
            DataClass::Sensitive => Self::Sensitive,
        }
    }
}

impl From<Option<Hint>> for Class {
    fn from(hint: Option<Hint>) -> Self {
        match hint {
            Some(Hint::Secret) => Self::Secret,
            Some(Hint::Personal) => Self::Personal,
            None => Self::Plain,
        }
    }
}

/// What is known of one object's names.
#[derive(Debug, Default)]
struct Known {
    canonical: HashMap<String, Class>,
    native: HashMap<String, Class>,
    other: HashMap<String, Class>,
    plain: HashMap<String, Class>,
}

impl Known {
    const fn of(&self, view: View) -> &HashMap<String, Class> {
        match view {
            View::Canonical => &self.canonical,
            View::Native => &self.native,
            View::Related | View::OfOther => &self.other,
            View::Plain => &self.plain,
        }
    }

    fn add(&mut self, view: View, name: String, class: Class) {
        let names = match view {
            View::Canonical => &mut self.canonical,
            View::Native => &mut self.native,
            View::Related | View::OfOther => &mut self.other,
            View::Plain => &mut self.plain,
        };
        if names.len() < MOST_NAMES {
            names.insert(name, class);
        }
    }
}

type Table = Arc<RwLock<Known>>;

/// What is known of the names of a connection's objects.
#[derive(Debug, Default)]
pub(crate) struct Classes(RwLock<HashMap<String, Table>>);

impl Classes {
    /// What is known of one object's names.
    pub(crate) fn table(&self, operation: &Operation) -> ObjectClasses {
        let name = &operation.native_object;
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let found = known.get(name).cloned();
        drop(known);
        let table = found.unwrap_or_else(|| {
            let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
            if known.len() < MOST_OBJECTS {
                Arc::clone(known.entry(name.clone()).or_default())
            } else {
                Table::default()
            }
        });
        ObjectClasses(table)
    }
}

/// One object's.
pub(crate) struct ObjectClasses(Table);

impl ObjectClasses {
    /// Tells treatments while one operation is written down.
    pub(crate) fn marker<'a>(
        &'a self,
        operation: &'a Operation,
        change: Option<&'a dyn NativeChange>,
        settings: &'a LogSettings,
        redactions: &[Redaction],
    ) -> Marker<'a> {
        let map = change.and_then(NativeChange::object_map);
        Marker {
            known: self.0.read().unwrap_or_else(PoisonError::into_inner),
            learned: Vec::new(),
            object: &operation.object,
            map,
            settings,
            redactions: redactions
                .iter()
                .flat_map(|redaction| redacted(redaction, change, map))
                .collect(),
        }
    }

    /// Remembers what a marker had to work out.
    pub(crate) fn learn(&self, learned: Learned) {
        if learned.0.is_empty() {
            return;
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for (view, name, class) in learned.0 {
            known.add(view, name, class);
        }
    }
}

/// Names that were not known yet.
pub(crate) struct Learned(Vec<(View, String, Class)>);

/// A field that a package has hidden, under one of its names.
type Redacted = (View, String, Treatment);

fn redacted(
    redaction: &Redaction,
    change: Option<&dyn NativeChange>,
    map: Option<&ObjectMap>,
) -> Vec<Redacted> {
    let treatment = Treatment::from(redaction.mode);
    let field = &redaction.field;
    let native = change.map_or_else(Vec::new, |change| change.native_fields(field));
    let canonical = match field.native() {
        None => field.canonical().map(str::to_owned),
        Some(name) => map
            .and_then(|map| map.field_by_native(name))
            .map(|field| field.canonical.clone()),
    };
    let native = native
        .into_iter()
        .map(|name| (View::Native, name, treatment));
    canonical
        .map(|name| (View::Canonical, name, treatment))
        .into_iter()
        .chain(native)
        .collect()
}

/// Tells how values may be kept.
pub(crate) struct Marker<'a> {
    known: RwLockReadGuard<'a, Known>,
    learned: Vec<(View, String, Class)>,
    object: &'a str,
    map: Option<&'a ObjectMap>,
    settings: &'a LogSettings,
    redactions: Vec<Redacted>,
}

impl Marker<'_> {
    /// How a member's value may be kept.
    pub(crate) fn treatment(&mut self, view: View, name: &str, value: &Document) -> Treatment {
        // That there is nothing tells nobody anything, and policies look at it.
        if value.is_null() {
            return Treatment::Keep;
        }
        let known = self.known.of(view).get(name).copied();
        let class = known.unwrap_or_else(|| {
            let class = self.work_out(view, name);
            self.learned.push((view, name.to_owned(), class));
            class
        });
        let by_class = match class {
            Class::Plain => Treatment::Keep,
            Class::Personal => self.settings.personal,
            Class::Sensitive => self.settings.sensitive,
            Class::Secret => Treatment::Mask,
            Class::Unmapped if holds_text(value) => self.settings.unmapped,
            Class::Unmapped => Treatment::Keep,
        };
        self.redactions
            .iter()
            .filter(|(in_view, field, _)| *in_view == view && field.eq_ignore_ascii_case(name))
            .map(|(_, _, treatment)| *treatment)
            .fold(by_class, Treatment::max)
    }

    /// How an actor's address may be kept.
    pub(crate) fn of_actor(&self, email: &Document) -> Treatment {
        if email.is_null() {
            Treatment::Keep
        } else {
            self.settings.personal
        }
    }

    /// What it had to work out.
    pub(crate) fn finish(self) -> Learned {
        Learned(self.learned)
    }

    fn work_out(&self, view: View, name: &str) -> Class {
        let vocabulary = Vocabulary::standard();
        match view {
            View::Canonical => self
                .map
                .and_then(|map| map.field(name))
                .map(|field| field.class)
                .or_else(|| vocabulary.field(self.object, name).map(|field| field.class))
                .map_or_else(|| Class::from(hint(name)), Class::from),
            View::Native => self
                .map
                .and_then(|map| map.field_by_native(name))
                .map_or_else(
                    || match hint(name) {
                        None => Class::Unmapped,
                        found => found.into(),
                    },
                    |field| field.class.into(),
                ),
            // Which object it is of cannot be told here: the most careful class holds.
            View::OfOther => {
                let mut objects = vocabulary.objects();
                let classes = objects
                    .by_ref()
                    .filter_map(|object| vocabulary.field(object, name));
                let personal = classes
                    .map(|field| Class::from(field.class))
                    .find(|class| *class != Class::Plain);
                personal.unwrap_or_else(|| hint(name).into())
            }
            View::Related => Class::Plain,
            View::Plain => hint(name).into(),
        }
    }
}

fn holds_text(value: &Document) -> bool {
    match value {
        Document::String(_) => true,
        Document::Array(items) => items.iter().any(holds_text),
        Document::Object(object) => object.iter().any(|(_, item)| holds_text(item)),
        Document::Null | Document::Bool(_) | Document::Number(_) => false,
    }
}
