//! Secrets go in by every door; none comes out by a log, a number, a trace, a probe or an answer
//! of the control API, and no credential lies in the data directory.

use std::path::Path;

use bytes::Bytes;
use http::Request;
use serde_json::json;

use super::WATCHED;
use super::collector::Collector;
use crate::control::call;
use crate::served::Site;

/// What must stay inside.
struct Secret {
    what: &'static str,
    text: String,
    /// Values of records may be kept in the data directory; credentials may not.
    credential: bool,
}

fn credential(what: &'static str, text: impl Into<String>) -> Secret {
    Secret {
        what,
        text: text.into(),
        credential: true,
    }
}

fn value(what: &'static str, text: &str) -> Secret {
    Secret {
        what,
        text: text.to_owned(),
        credential: false,
    }
}

const EMAIL: &str = "zq.planted.person@example.com";
const PHONE: &str = "+49 30 55501234567";
const BEARER: &str = "zq-planted-bearer-8f2b6c";
const QUERY: &str = "zq-planted-query-51d0aa";
const COOKIE: &str = "zq-planted-cookie-77ab19";
const BASIC: &str = "enEtcGxhbnRlZDpiYXNpYw==";
const FORM: &str = "zq-planted-form-secret-3e1";
const BODY: &str = "zq-planted-broken-body-9c4";
const COLLECTOR: &str = "zq-planted-collector-token";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_leaves_by_any_door() {
    let site = Site::new(&[("watched", WATCHED)]).await;
    let collector = Collector::start().await;
    std::fs::write(
        site.path().join("collector-token"),
        format!("Bearer {COLLECTOR}"),
    )
    .unwrap();
    let gate = site.start(&[
        ("CRMGATE__LOGGING__LEVEL", "trace"),
        ("CRMGATE__TELEMETRY__ENDPOINT", collector.url()),
        (
            "CRMGATE__TELEMETRY__HEADERS__AUTHORIZATION",
            "file:collector-token",
        ),
    ]);
    let secrets = secrets(&site);
    plant(&site).await;
    let mut told = told(&site).await;
    collector.wait_for("operation", 4).await;
    let traces = collector.taken(|taken| taken.bodies.clone());
    told.push(("the traces".to_owned(), traces.concat()));
    told.push(("the log".to_owned(), gate.output().into_bytes()));
    assert!(
        gate.output().contains("TRACE"),
        "the log is not at its most talkative"
    );
    drop(gate);
    let mut leaks = Vec::new();
    for secret in &secrets {
        for (place, text) in &told {
            // Whoever is asked to agree to a change must see it.
            let may_hold = place == "/v1/holds" && !secret.credential;
            if !may_hold && holds(text, &secret.text) {
                leaks.push(format!(
                    "{} in {place}: {}",
                    secret.what,
                    around(text, &secret.text)
                ));
            }
        }
        if secret.credential {
            leaks.extend(in_files(&site.path().join("data"), secret));
        }
    }
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
}

fn secrets(site: &Site) -> Vec<Secret> {
    let (sf, dv) = (&site.salesforce_options, &site.dynamics_options);
    let key = std::fs::read_to_string(site.path().join("key.pem")).unwrap();
    let key = key.lines().nth(1).unwrap().to_owned();
    let (_, signature) = site.dynamics_token.rsplit_once('.').unwrap();
    vec![
        credential("Salesforce's access token", &site.salesforce_token),
        credential("Salesforce's client secret", &sf.client_secret),
        credential("Salesforce's password", &sf.password),
        credential("Salesforce's security token", &sf.security_token),
        credential("Salesforce's refresh token", &sf.refresh_token),
        credential("the access token of Dynamics", &site.dynamics_token),
        credential("the signature of that token", signature),
        credential(
            "the client secret of Dynamics",
            dv.applications[0].client_secret.clone().unwrap(),
        ),
        credential("the admin's token", &site.admin),
        credential("the gateway's private key", key),
        credential("the collector's token", COLLECTOR),
        credential("a made-up bearer token", BEARER),
        credential("a token in a query", QUERY),
        credential("a session in a cookie", COOKIE),
        credential("a password by Basic", BASIC),
        credential("a secret in a form", FORM),
        credential("a secret in a body that is no JSON", BODY),
        value("an e-mail address", EMAIL),
        value("a phone number", PHONE),
    ]
}

/// Every door, with what it takes.
async fn plant(site: &Site) {
    let control = site.control_url();
    for name in ["Allowed", "Refused", "Held", "Broken", "Odd"] {
        site.create(true, &person(name)).await;
        let there = json!({"lastname": name, "emailaddress1": EMAIL, "telephone1": PHONE});
        site.create(false, &there).await;
    }
    sign_in(site, &site.salesforce_url()).await;
    for knock in odd_requests(site) {
        let request = Request::builder()
            .method(knock.method)
            .uri(&knock.url)
            .header(knock.header.0, knock.header.1)
            .header("content-type", "application/json")
            .body(Bytes::from(knock.body))
            .unwrap();
        let answer = site.gate.execute_bytes(request, 4 << 20).await;
        assert!(answer.is_ok(), "{} {}: {answer:?}", knock.method, knock.url);
    }
    let wanted = json!({
        "connection": "acme-sf",
        "operation": {
            "kind": "create",
            "object": "contact",
            "record": {"last_name": "Refused", "email": EMAIL, "phone": PHONE},
        },
    });
    let url = format!("{control}/v1/validate");
    let answer = call(&site.plain, "POST", &url, &site.admin, Some(&wanted)).await;
    assert_eq!(answer.unwrap().status, 200);
}

fn person(name: &str) -> serde_json::Value {
    json!({"LastName": name, "Email": EMAIL, "Phone": PHONE})
}

