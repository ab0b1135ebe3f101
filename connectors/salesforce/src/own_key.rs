//! Keys that the gate gives to creates, so that one that is sent twice cannot become two records.

use bytes::Bytes;
use crmgate_connector::{Credential, Failure, Fields, Locator};
use crmgate_domain::{Ambient, Document, Object, OperationId, PayloadHash};

use crate::connector::SalesforceConnector;
use crate::write::record_of;

/// What every such key begins with.
const PREFIX: &str = "cg";
/// Bytes of a key, written in hexadecimal digits.
const BYTES: usize = 16;

/// The key of a create: derived from its operation, or drawn where there is none.
pub(crate) fn own_key(seed: Option<OperationId>, ambient: &dyn Ambient) -> String {
    let derived = |seed: OperationId| {
        PayloadHash::of(&[b"salesforce create", seed.uuid().as_bytes()])
            .bytes()
            .to_vec()
    };
    let bytes = seed.map_or_else(|| ambient.random().to_vec(), derived);
    let digits: String = bytes
        .iter()
        .take(BYTES)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{PREFIX}{digits}")
}

/// Whether a value looks like a key that the gate gave.
pub(crate) fn is_own(value: &str) -> bool {
    value.strip_prefix(PREFIX).is_some_and(|digits| {
        digits.len() == 2 * BYTES && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// What stands under the key of a create.
#[derive(Debug)]
pub(crate) enum Met {
    /// What the create would have made.
    Ours(String),
    /// A record that was made with other values.
    Other {
        /// Its id.
        id: String,
        /// The fields that differ.
        fields: Vec<String>,
    },
    /// No record.
    Nothing,
}

impl SalesforceConnector {
    /// What stands under a create's own key, given as `Field/value`.
    pub(crate) async fn under_key(
        &self,
        place: &str,
        key: &str,
        body: &Bytes,
        reader: &Credential,
    ) -> Result<Met, Failure> {
        let unfit = || Failure::not_sent("a create has an object, a key and a record");
        let object = place.rsplit('/').next().ok_or_else(unfit)?;
        let (field, value) = key.split_once('/').ok_or_else(unfit)?;
        let record = record_of(body).ok_or_else(unfit)?;
        let describe = self.metadata.describe(object, reader).await?;
        let values = self.plain_values(&describe);
        let expect = values.stored(record);
        let names = expect.iter().map(|(name, _)| name.to_owned());
        let names = names.chain([CREATED, MODIFIED].map(str::to_owned));
        let locator = Locator::Key(vec![(field.to_owned(), value.to_owned())]);
        let fields = Fields::Only(names.collect());
        let Some(row) = self.row(reader, &values, &locator, &fields).await? else {
            return Ok(Met::Nothing);
        };
        let fields = differing(&expect, &row.record.fields);
        Ok(if fields.is_empty() || was_changed(&row.record.fields) {
            Met::Ours(row.record.id)
        } else {
            Met::Other {
                id: row.record.id,
                fields,
            }
        })
    }
}

pub(crate) const CREATED: &str = "CreatedDate";
pub(crate) const MODIFIED: &str = "LastModifiedDate";

/// Fields whose stored values are not those that were written. Those that do not come back (not
/// readable, not stored) tell nothing.
pub(crate) fn differing(expect: &Object, stored: &Object) -> Vec<String> {
    expect
        .iter()
        .filter(|(name, value)| stored.get(name).is_some_and(|found| found != *value))
        .map(|(name, _)| name.to_owned())
        .collect()
}

/// Whether a record was changed after it was made, so that it need not hold what it was made with.
pub(crate) fn was_changed(stored: &Object) -> bool {
    let at = |name| stored.get(name).and_then(Document::as_str);
    matches!((at(CREATED), at(MODIFIED)), (Some(made), Some(changed)) if made != changed)
}

#[cfg(test)]
mod tests {
    use crmgate_testkit::TestAmbient;

    use super::*;

    #[test]
    fn keys_come_from_operations() {
        let ambient = TestAmbient::default();
        let (one, other) = (OperationId::fresh(&ambient), OperationId::fresh(&ambient));
        let key = own_key(Some(one), &ambient);
        assert_eq!(key, own_key(Some(one), &ambient));
        assert_ne!(key, own_key(Some(other), &ambient));
        assert_ne!(own_key(None, &ambient), own_key(None, &ambient));
        assert!(is_own(&key) && is_own(&own_key(None, &ambient)) && key.len() == 34);
        assert!(
            !is_own("cg12") && !is_own(&key.replace("cg", "xx")) && !is_own(&format!("{key}0"))
        );
    }
}
