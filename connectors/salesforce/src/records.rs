//! Reading stored records and running queries.

use crmgate_connector::{Credential, Failure, Fields, Locator, QueryPage, StoredRecord};
use crmgate_domain::{Document, Kind, Object};
use http::{StatusCode, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::connector::SalesforceConnector;
use crate::failure::{Answer, Effect};
use crate::metadata::{Describe, is_name};
use crate::upstream::Call;
use crate::values::ObjectValues;

/// Everything but the characters that stand for themselves in a path segment.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A list of fields longer than this is left out, and all are read: the whole line of a request
/// may have 16,384 bytes.
const LONGEST_LIST: usize = 12_000;

/// A path segment or query value.
pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// A text inside a SOQL string literal.
pub(crate) fn soql_text(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "\\'")
}

/// A row as it was read.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) record: StoredRecord,
    /// The row's entity tag, which only some objects have.
    pub(crate) etag: Option<String>,
}

/// The field by which a record's version is told.
pub(crate) fn version_field(describe: &Describe) -> Option<&'static str> {
    ["LastModifiedDate", "SystemModstamp"]
        .into_iter()
        .find(|name| describe.field(name).is_some())
}

impl SalesforceConnector {
    /// Values of an object where no operation is about it.
    pub(crate) fn plain_values(&self, describe: &std::sync::Arc<Describe>) -> ObjectValues {
        ObjectValues {
            describe: std::sync::Arc::clone(describe),
            mapping: std::sync::Arc::clone(&self.mapping),
            kind: Kind::Read,
            record_id: None,
            default_currency: self.currency.clone(),
        }
    }

    /// Reads one row; `None` when it does not exist.
    pub(crate) async fn row(
        &self,
        credential: &Credential,
        values: &ObjectValues,
        locator: &Locator,
        fields: &Fields,
    ) -> Result<Option<Row>, Failure> {
        let describe = &values.describe;
        let place = match locator {
            Locator::Id(id) => encode(id),
            Locator::Key(keys) => match keys.as_slice() {
                [(field, key)] if is_name(field) => format!("{field}/{}", encode(key)),
                _ => return Err(Failure::not_sent("a record has one key field")),
            },
        };
        let mut target = format!(
            "/services/data/v{}/sobjects/{}/{place}",
            self.api_version, describe.name
        );
        if let Fields::Only(names) = fields {
            let list = field_list(describe, names.iter().map(String::as_str));
            if list.len() < LONGEST_LIST {
                target.push_str("?fields=");
                target.push_str(&list);
            }
        }
        let answer = self
            .upstream
            .call(credential, &Call::get(target), Effect::Reads)
            .await?;
        match answer.status {
            StatusCode::OK => row(values, &answer).map(Some),
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(answer.failure(Effect::Reads)),
        }
    }

    pub(crate) async fn run_query(
        &self,
        query: &str,
        cursor: Option<&str>,
    ) -> Result<QueryPage, Failure> {
        self.query_in("query", query, cursor).await
    }

    /// Runs a query that also finds what was deleted.
    pub(crate) async fn run_query_all(&self, query: &str) -> Result<QueryPage, Failure> {
        self.query_in("queryAll", query, None).await
    }

    async fn query_in(
        &self,
        resource: &str,
        query: &str,
        cursor: Option<&str>,
    ) -> Result<QueryPage, Failure> {
        let target = match cursor {
            // INVARIANT: a cursor is a path of the query resource, whatever it was handed in as.
            Some(cursor) if cursor.starts_with("/services/data/") && cursor.contains("/query") => {
                cursor.to_owned()
            }
            Some(_) => return Err(Failure::not_sent("the cursor is none of this connection's")),
            None => format!(
                "/services/data/v{}/{resource}?q={}",
                self.api_version,
                encode(query)
            ),
        };
        let answer = self
            .upstream
            .call(&Credential::Service, &Call::get(target), Effect::Reads)
            .await?;
        if !answer.status.is_success() {
            return Err(answer.failure(Effect::Reads));
        }
        let unreadable = || Failure::not_sent("the answer to the query cannot be read");
        let Ok(Document::Object(page)) = Document::parse(&answer.body) else {
            return Err(unreadable());
        };
        let Some(Document::Array(records)) = page.get("records") else {
            return Err(unreadable());
        };
        let mut rows = Vec::with_capacity(records.len());
        for record in records {
            let record = record.as_object().ok_or_else(unreadable)?;
            rows.push(self.query_row(record).await?);
        }
        Ok(QueryPage {
            rows,
            next: page
                .get("nextRecordsUrl")
                .and_then(Document::as_str)
                .map(str::to_owned),
            total: page.get("totalSize").and_then(|total| match total {
                Document::Number(number) => number.as_i64()?.try_into().ok(),
                _ => None,
            }),
        })
    }

    /// A row of a query, normalized where its object is known; aggregates have none.
    async fn query_row(&self, record: &Object) -> Result<Object, Failure> {
        let object = record
            .get("attributes")
            .and_then(|attributes| attributes.as_object()?.get("type")?.as_str())
            .filter(|name| is_name(name) && *name != "AggregateResult");
        let Some(object) = object else {
            let mut plain = record.clone();
            plain.remove("attributes");
            return Ok(plain);
        };
        let describe = self.metadata.describe(object, &Credential::Service).await?;
        Ok(self.plain_values(&describe).stored(record.clone()))
    }
}

/// Names that the object has, the id and version among them, separated by commas.
fn field_list<'a>(describe: &Describe, names: impl Iterator<Item = &'a str>) -> String {
    let mut list: Vec<&str> = names
        .chain(["Id"])
        .chain(version_field(describe))
        .filter_map(|name| Some(describe.field(name)?.name.as_str()))
        .collect();
    list.sort_unstable();
    list.dedup();
    list.join(",")
}

fn row(values: &ObjectValues, answer: &Answer) -> Result<Row, Failure> {
    let unreadable = || Failure::not_sent("the stored record cannot be read");
    let Ok(Document::Object(record)) = Document::parse(&answer.body) else {
        return Err(unreadable());
    };
    let fields = values.stored(record);
    let id = fields
        .get("Id")
        .and_then(Document::as_str)
        .ok_or_else(unreadable)?
        .to_owned();
    let version = version_field(&values.describe)
        .and_then(|name| fields.get(name)?.as_str())
        .map(str::to_owned);
    let etag = answer
        .headers
        .get(header::ETAG)
        .and_then(|tag| tag.to_str().ok())
        .map(str::to_owned);
    Ok(Row {
        record: StoredRecord {
            id,
            fields,
            version,
        },
        etag,
    })
}
