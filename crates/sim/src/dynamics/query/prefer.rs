//! What a client prefers.

use http::HeaderMap;

/// The `Prefer` headers, one or several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Prefer {
    pub(crate) representation: bool,
    pub(crate) page_size: Option<usize>,
    /// Patterns for names of annotations.
    pub(crate) annotations: Vec<String>,
    annotations_as_sent: Option<String>,
}

impl Prefer {
    pub(crate) fn read(headers: &HeaderMap) -> Self {
        let mut prefer = Self::default();
        let lines = headers.get_all("prefer").into_iter();
        for line in lines.filter_map(|line| line.to_str().ok()) {
            for part in preferences(line) {
                prefer.take(&part);
            }
        }
        prefer
    }

    fn take(&mut self, part: &str) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let value = value.trim().trim_matches('"');
        match name.trim().to_ascii_lowercase().as_str() {
            "return" => self.representation = value == "representation",
            "odata.maxpagesize" | "maxpagesize" => {
                self.page_size = value.parse().ok().filter(|size| *size > 0);
            }
            "odata.include-annotations" | "include-annotations" => {
                self.annotations = value.split(',').map(|one| one.trim().to_owned()).collect();
                self.annotations_as_sent = Some(value.to_owned());
            }
            _ => {}
        }
    }

    /// Whether an annotation of this name was asked for.
    pub(crate) fn wants(&self, annotation: &str) -> bool {
        self.annotations
            .iter()
            .any(|pattern| match pattern.strip_suffix('*') {
                Some(start) => annotation.starts_with(start),
                None => pattern == annotation,
            })
    }

    /// `Preference-Applied` for a read, if anything was.
    pub(crate) fn applied(&self, paged: bool) -> Option<String> {
        let mut applied = Vec::new();
        if let (Some(size), true) = (self.page_size, paged) {
            applied.push(format!("odata.maxpagesize={size}"));
        }
        if let Some(annotations) = &self.annotations_as_sent {
            applied.push(format!("odata.include-annotations=\"{annotations}\""));
        }
        (!applied.is_empty()).then(|| applied.join(","))
    }
}

/// Cuts at commas outside quotes; without quotes, annotations run on until the next preference.
fn preferences(line: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let (mut current, mut quoted) = (String::new(), false);
    for letter in line.chars() {
        match letter {
            '"' => {
                quoted = !quoted;
                current.push(letter);
            }
            ',' | ';' if !quoted => parts.push(std::mem::take(&mut current)),
            _ => current.push(letter),
        }
    }
    parts.push(current);
    parts
}
