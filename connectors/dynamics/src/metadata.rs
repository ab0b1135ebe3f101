//! What the environment says about its tables, remembered.
//!
//! After `life` the environment's metadata version is asked for; while it stands, so does all that
//! is remembered. One fetch is under way at a time.

mod flight;
mod wire;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crmgate_connector::assemble::Currency;
use crmgate_connector::{Credential, Failure};
use crmgate_domain::{Ambient, Timestamp};
use jiff::SignedDuration;
use serde::de::DeserializeOwned;

use self::flight::Flight;

use crate::fault;
use crate::table::Table;
use crate::upstream::Upstream;

/// A table whose description is at least this old is asked for anew when a name is unknown in it.
const FRESH: SignedDuration = SignedDuration::from_secs(10);
/// How long it is remembered that the currencies may not be read: the next caller may.
const REFUSED_FOR: SignedDuration = SignedDuration::from_secs(60);
const VERSION_PREFER: &str =
    "odata.include-annotations=\"Microsoft.Dynamics.CRM.globalmetadataversion\"";

/// One table in the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) set: String,
    pub(crate) primary_id: String,
}

/// All tables, by both of their names.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    entries: Vec<Entry>,
    by_name: HashMap<String, usize>,
    by_set: HashMap<String, usize>,
}

impl Directory {
    pub(crate) fn new(entries: Vec<Entry>) -> Self {
        let index = |name: fn(&Entry) -> &String| {
            let pairs = entries.iter().enumerate();
            pairs.map(|(at, entry)| (name(entry).clone(), at)).collect()
        };
        Self {
            by_name: index(|entry| &entry.name),
            by_set: index(|entry| &entry.set),
            entries,
        }
    }

    pub(crate) fn by_name(&self, name: &str) -> Option<&Entry> {
        self.entries.get(*self.by_name.get(name)?)
    }

    pub(crate) fn by_set(&self, set: &str) -> Option<&Entry> {
        self.entries.get(*self.by_set.get(set)?)
    }
}

/// The environment's currencies.
#[derive(Debug, Default)]
pub(crate) struct Currencies {
    by_id: HashMap<String, Currency>,
    /// What a record gets that names none.
    base: Option<String>,
}

impl Currencies {
    pub(crate) fn get(&self, id: &str) -> Option<&Currency> {
        self.by_id.get(id)
    }

    pub(crate) fn base(&self) -> Option<&Currency> {
        self.by_id.get(self.base.as_ref()?)
    }

    /// The id of an ISO code.
    pub(crate) fn id_of(&self, code: &str) -> Option<&str> {
        let mut found = self.by_id.iter().filter(|(_, known)| known.code == code);
        found.next().map(|(id, _)| id.as_str())
    }
}

#[derive(Default)]
struct Remembered {
    version: Option<String>,
    checked: Option<Timestamp>,
    directory: Option<Arc<Directory>>,
    currencies: Option<(Timestamp, Arc<Currencies>)>,
    tables: HashMap<String, (Timestamp, Arc<Table>)>,
}

/// The memory.
pub(crate) struct Metadata {
    upstream: Arc<Upstream>,
    ambient: Arc<dyn Ambient>,
    life: SignedDuration,
    remembered: RwLock<Remembered>,
    flight: Flight,
}

impl Metadata {
    pub(crate) fn new(upstream: Arc<Upstream>, ambient: Arc<dyn Ambient>, life: Duration) -> Self {
        Self {
            upstream,
            ambient,
            life: SignedDuration::try_from(life).unwrap_or(SignedDuration::MAX),
            remembered: RwLock::default(),
            flight: Flight::default(),
        }
    }

    /// All tables.
    pub(crate) async fn directory(&self, who: &Credential) -> Result<Arc<Directory>, Failure> {
        if let Some(known) = self.known(|remembered| remembered.directory.clone()) {
            return Ok(known);
        }
        let flight = self.flight.enter().await?;
        self.revalidate(who).await;
        if let Some(known) = self.known(|remembered| remembered.directory.clone()) {
            return Ok(known);
        }
        let path = format!("EntityDefinitions?$select={}", wire::ENTRY_SELECT);
        let list: wire::List<wire::Entry> = flight.end(self.fetch(&path, who).await)?;
        let entries = list
            .value
            .into_iter()
            .filter_map(wire::Entry::read)
            .collect();
        let directory = Arc::new(Directory::new(entries));
        self.keep(|remembered| remembered.directory = Some(Arc::clone(&directory)));
        Ok(directory)
    }

    /// A table by its set; `None` when there is none of that name.
    pub(crate) async fn by_set(
        &self,
        set: &str,
        who: &Credential,
    ) -> Result<Option<Arc<Table>>, Failure> {
        let mut directory = self.directory(who).await?;
        if directory.by_set(set).is_none() {
            // A table made a moment ago.
            if !self.forget_directory() {
                return Ok(None);
            }
            directory = self.directory(who).await?;
        }
        match directory.by_set(set) {
            Some(entry) => self.table(&entry.name, who).await,
            None => Ok(None),
        }
    }

