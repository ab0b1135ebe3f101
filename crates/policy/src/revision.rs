//! The name of a set of sources.

use crmgate_domain::{Document, RevisionId};
use sha2::{Digest, Sha256};

use crate::source::FileKind;
use crate::{Source, Sources};

/// SHA-256 over every source and setting, in an order that does not depend on how they were read.
pub(crate) fn of(sources: &Sources) -> RevisionId {
    let mut hash = Sha256::new();
    files(&mut hash, "global", &sources.global);
    for (name, connection) in &sources.connections {
        files(&mut hash, name.as_str(), &connection.files);
        let params = Document::Object(sorted(&connection.params)).to_json();
        part(&mut hash, params.as_bytes());
        if connection.shut {
            part(&mut hash, b"shut");
        }
        for (package, enforcement) in &connection.enforcement {
            part(&mut hash, package.as_bytes());
            part(&mut hash, format!("{enforcement:?}").as_bytes());
        }
    }
    RevisionId::new(&hex::encode(hash.finalize()))
}

fn files(hash: &mut Sha256, layer: &str, files: &[Source]) {
    part(hash, layer.as_bytes());
    let counts = |file: &&Source| FileKind::of(&file.path).counts();
    let mut files: Vec<&Source> = files.iter().filter(counts).collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    hash.update((files.len() as u64).to_be_bytes());
    for file in files {
        part(hash, file.path.as_bytes());
        part(hash, file.text.as_bytes());
    }
}

/// With its length first, so that no two lists of parts collide by shifting.
fn part(hash: &mut Sha256, bytes: &[u8]) {
    hash.update((bytes.len() as u64).to_be_bytes());
    hash.update(bytes);
}

fn sorted(object: &crmgate_domain::Object) -> crmgate_domain::Object {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(files: &[(&str, &str)]) -> Sources {
        Sources::global(
            files
                .iter()
                .map(|(path, text)| ((*path).to_owned(), (*text).to_owned())),
        )
    }

    #[test]
    fn order_does_not_matter_and_content_does() {
        let one = of(&sources(&[("a.rego", "1"), ("b.rego", "2")]));
        assert_eq!(one, of(&sources(&[("b.rego", "2"), ("a.rego", "1")])));
        assert_ne!(one, of(&sources(&[("a.rego", "1"), ("b.rego", "3")])));
        assert_ne!(one, of(&sources(&[("a.rego", "1b.rego2")])));
        assert_eq!(
            one,
            of(&sources(&[
                ("a.rego", "1"),
                ("b.rego", "2"),
                ("README.md", "3")
            ]))
        );
        assert_eq!(one.as_str().len(), 64);
    }

    #[test]
    fn settings_of_a_connection_are_part_of_it() {
        let mut set = sources(&[("a.rego", "1")]);
        let bare = of(&set);
        let connection = set.connections.entry("acme".parse().unwrap()).or_default();
        connection.params.set("x", Document::from(1));
        assert_ne!(bare, of(&set));
    }
}
