//! What packages look at in the input, so that only that is made for the engine: converting a
//! record costs more than many a rule, and every member more costs each rule that looks for one.
//!
//! INVARIANT: what is left out can't be seen by any governing package. The read set is never too
//! small.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use regorus::Value;

/// A member of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Operation,
    Connection,
    Object,
    NativeObject,
    Id,
    Actor,
    Request,
    Purpose,
    Approvals,
    Exceptions,
    Record,
    Native,
    Before,
    NativeBefore,
    Changes,
    Related,
}

impl Part {
    const ALL: [Self; 16] = [
        Self::Operation,
        Self::Connection,
        Self::Object,
        Self::NativeObject,
        Self::Id,
        Self::Actor,
        Self::Request,
        Self::Purpose,
        Self::Approvals,
        Self::Exceptions,
        Self::Record,
        Self::Native,
        Self::Before,
        Self::NativeBefore,
        Self::Changes,
        Self::Related,
    ];

    /// Its name in the input.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Operation => "operation",
            Self::Connection => "connection",
            Self::Object => "object",
            Self::NativeObject => "native_object",
            Self::Id => "id",
            Self::Actor => "actor",
            Self::Request => "request",
            Self::Purpose => "purpose",
            Self::Approvals => "approvals",
            Self::Exceptions => "exceptions",
            Self::Record => "record",
            Self::Native => "native",
            Self::Before => "before",
            Self::NativeBefore => "native_before",
            Self::Changes => "changes",
            Self::Related => "related",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.name() == name)
    }
}

/// What one package looks at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Looks {
    /// The parts it comes near, if only to see whether they are there.
    parts: BTreeSet<Part>,
    /// Those of which any member may matter.
    whole: BTreeSet<Part>,
    /// The members of others.
    members: BTreeMap<Part, BTreeSet<String>>,
}

impl Looks {
    /// Adds the whole input.
    pub(crate) fn everything(&mut self) {
        self.parts.extend(Part::ALL);
        self.whole.extend(Part::ALL);
    }

    /// Adds a part, but none of its members.
    pub(crate) fn part(&mut self, part: &str) {
        self.parts.extend(Part::named(part));
    }

    /// Adds a member of a part, or all of them.
    pub(crate) fn add(&mut self, part: &str, member: Option<&str>) {
        // What the input does not have needs no place.
        let Some(part) = Part::named(part) else {
            return;
        };
        self.parts.insert(part);
        match member {
            Some(member) => _ = self.members.entry(part).or_default().insert(member.into()),
            None => _ = self.whole.insert(part),
        }
    }
}

/// What every package of a layer looks at, numbered, so that what several of them look at
/// together is told fast.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    /// By part: the members that some package looks at.
    members: [HashMap<String, Member>; COUNT],
    /// By package.
    masks: Vec<Mask>,
}

/// A member with its number and its key for the engine.
#[derive(Debug, Clone)]
struct Member {
    number: usize,
    key: Value,
}

const COUNT: usize = Part::ALL.len();
/// The numbers of parts that are looked at as a whole begin here, …
const WHOLE: usize = COUNT;
/// … those of parts of which some members are looked at here, …
const SOME: usize = 2 * COUNT;
/// … and those of members here.
const MEMBERS: usize = 3 * COUNT;

/// A set of numbers; those below [`WHOLE`] are of parts that are looked at anyhow.
#[derive(Debug, Clone, Default)]
struct Mask(Vec<u64>);

impl Mask {
    fn insert(&mut self, number: usize) {
        let word = number / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        if let Some(word) = self.0.get_mut(word) {
            *word |= 1 << (number % 64);
        }
    }

    fn contains(&self, number: usize) -> bool {
        let word = self.0.get(number / 64);
        word.is_some_and(|word| word & (1 << (number % 64)) != 0)
    }

    fn extend(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine |= theirs;
        }
    }
}

