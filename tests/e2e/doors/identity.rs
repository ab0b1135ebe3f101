//! The doors of identity: who has no credential, or another's, gets nothing and is told so in the
//! CRM's own shape.

use serde_json::{Value, json};

use super::table::Crm;
use super::wire::Reply;
use super::{DENY_ALL, DENY_VALUE, Face, House};
use crate::control::call;

/// A create, with these lines of the head instead of a credential.
fn create(face: &Face, lines: &str) -> Vec<u8> {
    let (path, body) = match face.crm {
        Crm::Salesforce => (
            "/services/data/v66.0/sobjects/Contact",
            r#"{"LastName":"Nobody"}"#,
        ),
        Crm::Dynamics => ("/api/data/v9.2/contacts", r#"{"lastname":"Nobody"}"#),
    };
    let length = body.len();
    let host = if lines.starts_with("Host:") || lines.contains("NO-HOST") {
        String::new()
    } else {
        format!("Host: {}\r\n", face.host())
    };
    format!(
        "POST {path} HTTP/1.1\r\n{host}{lines}Content-Type: application/json\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

fn read(face: &Face, lines: &str) -> Vec<u8> {
    let path = match face.crm {
        Crm::Salesforce => "/services/data/v66.0/query?q=SELECT+Id+FROM+Contact",
        Crm::Dynamics => "/api/data/v9.2/contacts",
    };
    format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\n{lines}Connection: close\r\n\r\n",
        face.host()
    )
    .into_bytes()
}

/// A 401 that this CRM's clients know.
fn says_sign_in(crm: Crm, reply: &Reply) -> bool {
    let shown = crm.in_its_shape(reply);
    match crm {
        Crm::Salesforce => {
            reply.status == 401 && shown && reply.json()[0]["errorCode"] == "INVALID_SESSION_ID"
        }
        Crm::Dynamics => {
            let challenge = reply.header("www-authenticate").unwrap_or_default();
            reply.status == 401 && challenge.contains("authorization_uri=")
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_no_valid_credential_is_sent_to_sign_in() {
    let house = House::new(DENY_VALUE).await;
    let admin = &house.site.admin;
    for crm in [Crm::Salesforce, Crm::Dynamics] {
        let face = house.face(crm);
        let token = &face.token;
        let other = &house
            .face(match crm {
                Crm::Salesforce => Crm::Dynamics,
                Crm::Dynamics => Crm::Salesforce,
            })
            .token;
        let lines = [
            String::new(),
            "Authorization: Bearer nonsense\r\n".to_owned(),
            "Authorization: Bearer \r\n".to_owned(),
            "Authorization:\r\n".to_owned(),
            format!("Authorization: Basic {token}\r\n"),
            format!("Authorization: {token}\r\n"),
            format!("Authorization: Bearer{token}\r\n"),
            format!("Authorization: Bearer {token}x\r\n"),
            format!("Authorization: Bearer {other}\r\n"),
            // The gate's own tokens open nothing where the CRM's do.
            format!("Authorization: Bearer {admin}\r\n"),
            // Two could be read as one here and as the other there.
            format!("Authorization: Bearer nonsense\r\nAuthorization: Bearer {token}\r\n"),
            format!("Authorization: Bearer {token}\r\nAuthorization: Bearer nonsense\r\n"),
            format!("Authorization: Bearer {token}, Bearer nonsense\r\n"),
            format!("Proxy-Authorization: Bearer {token}\r\n"),
            format!("X-Authorization: Bearer {token}\r\n"),
            format!("Cookie: sid={token}\r\n"),
            // Named as a matter of this connection, it never crosses.
            format!("Authorization: Bearer {token}\r\nConnection: Authorization\r\n"),
        ];
        for lines in &lines {
            for request in [create(face, lines), read(face, lines)] {
                let reply = face.wire.send(&request).await.unwrap();
                let text = String::from_utf8_lossy(&request).into_owned();
                assert!(
                    says_sign_in(crm, &reply),
                    "{text}\n{} {}",
                    reply.status,
                    reply.text()
                );
                let said = format!("{:?}{}", reply.headers, reply.text());
                assert!(!said.contains(token) && !said.contains(admin), "{said}");
            }
        }
        let query = format!("?oauth_token={token}&access_token={token}&sid={token}");
        let request = String::from_utf8(read(face, "")).unwrap();
        let request = request.replacen("?q", &format!("{query}&q"), 1);
        let request = request.replacen("contacts ", &format!("contacts{query} "), 1);
        let reply = face.wire.send(request.as_bytes()).await.unwrap();
        assert!(says_sign_in(crm, &reply), "{}", reply.text());
        assert!(house.writes(crm).await.is_empty());
    }
    let log = std::fs::read_to_string(house.site.path().join("output.log")).unwrap();
    for secret in [admin, &house.salesforce.token, &house.dynamics.token] {
        assert!(!log.contains(secret.as_str()), "a credential is in the log");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_ended_is_no_credential() {
    let house = House::new(DENY_VALUE).await;
    for (crm, path) in [
        (Crm::Salesforce, "/services/oauth2/userinfo"),
        (Crm::Dynamics, "/api/data/v9.2/WhoAmI"),
    ] {
        let face = house.face(crm);
        let faults = json!({"faults": [{"path": path, "kind": "expire_session"}]});
        let url = format!("{}/_sim/faults", house.simulator(crm));
        let put = call(&house.site.plain, "PUT", &url, "", Some(&faults)).await;
        assert_eq!(put.unwrap().status, 200);
        let lines = format!("Authorization: Bearer {}\r\n", face.token);
        let reply = face.wire.send(&create(face, &lines)).await.unwrap();
        assert!(
            says_sign_in(crm, &reply),
            "{} {}",
            reply.status,
            reply.text()
        );
        assert!(house.writes(crm).await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_in_salesforce_s_own_header_is_judged_like_any() {
    let house = House::new(DENY_ALL).await;
    let face = &house.salesforce;
    let valid = format!("X-SFDC-Session: {}\r\n", face.token);
    let reply = face.wire.send(&create(face, &valid)).await.unwrap();
    assert_eq!(reply.status, 400, "{}", reply.text());
    let twice = format!("X-SFDC-Session: nonsense\r\n{valid}");
    let reply = face.wire.send(&create(face, &twice)).await.unwrap();
    assert!(says_sign_in(Crm::Salesforce, &reply), "{}", reply.text());
    let both = format!("Authorization: Bearer nonsense\r\n{valid}");
    let reply = face.wire.send(&create(face, &both)).await.unwrap();
    assert!(says_sign_in(Crm::Salesforce, &reply), "{}", reply.text());
    assert!(house.writes(Crm::Salesforce).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_s_word_about_itself_or_the_gate_counts_for_nothing() {
    let house = House::new(DENY_ALL).await;
    for crm in [Crm::Salesforce, Crm::Dynamics] {
        let face = house.face(crm);
        let lines = format!(
            "Authorization: Bearer {}\r\nCrmgate-Decision: forged\r\nCrmgate-Effect: allow\r\n\
             Crmgate-Mode: observe\r\nCrmgate-Hold: forged\r\nX-Forwarded-For: 127.0.0.1\r\n\
             X-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: http\r\nX-Real-IP: 127.0.0.1\r\n\
             Forwarded: for=127.0.0.1;host=evil.example;proto=http\r\n",
            face.token
        );
        let reply = face.wire.send(&create(face, &lines)).await.unwrap();
        assert_eq!(reply.status, 400, "{}", reply.text());
        assert_eq!(reply.header("crmgate-effect"), Some("deny"));
        assert_ne!(reply.header("crmgate-decision"), Some("forged"));
        assert_eq!(reply.header("crmgate-hold"), None);
        let reply = face.wire.send(&read(face, &lines)).await.unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
        let said = format!("{:?}{}", reply.headers, reply.text());
        assert!(!said.contains("evil.example"), "{said}");
        let journal = journal(&house, crm).await;
        for word in [
            "evil.example",
            "forged",
            "crmgate-",
            "x-forwarded",
            "x-real-ip",
        ] {
            assert!(!journal.contains(word), "`{word}` reached the CRM");
        }
    }
}

async fn journal(house: &House, crm: Crm) -> String {
    let url = format!("{}/_sim/requests", house.simulator(crm));
    let answer = call(&house.site.plain, "GET", &url, "", None)
        .await
        .unwrap();
    answer.body.to_string().to_ascii_lowercase()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_can_be_read_two_ways_gets_no_further() {
    let house = House::new(DENY_VALUE).await;
    for crm in [Crm::Salesforce, Crm::Dynamics] {
        let face = house.face(crm);
        let (own, token) = (face.host(), &face.token);
        for host in [
            "X-Said: NO-HOST\r\n".to_owned(),
            format!("Host: {own}\r\nHost: {own}\r\n"),
            format!("Host: {own}\r\nHost: evil.example\r\n"),
            format!("Host: user@{own}\r\n"),
            format!("Host: {own}/path\r\n"),
            format!("Host: {own}, evil.example\r\n"),
            format!("Host: {own}#x\r\n"),
            "Host: \r\n".to_owned(),
            "Host: evil .example\r\n".to_owned(),
            "Host: 127.0.0.1:port\r\n".to_owned(),
        ] {
            let lines = format!("{host}Authorization: Bearer {token}\r\n");
            let request = create(face, &lines);
            let reply = face.wire.send(&request).await;
            let refused = reply.as_ref().is_none_or(|reply| reply.status == 400);
            assert!(refused, "{host}: {:?}", reply.map(|r| (r.status, r.text())));
        }
        assert!(house.writes(crm).await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_brokered_connection_takes_crmgate_tokens_only() {
    let house = House::with(DENY_ALL, |config| {
        config
            .replace(
                "[connections.acme-sf]\n",
                "[connections.acme-sf]\nidentity = \"brokered\"\n",
            )
            .replace(
                "[connections.acme-dv]\n",
                "[connections.acme-dv]\nidentity = \"brokered\"\n",
            )
    })
    .await;
    let made = async |roles: &[&str], connections: &[&str]| {
        let body = json!({"name": format!("{roles:?}{connections:?}"), "roles": roles,
            "connections": connections});
        let url = format!("{}/v1/tokens", house.site.control_url());
        let answer = call(
            &house.site.plain,
            "POST",
            &url,
            &house.site.admin,
            Some(&body),
        )
        .await;
        let answer = answer.unwrap();
        let token = answer.body["token"].as_str();
        let token = token.unwrap_or_else(|| panic!("{}", answer.body));
        let id = answer.body["info"]["id"].as_str().unwrap();
        (token.to_owned(), id.to_owned())
    };
    for (crm, own, other) in [
        (Crm::Salesforce, "acme-sf", "acme-dv"),
        (Crm::Dynamics, "acme-dv", "acme-sf"),
    ] {
        let face = house.face(crm);
        let mut tried: Vec<(String, u16)> = vec![
            (face.token.clone(), 401),
            (made(&["client"], &[other]).await.0, 403),
            (made(&["auditor"], &[own]).await.0, 403),
        ];
        let (good, id) = made(&["client"], &[own]).await;
        let revoked = made(&["client"], &[own]).await;
        let url = format!("{}/v1/tokens/{}", house.site.control_url(), revoked.1);
        let ended = call(&house.site.plain, "DELETE", &url, &house.site.admin, None).await;
        assert_eq!(ended.unwrap().status, 204);
        tried.push((revoked.0, 401));
        // Its id, which lists show, is not the token.
        tried.push((id, 401));
        tried.push((format!("{good}x"), 401));
        tried.push((good, 400));
        for (token, status) in tried {
            let lines = format!("Authorization: Bearer {token}\r\n");
            let reply = face.wire.send(&create(face, &lines)).await.unwrap();
            assert_eq!(reply.status, status, "{}", reply.text());
            assert!(crm.in_its_shape(&reply), "{}", reply.text());
            let read = face.wire.send(&read(face, &lines)).await.unwrap();
            let expected = if status == 400 { 200 } else { status };
            assert_eq!(read.status, expected, "{}", read.text());
        }
        let written: Vec<Value> = house.writes(crm).await;
        assert!(written.is_empty(), "{written:#?}");
    }
}
