use super::*;

#[test]
fn a_post_can_mean_another_method() {
    let desk = Desk::new();
    let id = desk
        .post("/sobjects/Lead", &json!({"LastName": "L", "Company": "C"}))
        .id();
    let path = format!("/sobjects/Lead/{id}");
    assert_eq!(
        desk.post(
            &format!("{path}?_HttpMethod=PATCH"),
            &json!({"Company": "D"})
        )
        .status,
        204
    );
    assert_eq!(desk.get(&path).body["Company"], "D");
    assert_eq!(
        desk.post(
            &format!("{path}?_HttpMethod=patch"),
            &json!({"Company": "E"})
        )
        .status,
        405
    );
    assert_eq!(
        desk.send("POST", &format!("{path}?_HttpMethod=DELETE"), &[], b"")
            .status,
        204
    );
    assert_eq!(desk.get(&path).status, 404);
}

#[test]
fn old_versions_take_a_suffix() {
    let desk = Desk::new();
    let id = desk.id_where("Account", "Name = 'Kestrel Outdoor'");
    assert_eq!(
        desk.get(&format!("/services/data/v57.0/sobjects/Account/{id}.json"))
            .body["Name"],
        "Kestrel Outdoor"
    );
    assert_eq!(
        desk.get(&format!("/services/data/v57.0/sobjects/Account/{id}.xml"))
            .status,
        406
    );
    assert_eq!(
        desk.get(&format!("/services/data/v58.0/sobjects/Account/{id}.json"))
            .status,
        404
    );
    assert_eq!(desk.get("/services/data/v57.0/sobjects.json").status, 200);
}

#[test]
fn methods_that_do_not_fit_are_named() {
    let desk = Desk::new();
    let got = desk.send("PUT", "/sobjects/Account", &[], b"");
    assert_eq!(
        (got.status, got.message()),
        (
            405,
            "HTTP Method 'PUT' not allowed. Allowed are HEAD,GET,POST"
        )
    );
    assert_eq!(desk.send("HEAD", "/sobjects/Account", &[], b"").status, 200);
    let id = desk.id_where("Account", "Name = 'Kestrel Outdoor'");
    assert_eq!(
        desk.post(&format!("/sobjects/Account/{id}"), &json!({}))
            .status,
        405
    );
}

#[test]
fn long_heads_are_refused() {
    let desk = Desk::new();
    let long = "x".repeat(16_400);
    let got = desk.get(&format!("/query?q={long}"));
    assert_eq!((got.status, got.code()), (414, "URI_TOO_LONG"));
    let got = desk.send("GET", "/limits", &[("x-long", &long)], b"");
    assert_eq!(got.status, 431);
}

#[test]
fn answers_are_json_and_can_be_pretty() {
    let desk = Desk::new();
    let got = desk.send("GET", "/limits", &[("x-prettyprint", "1")], b"");
    assert_eq!(got.header("content-type"), "application/json;charset=UTF-8");
    let call = |pretty: &str| {
        desk.send(
            "GET",
            "/sobjects/Account/x",
            &[("x-prettyprint", pretty)],
            b"",
        )
    };
    assert_eq!(call("1").body, call("0").body);
}

#[test]
fn calls_can_run_out() {
    let desk = Desk::with(|options| options.call_quota = Some(2));
    assert_eq!(
        desk.get("/limits").header("sforce-limit-info"),
        "api-usage=1/2"
    );
    assert_eq!(desk.get("/limits").body["DailyApiRequests"]["Remaining"], 0);
    let got = desk.get("/limits");
    assert_eq!(
        (got.status, got.code(), got.message()),
        (
            403,
            "REQUEST_LIMIT_EXCEEDED",
            "TotalRequests Limit exceeded."
        )
    );
}

#[test]
fn faults_speak_the_language_of_the_interface() {
    let desk = Desk::new();
    let refuse = |path: &str, refusal: Refusal| {
        let call = Call {
            method: Method::POST,
            uri: path.parse().unwrap(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            base_url: String::new(),
            at: desk.clock.now(),
            rows: None,
        };
        let answer = desk.crm.refuse(&call, refusal);
        let text = String::from_utf8(answer.body().to_vec()).unwrap();
        (
            answer.status().as_u16(),
            answer.headers().get("retry-after").cloned(),
            text,
        )
    };
    let status = |code: u16| Refusal::Status {
        status: StatusCode::from_u16(code).unwrap(),
        retry_after: Some(3),
    };
    let (code, retry, text) = refuse("/services/data/v66.0/sobjects/Lead", status(503));
    assert_eq!((code, retry.unwrap().to_str().unwrap()), (503, "3"));
    assert!(
        text.starts_with('[') && text.contains("SERVER_UNAVAILABLE"),
        "{text}"
    );
    let (code, _, text) = refuse("/services/data/v66.0/sobjects/Lead", Refusal::LockedRow);
    assert!(code == 400 && text.contains("UNABLE_TO_LOCK_ROW"), "{text}");
    assert!(
        refuse("/services/oauth2/token", status(503))
            .2
            .starts_with("{\"error\":\"server_error\"")
    );
    assert!(
        refuse("/services/Soap/u/60.0", status(503))
            .2
            .contains("<faultcode>sf:SERVER_UNAVAILABLE</faultcode>")
    );
    assert!(
        refuse("/services/data", status(502))
            .2
            .starts_with("<html>")
    );
    assert!(
        refuse("/services/data/x", status(429))
            .2
            .contains("REQUEST_LIMIT_EXCEEDED")
    );
}

#[tokio::test]
async fn a_dead_session_is_like_any_other() {
    let simulator = Simulator::new(SalesforceOptions::demo(|| [3; 16])).unwrap();
    let token = SalesforceOptions::demo(|| [3; 16]).access_token;
    let server = crate::serve::spawn(simulator.router()).await.unwrap();
    let fault = serde_json::from_value(json!({"kind": "expire_session", "times": 1})).unwrap();
    simulator.front().faults().set(vec![fault]);
    let ask = || async {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(server.addr).await.unwrap();
        let head = format!(
            "GET /services/data/v66.0 HTTP/1.1\r\nHost: sim\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    };
    let first = ask().await;
    assert!(
        first.starts_with("HTTP/1.1 401") && first.contains("INVALID_SESSION_ID"),
        "{first}"
    );
    assert!(ask().await.starts_with("HTTP/1.1 401"), "it stays dead");
}
