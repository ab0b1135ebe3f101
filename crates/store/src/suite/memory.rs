//! Tokens, connections, revisions.

use crmgate_domain::{Mode, RevisionId};
use jiff::ToSpan as _;

use super::samples::{name, start};
use crate::{
    ModeChange, NewToken, Role, Sighting, SightingKey, Store, StoreError, StoredRevision, TokenInfo,
};

pub(super) async fn tokens_are_kept(store: &impl Store) {
    let info = |id: &str| TokenInfo {
        id: id.to_owned(),
        name: format!("token {id}"),
        roles: vec![Role::Client, Role::Auditor],
        connections: vec![name("a")],
        team: None,
        scopes: vec!["api".to_owned()],
        person: None,
        created_at: start(),
        expires_at: Some(start() + 1.hour()),
        revoked_at: None,
    };
    let token = |id: &str| NewToken {
        info: info(id),
        secret_hash: format!("hash {id}"),
    };
    store.add_token(token("t1")).await.unwrap();
    store.add_token(token("t2")).await.unwrap();
    let again = store.add_token(token("t1")).await;
    assert!(matches!(again, Err(StoreError::Exists(_))));
    let found = store.token("t1").await.unwrap().unwrap();
    assert_eq!(
        (found.info, found.secret_hash),
        (info("t1"), "hash t1".to_owned())
    );
    assert!(store.token("t3").await.unwrap().is_none());
    assert_eq!(store.tokens().await.unwrap(), [info("t2"), info("t1")]);
    let at = start() + 5.minutes();
    assert!(store.revoke_token("t1", at).await.unwrap());
    assert!(
        !store
            .revoke_token("t1", start() + 6.minutes())
            .await
            .unwrap(),
        "once"
    );
    assert!(!store.revoke_token("t3", at).await.unwrap());
    let revoked = store.token("t1").await.unwrap().unwrap().info;
    assert_eq!(
        revoked,
        TokenInfo {
            revoked_at: Some(at),
            ..info("t1")
        }
    );
}

pub(super) async fn connections_are_remembered(store: &impl Store) {
    let sighting = |client: &str, count: u64, hours: i64| {
        let first_at = start() + hours.hours();
        Sighting {
            key: SightingKey {
                client: client.to_owned(),
                route: "create".to_owned(),
                class: "write".to_owned(),
                enforced: "refuse".to_owned(),
                why: "crm.a/b".to_owned(),
            },
            count,
            first_at,
            last_at: first_at + 1.minute(),
        }
    };
    let a = name("a");
    store
        .add_sightings(&a, vec![sighting("x", 2, 0), sighting("y", 1, 0)])
        .await
        .unwrap();
    store
        .add_sightings(&a, vec![sighting("x", 3, 0), sighting("x", 4, 2)])
        .await
        .unwrap();
    store
        .add_sightings(&name("b"), vec![sighting("x", 100, 0)])
        .await
        .unwrap();
    let mut all = store.sightings(&a, None).await.unwrap();
    all.sort_by(|one, other| one.key.cmp(&other.key));
    let whole = Sighting {
        last_at: start() + 121.minutes(),
        ..sighting("x", 9, 0)
    };
    assert_eq!(all, [whole, sighting("y", 1, 0)]);
    let late = store.sightings(&a, Some(start() + 1.hour())).await.unwrap();
    assert_eq!(late, [sighting("x", 4, 2)]);

    for (mode, by) in [(Mode::Observe, "configuration"), (Mode::Enforce, "ada")] {
        let change = ModeChange {
            at: start(),
            mode,
            by: by.to_owned(),
        };
        store.append_mode(&a, change).await.unwrap();
    }
    let modes = store.modes(&a).await.unwrap();
    let by: Vec<&str> = modes.iter().map(|change| change.by.as_str()).collect();
    assert_eq!(by, ["ada", "configuration"], "newest first");
    assert!(store.modes(&name("b")).await.unwrap().is_empty());
}

pub(super) async fn revisions_are_remembered(store: &impl Store) {
    let revision = |id: &str, minutes: i64| StoredRevision {
        revision: RevisionId::new(id),
        at: start() + minutes.minutes(),
        sources: format!("{{\"global\":\"{id}\"}}"),
    };
    assert_eq!(store.latest_revision().await.unwrap(), None);
    for (id, minutes) in [("one", 0), ("two", 1), ("one", 2)] {
        store.accept_revision(revision(id, minutes)).await.unwrap();
    }
    assert_eq!(
        store.latest_revision().await.unwrap(),
        Some(revision("one", 2))
    );
    let two = RevisionId::new("two");
    assert_eq!(
        store.revision(&two).await.unwrap(),
        Some(revision("two", 1))
    );
    assert_eq!(
        store.revision(&RevisionId::new("three")).await.unwrap(),
        None
    );
}
