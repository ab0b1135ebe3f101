//! Who may do what: security roles, depths of access, column security, impersonation.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use http::StatusCode;
use serde::Deserialize;
use uuid::Uuid;

use super::error::{ApiError, Outcome};
use super::schema::{Column, SchemaError, Table};
use super::store::{Row, Store};

/// What is done to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Right {
    Create,
    Read,
    Write,
    Delete,
    Assign,
    Append,
    AppendTo,
}

impl Right {
    fn verb(self) -> &'static str {
        match self {
            Self::Create => "Create",
            Self::Read => "Read",
            Self::Write => "Write",
            Self::Delete => "Delete",
            Self::Assign => "Assign",
            Self::Append => "Append",
            Self::AppendTo => "AppendTo",
        }
    }
}

/// Whose records a right covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Depth {
    User,
    Unit,
    Organization,
}

/// What a security role grants; the rows of the table `role` only name them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Role {
    name: String,
    /// For every table and right.
    #[serde(default)]
    everything: Option<Depth>,
    #[serde(default)]
    tables: HashMap<String, HashMap<Right, Depth>>,
    /// Privileges that belong to no table.
    #[serde(default)]
    privileges: HashSet<String>,
    /// Secured columns that it opens.
    #[serde(default)]
    secured_columns: bool,
}

/// A user with all that its roles grant.
#[derive(Clone, Debug)]
pub(crate) struct Principal {
    pub(crate) id: Uuid,
    pub(crate) unit: Uuid,
    teams: Vec<Uuid>,
    roles: Vec<&'static Role>,
}

/// On whose behalf a request is made.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// Whose name the changes bear.
    pub(crate) user: Principal,
    /// Who really called, where that is someone else.
    pub(crate) behind: Option<Principal>,
}

fn shipped() -> Result<&'static [Role], SchemaError> {
    static ROLES: OnceLock<Vec<Role>> = OnceLock::new();
    if let Some(roles) = ROLES.get() {
        return Ok(roles);
    }
    let roles = yaml_serde::from_str(include_str!("tables/roles.yaml")).map_err(|source| {
        SchemaError::Unreadable {
            file: "roles",
            source,
        }
    })?;
    Ok(ROLES.get_or_init(|| roles))
}

impl Principal {
    /// Someone without any rights, to put a name to the seeded data.
    pub(crate) fn bare(id: Uuid, unit: Uuid) -> Self {
        Self {
            id,
            unit,
            teams: Vec::new(),
            roles: Vec::new(),
        }
    }

    /// Collects what a user's own roles and those of its teams grant.
    pub(crate) fn of(store: &Store, id: Uuid) -> Option<Self> {
        let users = store.schema().table("systemuser")?;
        let row = store.row("systemuser", id)?;
        if matches!(row.get(users, "isdisabled"), super::cell::Cell::Bool(true)) {
            return None;
        }
        let unit = row.get(users, "businessunitid").as_id()?;
        let link = |name: &str| store.schema().links.iter().find(|link| link.name == name);
        let teams = link("teammembership_association")
            .map(|link| store.linked(link, "systemuser", id))
            .unwrap_or_default();
        let mut named = Vec::new();
        if let Some(link) = link("systemuserroles_association") {
            named.extend(store.linked(link, "systemuser", id));
        }
        if let Some(link) = link("teamroles_association") {
            for team in &teams {
                named.extend(store.linked(link, "team", *team));
            }
        }
        let table = store.schema().table("role")?;
        let names: Vec<&str> = named
            .iter()
            .filter_map(|role| store.row("role", *role)?.get(table, "name").as_text())
            .collect();
        let roles = shipped()
            .ok()?
            .iter()
            .filter(|role| names.contains(&role.name.as_str()))
            .collect();
        Some(Self {
            id,
            unit,
            teams,
            roles,
        })
    }

    fn depth(&self, table: &str, right: Right) -> Option<Depth> {
        self.roles
            .iter()
            .filter_map(|role| {
                let listed = role.tables.get(table).and_then(|rights| rights.get(&right));
                listed.copied().max(role.everything)
            })
            .max()
    }

    fn has(&self, privilege: &str) -> bool {
        self.roles
            .iter()
            .any(|role| role.privileges.contains(privilege))
    }

