//! The exact exchanges, against a stub.

use std::sync::Arc;
use std::time::Duration;

use crmgate_connector::{Connector, Credential, Failure, ParseFailure};
use crmgate_domain::Ambient;
use crmgate_store::attempt::Locate;
use crmgate_testkit::{TestAmbient, permit};
use secrecy::SecretString;
use serde_json::{Value, json};
use wiremock::matchers::{body_string, header, header_exists, method, path, query_param};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::support::{Org, Reading, connector, reading, seen};

pub(crate) const TENANT: &str = "contoso.example";
pub(crate) const CLIENT: &str = "1b7e4c2d-9a30-4d6f-b582-6c1e9f04a7d3";
const ID: &str = "5d8a0e4c-0000-4000-8000-000000000001";

/// A connection to a stub.
pub(crate) struct Stub {
    pub(crate) server: MockServer,
    pub(crate) ambient: Arc<dyn Ambient>,
    pub(crate) clock: Arc<TestAmbient>,
    pub(crate) connector: Arc<dyn Connector>,
}

impl Stub {
    pub(crate) async fn new(auth: Value) -> Self {
        let server = MockServer::start().await;
        let clock = Arc::new(TestAmbient::default());
        let ambient: Arc<dyn Ambient> = Arc::clone(&clock) as _;
        let settings = json!({
            "url": server.uri(), "authority": server.uri(), "tenant": TENANT, "client_id": CLIENT, "auth": auth,
        });
        Self {
            connector: connector(&settings, &ambient).unwrap(),
            server,
            ambient,
            clock,
        }
    }

    /// Signed in by secret, with the metadata of a small `contacts`.
    async fn ready() -> Self {
        let stub = Self::new(json!({"flow": "client_secret", "secret": "fixed:s3cret"})).await;
        stub.token("t-1", None).await;
        stub.metadata(true).await;
        stub
    }

    /// The same, but for a table whose primary key cannot be set.
    async fn keyless() -> Self {
        let stub = Self::new(json!({"flow": "client_secret", "secret": "fixed:s3cret"})).await;
        stub.token("t-1", None).await;
        stub.metadata(false).await;
        stub
    }

    pub(crate) async fn token(&self, token: &str, times: Option<u64>) {
        let answer = json!({"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": token});
        let mock = Mock::given(method("POST"))
            .and(path(format!("/{TENANT}/oauth2/v2.0/token")))
            .respond_with(ResponseTemplate::new(200).set_body_json(answer));
        let mock = match times {
            Some(times) => mock.up_to_n_times(times),
            None => mock,
        };
        mock.mount(&self.server).await;
    }

    async fn get(&self, place: &str, answer: Value) {
        Mock::given(method("GET"))
            .and(path(format!("/api/data/v9.2/{place}")))
            .respond_with(ResponseTemplate::new(200).set_body_json(answer))
            .mount(&self.server)
            .await;
    }

    async fn metadata(&self, keyed: bool) {
        let list = |rows: Value| json!({"value": rows});
        let names = json!({"LogicalName": "contact", "EntitySetName": "contacts", "PrimaryIdAttribute": "contactid"});
        let column = |name: &str, kind: &str| {
            json!({
                "LogicalName": name, "AttributeType": kind, "AttributeTypeName": {"Value": format!("{kind}Type")},
                "IsValidForRead": true, "IsValidForCreate": keyed || name != "contactid",
                "IsValidForUpdate": name != "contactid",
            })
        };
        let mut definition = names.clone();
        definition["IsOptimisticConcurrencyEnabled"] = json!(true);
        definition["Attributes"] = json!([
            column("contactid", "Uniqueidentifier"),
            column("lastname", "String"),
            column("telephone1", "String"),
            column("modifiedby", "Lookup"),
        ]);
        definition["Keys"] = json!([{"KeyAttributes": ["telephone1"]}]);
        definition["ManyToOneRelationships"] = json!([{
            "ReferencingAttribute": "modifiedby", "ReferencedEntity": "systemuser",
            "ReferencingEntityNavigationPropertyName": "modifiedby",
        }]);
        self.get("EntityDefinitions", list(json!([names]))).await;
        self.get("EntityDefinitions(LogicalName='contact')", definition)
            .await;
        let dates = "EntityDefinitions(LogicalName='contact')/Attributes/Microsoft.Dynamics.CRM.DateTimeAttributeMetadata";
        self.get(dates, list(json!([]))).await;
        self.get("transactioncurrencies", list(json!([]))).await;
        let organizations = json!({"value": [{"_basecurrencyid_value": null}], "@Microsoft.Dynamics.CRM.globalmetadataversion": "77"});
        self.get("organizations", organizations).await;
    }

