//! The org: metadata, records, users, sessions.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use jsonwebtoken::DecodingKey;

use super::access::{Access, AccessRules};
use super::cell::Cell;
use super::cursor::Cursors;
use super::id::RecordId;
use super::options::SalesforceOptions;
use super::schema::{LoadError, ObjectIx, ObjectType, Schema};
use super::seed::{Seed, SeedError};
use super::session::{Session, Sessions};
use super::store::{Row, Store};
use super::usage::Usage;
use crate::entropy::Entropy;

/// Why an org can't be set up.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct SetupError(#[from] SetupFault);

#[derive(Debug, thiserror::Error)]
pub(crate) enum SetupFault {
    #[error(transparent)]
    Schema(#[from] LoadError),
    #[error(transparent)]
    Seed(#[from] SeedError),
    #[error("the profiles can't be read: {0}")]
    Access(#[from] yaml_serde::Error),
    #[error("`jwt_public_key` must be an RSA public key in PEM: {0}")]
    Key(#[from] jsonwebtoken::errors::Error),
    #[error("`tokens` names `{0}`, who is no user of the simulated org")]
    User(String),
}

/// A simulated org. All of it is behind locks that are held for one record operation or one query.
pub(crate) struct Org {
    pub(crate) schema: Arc<Schema>,
    pub(crate) options: SalesforceOptions,
    pub(crate) sessions: Sessions,
    pub(crate) cursors: Cursors,
    pub(crate) usage: Usage,
    pub(crate) entropy: Entropy,
    pub(crate) full: Access,
    pub(crate) jwt_key: Option<DecodingKey>,
    /// Seconds since 1970; when the metadata last changed.
    pub(crate) started: i64,
    rules: AccessRules,
    seed: Seed,
    store: RwLock<Store>,
    access: RwLock<HashMap<RecordId, Arc<Access>>>,
    /// Taken alone by calls that must have the org to themselves, and shared by all others.
    turn: RwLock<()>,
}

/// Who makes a call.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) user: RecordId,
    pub(crate) access: Arc<Access>,
}

impl Org {
    pub(crate) fn new(options: SalesforceOptions) -> Result<Self, SetupFault> {
        let schema = Arc::new(Schema::load()?);
        let clock = options.common.clock.clone();
        let key = options
            .jwt_public_key
            .as_ref()
            .filter(|_| !options.any_jwt_signature);
        let org = Self {
            jwt_key: key
                .map(|pem| DecodingKey::from_rsa_pem(pem.as_bytes()))
                .transpose()?,
            sessions: Sessions::new(clock.clone(), options.session_lifetime),
            cursors: Cursors::new(clock.clone()),
            entropy: Entropy::new(options.common.seed),
            full: Access::full(&schema),
            started: clock.now().as_second(),
            rules: AccessRules::load()?,
            seed: Seed::load()?,
            store: RwLock::new(Store::new(Arc::clone(&schema))),
            access: RwLock::default(),
            turn: RwLock::default(),
            usage: Usage::new(clock.clone(), options.call_quota),
            schema,
            options,
        };
        org.plant()?;
        org.open_given_sessions()?;
        Ok(org)
    }

    /// Back to the seeded records. Sessions stay.
    pub(crate) fn plant(&self) -> Result<(), SetupFault> {
        let _turn = self.turn_alone();
        let mut store = Store::new(Arc::clone(&self.schema));
        self.seed.plant(&mut store, &self.options, self.started)?;
        store.tell_effects(self.options.common.clock.clone());
        *self.write() = store;
        self.cursors.clear();
        self.forget_access();
        Ok(())
    }

    fn open_given_sessions(&self) -> Result<(), SetupFault> {
        let options = &self.options;
        let own = Some((&options.access_token, &options.username, &options.scopes));
        let own = own.filter(|(token, ..)| !token.is_empty());
        let more = options
            .tokens
            .iter()
            .map(|given| (&given.token, &given.username, &given.scopes));
        for (token, username, scopes) in own.into_iter().chain(more) {
            let user = self
                .user_named(username)
                .ok_or_else(|| SetupFault::User(username.clone()))?;
            self.sessions
                .open_as(token.clone(), user, &options.client_id, scopes.clone());
        }
        Ok(())
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Store> {
        self.store.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, Store> {
        self.store.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The object of this name, and where it is.
    pub(crate) fn object(&self, name: &str) -> Option<(ObjectIx, &ObjectType)> {
        self.schema.find(name)
    }

    /// Waits until no other call has the org to itself.
    pub(crate) fn turn(&self) -> RwLockReadGuard<'_, ()> {
        self.turn.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no other call is under way, and lets none begin.
    pub(crate) fn turn_alone(&self) -> RwLockWriteGuard<'_, ()> {
        self.turn.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The user of this name, active or not.
    pub(crate) fn user_named(&self, username: &str) -> Option<RecordId> {
        let (users, kind) = self.schema.find("User")?;
        let (field, _) = kind.find("Username")?;
        self.read().find(users, field, username)?.first().copied()
    }

    /// A user's record.
    pub(crate) fn user(&self, id: RecordId) -> Option<Row> {
        let (users, _) = self.schema.find("User")?;
        self.read().row(users, id).cloned()
    }

    /// A field of a user.
    pub(crate) fn user_field(&self, user: &Row, name: &str) -> Cell {
        self.schema
            .find("User")
            .map(|(_, kind)| user.named(kind, name).clone())
            .unwrap_or_default()
    }

    /// The caller that a session stands for.
    pub(crate) fn caller(&self, session: &Session) -> Caller {
        Caller {
            user: session.user,
            access: self.access_of(session.user),
        }
    }

    /// Permissions may have changed: they are worked out anew when next needed.
    pub(crate) fn forget_access(&self) {
        self.access
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    fn access_of(&self, user: RecordId) -> Arc<Access> {
        if let Some(known) = self
            .access
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&user)
        {
            return Arc::clone(known);
        }
        let (profile, sets) = {
            let store = self.read();
            (
                self.profile_name(&store, user),
                self.permission_sets(&store, user),
            )
        };
        let sets = sets.iter().map(String::as_str);
        let access = Arc::new(
            self.rules
                .access(&self.schema, &profile.unwrap_or_default(), sets),
        );
        let mut known = self.access.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(user, Arc::clone(&access));
        access
    }

    fn profile_name(&self, store: &Store, user: RecordId) -> Option<String> {
        let (users, kind) = self.schema.find("User")?;
        let profile = store
            .row(users, user)?
            .named(kind, "ProfileId")
            .as_ref_id()?;
        let (object, row) = store.by_id(profile)?;
        Some(
            row.named(self.schema.object(object)?, "Name")
                .as_text()?
                .to_owned(),
        )
    }

    fn permission_sets(&self, store: &Store, user: RecordId) -> Vec<String> {
        let found = || {
            let (assignments, kind) = self.schema.find("PermissionSetAssignment")?;
            let (assignee, _) = kind.find("AssigneeId")?;
            let ids = store.children(assignments, assignee, user)?;
            let name = |id: RecordId| {
                let set = store
                    .row(assignments, id)?
                    .named(kind, "PermissionSetId")
                    .as_ref_id()?;
                let (object, row) = store.by_id(set)?;
                Some(
                    row.named(self.schema.object(object)?, "Name")
                        .as_text()?
                        .to_owned(),
                )
            };
            Some(ids.into_iter().filter_map(name).collect())
        };
        found().unwrap_or_default()
    }
}