    fn reaches(&self, depth: Depth, table: &Table, row: &Row) -> bool {
        let Some(owner) = row.get(table, "ownerid").as_id() else {
            // Rows that nobody owns belong to the organization or a unit; only users' rows are anyone's own.
            return depth > Depth::User || row.id == self.id || &*table.name != "systemuser";
        };
        match depth {
            Depth::Organization => true,
            Depth::Unit => {
                row.get(table, "owningbusinessunit").as_id() == Some(self.unit)
                    || owner == self.id
                    || self.teams.contains(&owner)
            }
            Depth::User => owner == self.id || self.teams.contains(&owner),
        }
    }

    fn opens_secured(&self) -> bool {
        self.roles.iter().any(|role| role.secured_columns)
    }

    fn describe(&self) -> String {
        format!(
            "Principal user (Id={}, type=8, roleCount={}, businessUnitId={})",
            self.id,
            self.roles.len(),
            self.unit
        )
    }
}

impl Caller {
    pub(crate) fn new(user: Principal) -> Self {
        Self { user, behind: None }
    }

    /// Takes on another user's part. What both may do remains.
    pub(crate) fn impersonate(self, user: Principal) -> Outcome<Self> {
        if user.id == self.user.id {
            return Ok(self);
        }
        if !self.user.has("prvActOnBehalfOfAnotherUser") {
            return Err(ApiError::new(
                StatusCode::FORBIDDEN,
                "0x8004a110",
                format!(
                    "{} is missing prvActOnBehalfOfAnotherUser privilege",
                    self.user.describe()
                ),
            ));
        }
        Ok(Self {
            user,
            behind: Some(self.user),
        })
    }

    fn everyone(&self) -> impl Iterator<Item = &Principal> {
        std::iter::once(&self.user).chain(&self.behind)
    }

    /// Whether a right is held at all.
    pub(crate) fn check(&self, table: &Table, right: Right) -> Outcome<()> {
        for one in self.everyone() {
            if one.depth(&table.name, right).is_none() {
                let privilege = format!("prv{}{}", right.verb(), table.schema);
                return Err(ApiError::new(
                    StatusCode::FORBIDDEN,
                    "0x80040220",
                    format!(
                        "{}, is missing {privilege} privilege (Id={}) on OTC={} for entity '{}' (LocalizedName='{}'). context.Caller={}",
                        one.describe(),
                        super::schema::stable_id("privilege", &privilege),
                        table.code,
                        table.name,
                        table.label,
                        self.user.id
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Whether a right covers this row.
    pub(crate) fn covers(&self, table: &Table, row: &Row, right: Right) -> bool {
        self.everyone().all(|one| {
            one.depth(&table.name, right)
                .is_some_and(|depth| one.reaches(depth, table, row))
        })
    }

    /// Both: the right, and its reach.
    pub(crate) fn check_row(&self, table: &Table, row: &Row, right: Right) -> Outcome<()> {
        self.check(table, right)?;
        if self.covers(table, row, right) {
            return Ok(());
        }
        Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "0x80048306",
            format!(
                "{}, does not have {}Access right(s) for record with id {} of entity {}",
                self.user.describe(),
                right.verb(),
                row.id,
                table.label
            ),
        ))
    }

    /// A privilege that belongs to no table.
    pub(crate) fn check_privilege(&self, privilege: &str) -> Outcome<()> {
        for one in self.everyone() {
            if !one.has(privilege) {
                return Err(ApiError::new(
                    StatusCode::FORBIDDEN,
                    "0x80040220",
                    format!("{}, is missing {privilege} privilege", one.describe()),
                ));
            }
        }
        Ok(())
    }

    pub(crate) fn sees(&self, column: &Column) -> bool {
        !column.secured || self.everyone().all(Principal::opens_secured)
    }

    /// Refuses a secured column that the caller may not set.
    pub(crate) fn check_column(&self, table: &Table, column: &Column, new: bool) -> Outcome<()> {
        if self.sees(column) {
            return Ok(());
        }
        let (code, verb) = if new {
            ("0x8004f502", "create")
        } else {
            ("0x8004f507", "update")
        };
        Err(ApiError::new(
            StatusCode::FORBIDDEN,
            code,
            format!(
                "Caller user with Id {} does not have {verb} permissions to a {} secured field on entity {}. The requested operation could not be completed.",
                self.user.id, column.label, table.label
            ),
        ))
    }
}

/// The user that a header of impersonation names.
pub(crate) fn user_by_object_id(store: &Store, object_id: Uuid) -> Option<Uuid> {
    let users: &Arc<Table> = store.schema().table("systemuser")?;
    let key = users
        .keys
        .iter()
        .position(|key| key.columns == ["azureactivedirectoryobjectid"])?;
    let row = store.by_key(users, key, &[object_id.to_string()])?;
    Some(row.id)
}
