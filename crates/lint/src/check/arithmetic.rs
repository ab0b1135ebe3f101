//! Arithmetic.

use crmgate_policy::analysis::{ArithOp, ExprRef, Span};

use super::Checker;
use super::compare::shown;
use super::env::Env;
use crate::catalogue::FieldKind;
use crate::finding::{Finding, Level};
use crate::types::{Kinds, Ty};

impl<'a> Checker<'_, 'a> {
    pub(super) fn arithmetic(
        &mut self,
        span: &'a Span,
        op: &ArithOp,
        sides: [&'a ExprRef; 2],
        env: &mut Env,
    ) -> Ty {
        let types = sides.map(|side| (side, self.value(side, env)));
        let of_sets = matches!(op, ArithOp::Sub);
        let fits = if of_sets {
            Kinds::NUMBER.or(Kinds::SET)
        } else {
            Kinds::NUMBER
        };
        for (side, ty) in &types {
            if ty.is_field(FieldKind::Money) {
                let what = shown(side);
                self.money(span, &what, "computed with");
            }
            self.operand(side, ty, fits);
        }
        let sets = of_sets && types.iter().any(|(_, ty)| ty.kinds.only(Kinds::SET));
        let unknown = of_sets && types.iter().all(|(_, ty)| ty.kinds.unknown());
        if unknown {
            Ty::of(Kinds::NUMBER.or(Kinds::SET))
        } else {
            Ty::of(if sets { Kinds::SET } else { Kinds::NUMBER })
        }
    }

    fn operand(&mut self, side: &'a ExprRef, ty: &Ty, fits: Kinds) {
        if ty.kinds.unknown() {
            return;
        }
        let what = shown(side);
        let found = ty.kinds.without(Kinds::NULL);
        if !ty.kinds.has(fits) {
            let message = format!(
                "`{what}` is {}, and can't be computed with",
                ty.kinds.words()
            );
            let remedy = if found.has(Kinds::STRING) {
                "dates and times are texts: turn them into nanoseconds by `time.parse_rfc3339_ns`; numbers in texts by `to_number`"
            } else {
                "compute with numbers"
            };
            self.push(|file| {
                Finding::new(Level::Error, "argument_type", file, message)
                    .of(side.span())
                    .expected("a number")
                    .remedy(remedy)
            });
        } else if ty.may_be_null() {
            self.null_operand(side, &what);
        }
    }

    fn null_operand(&mut self, side: &'a ExprRef, what: &str) {
        let message = format!(
            "`{what}` may be null, and computing with null is an error: the write is held up, not judged"
        );
        let remedy = format!("check it first: `is_number({what})`");
        self.push(|file| {
            Finding::new(Level::Warning, "null_argument", file, message)
                .of(side.span())
                .remedy(remedy)
        });
    }
}
