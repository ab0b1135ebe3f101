//! Names of entries.

/// Longer names are no names.
const MAX_LENGTH: usize = 512;
/// Folders inside one another.
const MAX_DEPTH: usize = 16;

/// An entry's path below the bundle's root, without a slash before it: `sales/discounts.rego`.
///
/// OPA cleans paths; a path that would change by more than a leading `/` or `./` is refused here,
/// so that no two readers can disagree on what a file is called.
pub(crate) fn clean(raw: &[u8]) -> Result<String, String> {
    let text = std::str::from_utf8(raw).map_err(|_| "its name is not UTF-8".to_owned())?;
    if text.len() > MAX_LENGTH {
        return Err(format!("its name is longer than {MAX_LENGTH} bytes"));
    }
    if text.chars().any(|c| c.is_control() || c == '\\') {
        return Err("its name holds a control character or a backslash".to_owned());
    }
    let below = text
        .strip_prefix("./")
        .or_else(|| text.strip_prefix('/'))
        .unwrap_or(text);
    if below.split('/').count() > MAX_DEPTH {
        return Err(format!("folders nest deeper than {MAX_DEPTH}"));
    }
    for part in below.split('/') {
        match part {
            "" => return Err("its name has an empty part".to_owned()),
            "." | ".." => return Err(format!("its name has the part `{part}`")),
            // `name:/path` is how messages name a bundle's files.
            _ if part.ends_with(':') => {
                return Err("a part of its name ends with a colon".to_owned());
            }
            _ => {}
        }
    }
    Ok(below.to_owned())
}

/// The last part.
pub(crate) fn base(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, base)| base)
}

/// The folder's parts.
pub(crate) fn folder(path: &str) -> Vec<&str> {
    path.rsplit_once('/')
        .map(|(folder, _)| folder.split('/').collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_paths_are_taken() {
        for (raw, clean_path) in [
            ("/a/b.rego", "a/b.rego"),
            ("./a/b.rego", "a/b.rego"),
            ("a", "a"),
            ("/.manifest", ".manifest"),
            ("ä/ö.rego", "ä/ö.rego"),
        ] {
            assert_eq!(clean(raw.as_bytes()).as_deref(), Ok(clean_path));
        }
        for raw in [
            "", "/", "//a", "../a", "a/../b", "a/./b", "a//b", "a\\b", "a\0b", "a\nb", "././a",
            "x:/a", "./../a", "/..", "a/",
        ] {
            assert!(clean(raw.as_bytes()).is_err(), "{raw:?}");
        }
        assert!(clean(b"\xff.rego").is_err());
        assert!(clean("a/".repeat(20).as_bytes()).is_err());
        assert!(clean("a".repeat(600).as_bytes()).is_err());
    }
}
