//! The formats of `sprintf`.

use crmgate_policy::analysis::{Expr, ExprRef, literal_text};

use super::Checker;
use super::compare::shown;
use crate::catalogue::FieldKind;
use crate::finding::{Finding, Level};
use crate::types::{Kinds, Shape, Ty};

impl<'a> Checker<'_, 'a> {
    pub(super) fn format(&mut self, params: &'a [ExprRef], args: &[Ty]) {
        let [format, list, ..] = params else { return };
        let (Some(text), Expr::Array { items, .. }) = (literal_text(format), list.as_ref()) else {
            return;
        };
        let verbs = verbs(text);
        if verbs.len() != items.len() {
            let (asked, given) = (verbs.len(), items.len());
            let message = format!("the format has {asked} of `%…`, and the list has {given} items");
            self.push(|file| {
                Finding::new(Level::Error, "format", file, message)
                    .of(format.span())
                    .remedy("give one value for each `%v`; a percent sign is `%%`")
            });
            return;
        }
        let item = match args.get(1).map(|ty| &ty.shape) {
            // All of one kind, or nobody knows which.
            Some(Shape::Items(item)) if items.len() == 1 => Some(item.as_ref().clone()),
            _ => None,
        };
        for (verb, value) in verbs.iter().zip(items) {
            self.verb(verb, value, item.as_ref());
        }
    }

    fn verb(&mut self, verb: &str, value: &'a ExprRef, ty: Option<&Ty>) {
        let fractions = [FieldKind::Money, FieldKind::Percent, FieldKind::Decimal];
        let may_be_fraction = ty.is_some_and(|ty| fractions.iter().any(|kind| ty.is_field(*kind)));
        let wrong_kind = ty.is_some_and(|ty| !ty.kinds.unknown() && !ty.kinds.has(Kinds::NUMBER));
        let problem = if verb.ends_with('d') && (may_be_fraction || wrong_kind) {
            "is an error for what is no whole number"
        } else if verb.contains('.')
            && verb
                .trim_start_matches('%')
                .starts_with(|c: char| c.is_ascii_digit())
        {
            "is a width with a precision, which this engine does not know"
        } else {
            return;
        };
        let message = format!("`{verb}` of `{}` {problem}", shown(value));
        self.push(|file| {
            Finding::new(Level::Warning, "format", file, message)
                .of(value.span())
                .remedy("write `%v`")
        });
    }
}

/// The verbs of a format: `%v`, `%5.1f`.
fn verbs(format: &str) -> Vec<String> {
    let mut verbs = Vec::new();
    let mut chars = format.chars();
    while let Some(char) = chars.next() {
        if char != '%' {
            continue;
        }
        let mut verb = String::from("%");
        for next in chars.by_ref() {
            verb.push(next);
            if next == '%' || next.is_ascii_alphabetic() {
                break;
            }
        }
        if verb != "%%" {
            verbs.push(verb);
        }
    }
    verbs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_are_found() {
        assert_eq!(verbs("a %v b %5.1f %% %d"), ["%v", "%5.1f", "%d"]);
        assert!(verbs("no verb, 100%").is_empty() || verbs("100%") == ["%"]);
    }
}
