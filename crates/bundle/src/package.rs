//! The package of a policy, without parsing it: that happens in a child, because a hostile text can
//! hang or abort whatever parses it.

/// The parts of the package that a policy declares: `["crm", "sales", "discounts"]`.
///
/// A declaration comes first, after comments. Where this stops early the engine can only read a
/// longer path, which lies inside the one given here; so a check against roots holds.
pub(crate) fn of(text: &str) -> Option<Vec<String>> {
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        match rest.strip_prefix('#') {
            Some(comment) => rest = comment.split_once('\n').map_or("", |(_, after)| after),
            None => break,
        }
    }
    let rest = rest.strip_prefix("package")?;
    let path = rest.trim_start();
    if path.len() == rest.len() {
        return None;
    }
    let (first, mut rest) = identifier(path)?;
    let mut parts = vec![first.to_owned()];
    loop {
        if let Some(after) = rest.strip_prefix('.') {
            let (part, after) = identifier(after)?;
            parts.push(part.to_owned());
            rest = after;
        } else if let Some(after) = rest.strip_prefix('[') {
            let (part, after) = quoted(after)?;
            parts.push(part);
            rest = after;
        } else {
            let ends = rest
                .chars()
                .next()
                .is_none_or(|c| c.is_whitespace() || c == '#' || c == ';');
            return ends.then_some(parts);
        }
    }
}

fn identifier(text: &str) -> Option<(&str, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end)?;
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    starts.then_some((name, rest))
}

fn quoted(text: &str) -> Option<(String, &str)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<String>();
    let part = values.next()?.ok()?;
    let rest = text.get(values.byte_offset()..)?;
    Some((part, rest.strip_prefix(']')?))
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn the_declaration_is_found_behind_comments() {
        let parts = |text| of(text).map(|parts| parts.join("/"));
        assert_eq!(parts("package a.b"), Some("a/b".into()));
        assert_eq!(
            parts("\n# METADATA\n# package x\n\n  package\ta[\"b c\"].d # e\nf := 1"),
            Some("a/b c/d".into())
        );
        assert_eq!(parts("package a.b;x := 1"), Some("a/b".into()));
        for bad in [
            "",
            "# package a",
            "packagea",
            "package",
            "package 1a",
            "package a.",
            "package a[1]",
            "package a[\"b\"",
            "x := 1\npackage a",
            "package a-b",
            "\u{feff}package a",
        ] {
            assert_eq!(parts(bad), None, "{bad}");
        }
    }
}
