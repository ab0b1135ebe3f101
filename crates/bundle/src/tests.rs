//! Archives of all kinds.

mod hostile;
mod matrix;
mod property;
mod whole;

use crmgate_policy::Source;

use crate::archive::{Entry, pack};
use crate::{Bundle, BundleError, Limits, Trust, open};

pub(super) const POLICY: &str = "# METADATA
# scope: package
# title: T
# custom:
#   owner: sales
#   objects: [contact]
#   operations: [create]
package crm.sales.names

deny contains \"no\" if input.record.last_name == data.params.sales.names.never
";

pub(super) fn source(path: &str, text: &str) -> Source {
    Source {
        path: path.to_owned(),
        text: text.to_owned(),
    }
}

pub(super) fn entry(path: &str, bytes: impl AsRef<[u8]>) -> Entry {
    Entry {
        path: path.to_owned(),
        bytes: bytes.as_ref().to_vec(),
    }
}

/// An archive of these files, as they are.
pub(super) fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let entries: Vec<Entry> = files.iter().map(|(path, text)| entry(path, text)).collect();
    pack(&entries).unwrap()
}

pub(super) fn opened(files: &[(&str, &str)]) -> Result<Bundle, BundleError> {
    open(&archive(files), Trust::Unsigned, &Limits::default())
}

/// A layer with parameters and data.
pub(super) fn layer() -> Vec<Source> {
    vec![
        source("sales/names.rego", POLICY),
        source("sales/params.yaml", "sales: {names: {never: Mustermann}}\n"),
        source(
            "sales/params.schema.json",
            "{\"properties\": {\"sales\": {\"properties\": {\"names\": {\"properties\": \
             {\"never\": {\"type\": \"string\"}}}}}}}",
        ),
        source(
            "sales/data.yaml",
            "plans: {us: {code: \"1\", share: 12.50}}\n",
        ),
    ]
}
