//! Several requests in one call.

use super::*;

const V: &str = "/services/data/v66.0";

fn part(name: &str, method: &str, url: &str, body: &Value) -> Value {
    json!({"method": method, "url": format!("{V}{url}"), "referenceId": name, "body": body})
}

fn send(desk: &Desk, all_or_none: bool, parts: &Value) -> Vec<Value> {
    let got = desk.post(
        "/composite",
        &json!({"allOrNone": all_or_none, "compositeRequest": parts}),
    );
    assert_eq!(got.status, 200, "{}", got.body);
    got.body["compositeResponse"].as_array().unwrap().clone()
}

fn statuses(answers: &[Value]) -> Vec<u64> {
    answers
        .iter()
        .map(|answer| answer["httpStatusCode"].as_u64().unwrap())
        .collect()
}

fn accounts(desk: &Desk, name: &str) -> usize {
    desk.column(
        &format!("SELECT Id FROM Account WHERE Name = '{name}'"),
        "Id",
    )
    .len()
}

#[test]
fn requests_refer_to_each_other() {
    let desk = Desk::new();
    let parts = json!([
        part("acc", "POST", "/sobjects/Account", &json!({"Name": "Comp"})),
        part(
            "con",
            "POST",
            "/sobjects/Contact",
            &json!({"LastName": "Of @{acc.id}", "AccountId": "@{acc.id}"})
        ),
        part(
            "read",
            "GET",
            "/sobjects/Contact/@{con.id}?fields=AccountId,LastName",
            &Value::Null
        ),
        part(
            "found",
            "GET",
            "/query?q=SELECT+Id+FROM+Account+WHERE+Name='Comp'",
            &Value::Null
        ),
        part(
            "up",
            "PATCH",
            "/sobjects/Account/@{found.records[0].Id}",
            &json!({"Site": "S"})
        ),
        part(
            "lost",
            "PATCH",
            "/sobjects/Account/@{acc.Id}",
            &json!({"Site": "T"})
        ),
        part(
            "not",
            "DELETE",
            "/sobjects/Account/@{lost.id}",
            &Value::Null
        ),
    ]);
    let all = send(&desk, false, &parts);
    assert_eq!(statuses(&all), [201, 201, 200, 200, 204, 400, 400]);
    let id = all[0]["body"]["id"].as_str().unwrap();
    assert_eq!(all[2]["body"]["AccountId"], id);
    assert_eq!(all[2]["body"]["LastName"], format!("Of {id}"));
    let location = format!("{V}/sobjects/Account/{id}");
    assert_eq!(all[0]["httpHeaders"]["Location"], location);
    assert!(all[4]["body"].is_null());
    let reason = &all[5]["body"][0];
    assert_eq!(reason["errorCode"], "PROCESSING_HALTED");
    assert!(
        reason["message"]
            .as_str()
            .unwrap()
            .contains("No value for acc.Id found in acc")
    );
    assert_eq!(all[6]["referenceId"], "not");
    assert_eq!(accounts(&desk, "Comp"), 1);
    let got = desk.get("/limits");
    assert_eq!(
        got.header("sforce-limit-info"),
        "api-usage=3/5000000",
        "one call each"
    );
}

#[test]
fn all_or_none_takes_everything_back() {
    let desk = Desk::new();
    let parts = json!([
        part("a", "POST", "/sobjects/Account", &json!({"Name": "Atom"})),
        part(
            "b",
            "POST",
            "/sobjects/Contact",
            &json!({"FirstName": "No name"})
        ),
        part("c", "POST", "/sobjects/Account", &json!({"Name": "Atom"})),
    ]);
    let all = send(&desk, true, &parts);
    assert_eq!(statuses(&all), [400, 400, 400]);
    let codes: Vec<&Value> = all
        .iter()
        .map(|answer| &answer["body"][0]["errorCode"])
        .collect();
    assert_eq!(
        codes,
        [
            "PROCESSING_HALTED",
            "REQUIRED_FIELD_MISSING",
            "PROCESSING_HALTED"
        ]
    );
    assert_eq!(accounts(&desk, "Atom"), 0);
    let all = send(&desk, false, &parts);
    assert_eq!(statuses(&all), [201, 400, 201]);
    assert_eq!(accounts(&desk, "Atom"), 2);
}