    /// A table by its logical name; `None` when there is none of that name.
    pub(crate) async fn table(
        &self,
        name: &str,
        who: &Credential,
    ) -> Result<Option<Arc<Table>>, Failure> {
        let known = || {
            self.known(|remembered| {
                let table = remembered.tables.get(name);
                table.map(|(_, table)| Arc::clone(table))
            })
        };
        if let Some(table) = known() {
            return Ok(Some(table));
        }
        if self.directory(who).await?.by_name(name).is_none() {
            return Ok(None);
        }
        let flight = self.flight.enter().await?;
        self.revalidate(who).await;
        if let Some(table) = known() {
            return Ok(Some(table));
        }
        let entity = format!("EntityDefinitions(LogicalName='{name}')");
        let path = format!(
            "{entity}?$select={}&$expand={}",
            wire::TABLE_SELECT,
            wire::TABLE_EXPAND
        );
        let dates = format!(
            "{entity}/Attributes/Microsoft.Dynamics.CRM.DateTimeAttributeMetadata?$select={}",
            wire::DATE_SELECT
        );
        let both = futures::try_join!(
            self.fetch::<wire::Definition>(&path, who),
            self.fetch::<wire::List<wire::DateColumn>>(&dates, who)
        );
        let (definition, dates) = flight.end(both)?;
        let table = Arc::new(definition.read(&dates.value));
        let now = self.ambient.now();
        let kept = (now, Arc::clone(&table));
        self.keep(|remembered| remembered.tables.insert(name.to_owned(), kept));
        Ok(Some(table))
    }

    /// The same table asked for anew, unless it was asked for a moment ago.
    pub(crate) async fn fresher(
        &self,
        table: &Arc<Table>,
        who: &Credential,
    ) -> Result<Option<Arc<Table>>, Failure> {
        let now = self.ambient.now();
        let old = self.known(|remembered| {
            let fetched = remembered.tables.get(&table.name)?.0;
            Some(now.duration_since(fetched) > FRESH)
        });
        if old == Some(false) {
            return Ok(None);
        }
        self.keep(|remembered| remembered.tables.remove(&table.name));
        self.table(&table.name, who).await
    }

    /// The currencies. Whoever may not read them gets none: money then has no minor units.
    pub(crate) async fn currencies(&self, who: &Credential) -> Result<Arc<Currencies>, Failure> {
        let known = || {
            self.known(|remembered| {
                let (fetched, currencies) = remembered.currencies.as_ref()?;
                let age = self.ambient.now().duration_since(*fetched);
                let stands = !currencies.by_id.is_empty() || age < REFUSED_FOR;
                stands.then(|| Arc::clone(currencies))
            })
        };
        if let Some(known) = known() {
            return Ok(known);
        }
        let flight = self.flight.enter().await?;
        if let Some(known) = known() {
            return Ok(known);
        }
        let rows = "transactioncurrencies?$select=transactioncurrencyid,isocurrencycode";
        let base = "organizations?$select=_basecurrencyid_value";
        let both = futures::try_join!(
            self.fetch::<wire::List<wire::CurrencyRow>>(rows, who),
            self.fetch::<wire::List<wire::Organization>>(base, who)
        );
        let currencies = match flight.end(both) {
            Ok((rows, organizations)) => Currencies {
                by_id: rows
                    .value
                    .into_iter()
                    .map(wire::CurrencyRow::read)
                    .collect(),
                base: organizations.value.into_iter().find_map(|row| row.base),
            },
            Err(Failure::Refused { .. }) => Currencies::default(),
            Err(failure) => return Err(failure),
        };
        let currencies = Arc::new(currencies);
        let kept = Some((self.ambient.now(), Arc::clone(&currencies)));
        self.keep(|remembered| remembered.currencies = kept);
        Ok(currencies)
    }

    /// Drops all that is remembered when the environment's metadata changed, or when that cannot
    /// be told.
    async fn revalidate(&self, who: &Credential) {
        let now = self.ambient.now();
        let (checked, version) = {
            let remembered = self
                .remembered
                .read()
                .unwrap_or_else(PoisonError::into_inner);
            (remembered.checked, remembered.version.clone())
        };
        if checked.is_some_and(|checked| now.duration_since(checked) <= self.life) {
            return;
        }
        let path = self.upstream.api("organizations?$select=organizationid");
        let answer = self.upstream.read(&path, Some(VERSION_PREFER), who).await;
        let current = answer
            .ok()
            .and_then(|answer| serde_json::from_slice::<wire::Versioned>(&answer.body).ok())
            .and_then(|body| body.version);
        let stands = version.is_some() && version == current;
        self.keep(|remembered| {
            if !stands {
                *remembered = Remembered::default();
            }
            remembered.version = current;
            remembered.checked = Some(now);
        });
    }

    async fn fetch<T: DeserializeOwned>(&self, path: &str, who: &Credential) -> Result<T, Failure> {
        let answer = self
            .upstream
            .read(&self.upstream.api(path), None, who)
            .await?;
        serde_json::from_slice(&answer.body).map_err(|error| {
            let (code, _) = fault::code_and_message(&answer);
            tracing::warn!(%error, code, "the environment's metadata cannot be read");
            Failure::not_sent("the environment's metadata cannot be read")
        })
    }

    fn forget_directory(&self) -> bool {
        let now = self.ambient.now();
        let old = self.known(|remembered| {
            let checked = remembered.checked?;
            Some(now.duration_since(checked) > FRESH)
        });
        if old != Some(true) {
            return false;
        }
        self.keep(|remembered| {
            remembered.directory = None;
            remembered.checked = Some(now);
        });
        true
    }

    /// What is remembered, as long as it needs no new look at the version.
    fn known<T>(&self, pick: impl FnOnce(&Remembered) -> Option<T>) -> Option<T> {
        let remembered = self
            .remembered
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let age = self.ambient.now().duration_since(remembered.checked?);
        if age > self.life {
            return None;
        }
        pick(&remembered)
    }

    fn keep<T>(&self, change: impl FnOnce(&mut Remembered) -> T) {
        change(
            &mut self
                .remembered
                .write()
                .unwrap_or_else(PoisonError::into_inner),
        );
    }
}
