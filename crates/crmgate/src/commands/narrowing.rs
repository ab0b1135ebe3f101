//! Filters of lists, as the API takes them.

use super::times::moment;
use crate::cli::Narrowing;
use crate::exit::Failure;

/// Those that are given, by the API's names; `more` are a list's own.
///
/// # Errors
/// When a time is none.
pub(super) fn given(
    narrowing: &Narrowing,
    more: impl IntoIterator<Item = (&'static str, Option<String>)>,
) -> Result<Vec<(&'static str, String)>, Failure> {
    let since = moment("--since", narrowing.since.as_deref())?;
    let until = moment("--until", narrowing.until.as_deref())?;
    let common = [
        ("connection", narrowing.connection.clone()),
        ("object", narrowing.object.clone()),
        ("record_id", narrowing.record.clone()),
        ("actor", narrowing.actor.clone()),
        ("since", since),
        ("until", until),
    ];
    let all = common.into_iter().chain(more);
    Ok(all
        .filter_map(|(name, value)| Some((name, value?)))
        .collect())
}
