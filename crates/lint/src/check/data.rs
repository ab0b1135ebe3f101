//! Data that files hold.

use std::rc::Rc;

use crmgate_domain::Document;
use crmgate_policy::analysis::{ExprRef, Span, Step, chain};

use super::Checker;
use crate::finding::{Finding, Level};
use crate::types::{Kinds, Shape, Ty};
use crate::words::{did_you_mean, nearest};

/// Items of an array, and members of an object, that are looked at.
const SAMPLE: usize = 50;

impl<'a> Checker<'_, 'a> {
    fn document(&self, path: &[String]) -> Option<&'a Document> {
        let (first, rest) = path.split_first()?;
        let mut at = self.layer.parsed.data.get(first)?;
        for key in rest {
            at = at.as_object()?.get(key)?;
        }
        Some(at)
    }

    pub(super) fn data_member(&mut self, path: &Rc<Vec<String>>, key: &str, span: &Span) -> Ty {
        let mut longer = path.as_ref().clone();
        longer.push(key.to_owned());
        if let Some(document) = self.document(&longer) {
            return of(document, longer);
        }
        // Loading checks the first two levels, and every level of parameters.
        let here = (longer.len() > 2 && longer.first().is_some_and(|root| root != "params"))
            .then(|| self.document(path).and_then(Document::as_object))
            .flatten();
        if let Some(object) = here {
            let near = nearest(key, object.iter().map(|(name, _)| name));
            let message = format!("`data.{}` has no member `{key}`", path.join("."));
            let remedy = near.map_or_else(
                || "add it to the data, or the rule stays silent".to_owned(),
                did_you_mean,
            );
            self.push(|file| {
                Finding::new(Level::Warning, "unknown_data", file, message)
                    .of(span)
                    .remedy(remedy)
            });
        }
        Ty {
            absent: true,
            ..Ty::any()
        }
    }

    pub(super) fn data_item(&self, path: &[String]) -> Ty {
        let items: Vec<&Document> = match self.document(path) {
            Some(Document::Array(items)) => items.iter().take(SAMPLE).collect(),
            Some(Document::Object(object)) => object.iter().take(SAMPLE).map(|(_, v)| v).collect(),
            _ => return Ty::any(),
        };
        let kinds = items
            .iter()
            .fold(Kinds::NONE, |all, item| all.or(of(item, Vec::new()).kinds));
        if items.is_empty() || kinds.has(Kinds::OBJECT.or(Kinds::ARRAY)) {
            return Ty::any();
        }
        Ty::of(kinds)
    }

    /// Whether a reference goes into data by a key that is only known when it runs.
    pub(super) fn dynamic_data(&self, expr: &'a ExprRef) -> bool {
        let Some((root, steps)) = chain(expr) else {
            return false;
        };
        let module = self.layer.parsed.modules.get(self.module);
        let imported = module
            .and_then(|module| module.imports.get(root))
            .and_then(|path| path.first());
        let is_data = root == "data" || imported.is_some_and(|first| first == "data");
        is_data && steps.iter().any(|step| matches!(step, Step::Index(_)))
    }
}

fn of(document: &Document, path: Vec<String>) -> Ty {
    let kinds = match document {
        Document::Null => Kinds::NULL,
        Document::Bool(_) => Kinds::BOOL,
        Document::Number(_) => Kinds::NUMBER,
        Document::String(_) => Kinds::STRING,
        Document::Array(_) => Kinds::ARRAY,
        Document::Object(_) => Kinds::OBJECT,
    };
    Ty::shaped(kinds, Shape::Data(Rc::new(path)))
}
