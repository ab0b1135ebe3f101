//! What a value may be, as far as a policy's text tells.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use serde_json::Value;

use crate::catalogue::FieldKind;

/// The kinds of value that something may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kinds(u8);

impl Kinds {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const NULL: Self = Self(1);
    pub(crate) const BOOL: Self = Self(2);
    pub(crate) const NUMBER: Self = Self(4);
    pub(crate) const STRING: Self = Self(8);
    pub(crate) const ARRAY: Self = Self(16);
    pub(crate) const SET: Self = Self(32);
    pub(crate) const OBJECT: Self = Self(64);
    pub(crate) const ANY: Self = Self(127);

    const NAMES: [(Self, &'static str); 7] = [
        (Self::STRING, "a text"),
        (Self::NUMBER, "a number"),
        (Self::BOOL, "true or false"),
        (Self::ARRAY, "an array"),
        (Self::SET, "a set"),
        (Self::OBJECT, "an object"),
        (Self::NULL, "null"),
    ];

    pub(crate) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether it may be one of `other`.
    pub(crate) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether it can be nothing but `other`.
    pub(crate) const fn only(self, other: Self) -> bool {
        self.0 != 0 && self.0 & !other.0 == 0
    }

    /// Whether nothing is known of it.
    pub(crate) const fn unknown(self) -> bool {
        self.0 == Self::ANY.0 || self.0 == 0
    }

    /// `a text or null`.
    pub(crate) fn words(self) -> String {
        let names: Vec<&str> = Self::NAMES
            .iter()
            .filter(|(kind, _)| self.has(*kind))
            .map(|(_, name)| *name)
            .collect();
        match names.split_last() {
            None => "undefined".into(),
            Some((only, [])) => (*only).into(),
            Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        }
    }
}

/// Which view of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    Canonical,
    Native,
}

/// The objects that a record may be of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Objects {
    /// Those of the vocabulary.
    pub(crate) names: BTreeSet<String>,
    /// Whether there are others beside them, whose fields nobody knows.
    pub(crate) others: bool,
}

/// What is known of the inside of a value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shape {
    Open,
    /// The items of a collection, or the values of an object.
    Items(Rc<Ty>),
    /// An object of just these members.
    Object(Rc<BTreeMap<String, Ty>>),
    /// A part of the input.
    Schema(&'static Value),
    Record(View, Rc<Objects>),
    Changes(Rc<Objects>),
    Related(Rc<Objects>),
    /// Data that files hold, by its path below `data`.
    Data(Rc<Vec<String>>),
}

/// What is known of a field of a record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fact {
    pub(crate) kinds: BTreeSet<FieldKind>,
    pub(crate) personal: bool,
}

/// What a value may be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ty {
    pub(crate) kinds: Kinds,
    pub(crate) shape: Shape,
    /// The field whose value it is.
    pub(crate) fact: Option<Rc<Fact>>,
    /// Where it comes from, as an author writes it: `input.record.email`.
    pub(crate) path: Option<Rc<str>>,
    /// The literal texts that it may be, and nothing else.
    pub(crate) texts: Option<Rc<BTreeSet<String>>>,
    /// The words that it may be, and `native:…`.
    pub(crate) words: Option<Rc<BTreeSet<String>>>,
    /// Whether it may be absent where all goes well.
    pub(crate) absent: bool,
    /// The field about a person whose value is in it.
    pub(crate) personal: Option<Rc<str>>,
}

impl Ty {
    pub(crate) const fn of(kinds: Kinds) -> Self {
        Self {
            kinds,
            shape: Shape::Open,
            fact: None,
            path: None,
            texts: None,
            words: None,
            absent: false,
            personal: None,
        }
    }

    pub(crate) const fn any() -> Self {
        Self::of(Kinds::ANY)
    }

    pub(crate) fn text(text: &str) -> Self {
        Self {
            texts: Some(Rc::new([text.to_owned()].into())),
            ..Self::of(Kinds::STRING)
        }
    }

    pub(crate) fn shaped(kinds: Kinds, shape: Shape) -> Self {
        Self {
            shape,
            ..Self::of(kinds)
        }
    }

    pub(crate) fn items(kinds: Kinds, item: Self) -> Self {
        Self::shaped(kinds, Shape::Items(Rc::new(item)))
    }

    pub(crate) fn with_path(mut self, path: &str) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Whether it is the value of a field of that kind, and of no other.
    pub(crate) fn is_field(&self, kind: FieldKind) -> bool {
        let fact = self.fact.as_ref();
        fact.is_some_and(|fact| !fact.kinds.is_empty() && fact.kinds.iter().all(|k| *k == kind))
    }

    /// Whether null is one of a few things that it may be.
    pub(crate) const fn may_be_null(&self) -> bool {
        !self.kinds.unknown() && self.kinds.has(Kinds::NULL)
    }

    /// Either of two.
    pub(crate) fn join(&self, other: &Self) -> Self {
        if self == other {
            return self.clone();
        }
        let shape = match (&self.shape, &other.shape) {
            (a, b) if a == b => a.clone(),
            (Shape::Items(a), Shape::Items(b)) => Shape::Items(Rc::new(a.join(b))),
            (Shape::Object(a), Shape::Object(b)) => Shape::Object(Rc::new(members(a, b))),
            _ => Shape::Open,
        };
        let texts = match (&self.texts, &other.texts) {
            (Some(a), Some(b)) => Some(Rc::new(a.union(b).cloned().collect())),
            _ => None,
        };
        Self {
            kinds: self.kinds.or(other.kinds),
            shape,
            fact: same(&self.fact, &other.fact),
            path: same(&self.path, &other.path),
            texts,
            words: same(&self.words, &other.words),
            absent: self.absent || other.absent,
            personal: self.personal.clone().or_else(|| other.personal.clone()),
        }
    }
}

fn members(a: &BTreeMap<String, Ty>, b: &BTreeMap<String, Ty>) -> BTreeMap<String, Ty> {
    let mut all = a.clone();
    for (name, ty) in b {
        let joined = all
            .get(name)
            .map_or_else(|| ty.clone(), |mine| mine.join(ty));
        all.insert(name.clone(), joined);
    }
    all
}

fn same<T: PartialEq + Clone>(a: &Option<T>, b: &Option<T>) -> Option<T> {
    (a == b).then(|| a.clone()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_in_words() {
        assert_eq!(Kinds::STRING.or(Kinds::NULL).words(), "a text or null");
        assert_eq!(Kinds::SET.words(), "a set");
        assert!(Kinds::ANY.unknown());
        assert!(Kinds::NUMBER.only(Kinds::NUMBER.or(Kinds::NULL)));
    }

    #[test]
    fn a_join_knows_what_both_know() {
        let joined = Ty::text("a").join(&Ty::text("b"));
        assert_eq!(joined.kinds, Kinds::STRING);
        assert_eq!(joined.texts.unwrap().len(), 2);
        assert!(Ty::text("a").join(&Ty::any()).texts.is_none());
    }
}
