//! A small table for tests.

use super::{Column, ColumnKind, Lookup, Table};

pub(crate) const KINDS: [(&str, ColumnKind); 13] = [
    ("name", ColumnKind::Text),
    ("size", ColumnKind::Integer),
    ("count", ColumnKind::BigInteger),
    ("rate", ColumnKind::Decimal),
    ("revenue", ColumnKind::Money),
    ("active", ColumnKind::Boolean),
    ("industry", ColumnKind::Choice),
    ("regions", ColumnKind::Choices),
    ("founded", ColumnKind::Date),
    ("seenon", ColumnKind::DateTime),
    ("accountid", ColumnKind::Id),
    ("parentid", ColumnKind::Lookup),
    ("logo", ColumnKind::Other),
];

pub(crate) fn table() -> Table {
    let columns = KINDS.map(|(name, kind)| Column {
        name: name.to_owned(),
        kind,
        readable: true,
        creatable: true,
        updatable: name != "accountid",
        secured: false,
    });
    let lookups = ["account", "contact"].map(|target| Lookup {
        nav: format!("parentid_{target}"),
        column: "parentid".to_owned(),
        target: target.to_owned(),
    });
    let names = (
        "account".to_owned(),
        "accounts".to_owned(),
        "accountid".to_owned(),
    );
    let keys = vec![
        vec!["name".to_owned()],
        vec!["size".to_owned(), "parentid".to_owned()],
    ];
    Table::new(names, true, columns.to_vec(), lookups.to_vec(), keys)
}