#[test]
fn the_outer_wish_binds_collections() {
    let parts = |inner: bool| {
        let rows = json!([
            {"attributes": {"type": "Account"}, "Name": "Inner"},
            {"attributes": {"type": "Account"}, "Site": "no name"},
        ]);
        json!([
            part(
                "rows",
                "POST",
                "/composite/sobjects",
                &json!({"allOrNone": inner, "records": rows})
            ),
            part(
                "one",
                "POST",
                "/sobjects/Account",
                &json!({"Name": "Outer"})
            ),
        ])
    };
    // The documentation's four cases: what happens, and what the collection says of its good record.
    for (outer, inner, one, good, left) in [
        (false, false, 201, true, (1, 1)),
        (false, true, 201, false, (0, 1)),
        (true, true, 400, false, (0, 0)),
        (true, false, 400, true, (0, 0)),
    ] {
        let desk = Desk::new();
        let all = send(&desk, outer, &parts(inner));
        assert_eq!(statuses(&all), [200, one], "{outer} {inner}");
        assert_eq!(all[0]["body"][0]["success"], good, "{outer} {inner}");
        assert_eq!(
            all[0]["body"][1]["errors"][0]["statusCode"],
            "REQUIRED_FIELD_MISSING"
        );
        assert_eq!((accounts(&desk, "Inner"), accounts(&desk, "Outer")), left);
    }
}

#[test]
fn headers_stand_at_the_request_they_are_for() {
    let desk = Desk::new();
    let id = desk
        .post("/sobjects/Contact", &json!({"LastName": "Pinned"}))
        .id();
    let url = format!("/sobjects/Contact/{id}");
    let read = desk.get(&url).header("last-modified").to_owned();
    let pinned = |name: &str| {
        let mut part = part(name, "PATCH", &url, &json!({"Title": name}));
        part["httpHeaders"] = json!({"If-Unmodified-Since": read});
        part
    };
    assert_eq!(
        statuses(&send(&desk, false, &json!([pinned("first")]))),
        [204]
    );
    desk.tick();
    assert_eq!(
        statuses(&send(&desk, false, &json!([pinned("second")]))),
        [204]
    );
    let all = send(&desk, false, &json!([pinned("third")]));
    assert_eq!(statuses(&all), [412]);
    assert_eq!(all[0]["body"][0]["errorCode"], "PRECONDITION_FAILED");
    assert_eq!(desk.get(&url).body["Title"], "second");
}

#[test]
fn ill_formed_calls_are_refused_as_a_whole() {
    let desk = Desk::new();
    let good = part("a", "POST", "/sobjects/Account", &json!({"Name": "Ill"}));
    let with = |change: &dyn Fn(&mut Value)| {
        let mut bad = part("b", "POST", "/sobjects/Account", &json!({"Name": "Ill"}));
        change(&mut bad);
        desk.post("/composite", &json!({"compositeRequest": [good, bad]}))
    };
    for got in [
        with(&|bad| bad["referenceId"] = json!("a")),
        with(&|bad| bad["referenceId"] = json!("a[1]")),
        with(&|bad| bad["url"] = json!("/sobjects/Account")),
        with(&|bad| bad["httpHeaders"] = json!({"authorization": "Bearer x"})),
        with(&|bad| bad["methode"] = json!("POST")),
        desk.post("/composite", &json!({"compositeRequest": []})),
        desk.post(
            "/composite",
            &json!({"compositeRequest": vec![good.clone(); 26]}),
        ),
    ] {
        assert_eq!(got.status, 400, "{}", got.body);
    }
    let heavy: Vec<Value> = (0..6)
        .map(|n| {
            part(
                &format!("q{n}"),
                "GET",
                "/query?q=SELECT+Id+FROM+Account",
                &Value::Null,
            )
        })
        .collect();
    assert_eq!(
        desk.post("/composite", &json!({"compositeRequest": heavy}))
            .code(),
        "LIMIT_EXCEEDED"
    );
    assert_eq!(accounts(&desk, "Ill"), 0);
    let nested = send(
        &desk,
        false,
        &json!([part("n", "POST", "/composite/batch", &json!({}))]),
    );
    assert_eq!(statuses(&nested), [400]);
    assert_eq!(
        desk.get("/composite").body["tree"],
        format!("{V}/composite/tree")
    );
}

