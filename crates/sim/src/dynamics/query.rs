//! Queries: the options of an address, and what they select.

pub(crate) mod aggregate;
pub(crate) mod bind;
mod calendar;
pub(crate) mod expression;
pub(crate) mod fetch;
mod judge;
mod lexer;
pub(crate) mod options;
pub(crate) mod page;
pub(crate) mod prefer;
mod test_value;

pub(crate) use bind::{Filter, Place};
pub(crate) use expression::{Compare, Expr, Literal, Operand};
pub(crate) use options::{Expand, Options};
pub(crate) use prefer::Prefer;

#[cfg(test)]
mod tests;
