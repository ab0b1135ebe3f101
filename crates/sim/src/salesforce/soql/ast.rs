//! The syntax tree.

use jiff::civil::Date;

/// A whole query.
#[derive(Clone, Debug, PartialEq, Default)]
pub(crate) struct Query {
    pub(super) select: Vec<Item>,
    pub(super) from: Path,
    pub(super) alias: Option<String>,
    pub(super) filter: Option<Filter>,
    pub(super) group_by: Vec<Path>,
    pub(super) order: Vec<Order>,
    pub(super) limit: Option<usize>,
    pub(super) offset: usize,
}

/// A name with dots, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Path {
    pub(super) parts: Vec<String>,
    pub(super) at: usize,
}

impl Path {
    pub(super) fn dotted(&self) -> String {
        self.parts.join(".")
    }
}

/// One thing selected.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Item {
    Field {
        path: Path,
        alias: Option<String>,
    },
    /// `FIELDS(ALL)` and its kin.
    Fields {
        which: Which,
        at: usize,
    },
    /// `COUNT()`.
    CountAll,
    Aggregate {
        function: Function,
        path: Path,
        alias: Option<String>,
    },
    /// `(SELECT … FROM Contacts)`.
    Children(Box<Query>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    All,
    Standard,
    Custom,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Count,
    CountDistinct,
    Min,
    Max,
    Sum,
    Avg,
}

/// A condition.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Filter {
    All(Vec<Filter>),
    Any(Vec<Filter>),
    Not(Box<Filter>),
    Test {
        path: Path,
        operator: Operator,
        operand: Operand,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Like,
    In,
    NotIn,
    Includes,
    Excludes,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operand {
    One(Literal),
    Many(Vec<Literal>),
    Query(Box<Query>),
}

/// A value in the query's text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Literal {
    Null,
    Bool(bool),
    Number(f64),
    /// The text between the quotes, escapes still in it.
    Text(String),
    Date(Date),
    /// Seconds since 1970.
    Moment(i64),
    /// `TODAY`, `LAST_N_DAYS:7`.
    Range {
        name: String,
        count: Option<i64>,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Order {
    pub(super) path: Path,
    /// `ORDER BY COUNT(Id)`.
    pub(super) function: Option<Function>,
    pub(super) descending: bool,
    pub(super) nulls_last: bool,
}
