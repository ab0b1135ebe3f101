//! Data of a bundle, unfolded: what it holds for `data.params`, and whether all of it lies inside
//! the roots.

use crmgate_domain::{Document, Object};
use crmgate_policy::{FileKind, Source};

use crate::manifest::duplicate;
use crate::path::folder;
use crate::{BundleError, Root, Roots, package};

/// The name of what parameters are in OPA: `data.params`.
pub(crate) const PARAMS: &str = "params";
/// A schema that says nothing, by which no connection may set anything.
const FIXED: &str = "{}";

/// The mapping in a file of JSON or YAML.
pub(crate) fn object(source: &Source) -> Result<Object, BundleError> {
    let path = || format!("/{}", source.path);
    let parsed: Document = if source.path.ends_with(".json") {
        Document::parse(source.text.as_bytes())
            .map_err(|error| BundleError::entry(path(), format!("not JSON: {error}")))?
    } else {
        yaml_serde::from_str(&source.text)
            .map_err(|error| BundleError::entry(path(), format!("not YAML: {error}")))?
    };
    if let Some(twice) = duplicate(&parsed) {
        let problem = format!("`{twice}` stands twice in one mapping");
        return Err(BundleError::entry(path(), problem));
    }
    match parsed {
        Document::Object(object) => Ok(object),
        other => {
            let problem = format!("expected a mapping, found {}", other.type_name());
            Err(BundleError::entry(path(), problem))
        }
    }
}

/// Takes `data.params` out of the data files, where the loader does not want them, and makes them
/// parameters, or checks that they are what the bundle's own `params.yaml` files say.
pub(crate) fn params(files: Vec<Source>) -> Result<Vec<Source>, BundleError> {
    let mut kept = Vec::new();
    let mut as_data = Object::new();
    let mut as_params = Object::new();
    let mut own = false;
    for source in files {
        match FileKind::of(&source.path) {
            FileKind::Data => {
                if let Some(rest) = without_params(source, &mut as_data)? {
                    kept.push(rest);
                }
            }
            // A connection's settings stand at the root; they are no parameters of their own.
            FileKind::Params if source.path.contains('/') => {
                own = true;
                merge(&mut as_params, &object(&source)?, &source.path)?;
                kept.push(source);
            }
            _ => kept.push(source),
        }
    }
    if as_data.is_empty() {
        return Ok(kept);
    }
    if !own {
        kept.push(Source {
            path: format!("{PARAMS}/params.json"),
            text: Document::Object(as_data).to_json(),
        });
        kept.push(Source {
            path: format!("{PARAMS}/params.schema.json"),
            text: FIXED.to_owned(),
        });
    } else if sorted(&as_data) != sorted(&as_params) {
        return Err(BundleError::entry(
            "/params/data.json",
            "`data.params` and the bundle's `params.yaml` files differ; build the bundle again",
        ));
    }
    Ok(kept)
}

/// The file without what lies at `data.params`; nothing when nothing is left.
fn without_params(source: Source, params: &mut Object) -> Result<Option<Source>, BundleError> {
    let mut object = object(&source)?;
    let mut inner = folder(&source.path);
    if inner.first() == Some(&PARAMS) {
        inner.remove(0);
        let mut placed = object;
        for part in inner.iter().rev() {
            let mut outer = Object::new();
            outer.set(part, Document::Object(placed));
            placed = outer;
        }
        merge(params, &placed, &source.path)?;
        return Ok(None);
    }
    if !inner.is_empty() || !object.contains(PARAMS) {
        return Ok(Some(source));
    }
    let Some(Document::Object(values)) = object.remove(PARAMS) else {
        let problem = "`params`: expected a mapping of teams";
        return Err(BundleError::entry(format!("/{}", source.path), problem));
    };
    merge(params, &values, &source.path)?;
    Ok((!object.is_empty()).then(|| Source {
        path: "data.json".to_owned(),
        text: Document::Object(object).to_json(),
    }))
}

/// Adds members; two values in one place are a fault.
pub(crate) fn merge(base: &mut Object, values: &Object, path: &str) -> Result<(), BundleError> {
    for (key, value) in values.iter() {
        match (base.get(key), value) {
            (None, _) => base.set(key, value.clone()),
            (Some(Document::Object(mine)), Document::Object(theirs)) => {
                let mut mine = mine.clone();
                merge(&mut mine, theirs, path)?;
                base.set(key, Document::Object(mine));
            }
            (Some(_), _) => {
                let problem = format!("`{key}` has a value in another file of the bundle");
                return Err(BundleError::entry(format!("/{path}"), problem));
            }
        }
    }
    Ok(())
}

fn sorted(object: &Object) -> Object {
    let mut members: Vec<(String, Document)> = object
        .iter()
        .map(|(key, value)| {
            let value = match value {
                Document::Object(inner) => Document::Object(sorted(inner)),
                other => other.clone(),
            };
            (key.to_owned(), value)
        })
        .collect();
    members.sort_by(|a, b| a.0.cmp(&b.0));
    members.into_iter().collect()
}

/// A place below `data` that a file has something at, and what it is, for messages.
pub(crate) type Taken = (Root, String);

/// The places that a file takes.
pub(crate) fn places(
    source: &Source,
    reaches: impl Fn(&Root) -> bool,
) -> Result<Vec<Taken>, BundleError> {
    let mut taken = Vec::new();
    match FileKind::of(&source.path) {
        FileKind::Rego => {
            let parts = package::of(&source.text).ok_or_else(|| {
                let problem = "expected it to begin with its `package`";
                BundleError::entry(format!("/{}", source.path), problem)
            })?;
            taken.push((Root::of(&parts), format!("package `{}`", parts.join("."))));
        }
        FileKind::Data => {
            let mut path: Vec<String> = folder(&source.path)
                .into_iter()
                .map(str::to_owned)
                .collect();
            leaves(
                &mut path,
                &Document::Object(object(source)?),
                &reaches,
                &mut taken,
            );
        }
        FileKind::Params if source.path.contains('/') => {
            let mut path = vec![PARAMS.to_owned()];
            leaves(
                &mut path,
                &Document::Object(object(source)?),
                &reaches,
                &mut taken,
            );
        }
        _ => {}
    }
    Ok(taken)
}

/// Walks down as long as something may lie deeper.
fn leaves(
    path: &mut Vec<String>,
    value: &Document,
    reaches: &impl Fn(&Root) -> bool,
    taken: &mut Vec<Taken>,
) {
    let here = Root::of(path);
    match value {
        Document::Object(members) if reaches(&here) => {
            for (key, value) in members.iter() {
                path.push(key.to_owned());
                leaves(path, value, reaches, taken);
                path.pop();
            }
        }
        _ => taken.push((here, format!("data `{}`", path.join(".")))),
    }
}

/// Whether every file lies inside the roots.
pub(crate) fn inside(files: &[Source], roots: &Roots) -> Result<(), BundleError> {
    for source in files {
        let taken = places(source, |place| {
            !roots.contain(place) && roots.reach_below(place)
        })?;
        if let Some((_, what)) = taken.into_iter().find(|(place, _)| !roots.contain(place)) {
            return Err(BundleError::OutsideRoots {
                path: format!("/{}", source.path),
                what,
                roots: roots.to_string(),
            });
        }
    }
    Ok(())
}