    async fn answers(&self, verb: &str, place: &str, answer: ResponseTemplate) {
        Mock::given(method(verb))
            .and(path(format!("/api/data/v9.2/{place}")))
            .respond_with(answer)
            .mount(&self.server)
            .await;
    }

    /// Writes with the connection's own credential.
    async fn write(
        &self,
        verb: &str,
        place: &str,
        body: &str,
    ) -> Result<crate::support::Seen, Failure> {
        let org = Org::new().await;
        let request = org.request(verb, place, body);
        let draft = self.connector.parse(request).await.unwrap();
        let resolved = self
            .connector
            .resolve(draft, &reading(&[], &["last_name"]), &Credential::Service)
            .await
            .map_err(|failure| match failure {
                ParseFailure::Failure(failure) => failure,
                ParseFailure::Malformed(malformed) => panic!("{malformed}"),
            })?;
        let outgoing = resolved.change.outgoing();
        let permit = permit(self.connector.name(), outgoing.hash(), &self.ambient).await;
        let written = self
            .connector
            .write(permit, outgoing, &Credential::Service)
            .await?;
        Ok(seen(resolved.change.reply(written.response)).await)
    }

    /// What arrived, sign-in and metadata left out.
    async fn arrived(&self) -> Vec<String> {
        let calls = self.server.received_requests().await.unwrap();
        let ours = |call: &&Request| {
            let path = call.url.path();
            ![
                "oauth2",
                "EntityDefinitions",
                "transactioncurrencies",
                "organizations",
            ]
            .iter()
            .any(|other| path.contains(other))
        };
        calls.iter().filter(ours).map(shown).collect()
    }
}

/// A request as text: what a snapshot holds.
fn shown(call: &Request) -> String {
    let mut text = format!("{} {}", call.method, call.url.path());
    if let Some(query) = call.url.query() {
        text.push_str(&format!("?{query}"));
    }
    let mut headers: Vec<String> = call
        .headers
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "host" | "user-agent" | "content-length"))
        .map(|(name, value)| format!("\n{name}: {}", value.to_str().unwrap()))
        .collect();
    headers.sort();
    text.push_str(&headers.concat());
    if !call.body.is_empty() {
        text.push_str(&format!("\n\n{}", String::from_utf8_lossy(&call.body)));
    }
    text
}

fn error(status: u16, code: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(json!({"error": {"code": code, "message": "told"}}))
}

