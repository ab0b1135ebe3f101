//! What a value may be: parts of the input, or some literal texts.

use std::collections::BTreeSet;

/// One step into the input.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Hop {
    /// The member of that name.
    Key(String),
    /// Some member.
    Any,
}

/// A path into the input. Only the first steps matter, so it is never longer than [`LENGTH`].
pub(super) type Path = Vec<Hop>;

const LENGTH: usize = 3;

/// The parts of the input that a value may be.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Alias {
    /// The paths it may be the value at.
    pub(super) paths: BTreeSet<Path>,
    /// When the value is one of some literal texts, or a collection of them: which.
    pub(super) texts: Option<BTreeSet<String>>,
}

impl Alias {
    /// The input itself.
    pub(super) fn input() -> Self {
        Self {
            paths: [Path::new()].into(),
            texts: None,
        }
    }

    /// A literal text.
    pub(super) fn text(text: &str) -> Self {
        Self {
            paths: BTreeSet::new(),
            texts: Some([text.to_owned()].into()),
        }
    }

    /// The member of that name.
    pub(super) fn key(&self, key: &str) -> Self {
        self.hop(&Hop::Key(key.to_owned()))
    }

    /// Some member: of literal collections, one of their texts.
    pub(super) fn any(&self) -> Self {
        Self {
            texts: self.texts.clone(),
            ..self.hop(&Hop::Any)
        }
    }

    fn hop(&self, hop: &Hop) -> Self {
        let longer = |path: &Path| {
            let mut path = path.clone();
            if path.len() < LENGTH {
                path.push(hop.clone());
            }
            path
        };
        Self {
            paths: self.paths.iter().map(longer).collect(),
            texts: None,
        }
    }

    /// Either of two values. Tells whether anything was added.
    pub(super) fn join(&mut self, other: &Self) -> bool {
        let before = self.paths.len();
        self.paths.extend(other.paths.iter().cloned());
        let texts = match (&self.texts, &other.texts) {
            (Some(mine), Some(theirs)) => Some(mine.union(theirs).cloned().collect()),
            _ => None,
        };
        let changed = self.paths.len() != before || self.texts != texts;
        self.texts = texts;
        changed
    }

    /// Whether any of its paths goes into a record's field, not only to a record.
    pub(super) fn fields(&self) -> Self {
        Self {
            paths: self
                .paths
                .iter()
                .filter(|path| path.len() > 1)
                .cloned()
                .collect(),
            texts: None,
        }
    }
}
