//! Reads the data files, adds the columns that every table has and joins the tables up.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;

use super::{Column, Kind, Link, Nav, Ownership, Relation, Schema, SchemaError, Table};

const FILES: [(&str, &str); 18] = [
    ("account", include_str!("../tables/account.yaml")),
    ("contact", include_str!("../tables/contact.yaml")),
    ("lead", include_str!("../tables/lead.yaml")),
    ("opportunity", include_str!("../tables/opportunity.yaml")),
    (
        "opportunityclose",
        include_str!("../tables/opportunityclose.yaml"),
    ),
    ("incident", include_str!("../tables/incident.yaml")),
    (
        "incidentresolution",
        include_str!("../tables/incidentresolution.yaml"),
    ),
    ("task", include_str!("../tables/task.yaml")),
    ("product", include_str!("../tables/product.yaml")),
    (
        "transactioncurrency",
        include_str!("../tables/transactioncurrency.yaml"),
    ),
    ("systemuser", include_str!("../tables/systemuser.yaml")),
    ("team", include_str!("../tables/team.yaml")),
    ("businessunit", include_str!("../tables/businessunit.yaml")),
    ("role", include_str!("../tables/role.yaml")),
    ("organization", include_str!("../tables/organization.yaml")),
    ("sdkmessage", include_str!("../tables/sdkmessage.yaml")),
    (
        "sdkmessagefilter",
        include_str!("../tables/sdkmessagefilter.yaml"),
    ),
    ("cg_region", include_str!("../tables/cg_region.yaml")),
];
const COMMON: &str = include_str!("../tables/common.yaml");
const LINKS: &str = include_str!("../tables/links.yaml");

/// Columns that tables share.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Common {
    every: Vec<Column>,
    user: Vec<Column>,
    business_unit: Vec<Column>,
    organization: Vec<Column>,
    activity: Vec<Column>,
    money: Vec<Column>,
}

pub(super) fn build() -> Result<Schema, SchemaError> {
    let common: Common = read("common", COMMON)?;
    let mut tables = Vec::new();
    for (file, text) in FILES {
        let mut table: Table = read(file, text)?;
        complete(&mut table, &common);
        tables.push(table);
    }
    let links: Vec<Link> = read("links", LINKS)?;
    join(tables, links)
}

fn read<T: for<'de> Deserialize<'de>>(file: &'static str, text: &str) -> Result<T, SchemaError> {
    yaml_serde::from_str(text).map_err(|source| SchemaError::Unreadable { file, source })
}

/// Adds what the table's kind brings, and the columns that follow from others.
fn complete(table: &mut Table, common: &Common) {
    let mut shared: Vec<&Column> = Vec::new();
    if table.activity {
        shared.extend(&common.activity);
    }
    let money = |column: &Column| matches!(column.kind, Kind::Money { .. });
    if table.columns.iter().any(money) {
        shared.extend(&common.money);
        let bases: Vec<Column> = table
            .columns
            .iter()
            .filter(|column| money(column))
            .map(base_column)
            .collect();
        table.columns.extend(bases);
    }
    shared.extend(match table.ownership {
        Ownership::User => &common.user,
        Ownership::BusinessUnit => &common.business_unit,
        Ownership::Organization => &common.organization,
    });
    shared.extend(&common.every);
    for column in shared {
        if !table.columns.iter().any(|own| own.name == column.name) {
            table.columns.push(adapt(column, table));
        }
    }
    for column in &mut table.columns {
        if column.schema.is_empty() {
            column.schema = if column.name.starts_with("cg_") {
                column.name.clone()
            } else {
                capitalized(&column.name)
            };
        }
        if column.label.is_empty() {
            column.label.clone_from(&column.schema);
        }
    }
}

/// In the shared columns `{table}` and `{set}` stand for the table's names.
fn adapt(column: &Column, table: &Table) -> Column {
    let mut column = column.clone();
    if let Kind::Lookup { targets } = &mut column.kind {
        for target in targets {
            for name in std::iter::once(&mut target.relation).chain(&mut target.nav) {
                *name = name
                    .replace("{table}", &table.name)
                    .replace("{set}", &table.set);
            }
        }
    }
    column
}

