//! What commands say: tables for people, JSON for programs. The one door to standard output.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};

/// The form of a command's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Output {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

/// Writes a line to standard output. A reader that went away is no fault of ours.
pub(crate) fn say(line: impl std::fmt::Display) {
    let line = tame(line.to_string());
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).ok();
}

/// The text without what would make a terminal do or show something else: policies and clients
/// write parts of what is said here. In JSON the escapes mean the same characters.
fn tame(text: String) -> String {
    let wild = |c: char| {
        (c.is_control() && !matches!(c, '\n' | '\t'))
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(wild) {
        return text;
    }
    let mut tamed = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if wild(c) {
            tamed.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            tamed.push(c);
        }
    }
    tamed
}

/// Writes a line to standard error.
pub(crate) fn complain(line: impl std::fmt::Display) {
    let line = tame(line.to_string());
    writeln!(std::io::stderr().lock(), "{line}").ok();
}

/// Writes a value as indented JSON.
pub(crate) fn say_json(value: &impl serde::Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => say(text),
        Err(error) => complain(format!("error: the answer is no JSON: {error}")),
    }
}

/// How wide a table is where no terminal says.
const WIDTH: u16 = 160;

/// A table in house style; without a header where there is none. Ids are never broken, because
/// people copy them, nor are times and names that one reads down the column.
pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic);
    if !header.is_empty() {
        table.set_header(header.to_vec());
    }
    let whole = header
        .iter()
        .enumerate()
        .filter(|(_, name)| matches!(**name, "id" | "decision" | "at" | "connection" | "effect"));
    for (index, _) in whole {
        if let Some(column) = table.column_mut(index) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    if table.width().is_none() {
        table.set_width(WIDTH);
    }
    table
}

/// How long something may take before a person is told that it goes on.
const PATIENCE: Duration = Duration::from_secs(2);

/// Waits; after two seconds shows on a terminal that it goes on.
pub(crate) async fn patiently<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::pin!(work);
    tokio::select! {
        done = &mut work => return done,
        () = tokio::time::sleep(PATIENCE), if std::io::stderr().is_terminal() => {}
    }
    let bar = ProgressBar::new_spinner().with_message(what.to_owned());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    let done = work.await;
    bar.finish_and_clear();
    done
}

/// A bar for work of a known length, shown on a terminal after two seconds.
pub(crate) struct Bar {
    what: &'static str,
    started: Instant,
    bar: Option<ProgressBar>,
}

impl Bar {
    /// Starts to wait.
    pub(crate) fn new(what: &'static str) -> Self {
        Self {
            what,
            started: Instant::now(),
            bar: None,
        }
    }

    /// So much is done, of so much.
    pub(crate) fn at(&mut self, done: usize, all: usize) {
        let (done, all) = (done as u64, all as u64);
        if self.bar.is_none() && self.started.elapsed() > PATIENCE && done < all {
            let bar = ProgressBar::new(all).with_message(self.what);
            if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {percent} % ({eta})")
            {
                bar.set_style(style);
            }
            self.bar = Some(bar);
        }
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A count of work whose length nobody knows, shown on a terminal after two seconds.
pub(crate) struct Count {
    what: &'static str,
    started: Instant,
    bar: Option<ProgressBar>,
}

impl Count {
    /// Starts to count.
    pub(crate) fn new(what: &'static str) -> Self {
        Self {
            what,
            started: Instant::now(),
            bar: None,
        }
    }

    /// So much is done.
    pub(crate) fn at(&mut self, done: u64) {
        if self.bar.is_none() && self.started.elapsed() > PATIENCE {
            let bar = ProgressBar::new_spinner().with_message(self.what);
            if let Ok(style) = ProgressStyle::with_template("{spinner} {pos} {msg} ({elapsed})") {
                bar.set_style(style);
            }
            self.bar = Some(bar);
        }
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        }
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_move_a_terminal_is_written_out() {
        let said = tame("ok\u{1b}[2J\r\u{202e}\u{9b}1m\u{7f}\tend\n".to_owned());
        assert_eq!(said, "ok\\u001b[2J\\u000d\\u202e\\u009b1m\\u007f\tend\n");
        let value = serde_json::json!({"a": "\u{202e}\u{9b}ü"});
        let back: serde_json::Value = serde_json::from_str(&tame(value.to_string())).unwrap();
        assert_eq!(back, value);
    }
}
