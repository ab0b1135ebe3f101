//! Who callers are, and how they sign in through the gate.

use crmgate_connector::{Failure, NativeRequest};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use crate::support::{Org, RAE, TOMA, head, request, whole};

fn form(pairs: &[(&str, &str)]) -> NativeRequest {
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish();
    let mut request = request("POST", "/services/oauth2/token", &body);
    let headers = &mut request.head.headers;
    headers.remove("authorization");
    let form = http::HeaderValue::from_static("application/x-www-form-urlencoded");
    headers.insert("content-type", form);
    request
}

fn soap(body: &str) -> NativeRequest {
    let mut request = request("POST", "/services/Soap/u/59.0", body);
    let headers = &mut request.head.headers;
    headers.remove("authorization");
    headers.insert("content-type", http::HeaderValue::from_static("text/xml"));
    headers.insert("soapaction", http::HeaderValue::from_static("login"));
    request
}

fn login_envelope(username: &str, password: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\" ?>\
         <env:Envelope xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\" \
         xmlns:env=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:urn=\"urn:partner.soap.sforce.com\">\
         <env:Header><urn:CallOptions><urn:client>client</urn:client></urn:CallOptions></env:Header>\
         <env:Body><n1:login xmlns:n1=\"urn:partner.soap.sforce.com\">\
         <n1:username>{username}</n1:username><n1:password>{password}</n1:password>\
         </n1:login></env:Body></env:Envelope>"
    )
}

#[tokio::test]
async fn a_caller_has_roles_groups_and_remembered_scopes() {
    let org = Org::new().await;
    let identity = org
        .connector
        .identify(&SecretString::from(RAE))
        .await
        .unwrap();
    let actor = identity.actor;
    assert!(actor.id.starts_with("005") && actor.id.len() == 18);
    assert_eq!(actor.username.as_deref(), Some("rae.quillon@acme.example"));
    assert_eq!(actor.email.as_deref(), Some("rae.quillon@acme.example"));
    assert_eq!(actor.roles, ["Api_Access", "Standard User"]);
    assert_eq!(actor.groups, ["EMEA Sales Team", "Inbound Leads"]);
    assert_eq!(actor.scopes, None, "no source tells them");
    assert_eq!(identity.org.as_deref(), Some("00DWd0000008AcmMAE"));

    let unknown = org.connector.identify(&SecretString::from("nobody")).await;
    assert!(matches!(unknown, Err(Failure::Refused { code, .. }) if code == "INVALID_SESSION_ID"));
    assert_eq!(
        org.connector
            .probe()
            .await
            .unwrap()
            .actor
            .username
            .as_deref(),
        Some("integration@acme.example")
    );
}

#[tokio::test]
async fn scopes_come_from_token_answers_that_passed_and_from_introspection() {
    let org = Org::new().await;
    let (id, secret) = (&org.options.client_id, &org.options.client_secret);
    let signed_in = org
        .connector
        .sign_in(form(&[
            ("grant_type", "refresh_token"),
            ("refresh_token", &org.options.refresh_token),
            ("client_id", id),
            ("client_secret", secret),
        ]))
        .await
        .unwrap();
    let (status, answer) = whole(signed_in).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["instance_url"], "https://gate.example:8701");
    assert!(
        answer["id"]
            .as_str()
            .unwrap()
            .starts_with("https://gate.example:8701/id/00D")
    );
    let token = SecretString::from(answer["access_token"].as_str().unwrap());
    let actor = org.connector.identify(&token).await.unwrap().actor;
    assert_eq!(
        actor.scopes.unwrap(),
        ["api", "email", "id", "profile", "refresh_token"]
    );

    let asking = Org::with(
        |options| json!({"flow": "client_credentials", "client_id": options.client_id, "client_secret": format!("fixed:{}", options.client_secret)}),
        json!({}),
    )
    .await;
    let more = json!({"introspection": {"client_id": asking.options.client_id, "client_secret": format!("fixed:{}", asking.options.client_secret)}, "login_url": asking.running.url, "instance_url": asking.running.url});
    let connector = crate::support::connector(&more, &asking.ambient).unwrap();
    let actor = connector
        .identify(&SecretString::from(TOMA))
        .await
        .unwrap()
        .actor;
    assert_eq!(actor.scopes.unwrap(), ["api"]);
    assert_eq!(actor.roles, Vec::<String>::new(), "nobody to ask for roles");
}

