//! Words that somebody may have meant.

/// The known word nearest to what was written, when it is near enough to have been meant.
pub(crate) fn nearest<'k>(
    written: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> Option<&'k str> {
    let lower = written.to_lowercase();
    // A short word is one slip away from many others.
    let most = match written.chars().count() {
        0..=2 => return None,
        3..=4 => 1,
        5..=8 => 2,
        _ => 3,
    };
    known
        .into_iter()
        .filter(|word| *word != written)
        .map(|word| (strsim::osa_distance(&lower, &word.to_lowercase()), word))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// `did you mean …?`
pub(crate) fn did_you_mean(word: &str) -> String {
    format!("did you mean `{word}`?")
}

/// Words for a sentence: `a`, `b` and `c`.
pub(crate) fn list<'w>(words: impl IntoIterator<Item = &'w str>, last: &str) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.split_last() {
        None => "nothing".into(),
        Some((only, [])) => only.clone(),
        Some((end, start)) => format!("{} {last} {end}", start.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_near_and_other_words_are_not() {
        let known = ["email", "deny", "contact", "stage", "closed_won", "id"];
        let near = |written| nearest(written, known);
        assert_eq!(near("emial"), Some("email"));
        assert_eq!(near("contcat"), Some("contact"));
        assert_eq!(near("close_won"), Some("closed_won"));
        assert_eq!(near("Email"), Some("email"));
        assert_eq!(near("denny"), Some("deny"));
        assert_eq!(near("it"), None);
        assert_eq!(near("region"), None);
        assert_eq!(near("email"), None);
    }

    #[test]
    fn lists_read_as_sentences() {
        assert_eq!(list(["a"], "or"), "`a`");
        assert_eq!(list(["a", "b", "c"], "or"), "`a`, `b` or `c`");
        assert_eq!(list([], "or"), "nothing");
    }
}
