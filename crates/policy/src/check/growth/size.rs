//! How large a value can be.

use crmgate_domain::{Document, Object};

use crate::syntax::Step;

/// An upper bound, as a multiple of what rules are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    /// How often it holds what it is made of.
    pub(super) copies: u64,
    /// Loops whose results it holds again and again.
    pub(super) loops: u32,
    /// Numbers multiplied with one another.
    pub(super) factors: u64,
    scalar: bool,
    /// Whether all its members are plain values.
    flat: bool,
}

impl Size {
    /// An empty collection.
    pub(super) const NOTHING: Self = Self::new(0, false);
    /// A text, a number, true or false.
    pub(super) const SCALAR: Self = Self::new(1, true);
    /// A field of a record.
    pub(super) const FIELD: Self = Self::new(1, true);
    /// Anything that a rule is given: the input, data.
    pub(super) const GIVEN: Self = Self {
        flat: false,
        ..Self::new(1, false)
    };
    /// Plain values in a collection.
    const ROW: Self = Self::new(1, false);

    const fn new(copies: u64, scalar: bool) -> Self {
        Self {
            copies,
            loops: 0,
            factors: 1,
            scalar,
            flat: true,
        }
    }

    /// The members of both in one collection.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            copies: self.copies.saturating_add(other.copies),
            scalar: false,
            ..self.or(other)
        }
    }

    /// A collection with one more member.
    pub(super) fn with(self, member: Self) -> Self {
        Self {
            flat: self.flat && member.scalar,
            ..self.and(member)
        }
    }

    /// A collection of that size, whose members are plain values or not.
    pub(super) const fn gathered(self, plain: bool) -> Self {
        Self {
            scalar: false,
            flat: self.flat && plain,
            ..self
        }
    }

    /// A member of it.
    pub(super) const fn member(self) -> Self {
        if self.flat {
            Self {
                factors: self.factors,
                ..Self::SCALAR
            }
        } else {
            self
        }
    }

    /// Either.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            copies: self.copies.max(other.copies),
            loops: self.loops.max(other.loops),
            factors: self.factors.max(other.factors),
            scalar: self.scalar && other.scalar,
            flat: self.flat && other.flat,
        }
    }

    /// The smaller of two.
    pub(super) fn smaller(self, other: Self) -> Self {
        let mine = (self.loops, self.copies);
        if mine <= (other.loops, other.copies) {
            self
        } else {
            other
        }
    }

    /// The product of two numbers.
    pub(super) fn times(self, other: Self) -> Self {
        Self {
            factors: self.factors.saturating_add(other.factors),
            scalar: true,
            ..self.or(other)
        }
    }

    /// What a function of that size makes of what it is given.
    pub(super) fn of(self, given: Self) -> Self {
        Self {
            copies: self.copies.saturating_mul(given.copies.max(1)),
            loops: self
                .loops
                .saturating_add((self.loops + 1).saturating_mul(given.loops)),
            factors: self.factors.saturating_mul(given.factors),
            scalar: self.scalar,
            flat: self.flat,
        }
    }

    /// Gathered by a loop.
    pub(super) const fn in_a_loop(self) -> Self {
        Self {
            loops: self.loops.saturating_add(1),
            scalar: false,
            flat: false,
            ..self
        }
    }

    /// A plain value made of it.
    pub(super) const fn scalar(self) -> Self {
        Self {
            copies: 1,
            loops: 0,
            scalar: true,
            flat: true,
            ..self
        }
    }

    /// Whether what holds it holds plain values only, or such in one more collection.
    pub(super) const fn is_small(self) -> bool {
        self.scalar || self.flat
    }

    pub(super) const fn is_scalar(self) -> bool {
        self.scalar
    }
}

/// Functions that make collections of plain values.
const ROWS: [&str; 7] = [
    "split",
    "numbers.range",
    "numbers.range_step",
    "regex.find_n",
    "regex.split",
    "net.cidr_expand",
    "indexof_n",
];

/// Functions that give parts of what they are given.
const PARTS: [&str; 11] = [
    "object.get",
    "object.keys",
    "object.filter",
    "object.remove",
    "json.filter",
    "json.remove",
    "array.slice",
    "array.reverse",
    "max",
    "min",
    "sort",
];

/// Functions that make collections, within bounds of their own.
const COLLECTIONS: [&str; 13] = [
    "array.concat",
    "object.union",
    "object.union_n",
    "json.unmarshal",
    "json.patch",
    "walk",
    "regex.find_all_string_submatch_n",
    "graph.reachable",
    "graph.reachable_paths",
    "union",
    "intersection",
    "urlquery.decode_object",
    "time.date",
];

/// Functions that look at no more than the outside of what they are given.
const OUTSIDE: [&str; 13] = [
    "count",
    "is_array",
    "is_boolean",
    "is_null",
    "is_number",
    "is_object",
    "is_set",
    "is_string",
    "type_name",
    "object.get",
    "object.keys",
    "array.slice",
    "array.reverse",
];

/// The size of what a function of the engine makes.
pub(super) fn made_by(name: &str, given: Size) -> Size {
    if ROWS.contains(&name) {
        Size::ROW
    } else if PARTS.contains(&name) {
        Size {
            scalar: false,
            ..given
        }
    } else if COLLECTIONS.contains(&name) {
        Size::GIVEN
    } else {
        Size::SCALAR
    }
}

/// Whether a function looks at no more than the outside.
pub(super) fn looks_at_the_outside(name: &str) -> bool {
    OUTSIDE.contains(&name)
}

/// Whether a reference to data means a text, a number, true or false.
pub(super) fn is_plain(data: &Object, steps: &[Step<'_>]) -> bool {
    let mut at: Option<&Document> = None;
    for step in steps {
        let Step::Key(key) = step else { return false };
        let inside = match at {
            None => Some(data),
            Some(found) => found.as_object(),
        };
        match inside.and_then(|object| object.get(key)) {
            Some(found) => at = Some(found),
            None => return false,
        }
    }
    !matches!(at, None | Some(Document::Array(_) | Document::Object(_)))
}