#[tokio::test]
async fn a_refused_sign_in_is_the_hosts_answer() {
    let org = Org::new().await;
    let refused = org
        .connector
        .sign_in(form(&[
            ("grant_type", "password"),
            ("username", "x"),
            ("password", "y"),
            ("client_id", "z"),
            ("client_secret", "z"),
        ]))
        .await
        .unwrap();
    let (status, answer) = whole(refused).await;
    assert_eq!(status, 400);
    assert!(answer["error"].is_string(), "{answer}");
}

#[tokio::test]
async fn soap_login_passes_and_nothing_else_does() {
    let org = Org::new().await;
    let password = format!("{}{}", org.options.password, org.options.security_token);
    let envelope = login_envelope("rae.quillon@acme.example", &password);
    let answer = org.connector.sign_in(soap(&envelope)).await.unwrap();
    let (status, text) = whole(answer).await;
    let text = text.as_str().unwrap().to_owned();
    assert_eq!(status, 200, "{text}");
    assert!(
        text.contains("<serverUrl>https://gate.example:8701/services/Soap/u/59.0/"),
        "{text}"
    );
    assert!(!text.contains(&org.running.url), "{text}");

    let before = org.journal(&["POST"]).len();
    let create = "<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\"><e:Body>\
                  <create xmlns=\"urn:partner.soap.sforce.com\"><sObjects/></create></e:Body></e:Envelope>";
    let refused = org.connector.sign_in(soap(create)).await.err().unwrap();
    let Failure::Refused { code, response, .. } = refused else {
        panic!("{refused}")
    };
    assert_eq!(code, "not_understood");
    assert_eq!(response.unwrap().status, 500);
    assert_eq!(org.journal(&["POST"]).len(), before);
}

#[tokio::test]
async fn brokered_clients_hand_over_a_token_of_the_gate() {
    let org = Org::new().await;
    let token = "crmgate_ab_cd";
    let found = |request: &NativeRequest| {
        org.connector
            .brokered_sign_in(request)
            .map(|token| token.expose_secret().to_owned())
    };
    let basic = {
        use base64::Engine as _;
        let mut request = form(&[("grant_type", "client_credentials")]);
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("id:{token}"));
        let value = http::HeaderValue::from_str(&format!("Basic {pair}")).unwrap();
        request.head.headers.insert("authorization", value);
        request
    };
    let envelope = login_envelope("me@example.com", token);
    for request in [
        form(&[
            ("grant_type", "client_credentials"),
            ("client_id", "x"),
            ("client_secret", token),
        ]),
        form(&[
            ("grant_type", "password"),
            ("client_secret", "x"),
            ("password", token),
        ]),
        form(&[("grant_type", "refresh_token"), ("refresh_token", token)]),
        basic,
        soap(&envelope),
    ] {
        assert_eq!(found(&request).as_deref(), Some(token));
    }
    assert_eq!(found(&form(&[("client_secret", "other")])), None);
    let secret = SecretString::from(token);
    let (_, answer) = whole(org.connector.brokered_answer(&form(&[]), &secret)).await;
    insta::assert_json_snapshot!(answer);
    let (_, answer) = whole(org.connector.brokered_answer(&soap(&envelope), &secret)).await;
    insta::assert_snapshot!(answer.as_str().unwrap());
}

#[tokio::test]
async fn the_callers_token_is_taken_from_where_clients_put_it() {
    let org = Org::new().await;
    let of = |name: &'static str, value: &str| {
        let mut head = head("GET", "/services/data/v66.0/limits");
        head.headers.remove("authorization");
        head.headers.insert(name, value.parse().unwrap());
        org.connector
            .caller_token(&head)
            .map(|token| token.expose_secret().to_owned())
    };
    assert_eq!(of("authorization", "Bearer a!b").as_deref(), Some("a!b"));
    assert_eq!(of("authorization", "OAuth a!b").as_deref(), Some("a!b"));
    assert_eq!(of("x-sfdc-session", "a!b").as_deref(), Some("a!b"));
    assert_eq!(of("authorization", "Basic a!b"), None);
    assert_eq!(of("cookie", "sid=a"), None);
    let mut soap = head("POST", "/services/Soap/u/59.0");
    soap.headers.remove("authorization");
    let token = org.connector.caller_token(&soap).unwrap();
    assert_eq!(token.expose_secret(), "", "its session is in the body");
    let mut twice = head("GET", "/");
    twice
        .headers
        .append("authorization", "Bearer other".parse().unwrap());
    assert!(org.connector.caller_token(&twice).is_none());
}
