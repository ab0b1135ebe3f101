//! The exact exchanges, against a stub that answers as it is told.

use std::sync::Arc;
use std::time::Duration;

use crmgate_connector::{Connector, Credential, Failure, Fields, Locator, NativeChange};
use crmgate_domain::Ambient;
use crmgate_testkit::{TestAmbient, permit};
use secrecy::SecretString;
use serde_json::{Value, json};
use wiremock::matchers::{header_exists, method, path, path_regex, query_param};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::support::{Reading, connector, reading, request, sobjects, whole, with_header};

const ACCOUNT: &str = "001D000000IqhSLIAZ";

struct Stub {
    server: MockServer,
    connector: Arc<dyn Connector>,
    ambient: Arc<dyn Ambient>,
    time: Arc<TestAmbient>,
}

pub(crate) fn describe() -> Value {
    let field = |name: &str, kind: &str, more: Value| {
        let mut field = json!({"name": name, "type": kind, "createable": true, "updateable": true});
        for (key, value) in more.as_object().unwrap() {
            field[key] = value.clone();
        }
        field
    };
    json!({"name": "Account", "fields": [
        field("Id", "id", json!({"createable": false, "updateable": false})),
        field("Name", "string", json!({})),
        field("Phone", "phone", json!({})),
        field("AnnualRevenue", "currency", json!({})),
        field("Ext_Id__c", "string", json!({"unique": true, "externalId": true, "idLookup": true})),
        field("LastModifiedDate", "datetime", json!({"createable": false, "updateable": false})),
    ]})
}

pub(crate) fn token(secret: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({
        "access_token": secret, "instance_url": "https://elsewhere.example", "id": "https://login.example/id/00D/005",
        "token_type": "Bearer", "issued_at": "1767225600000", "signature": "x", "scope": "api"
    }))
}

impl Stub {
    async fn new(auth: Value) -> Self {
        let server = MockServer::start().await;
        Mock::given(path_regex(
            "/services/data/v66.0/sobjects/(Account|account)/describe",
        ))
        .respond_with(
            ResponseTemplate::new(200)
                .insert_header("last-modified", "Sun, 01 Feb 2026 00:00:00 GMT")
                .set_body_json(describe()),
        )
        .with_priority(9)
        .mount(&server)
        .await;
        let time = Arc::new(TestAmbient::default());
        let ambient: Arc<dyn Ambient> = time.clone();
        let settings =
            json!({"login_url": server.uri(), "instance_url": server.uri(), "auth": auth});
        let connector = connector(&settings, &ambient).unwrap();
        Self {
            server,
            connector,
            ambient,
            time,
        }
    }

    /// A stub with a service credential that signs in at once.
    async fn signed_in() -> Self {
        let stub = Self::new(client_credentials()).await;
        stub.mock("POST", "/services/oauth2/token", token("service-token"))
            .await;
        stub
    }

    async fn mock(&self, verb: &str, place: &str, answer: ResponseTemplate) {
        Mock::given(method(verb))
            .and(path(place))
            .respond_with(answer)
            .up_to_n_times(1)
            .mount(&self.server)
            .await;
    }

    async fn change(
        &self,
        asked: crmgate_connector::NativeRequest,
        needs: &Reading,
    ) -> Arc<dyn NativeChange> {
        let draft = self.connector.parse(asked).await.unwrap();
        let resolved = self
            .connector
            .resolve(draft, needs, &caller())
            .await
            .unwrap();
        resolved.change
    }

    async fn send(&self, change: &Arc<dyn NativeChange>) -> Result<(u16, Value), Failure> {
        let outgoing = change.outgoing();
        let permit = permit(self.connector.name(), outgoing.hash(), &self.ambient).await;
        let written = self.connector.write(permit, outgoing, &caller()).await?;
        Ok(whole(change.reply(written.response)).await)
    }

    /// All that reached the stub, as text; metadata calls left out.
    async fn exchanges(&self) -> String {
        let requests = self.server.received_requests().await.unwrap();
        let shown: Vec<String> = requests
            .iter()
            .filter(|request| !request.url.path().ends_with("/describe"))
            .map(show)
            .collect();
        shown.join("\n\n")
    }
}

