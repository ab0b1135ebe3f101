//! Revisions with what they were made of.

use crmgate_app::{AppError, sources};
use crmgate_domain::{Ambient as _, Mode, RevisionId};
use crmgate_policy::{ConnectionSources, Source, Sources};
use crmgate_store::{RevisionLog as _, Role, StoredRevision};

use crate::world::{POLICY, World};

#[tokio::test]
async fn a_caller_sees_the_layers_of_its_own_connections_only() {
    let world = World::new(Mode::Enforce).await;
    let mut all = Sources::global([("sales/contacts.rego".to_owned(), POLICY.to_owned())]);
    for name in ["own", "lent"] {
        let files = vec![Source {
            path: format!("{name}/secret.rego"),
            text: format!("package crm.{name}.secret"),
        }];
        let own = ConnectionSources {
            files,
            ..ConnectionSources::default()
        };
        all.connections.insert(name.parse().unwrap(), own);
    }
    let digest = RevisionId::new(&"a".repeat(64));
    let stored = StoredRevision {
        revision: digest.clone(),
        at: world.ambient.now(),
        sources: sources::write(&all).unwrap(),
    };
    world.store.accept_revision(stored).await.unwrap();
    let policies = world.app.policies();

    let admin = world.principal(&[Role::Admin], &[]).await;
    let whole = policies.revision(&admin, &digest).await.unwrap();
    assert!(whole.whole);
    assert_eq!(sources::read(&whole.sources).unwrap(), all);

    let author = world.principal(&[Role::Author], &["own"]).await;
    let part = policies.revision(&author, &digest).await.unwrap();
    assert!(!part.whole);
    assert!(part.sources.contains("crm.own.secret"), "{}", part.sources);
    assert!(!part.sources.contains("lent"), "{}", part.sources);

    let none = policies.revision(&admin, &RevisionId::new("b")).await;
    assert!(matches!(none, Err(AppError::NotFound { .. })), "{none:?}");
    let client = world.principal(&[Role::Client], &[]).await;
    let refused = policies.revision(&client, &digest).await;
    assert!(
        matches!(refused, Err(AppError::Forbidden(_))),
        "{refused:?}"
    );
}