#[test]
fn batches_do_not_belong_together() {
    let desk = Desk::new();
    let send = |halt: bool| {
        let body = json!({"haltOnError": halt, "batchRequests": [
            {"method": "POST", "url": "v66.0/sobjects/Account", "richInput": {"Name": "Batch"}},
            {"method": "PATCH", "url": "v66.0/sobjects/Account/001Wd000000zzzz", "richInput": {"Name": "B"}},
            {"method": "GET", "url": "/services/data/v66.0/limits"},
        ]});
        let got = desk.post("/composite/batch", &body);
        assert_eq!((got.status, &got.body["hasErrors"]), (200, &json!(true)));
        let results = got.body["results"].as_array().unwrap().clone();
        let statuses: Vec<u64> = results
            .iter()
            .map(|result| result["statusCode"].as_u64().unwrap())
            .collect();
        (statuses, results[2]["result"].clone())
    };
    let (statuses, limits) = send(false);
    assert_eq!(statuses, [201, 404, 200]);
    assert_eq!(limits["DailyApiRequests"]["Remaining"], 4_999_999);
    let (statuses, halted) = send(true);
    assert_eq!(statuses, [201, 404, 412]);
    assert_eq!(halted[0]["errorCode"], "BATCH_PROCESSING_HALTED");
    assert_eq!(accounts(&desk, "Batch"), 2);
}

#[test]
fn trees_grow_whole_or_not_at_all() {
    let desk = Desk::new();
    let tree = |last: &Value| {
        json!({"records": [
            {"attributes": {"type": "Account", "referenceId": "r1"}, "name": "Tree",
             "Contacts": {"records": [
                {"attributes": {"type": "Contact", "referenceId": "r3"}, "lastname": "Leaf"},
                {"attributes": {"type": "Contact", "referenceId": "r4"}, "lastname": last},
             ]}},
            {"attributes": {"type": "Account", "referenceId": "r2"}, "name": "Tree",
             "ChildAccounts": {"records": [
                {"attributes": {"type": "Account", "referenceId": "r5"}, "name": "Tree"}]}},
        ]})
    };
    let got = desk.post("/composite/tree/Account", &tree(&Value::Null));
    assert_eq!(got.status, 400);
    assert_eq!(got.body["hasErrors"], true);
    let results = got.body["results"].as_array().unwrap();
    assert_eq!(results.len(), 1);
    assert_eq!(results[0]["referenceId"], "r4");
    assert_eq!(
        results[0]["errors"][0]["statusCode"],
        "REQUIRED_FIELD_MISSING"
    );
    assert_eq!(accounts(&desk, "Tree"), 0);
    let got = desk.post("/composite/tree/Account", &tree(&json!("Twig")));
    assert_eq!((got.status, &got.body["hasErrors"]), (201, &json!(false)));
    let references: Vec<&Value> = got.body["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| &result["referenceId"])
        .collect();
    assert_eq!(references, ["r1", "r2", "r3", "r4", "r5"]);
    let leaves = desk.column("SELECT Id FROM Contact WHERE Account.Name = 'Tree'", "Id");
    assert_eq!((accounts(&desk, "Tree"), leaves.len()), (3, 2));
    let twice = json!({"records": [
        {"attributes": {"type": "Account", "referenceId": "r"}, "Name": "Tree"},
        {"attributes": {"type": "Account", "referenceId": "r"}, "Name": "Tree"},
    ]});
    assert_eq!(desk.post("/composite/tree/Account", &twice).status, 400);
    assert_eq!(accounts(&desk, "Tree"), 3);
}

#[test]
fn limits_can_be_set_and_used_up() {
    let desk = Desk::new();
    desk.crm
        .set_limits(Some(br#"{"daily_calls": 10, "used": 8}"#))
        .unwrap();
    assert_eq!(
        desk.get("/sobjects").header("sforce-limit-info"),
        "api-usage=9/10"
    );
    let got = desk.get("/limits");
    assert_eq!(
        got.body["DailyApiRequests"],
        json!({"Max": 10, "Remaining": 0})
    );
    let got = desk.post("/composite/sobjects", &json!({"records": []}));
    assert_eq!((got.status, got.code()), (403, "REQUEST_LIMIT_EXCEEDED"));
    assert_eq!(got.header("sforce-limit-info"), "api-usage=10/10");
    desk.clock.advance(Duration::from_hours(25));
    let open = desk.crm.limits().unwrap();
    assert_eq!(open, json!({"daily_calls": 10, "used": 0}));
}
