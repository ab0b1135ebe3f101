//! Definitions cut to what was asked for.

use serde_json::{Map, Value};

use super::super::error::{ApiError, Outcome};
use super::super::query::Options;
use super::filter;

/// What the navigation properties of a definition lead to: shown only where they are expanded.
const NAVIGATION: [&str; 7] = [
    "Attributes",
    "Keys",
    "ManyToOneRelationships",
    "OneToManyRelationships",
    "ManyToManyRelationships",
    "OptionSet",
    "GlobalOptionSet",
];

/// Cuts a definition to what is selected and expanded.
pub(super) fn shown(options: &Options, one: &Map<String, Value>) -> Outcome<Map<String, Value>> {
    let mut out = Map::new();
    for (name, value) in one {
        let selected = match &options.select {
            Some(names) => names.contains(name) || name == "MetadataId" || name == "@odata.type",
            None => true,
        };
        if selected && !NAVIGATION.contains(&name.as_str()) {
            out.insert(name.clone(), value.clone());
        }
    }
    if let Some(names) = &options.select
        && let Some(unknown) = names.iter().find(|name| !one.contains_key(*name))
    {
        return Err(ApiError::no_property(
            unknown,
            "Microsoft.Dynamics.CRM.EntityMetadata",
        ));
    }
    for expand in &options.expand {
        let value = match one.get(&expand.nav) {
            Some(Value::Array(items)) => {
                let mut found = Vec::new();
                for item in items.iter().filter_map(Value::as_object) {
                    if let Some(expr) = &expand.options.filter
                        && !filter::holds(item, expr)?
                    {
                        continue;
                    }
                    // Within an expansion, a property that one of the types lacks is simply not there.
                    found.push(Value::Object(lenient(&expand.options, item)));
                }
                Value::Array(found)
            }
            Some(Value::Object(item)) => Value::Object(lenient(&expand.options, item)),
            Some(other) => other.clone(),
            None => {
                return Err(ApiError::no_property(
                    &expand.nav,
                    "Microsoft.Dynamics.CRM.EntityMetadata",
                ));
            }
        };
        out.insert(expand.nav.clone(), value);
    }
    Ok(out)
}

fn lenient(options: &Options, item: &Map<String, Value>) -> Map<String, Value> {
    item.iter()
        .filter(|(name, _)| match &options.select {
            Some(names) => {
                names.contains(name) || matches!(name.as_str(), "MetadataId" | "@odata.type")
            }
            None => !NAVIGATION.contains(&name.as_str()),
        })
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}
