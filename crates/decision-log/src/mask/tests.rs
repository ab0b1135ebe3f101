use proptest::prelude::*;

use super::*;

fn document(json: &str) -> Document {
    Document::parse(json.as_bytes()).unwrap()
}

fn parts(pointer: &str) -> Vec<String> {
    pointer::parse(pointer).unwrap()
}

#[test]
fn names_of_credentials_and_people_are_known_in_any_case() {
    for name in [
        "Password__c",
        "client_secret",
        "oauth_token",
        "SID",
        "sig",
        "ApiKey__c",
        "X_Session_Id",
    ] {
        assert_eq!(hint(name), Some(Hint::Secret), "{name}");
    }
    for name in [
        "Partner_Email__c",
        "PersonBirthdate",
        "new_ssn",
        "MobilePhone",
    ] {
        assert_eq!(hint(name), Some(Hint::Personal), "{name}");
    }
    for name in [
        "Amount",
        "StageName",
        "side",
        "design",
        "Description",
        "monkey",
    ] {
        assert_eq!(hint(name), None, "{name}");
    }
}

#[test]
fn pointers_apply_as_in_opa() {
    let mut it = document(r#"{"a": {"b/c": 1, "m~n": 2, "l": [1, {"x": 1}, 3]}}"#);
    assert!(pointer::remove(&mut it, &parts("/a/b~1c")));
    assert!(pointer::remove(&mut it, &parts("/a/m~0n")));
    assert!(pointer::remove(&mut it, &parts("/a/l/0")));
    assert!(pointer::remove(&mut it, &parts("/a/l/0/x")));
    for missing in [
        "/a/l/7",
        "/a/l/-1",
        "/a/l/01",
        "/a/l/x",
        "/a/z",
        "/a/l/1/deep",
        "/q/r",
    ] {
        assert!(!pointer::remove(&mut it, &parts(missing)), "{missing}");
    }
    assert_eq!(it, document(r#"{"a": {"l": [{}, 3]}}"#));
    assert!(pointer::upsert(&mut it, &parts("/a/new/deep"), 1.into()));
    assert!(pointer::upsert(&mut it, &parts("/a/l/1"), "x".into()));
    for missing in ["/a/l/2", "/a/l/1/x", "/a/z/0x/y/../", "/a/l/1/made/up"] {
        let placed = pointer::upsert(&mut it.clone(), &parts(missing), 1.into());
        assert_eq!(placed, missing.contains('z'), "{missing}");
    }
    assert_eq!(
        it,
        document(r#"{"a": {"l": [{}, "x"], "new": {"deep": 1}}}"#)
    );
    assert!(pointer::remove(&mut it, &[]));
    assert_eq!(it, Document::Null);
}

#[test]
fn a_quoted_value_is_found_in_any_case_and_inside_words() {
    let values = [
        document(r#""Ada.Lovelace@Example.com""#),
        document(r#""Ada""#),
        document("1815"),
        document(r#"{"street": "St. Julianstraße 7", "none": null, "yes": true}"#),
        document(r#""pay with 4111 1111 1111 1111, call 0151-2345678""#),
    ];
    let scrubber = Scrubber::new(&values).unwrap();
    for (text, expected) in [
        (
            "`ada.lovelace@example.com` is taken",
            "`**REDACTED**` is taken",
        ),
        ("xADA.LOVELACE@EXAMPLE.COMx", "x**REDACTED**x"),
        (
            "Ada, ADA! Adam, Canada",
            "**REDACTED**, **REDACTED**! Adam, Canada",
        ),
        ("born 1815, not 18150", "born **REDACTED**, not 18150"),
        ("at ST. JULIANSTRASSE 7", "at **REDACTED**"),
        ("at st. julianstraße 7.", "at **REDACTED**."),
    ] {
        assert_eq!(scrubber.text(text), expected);
    }
    assert_eq!(
        scrubber.message("card 4111 1111 in `0151-2345678`, call now: pay"),
        "card **REDACTED** **REDACTED** in `**REDACTED**`, call now: pay"
    );
    let mut nested = document(r#"{"Ada": ["see Ada", 1815, {"n": 7}], "x": true}"#);
    scrubber.document(&mut nested);
    let expected = r#"{"**REDACTED**": ["see **REDACTED**", "**REDACTED**", {"n": 7}], "x": true}"#;
    assert_eq!(nested, document(expected));
}

#[test]
fn treatments_hide_what_they_say() {
    let (key, other) = (HashKey::new(b"k"), HashKey::new(b"l"));
    let value = document(r#""ada@example.com""#);
    let with = |treatment| treated(&value, treatment, &key);
    assert_eq!(with(Treatment::Keep).as_ref(), Some(&value));
    assert_eq!(with(Treatment::Partial), Some("***@e***".into()));
    assert_eq!(with(Treatment::Mask), Some(REDACTED.into()));
    assert_eq!(with(Treatment::Drop), None);
    let hash = with(Treatment::Hash).unwrap();
    assert!(
        hash.as_str().unwrap().starts_with("hmac-sha256:"),
        "{hash:?}"
    );
    assert_eq!(with(Treatment::Hash), Some(hash.clone()));
    assert_ne!(treated(&value, Treatment::Hash, &other), Some(hash));
    assert!(Treatment::Drop > Treatment::Mask && Treatment::Hash > Treatment::Partial);
}

fn documents() -> impl Strategy<Value = Document> {
    let leaf = prop_oneof![
        Just(Document::Null),
        any::<bool>().prop_map(Document::from),
        any::<i64>().prop_map(Document::from),
        "[a-c~/]{0,3}".prop_map(Document::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Document::Array),
            prop::collection::btree_map("[a-c~/]{0,2}", inner, 0..4)
                .prop_map(|map| Document::Object(map.into_iter().collect())),
        ]
    })
}

/// Every place in a document, as a pointer.
fn places(document: &Document, above: &str, all: &mut Vec<String>) {
    all.push(above.to_owned());
    match document {
        Document::Object(object) => {
            for (name, value) in object.iter() {
                places(value, &format!("{above}/{}", pointer::escape(name)), all);
            }
        }
        Document::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                places(value, &format!("{above}/{index}"), all);
            }
        }
        _ => {}
    }
}

proptest! {
    #[test]
    fn every_place_can_be_reached_replaced_and_removed(
        document in documents(),
        pick in any::<prop::sample::Index>(),
    ) {
        let mut all = Vec::new();
        places(&document, "", &mut all);
        let chosen = parts(pick.get(all.as_slice()).as_str());
        prop_assert!(pointer::get(&document, &chosen).is_some());
        let mut replaced = document.clone();
        prop_assert!(pointer::upsert(&mut replaced, &chosen, "new".into()));
        prop_assert_eq!(pointer::get(&replaced, &chosen), Some(&"new".into()));
        let mut back = replaced;
        let old = pointer::get(&document, &chosen).cloned().unwrap();
        prop_assert!(pointer::upsert(&mut back, &chosen, old));
        prop_assert_eq!(&back, &document);
        let mut removed = document.clone();
        prop_assert!(pointer::remove(&mut removed, &chosen));
        let mut left = Vec::new();
        places(&removed, "", &mut left);
        prop_assert!(left.len() < all.len() || chosen.is_empty());
    }

    #[test]
    fn what_is_not_there_is_ignored(document in documents(), pointer in "(/[a-d~01]{0,3}){1,4}") {
        let chosen = parts(&pointer);
        let there = pointer::get(&document, &chosen).is_some();
        let mut removed = document.clone();
        prop_assert_eq!(pointer::remove(&mut removed, &chosen), there);
        if !there {
            prop_assert_eq!(&removed, &document);
        }
        let mut placed = document.clone();
        if pointer::upsert(&mut placed, &chosen, 7.into()) {
            prop_assert_eq!(pointer::get(&placed, &chosen), Some(&7.into()));
        } else {
            prop_assert_eq!(&placed, &document);
        }
    }

    #[test]
    fn no_value_survives(values in prop::collection::vec("[a-z0-9@.ÄÖß]{6,12}", 1..4), around in "[ -~]{0,6}") {
        let documents: Vec<Document> = values.iter().map(|v| v.as_str().into()).collect();
        let scrubber = Scrubber::new(&documents).unwrap();
        for value in &values {
            let text = format!("{around}{value}{around}{}", value.to_uppercase());
            let scrubbed = scrubber.message(&text);
            prop_assert!(!scrubbed.contains(value.as_str()), "{}", scrubbed);
        }
    }
}
