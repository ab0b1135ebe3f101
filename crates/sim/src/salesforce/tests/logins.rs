use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::*;

const TOKEN: &str = "/services/oauth2/token";

fn password(desk: &Desk) -> String {
    let options = &desk.crm.0.options;
    format!("{}{}", options.password, options.security_token)
}

fn login(desk: &Desk, more: &[(&str, &str)]) -> Got {
    let options = &desk.crm.0.options;
    let password = password(desk);
    let mut pairs = vec![
        ("grant_type", "password"),
        ("client_id", &options.client_id),
        ("client_secret", &options.client_secret),
        ("username", &options.username),
        ("password", &password),
    ];
    for (name, value) in more {
        pairs.retain(|(before, _)| before != name);
        pairs.push((name, value));
    }
    desk.form(TOKEN, &pairs)
}

#[test]
fn a_password_opens_a_session() {
    let mut desk = Desk::new();
    let got = login(&desk, &[]);
    assert_eq!(got.status, 200);
    assert_eq!(got.body["instance_url"], "https://org.example:8443");
    for name in [
        "access_token",
        "id",
        "issued_at",
        "signature",
        "token_type",
        "scope",
    ] {
        assert!(
            got.body[name].as_str().is_some_and(|text| !text.is_empty()),
            "{name}"
        );
    }
    let id = got.body["id"].as_str().unwrap().to_owned();
    desk.token = got.body["access_token"].as_str().unwrap().to_owned();
    assert_eq!(desk.get("/limits").status, 200);
    let path = id.strip_prefix("https://org.example:8443").unwrap();
    assert_eq!(desk.get(path).body["username"], "integration@acme.example");
    let got = desk.get("/services/oauth2/userinfo").body;
    assert_eq!(got["preferred_username"], "integration@acme.example");
    assert_eq!(
        format!(
            "https://org.example:8443/id/{}/{}",
            got["organization_id"].as_str().unwrap(),
            got["user_id"].as_str().unwrap()
        ),
        id
    );
    assert_eq!(desk.get("/").body["identity"], json!(id));
    desk.token = "stale".to_owned();
    assert_eq!(desk.get("/services/oauth2/userinfo").status, 403);
}

#[test]
fn wrong_logins_are_told_apart() {
    let desk = Desk::new();
    let error = |more: &[(&str, &str)]| {
        let got = login(&desk, more);
        assert_eq!(got.status, 400);
        format!(
            "{}: {}",
            got.body["error"].as_str().unwrap(),
            got.body["error_description"].as_str().unwrap()
        )
    };
    assert_eq!(
        error(&[("password", "x")]),
        "invalid_grant: authentication failure"
    );
    assert_eq!(
        error(&[("username", "nobody@acme.example")]),
        "invalid_grant: authentication failure"
    );
    assert_eq!(
        error(&[("client_id", "x")]),
        "invalid_client_id: client identifier invalid"
    );
    assert_eq!(
        error(&[("client_secret", "x")]),
        "invalid_client: invalid client credentials"
    );
    assert_eq!(
        error(&[("grant_type", "magic")]),
        "unsupported_grant_type: grant type not supported"
    );
    assert_eq!(
        error(&[("username", "olive.penhaligon@acme.example")]),
        "inactive_user: user is inactive"
    );
    assert_eq!(
        error(&[("grant_type", "refresh_token"), ("refresh_token", "x")]),
        "invalid_grant: expired access/refresh token"
    );
    assert!(error(&[("scope", "api everything")]).starts_with("invalid_scope"));
}

#[test]
fn systems_log_in_by_credentials_and_refresh() {
    let desk = Desk::new();
    let options = &desk.crm.0.options;
    let basic = STANDARD.encode(format!("{}:{}", options.client_id, options.client_secret));
    let headers = [
        ("authorization", format!("Basic {basic}")),
        (
            "content-type",
            "application/x-www-form-urlencoded".to_owned(),
        ),
    ];
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    assert_eq!(
        desk.send("POST", TOKEN, &headers, b"grant_type=client_credentials")
            .status,
        200
    );
    let pairs = [
        ("grant_type", "client_credentials"),
        ("client_id", options.client_id.as_str()),
        ("client_secret", options.client_secret.as_str()),
    ];
    assert_eq!(desk.form(TOKEN, &pairs).status, 200);
    let pairs = [
        ("grant_type", "refresh_token"),
        ("client_id", options.client_id.as_str()),
        ("refresh_token", options.refresh_token.as_str()),
    ];
    assert_eq!(desk.form(TOKEN, &pairs).status, 200);
}

