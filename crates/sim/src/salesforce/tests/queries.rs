use super::*;

#[test]
fn results_come_in_pages() {
    let desk = Desk::with(|options| options.page_size = 10);
    let got = desk.soql("SELECT Id, Name FROM Contact ORDER BY Id");
    assert_eq!(
        (&got.body["totalSize"], &got.body["done"]),
        (&json!(44), &json!(false))
    );
    let mut seen = got.body["records"].as_array().unwrap().len();
    let mut next = got.body["nextRecordsUrl"].as_str().map(str::to_owned);
    assert!(
        next.as_ref()
            .unwrap()
            .starts_with("/services/data/v66.0/query/01g")
    );
    while let Some(url) = next {
        let got = desk.get(&url);
        assert_eq!(got.body["totalSize"], 44);
        seen += got.body["records"].as_array().unwrap().len();
        next = got.body["nextRecordsUrl"].as_str().map(str::to_owned);
        assert_eq!(got.body["done"], json!(next.is_none()));
    }
    assert_eq!(seen, 44);
    assert_eq!(
        desk.get("/query/01gXX0000000001-10").code(),
        "INVALID_QUERY_LOCATOR"
    );
    let got = desk.soql("SELECT Id FROM Contact");
    let url = got.body["nextRecordsUrl"].as_str().unwrap().to_owned();
    let desk = desk.user("rae.quillon");
    assert_eq!(
        desk.get(&url).code(),
        "INVALID_QUERY_LOCATOR",
        "a cursor is its owner's"
    );
    let desk = desk.user("admin");
    let url = desk.soql("SELECT Id FROM Contact").body["nextRecordsUrl"]
        .as_str()
        .unwrap()
        .to_owned();
    desk.clock.advance(Duration::from_hours(1));
    assert_eq!(desk.get(&url).status, 200);
}

#[test]
fn the_client_may_ask_for_smaller_pages() {
    let desk = Desk::new();
    for number in 0..250 {
        desk.post("/sobjects/Task", &json!({"Subject": format!("T{number}")}));
    }
    let got = desk.send(
        "GET",
        "/query?q=SELECT+Id+FROM+Task",
        &[("sforce-query-options", "batchSize=200")],
        b"",
    );
    assert_eq!(
        (
            got.body["records"].as_array().unwrap().len(),
            &got.body["totalSize"]
        ),
        (200, &json!(268))
    );
    assert!(
        got.body["nextRecordsUrl"]
            .as_str()
            .unwrap()
            .ends_with("-200")
    );
}

#[test]
fn deleted_records_show_only_when_all_are_asked_for() {
    let desk = Desk::new();
    let id = desk
        .post(
            "/sobjects/Lead",
            &json!({"LastName": "Gone", "Company": "C", "Ext_Id__c": "G"}),
        )
        .id();
    desk.delete(&format!("/sobjects/Lead/{id}"));
    let query = "q=SELECT+Id,IsDeleted+FROM+Lead+WHERE+LastName='Gone'+AND+Ext_Id__c='G'";
    assert_eq!(desk.get(&format!("/query?{query}")).body["totalSize"], 0);
    let got = desk.get(&format!("/queryAll/?{query}"));
    assert_eq!(got.body["records"][0]["IsDeleted"], true);
    let day = |text: &str| {
        jiff::Timestamp::from_second(
            desk.clock.now().as_second() + if text == "s" { -3600 } else { 3600 },
        )
        .unwrap()
    };
    let span = format!("start={}&end={}", day("s"), day("e"));
    let got = desk.get(&format!("/sobjects/Lead/deleted/?{span}"));
    assert_eq!(got.body["deletedRecords"][0]["id"], json!(id));
    let kept = desk
        .post(
            "/sobjects/Lead",
            &json!({"LastName": "Kept", "Company": "C"}),
        )
        .id();
    let got = desk.get(&format!("/sobjects/Lead/updated?{span}"));
    assert_eq!(
        got.body["ids"].as_array().unwrap().last().unwrap(),
        &json!(kept)
    );
    assert_eq!(
        desk.get("/sobjects/Lead/updated?start=x&end=y").code(),
        "INVALID_REPLICATION_DATE"
    );
}

#[test]
fn wrong_queries_are_explained_with_their_place() {
    let desk = Desk::new();
    let bad = |text: &str| {
        let got = desk.soql(text);
        assert_eq!(got.status, 400, "{text}: {}", got.body);
        (got.code().to_owned(), got.message().to_owned())
    };
    let (code, message) = bad("SELECT Id FORM Account");
    assert_eq!(code, "MALFORMED_QUERY");
    assert!(
        message.contains("ERROR at Row:1:Column:11\nunexpected token: 'FORM'"),
        "{message}"
    );
    let (code, message) = bad("SELECT Id, Colour FROM Account");
    assert_eq!(code, "INVALID_FIELD");
    assert!(
        message.contains("ERROR at Row:1:Column:12\nNo such column 'Colour' on entity 'Account'."),
        "{message}"
    );
    let (code, message) = bad("SELECT Id FROM Thing");
    assert_eq!(code, "INVALID_TYPE");
    assert!(
        message.contains("sObject type 'Thing' is not supported."),
        "{message}"
    );
    assert_eq!(desk.get("/query").code(), "MALFORMED_QUERY");
    assert_eq!(
        desk.post("/query?q=SELECT+Id+FROM+Lead", &json!({})).status,
        405
    );
}

#[test]
fn words_are_found_in_records() {
    let desk = Desk::new();
    let got = desk.get("/search/?q=FIND+%7Bbramwell%7D+IN+ALL+FIELDS+RETURNING+Account(Id,+Name+WHERE+Industry='Electronics'+ORDER+BY+Name),+Lead");
    let names: Vec<_> = got.body["searchRecords"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["Name"].clone())
        .collect();
    assert_eq!(names, ["Bramwell Optics", "Bramwell Optics Deutschland"]);
    let got = desk.get("/search?q=FIND+%7Bkest*+outdoor%7D");
    assert_eq!(
        got.body["searchRecords"][0]["attributes"]["type"],
        "Account"
    );
    assert_eq!(
        desk.get("/search?q=FIND+%7Ba%7D").code(),
        "MALFORMED_SEARCH"
    );
    assert_eq!(desk.get("/search?q=SEEK").code(), "MALFORMED_SEARCH");
}
