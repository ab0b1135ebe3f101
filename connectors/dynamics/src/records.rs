//! Reading records.

use std::collections::BTreeSet;
use std::sync::Arc;

use crmgate_connector::{Credential, Failure, Fields, Locator, QueryPage, StoredRecord, Target};
use crmgate_domain::{Document, Object};
use serde::Deserialize;

use crate::connector::Dynamics;
use crate::fault;
use crate::row::{self, Row};
use crate::table::Table;
use crate::upstream::{Answer, Call};

/// Lookups' tables, and that rows come with their versions.
const NEXT_LINK: &str = "@odata.nextLink";

#[derive(Deserialize)]
struct Page {
    value: Vec<Object>,
    #[serde(rename = "@odata.nextLink")]
    next: Option<String>,
    #[serde(rename = "@odata.count")]
    total: Option<u64>,
}

impl Dynamics {
    /// Reads one record; `None` when it does not exist.
    pub(crate) async fn row(
        &self,
        table: &Table,
        target: &Target,
        fields: &Fields,
        who: &Credential,
    ) -> Result<Option<Row>, Failure> {
        let path = self.upstream.api(&row::address(table, target, fields));
        let call = Call::get(&path, Some(row::PREFER));
        let answer = self.upstream.call(&call, who).await?;
        if fault::is_absent(&answer) {
            return Ok(None);
        }
        let answer = fault::check(answer, false)?;
        Ok(Some(row::read(table, &object(&answer)?)))
    }

    /// Whether a record exists, and its id and version: nothing that a policy sees.
    pub(crate) async fn probe_row(
        &self,
        table: &Table,
        target: &Target,
        who: &Credential,
    ) -> Result<Option<Row>, Failure> {
        self.row(table, target, &Fields::Only(BTreeSet::new()), who)
            .await
    }

    /// A table by its logical name.
    pub(crate) async fn table_named(
        &self,
        name: &str,
        who: &Credential,
    ) -> Result<Arc<Table>, Failure> {
        let table = self.metadata.table(name, who).await?;
        table.ok_or_else(|| Failure::Refused {
            code: "0x80040217".to_owned(),
            message: format!("the environment has no table `{name}`"),
            response: None,
        })
    }

    pub(crate) async fn read_record(
        &self,
        native_object: &str,
        locator: &Locator,
        fields: &Fields,
    ) -> Result<Option<StoredRecord>, Failure> {
        let who = Credential::Service;
        let table = self.table_named(native_object, &who).await?;
        let target = match locator {
            Locator::Id(id) => Target::Id(id.clone()),
            Locator::Key(values) => Target::Key(values.clone()),
        };
        let row = self.row(&table, &target, fields, &who).await?;
        Ok(row.and_then(|row| {
            Some(StoredRecord {
                id: row.id?,
                fields: row.fields,
                version: row.etag,
            })
        }))
    }

    /// `query` is a set with its options (`accounts?$select=name`), a cursor a next link's path.
    pub(crate) async fn query_page(
        &self,
        query: &str,
        cursor: Option<&str>,
    ) -> Result<QueryPage, Failure> {
        let who = Credential::Service;
        let set = query.split(['?', '(', '/']).next().unwrap_or_default();
        let table = self.metadata.by_set(set, &who).await?;
        let table = table.ok_or_else(|| Failure::Refused {
            code: "0x8006088a".to_owned(),
            message: format!("Resource not found for the segment '{set}'."),
            response: None,
        })?;
        let path = cursor.map_or_else(|| self.upstream.api(query), str::to_owned);
        let answer = self.upstream.read(&path, Some(row::PREFER), &who).await?;
        let page: Page = serde_json::from_slice(&answer.body).map_err(|_| unreadable())?;
        Ok(QueryPage {
            rows: page
                .value
                .iter()
                .map(|one| row::read(&table, one).fields)
                .collect(),
            next: page.next.map(|link| self.cursor(&link)).transpose()?,
            total: page.total,
        })
    }

    /// Path and query of a link to the next page, byte for byte.
    fn cursor(&self, link: &str) -> Result<String, Failure> {
        let origin = self.upstream.url.origin().ascii_serialization();
        let rest = link
            .strip_prefix(&origin)
            .filter(|rest| rest.starts_with('/'));
        rest.map(str::to_owned).ok_or_else(|| {
            tracing::warn!(NEXT_LINK, "a link to the next page leads to another host");
            Failure::not_sent("the link to the next page leads to another host")
        })
    }
}

/// An answer's record.
pub(crate) fn object(answer: &Answer) -> Result<Object, Failure> {
    match Document::parse(&answer.body) {
        Ok(Document::Object(object)) => Ok(object),
        _ => Err(unreadable()),
    }
}

fn unreadable() -> Failure {
    Failure::not_sent("the environment's answer cannot be read")
}
