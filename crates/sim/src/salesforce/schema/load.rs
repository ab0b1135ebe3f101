//! Reads the data files into a [`Schema`], filling in what every object has.

mod raw;
mod standard;

use std::collections::HashMap;

use self::raw::{RawField, RawObject, RawRule, RawValue};
use self::standard::{address, audit, currency_code, plain, reference, spaced, system};
use super::{
    ChildRelationship, Derived, Field, FieldIx, Kind, ObjectIx, ObjectType, PickValue, Rule,
    Schema, Verbs,
};
use crate::salesforce::soql;

const FILES: [&str; 8] = [
    include_str!("account.yaml"),
    include_str!("contact.yaml"),
    include_str!("lead.yaml"),
    include_str!("opportunity.yaml"),
    include_str!("service.yaml"),
    include_str!("product.yaml"),
    include_str!("user.yaml"),
    include_str!("setup.yaml"),
];

/// What is wrong with the data files.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// Not the expected YAML.
    #[error("schema file {index} can't be read: {source}")]
    Yaml {
        index: usize,
        source: yaml_serde::Error,
    },
    /// A rule's filter isn't one.
    #[error("a rule of `{object}` can't be read: {message}")]
    Rule { object: String, message: String },
    /// A name that is used but not defined.
    #[error("`{object}` names `{name}`, which does not exist")]
    Unknown { object: String, name: String },
}

impl Schema {
    /// Reads the files that are built in.
    ///
    /// # Errors
    /// A file that is wrong; a test reads them all.
    pub(crate) fn load() -> Result<Self, LoadError> {
        let mut objects = Vec::new();
        for (index, text) in FILES.iter().enumerate() {
            let raw: Vec<RawObject> =
                yaml_serde::from_str(text).map_err(|source| LoadError::Yaml { index, source })?;
            for object in raw {
                objects.push(build(object)?);
            }
        }
        let by_name = index_by(&objects, |object| object.name.to_ascii_lowercase());
        let by_prefix = index_by(&objects, |object| object.prefix.clone());
        let mut schema = Self {
            objects,
            by_name,
            by_prefix,
        };
        link_children(&mut schema)?;
        Ok(schema)
    }
}

fn index_by<T>(items: &[T], key: impl Fn(&T) -> String) -> HashMap<String, usize> {
    items
        .iter()
        .enumerate()
        .map(|(ix, item)| (key(item), ix))
        .collect()
}

/// Gives every parent the list of its children.
fn link_children(schema: &mut Schema) -> Result<(), LoadError> {
    let mut found: Vec<(ObjectIx, ChildRelationship)> = Vec::new();
    for (object_ix, object) in schema.objects.iter().enumerate() {
        for (field_ix, field) in object.fields.iter().enumerate() {
            for target in &field.reference_to {
                let unknown = || LoadError::Unknown {
                    object: object.name.clone(),
                    name: target.clone(),
                };
                let (parent, _) = schema.find(target).ok_or_else(unknown)?;
                if let Some(name) = &field.child_relationship {
                    let (name, cascade) = (name.clone(), field.cascade);
                    found.push((
                        parent,
                        ChildRelationship {
                            name,
                            object: object_ix,
                            field: field_ix,
                            cascade,
                        },
                    ));
                }
            }
        }
    }
    for (parent, child) in found {
        if let Some(object) = schema.objects.get_mut(parent) {
            object.children.push(child);
        }
    }
    Ok(())
}

fn build(raw: RawObject) -> Result<ObjectType, LoadError> {
    let mut fields = vec![
        system("Id", "Record ID", Kind::Id),
        system("IsDeleted", "Deleted", Kind::Boolean),
    ];
    fields.extend(raw.fields.into_iter().map(field));
    for prefix in &raw.addresses {
        fields.extend(address(prefix));
    }
    if raw.currency {
        fields.push(currency_code());
    }
    if !raw.owner.is_empty() {
        fields.push(Field {
            default: None,
            ..reference("OwnerId", "Owner ID", &raw.owner, "Owner")
        });
    }
    fields.extend(audit());
    let by_name = index_by(&fields, |field| field.name.to_ascii_lowercase());
    let related = |(ix, field): (FieldIx, &Field)| {
        Some((field.relationship.as_ref()?.to_ascii_lowercase(), ix))
    };
    let by_relationship = fields.iter().enumerate().filter_map(related).collect();
    let find = |name: &str| by_name.get(&name.to_ascii_lowercase()).copied();
    let state_field = match &raw.state_field {
        Some(name) => {
            let unknown = || LoadError::Unknown {
                object: raw.name.clone(),
                name: name.clone(),
            };
            Some(find(name).ok_or_else(unknown)?)
        }
        None => None,
    };
    let name_field = find("Name")
        .or_else(|| find("Subject"))
        .or_else(|| find("CaseNumber"));
    let label = raw.label.unwrap_or_else(|| spaced(&raw.name));
    Ok(ObjectType {
        label_plural: raw.plural.unwrap_or_else(|| format!("{label}s")),
        label,
        verbs: Verbs {
            create: !raw.read_only,
            update: !raw.read_only,
            delete: !raw.read_only && raw.deletable,
        },
        searchable: raw.searchable,
        rules: rules(&raw.name, raw.rules)?,
        name: raw.name,
        prefix: raw.prefix,
        fields,
        children: Vec::new(),
        state_field,
        name_field,
        by_name,
        by_relationship,
    })
}

