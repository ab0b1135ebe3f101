use crmgate_store::TokenLog as _;
use crmgate_testkit::{MemoryStore, TestAmbient};

use super::*;

struct World {
    tokens: Tokens,
    ambient: Arc<TestAmbient>,
    store: Arc<MemoryStore>,
}

fn world() -> World {
    let store = Arc::new(MemoryStore::default());
    let ambient = Arc::new(TestAmbient::default());
    World {
        tokens: Tokens::new(store.clone(), ambient.clone()),
        ambient,
        store,
    }
}

fn wanted(name: &str, roles: &[Role]) -> TokenRequest {
    TokenRequest {
        name: name.to_owned(),
        roles: roles.to_vec(),
        connections: Vec::new(),
        team: None,
        scopes: Vec::new(),
        person: None,
        expires_in_seconds: None,
    }
}

#[tokio::test]
async fn a_token_is_known_until_it_is_revoked_or_expires() {
    let World {
        tokens, ambient, ..
    } = world();
    let admin = tokens.issue(wanted("root", &[Role::Admin])).await.unwrap();
    let admin = tokens.verify(&admin.token).await.unwrap();
    let mut request = wanted("job", &[Role::Client]);
    request.expires_in_seconds = Some(60);
    let short = tokens.create(&admin, request).await.unwrap();
    let long = tokens
        .create(&admin, wanted("app", &[Role::Client]))
        .await
        .unwrap();
    assert_eq!(tokens.verify(&short.token).await.unwrap().token.name, "job");

    ambient.advance(Duration::from_secs(61));
    let ended = tokens.verify(&short.token).await.unwrap_err();
    assert_eq!(ended.to_string(), "the token has expired");

    assert!(tokens.verify(&long.token).await.is_ok());
    tokens.revoke(&admin, &long.info.id).await.unwrap();
    let revoked = tokens.verify(&long.token).await.unwrap_err();
    assert_eq!(revoked.code(), "unauthenticated");
    let again = tokens.revoke(&admin, &long.info.id).await.unwrap_err();
    assert_eq!(again.code(), "not_found");
}

#[tokio::test]
async fn only_the_whole_token_verifies_and_the_secret_is_not_stored() {
    let World { tokens, store, .. } = world();
    let made = tokens.issue(wanted("app", &[Role::Client])).await.unwrap();
    let text = made.token.expose_secret();
    let secret = text.rsplit_once('_').unwrap().1;
    assert_eq!(secret.len(), 64, "256 bits");
    let stored = store.token(&made.info.id).await.unwrap().unwrap();
    assert!(!format!("{stored:?}").contains(secret));

    let flipped = if text.ends_with('0') { "1" } else { "0" };
    let wrong = [
        String::new(),
        "crmgate_".to_owned(),
        text.replace("crmgate_", ""),
        text[..text.len() - 1].to_owned(),
        format!("{}{flipped}", &text[..text.len() - 1]),
        format!("{text}0"),
        text.replace(&made.info.id, "0000000000000000"),
    ];
    for wrong in wrong {
        let refused = tokens.verify(&SecretString::from(wrong.clone())).await;
        assert_eq!(refused.unwrap_err().code(), "unauthenticated", "{wrong}");
    }
    assert!(tokens.verify(&made.token).await.is_ok());
}

#[tokio::test]
async fn a_limited_admin_reaches_no_further_than_its_connections() {
    let World { tokens, .. } = world();
    let everywhere = tokens.issue(wanted("all", &[Role::Client])).await.unwrap();
    let mut request = wanted("root-a", &[Role::Admin]);
    request.connections = vec!["a".parse().unwrap()];
    let limited = tokens.issue(request).await.unwrap();
    let limited = tokens.verify(&limited.token).await.unwrap();

    let wide = tokens.create(&limited, wanted("x", &[Role::Client])).await;
    assert_eq!(wide.unwrap_err().code(), "forbidden");
    let revoked = tokens.revoke(&limited, &everywhere.info.id).await;
    assert_eq!(revoked.unwrap_err().code(), "not_found");
    let seen = tokens.list(&limited).await.unwrap();
    assert_eq!(seen.len(), 1);
    let mut inside = wanted("y", &[Role::Client]);
    inside.connections = vec!["a".parse().unwrap()];
    assert!(tokens.create(&limited, inside).await.is_ok());
}

#[tokio::test]
async fn bad_requests_name_the_parameter() {
    let World { tokens, .. } = world();
    let base = || wanted("x", &[Role::Client]);
    let cases: [(TokenRequest, &str); 6] = [
        (wanted("", &[Role::Client]), "name"),
        (wanted(&"n".repeat(101), &[Role::Client]), "name"),
        (wanted("x", &[]), "roles"),
        (
            TokenRequest {
                team: Some("t".into()),
                ..base()
            },
            "team",
        ),
        (
            TokenRequest {
                scopes: vec!["a b".into()],
                ..base()
            },
            "scopes",
        ),
        (
            TokenRequest {
                expires_in_seconds: Some(u64::MAX),
                ..base()
            },
            "expires_in_seconds",
        ),
    ];
    for (request, parameter) in cases {
        let error = tokens.issue(request).await.unwrap_err();
        assert!(error.to_string().starts_with(parameter), "{error}");
    }
}

#[tokio::test]
async fn a_lost_store_is_no_verdict_on_the_token() {
    let World { tokens, store, .. } = world();
    let made = tokens.issue(wanted("app", &[Role::Client])).await.unwrap();
    store.set_broken(true);
    let error = tokens.verify(&made.token).await.unwrap_err();
    assert_eq!(error.code(), "unavailable");
}
