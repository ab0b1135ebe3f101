//! Bundles and a folder as the sources of one policy set.

use crmgate_domain::ConnectionName;
use crmgate_policy::{FileKind, LoadError, LoadErrors, Source, Sources};

use crate::{Bundle, Root, Roots, unfold};

/// A bundle with its name and its layer.
#[derive(Debug, Clone, Copy)]
pub struct Placed<'a> {
    /// What the configuration calls it.
    pub name: &'a str,
    /// The connection whose layer it belongs to; the global layer without.
    pub connection: Option<&'a ConnectionName>,
    /// The bundle.
    pub bundle: &'a Bundle,
}

/// Adds bundles to what a folder holds. Every file of a bundle is named `bundle:/path`.
///
/// Bundles of one layer, and files of the folder, that claim the same place are faults: of the
/// connection, in whose layer they are, or of everything in the global one.
///
/// # Errors
/// Every such fault of the global layer.
pub fn combine(mut folder: Sources, bundles: &[Placed<'_>]) -> Result<Sources, LoadErrors> {
    let mut faults = Vec::new();
    for (index, one) in bundles.iter().enumerate() {
        let found = clashes(&folder, one, bundles.get(..index).unwrap_or_default());
        match one.connection {
            None => faults.extend(found),
            Some(name) => {
                let found = found.into_iter().map(|fault| fault.of(name));
                let own = folder.connections.entry(name.clone()).or_default();
                own.faults.extend(found);
            }
        }
    }
    if let Some(errors) = LoadErrors::new(faults) {
        return Err(errors);
    }
    for placed in bundles {
        let files = match placed.connection {
            None => &mut folder.global,
            Some(name) => &mut folder.connections.entry(name.clone()).or_default().files,
        };
        files.extend(placed.bundle.files.iter().map(|file| Source {
            path: format!("{}:/{}", placed.name, file.path),
            text: file.text.clone(),
        }));
    }
    Ok(folder)
}

fn clashes(folder: &Sources, one: &Placed<'_>, others: &[Placed<'_>]) -> Vec<LoadError> {
    let files = match one.connection {
        None => Some(&folder.global),
        Some(name) => folder.connections.get(name).map(|own| &own.files),
    };
    let strays = one.bundle.files.iter().filter_map(|file| stray(one, file));
    let same_layer = others
        .iter()
        .filter(|other| other.connection == one.connection);
    same_layer
        .filter_map(|other| between(one, other))
        .chain(
            files
                .into_iter()
                .flatten()
                .filter_map(|file| beside(one, file)),
        )
        .chain(strays)
        .collect()
}

/// At its root a connection's layer has settings of parameters that others own. In the global layer
/// they would be parameters that no root covers.
fn stray(one: &Placed<'_>, file: &Source) -> Option<LoadError> {
    let settings = FileKind::of(&file.path) == FileKind::Params && !file.path.contains('/');
    if !settings || one.connection.is_some() {
        return None;
    }
    let path = format!("{}:/{}", one.name, file.path);
    let message =
        "at a bundle's root these are a connection's settings, and this is the global layer";
    let fault = LoadError::file("params", &path, message);
    Some(fault.remedy("put parameters and their schema into the folder of their pack"))
}

const NARROW: &str = "give each bundle `roots` of its own in its manifest";

fn between(one: &Placed<'_>, other: &Placed<'_>) -> Option<LoadError> {
    let theirs = &other.bundle.manifest.roots;
    let clash = |root: &Root| {
        theirs
            .overlapping(root)
            .map(|their| (root.clone(), their.clone()))
    };
    let (mine, their) = one.bundle.manifest.roots.iter().find_map(clash)?;
    let message = format!(
        "its root `{mine}` overlaps the root `{their}` of bundle `{}`",
        other.name
    );
    Some(LoadError::file("roots", &format!("{}:/.manifest", one.name), message).remedy(NARROW))
}

fn beside(placed: &Placed<'_>, file: &Source) -> Option<LoadError> {
    let roots: &Roots = &placed.bundle.manifest.roots;
    let below_a_root = |place: &Root| roots.overlapping(place).is_some() && !roots.contain(place);
    // What does not parse is the loader's to tell.
    let taken = unfold::places(file, below_a_root).ok()?;
    let (root, what) = taken
        .into_iter()
        .find_map(|(place, what)| Some((roots.overlapping(&place)?, what)))?;
    let message = format!(
        "{what} lies in the root `{root}` of bundle `{}`",
        placed.name
    );
    let path = match placed.connection {
        None => file.path.clone(),
        Some(name) => format!("connections/{name}/{}", file.path),
    };
    let remedy = "move it out of the folder, or narrow the `roots` in the bundle's manifest";
    Some(LoadError::file("roots", &path, message).remedy(remedy))
}