/// A request that no good client would send.
struct Knock {
    method: &'static str,
    url: String,
    header: (&'static str, String),
    body: String,
}

/// Secrets in paths, queries, headers and bodies; good tokens with bad requests, and bad ones.
fn odd_requests(site: &Site) -> Vec<Knock> {
    let (sf, dv, control) = (
        site.salesforce_url(),
        site.dynamics_url(),
        site.control_url(),
    );
    let data = format!("{sf}/services/data/v66.0");
    let contacts = format!("{dv}/api/data/v9.2/contacts");
    let bearer = |token: &str| ("authorization", format!("Bearer {token}"));
    let basic = || ("authorization", format!("Basic {BASIC}"));
    let cookie = || ("cookie", format!("sid={COOKIE}"));
    let good = person("Allowed").to_string();
    let broken = format!("{{\"Email\": \"{EMAIL}\", \"x\": {BODY}");
    let (own, dv_own) = (&site.salesforce_token, &site.dynamics_token);
    let query = format!("q=SELECT+Id+FROM+Contact+WHERE+Email='{EMAIL}'&sid={QUERY}");
    [
        (
            "POST",
            format!("{data}/sobjects/Contact"),
            bearer(BEARER),
            good.clone(),
        ),
        (
            "POST",
            format!("{data}/sobjects/Contact?access_token={QUERY}"),
            cookie(),
            good.clone(),
        ),
        (
            "GET",
            format!("{data}/query?{query}"),
            bearer(own),
            String::new(),
        ),
        (
            "GET",
            format!("{sf}/nowhere?token={QUERY}"),
            basic(),
            String::new(),
        ),
        (
            "POST",
            format!("{data}/sobjects/Contact"),
            bearer(own),
            broken.clone(),
        ),
        ("POST", contacts.clone(), bearer(BEARER), good.clone()),
        (
            "PATCH",
            format!("{contacts}(emailaddress1='{EMAIL}')?{QUERY}=1"),
            bearer(dv_own),
            good,
        ),
        (
            "GET",
            format!("{dv}/{QUERY}?code={QUERY}"),
            cookie(),
            String::new(),
        ),
        (
            "GET",
            format!("{control}/v1/decisions?token={QUERY}"),
            bearer(BEARER),
            String::new(),
        ),
        (
            "POST",
            format!("{control}/v1/validate"),
            bearer(&site.admin),
            broken,
        ),
        ("GET", format!("{control}/readyz"), basic(), String::new()),
    ]
    .map(|(method, url, header, body)| Knock {
        method,
        url,
        header,
        body,
    })
    .into()
}

/// Clients that sign in through the gate, rightly and wrongly.
async fn sign_in(site: &Site, sf: &str) {
    let options = &site.salesforce_options;
    let client = format!(
        "client_id={}&client_secret={}",
        options.client_id, options.client_secret
    );
    let password = format!("{}{}", options.password, options.security_token);
    let forms = [
        format!(
            "grant_type=password&{client}&username={}&password={password}",
            options.username
        ),
        format!(
            "grant_type=refresh_token&{client}&refresh_token={}",
            options.refresh_token
        ),
        format!(
            "grant_type=client_credentials&client_id={}&client_secret={FORM}",
            options.client_id
        ),
    ];
    for form in forms {
        let request = Request::post(format!("{sf}/services/oauth2/token"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Bytes::from(form))
            .unwrap();
        site.gate.execute_bytes(request, 1 << 20).await.unwrap();
    }
    let envelope = format!(
        "<soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:urn=\"urn:partner.soap.sforce.com\"><soapenv:Body><urn:login>\
         <urn:username>{}</urn:username><urn:password>{password}</urn:password>\
         </urn:login></soapenv:Body></soapenv:Envelope>",
        options.username
    );
    let request = Request::post(format!("{sf}/services/Soap/u/64.0"))
        .header("content-type", "text/xml")
        .header("soapaction", "login")
        .body(Bytes::from(envelope))
        .unwrap();
    site.gate.execute_bytes(request, 1 << 20).await.unwrap();
}

/// Everything that the control API tells.
async fn told(site: &Site) -> Vec<(String, Vec<u8>)> {
    let mut told = Vec::new();
    let paths = [
        "/metrics",
        "/healthz",
        "/readyz",
        "/openapi.json",
        "/",
        "/v1/decisions?limit=500",
        "/v1/holds",
        "/v1/connections",
        "/v1/connections/acme-sf",
        "/v1/connections/acme-sf/report",
        "/v1/connections/acme-dv/report",
        "/v1/policies",
        "/v1/tokens",
    ];
    for path in paths {
        let answer = site.control(path).await;
        assert!(answer.status < 500, "{path}: {}", answer.body);
        let text = answer
            .body
            .as_str()
            .map_or_else(|| answer.body.to_string(), ToOwned::to_owned);
        told.push((path.to_owned(), text.into_bytes()));
    }
    told
}

fn holds(text: &[u8], secret: &str) -> bool {
    !secret.is_empty()
        && text
            .windows(secret.len())
            .any(|part| part == secret.as_bytes())
}

fn around(text: &[u8], secret: &str) -> String {
    let at = text
        .windows(secret.len())
        .position(|part| part == secret.as_bytes());
    let at = at.unwrap_or_default();
    let end = text.len().min(at + secret.len() + 60);
    String::from_utf8_lossy(&text[at.saturating_sub(200)..end]).into_owned()
}

fn in_files(dir: &Path, secret: &Secret) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(in_files(&path, secret));
        } else if holds(&std::fs::read(&path).unwrap(), &secret.text) {
            found.push(format!("{} in {}", secret.what, path.display()));
        }
    }
    found
}
