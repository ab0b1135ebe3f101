//! Operations in canonical form: what validate calls, and later the queue, hand in.

use crmgate_connector::{Credential, ParseFailure};
use crmgate_domain::{Actor, ConnectionRef, Document, Kind, Object, Operation, OperationId, Point};
use serde_json::{Value, json};

use crate::support::{Org, Reading, as_json, reading, whole};

fn operation(org: &Org, kind: Kind, object: &str, id: Option<&str>) -> Operation {
    Operation {
        id: OperationId::fresh(org.ambient.as_ref()),
        kind,
        requested: None,
        point: Point::Validate,
        at: org.ambient.now(),
        connection: ConnectionRef {
            name: org.connector.name().clone(),
            system: "salesforce".to_owned(),
            org: None,
        },
        object: object.to_owned(),
        native_object: String::new(),
        record_id: id.map(str::to_owned),
        actor: Actor::default(),
        request: None,
        purpose: None,
        batch: None,
        name: None,
        arguments: None,
        relation: None,
    }
}

fn object(value: &Value) -> Option<Object> {
    let document = Document::parse(value.to_string().as_bytes()).unwrap();
    document.as_object().cloned()
}

#[tokio::test]
async fn canonical_operations_are_judged_and_written_like_native_ones() {
    let org = Org::new().await;
    let account = org.id_of("Account", "Name", "Northgate Foods").await;
    let change = json!({
        "name": "Deal", "stage": "closed_won", "amount_minor": 1999, "currency": "EUR",
        "close_date": "2026-06-30", "account": {"type": "account", "id": account},
        "native.Discount__c": "12.50", "source": "native:Fair"
    });
    let create = operation(&org, Kind::Create, "opportunity", None);
    let draft = org.connector.draft(&create, object(&change)).await.unwrap();
    let service = Credential::Service;
    let resolved = org
        .connector
        .resolve(draft, &Reading::default(), &service)
        .await
        .unwrap();
    let views = resolved.change.views();
    let record = as_json(views.record.as_ref());
    assert_eq!(record["stage"], "closed_won");
    assert_eq!(record["amount"].to_string(), "19.99");
    assert_eq!(record["discount_percent"].to_string(), "12.5");
    assert_eq!(record["source"], "native:Fair");
    let outgoing = resolved.change.outgoing();
    let permit = crmgate_testkit::permit(org.connector.name(), outgoing.hash(), &org.ambient).await;
    let written = org
        .connector
        .write(permit, outgoing, &service)
        .await
        .unwrap();
    let id = written.record_id.clone().unwrap();
    assert_eq!(whole(resolved.change.reply(written.response)).await.0, 201);

    let update = operation(&org, Kind::Update, "Opportunity", Some(&id[..15]));
    let change = object(&json!({"stage": "closed_lost"}));
    let draft = org.connector.draft(&update, change).await.unwrap();
    assert_eq!(draft.object, "opportunity", "native names are taken, too");
    let needs = reading(&[], &["stage"]);
    let resolved = org
        .connector
        .resolve(draft, &needs, &service)
        .await
        .unwrap();
    assert_eq!(
        as_json(resolved.change.views().before.as_ref())["stage"],
        "closed_won"
    );
}

#[tokio::test]
async fn what_fits_no_field_says_what_would() {
    let org = Org::new().await;
    let mut told = Vec::new();
    for (kind, id, change) in [
        (Kind::Create, None, json!({"shoe_size": 43})),
        (Kind::Create, None, json!({"native.Shoe__c": 43})),
        (Kind::Create, None, json!({"stage": "won"})),
        (Kind::Create, None, json!({"account": "nowhere"})),
        (Kind::Create, None, json!({"amount_minor": 1.5})),
        (
            Kind::Create,
            None,
            json!({"created_at": "2026-01-01T00:00:00Z"}),
        ),
        (Kind::Update, None, json!({"name": "x"})),
        (Kind::Update, Some("nowhere"), json!({"name": "x"})),
        (Kind::Upsert, None, json!({"name": "x"})),
    ] {
        let operation = operation(&org, kind, "opportunity", id);
        let failure = org
            .connector
            .draft(&operation, object(&change))
            .await
            .err()
            .unwrap();
        let ParseFailure::Malformed(malformed) = failure else {
            panic!("{failure}");
        };
        told.push(format!("{}: {}", malformed.code, malformed.message));
    }
    insta::assert_snapshot!(told.join("\n"));
    let without = Org::without_service().await;
    let create = operation(&without, Kind::Create, "opportunity", None);
    let failure = without.connector.draft(&create, None).await.err().unwrap();
    assert!(
        failure.to_string().contains("no credential of its own"),
        "{failure}"
    );
}
