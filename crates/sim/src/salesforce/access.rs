//! What a user may do with objects, and see of fields: profile plus permission sets.

use std::collections::HashMap;

use serde::Deserialize;

use super::schema::{FieldIx, ObjectIx, Schema, Verbs};

const FILE: &str = include_str!("access.yaml");

/// One user's permissions.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    objects: Vec<ObjectAccess>,
}

#[derive(Clone, Debug)]
struct ObjectAccess {
    verbs: Verbs,
    fields: Vec<FieldAccess>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum FieldAccess {
    Hidden,
    Read,
    Edit,
}

/// What the data file says of all profiles and permission sets.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccessRules {
    profiles: HashMap<String, Limits>,
    permission_sets: HashMap<String, Grants>,
}

/// What a profile takes away from full access.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Limits {
    denied: HashMap<String, Vec<Verb>>,
    hidden: HashMap<String, Vec<String>>,
    read_only: HashMap<String, Vec<String>>,
}

/// What a permission set gives back.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Grants {
    allowed: HashMap<String, Vec<Verb>>,
    editable: HashMap<String, Vec<String>>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Verb {
    Create,
    Edit,
    Delete,
}

impl AccessRules {
    /// Reads the file that is built in.
    pub(crate) fn load() -> Result<Self, yaml_serde::Error> {
        yaml_serde::from_str(FILE)
    }

    /// Joins a profile with permission sets. A profile that the file doesn't name limits nothing.
    pub(crate) fn access<'a>(
        &self,
        schema: &Schema,
        profile: &str,
        permission_sets: impl IntoIterator<Item = &'a str>,
    ) -> Access {
        let mut access = Access::full(schema);
        if let Some(limits) = self.profiles.get(profile) {
            for (object, verbs) in &limits.denied {
                access.allow(schema, object, verbs, false);
            }
            access.set_fields(schema, &limits.read_only, FieldAccess::Read);
            access.set_fields(schema, &limits.hidden, FieldAccess::Hidden);
        }
        for grants in permission_sets
            .into_iter()
            .filter_map(|name| self.permission_sets.get(name))
        {
            for (object, verbs) in &grants.allowed {
                access.allow(schema, object, verbs, true);
            }
            access.set_fields(schema, &grants.editable, FieldAccess::Edit);
        }
        access
    }
}

impl Access {
    /// Everything that the objects themselves allow.
    pub(crate) fn full(schema: &Schema) -> Self {
        let objects = schema.objects.iter();
        let whole = |count| vec![FieldAccess::Edit; count];
        let objects = objects.map(|object| ObjectAccess {
            verbs: object.verbs,
            fields: whole(object.fields.len()),
        });
        Self {
            objects: objects.collect(),
        }
    }

    /// What may be done with records of an object.
    pub(crate) fn verbs(&self, object: ObjectIx) -> Verbs {
        self.objects
            .get(object)
            .map(|object| object.verbs)
            .unwrap_or_default()
    }

    /// Whether a field is there at all, for this user.
    pub(crate) fn sees(&self, object: ObjectIx, field: FieldIx) -> bool {
        self.field(object, field) > FieldAccess::Hidden
    }

    /// Whether a field may be written, as far as permissions go.
    pub(crate) fn edits(&self, object: ObjectIx, field: FieldIx) -> bool {
        self.field(object, field) == FieldAccess::Edit
    }

    fn field(&self, object: ObjectIx, field: FieldIx) -> FieldAccess {
        let object = self.objects.get(object);
        object
            .and_then(|object| object.fields.get(field))
            .copied()
            .unwrap_or(FieldAccess::Hidden)
    }

    fn allow(&mut self, schema: &Schema, object: &str, verbs: &[Verb], allowed: bool) {
        let Some((ix, kind)) = schema.find(object) else {
            return;
        };
        let Some(object) = self.objects.get_mut(ix) else {
            return;
        };
        for verb in verbs {
            match verb {
                Verb::Create => object.verbs.create = allowed && kind.verbs.create,
                Verb::Edit => object.verbs.update = allowed && kind.verbs.update,
                Verb::Delete => object.verbs.delete = allowed && kind.verbs.delete,
            }
        }
    }

    fn set_fields(
        &mut self,
        schema: &Schema,
        named: &HashMap<String, Vec<String>>,
        to: FieldAccess,
    ) {
        for (object, fields) in named {
            let Some((ix, kind)) = schema.find(object) else {
                continue;
            };
            let Some(object) = self.objects.get_mut(ix) else {
                continue;
            };
            for (field, _) in fields.iter().filter_map(|name| kind.find(name)) {
                if let Some(place) = object.fields.get_mut(field) {
                    *place = to;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_names_only_what_exists() {
        let schema = Schema::load().unwrap();
        let rules = AccessRules::load().unwrap();
        let fields = rules
            .profiles
            .values()
            .flat_map(|limits| limits.hidden.iter().chain(&limits.read_only));
        let fields = fields.chain(
            rules
                .permission_sets
                .values()
                .flat_map(|grants| &grants.editable),
        );
        for (object, names) in fields {
            let (_, kind) = schema.find(object).unwrap();
            for name in names {
                let (_, field) = kind.find(name).unwrap_or_else(|| panic!("{object}.{name}"));
                assert!(
                    !field.required,
                    "{object}.{name} is required, so it can't be hidden"
                );
            }
        }
    }

    #[test]
    fn a_permission_set_gives_back_what_the_profile_takes() {
        let schema = Schema::load().unwrap();
        let rules = AccessRules::load().unwrap();
        let (object, kind) = schema.find("Opportunity").unwrap();
        let (discount, _) = kind.find("Discount__c").unwrap();
        let without = rules.access(&schema, "Restricted Sales", []);
        assert!(!without.sees(object, discount) && !without.verbs(object).delete);
        let with = rules.access(&schema, "Restricted Sales", ["Discount_Desk"]);
        assert!(with.edits(object, discount) && !with.verbs(object).delete);
        assert!(
            rules
                .access(&schema, "System Administrator", [])
                .verbs(object)
                .delete
        );
    }
}
