//! Signing in.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use sha2::{Digest, Sha256};

use super::*;

fn ask(simulator: &Simulator, path: &str, headers: &[(&str, &str)], form: &[(&str, &str)]) -> Seen {
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish();
    let client = Client {
        simulator: simulator.clone(),
        token: String::new(),
    };
    let tenant = simulator.options().tenant_id;
    let mut all = vec![("content-type", "application/x-www-form-urlencoded")];
    all.extend_from_slice(headers);
    client.raw(Method::POST, &format!("/{tenant}/{path}"), &all, &body)
}

impl Client {
    /// Like `send`, for addresses outside the Web API.
    fn raw(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Seen {
        let environment = &self.simulator.environment;
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            map.insert(name, value.parse().unwrap());
        }
        let call = Call {
            method,
            uri: path.parse().unwrap(),
            headers: map,
            body: Bytes::from(body.to_owned()),
            base_url: BASE.to_owned(),
            at: environment.options.common.clock.now(),
            rows: None,
        };
        let answer = environment.answer(&call);
        let text = String::from_utf8(answer.body().to_vec()).unwrap();
        Seen {
            status: answer.status(),
            headers: answer.headers().clone(),
            body: serde_json::from_str(&text).unwrap_or(Value::Null),
            text,
        }
    }
}

#[test]
fn an_application_signs_in_by_its_secret() {
    let org = integration();
    let simulator = &org.simulator;
    let application = &simulator.options().applications[0];
    let id = application.client_id.to_string();
    let secret = application.client_secret.clone().unwrap();
    let scope = format!("{BASE}/.default");
    let good = [
        ("grant_type", "client_credentials"),
        ("client_id", id.as_str()),
        ("client_secret", secret.as_str()),
        ("scope", scope.as_str()),
    ];
    let seen = ask(simulator, "oauth2/v2.0/token", &[], &good).ok(200);
    assert_eq!(seen.body["token_type"], "Bearer");
    assert_eq!(seen.body["expires_in"], 3600);
    let token = seen.body["access_token"].as_str().unwrap().to_owned();
    let claims = token.split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    assert_eq!(claims["aud"], BASE);
    assert_eq!(claims["appid"], json!(application.client_id));
    assert_eq!(claims["oid"], json!(application.object_id));
    let client = Client {
        simulator: simulator.clone(),
        token,
    };
    client.get("WhoAmI").ok(200);
    // The Java library asks for these whatever the flow.
    let beside = format!("openid profile offline_access {scope}");
    let more = [good[0], good[1], good[2], ("scope", beside.as_str())];
    ask(simulator, "oauth2/v2.0/token", &[], &more).ok(200);
    let basic = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
    let rest = [good[0], good[3]];
    ask(
        simulator,
        "oauth2/v2.0/token",
        &[("authorization", &basic)],
        &rest,
    )
    .ok(200);
    let first = [good[0], good[1], good[2], ("resource", BASE)];
    let old = ask(simulator, "oauth2/token", &[], &first).ok(200);
    assert_eq!(old.body["expires_in"], "3600");
}

#[test]
fn bad_sign_ins_get_the_directorys_errors() {
    let org = integration();
    let simulator = &org.simulator;
    let id = simulator.options().applications[0].client_id.to_string();
    let base = [
        ("grant_type", "client_credentials"),
        ("client_id", id.as_str()),
        ("client_secret", "integration-secret"),
        ("scope", "https://org.example/.default"),
    ];
    let with = |index: usize, value: &'static str| {
        let mut form = base.to_vec();
        form[index].1 = value;
        form
    };
    let nobody = "00000000-0000-0000-0000-000000000009";
    for (form, status, error, number) in [
        (with(0, "password"), 400, "unsupported_grant_type", 70_003),
        (with(1, nobody), 400, "unauthorized_client", 700_016),
        (with(2, "wrong"), 401, "invalid_client", 7_000_215),
        (
            with(3, "https://org.example/user"),
            400,
            "invalid_scope",
            1_002_012,
        ),
        (
            with(3, "nonsense/.default"),
            400,
            "invalid_resource",
            500_011,
        ),
        (base[..3].to_vec(), 400, "invalid_request", 900_144),
        (
            vec![base[0], base[1], base[3]],
            401,
            "invalid_client",
            7_000_218,
        ),
    ] {
        let seen = ask(simulator, "oauth2/v2.0/token", &[], &form).ok(status);
        assert_eq!(seen.body["error"], error, "{}", seen.text);
        assert_eq!(seen.body["error_codes"], json!([number]));
        let description = seen.body["error_description"].as_str().unwrap();
        assert!(
            description.starts_with(&format!("AADSTS{number}: ")),
            "{description}"
        );
    }
    let seen = org.raw(Method::POST, "/elsewhere/oauth2/v2.0/token", &[], "");
    assert_eq!(seen.ok(400).body["error_codes"], json!([90_002]));
}