fn show(request: &Request) -> String {
    let place = request.url.query().map_or_else(
        || request.url.path().to_owned(),
        |query| format!("{}?{query}", request.url.path()),
    );
    let mut headers: Vec<String> = request
        .headers
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "host" | "content-length"))
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    headers.sort_unstable();
    let body = String::from_utf8_lossy(&request.body);
    format!("{} {place}\n{}\n{body}", request.method, headers.join("\n"))
        .trim_end()
        .to_owned()
}

fn caller() -> Credential {
    Credential::Caller(SecretString::from("caller-token"))
}

fn client_credentials() -> Value {
    json!({"flow": "client_credentials", "client_id": "the-app", "client_secret": "fixed:s3cret"})
}

fn row() -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({
        "attributes": {"type": "Account", "url": "/x"}, "Id": ACCOUNT, "Name": "Old",
        "LastModifiedDate": "2026-02-01T09:30:15.000+0000"
    }))
}

#[tokio::test]
async fn jwt_bearer_sign_in() {
    let key = format!("fixed:{}", include_str!("test-key.pem"));
    let stub = Stub::new(json!({"flow": "jwt_bearer", "client_id": "the-app", "username": "me@example.com", "private_key": key})).await;
    stub.mock("POST", "/services/oauth2/token", token("t"))
        .await;
    stub.mock(
        "GET",
        "/services/data/v66.0/query",
        ResponseTemplate::new(200)
            .set_body_json(json!({"totalSize": 0, "done": true, "records": []})),
    )
    .await;
    stub.connector
        .query("SELECT Id FROM Account", None)
        .await
        .unwrap();
    let requests = stub.server.received_requests().await.unwrap();
    let form: Vec<(String, String)> = url::form_urlencoded::parse(&requests[0].body)
        .into_owned()
        .collect();
    assert_eq!(
        form[0],
        (
            "grant_type".to_owned(),
            "urn:ietf:params:oauth:grant-type:jwt-bearer".to_owned()
        )
    );
    let parts: Vec<&str> = form[1].1.split('.').collect();
    let decode = |part: &str| {
        use base64::Engine as _;
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD
            .decode(part)
            .unwrap();
        serde_json::from_slice::<std::collections::BTreeMap<String, Value>>(&bytes).unwrap()
    };
    assert_eq!(decode(parts[0])["alg"], "RS256");
    let claims = decode(parts[1]);
    assert_eq!(
        (claims["iss"].as_str(), claims["sub"].as_str()),
        (Some("the-app"), Some("me@example.com"))
    );
    assert_eq!(claims["aud"], stub.server.uri());
    assert_eq!(claims["exp"], stub.ambient.now().as_second() + 180);
    assert_eq!(requests[1].headers["authorization"], "Bearer t");
}

#[tokio::test]
async fn one_sign_in_serves_until_it_ends() {
    let stub = Stub::new(client_credentials()).await;
    stub.mock("POST", "/services/oauth2/token", token("first"))
        .await;
    stub.mock("POST", "/services/oauth2/token", token("second"))
        .await;
    Mock::given(path_regex("/query$"))
        .respond_with(
            ResponseTemplate::new(200)
                .set_body_json(json!({"totalSize": 0, "done": true, "records": []})),
        )
        .mount(&stub.server)
        .await;
    let ask = || stub.connector.query("SELECT Id FROM Account", None);
    let (one, two, three) = tokio::join!(ask(), ask(), ask());
    one.and(two).and(three).unwrap();
    stub.time.advance(Duration::from_secs(3601));
    ask().await.unwrap();
    let requests = stub.server.received_requests().await.unwrap();
    let tokens = requests
        .iter()
        .filter(|request| request.url.path().ends_with("/token"));
    assert_eq!(tokens.count(), 2);
    insta::assert_snapshot!(show(&requests[0]));
    assert_eq!(
        requests.last().unwrap().headers["authorization"],
        "Bearer second"
    );
}

