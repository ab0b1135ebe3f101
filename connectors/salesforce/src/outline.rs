//! What an address tells without the object's description.

use crmgate_connector::{Credential, Failure, Malformed, Matched, Outline, Target};
use crmgate_domain::Kind;

use crate::connector::SalesforceConnector;
use crate::metadata::is_name;
use crate::parse::record_id;

/// What a write's address tells.
pub(crate) fn outline(matched: &Matched) -> Result<Outline, Malformed> {
    let object = matched.parameter("object");
    if !is_name(object) {
        let message = format!("`{object}` is no object's name");
        return Err(Malformed::new("unknown_object", message));
    }
    let field = matched.parameter("field");
    let (requested, target) = match matched.route.id.as_str() {
        "create" | "create-by-id-field" => (Kind::Create, Target::New),
        "update" => (
            Kind::Update,
            Target::Id(record_id(matched.parameter("id"))?),
        ),
        "delete" => (
            Kind::Delete,
            Target::Id(record_id(matched.parameter("id"))?),
        ),
        route => {
            let key = matched.parameter("key");
            let target = if field.eq_ignore_ascii_case("Id") {
                Target::Id(record_id(key)?)
            } else {
                Target::Key(vec![(field.to_ascii_lowercase(), key.to_owned())])
            };
            let deletes = route == "delete-by-key";
            (if deletes { Kind::Delete } else { Kind::Upsert }, target)
        }
    };
    Ok(Outline {
        requested,
        object: object.to_owned(),
        target,
    })
}

impl SalesforceConnector {
    /// The object's own name in its own spelling; `None` when the org has none of that name.
    pub(crate) async fn object_of_name(&self, name: &str) -> Result<Option<String>, Failure> {
        if let Some(map) = self.mapping.object_by_native(name) {
            return Ok(Some(map.native.clone()));
        }
        if !is_name(name) {
            return Ok(None);
        }
        if self.upstream.session.is_none() {
            let reason = "the connection has no credential of its own to read descriptions with";
            return Err(Failure::not_sent(reason));
        }
        match self.metadata.describe(name, &Credential::Service).await {
            Ok(describe) => Ok(Some(describe.name.clone())),
            Err(Failure::Refused { code, .. }) if code == "NOT_FOUND" => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use crmgate_connector::{Class, RequestHead};
    use http::HeaderMap;

    use super::*;
    use crate::door;

    fn told(method: &str, path: &str) -> Result<Outline, Malformed> {
        let head = RequestHead {
            method: method.parse().unwrap(),
            uri: path.parse().unwrap(),
            headers: HeaderMap::new(),
            gate: "https://gate.test".parse().unwrap(),
        };
        match door::classify(&head) {
            Class::Write(matched) => outline(&matched),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_spelling_of_an_id_is_one_record() {
        let short = told(
            "PATCH",
            "/services/data/v66.0/sobjects/Contact/003000000000001",
        )
        .unwrap();
        let long = told(
            "PATCH",
            "/services/data/v66.0/sobjects/Contact/003000000000001AAA",
        );
        assert_eq!(short, long.unwrap());
        let by_id = "/services/data/v66.0/sobjects/Contact/Id/003000000000001";
        assert_eq!(told("PATCH", by_id).unwrap().target, short.target);
        let bad = told("PATCH", "/services/data/v66.0/sobjects/Contact/7").unwrap_err();
        assert_eq!(bad.code, "invalid_id");
    }

    #[test]
    fn keys_and_creates_are_told() {
        let key = told("PATCH", "/services/data/v66.0/sobjects/Contact/Ext__c/A-1").unwrap();
        let wanted = Target::Key(vec![("ext__c".into(), "A-1".into())]);
        assert_eq!((key.requested, key.target), (Kind::Upsert, wanted));
        let new = told("POST", "/services/data/v66.0/sobjects/Contact").unwrap();
        assert_eq!((new.requested, new.target), (Kind::Create, Target::New));
    }
}