/// An environment whose first application has a certificate, with its key.
fn certified() -> (Simulator, KeyPair, rcgen::Certificate) {
    let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let certificate = CertificateParams::new(vec!["acme.example".to_owned()])
        .unwrap()
        .self_signed(&pair)
        .unwrap();
    let mut options = DynamicsOptions::default();
    options.applications[0].certificate_pem = Some(certificate.pem());
    (Simulator::new(options).unwrap(), pair, certificate)
}

#[test]
fn an_application_signs_in_by_its_certificate() {
    let (simulator, pair, certificate) = certified();
    let options = simulator.options();
    let (id, tenant) = (options.applications[0].client_id, options.tenant_id);
    let now = simulator.options().common.clock.now().as_second();
    let key = EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes()).unwrap();
    let good = json!({
        "aud": format!("{BASE}/{tenant}/oauth2/v2.0/token"),
        "iss": id, "sub": id, "jti": "1", "nbf": now, "exp": now + 600,
    });
    let sign = |algorithm, claims: &Value, thumb: Option<String>| {
        let mut header = Header::new(algorithm);
        header.x5t_s256 = thumb;
        encode(&header, claims, &key).unwrap()
    };
    let old = |certificate: &rcgen::Certificate, padding: &str| {
        let mut header = Header::new(Algorithm::RS256);
        let thumb = URL_SAFE_NO_PAD.encode(sha1::Sha1::digest(certificate.der()));
        header.x5t = Some(format!("{thumb}{padding}"));
        encode(&header, &good, &key).unwrap()
    };
    let thumb = URL_SAFE_NO_PAD.encode(Sha256::digest(certificate.der()));
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        claims
    };
    let cases = [
        (sign(Algorithm::PS256, &good, Some(thumb.clone())), None),
        (sign(Algorithm::RS256, &good, Some(thumb.clone())), None),
        (
            sign(Algorithm::RS256, &good, Some("other".to_owned())),
            Some(700_027),
        ),
        (old(&certificate, ""), None),
        (old(&certificate, "="), None),
        (
            sign(
                Algorithm::PS256,
                &with("exp", json!(f64::from(i32::MAX) + 0.25)),
                Some(thumb.clone()),
            ),
            None,
        ),
        (sign(Algorithm::RS256, &good, None), Some(700_027)),
        (
            sign(
                Algorithm::PS256,
                &with("aud", json!("https://x.example")),
                Some(thumb.clone()),
            ),
            Some(700_023),
        ),
        (
            sign(
                Algorithm::PS256,
                &with("iss", json!("x")),
                Some(thumb.clone()),
            ),
            Some(700_023),
        ),
        (
            sign(
                Algorithm::PS256,
                &with("exp", json!(now - 900)),
                Some(thumb.clone()),
            ),
            Some(700_024),
        ),
        (
            format!("{}x", sign(Algorithm::PS256, &good, Some(thumb))),
            Some(700_027),
        ),
    ];
    for (assertion, expected) in cases {
        let seen = assert_identity(&simulator, id, &assertion);
        match expected {
            None => assert!(seen.ok(200).body["access_token"].is_string()),
            Some(number) => assert_eq!(seen.ok(401).body["error_codes"], json!([number])),
        }
    }
}

/// Signs in by an assertion.
fn assert_identity(simulator: &Simulator, id: Uuid, assertion: &str) -> Seen {
    let id = id.to_string();
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", id.as_str()),
        (
            "client_assertion_type",
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        ),
        ("client_assertion", assertion),
        ("scope", "https://org.example/.default"),
    ];
    ask(simulator, "oauth2/v2.0/token", &[], &form)
}

#[test]
fn the_directory_describes_itself() {
    let org = integration();
    let tenant = org.simulator.options().tenant_id;
    let path = format!("/{tenant}/v2.0/.well-known/openid-configuration");
    let seen = org.raw(Method::GET, &path, &[], "").ok(200);
    assert_eq!(
        seen.body["token_endpoint"],
        format!("{BASE}/{tenant}/oauth2/v2.0/token")
    );
    let keys = seen.body["jwks_uri"]
        .as_str()
        .unwrap()
        .strip_prefix(BASE)
        .unwrap()
        .to_owned();
    let keys = org.raw(Method::GET, &keys, &[], "").ok(200);
    let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(keys.body["keys"][0].clone()).unwrap();
    let key = jsonwebtoken::DecodingKey::from_jwk(&jwk).unwrap();
    let mut validation = jsonwebtoken::Validation::new(Algorithm::RS256);
    validation.set_audience(&[BASE]);
    jsonwebtoken::decode::<Value>(&org.token, &key, &validation).unwrap();
    org.raw(
        Method::GET,
        "/common/discovery/instance?api-version=1.1",
        &[],
        "",
    )
    .ok(200);
    org.raw(Method::GET, "/nothing", &[], "").ok(404);
}
