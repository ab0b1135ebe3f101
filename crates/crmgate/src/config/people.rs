//! Who is who: people, their accounts and their groups.

use std::sync::Arc;

use crmgate_domain::approval::{People, PeopleFault, Person};

use super::section::Section;
use super::{Faults, value};

/// Reads everybody.
pub(super) fn read(section: Section<'_>, faults: &Faults) -> Arc<People> {
    let people = section.sections().into_iter().map(|(name, mut section)| {
        let mut texts = |key| {
            section
                .get(key, |v| value::list(v, value::text))
                .unwrap_or_default()
        };
        let (accounts, groups) = (texts("accounts"), texts("groups"));
        section.finish();
        Person {
            name,
            accounts,
            groups,
        }
    });
    match People::new(people.collect()) {
        Ok(people) => Arc::new(people),
        Err(found) => {
            for fault in found {
                let name = match &fault {
                    PeopleFault::Empty(name) => name,
                    PeopleFault::Shared { second, .. } => second,
                };
                faults.add(&format!("people.{name}"), fault.to_string());
            }
            Arc::default()
        }
    }
}
