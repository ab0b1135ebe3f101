//! What packages look at in the input, so that only that is made for the engine: converting a
//! record costs more than many a rule.
//!
//! INVARIANT: a part of the input is always there, null or not, as it is for all; only members of
//! it that no governing package can see are left out. The read set is never too small.

use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The parts of the input whose members can be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Operation,
    Connection,
    Actor,
    Request,
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
    const ALL: [Self; 12] = [
        Self::Operation,
        Self::Connection,
        Self::Actor,
        Self::Request,
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
            Self::Actor => "actor",
            Self::Request => "request",
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
    whole: BTreeSet<Part>,
    members: BTreeMap<Part, BTreeSet<String>>,
}

impl Looks {
    /// Adds the whole input.
    pub(crate) fn everything(&mut self) {
        self.whole.extend(Part::ALL);
    }

    /// Adds a member of what the input has under that name, or all of them.
    pub(crate) fn add(&mut self, part: &str, member: Option<&str>) {
        let Some(part) = Part::named(part) else {
            // Plain values, which are never left out.
            return;
        };
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
    /// By part: the numbers of members that some package looks at.
    members: [HashMap<String, usize>; COUNT],
    /// By package.
    masks: Vec<Mask>,
}

const COUNT: usize = Part::ALL.len();

/// A set of numbers. First come the parts looked at as a whole, then the parts of which some
/// member is looked at, then members.
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
        let mut next = 2 * COUNT;
        for looks in packages {
            let mut mask = Mask::default();
            for part in &looks.whole {
                mask.insert(*part as usize);
            }
            for (part, names) in &looks.members {
                mask.insert(COUNT + *part as usize);
                let Some(members) = table.members.get_mut(*part as usize) else {
                    continue;
                };
                for name in names {
                    let number = *members.entry(name.clone()).or_insert(next);
                    next = next.max(number + 1);
                    mask.insert(number);
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
    /// The members of a part.
    pub(crate) fn of(&self, part: Part) -> Members<'_> {
        Members {
            whole: self.mask.contains(part as usize),
            some: self.mask.contains(COUNT + part as usize),
            numbers: self.table.members.get(part as usize),
            mask: &self.mask,
        }
    }
}

/// The members of one part that are looked at.
#[derive(Clone, Copy)]
pub(crate) struct Members<'a> {
    whole: bool,
    some: bool,
    numbers: Option<&'a HashMap<String, usize>>,
    mask: &'a Mask,
}

impl Members<'_> {
    /// Whether that one is.
    pub(crate) fn contains(&self, name: &str) -> bool {
        let number = || self.numbers.and_then(|numbers| numbers.get(name));
        self.whole || (self.some && number().is_some_and(|at| self.mask.contains(*at)))
    }

    /// Whether any is.
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
        ];
        let table = Table::new(&all);
        let told = |packages: &[usize], part: Part, name: &str| {
            table
                .wanted(packages.iter().copied())
                .of(part)
                .contains(name)
        };
        assert!(told(&[0], Part::Record, "a"));
        assert!(!told(&[0], Part::Record, "b"));
        assert!(told(&[0, 1], Part::Record, "b"));
        assert!(told(&[0, 1], Part::Actor, "id"));
        assert!(!told(&[0, 1], Part::Actor, "email"));
        assert!(!told(&[0, 1], Part::Native, "a"));
        assert!(told(&[2], Part::Changes, "whatever"));
        assert!(!told(&[2], Part::Record, "a"));
        assert!(told(&[3], Part::Record, "f199"));
        assert!(!told(&[0, 1, 2], Part::Record, "f199"));
        for part in Part::ALL {
            assert!(told(&[4], part, "whatever"), "{part:?}");
            assert!(!table.wanted([]).of(part).any(), "{part:?}");
        }
        assert!(!table.wanted([3]).of(Part::Native).any());
    }
}