#[test]
fn tokens_are_introspected_and_revoked() {
    let mut desk = Desk::new();
    let got = login(&desk, &[("scope", "api id")]);
    let token = got.body["access_token"].as_str().unwrap().to_owned();
    let (id, secret) = (
        desk.crm.0.options.client_id.clone(),
        desk.crm.0.options.client_secret.clone(),
    );
    let ask = |desk: &Desk| {
        desk.form(
            "/services/oauth2/introspect",
            &[
                ("token", &token),
                ("client_id", &id),
                ("client_secret", &secret),
            ],
        )
    };
    let got = ask(&desk).body;
    assert_eq!(
        (&got["active"], &got["scope"], &got["username"]),
        (
            &json!(true),
            &json!("api id"),
            &json!("integration@acme.example")
        )
    );
    assert!(got["exp"].as_i64().unwrap() > got["iat"].as_i64().unwrap());
    assert_eq!(
        desk.form("/services/oauth2/introspect", &[("token", &token)])
            .status,
        400
    );
    assert_eq!(
        desk.form("/services/oauth2/revoke", &[("token", &token)])
            .status,
        200
    );
    assert_eq!(ask(&desk).body, json!({"active": false}));
    assert_eq!(
        desk.form("/services/oauth2/revoke", &[("token", &token)])
            .body["error"],
        "unsupported_token_type"
    );
    desk.token = token;
    assert_eq!(
        (desk.get("/limits").status, desk.get("/limits").code()),
        (401, "INVALID_SESSION_ID")
    );
}

#[test]
fn sessions_end_and_scopes_count() {
    let mut desk = Desk::with(|options| {
        options.scopes.push("crm_read".to_owned());
        options.session_lifetime = Duration::from_mins(5);
    });
    desk.clock.advance(Duration::from_mins(6));
    let got = desk.get("/limits");
    assert_eq!(
        (got.status, got.code(), got.message()),
        (401, "INVALID_SESSION_ID", "Session expired or invalid")
    );
    let got = login(&desk, &[("scope", "id crm_read")]);
    desk.token = got.body["access_token"].as_str().unwrap().to_owned();
    assert_eq!(
        desk.get("/limits").message(),
        "This session is not valid for use with the REST API"
    );
    desk.token = String::new();
    assert_eq!(desk.get("/limits").status, 401);
    assert_eq!(
        desk.get("/services/data").status,
        200,
        "the versions are for everyone"
    );
    assert_eq!(
        desk.send("GET", "/limits", &[("authorization", "Digest x")], b"")
            .code(),
        "INVALID_AUTH_HEADER"
    );
}

/// The key pair of a client, made once.
fn key_pair() -> &'static rcgen::KeyPair {
    static PAIR: std::sync::OnceLock<rcgen::KeyPair> = std::sync::OnceLock::new();
    PAIR.get_or_init(|| rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap())
}

fn assertion(claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(&json!({"alg": "RS256"})), part(claims));
    let key =
        jsonwebtoken::EncodingKey::from_rsa_pem(key_pair().serialize_pem().as_bytes()).unwrap();
    let signature =
        jsonwebtoken::crypto::sign(message.as_bytes(), &key, jsonwebtoken::Algorithm::RS256)
            .unwrap();
    format!("{message}.{signature}")
}

