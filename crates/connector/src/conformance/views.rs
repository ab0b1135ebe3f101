//! MUSTs 2 and 3: what is refused unread, and one input for every spelling.

use crmgate_domain::{FieldRef, FieldSet, Kind, Object, Patch, PatchError, PatchOp, Reads, Views};

use super::{Everything, Nothing, Subject, arrived, made, resolve, resolve_by};
use crate::{Needs, ParseFailure};

/// What two readers could read differently, and what is not understood, is refused before
/// anything is sent.
pub async fn malformed_writes_reach_nothing(subject: &dyn Subject) {
    let malformed = subject.malformed();
    assert!(
        malformed.len() >= 10,
        "a suite with too few forms proves little"
    );
    let before = arrived(subject).await;
    for request in malformed {
        let name = format!("{request:?}");
        match resolve(subject, request, &Nothing).await {
            Err(ParseFailure::Malformed(malformed)) => {
                assert!(
                    !malformed.code.is_empty() && !malformed.message.is_empty(),
                    "{name}"
                );
            }
            Err(ParseFailure::Failure(failure)) => panic!("{name}: {failure}"),
            Ok(resolved) => panic!("{name}: {:?}", resolved.change.outgoing()),
        }
    }
    assert_eq!(arrived(subject).await, before);
}

/// Two spellings of one write give one input.
pub async fn spellings_give_one_input(subject: &dyn Subject) {
    for group in subject.spellings() {
        assert!(group.len() >= 2);
        let mut first: Option<(String, Kind, Option<String>, Views)> = None;
        for request in group {
            let name = format!("{request:?}");
            let resolved = resolve(subject, request, &Everything)
                .await
                .unwrap_or_else(|failure| panic!("{name}: {failure}"));
            let views = resolved.change.views().clone();
            match &first {
                None => first = Some((name, resolved.kind, resolved.record_id, views)),
                Some((other, kind, id, wanted)) => {
                    assert_eq!(&resolved.kind, kind, "{other}\n{name}");
                    assert_eq!(&resolved.record_id, id, "{other}\n{name}");
                    assert_eq!(&views, wanted, "{other}\n{name}");
                }
            }
        }
    }
}

/// Native to canonical and back is the identity on mapped values: setting each canonical field to
/// the value it has changes nothing in what is sent.
pub async fn canonical_values_come_back(subject: &dyn Subject) {
    let resolved = resolve(subject, subject.rich(), &Everything).await.unwrap();
    let record = resolved.change.views().record.clone().unwrap();
    assert!(record.len() >= 8, "too few mapped fields: {record:?}");
    let sent = resolved.change.outgoing();
    for (field, value) in record.iter() {
        let patch = Patch {
            op: PatchOp::Set,
            field: FieldRef(field.to_owned()),
            value: value.clone(),
            package: "crm.conformance".to_owned(),
        };
        match resolved.change.patched_native(&[patch]) {
            Ok(patched) => {
                assert_eq!(
                    patched.outgoing().hash(),
                    sent.hash(),
                    "{field} = {value:?}"
                );
                assert_eq!(patched.changed_fields(), Vec::<String>::new(), "{field}");
                assert_eq!(patched.views(), resolved.change.views(), "{field}");
            }
            // Derived by the CRM, or following from another field.
            Err(PatchError::WrongValue { .. } | PatchError::NoSuchField { .. }) => {}
            Err(error) => panic!("{field}: {error}"),
        }
    }
}

struct Phone;

impl Needs for Phone {
    fn reads(&self, _: Kind, _: &str, _: &str) -> Reads {
        let field = |name: &str| FieldSet::Only([FieldRef(name.to_owned())].into());
        Reads {
            record: field("last_name"),
            before: field("phone"),
            ..Reads::default()
        }
    }
}

/// A connection without a credential of its own says what it does not know; one with a credential
/// knows.
pub async fn unread_fields_are_unknown(subject: &dyn Subject) {
    let id = made(subject, "Known").await;
    let known = resolve(subject, subject.update(&id, "+49301234"), &Phone)
        .await
        .unwrap();
    let views = known.change.views();
    assert!(views.unknown.is_empty(), "{:?}", views.unknown);
    let name = views
        .record
        .as_ref()
        .and_then(|record: &Object| record.get("last_name"));
    assert_eq!(
        name.and_then(crmgate_domain::Document::as_str),
        Some("Known")
    );

    let connector = subject.without_credential();
    assert!(!connector.has_service_credential());
    let update = subject.update(&id, "+49301234");
    let unknown = resolve_by(&connector, subject, update, &Phone)
        .await
        .unwrap();
    let views = unknown.change.views();
    for field in ["last_name", "phone"] {
        let field = FieldRef(field.to_owned());
        assert!(
            views.unknown.contains(&field),
            "{field}: {:?}",
            views.unknown
        );
    }
    assert!(
        views
            .unknown_because
            .as_ref()
            .is_some_and(|why| !why.is_empty())
    );
    let update = subject.update(&id, "+49301234");
    let nothing = resolve_by(&connector, subject, update, &Nothing)
        .await
        .unwrap();
    assert!(nothing.change.views().unknown.is_empty());
}