#[tokio::test]
async fn a_rotated_refresh_token_is_used() {
    let stub = Stub::new(
        json!({"flow": "refresh_token", "client_id": "the-app", "refresh_token": "fixed:old"}),
    )
    .await;
    let answer = json!({"access_token": "a", "token_type": "Bearer", "refresh_token": "new"});
    for _ in 0..2 {
        stub.mock(
            "POST",
            "/services/oauth2/token",
            ResponseTemplate::new(200).set_body_json(&answer),
        )
        .await;
    }
    for _ in 0..2 {
        let _ = stub.connector.probe().await;
        stub.time.advance(Duration::from_secs(7200));
    }
    let requests = stub.server.received_requests().await.unwrap();
    let sent: Vec<String> = requests
        .iter()
        .filter(|request| request.url.path().ends_with("/token"))
        .map(|request| String::from_utf8_lossy(&request.body).into_owned())
        .collect();
    assert_eq!(
        sent,
        [
            "grant_type=refresh_token&refresh_token=old&client_id=the-app",
            "grant_type=refresh_token&refresh_token=new&client_id=the-app"
        ]
    );
}

#[tokio::test]
async fn secrets_stay_out_of_failures() {
    let stub = Stub::new(client_credentials()).await;
    let echo =
        json!({"error": "invalid_client", "error_description": "invalid client credentials"});
    stub.mock(
        "POST",
        "/services/oauth2/token",
        ResponseTemplate::new(401).set_body_json(&echo),
    )
    .await;
    stub.mock(
        "POST",
        "/services/oauth2/token",
        ResponseTemplate::new(200).set_body_raw("{\"access_token\":\"s3cret", "application/json"),
    )
    .await;
    for expected in ["invalid_client", "no token answer"] {
        let failure = stub.connector.probe().await.err().unwrap();
        let text = format!("{failure} {failure:?}");
        assert!(
            text.contains(expected) && !text.contains("s3cret"),
            "{text}"
        );
        assert!(matches!(failure, Failure::Repeatable { code, .. } if code == "sign_in"));
    }
    let key = "fixed:-----BEGIN PRIVATE KEY-----\ns3cret\n-----END PRIVATE KEY-----";
    let stub = Stub::new(
        json!({"flow": "jwt_bearer", "client_id": "x", "username": "y", "private_key": key}),
    )
    .await;
    let failure = stub.connector.probe().await.err().unwrap();
    assert!(!format!("{failure:?}").contains("s3cret"));
}

#[tokio::test]
async fn a_create_leaves_byte_for_byte() {
    let stub = Stub::signed_in().await;
    let answer = json!({"id": ACCOUNT, "success": true, "errors": []});
    let place = "/services/data/v61.0/sobjects/Account";
    stub.mock(
        "POST",
        place,
        ResponseTemplate::new(201)
            .insert_header("location", format!("{place}/{ACCOUNT}").as_str())
            .insert_header("sforce-limit-info", "api-usage=1/5000")
            .set_body_json(&answer),
    )
    .await;
    let asked = request(
        "POST",
        "/services/data/v61.0/sobjects/account/",
        "{ \"name\":\"A\\u00e9\",\n\"AnnualRevenue\": 1.50 }",
    );
    let asked = with_header(asked, "sforce-duplicate-rule-header", "allowSave=true");
    let asked = with_header(asked, "cookie", "sid=x");
    let asked = with_header(asked, "x-forwarded-for", "10.0.0.1");
    let asked = with_header(asked, "accept-encoding", "gzip");
    let asked = with_header(asked, "user-agent", "simple-client");
    let change = stub.change(asked, &Reading::default()).await;
    assert_eq!(stub.send(&change).await.unwrap(), (201, answer));
    insta::assert_snapshot!(stub.exchanges().await);
}

