//! What a bundle owns of the tree of packages and data.

use std::fmt;

/// A place in the tree below `data`: `crm/sales`. The empty one is everything.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Root(Vec<String>);

impl Root {
    /// Reads `crm/sales`; slashes at the ends do not count, as in OPA.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let text = text.trim_matches('/');
        if text.is_empty() {
            return Self(Vec::new());
        }
        Self(text.split('/').map(str::to_owned).collect())
    }

    pub(crate) fn of<T: AsRef<str>>(path: &[T]) -> Self {
        Self(path.iter().map(|part| part.as_ref().to_owned()).collect())
    }

    /// Cut to so many parts.
    pub(crate) fn first(mut self, parts: usize) -> Self {
        self.0.truncate(parts);
        self
    }

    /// Whether a place lies at or below this one.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }

    /// Whether one of two places contains the other.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.contains(other) || other.contains(self)
    }
}

impl fmt::Display for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("/"))
    }
}

/// The roots of a bundle; none of them overlaps another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roots(Vec<Root>);

impl Roots {
    /// Everything: what a manifest without roots means.
    #[must_use]
    pub fn everything() -> Self {
        Self(vec![Root(Vec::new())])
    }

    /// Roots that do not overlap.
    ///
    /// # Errors
    /// Names two that do.
    pub fn new(mut roots: Vec<Root>) -> Result<Self, String> {
        roots.sort();
        for (index, one) in roots.iter().enumerate() {
            let rest = roots.iter().skip(index + 1);
            if let Some(other) = rest.clone().find(|other| one.overlaps(other)) {
                return Err(format!("the roots `{one}` and `{other}` overlap"));
            }
        }
        Ok(Self(roots))
    }

    /// Without what lies below another root.
    pub(crate) fn widest(mut roots: Vec<Root>) -> Self {
        roots.sort();
        let mut kept: Vec<Root> = Vec::new();
        for root in roots {
            // Sorted, so a root comes before what it contains.
            if !kept.iter().any(|wider| wider.contains(&root)) {
                kept.push(root);
            }
        }
        Self(kept)
    }

    /// Whether a place lies inside them.
    #[must_use]
    pub fn contain(&self, place: &Root) -> bool {
        self.0.iter().any(|root| root.contains(place))
    }

    /// Whether some of them lie below a place.
    pub(crate) fn reach_below(&self, place: &Root) -> bool {
        self.0.iter().any(|root| place.contains(root))
    }

    /// The first that overlaps a place.
    #[must_use]
    pub fn overlapping(&self, place: &Root) -> Option<&Root> {
        self.0.iter().find(|root| root.overlaps(place))
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Root> {
        self.0.iter()
    }
}

impl fmt::Display for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = self.0.iter().map(|root| format!("`{root}`")).collect();
        f.write_str(&all.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(text: &str) -> Root {
        Root::parse(text)
    }

    #[test]
    fn roots_are_whole_parts() {
        assert!(root("crm/sales").contains(&root("crm/sales/discounts")));
        assert!(!root("crm/sale").contains(&root("crm/sales")));
        assert!(root("").contains(&root("anything")));
        assert!(root("/crm/").overlaps(&root("crm/sales")));
        assert!(Roots::new(vec![root("a"), root("a/b")]).is_err());
        assert!(Roots::new(vec![root("a"), root("a")]).is_err());
        assert!(Roots::new(vec![root("a/b"), root("a/c")]).is_ok());
        let widest = Roots::widest(vec![root("a/b"), root("c"), root("a"), root("c")]);
        assert_eq!(widest.to_string(), "`a`, `c`");
    }
}