fn rules(object: &str, raw: Vec<RawRule>) -> Result<Vec<Rule>, LoadError> {
    let read = |rule: RawRule| {
        let when = soql::parse_filter(&rule.when).map_err(|error| LoadError::Rule {
            object: object.to_owned(),
            message: error.to_string(),
        })?;
        Ok(Rule {
            when,
            message: rule.message,
            field: rule.field,
        })
    };
    raw.into_iter().map(read).collect()
}

fn field(raw: RawField) -> Field {
    let label = raw
        .label
        .unwrap_or_else(|| spaced(raw.name.trim_end_matches("__c")));
    let base = plain(&raw.name, &label, raw.kind);
    let relationship = raw
        .relationship
        .or_else(|| relationship_name(&raw.name, raw.kind));
    let computed = raw.derived.is_some_and(|derived| {
        !matches!(derived, Derived::Probability | Derived::AccountOfContact)
    });
    let locked = raw.read_only || computed;
    Field {
        length: raw.length.unwrap_or(base.length),
        precision: raw.precision.unwrap_or(base.precision),
        scale: raw.scale.unwrap_or(base.scale),
        required: raw.required,
        createable: !locked,
        updateable: !locked && !raw.create_only,
        unique: raw.unique,
        external_id: raw.external_id,
        id_lookup: raw.id_lookup || raw.external_id,
        case_sensitive: raw.case_sensitive,
        restricted: raw.restricted,
        values: raw.values.into_iter().map(pick_value).collect(),
        reference_to: raw.to,
        relationship,
        child_relationship: raw.children,
        cascade: raw.cascade,
        default: raw.default,
        calculated: matches!(raw.derived, Some(Derived::ExpectedRevenue)),
        derived: raw.derived,
        part_of: raw.part_of,
        ..base
    }
}

fn pick_value(raw: RawValue) -> PickValue {
    match raw {
        RawValue::Plain(value) => PickValue {
            value,
            ..PickValue::default()
        },
        RawValue::Full(full) => PickValue {
            value: full.value,
            default: full.default,
            closed: full.closed,
            won: full.won,
            probability: full.probability,
            forecast: full.forecast,
        },
    }
}

/// `AccountId` → `Account`, `Partner__c` → `Partner__r`.
fn relationship_name(name: &str, kind: Kind) -> Option<String> {
    if kind != Kind::Reference {
        return None;
    }
    let custom = name.strip_suffix("__c").map(|stem| format!("{stem}__r"));
    custom.or_else(|| name.strip_suffix("Id").map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_read_and_hang_together() {
        let schema = Schema::load().unwrap();
        for object in &schema.objects {
            let mut names: Vec<_> = object
                .fields
                .iter()
                .map(|field| field.name.to_lowercase())
                .collect();
            names.sort();
            names.dedup();
            assert_eq!(
                names.len(),
                object.fields.len(),
                "{} has a field twice",
                object.name
            );
            for rule in object.rules.iter().filter_map(|rule| rule.field.as_ref()) {
                assert!(
                    object.find(rule).is_some(),
                    "{}: rule names {rule}",
                    object.name
                );
            }
            for field in &object.fields {
                let picks = matches!(field.kind, Kind::Picklist | Kind::MultiPicklist);
                assert_eq!(
                    picks,
                    !field.values.is_empty(),
                    "{}.{}: values",
                    object.name,
                    field.name
                );
                assert_eq!(
                    field.kind == Kind::Reference,
                    !field.reference_to.is_empty(),
                    "{}",
                    field.name
                );
            }
        }
        for name in [
            "Account",
            "Contact",
            "Lead",
            "Opportunity",
            "Case",
            "Task",
            "User",
            "Product2",
            "PermissionSet",
        ] {
            assert!(schema.find(&name.to_uppercase()).is_some(), "{name}");
        }
    }

    #[test]
    fn children_and_parents_are_linked() {
        let schema = Schema::load().unwrap();
        let (_, account) = schema.find("account").unwrap();
        let contacts = account.find_children("contacts").unwrap();
        assert_eq!(schema.objects[contacts.object].name, "Contact");
        assert!(contacts.cascade);
        let (_, contact) = schema.find("Contact").unwrap();
        assert_eq!(
            contact.find_relationship("ACCOUNT").unwrap().1.name,
            "AccountId"
        );
    }
}
