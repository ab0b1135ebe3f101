//! A column and what it may hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::Cascade;

/// Whether a column must hold a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Required {
    /// It may be empty.
    #[default]
    None,
    /// Forms ask for it; the interface takes records without it.
    Recommended,
    /// Forms insist on it; the interface takes records without it.
    Business,
    /// The platform insists on it.
    System,
}

/// Who may set a column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Access {
    /// Callers, at any time.
    #[default]
    Write,
    /// Callers, when the record is made.
    Create,
    /// The platform only; what callers send is passed over, as the real service does.
    Read,
}

/// A choice that belongs to a state.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StatusOption {
    pub(crate) label: String,
    pub(crate) state: i64,
}

/// One table that a lookup can point at.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Target {
    pub(crate) table: Arc<str>,
    /// The navigation property; the column's name if absent.
    #[serde(default)]
    pub(crate) nav: Option<String>,
    /// The relationship's name, which is also the collection's on the other side.
    pub(crate) relation: String,
    #[serde(default)]
    pub(crate) cascade: Cascade,
}

/// What a column holds.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Kind {
    Id,
    Guid,
    Text {
        max: usize,
        #[serde(default)]
        format: Option<String>,
    },
    Memo {
        max: usize,
    },
    Int {
        min: i64,
        max: i64,
    },
    BigInt,
    Decimal {
        min: i64,
        max: i64,
        precision: u32,
    },
    Money {
        min: i64,
        max: i64,
        /// The amount column of which this is the value in the organization's currency.
        #[serde(default)]
        base_of: Option<String>,
    },
    Bool {
        #[serde(default = "yes")]
        yes: String,
        #[serde(default = "no")]
        no: String,
    },
    Date,
    Time,
    Choice {
        options: BTreeMap<i64, String>,
    },
    Choices {
        options: BTreeMap<i64, String>,
    },
    State {
        options: BTreeMap<i64, String>,
    },
    Status {
        options: BTreeMap<i64, StatusOption>,
    },
    Lookup {
        targets: Vec<Target>,
    },
}

fn yes() -> String {
    "Yes".to_owned()
}

fn no() -> String {
    "No".to_owned()
}

/// One column.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// The schema name; made from the name if absent.
    #[serde(default)]
    pub(crate) schema: String,
    #[serde(default)]
    pub(crate) label: String,
    #[serde(flatten)]
    pub(crate) kind: Kind,
    #[serde(default)]
    pub(crate) required: Required,
    #[serde(default)]
    pub(crate) access: Access,
    /// Column security guards it.
    #[serde(default)]
    pub(crate) secured: bool,
    /// What a new record gets if its maker says nothing.
    #[serde(default)]
    pub(crate) default: Option<serde_json::Value>,
}

impl Column {
    pub(crate) fn is_lookup(&self) -> bool {
        matches!(self.kind, Kind::Lookup { .. })
    }

    pub(crate) fn is_custom(&self) -> bool {
        self.name.contains('_')
            && !matches!(
                self.kind,
                Kind::Money {
                    base_of: Some(_),
                    ..
                }
            )
            || self.name.starts_with("cg_")
    }

    /// The name under which the column stands in a record as JSON.
    pub(crate) fn property(&self) -> String {
        if self.is_lookup() {
            format!("_{}_value", self.name)
        } else {
            self.name.clone()
        }
    }

    pub(crate) fn targets(&self) -> &[Target] {
        match &self.kind {
            Kind::Lookup { targets } => targets,
            _ => &[],
        }
    }

    /// The labels of a choice; empty for other kinds.
    pub(crate) fn label_of(&self, value: i64) -> Option<&str> {
        match &self.kind {
            Kind::Choice { options } | Kind::Choices { options } | Kind::State { options } => {
                options.get(&value).map(String::as_str)
            }
            Kind::Status { options } => options.get(&value).map(|option| option.label.as_str()),
            _ => None,
        }
    }

    /// Values that the choice takes; empty for other kinds.
    pub(crate) fn accepted(&self) -> Vec<i64> {
        match &self.kind {
            Kind::Choice { options } | Kind::Choices { options } | Kind::State { options } => {
                options.keys().copied().collect()
            }
            Kind::Status { options } => options.keys().copied().collect(),
            _ => Vec::new(),
        }
    }

    /// The type's name in `$metadata`.
    pub(crate) fn edm(&self) -> &'static str {
        match &self.kind {
            Kind::Id | Kind::Guid | Kind::Lookup { .. } => "Edm.Guid",
            Kind::Text { .. } | Kind::Memo { .. } | Kind::Choices { .. } => "Edm.String",
            Kind::Int { .. } | Kind::Choice { .. } | Kind::State { .. } | Kind::Status { .. } => {
                "Edm.Int32"
            }
            Kind::BigInt => "Edm.Int64",
            Kind::Decimal { .. } | Kind::Money { .. } => "Edm.Decimal",
            Kind::Bool { .. } => "Edm.Boolean",
            Kind::Date => "Edm.Date",
            Kind::Time => "Edm.DateTimeOffset",
        }
    }
}