#[test]
fn assertions_are_checked_as_strictly_as_salesforce_does() {
    let desk = Desk::with(|options| options.jwt_public_key = Some(key_pair().public_key_pem()));
    let client = desk.crm.0.options.client_id.clone();
    let soon = desk.clock.now().as_second() + 180;
    let good = json!({"iss": client, "sub": "rae.quillon@acme.example", "aud": "https://login.salesforce.com", "exp": soon});
    let send = |claims: &Value| {
        let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
        desk.form(
            TOKEN,
            &[("grant_type", grant), ("assertion", &assertion(claims))],
        )
    };
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        let got = send(&claims);
        if got.status == 200 {
            "ok".to_owned()
        } else {
            got.body["error_description"].as_str().unwrap().to_owned()
        }
    };
    assert_eq!(send(&good).status, 200);
    assert_eq!(with("exp", json!(soon.to_string())), "ok");
    assert_eq!(with("exp", json!(soon * 1000)), "ok");
    assert_eq!(with("aud", json!("https://org.example:8443")), "ok");
    assert_eq!(with("exp", json!(soon - 500)), "expired authorization code");
    assert_eq!(
        with("aud", json!("https://elsewhere.example")),
        "audience is invalid"
    );
    assert_eq!(with("iss", json!("x")), "client identifier invalid");
    assert_eq!(
        with("sub", json!("nobody@acme.example")),
        "user hasn't approved this consumer"
    );
    let forged = format!("{}x", assertion(&good));
    let pairs = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
        ("assertion", forged.as_str()),
    ];
    assert_eq!(
        desk.form(TOKEN, &pairs).body["error_description"],
        "invalid assertion"
    );
    let without = Desk::new();
    assert_eq!(
        without
            .form(TOKEN, &[pairs[0], ("assertion", &assertion(&good))])
            .status,
        400
    );
    assert!(
        matches!(Simulator::new(SalesforceOptions { jwt_public_key: Some("x".into()), ..SalesforceOptions::default() }), Err(error) if error.to_string().contains("jwt_public_key"))
    );
}

fn soap(desk: &Desk, path: &str, username: &str, password: &str) -> Got {
    let body = format!(
        r#"<?xml version="1.0" encoding="utf-8" ?><env:Envelope xmlns:env="http://schemas.xmlsoap.org/soap/envelope/"><env:Body>
        <n1:login xmlns:n1="urn:partner.soap.sforce.com"><n1:username>{username}</n1:username><n1:password>{password}</n1:password></n1:login></env:Body></env:Envelope>"#
    );
    desk.send(
        "POST",
        path,
        &[("content-type", "text/xml"), ("soapaction", "login")],
        body.as_bytes(),
    )
}

#[test]
fn soap_logins_answer_in_the_order_that_clients_rely_on() {
    let mut desk = Desk::new();
    let password = password(&desk);
    let got = soap(
        &desk,
        "/services/Soap/u/59.0",
        "rae.quillon@acme.example",
        &password,
    );
    let text = got.body.as_str().unwrap();
    let order = [
        "<metadataServerUrl>",
        "<passwordExpired>",
        "<sandbox>",
        "<serverUrl>",
        "<sessionId>",
        "<userId>",
        "<userInfo>",
    ];
    let places: Vec<_> = order.iter().map(|tag| text.find(tag).unwrap()).collect();
    assert!(places.is_sorted(), "{text}");
    assert!(text.contains(
        "<serverUrl>https://org.example:8443/services/Soap/u/59.0/00DWd0000008Acm</serverUrl>"
    ));
    let info = text.split_once("<userInfo>").unwrap().1;
    assert_eq!(info.matches("</").take(8).count(), 8);
    assert!(
        info.split("</")
            .nth(8)
            .unwrap()
            .contains("<organizationId>"),
        "the ninth child: {info}"
    );
    let token = text
        .split_once("<sessionId>")
        .unwrap()
        .1
        .split_once('<')
        .unwrap()
        .0
        .to_owned();
    desk.token = token;
    assert_eq!(desk.get("/limits").status, 200);
    let got = soap(
        &desk,
        "/services/Soap/c/59.0/0DF",
        "rae.quillon@acme.example",
        "wrong",
    );
    let text = got.body.as_str().unwrap();
    assert_eq!(got.status, 500);
    for part in [
        "<sf:exceptionCode>INVALID_LOGIN</sf:exceptionCode>",
        "<sf:exceptionMessage>Invalid username",
        "<faultstring>INVALID_LOGIN: ",
    ] {
        assert!(text.contains(part), "{text}");
    }
    let got = soap(
        &desk,
        "/services/Soap/u/65.0",
        "rae.quillon@acme.example",
        &password,
    );
    assert!(
        got.status == 500
            && got
                .body
                .as_str()
                .unwrap()
                .contains("No operation available")
    );
    assert_eq!(soap(&desk, "/services/Soap/u/99.0", "a", "b").status, 404);
}