impl Table {
    /// The table of a layer's packages, in their order.
    pub(crate) fn new<'a>(packages: impl IntoIterator<Item = &'a Looks>) -> Self {
        let mut table = Self::default();
        let mut next = MEMBERS;
        for looks in packages {
            let mut mask = Mask::default();
            for part in &looks.parts {
                mask.insert(*part as usize);
            }
            for part in &looks.whole {
                mask.insert(WHOLE + *part as usize);
            }
            for (part, names) in &looks.members {
                mask.insert(SOME + *part as usize);
                let Some(members) = table.members.get_mut(*part as usize) else {
                    continue;
                };
                for name in names {
                    let member = members.entry(name.clone()).or_insert_with(|| Member {
                        number: next,
                        key: name.as_str().into(),
                    });
                    next = next.max(member.number + 1);
                    mask.insert(member.number);
                }
            }
            table.masks.push(mask);
        }
        table
    }

    /// What these packages look at together.
    pub(crate) fn wanted(&self, packages: impl IntoIterator<Item = usize>) -> Wanted<'_> {
        let mut mask = Mask::default();
        for theirs in packages.into_iter().filter_map(|at| self.masks.get(at)) {
            mask.extend(theirs);
        }
        Wanted { table: self, mask }
    }
}

/// What some packages look at together.
pub(crate) struct Wanted<'a> {
    table: &'a Table,
    mask: Mask,
}

impl Wanted<'_> {
    /// A part; `None` when it is not looked at.
    pub(crate) fn part(&self, part: Part) -> Option<Members<'_>> {
        let at = part as usize;
        self.mask.contains(at).then(|| Members {
            whole: self.mask.contains(WHOLE + at),
            some: self.mask.contains(SOME + at),
            members: self.table.members.get(at),
            mask: &self.mask,
        })
    }
}

/// The members of one part that are looked at.
#[derive(Clone, Copy)]
pub(crate) struct Members<'a> {
    whole: bool,
    some: bool,
    members: Option<&'a HashMap<String, Member>>,
    mask: &'a Mask,
}

impl Members<'_> {
    /// The key of a member; `None` when it is not looked at.
    pub(crate) fn key(&self, name: &str) -> Option<Value> {
        let known = || {
            let member = self.members?.get(name)?;
            self.mask
                .contains(member.number)
                .then(|| member.key.clone())
        };
        let known = if self.some { known() } else { None };
        known.or_else(|| self.whole.then(|| name.into()))
    }

    /// Whether any member is looked at.
    pub(crate) const fn any(&self) -> bool {
        self.whole || self.some
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(members: &[(&str, Option<&str>)]) -> Looks {
        let mut looks = Looks::default();
        for (part, member) in members {
            looks.add(part, *member);
        }
        looks
    }

    #[test]
    fn packages_look_at_what_each_of_them_looks_at() {
        let many: Vec<String> = (0..200).map(|at| format!("f{at}")).collect();
        let many: Vec<_> = many
            .iter()
            .map(|name| ("record", Some(name.as_str())))
            .collect();
        let mut everything = Looks::default();
        everything.everything();
        let all = [
            looks(&[("record", Some("a")), ("purpose", None)]),
            looks(&[("record", Some("b")), ("actor", Some("id"))]),
            looks(&[("changes", None)]),
            looks(&many),
            everything,
            {
                let mut looks = Looks::default();
                looks.part("before");
                looks
            },
        ];
        let table = Table::new(&all);
        let told = |packages: &[usize], part: Part, name: &str| {
            let wanted = table.wanted(packages.iter().copied());
            let key = wanted.part(part).and_then(|members| members.key(name));
            key.map(|key| key == Value::from(name))
        };
        assert_eq!(told(&[0], Part::Record, "a"), Some(true));
        assert_eq!(told(&[0], Part::Record, "b"), None);
        assert_eq!(told(&[0, 1], Part::Record, "b"), Some(true));
        assert_eq!(told(&[0, 1], Part::Actor, "id"), Some(true));
        assert_eq!(told(&[0, 1], Part::Actor, "email"), None);
        assert_eq!(told(&[0, 1], Part::Native, "a"), None);
        assert_eq!(told(&[2], Part::Changes, "whatever"), Some(true));
        assert_eq!(told(&[2], Part::Record, "a"), None);
        assert_eq!(told(&[3], Part::Record, "f199"), Some(true));
        assert_eq!(told(&[0, 1, 2], Part::Record, "f199"), None);
        for part in Part::ALL {
            assert_eq!(told(&[4], part, "whatever"), Some(true), "{part:?}");
            assert!(table.wanted([]).part(part).is_none(), "{part:?}");
        }
        assert!(table.wanted([3]).part(Part::Native).is_none());
        assert!(
            table
                .wanted([5])
                .part(Part::Before)
                .is_some_and(|members| !members.any())
        );
    }
}
