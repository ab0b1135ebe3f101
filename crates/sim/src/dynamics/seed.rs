//! The data that the environment begins with: an organization, its people, and their customers.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::error::Outcome;
use super::options::DynamicsOptions;
use super::schema::{Schema, SchemaError, stable_id};
use super::security::{Caller, Principal};
use super::store::Store;
use super::write::{Bypass, Terms, Work, planted};
use crate::Entropy;

const FILES: [(&str, &str); 6] = [
    ("seed/organization", include_str!("seed/organization.yaml")),
    ("seed/accounts", include_str!("seed/accounts.yaml")),
    ("seed/contacts", include_str!("seed/contacts.yaml")),
    ("seed/sales", include_str!("seed/sales.yaml")),
    ("seed/service", include_str!("seed/service.yaml")),
    ("seed/messages", include_str!("seed/messages.yaml")),
];
/// When the first row was made: 2026-03-02.
const FIRST_DAY: i64 = 1_772_438_400;
/// How long it took to the next one each time, in seconds.
const PACE: i64 = 19 * 3600 + 1187;
const ADMINISTRATOR: &str = "systemuser/admin";
const UNIT: &str = "businessunit/root";

/// Rows of one table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    table: String,
    #[serde(default)]
    rows: Vec<Map<String, Value>>,
    /// Links between rows: relationship, left, right.
    #[serde(default)]
    links: Vec<(String, String, String)>,
}

/// The identifier of a seeded row, by its name such as `contact/ada`.
pub(crate) fn row_id(path: &str) -> Uuid {
    stable_id("row", path)
}

/// The user who made the seeded data, with all its rights.
pub(crate) fn administrator(store: &Store) -> Option<Principal> {
    Principal::of(store, row_id(ADMINISTRATOR))
}

/// Builds the data anew.
pub(crate) fn seed(options: &DynamicsOptions) -> Result<Store, SchemaError> {
    let mut store = Store::new(Schema::shipped()?);
    let caller = Caller::new(Principal::bare(row_id(ADMINISTRATOR), row_id(UNIT)));
    let mut planter = Planter {
        store: &mut store,
        caller: &caller,
        entropy: Entropy::new(Some([0x53; 16])),
        planted: 0,
    };
    for (file, text) in FILES {
        let groups: Vec<Group> = yaml_serde::from_str(text)
            .map_err(|source| SchemaError::Unreadable { file, source })?;
        for mut group in groups {
            match group.table.as_str() {
                "organization" => group.rows.push(organization(options)),
                "systemuser" => {
                    let applications = options.applications.iter();
                    group.rows.extend(applications.map(application_user));
                }
                _ => {}
            }
            planter.group(file, &group)?;
        }
    }
    for application in options.applications.iter() {
        if let Some(role) = &application.role {
            let user = format!("systemuser/{}", application.client_id);
            let role = format!("role/{}", role.to_lowercase().replace(' ', "-"));
            planter.link("systemuserroles_association", &user, &role)?;
        }
    }
    Ok(store)
}

fn organization(options: &DynamicsOptions) -> Map<String, Value> {
    object(json!({
        "organizationid": options.organization_id,
        "name": options.organization_name,
        "languagecode": 1033,
        "maxuploadfilesize": 33_554_432,
        "basecurrencyid": "@transactioncurrency/eur",
    }))
}

fn application_user(application: &super::Application) -> Map<String, Value> {
    let mut user = object(json!({
        "ref": application.client_id,
        "firstname": "#",
        "lastname": application.name,
        "domainname": format!("{}@acme.example", application.client_id),
        "internalemailaddress": format!("{}@acme.example", application.name.to_lowercase().replace(' ', ".")),
        "applicationid": application.client_id,
        "azureactivedirectoryobjectid": application.object_id,
        "accessmode": 4,
        "islicensed": false,
        "businessunitid": "@businessunit/root",
    }));
    // Without a role it is a stranger to the environment.
    if application.role.is_none() {
        user.insert("isdisabled".to_owned(), json!(true));
    }
    user
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

struct Planter<'a> {
    store: &'a mut Store,
    caller: &'a Caller,
    entropy: Entropy,
    planted: i64,
}

impl Planter<'_> {
    fn group(&mut self, file: &str, group: &Group) -> Result<(), SchemaError> {
        let place = |detail: String| SchemaError::Dangling {
            place: format!("{file}: {}", group.table),
            name: detail,
        };
        for row in &group.rows {
            self.row(&group.table, row)
                .map_err(|error| place(error.message))?;
        }
        for (relation, left, right) in &group.links {
            self.link(relation, left, right)?;
        }
        Ok(())
    }

    fn row(&mut self, table: &str, row: &Map<String, Value>) -> Outcome<()> {
        let table = Arc::clone(self.store.table(table)?);
        let mut values = row.clone();
        let name = values.remove("ref");
        let given = values
            .remove(&table.id)
            .and_then(|id| Uuid::try_parse(id.as_str()?).ok());
        let id = match (given, name.as_ref().and_then(Value::as_str)) {
            (Some(id), _) => id,
            (None, Some(name)) => row_id(&format!("{}/{name}", table.name)),
            (None, None) => row_id(&format!("{}/{}", table.name, self.planted)),
        };
        self.planted += 1;
        let terms = Terms {
            now: self.time(),
            base_url: "",
            bypass: Bypass::default(),
            detect_duplicates: false,
            entropy: &self.entropy,
        };
        let mut work = Work {
            store: self.store,
            caller: self.caller,
            terms: &terms,
        };
        work.plant(&table, id, &values)
    }

    fn time(&self) -> Timestamp {
        let first = Timestamp::from_second(FIRST_DAY).unwrap_or(Timestamp::UNIX_EPOCH);
        first
            .checked_add(SignedDuration::from_secs(self.planted * PACE))
            .unwrap_or(first)
    }

    fn link(&mut self, relation: &str, left: &str, right: &str) -> Result<(), SchemaError> {
        let dangling = |name: &str| SchemaError::Dangling {
            place: relation.to_owned(),
            name: name.to_owned(),
        };
        let links = &self.store.schema().links;
        let link = links
            .iter()
            .find(|link| link.name == relation)
            .cloned()
            .ok_or_else(|| dangling(relation))?;
        let end = |path: &str| {
            planted(&format!("@{path}"))
                .filter(|to| self.store.row(&to.table, to.id).is_some())
                .map(|to| to.id)
                .ok_or_else(|| dangling(path))
        };
        let (left, right) = (end(left)?, end(right)?);
        self.store.link(&link, left, right);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lookup_in_the_seed_points_at_a_row() {
        let store = seed(&DynamicsOptions::default()).unwrap();
        let mut lookups = 0;
        for table in store.schema().tables() {
            assert!(
                store.count(&table.name) > 0 || table.activity,
                "{}",
                table.name
            );
            for row in store.rows(&table.name) {
                for (position, column) in table.columns.iter().enumerate() {
                    if let Some(to) = row.at(position).as_lookup() {
                        lookups += 1;
                        assert!(
                            store.row(&to.table, to.id).is_some(),
                            "{}.{} of {}",
                            table.name,
                            column.name,
                            row.id
                        );
                    }
                }
            }
        }
        assert!(lookups > 500, "{lookups}");
        assert!(administrator(&store).is_some());
    }
}
