use super::*;

fn account(desk: &Desk) -> String {
    let id = desk.post("/sobjects/Account", &json!({"Name": "A"})).id();
    format!("/sobjects/Account/{id}")
}

#[test]
fn tags_pin_accounts() {
    let desk = Desk::new();
    let path = account(&desk);
    let got = desk.get(&path);
    let tag = got.header("etag").to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"'));
    let with = |method: &str, name: &str, value: &str, body: &[u8]| {
        desk.send(method, &path, &[(name, value)], body)
    };
    assert_eq!(with("GET", "if-none-match", &tag, b"").status, 304);
    assert_eq!(
        with(
            "PATCH",
            "if-match",
            &tag.replace("\"", "").join_quotes("-gzip"),
            b"{\"Site\":\"1\"}"
        )
        .status,
        204
    );
    let got = with("PATCH", "if-match", &tag, b"{\"Site\":\"2\"}");
    assert_eq!((got.status, got.code()), (412, "PRECONDITION_FAILED"));
    assert_eq!(desk.get(&path).body["Site"], "1");
    assert_eq!(
        with("PATCH", "if-match", "*", b"{\"Site\":\"3\"}").status,
        204
    );
    let contact = desk
        .post("/sobjects/Contact", &json!({"LastName": "L"}))
        .id();
    let contact = format!("/sobjects/Contact/{contact}");
    assert_eq!(desk.get(&contact).header("etag"), "", "accounts only");
    let got = desk.send(
        "PATCH",
        &contact,
        &[("if-match", "\"other\"")],
        b"{\"LastName\":\"M\"}",
    );
    assert_eq!(got.status, 204, "accounts only");
}

trait Quotes {
    fn join_quotes(&self, suffix: &str) -> String;
}

impl Quotes for String {
    fn join_quotes(&self, suffix: &str) -> String {
        format!("\"{self}{suffix}\"")
    }
}

#[test]
fn dates_pin_every_record_to_the_second() {
    let desk = Desk::new();
    let id = desk
        .post("/sobjects/Contact", &json!({"LastName": "L"}))
        .id();
    let path = format!("/sobjects/Contact/{id}");
    let seen = desk.get(&path).header("last-modified").to_owned();
    assert!(seen.ends_with(" GMT"), "{seen}");
    let write = |value: &str| {
        desk.send(
            "PATCH",
            &path,
            &[("if-unmodified-since", value)],
            b"{\"FirstName\":\"A\"}",
        )
        .status
    };
    assert_eq!(write(&seen), 204);
    desk.tick();
    desk.patch(&path, &json!({"FirstName": "B"}));
    assert_eq!(write(&seen), 412);
    assert_eq!(desk.get(&path).body["FirstName"], "B");
    assert_eq!(
        desk.send("DELETE", &path, &[("if-unmodified-since", &seen)], b"")
            .status,
        412
    );
    assert_eq!(
        desk.send("GET", &path, &[("if-modified-since", &seen)], b"")
            .status,
        200
    );
    let now = desk.get(&path).header("last-modified").to_owned();
    assert_eq!(
        desk.send("GET", &path, &[("if-modified-since", &now)], b"")
            .status,
        304
    );
    assert_eq!(write("not a date"), 204, "what can't be read doesn't count");
}