#[tokio::test]
async fn an_update_reads_pins_and_writes() {
    let stub = Stub::signed_in().await;
    let place = format!("/services/data/v66.0/sobjects/Account/{ACCOUNT}");
    stub.mock("GET", &place, row()).await;
    stub.mock("PATCH", &place, ResponseTemplate::new(204)).await;
    let asked = request(
        "PATCH",
        &sobjects(&format!("Account/{}", &ACCOUNT[..15])),
        r#"{"Phone":"1"}"#,
    );
    let change = stub
        .change(asked, &reading(&["annual_revenue_minor"], &["name"]))
        .await;
    assert_eq!(stub.send(&change).await.unwrap(), (204, Value::Null));
    insta::assert_snapshot!(stub.exchanges().await);
}

#[tokio::test]
async fn an_upsert_reads_first_and_can_only_do_what_was_judged() {
    let stub = Stub::signed_in().await;
    let keyed = "/services/data/v66.0/sobjects/Account/Ext_Id__c/a%20b";
    let missing =
        json!([{"errorCode": "NOT_FOUND", "message": "The requested resource does not exist"}]);
    stub.mock(
        "GET",
        keyed,
        ResponseTemplate::new(404).set_body_json(&missing),
    )
    .await;
    stub.mock(
        "POST",
        "/services/data/v66.0/sobjects/Account",
        ResponseTemplate::new(201)
            .set_body_json(json!({"id": ACCOUNT, "success": true, "errors": []})),
    )
    .await;
    let upsert = || request("PATCH", keyed, r#"{"Name":"A"}"#);
    let change = stub.change(upsert(), &Reading::default()).await;
    let (status, answer) = stub.send(&change).await.unwrap();
    assert_eq!((status, &answer["created"]), (201, &json!(true)));
    stub.mock("GET", keyed, row()).await;
    stub.mock(
        "PATCH",
        &format!("/services/data/v66.0/sobjects/Account/{ACCOUNT}"),
        ResponseTemplate::new(204),
    )
    .await;
    let change = stub.change(upsert(), &reading(&[], &["name"])).await;
    let (status, answer) = stub.send(&change).await.unwrap();
    assert_eq!(
        (status, answer),
        (
            200,
            json!({"id": ACCOUNT, "success": true, "errors": [], "created": false})
        )
    );
    insta::assert_snapshot!(stub.exchanges().await);
}

#[tokio::test]
async fn several_records_of_one_key_are_refused() {
    let stub = Stub::signed_in().await;
    stub.mock(
        "GET",
        "/services/data/v66.0/sobjects/Account/Ext_Id__c/a",
        ResponseTemplate::new(300).set_body_json(json!(["/x", "/y"])),
    )
    .await;
    let draft = stub
        .connector
        .parse(request("PATCH", &sobjects("Account/Ext_Id__c/a"), "{}"))
        .await
        .unwrap();
    let failure = stub
        .connector
        .resolve(draft, &Reading::default(), &caller())
        .await
        .err()
        .unwrap();
    assert!(
        failure
            .to_string()
            .contains("several records have this Ext_Id__c"),
        "{failure}"
    );
}

#[tokio::test]
async fn a_clients_precondition_and_the_pin_become_one() {
    let stub = Stub::signed_in().await;
    let place = format!("/services/data/v66.0/sobjects/Account/{ACCOUNT}");
    let row_date = "if-unmodified-since: Sun, 01 Feb 2026 09:30:15 GMT";
    let since = "if-unmodified-since";
    for (etag, name, value, pinned, expected) in [
        ("\"abc\"", "if-match", "\"abc\"", true, "if-match: \"abc\""),
        (
            "\"abc-gzip\"",
            "if-match",
            "\"x\", \"abc\"",
            true,
            "if-match: \"abc\"",
        ),
        ("\"abc\"", "if-match", "\"old\"", false, "if-match: \"old\""),
        ("\"abc\"", "if-match", "*", true, row_date),
        ("", "if-match", "\"any\"", true, row_date),
        ("", since, "Sun, 01 Feb 2026 09:30:15 GMT", true, row_date),
        ("", since, "Tue, 03 Feb 2026 09:30:15 GMT", true, row_date),
        ("", since, "no date at all", true, row_date),
        (
            "",
            since,
            "Sat, 31 Jan 2026 09:30:15 GMT",
            false,
            "if-unmodified-since: Sat, 31 Jan 2026 09:30:15 GMT",
        ),
    ] {
        let row = if etag.is_empty() {
            row()
        } else {
            row().insert_header("etag", etag)
        };
        stub.mock("GET", &place, row).await;
        let asked = with_header(request("PATCH", &place, r#"{"Phone":"1"}"#), name, value);
        let outgoing = stub
            .change(asked, &reading(&[], &["name"]))
            .await
            .outgoing();
        let sent: Vec<String> = outgoing
            .headers
            .iter()
            .filter(|(name, _)| name.as_str().starts_with("if-"))
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        assert_eq!(
            (outgoing.pinned_by_gate, sent),
            (pinned, vec![expected.to_owned()]),
            "{name}: {value}"
        );
    }
}

#[tokio::test]
async fn no_answer_sends_a_client_away() {
    let stub = Stub::signed_in().await;
    for (location, kept) in [
        (
            format!("{}/services/x", stub.server.uri()),
            Some("https://gate.example:8701/services/x"),
        ),
        ("/services/x".to_owned(), Some("/services/x")),
        ("https://elsewhere.example/x".to_owned(), None),
        ("//elsewhere.example/x".to_owned(), None),
    ] {
        let answer = ResponseTemplate::new(302).insert_header("location", location.as_str());
        stub.mock("GET", "/services/data/v66.0/limits", answer)
            .await;
        let response = stub
            .connector
            .pass(
                request("GET", "/services/data/v66.0/limits", ""),
                &caller(),
                None,
            )
            .await
            .unwrap();
        let found = response
            .headers
            .get("location")
            .map(|value| value.to_str().unwrap());
        assert_eq!(found, kept, "{location}");
    }
}

#[tokio::test]
async fn a_session_of_the_connections_own_that_is_refused_is_no_401() {
    let stub = Stub::new(client_credentials()).await;
    for secret in ["one", "two", "three", "four"] {
        stub.mock("POST", "/services/oauth2/token", token(secret))
            .await;
    }
    let expired =
        json!([{"errorCode": "INVALID_SESSION_ID", "message": "Session expired or invalid"}]);
    Mock::given(path("/services/data/v66.0/limits"))
        .respond_with(ResponseTemplate::new(401).set_body_json(&expired))
        .mount(&stub.server)
        .await;
    let read = request("GET", "/services/data/v66.0/limits", "");
    let failure = stub
        .connector
        .pass(read, &Credential::Service, None)
        .await
        .err()
        .unwrap();
    assert!(matches!(failure, Failure::Repeatable { code, .. } if code == "sign_in"));
    let requests = stub.server.received_requests().await.unwrap();
    assert_eq!(requests.len(), 4, "one new sign-in, one more try");
    // The caller's own token is the caller's affair.
    let read = request("GET", "/services/data/v66.0/limits", "");
    let response = stub.connector.pass(read, &caller(), None).await.unwrap();
    assert_eq!(response.status, 401);
}

#[tokio::test]
async fn descriptions_are_revalidated() {
    let stub = Stub::signed_in().await;
    let create = |body: &str| {
        stub.connector
            .parse(request("POST", &sobjects("Account"), body))
    };
    create(r#"{"Name":"A"}"#).await.unwrap();
    create(r#"{"Name":"A"}"#).await.unwrap();
    Mock::given(header_exists("if-modified-since"))
        .respond_with(ResponseTemplate::new(304))
        .with_priority(1)
        .mount(&stub.server)
        .await;
    stub.time.advance(Duration::from_secs(301));
    create(r#"{"Name":"A"}"#).await.unwrap();
    // A field that is not known makes the gate ask again, but not at once for every such write.
    for _ in 0..3 {
        create(r#"{"New__c":"A"}"#).await.unwrap_err();
    }
    stub.time.advance(Duration::from_secs(11));
    create(r#"{"New__c":"A"}"#).await.unwrap_err();
    let requests = stub.server.received_requests().await.unwrap();
    let asked: Vec<Option<&str>> = requests
        .iter()
        .filter(|request| request.url.path().ends_with("/describe"))
        .map(|request| {
            request
                .headers
                .get("if-modified-since")
                .map(|since| since.to_str().unwrap())
        })
        .collect();
    let since = Some("Sun, 01 Feb 2026 00:00:00 GMT");
    assert_eq!(asked, [None, since, since]);
}

#[tokio::test]
async fn refused_repeatable_and_unknown() {
    let stub = Stub::signed_in().await;
    let error = |status: u16, code: &str| {
        ResponseTemplate::new(status)
            .insert_header("retry-after", "3")
            .set_body_json(json!([{"errorCode": code, "message": "m"}]))
    };
    let place = "/services/data/v66.0/sobjects/Account";
    let mut told = Vec::new();
    for answer in [
        error(400, "FIELD_CUSTOM_VALIDATION_EXCEPTION"),
        error(401, "INVALID_SESSION_ID"),
        error(400, "UNABLE_TO_LOCK_ROW"),
        error(403, "REQUEST_LIMIT_EXCEEDED"),
        error(503, "SERVER_UNAVAILABLE"),
        error(500, "UNKNOWN_EXCEPTION"),
        ResponseTemplate::new(502).set_body_string("<html>"),
        ResponseTemplate::new(412),
    ] {
        stub.mock("POST", place, answer).await;
        let change = stub
            .change(
                request("POST", place, r#"{"Name":"A"}"#),
                &Reading::default(),
            )
            .await;
        let failure = stub.send(&change).await.unwrap_err();
        told.push(match failure {
            Failure::Refused { code, response, .. } => {
                format!("refused {code} {}", response.unwrap().status)
            }
            Failure::Repeatable {
                code, retry_after, ..
            } => format!("repeatable {code} {retry_after:?}"),
            Failure::Unknown { reason } => format!("unknown: {reason}"),
            Failure::VersionMismatch => "mismatch".to_owned(),
        });
    }
    insta::assert_snapshot!(told.join("\n"));
    let requests = stub.server.received_requests().await.unwrap();
    let writes = requests
        .iter()
        .filter(|request| request.method.as_str() == "POST" && request.url.path() == place);
    assert_eq!(writes.count(), 8, "each was sent once");
}

#[tokio::test]
async fn a_permit_is_for_one_payload() {
    let stub = Stub::signed_in().await;
    let place = "/services/data/v66.0/sobjects/Account";
    let one = stub
        .change(
            request("POST", place, r#"{"Name":"A"}"#),
            &Reading::default(),
        )
        .await
        .outgoing();
    let other = stub
        .change(
            request("POST", place, r#"{"Name":"B"}"#),
            &Reading::default(),
        )
        .await
        .outgoing();
    let permit = permit(stub.connector.name(), one.hash(), &stub.ambient).await;
    let failure = stub
        .connector
        .write(permit, other, &caller())
        .await
        .err()
        .unwrap();
    assert!(
        failure.to_string().contains("not the one that was judged"),
        "{failure}"
    );
    assert!(!stub.exchanges().await.contains("/sobjects/Account"));
}

#[tokio::test]
async fn a_locator_and_a_cursor_stay_on_their_paths() {
    let stub = Stub::signed_in().await;
    Mock::given(method("GET"))
        .and(path(
            "/services/data/v66.0/sobjects/Account/Ext_Id__c/a%2F..%2Fb%3Fc",
        ))
        .and(query_param("fields", "Id,LastModifiedDate,Name"))
        .respond_with(row())
        .mount(&stub.server)
        .await;
    let key = Locator::Key(vec![("Ext_Id__c".to_owned(), "a/../b?c".to_owned())]);
    let fields = Fields::Only(["Name", "Nope"].map(str::to_owned).into());
    let record = stub
        .connector
        .read("account", &key, &fields)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(record.id, ACCOUNT);
    assert_eq!(record.version.as_deref(), Some("2026-02-01T09:30:15Z"));
    for cursor in ["https://elsewhere.example/query", "/services/oauth2/token"] {
        assert!(stub.connector.query("", Some(cursor)).await.is_err());
    }
}
