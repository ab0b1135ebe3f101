//! Every route under every role and none.

use std::collections::BTreeSet;

use crmgate_store::Role;
use http::StatusCode;
use serde_json::json;

use super::create;
use super::world::World;
use crate::{Access, ROUTES, document};

/// The route with something in the place of its parameters, and a body that it understands.
fn concrete(route: &Access) -> (String, Option<String>) {
    let path = route
        .path
        .replace("{name}", "acme-a")
        .replace("{id}", "0197a1b2-0000-7000-8000-000000000001");
    let body = match (route.method, route.path) {
        ("POST", "/v1/validate") => Some(create("acme-a", &json!({"name": "Ada"}))),
        ("PUT", "/v1/connections/{name}/mode") => Some(json!({"mode": "enforce"})),
        ("POST", "/v1/decisions/erase") => Some(json!({"actor": "nobody", "reason": "a test"})),
        ("POST", "/v1/operations") => Some(create("acme-a", &json!({"name": "Ada"}))),
        ("POST", "/v1/operations/{id}/resolve") => Some(json!({"as": "cancelled"})),
        ("POST", "/v1/operations/cancel" | "/v1/operations/retry") => {
            Some(json!({"filter": {"object": "nothing"}}))
        }
        ("POST", "/v1/tokens") => Some(json!({"name": "x", "roles": ["client"]})),
        _ => None,
    };
    (path, body.map(|body| body.to_string()))
}

#[tokio::test]
async fn every_route_is_shut_without_a_token() {
    let world = World::new().await;
    let admin = world.token("admin");
    let stale = format!("{}x", &admin[..admin.len() - 1]);
    let odd = ["", "crmgate_x_y", "Basic x", &stale];
    for route in ROUTES {
        let (path, body) = concrete(route);
        let none = world.send(route.method, &path, None, body.as_deref()).await;
        assert_eq!(none.status, StatusCode::UNAUTHORIZED, "{route:?}");
        assert_eq!(none.json["code"], "unauthenticated");
        assert!(none.headers.contains_key("www-authenticate"));
        for token in odd {
            let refused = world
                .send(route.method, &path, Some(token), body.as_deref())
                .await;
            assert_eq!(
                refused.status,
                StatusCode::UNAUTHORIZED,
                "{route:?} {token}"
            );
        }
    }
}

#[tokio::test]
async fn every_route_is_open_to_its_roles_and_shut_to_all_others() {
    for role in Role::ALL {
        let world = World::new().await;
        for route in ROUTES {
            let (path, body) = concrete(route);
            let token = world.token(role.as_str());
            let answer = world
                .send(route.method, &path, Some(token), body.as_deref())
                .await;
            let may = role == Role::Admin || route.action.roles().contains(&role);
            if may {
                let refused = matches!(answer.status.as_u16(), 401 | 403 | 405 | 500..);
                assert!(
                    !refused,
                    "{role:?} {route:?}: {} {}",
                    answer.status, answer.text
                );
            } else {
                assert_eq!(answer.status, StatusCode::FORBIDDEN, "{role:?} {route:?}");
                assert_eq!(answer.json["code"], "forbidden");
            }
        }
    }
}

#[tokio::test]
async fn two_tokens_in_one_request_are_none() {
    let world = World::new().await;
    let token = format!("Bearer {}", world.token("admin"));
    let request = http::Request::get("/v1/connections")
        .header("authorization", &token)
        .header("authorization", &token)
        .body(axum::body::Body::empty())
        .unwrap();
    let answer = world.raw(request, "127.0.0.1").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

#[test]
fn the_document_describes_the_routes_and_no_others() {
    let document = serde_json::to_value(document()).unwrap();
    let mut described = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            described.insert((method.to_uppercase(), path.clone()));
        }
    }
    let routes: BTreeSet<_> = ROUTES
        .iter()
        .map(|route| (route.method.to_owned(), route.path.to_owned()))
        .collect();
    assert_eq!(described, routes);
}

#[tokio::test]
async fn a_token_for_one_connection_never_sees_another() {
    let mut world = World::new().await;
    world.add_token("a only", Role::Operator, &["acme-a"]).await;
    for connection in ["acme-a", "acme-b"] {
        let body = create(connection, &json!({"name": "Ada"}));
        let judged = world
            .call("admin", "POST", "/v1/validate", Some(body))
            .await;
        assert_eq!(judged.status, StatusCode::OK, "{}", judged.text);
    }
    let listed = world.call("a only", "GET", "/v1/connections", None).await;
    assert_eq!(listed.json["items"].as_array().unwrap().len(), 1);
    let decisions = world.call("a only", "GET", "/v1/decisions", None).await;
    let items = decisions.json["items"].as_array().unwrap();
    assert_eq!(items.len(), 1);
    assert_eq!(items[0]["connection"], "acme-a");
    let all = world.call("admin", "GET", "/v1/decisions", None).await;
    let all = all.json["items"].as_array().unwrap();
    let other = all
        .iter()
        .find(|item| item["connection"] == "acme-b")
        .unwrap();
    let id = other["decision"]["id"].as_str().unwrap();
    for (method, path, body) in [
        ("GET", format!("/v1/decisions/{id}"), None),
        ("GET", "/v1/connections/acme-b".to_owned(), None),
        ("GET", "/v1/connections/acme-b/report".to_owned(), None),
        (
            "PUT",
            "/v1/connections/acme-b/mode".to_owned(),
            Some(json!({"mode": "observe"})),
        ),
        (
            "POST",
            "/v1/validate".to_owned(),
            Some(create("acme-b", &json!({"name": "Ada"}))),
        ),
    ] {
        let answer = world.call("a only", method, &path, body).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}");
    }
}
