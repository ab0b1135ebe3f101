//! `$batch` and the messages for several records.

use super::*;

/// A request of a batch: method, address, headers, body.
type Step<'a> = (&'a str, String, &'a [(&'a str, &'a str)], String);

const JSON: (&str, &str) = ("Content-Type", "application/json; type=entry");

fn step(method: &'static str, address: impl Into<String>, body: &Value) -> Step<'static> {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    (method, address.into(), &[], body)
}

fn part(id: Option<usize>, (method, address, headers, body): &Step<'_>) -> String {
    let mut text =
        "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n".to_owned();
    if let Some(id) = id {
        text += &format!("Content-ID: {id}\r\n");
    }
    text += &format!("\r\n{method} {address} HTTP/1.1\r\n");
    for (name, value) in headers.iter().chain([&JSON]) {
        text += &format!("{name}: {value}\r\n");
    }
    text + &format!("\r\n{body}\r\n")
}

fn alone(steps: &[Step<'_>]) -> String {
    let parts = steps
        .iter()
        .map(|one| format!("--b\r\n{}", part(None, one)));
    parts.collect::<String>() + "--b--\r\n"
}

fn together(steps: &[Step<'_>]) -> String {
    let parts: String = (1..)
        .zip(steps)
        .map(|(id, one)| format!("--c\r\n{}", part(Some(id), one)))
        .collect();
    format!(
        "--b\r\nContent-Type: multipart/mixed; boundary=\"c\"\r\n\r\n{parts}--c--\r\n\r\n--b--\r\n"
    )
}

impl Client {
    fn batch(&self, body: &str, headers: &[(&str, &str)]) -> Seen {
        let kind = ("content-type", "multipart/mixed; boundary=b");
        let headers: Vec<_> = headers.iter().copied().chain([kind]).collect();
        self.send(Method::POST, "$batch", &headers, body)
    }
}

impl Seen {
    /// The status lines of the parts.
    fn lines(&self) -> Vec<&str> {
        let lines = self.text.lines();
        lines
            .filter_map(|line| line.strip_prefix("HTTP/1.1 "))
            .collect()
    }

    fn ids(&self, header: &str) -> Vec<&str> {
        let lines = self.text.lines();
        lines.filter_map(|line| line.strip_prefix(header)).collect()
    }
}

const GO_ON: (&str, &str) = ("Prefer", "odata.continue-on-error");

#[test]
fn parts_stand_for_themselves() {
    let org = integration();
    let id = org.make("accounts", &account("Old"));
    let steps = [
        step("POST", "/api/data/v9.2/accounts", &account("New")),
        step(
            "PATCH",
            format!("{BASE}/api/data/v9.2/accounts({id})"),
            &account("Newer"),
        ),
        step("GET", format!("accounts({id})?$select=name"), &Value::Null),
        step("DELETE", format!("accounts({id})"), &Value::Null),
    ];
    let seen = org.batch(&alone(&steps), &[]).ok(200);
    assert!(
        seen.header("content-type")
            .starts_with("multipart/mixed; boundary=batchresponse_")
    );
    assert_eq!(
        seen.lines(),
        [
            "204 No Content",
            "204 No Content",
            "200 OK",
            "204 No Content"
        ]
    );
    assert!(seen.text.contains("\"name\":\"Newer\""), "{}", seen.text);
    assert_eq!(seen.ids("OData-EntityId: ").len(), 2);
    org.get(&format!("accounts({id})"))
        .refused(404, "0x80040217");
}

#[test]
fn the_first_error_ends_it_unless_asked_to_go_on() {
    let org = integration();
    let missing = Uuid::from_u128(9);
    let steps = [
        step("POST", "accounts", &account("First")),
        step("DELETE", format!("accounts({missing})"), &Value::Null),
        step("POST", "accounts", &account("Third")),
    ];
    let count = || org.stored("account").len();
    let before = count();
    let seen = org.batch(&alone(&steps), &[]).ok(404);
    assert_eq!(seen.lines(), ["204 No Content", "404 Not Found"]);
    assert!(seen.text.contains("0x80040217") && seen.text.trim_end().ends_with("--"));
    assert_eq!(count(), before + 1);
    let seen = org.batch(&alone(&steps), &[GO_ON]).ok(200);
    assert_eq!(
        seen.lines(),
        ["204 No Content", "404 Not Found", "204 No Content"]
    );
    assert_eq!(count(), before + 3);
}

#[test]
fn a_change_set_happens_wholly_or_not_at_all() {
    let org = integration();
    let steps = [
        step("POST", "accounts", &account("Parent")),
        step(
            "POST",
            "contacts",
            &json!({"lastname": "Child", "parentcustomerid_account@odata.bind": "$1"}),
        ),
        step("PATCH", "$1", &json!({"primarycontactid@odata.bind": "$2"})),
        step("PUT", "$2/jobtitle", &json!({"value": "Buyer"})),
    ];
    let seen = org.batch(&together(&steps), &[]).ok(200);
    assert_eq!(seen.lines(), ["204 No Content"; 4]);
    assert_eq!(seen.ids("Content-ID: "), ["1", "2", "3", "4"]);
    let account = seen.ids("OData-EntityId: ")[0].rsplit_once('/').unwrap().1;
    let read = org
        .get(&format!(
            "{account}?$select=name&$expand=primarycontactid($select=lastname,jobtitle)"
        ))
        .ok(200);
    assert_eq!(read.body["primarycontactid"]["jobtitle"], "Buyer");

    let before = (org.stored("account"), org.stored("contact").len());
    let mut broken = steps.to_vec();
    broken.push(step(
        "POST",
        "contacts",
        &json!({"lastname": "X", "colour": "red"}),
    ));
    broken.push(step("POST", "contacts", &json!({"lastname": "Y"})));
    let seen = org.batch(&together(&broken), &[]).ok(400);
    assert_eq!(seen.lines(), ["400 Bad Request"]);
    assert_eq!(seen.ids("Content-ID: "), ["5"]);
    assert!(seen.text.contains("changesetresponse_"));
    assert_eq!((org.stored("account"), org.stored("contact").len()), before);
}

#[test]
fn what_cannot_be_read_is_refused_before_anything_is_done() {
    let org = integration();
    let before = org.stored("account").len();
    let create = step("POST", "accounts", &account("Never"));
    let get = step("GET", "accounts", &Value::Null);
    let nested = [create.clone(), step("POST", "$batch", &json!({}))];
    let seen = org.batch(&alone(&nested), &[]).ok(400);
    assert!(
        seen.text.contains("can't hold another batch"),
        "{}",
        seen.text
    );
    assert_eq!(
        org.stored("account").len(),
        before + 1,
        "parts before it were done"
    );
    let forward = [step("PATCH", "$2", &account("x")), create.clone()];
    assert!(
        org.batch(&together(&forward), &[])
            .ok(400)
            .text
            .contains("'$2' does not exist")
    );
    let other_host = step(
        "POST",
        "https://other.example/api/data/v9.2/accounts",
        &account("x"),
    );
    assert!(
        org.batch(&alone(&[other_host]), &[])
            .ok(400)
            .text
            .contains("is not based on")
    );
    let bind = step(
        "POST",
        "contacts",
        &json!({"lastname": "x", "parentcustomerid_account@odata.bind": "$1"}),
    );
    assert!(
        org.batch(&alone(&[bind]), &[])
            .ok(400)
            .text
            .contains("Content-ID Reference")
    );

    org.batch(&together(&[create.clone(), get]), &[])
        .refused(400, "0x80060888");
    let many = vec![create.clone(); 1001];
    assert!(
        org.batch(&alone(&many), &[])
            .refused(400, "0x80060888")
            .contains("1001")
    );
    let whole = alone(std::slice::from_ref(&create));
    let cut = whole.trim_end().trim_end_matches("--b--");
    org.batch(cut, &[]).refused(400, "0x80060888");
    let twice = together(&[create.clone(), create]).replace("Content-ID: 2", "Content-ID: 1");
    org.batch(&twice, &[]).refused(400, "0x80060888");
    let without = twice.replace("Content-ID: 1\r\n", "");
    org.batch(&without, &[]).refused(400, "0x80060888");
    org.batch(&whole.replace("application/http", "text/plain"), &[])
        .refused(400, "0x80060888");
    org.batch(&whole.replace(" HTTP/1.1", ""), &[])
        .refused(400, "0x80060888");
    org.send(Method::POST, "$batch", &[], "{}")
        .refused(415, "0x80060888");
    org.get("$batch").refused(405, "0x80060888");
    assert_eq!(org.stored("account").len(), before + 1);
}

#[test]
fn what_a_row_meets_alone_it_meets_in_a_batch() {
    let org = integration();
    let id = org.make("accounts", &account("Pinned"));
    let etag = org.get(&format!("accounts({id})?$select=name")).body["@odata.etag"]
        .as_str()
        .unwrap()
        .to_owned();
    org.patch(&format!("accounts({id})"), &account("Changed"))
        .ok(204);
    let stale = [("If-Match", etag.as_str())];
    let place = format!("accounts({id})");
    let sales = Simulator::seeded_id("systemuser", "tomas").to_string();
    let steps: [Step<'_>; 6] = [
        ("PATCH", place.clone(), &stale, account("Stale").to_string()),
        ("DELETE", place.clone(), &stale, String::new()),
        (
            "PATCH",
            place,
            &[("If-None-Match", "*")],
            account("x").to_string(),
        ),
        (
            "POST",
            "accounts".to_owned(),
            &[],
            json!({"name": "x", "accountid": id}).to_string(),
        ),
        (
            "POST",
            "accounts".to_owned(),
            &[],
            json!({"name": "x", "creditlimit": 10_000_001}).to_string(),
        ),
        (
            "POST",
            "accounts".to_owned(),
            &[
                ("MSCRMCallerID", &sales),
                ("Prefer", "return=representation"),
            ],
            account("Theirs").to_string(),
        ),
    ];
    let seen = org.batch(&alone(&steps), &[GO_ON]).ok(200);
    let failed = "412 Precondition Failed";
    assert_eq!(
        seen.lines(),
        [
            failed,
            failed,
            failed,
            failed,
            "400 Bad Request",
            "201 Created"
        ]
    );
    for code in ["0x80060882", "0x80040237", "0x80040265"] {
        assert!(seen.text.contains(code), "{code}");
    }
    assert!(
        seen.text
            .contains(&format!("\"_createdby_value\":\"{sales}\""))
    );
    let weak = org.web_forms();
    let refused = weak.batch(
        &alone(&[step("DELETE", format!("accounts({id})"), &Value::Null)]),
        &[],
    );
    assert_eq!(refused.ok(403).lines(), ["403 Forbidden"]);
}

fn targets(table: &str, records: &[Value]) -> Value {
    let mut records = records.to_vec();
    for record in &mut records {
        record["@odata.type"] = json!(format!("Microsoft.Dynamics.CRM.{table}"));
    }
    json!({"Targets": records})
}

const BULK: &str = "contacts/Microsoft.Dynamics.CRM";

#[test]
fn several_records_are_made_changed_and_upserted() {
    let org = integration();
    let own = Uuid::from_u128(0x77);
    let rows = [
        json!({"lastname": "A", "contactid": own}),
        json!({"lastname": "B", "cg_extid": "bulk-1"}),
    ];
    let made = org
        .post(
            &format!("{BULK}.CreateMultiple"),
            &targets("contact", &rows),
        )
        .ok(200);
    assert_eq!(made.body["Ids"][0], json!(own));
    assert_eq!(made.body["Ids"].as_array().unwrap().len(), 2);
    let rows = [json!({"contactid": own, "jobtitle": "Buyer"})];
    org.post(
        &format!("{BULK}.UpdateMultiple"),
        &targets("contact", &rows),
    )
    .ok(204);
    let rows = [
        json!({"@odata.id": "contacts(cg_extid='bulk-1')", "jobtitle": "Clerk"}),
        json!({"@odata.id": "contacts(cg_extid='bulk-2')", "lastname": "C"}),
        json!({"contactid": own, "jobtitle": "Seller"}),
    ];
    org.post(
        &format!("{BULK}.UpsertMultiple"),
        &targets("contact", &rows),
    )
    .ok(204);
    let title = |key: &str| {
        org.get(&format!("contacts({key})?$select=jobtitle,lastname"))
            .ok(200)
            .body
    };
    assert_eq!(title("cg_extid='bulk-1'")["jobtitle"], "Clerk");
    assert_eq!(title("cg_extid='bulk-2'")["lastname"], "C");
    assert_eq!(title(&own.to_string())["jobtitle"], "Seller");
}

#[test]
fn one_bad_record_undoes_all() {
    let org = integration();
    let own = org.make("contacts", &json!({"lastname": "There"}));
    let before = org.stored("contact");
    let create = format!("{BULK}.CreateMultiple");
    let good = json!({"lastname": "Good"});
    let taken = [good.clone(), json!({"lastname": "x", "contactid": own})];
    org.post(&create, &targets("contact", &taken))
        .refused(412, "0x80040237");
    let untyped = json!({"Targets": [{"lastname": "x"}]});
    org.post(&create, &untyped).refused(400, "0x80048d19");
    org.post(&create, &targets("account", std::slice::from_ref(&good)))
        .refused(400, "0x80048d19");
    org.post(&create, &json!({"Targets": []}))
        .refused(400, "0x80040203");
    org.post(&create, &json!({"Records": []}))
        .refused(400, "0x80048d19");
    let updates = [
        json!({"contactid": own, "jobtitle": "x"}),
        json!({"contactid": Uuid::from_u128(8), "jobtitle": "x"}),
    ];
    org.post(
        &format!("{BULK}.UpdateMultiple"),
        &targets("contact", &updates),
    )
    .refused(404, "0x80040217");
    let unnamed = [json!({"jobtitle": "x"})];
    org.post(
        &format!("{BULK}.UpdateMultiple"),
        &targets("contact", &unnamed),
    )
    .refused(400, "0x80040203");
    org.post(
        &format!("{BULK}.DeleteMultiple"),
        &targets("contact", &updates),
    )
    .refused(400, "0x80040203");
    org.post(
        &format!("{BULK}.EraseMultiple"),
        &targets("contact", &updates),
    )
    .refused(404, "0x8006088a");
    let may_not = org.web_forms().post(&create, &targets("contact", &[good]));
    may_not.refused(403, "0x80040220");
    assert_eq!(org.stored("contact"), before);
}

#[test]
fn batches_count_as_one_request_and_by_their_operations() {
    let org = integration();
    let crm: &dyn Crm = &*org.simulator.environment;
    crm.set_limits(Some(
        br#"{"requests": 2, "operation_millis": 1000, "dop_hint": 7}"#,
    ))
    .unwrap();
    let steps = vec![step("POST", "accounts", &account("x")); 5];
    let seen = org.batch(&alone(&steps), &[]).ok(200);
    assert_eq!(
        seen.header("x-ms-ratelimit-burst-remaining-xrm-requests"),
        "1"
    );
    assert_eq!(
        seen.header("x-ms-ratelimit-time-remaining-xrm-requests"),
        "1,195.00"
    );
    assert_eq!(seen.header("x-ms-dop-hint"), "7");
    org.get("WhoAmI").ok(200);
    let refused = org.batch(&alone(&steps), &[]);
    assert!(refused.header("retry-after").parse::<u64>().unwrap() > 0);
    refused.refused(429, "0x80072322");
    assert!(crm.set_limits(Some(br#"{"requests": 0}"#)).is_err());
    assert!(crm.set_limits(Some(br#"{"request": 1}"#)).is_err());
    crm.set_limits(None).unwrap();
    org.get("WhoAmI").ok(200);
    assert_eq!(crm.limits().unwrap()["enforced"], false);
}
