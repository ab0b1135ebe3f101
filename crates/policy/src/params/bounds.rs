//! How far a connection may set a parameter: `x-connection` in its schema.

use crmgate_domain::{Document, Object};

use crate::LoadError;

/// What a connection may do with a parameter. Which direction is stricter, only the schema knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// Nothing.
    Fixed,
    /// Make a number smaller.
    Lower,
    /// Make a number larger.
    Raise,
    /// Take members out of a list.
    Subset,
    /// Add members to a list.
    Superset,
}

impl Rule {
    fn read(text: &str) -> Option<Self> {
        Some(match text {
            "fixed" => Self::Fixed,
            "lower" => Self::Lower,
            "raise" => Self::Raise,
            "subset" => Self::Subset,
            "superset" => Self::Superset,
            _ => return None,
        })
    }

    const fn expected(self) -> &'static str {
        match self {
            Self::Fixed => "no other value: it is fixed for all connections",
            Self::Lower => "a lower number",
            Self::Raise => "a higher number",
            Self::Subset => "some of the same members",
            Self::Superset => "the same members and more",
        }
    }

    fn lets(self, from: &Document, to: &Document) -> bool {
        if from == to {
            return true;
        }
        match (self, from, to) {
            (Self::Lower, Document::Number(from), Document::Number(to)) => {
                to.as_f64() <= from.as_f64()
            }
            (Self::Raise, Document::Number(from), Document::Number(to)) => {
                to.as_f64() >= from.as_f64()
            }
            (Self::Subset, Document::Array(from), Document::Array(to)) => {
                to.iter().all(|member| from.contains(member))
            }
            (Self::Superset, Document::Array(from), Document::Array(to)) => {
                from.iter().all(|member| to.contains(member))
            }
            _ => false,
        }
    }
}

/// Merges settings into values along the schema.
pub(super) struct Walk<'a> {
    pub(super) place: &'a str,
    pub(super) faults: &'a mut Vec<LoadError>,
    pub(super) path: Vec<String>,
}

impl Walk<'_> {
    pub(super) fn merge(
        &mut self,
        values: &mut Object,
        settings: &Object,
        schema: Option<&Document>,
        inherited: Rule,
    ) {
        for (key, to) in settings.iter() {
            self.path.push(key.to_owned());
            let schema = schema
                .and_then(Document::as_object)
                .and_then(|schema| schema.get("properties")?.as_object()?.get(key));
            let rule = self.rule(schema, inherited);
            match values.get(key) {
                None => self.fault("there is no such parameter"),
                Some(from) => {
                    if let (Document::Object(from), Document::Object(to)) = (from, to) {
                        let mut inner = from.clone();
                        self.merge(&mut inner, to, schema, rule);
                        values.set(key, Document::Object(inner));
                    } else if rule.lets(from, to) {
                        values.set(key, to.clone());
                    } else {
                        self.fault(&format!(
                            "{} in place of {}, expected {}",
                            to.to_json(),
                            from.to_json(),
                            rule.expected()
                        ));
                    }
                }
            }
            self.path.pop();
        }
    }

    fn rule(&mut self, schema: Option<&Document>, inherited: Rule) -> Rule {
        let word = schema
            .and_then(Document::as_object)
            .and_then(|schema| schema.get("x-connection"));
        match word {
            None => inherited,
            Some(word) => word.as_str().and_then(Rule::read).unwrap_or_else(|| {
                self.fault(&format!(
                    "`x-connection` is {}, expected fixed, lower, raise, subset or superset",
                    word.to_json()
                ));
                Rule::Fixed
            }),
        }
    }

    fn fault(&mut self, message: &str) {
        let path = self.path.join(".");
        self.faults.push(
            LoadError::file(
                "params",
                self.place,
                format!("parameter `{path}`: {message}"),
            )
            .remedy("a connection sets what `x-connection` in `params.schema.json` lets it"),
        );
    }
}
