//! Patterns of `LIKE`: `%` for any text, `_` for one character, without regard to case.

/// A pattern ready to match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Part>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Any,
    One,
    Letter(char),
}

impl Pattern {
    /// Reads a pattern in which `\%`, `\_` and `\\` still stand for themselves.
    pub(super) fn new(text: &str) -> Self {
        let mut parts = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                '%' => parts.push(Part::Any),
                '_' => parts.push(Part::One),
                '\\' => parts.extend(
                    chars
                        .next()
                        .into_iter()
                        .flat_map(char::to_lowercase)
                        .map(Part::Letter),
                ),
                other => parts.extend(other.to_lowercase().map(Part::Letter)),
            }
        }
        Self(parts)
    }

    /// Whether all of `text` fits. Linear but for going back to the last `%`.
    pub(super) fn fits(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().flat_map(char::to_lowercase).collect();
        let (mut at, mut part) = (0, 0);
        let mut back: Option<(usize, usize)> = None;
        while let Some(letter) = text.get(at) {
            match self.0.get(part) {
                Some(Part::Any) => {
                    back = Some((part, at));
                    part += 1;
                }
                Some(Part::One) => (at, part) = (at + 1, part + 1),
                Some(Part::Letter(wanted)) if wanted == letter => (at, part) = (at + 1, part + 1),
                _ => {
                    let Some((any, tried)) = back else {
                        return false;
                    };
                    back = Some((any, tried + 1));
                    (at, part) = (tried + 1, any + 1);
                }
            }
        }
        self.0.iter().skip(part).all(|left| *left == Part::Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_as_in_queries() {
        let fits = |pattern: &str, text: &str| Pattern::new(pattern).fits(text);
        assert!(
            fits("ac%", "Acme") && fits("%ME", "Acme") && fits("%c_e", "Acme") && fits("%", "")
        );
        assert!(fits("%a%a%", "banana") && fits("%na", "banana"));
        assert!(!fits("ac", "Acme") && !fits("_", "") && !fits("%x%", "Acme"));
        assert!(fits("100\\%", "100%") && !fits("100\\%", "1000"));
        assert!(fits("a\\\\%", "a\\b"));
    }
}
