//! Policies as values: what a package's rules say about an input document, before anything is
//! made of it. For tools that explain, compare and answer queries; decisions go by
//! [`PolicySet::judge`].

use std::collections::BTreeMap;
use std::time::Duration;

use crmgate_domain::{ConnectionName, Document, ErrorClass, EvaluationError, Object, Timestamp};
use regorus::Value;

use crate::clock::Now;
use crate::layer::LayerSet;
use crate::message::Told;
use crate::value::{self, type_name};
use crate::{Package, PolicySet};

#[cfg(test)]
mod tests;

/// How long all rules of a package may take here.
const TIME_LIMIT: Duration = Duration::from_secs(10);

impl PolicySet {
    /// The values of a package's reserved rules for an input document, by the rule's name; what is
    /// undefined is left out, a set is a sorted array. Without a connection, or with one that has
    /// no package of that name, the global layer's package is asked, over the connection's
    /// parameters. The time that policies see is `operation.at` of the input.
    ///
    /// # Errors
    /// When there is no such package, the input holds a number that the engine can't, or a rule
    /// errs.
    pub fn evaluate_package(
        &self,
        connection: Option<&ConnectionName>,
        package: &str,
        input: &Document,
    ) -> Result<BTreeMap<String, Document>, EvaluationError> {
        let failed = |message: String| EvaluationError {
            package: package.to_owned(),
            class: ErrorClass::Policy,
            message,
        };
        let (layer, index) = self
            .find(connection, package)
            .ok_or_else(|| failed(format!("there is no package `{package}`")))?;
        let found = (layer.packages.get(index)).zip(layer.engines().ready(index));
        let Some((found, ready)) = found else {
            return Ok(BTreeMap::new());
        };
        let _now = time(input).map(Now::set);
        let input = value::from_document(input).map_err(|error| failed(error.to_string()))?;
        let values = ready
            .values(&input, TIME_LIMIT, &paths(found))
            .map_err(|told| failed(place(&told)))?;
        let mut named = BTreeMap::new();
        for (rule, value) in found.rules.iter().zip(values) {
            if matches!(value, Value::Undefined) {
                continue;
            }
            let document = value::to_document(&value).map_err(|why| {
                failed(format!("`{}` is {}: {why}", rule.name(), type_name(&value)))
            })?;
            named.insert(rule.name().to_owned(), document);
        }
        Ok(named)
    }

    /// The data of the global layer, parameters (`params`) included.
    #[must_use]
    pub const fn data(&self) -> &Object {
        self.global_data()
    }

    /// The layer and the place of the package of that name.
    fn find(
        &self,
        connection: Option<&ConnectionName>,
        package: &str,
    ) -> Option<(&LayerSet, usize)> {
        let place = |layer: &LayerSet| layer.packages.iter().position(|it| it.name == package);
        let mut layers = self.raw_layers(connection);
        layers.find_map(|layer| Some((layer, place(layer)?)))
    }
}

fn paths(package: &Package) -> Vec<String> {
    let path = |rule: &crate::Reserved| format!("data.{}.{}", package.name, rule.name());
    package.rules.iter().map(path).collect()
}

fn time(input: &Document) -> Option<Timestamp> {
    let operation = input.as_object()?.get("operation")?.as_object()?;
    operation.get("at")?.as_str()?.parse().ok()
}

fn place(told: &Told) -> String {
    match (&told.file, told.place) {
        (Some(file), Some((line, column))) => format!("{file}:{line}:{column}: {}", told.message),
        _ => told.message.clone(),
    }
}
