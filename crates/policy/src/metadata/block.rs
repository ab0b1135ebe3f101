//! Where metadata blocks are.

use crmgate_domain::Document;

use crate::LoadError;

/// One `# METADATA` comment block.
#[derive(Debug)]
pub(super) struct Block {
    /// The line of `# METADATA`, one-based.
    pub(super) line: u32,
    /// The text below it, without `#`.
    yaml: String,
    /// Whether the next code after the block is the package clause.
    above_package: bool,
}

/// Every block of a file.
pub(super) fn all(text: &str) -> Vec<Block> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let mut blocks = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let Some(title) = line.strip_prefix('#') else {
            continue;
        };
        if title.trim() != "METADATA" {
            continue;
        }
        let rest = lines.get(index + 1..).unwrap_or_default();
        let body: Vec<&str> = rest
            .iter()
            .map_while(|line| line.strip_prefix('#'))
            .collect();
        let next = rest
            .iter()
            .skip(body.len())
            .find(|line| !line.is_empty() && !line.starts_with('#'));
        blocks.push(Block {
            line: u32::try_from(index + 1).unwrap_or(u32::MAX),
            yaml: body.join("\n"),
            above_package: next.is_some_and(|line| line.starts_with("package")),
        });
    }
    blocks
}

impl Block {
    /// The block's content.
    pub(super) fn parse(&self, file: &str) -> Result<Document, LoadError> {
        crate::yaml::parse(&self.yaml).map_err(|fault| {
            let line = self.line + fault.line.unwrap_or(1);
            LoadError::file("metadata", file, format!("not YAML: {}", fault.message))
                .at(line, fault.column)
                .remedy("write `# METADATA`, then `key: value` lines behind `# `")
        })
    }

    /// Whether it is about the package: by its `scope`, else by where it stands.
    pub(super) fn is_of_package(&self, document: &Document) -> bool {
        match document.as_object().and_then(|top| top.get("scope")) {
            Some(scope) => matches!(scope.as_str(), Some("package" | "subpackages")),
            None => self.above_package,
        }
    }

    /// The line of a key, as good as text can tell; the block's own when it has none.
    pub(super) fn line_of(&self, key: &str) -> u32 {
        let starts = |line: &str| {
            let rest = line.trim_start().strip_prefix(key);
            rest.is_some_and(|rest| rest.trim_start().starts_with(':'))
        };
        // Inside a flow mapping the key stands behind `{` or `,`.
        let inside = |line: &str| line.split(['{', ',']).any(starts);
        let mut lines = self.yaml.lines();
        let at = lines.position(inside);
        at.and_then(|index| u32::try_from(index + 1).ok())
            .map_or(self.line, |offset| self.line + offset)
    }
}