fn base_column(amount: &Column) -> Column {
    Column {
        name: format!("{}_base", amount.name),
        schema: format!("{}_Base", schema_or_name(amount)),
        label: format!("{} (Base)", amount.label),
        kind: Kind::Money {
            min: -922_337_203_685_477,
            max: 922_337_203_685_477,
            base_of: Some(amount.name.clone()),
        },
        required: super::Required::None,
        access: super::Access::Read,
        secured: amount.secured,
        default: None,
    }
}

fn schema_or_name(column: &Column) -> String {
    if !column.schema.is_empty() {
        column.schema.clone()
    } else if column.name.starts_with("cg_") {
        column.name.clone()
    } else {
        capitalized(&column.name)
    }
}

fn capitalized(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

fn join(mut tables: Vec<Table>, links: Vec<Link>) -> Result<Schema, SchemaError> {
    let relations = relations(&tables)?;
    let links: Vec<Arc<Link>> = links.into_iter().map(Arc::new).collect();
    for table in &mut tables {
        table.index = table
            .columns
            .iter()
            .enumerate()
            .map(|(position, column)| (column.name.clone(), position))
            .collect();
        table.navs = navs(table, &relations, &links);
        check(table)?;
    }
    let tables: Vec<Arc<Table>> = tables.into_iter().map(Arc::new).collect();
    let by_name = index(&tables, |table| Arc::clone(&table.name));
    let by_set = index(&tables, |table| table.set.clone());
    Ok(Schema {
        tables,
        by_name,
        by_set,
        relations,
        links,
    })
}

fn index<K: std::hash::Hash + Eq>(
    tables: &[Arc<Table>],
    name: impl Fn(&Table) -> K,
) -> HashMap<K, usize> {
    tables
        .iter()
        .enumerate()
        .map(|(position, table)| (name(table), position))
        .collect()
}

fn relations(tables: &[Table]) -> Result<Vec<Arc<Relation>>, SchemaError> {
    let mut relations = Vec::new();
    for table in tables {
        for column in &table.columns {
            for target in column.targets() {
                if !tables.iter().any(|other| other.name == target.table) {
                    return Err(SchemaError::Dangling {
                        place: format!("{}.{}", table.name, column.name),
                        name: target.table.to_string(),
                    });
                }
                relations.push(Arc::new(Relation {
                    name: target.relation.clone(),
                    from: Arc::clone(&table.name),
                    column: column.name.clone(),
                    nav: nav_name(column, target.nav.as_deref()),
                    to: Arc::clone(&target.table),
                    cascade: target.cascade,
                }));
            }
        }
    }
    Ok(relations)
}

/// Custom lookups go by their schema name, with its capitals.
fn nav_name(column: &Column, given: Option<&str>) -> String {
    match given {
        Some(given) => given.to_owned(),
        None if column.name.starts_with("cg_") => column.schema.clone(),
        None => column.name.clone(),
    }
}

fn navs(table: &Table, relations: &[Arc<Relation>], links: &[Arc<Link>]) -> HashMap<String, Nav> {
    let mut navs: HashMap<String, Nav> = HashMap::new();
    for relation in relations {
        if relation.from == table.name {
            let nav = navs
                .entry(relation.nav.clone())
                .or_insert_with(|| Nav::One {
                    column: relation.column.clone(),
                    targets: Vec::new(),
                });
            if let Nav::One { targets, .. } = nav {
                targets.push(Arc::clone(&relation.to));
            }
        }
        if relation.to == table.name {
            navs.entry(relation.name.clone())
                .or_insert_with(|| Nav::Many(Arc::clone(relation)));
        }
    }
    for link in links {
        if link.left == table.name {
            navs.insert(link.left_nav.clone(), Nav::Linked(Arc::clone(link)));
        }
        if link.right == table.name {
            navs.insert(link.right_nav.clone(), Nav::Linked(Arc::clone(link)));
        }
    }
    navs
}

fn check(table: &Table) -> Result<(), SchemaError> {
    let named = [&table.id, &table.primary].into_iter();
    let keyed = table.keys.iter().flat_map(|key| &key.columns);
    for name in named.chain(keyed) {
        if table.column(name).is_none() {
            return Err(SchemaError::Dangling {
                place: table.name.to_string(),
                name: name.clone(),
            });
        }
    }
    Ok(())
}
