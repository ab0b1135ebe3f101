//! Parameters: thresholds and lists that packages read from `data.params`, described by a JSON
//! Schema, settable per connection as far as the schema says.

use crmgate_domain::{ConnectionName, Document, Object};

use crate::LoadError;

mod bounds;
#[cfg(test)]
mod tests;

use bounds::Rule;

/// The parameters of one file with the schema beside it.
#[derive(Debug, Clone)]
pub(crate) struct ParamsFile {
    /// The file of the values.
    pub(crate) file: String,
    /// The values, shaped as `data.params`.
    pub(crate) values: Object,
    /// The schema beside it.
    pub(crate) schema: Document,
}

/// Checks a file's values against its schema.
pub(crate) fn check(params: &ParamsFile, faults: &mut Vec<LoadError>) {
    for (team, policies) in params.values.iter() {
        let Some(policies) = policies.as_object() else {
            faults.push(shape(&params.file, team));
            continue;
        };
        for (policy, values) in policies.iter() {
            if values.as_object().is_none() {
                faults.push(shape(&params.file, &format!("{team}.{policy}")));
            }
        }
    }
    against_schema(params, &Document::Object(params.values.clone()), faults);
}

fn shape(file: &str, key: &str) -> LoadError {
    LoadError::file("params", file, format!("`{key}` is not a mapping"))
        .remedy("write team, policy and parameter: `sales: {discounts: {deny_over: 50}}`")
}

fn against_schema(params: &ParamsFile, values: &Document, faults: &mut Vec<LoadError>) {
    let schema = json(&params.schema);
    let validator = match jsonschema::validator_for(&schema) {
        Ok(validator) => validator,
        Err(error) => {
            faults.push(LoadError::file(
                "params",
                &params.file,
                format!("the schema beside it is not a JSON Schema: {error}"),
            ));
            return;
        }
    };
    for error in validator.iter_errors(&json(values)) {
        let path = error.instance_path().to_string();
        let name = path.trim_start_matches('/').replace('/', ".");
        faults.push(
            LoadError::file(
                "params",
                &params.file,
                format!("parameter `{name}`: {error}"),
            )
            .remedy("see `params.schema.json` beside the file for what it may be"),
        );
    }
}

/// A document as `serde_json` has it, numbers kept.
pub(crate) fn json(document: &Document) -> serde_json::Value {
    serde_json::to_value(document).unwrap_or(serde_json::Value::Null)
}

/// Puts a connection's settings over the global values, as far as the schemas let it.
///
/// Returns the merged `data.params`; faults name the setting and what would be allowed.
pub(crate) fn overridden(
    files: &[ParamsFile],
    connection: &ConnectionName,
    settings: &Object,
    faults: &mut Vec<LoadError>,
) -> Object {
    let place = format!("connections/{connection}");
    let mut merged = Object::new();
    for params in files {
        let mut values = params.values.clone();
        let mine: Object = settings
            .iter()
            .filter(|(team, _)| params.values.contains(team))
            .map(|(team, value)| (team.to_owned(), value.clone()))
            .collect();
        let before = faults.len();
        let mut walk = bounds::Walk {
            place: &place,
            faults,
            path: Vec::new(),
        };
        walk.merge(&mut values, &mine, Some(&params.schema), Rule::Fixed);
        if faults.len() == before && !mine.is_empty() {
            let checked = ParamsFile {
                file: place.clone(),
                ..params.clone()
            };
            against_schema(&checked, &Document::Object(values.clone()), faults);
        }
        merge_plain(&mut merged, &values);
    }
    for (team, _) in settings.iter() {
        if !files.iter().any(|params| params.values.contains(team)) {
            faults.push(
                LoadError::file("params", &place, format!("there is no parameter `{team}`"))
                    .remedy("set parameters that a `params.yaml` of the global layer has"),
            );
        }
    }
    merged
}

/// Puts `values` over `base`, objects member by member.
pub(crate) fn merge_plain(base: &mut Object, values: &Object) {
    for (key, value) in values.iter() {
        let both = (
            base.get(key).and_then(Document::as_object),
            value.as_object(),
        );
        let merged = if let (Some(mine), Some(theirs)) = both {
            let mut mine = mine.clone();
            merge_plain(&mut mine, theirs);
            Document::Object(mine)
        } else {
            value.clone()
        };
        base.set(key, merged);
    }
}
