//! A finding as people read it: what is wrong, where, and how to mend it.

use std::fmt::Write as _;

use crate::Finding;

/// Columns of a source line that are shown.
const WIDTH: usize = 120;

/// A finding with the line it is about; `source` is the text of its file, where there is one.
#[must_use]
pub fn render(finding: &Finding, source: Option<&str>) -> String {
    let mut out = format!(
        "{}[{}]: {}\n",
        finding.level.as_str(),
        finding.code,
        finding.message
    );
    let line = finding
        .line
        .map(|line| line.to_string())
        .unwrap_or_default();
    let margin = " ".repeat(line.len());
    _ = write!(out, "{margin}--> {}", finding.file);
    for part in [finding.line, finding.column].into_iter().flatten() {
        _ = write!(out, ":{part}");
    }
    out.push('\n');
    if let Some(text) = finding.line.zip(source).and_then(|(line, source)| {
        let index = usize::try_from(line).ok()?.checked_sub(1)?;
        source.lines().nth(index)
    }) {
        excerpt(&mut out, finding, &line, text);
    }
    let notes = [("expected", &finding.expected), ("help", &finding.remedy)];
    for (name, note) in notes {
        if let Some(note) = note {
            _ = writeln!(out, "{margin} = {name}: {note}");
        }
    }
    for also in &finding.also {
        _ = writeln!(
            out,
            "{margin} = see: {}:{}: {}",
            also.file, also.line, also.what
        );
    }
    out
}

fn excerpt(out: &mut String, finding: &Finding, line: &str, text: &str) {
    let margin = " ".repeat(line.len());
    let shown: String = text.chars().take(WIDTH).collect();
    _ = writeln!(out, "{margin} |");
    _ = writeln!(out, "{line} | {}", shown.replace('\t', "    "));
    let column = finding
        .column
        .and_then(|column| usize::try_from(column).ok());
    let Some(before) = column.and_then(|column| column.checked_sub(1)) else {
        return;
    };
    if before > shown.chars().count() {
        return;
    }
    // A tab is shown as four blanks, so what stands before the caret is measured as shown.
    let lead: usize = text
        .chars()
        .take(before)
        .map(|char| if char == '\t' { 4 } else { 1 })
        .sum();
    let left = WIDTH.saturating_sub(before).max(1);
    let length = finding
        .length
        .and_then(|length| usize::try_from(length).ok())
        .unwrap_or(1)
        .clamp(1, left);
    _ = writeln!(out, "{margin} | {}{}", " ".repeat(lead), "^".repeat(length));
}