#[tokio::test]
async fn a_create_carries_a_key_of_the_gates_own() {
    let stub = Stub::ready().await;
    let made = format!("{}/api/data/v9.2/contacts({ID})", stub.server.uri());
    let created = ResponseTemplate::new(204)
        .insert_header("odata-entityid", made)
        .insert_header("set-cookie", "ARRAffinity=x");
    stub.answers("POST", "contacts", created).await;
    let answer = stub
        .write("POST", "contacts?$select=lastname", r#"{"lastname":"A"}"#)
        .await
        .unwrap();
    assert!(
        answer
            .header("odata-entityid")
            .starts_with(crate::support::GATE)
    );
    assert_eq!(answer.header("set-cookie"), "");
    let arrived = stub.arrived().await.join("\n---\n");
    insta::assert_snapshot!(arrived.replace(&stub.server.uri(), "CRM"));
}

#[tokio::test]
async fn a_create_without_a_key_goes_alone_and_is_looked_for_by_its_time() {
    let stub = Stub::keyless().await;
    let org = Org::new().await;
    let request = org.request("POST", "contacts", r#"{"lastname":"A"}"#);
    let draft = stub.connector.parse(request).await.unwrap();
    let resolved = stub
        .connector
        .resolve(draft, &reading(&[], &[]), &Credential::Service)
        .await
        .unwrap();
    for atomic in [false, true] {
        assert_eq!(stub.connector.form(&*resolved.change, atomic), None);
    }
    let read_back = resolved.change.read_back(None);
    assert_eq!(read_back.locate, Locate::Nowhere);
    assert!(read_back.version.unwrap().starts_with('*'));
    assert_eq!(resolved.change.outgoing().body, r#"{"lastname":"A"}"#);
}

#[tokio::test]
async fn an_update_is_read_and_pinned() {
    let stub = Stub::ready().await;
    let place = format!("contacts({ID})");
    stub.get(
        &place,
        json!({"@odata.etag": "W/\"41\"", "contactid": ID, "lastname": "Old"}),
    )
    .await;
    stub.answers("PATCH", &place, ResponseTemplate::new(204))
        .await;
    stub.write("PATCH", &place, r#"{"telephone1":"1"}"#)
        .await
        .unwrap();
    stub.answers("DELETE", &place, ResponseTemplate::new(204))
        .await;
    stub.write("DELETE", &place, "").await.unwrap();
    insta::assert_snapshot!(stub.arrived().await.join("\n---\n"));
}

#[tokio::test]
async fn an_upsert_of_a_new_key_can_only_create() {
    let stub = Stub::ready().await;
    let place = "contacts(telephone1='030%201')";
    stub.answers("GET", place, error(404, "0x80060891")).await;
    stub.answers("PATCH", place, ResponseTemplate::new(204))
        .await;
    stub.write("PATCH", place, r#"{"lastname":"A"}"#)
        .await
        .unwrap();
    insta::assert_snapshot!(stub.arrived().await.join("\n---\n"));
}

#[tokio::test]
async fn answers_are_told_apart_by_their_codes() {
    let unavailable = || ResponseTemplate::new(503).insert_header("retry-after", "9");
    let cases = [
        (
            error(429, "0x80072322").insert_header("retry-after", "5"),
            "throttled 5",
        ),
        (error(400, "0x80072326"), "throttled 0"),
        (error(500, "0x80044151"), "locked 0"),
        (unavailable(), "unavailable 9"),
        (error(412, "0x80060882"), "mismatch"),
        (error(404, "0x80040217"), "mismatch"),
        (error(412, "0x80040333"), "refused 0x80040333"),
        (error(412, "0x80060892"), "refused 0x80060892"),
        (error(400, "0x80040265"), "refused 0x80040265"),
        (error(403, "0x80040220"), "refused 0x80040220"),
        (error(500, "0x80040216"), "refused 0x80040216"),
        (ResponseTemplate::new(502), "unknown"),
        (
            ResponseTemplate::new(504).set_body_string("<html>"),
            "unknown",
        ),
        (ResponseTemplate::new(500), "unknown"),
        (ResponseTemplate::new(413), "refused 413"),
        (error(401, "0x8005f101"), "sign_in 0"),
    ];
    for (answer, wanted) in cases {
        let stub = Stub::ready().await;
        let place = format!("contacts({ID})");
        stub.get(
            &place,
            json!({"@odata.etag": "W/\"41\"", "contactid": ID, "lastname": "Old"}),
        )
        .await;
        stub.answers("PATCH", &place, answer).await;
        let told = match stub
            .write("PATCH", &place, r#"{"telephone1":"1"}"#)
            .await
            .unwrap_err()
        {
            Failure::Refused { code, .. } => format!("refused {code}"),
            Failure::Repeatable {
                code, retry_after, ..
            } => {
                format!("{code} {}", retry_after.map_or(0, |time| time.as_secs()))
            }
            Failure::VersionMismatch => "mismatch".to_owned(),
            Failure::Unknown { .. } => "unknown".to_owned(),
        };
        assert_eq!(told, wanted);
    }
}

#[tokio::test]
async fn a_repeat_of_our_own_create_counts_as_done() {
    let stub = Stub::ready().await;
    stub.answers("POST", "contacts", error(412, "0x80040237"))
        .await;
    let looked_up = |answer: ResponseTemplate| {
        Mock::given(method("GET"))
            .and(query_param("$select", "contactid"))
            .respond_with(answer)
            .up_to_n_times(1)
            .mount(&stub.server)
    };
    // Nobody can tell: it is found out later.
    looked_up(error(503, "0x80044151")).await;
    let unknown = stub.write("POST", "contacts", r#"{"lastname":"A"}"#).await;
    assert!(
        matches!(unknown, Err(Failure::Unknown { .. })),
        "{unknown:?}"
    );
    // Not there: the 412 is about something else.
    looked_up(error(404, "0x80040217")).await;
    let refused = stub.write("POST", "contacts", r#"{"lastname":"A"}"#).await;
    assert!(
        matches!(refused, Err(Failure::Refused { .. })),
        "{refused:?}"
    );
    looked_up(ResponseTemplate::new(200).set_body_json(json!({"contactid": ID}))).await;
    let done = stub
        .write("POST", "contacts", r#"{"lastname":"A"}"#)
        .await
        .unwrap()
        .ok(204);
    assert!(
        done.header("location")
            .starts_with(&format!("{}/api/data/v9.2/contacts(", crate::support::GATE))
    );
    // A key that the client chose is the client's own affair.
    let chosen = format!(r#"{{"lastname":"A","contactid":"{ID}"}}"#);
    assert!(stub.write("POST", "contacts", &chosen).await.is_err());
}

#[tokio::test]
async fn an_expired_session_is_renewed_once() {
    let stub = Stub::new(json!({"flow": "client_secret", "secret": "fixed:s3cret"})).await;
    stub.token("old", Some(1)).await;
    stub.token("new", None).await;
    for (token, answer) in [("old", 401), ("new", 200)] {
        let body = json!({"UserId": ID, "OrganizationId": ID, "BusinessUnitId": ID});
        Mock::given(path("/api/data/v9.2/WhoAmI"))
            .and(header("authorization", format!("Bearer {token}")))
            .respond_with(ResponseTemplate::new(answer).set_body_json(body))
            .expect(1)
            .mount(&stub.server)
            .await;
    }
    stub.get(
        &format!("systemusers({ID})"),
        json!({"domainname": "app", "systemuserroles_association": [{"name": "B"}, {"name": "A"}]}),
    )
    .await;
    let me = stub.connector.probe().await.unwrap();
    assert_eq!(
        (me.actor.id.as_str(), me.actor.roles),
        (ID, vec!["A".to_owned(), "B".to_owned()])
    );
}

#[tokio::test]
async fn metadata_is_kept_while_its_version_stands() {
    let stub = Stub::ready().await;
    let org = Org::new().await;
    let parse = || {
        stub.connector
            .parse(org.request("POST", "contacts", r#"{"lastname":"A"}"#))
    };
    let asked = async |part: &str| {
        let calls = stub.server.received_requests().await.unwrap();
        calls
            .iter()
            .filter(|call| call.url.as_str().contains(part))
            .count()
    };
    parse().await.unwrap();
    parse().await.unwrap();
    assert_eq!(
        (
            asked("EntityDefinitions").await,
            asked("organizations").await
        ),
        (3, 1)
    );
    stub.clock.advance(Duration::from_secs(301));
    parse().await.unwrap();
    assert_eq!(
        (
            asked("EntityDefinitions").await,
            asked("organizations").await
        ),
        (3, 2),
        "it stands"
    );
    stub.clock.advance(Duration::from_secs(301));
    stub.server.reset().await;
    stub.token("t", None).await;
    stub.metadata(true).await;
    Mock::given(path("/api/data/v9.2/organizations"))
        .and(header_exists("prefer"))
        .respond_with(
            ResponseTemplate::new(200)
                .set_body_json(json!({"@Microsoft.Dynamics.CRM.globalmetadataversion": "78"})),
        )
        .with_priority(1)
        .mount(&stub.server)
        .await;
    parse().await.unwrap();
    assert_eq!(
        asked("EntityDefinitions").await,
        3,
        "another version: all is asked for anew"
    );
    // An unknown column is looked for in fresh metadata, once.
    stub.clock.advance(Duration::from_secs(11));
    let strange = || {
        stub.connector
            .parse(org.request("POST", "contacts", r#"{"nocolumn":"A"}"#))
    };
    assert!(strange().await.is_err() && strange().await.is_err());
    assert_eq!(asked("EntityDefinitions(").await, 4);
}

#[tokio::test]
async fn signing_in_by_secret_is_a_form() {
    let stub = Stub::new(json!({"flow": "client_secret", "secret": "fixed:s3cret"})).await;
    let scope: String =
        url::form_urlencoded::byte_serialize(format!("{}/.default", stub.server.uri()).as_bytes())
            .collect();
    let form = format!(
        "grant_type=client_credentials&scope={scope}&client_id={CLIENT}&client_secret=s3cret"
    );
    Mock::given(method("POST"))
        .and(path(format!("/{TENANT}/oauth2/v2.0/token")))
        .and(body_string(form))
        .respond_with(ResponseTemplate::new(401).set_body_json(json!({
            "error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided.",
        })))
        .expect(1)
        .mount(&stub.server)
        .await;
    let failure = stub.connector.probe().await.unwrap_err();
    let Failure::Repeatable { code, reason, .. } = &failure else {
        panic!("{failure}")
    };
    assert_eq!(code, "sign_in");
    assert!(reason.contains("invalid_client: AADSTS7000215"), "{reason}");
    assert!(!format!("{failure:?}").contains("s3cret"));
}

#[tokio::test]
async fn who_a_token_belongs_to_is_asked() {
    let org = Org::new().await;
    let me = org
        .connector
        .identify(&SecretString::from(org.token.as_str()))
        .await
        .unwrap();
    assert_eq!(me.actor.username.as_deref(), Some(crate::support::ADMIN));
    assert_eq!(me.actor.scopes, Some(vec!["user_impersonation".to_owned()]));
    assert_eq!(
        me.org.as_deref(),
        Some(org.options.organization_id.to_string().as_str())
    );
    assert!(!me.actor.roles.is_empty());
    let failure = org
        .connector
        .identify(&SecretString::from("nonsense"))
        .await
        .unwrap_err();
    assert!(matches!(failure, Failure::Refused { .. }), "{failure}");
}

#[tokio::test]
async fn a_connection_that_cannot_be_reached_says_so() {
    let ambient: Arc<dyn Ambient> = Arc::new(TestAmbient::default());
    // A port that was free a moment ago.
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let settings = json!({"url": format!("http://127.0.0.1:{port}"), "auth": {"flow": "none"}});
    let connector = connector(&settings, &ambient).unwrap();
    let org = Org::new().await;
    let failure = connector
        .identify(&SecretString::from("t"))
        .await
        .unwrap_err();
    assert!(
        matches!(&failure, Failure::Repeatable { code, .. } if code == "connect"),
        "{failure}"
    );
    let request = org.request("POST", "contacts", r#"{"lastname":"A"}"#);
    let parsed = connector.parse(request).await;
    assert!(matches!(
        parsed,
        Err(ParseFailure::Failure(Failure::Repeatable { .. }))
    ));
    let passed = connector
        .pass(org.request("GET", "contacts", ""), &org.caller(), None)
        .await;
    assert!(matches!(passed, Err(Failure::Repeatable { .. })));
    let _ = Reading::default();
}

#[tokio::test]
async fn a_refused_token_of_the_connections_own_is_no_401() {
    let stub = Stub::new(json!({"flow": "client_secret", "secret": "fixed:s3cret"})).await;
    stub.token("t", None).await;
    stub.answers("GET", "WhoAmI", error(401, "0x8005f101"))
        .await;
    let org = Org::new().await;
    let read = || org.request("GET", "WhoAmI", "");
    let failure = stub
        .connector
        .pass(read(), &Credential::Service, None)
        .await
        .unwrap_err();
    assert!(matches!(failure, Failure::Repeatable { code, .. } if code == "sign_in"));
    let failure = stub.connector.probe().await.unwrap_err();
    assert!(matches!(failure, Failure::Repeatable { code, .. } if code == "sign_in"));
    // The caller's own token is the caller's affair.
    let answer = stub
        .connector
        .pass(read(), &org.caller(), None)
        .await
        .unwrap();
    assert_eq!(answer.status, 401);
}

#[tokio::test]
async fn a_redirection_leads_nobody_away() {
    let stub = Stub::ready().await;
    let org = Org::new().await;
    for (location, kept) in [
        ("https://elsewhere.example/api/data/v9.2/WhoAmI", false),
        ("//elsewhere.example/x", false),
        ("/api/data/v9.2/WhoAmI()", true),
    ] {
        let away = ResponseTemplate::new(302).insert_header("location", location);
        Mock::given(path("/api/data/v9.2/WhoAmI"))
            .respond_with(away)
            .up_to_n_times(1)
            .mount(&stub.server)
            .await;
        let read = org.request("GET", "WhoAmI", "");
        let answer = stub
            .connector
            .pass(read, &org.caller(), None)
            .await
            .unwrap();
        assert_eq!(answer.headers.contains_key("location"), kept, "{location}");
    }
}
