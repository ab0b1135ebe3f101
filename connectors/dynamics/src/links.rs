//! Where answers hold links.

use crmgate_connector::rewrite::LinkKeys;

/// The members of answers that are addresses.
pub(crate) const KEYS: LinkKeys = LinkKeys {
    exact: &["@odata.context", "@odata.id", "token_endpoint"],
    suffixes: &[
        "@odata.nextLink",
        "@odata.deltaLink",
        "@odata.navigationLink",
        "@odata.associationLink",
        "@odata.editLink",
        "@odata.readLink",
        "@odata.mediaReadLink",
        "@odata.mediaEditLink",
    ],
};
