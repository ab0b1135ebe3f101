//! Fields that Salesforce makes out of others: full names and addresses.

use crmgate_domain::{Document, Object};

use super::spelling;
use crate::metadata::{Describe, Field, FieldKind};

/// The parts of a person's name in the order in which the full name has them. The salutation is
/// no part of it.
const NAME_PARTS: [&str; 4] = ["FirstName", "MiddleName", "LastName", "Suffix"];

/// Makes compounds anew where all their parts are known. In a create, a part that is not there is
/// empty; in an update it is unknown, unless it was read.
pub(crate) fn complete(describe: &Describe, create: bool, record: &mut Object) {
    let compounds: Vec<&Field> = describe
        .fields()
        .filter(|field| describe.parts(&field.name).next().is_some())
        .collect();
    for compound in compounds {
        let parts: Vec<&Field> = describe.parts(&compound.name).collect();
        let touched = parts.iter().any(|part| record.contains(&part.name));
        let known = create || parts.iter().all(|part| record.contains(&part.name));
        if !touched || !known {
            continue;
        }
        let value = match compound.kind {
            FieldKind::Address | FieldKind::Location => members(compound, &parts, record),
            _ => full_name(record),
        };
        record.set(&compound.name, value);
    }
}

fn full_name(record: &Object) -> Document {
    let parts: Vec<&str> = NAME_PARTS
        .iter()
        .filter_map(|part| record.get(part)?.as_str())
        .collect();
    if parts.is_empty() {
        Document::Null
    } else {
        parts.join(" ").into()
    }
}

fn members(compound: &Field, parts: &[&Field], record: &Object) -> Document {
    // Members that no field stands for stay as they were read.
    let mut object = record
        .get(&compound.name)
        .and_then(Document::as_object)
        .cloned()
        .unwrap_or_default();
    for part in parts {
        let value = record.get(&part.name).cloned().unwrap_or_default();
        object.set(&member_name(&compound.name, &part.name), value);
    }
    spelling::compound(object)
}

/// `MailingPostalCode` in `MailingAddress` is `postalCode`; `Loc__Latitude__s` in `Loc__c` is
/// `latitude`.
fn member_name(compound: &str, part: &str) -> String {
    let prefix = compound
        .strip_suffix("Address")
        .or_else(|| compound.strip_suffix("c"))
        .unwrap_or_default();
    let rest = part.strip_prefix(prefix).unwrap_or(part);
    let rest = rest.strip_suffix("__s").unwrap_or(rest);
    let mut letters = rest.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_ascii_lowercase().to_string() + letters.as_str()
    })
}
