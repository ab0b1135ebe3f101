//! Sign-in: the connection's own by certificate, and clients' through the gate.

use bytes::Bytes;
use crmgate_connector::secret::ExposeSecret as _;
use crmgate_connector::{Body, Credential, NativeRequest, Refusal};
use crmgate_sim::dynamics::{DynamicsOptions, Simulator};
use http::HeaderValue;
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::support::{GATE, Org, SECRET, connector, seen};
use crate::wire::{CLIENT, Stub, TENANT};

fn certificate() -> (String, String) {
    let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let certificate = CertificateParams::new(vec!["gate.example".to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    (certificate.pem(), key.serialize_pem())
}

#[tokio::test]
async fn a_certificate_signs_in() {
    let (certificate, private_key) = certificate();
    let mut options = DynamicsOptions::default();
    options.applications[0].certificate_pem = Some(certificate.clone());
    let application = options.applications[0].client_id.to_string();
    let tenant = options.tenant_id.to_string();
    let clock = options.common.clock.clone();
    let sim = Simulator::new(options).unwrap();
    let running = crmgate_sim::serve::spawn(sim.router()).await.unwrap();
    let ambient = crate::support::following(clock);
    let settings = |key: &str| {
        json!({
            "url": running.url, "authority": running.url, "tenant": tenant, "client_id": application,
            "auth": {"flow": "certificate", "certificate": format!("fixed:{certificate}"), "private_key": format!("fixed:{key}")},
        })
    };
    let good = connector(&settings(&private_key), &ambient).unwrap();
    assert_eq!(
        good.probe().await.unwrap().actor.client.as_deref(),
        Some(application.as_str())
    );
    let (_, other) = self::certificate();
    let failure = connector(&settings(&other), &ambient)
        .unwrap()
        .probe()
        .await
        .unwrap_err();
    assert!(failure.to_string().contains("invalid_client"), "{failure}");
    let failure = connector(&settings("no key"), &ambient)
        .unwrap()
        .probe()
        .await
        .unwrap_err();
    assert!(
        failure.to_string().contains("auth.private_key"),
        "{failure}"
    );
}

#[tokio::test]
async fn an_assertion_says_who_and_for_how_long() {
    let (certificate, private_key) = certificate();
    let auth = json!({
        "flow": "certificate", "certificate": format!("fixed:{certificate}"), "private_key": format!("fixed:{private_key}"),
    });
    let stub = Stub::new(auth).await;
    stub.token("t", None).await;
    let _ = stub.connector.probe().await;
    let calls = stub.server.received_requests().await.unwrap();
    let form: Vec<(String, String)> = url::form_urlencoded::parse(&calls[0].body)
        .into_owned()
        .collect();
    let member = |name: &str| form.iter().find(|(key, _)| key == name).unwrap().1.clone();
    assert_eq!(
        member("client_assertion_type"),
        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    );
    let assertion = member("client_assertion");
    let part = |index: usize| -> Value {
        use base64::Engine as _;
        let text = assertion.split('.').nth(index).unwrap();
        serde_json::from_slice(
            &base64::engine::general_purpose::URL_SAFE_NO_PAD
                .decode(text)
                .unwrap(),
        )
        .unwrap()
    };
    assert_eq!(part(0)["alg"], "PS256");
    assert_eq!(part(0)["x5t#S256"].as_str().unwrap().len(), 43);
    let claims = part(1);
    assert_eq!(
        (&claims["iss"], &claims["sub"]),
        (&json!(CLIENT), &json!(CLIENT))
    );
    assert_eq!(
        claims["aud"],
        format!("{}/{TENANT}/oauth2/v2.0/token", stub.server.uri())
    );
    assert_eq!(
        claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(),
        600
    );
}

fn form(org: &Org, scope: &str) -> NativeRequest {
    let tenant = org.options.tenant_id;
    let mut head = org.head("POST", &format!("/{tenant}/oauth2/v2.0/token"));
    head.headers.remove("authorization");
    head.headers.insert(
        "content-type",
        HeaderValue::from_static("application/x-www-form-urlencoded"),
    );
    let body = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "client_credentials")
        .append_pair(
            "client_id",
            &org.options.applications[0].client_id.to_string(),
        )
        .append_pair("client_secret", SECRET)
        .append_pair("scope", scope)
        .finish();
    NativeRequest {
        head,
        body: Body::Full(Bytes::from(body)),
    }
}

#[tokio::test]
async fn a_client_signs_in_through_the_gate() {
    let org = Org::new().await;
    // It only knows the gate, so it asks for the gate.
    let answer = org
        .connector
        .sign_in(form(&org, &format!("{GATE}/.default")))
        .await
        .unwrap();
    let answer = seen(answer).await.ok(200);
    let token = SecretString::from(answer.body["access_token"].as_str().unwrap());
    let me = org.connector.identify(&token).await.unwrap();
    assert_eq!(
        me.actor.client,
        Some(org.options.applications[0].client_id.to_string())
    );
    let sent = org.sim.front().journal().after(0);
    let form = sent
        .iter()
        .find(|call| call["path"].as_str().unwrap().contains("token"))
        .unwrap();
    let encoded: String =
        url::form_urlencoded::byte_serialize(org.running.url.as_bytes()).collect();
    assert!(form["body"].as_str().unwrap().contains(&encoded), "{form}");
    let read = org.request("GET", "WhoAmI", "");
    let answer = org
        .connector
        .pass(read, &Credential::Caller(token), None)
        .await
        .unwrap();
    assert_eq!(answer.status, 200);

    let mut wrong = form_of_wrong_secret(&org);
    let answer = seen(
        org.connector
            .sign_in(std::mem::replace(&mut wrong, form_of_wrong_secret(&org)))
            .await
            .unwrap(),
    )
    .await;
    assert_eq!(
        (answer.status, &answer.body["error"]),
        (401, &json!("invalid_client"))
    );
}

fn form_of_wrong_secret(org: &Org) -> NativeRequest {
    let request = form(org, &format!("{GATE}/.default"));
    let Body::Full(body) = request.body else {
        panic!()
    };
    let text = String::from_utf8(body.to_vec())
        .unwrap()
        .replace(SECRET, "guess");
    NativeRequest {
        head: request.head,
        body: Body::Full(text.into()),
    }
}

#[tokio::test]
async fn the_sign_in_document_leads_back_to_the_gate() {
    let org = Org::new().await;
    let path = format!(
        "/{}/v2.0/.well-known/openid-configuration",
        org.options.tenant_id
    );
    let request = NativeRequest {
        head: org.head("GET", &path),
        body: Body::empty(),
    };
    let answer = seen(org.connector.sign_in(request).await.unwrap())
        .await
        .ok(200);
    // The Microsoft libraries also refuse an issuer that is neither where they asked nor known to them.
    for member in ["token_endpoint", "issuer"] {
        let address = answer.body[member].as_str().unwrap();
        assert!(address.starts_with(GATE), "{member}: {address}");
    }
}

#[tokio::test]
async fn a_brokered_sign_in_names_the_gates_token() {
    let org = Org::new().await;
    let secret = |request: &NativeRequest| {
        let found = org.connector.brokered_sign_in(request);
        found.map(|secret| secret.expose_secret().to_owned())
    };
    let request = form(&org, "x");
    assert_eq!(secret(&request).as_deref(), Some(SECRET));
    let mut basic = form(&org, "x");
    basic.body = Body::Full("grant_type=client_credentials".into());
    basic.head.headers.insert(
        "authorization",
        HeaderValue::from_static("Basic YTpiJTNBYw=="),
    );
    assert_eq!(secret(&basic).as_deref(), Some("b:c"));
    basic.head.headers.remove("authorization");
    assert_eq!(secret(&basic), None);
    let token = SecretString::from("cg_token");
    let answer = seen(org.connector.brokered_answer(&request, &token))
        .await
        .ok(200);
    assert_eq!(
        (&answer.body["token_type"], &answer.body["access_token"]),
        (&json!("Bearer"), &json!("cg_token"))
    );
    let refusal = Refusal::Unauthenticated {
        message: "no such token".to_owned(),
    };
    let refused = seen(org.connector.render(&request.head, &refusal))
        .await
        .ok(401);
    assert_eq!(refused.body["error"], "invalid_client");
}

#[tokio::test]
async fn a_challenge_names_the_real_resource() {
    let org = Org::new().await;
    let refusal = Refusal::Unauthenticated {
        message: "no token".to_owned(),
    };
    let head = org.head("GET", "/api/data/v9.2/accounts");
    let answer = seen(org.connector.render(&head, &refusal)).await.ok(401);
    let (url, tenant) = (&org.running.url, org.options.tenant_id);
    assert_eq!(
        answer.header("www-authenticate"),
        format!("Bearer authorization_uri={url}/{tenant}/oauth2/authorize, resource_id={url}/")
    );
}

#[test]
fn settings_tell_all_faults_together() {
    let ambient = crate::support::following(crmgate_sim::Clock::default());
    let told = |settings: Value| -> Vec<String> {
        let faults = connector(&settings, &ambient).err().unwrap();
        faults
            .iter()
            .map(|fault| format!("{}: {}", fault.setting, fault.problem))
            .collect()
    };
    let auth = json!({"flow": "client_secret", "secret": "plain text"});
    let faults = told(json!({
        "url": "https://org.example/path", "authority": "ftp://x", "api_version": "9", "auth": auth,
        "mapping": {"contact": {"fields": {"nosuch": "x"}}},
    }));
    assert_eq!(faults.len(), 4, "{faults:#?}");
    let faults = told(json!({"url": "https://org.example", "auth": {"flow": "certificate"}}));
    let settings: Vec<&str> = faults
        .iter()
        .filter_map(|fault| fault.split_once(':'))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(
        settings,
        [
            "auth.certificate",
            "auth.private_key",
            "tenant",
            "client_id"
        ]
    );
    assert!(told(json!({"url": "https://org.example", "ulr": "x"}))[0].contains("ulr"));
    assert!(told(json!({}))[0].starts_with("url: "));
    let secret = told(
        json!({"url": "https://o.example", "tenant": "t", "client_id": "c", "auth": {"flow": "client_secret", "secret": "plain text"}}),
    );
    assert!(!secret[0].contains("plain text"), "{secret:?}");
}

#[test]
fn the_guides_settings_are_taken() {
    let guide = include_str!("../../README.md");
    let (_, rest) = guide.split_once("```toml").unwrap();
    let (text, _) = rest.split_once("```").unwrap();
    let table: toml::Table = text.replace("env:DV_SECRET", "fixed:x").parse().unwrap();
    let mut settings = serde_json::to_value(&table["connections"]["acme-dv"]).unwrap();
    settings.as_object_mut().unwrap().remove("system");
    let ambient = crate::support::following(crmgate_sim::Clock::default());
    connector(&settings, &ambient).unwrap_or_else(|faults| panic!("{faults:?}"));
}
