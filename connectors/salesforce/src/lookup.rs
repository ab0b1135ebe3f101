//! Lookups given by a key of the record they point to.

use std::collections::BTreeSet;

use crmgate_connector::{Credential, Failure, Fields, Locator, Malformed, ParseFailure};
use http::StatusCode;

use crate::connector::SalesforceConnector;
use crate::draft::NestedLookup;
use crate::failure::refused;
use crate::id;

impl SalesforceConnector {
    /// The id a nested lookup means. The write then goes out with that id, so that what was judged
    /// and what is written are one record even if the key moves in between.
    pub(crate) async fn look_up(
        &self,
        lookup: &NestedLookup,
        credential: &Credential,
    ) -> Result<String, ParseFailure> {
        if lookup.key_field.eq_ignore_ascii_case("Id") {
            let message = format!("`{}` is no record id", lookup.key);
            return id::normalize(&lookup.key)
                .ok_or_else(|| Malformed::field("invalid_id", &lookup.member, message).into());
        }
        let describe = self.metadata.describe(&lookup.object, credential).await?;
        let known = describe
            .field(&lookup.key_field)
            .is_some_and(|field| field.external_id || field.id_lookup);
        if !known {
            let message = format!(
                "`{}` is no external id of `{}`",
                lookup.key_field, lookup.object
            );
            return Err(Malformed::field("invalid_field", &lookup.member, message).into());
        }
        let key = vec![(lookup.key_field.clone(), lookup.key.clone())];
        let row = self
            .row(
                credential,
                &self.plain_values(&describe),
                &Locator::Key(key),
                &Fields::Only(BTreeSet::new()),
            )
            .await?;
        match row {
            Some(row) => Ok(row.record.id),
            None => Err(not_found(lookup).into()),
        }
    }
}

fn not_found(lookup: &NestedLookup) -> Failure {
    let message = format!(
        "Foreign key external ID: {} not found for field {} in entity {}",
        lookup.key.to_lowercase(),
        lookup.key_field,
        lookup.object
    );
    let fields = std::slice::from_ref(&lookup.field);
    refused(StatusCode::BAD_REQUEST, "INVALID_FIELD", &message, fields)
}
