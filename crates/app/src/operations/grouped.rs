//! Groups of a submission: those of one group happen together or not at all, so they are taken
//! together or not at all.

use std::collections::{BTreeMap, HashMap, HashSet};

use crmgate_domain::ConnectionName;

use super::request::Wrong;

/// Grouped operations of one request: their line numbers are held until its end.
const MOST_GROUPED: usize = 100_000;

struct Group {
    connection: ConnectionName,
    members: usize,
    /// Members that were there before.
    repeated: u64,
}

/// The groups of a submission.
#[derive(Default)]
pub(crate) struct Groups {
    known: HashMap<String, Group>,
    /// Groups of which a line is refused.
    refused: HashSet<String>,
    /// The group of each line that is staged.
    lines: BTreeMap<u64, String>,
}

impl Groups {
    /// A line joins a group.
    pub(crate) fn join(
        &mut self,
        name: &str,
        connection: &ConnectionName,
        line: u64,
        most: usize,
    ) -> Result<(), Wrong> {
        let wrong = |code, message: String| Err(Wrong::at(code, "group", message));
        if self.lines.len() >= MOST_GROUPED {
            return wrong(
                "too_many_grouped",
                format!("more than {MOST_GROUPED} operations of one request stand in groups"),
            );
        }
        let group = self.known.entry(name.to_owned()).or_insert_with(|| Group {
            connection: connection.clone(),
            members: 0,
            repeated: 0,
        });
        if group.connection != *connection {
            let message = format!(
                "`{name}` is over connection `{}`: a group has one connection",
                group.connection
            );
            return wrong("group_of_several_connections", message);
        }
        if group.members >= most {
            let message = format!("`{name}` has more than {most} operations");
            return wrong("group_too_large", message);
        }
        group.members += 1;
        self.lines.insert(line, name.to_owned());
        Ok(())
    }

    /// A line of it is refused, so all are.
    pub(crate) fn refuse(&mut self, name: &str) {
        if self.refused.len() < MOST_GROUPED {
            self.refused.insert(name.to_owned());
        }
    }

    /// A line that was staged is refused, and with it its group.
    pub(crate) fn refuse_line(&mut self, line: u64) {
        if let Some(name) = self.lines.remove(&line) {
            self.refuse(&name);
        }
    }

    /// A line turned out to be there already.
    pub(crate) fn repeat(&mut self, line: u64) {
        let name = self.lines.remove(&line);
        if let Some(group) = name.and_then(|name| self.known.get_mut(&name)) {
            group.repeated += 1;
        }
    }

    /// Staged lines whose group is not whole, and why; each is told once.
    pub(crate) fn incomplete(&mut self) -> Vec<(u64, Wrong)> {
        let mut found = Vec::new();
        self.lines.retain(|line, name| {
            let repeated = self.known.get(name).map_or(0, |group| group.repeated);
            let (code, message) = if self.refused.contains(name) {
                let message = format!("another operation of group `{name}` is refused");
                ("group_refused", message)
            } else if repeated > 0 {
                let message = format!(
                    "{repeated} operations of group `{name}` were submitted before, without this one"
                );
                ("group_partly_known", message)
            } else {
                return true;
            };
            found.push((*line, Wrong::at(code, "group", message)));
            false
        });
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(found: &[(u64, Wrong)]) -> Vec<(u64, &str)> {
        found
            .iter()
            .map(|(line, wrong)| (*line, wrong.code))
            .collect()
    }

    #[test]
    fn a_refused_line_takes_its_group_with_it() {
        let at: ConnectionName = "a".parse().unwrap();
        let mut groups = Groups::default();
        for (line, name) in [(1, "x"), (2, "y"), (3, "x"), (4, "z")] {
            groups.join(name, &at, line, 10).unwrap();
        }
        groups.refuse("x");
        groups.refuse_line(4);
        assert_eq!(
            lines(&groups.incomplete()),
            [(1, "group_refused"), (3, "group_refused")]
        );
        assert!(groups.incomplete().is_empty(), "told once");
        groups.join("x", &at, 9, 10).unwrap();
        assert_eq!(lines(&groups.incomplete()), [(9, "group_refused")]);
    }

    #[test]
    fn a_group_that_is_partly_known_is_refused() {
        let at: ConnectionName = "a".parse().unwrap();
        let mut groups = Groups::default();
        groups.join("x", &at, 1, 10).unwrap();
        groups.join("x", &at, 2, 10).unwrap();
        groups.repeat(1);
        assert_eq!(lines(&groups.incomplete()), [(2, "group_partly_known")]);
    }

    #[test]
    fn sizes_and_connections_are_held() {
        let (a, b): (ConnectionName, ConnectionName) = ("a".parse().unwrap(), "b".parse().unwrap());
        let mut groups = Groups::default();
        groups.join("x", &a, 1, 1).unwrap();
        assert_eq!(
            groups.join("x", &b, 2, 1).unwrap_err().code,
            "group_of_several_connections"
        );
        assert_eq!(
            groups.join("x", &a, 2, 1).unwrap_err().code,
            "group_too_large"
        );
    }
}
