//! Why a package does not govern an operation.

use std::collections::BTreeSet;

use crmgate_domain::{Enforcement, Layer};

use super::told::Silent;
use crate::govern::Target;
use crate::metadata::Names;
use crate::package::Package;

/// The reasons, all of them. `counts` is how the connection sets the package.
pub(super) fn of(
    package: &Package,
    layer: Layer,
    target: &Target<'_>,
    counts: Option<Enforcement>,
) -> Silent {
    let metadata = &package.metadata;
    let mut because = Vec::new();
    if counts.unwrap_or(metadata.enforcement) == Enforcement::Off {
        because.push(match counts {
            Some(_) => format!("`{}` sets it off", target.connection),
            None => "it is off".to_owned(),
        });
    }
    if let Names::Only(names) = &metadata.objects {
        let hit = |name: &str| names.contains(&name.to_lowercase());
        if !hit(target.object) && !hit(target.native_object) {
            because.push(not("object", target.object, names.iter()));
        }
    }
    if !metadata.operations.contains(&target.kind) {
        let kinds = metadata.operations.iter().map(|kind| kind.as_str());
        because.push(not("operation", target.kind.as_str(), kinds));
    }
    if !metadata.points.contains(&target.point) {
        let points = metadata.points.iter().map(|point| point.as_str());
        because.push(not("point", target.point.as_str(), points));
    }
    if let Names::Only(names) = &metadata.connections
        && !names.contains(target.connection.as_str())
    {
        because.push(not("connection", target.connection.as_str(), names.iter()));
    }
    Silent {
        package: package.name.clone(),
        layer,
        because,
    }
}

fn not(what: &str, here: &str, there: impl Iterator<Item = impl AsRef<str>>) -> String {
    let names: BTreeSet<String> = there.map(|name| format!("`{}`", name.as_ref())).collect();
    let names: Vec<String> = names.into_iter().collect();
    format!("{what} `{here}` is not one of {}", names.join(", "))
}
