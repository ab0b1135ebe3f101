//! Bodies in several parts, as clients write them: with CRLF or LF, quoted boundaries or not.

/// One part: its headers and what follows them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part<'a> {
    /// Names in lower case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: &'a str,
}

impl Part<'_> {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }
}

/// A header by its name in lower case.
pub(super) fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = headers.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| value.as_str())
}

/// The boundary of a `multipart/mixed`.
pub(super) fn boundary(content_type: &str) -> Option<String> {
    let mut parameters = content_type.split(';').map(str::trim);
    let essence = parameters.next()?;
    if !essence.eq_ignore_ascii_case("multipart/mixed") {
        return None;
    }
    let value = parameters.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let named = name.trim().eq_ignore_ascii_case("boundary");
        named.then(|| value.trim().trim_matches('"').to_owned())
    })?;
    (!value.is_empty()).then_some(value)
}

/// Takes a body apart.
///
/// # Errors
/// In words, what is wrong with it.
pub(super) fn split<'a>(body: &'a str, boundary: &str) -> Result<Vec<Part<'a>>, String> {
    let marker = format!("--{boundary}");
    let mut parts = Vec::new();
    let mut open: Option<usize> = None;
    let mut at = 0;
    for line in body.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let Some(rest) = line.trim_end().strip_prefix(marker.as_str()) else {
            continue;
        };
        let last = rest == "--";
        if !last && !rest.is_empty() {
            continue;
        }
        if let Some(from) = open {
            let text = body.get(from..start).unwrap_or_default();
            let text = text.strip_suffix('\n').unwrap_or(text);
            parts.push(part(text.strip_suffix('\r').unwrap_or(text))?);
        }
        if last {
            return Ok(parts);
        }
        open = Some(at);
    }
    Err(format!(
        "The multipart message does not end with '{marker}--'."
    ))
}

fn part(text: &str) -> Result<Part<'_>, String> {
    let (head, body) = head_and_body(text);
    Ok(Part {
        headers: headers(head.lines())?,
        body,
    })
}

/// Cuts at the first empty line; without one, all of it is head.
pub(super) fn head_and_body(text: &str) -> (&str, &str) {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if line.trim_end_matches(['\r', '\n']).is_empty() {
            let (head, rest) = text.split_at(at);
            return (head, rest.get(line.len()..).unwrap_or_default());
        }
        at += line.len();
    }
    (text, "")
}

/// Reads header lines.
///
/// # Errors
/// In words, which line is none.
pub(super) fn headers<'a>(
    lines: impl Iterator<Item = &'a str>,
) -> Result<Vec<(String, String)>, String> {
    lines
        .map(|line| {
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| format!("'{line}' is no header."))?;
            Ok((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundaries_come_quoted_or_not() {
        for text in [
            "multipart/mixed; boundary=b_1",
            "multipart/mixed;boundary=\"b_1\"",
            "Multipart/Mixed; charset=utf-8; Boundary=b_1",
        ] {
            assert_eq!(boundary(text).as_deref(), Some("b_1"), "{text}");
        }
        for text in [
            "application/json",
            "multipart/mixed",
            "multipart/form-data; boundary=x",
        ] {
            assert_eq!(boundary(text), None, "{text}");
        }
    }

    #[test]
    fn both_line_ends_are_read_and_the_last_one_is_the_boundarys() {
        for end in ["\r\n", "\n"] {
            let text = "\n--b\nA: 1\n\nx\ny\n--b \nB:2\n\n--bb\n\n--b--\nrest".replace('\n', end);
            let parts = split(&text, "b").unwrap();
            assert_eq!(parts.len(), 2);
            assert_eq!(parts[0].header("a"), Some("1"));
            assert_eq!(parts[0].body, format!("x{end}y"));
            assert_eq!(parts[1].body, format!("--bb{end}"));
        }
        assert!(split("--b\n\nx", "b").is_err());
        assert!(split("--b\nno header\n\nx\n--b--", "b").is_err());
    }
}
