use proptest::prelude::*;

use super::*;
use crate::metadata::Entry;
use crate::table::sample::table;

const ID: &str = "5d8a0e4c-0000-4000-8000-000000000001";

fn directory() -> Directory {
    let entry = |name: &str, set: &str| Entry {
        name: name.to_owned(),
        set: set.to_owned(),
        primary_id: format!("{name}id"),
    };
    Directory::new(vec![
        entry("account", "accounts"),
        entry("contact", "contacts"),
    ])
}

fn urls() -> (Url, Url) {
    (
        "https://gate.example:8702".parse().unwrap(),
        "https://org.crm.example".parse().unwrap(),
    )
}

fn read(body: &str) -> Result<Parsed, BadBody> {
    let Ok(Document::Object(object)) = Document::parse(body.as_bytes()) else {
        return Err(Malformed::new("invalid_json", "").into());
    };
    let (gate, crm) = urls();
    let origins = Origins {
        gate: &gate,
        crm: &crm,
    };
    parse(&object, &table(), &directory(), &origins)
}

#[test]
fn a_reference_is_taken_in_all_its_spellings() {
    let wanted = value::reference("contact", ID);
    for text in [
        format!("/contacts({ID})"),
        format!("contacts({})", ID.to_uppercase()),
        format!("https://gate.example:8702/api/data/v9.2/contacts({ID})"),
        format!("https://ORG.crm.example:443/Api/Data/v9.1/contacts({ID})"),
        format!("/api/data/v9.2/contacts({ID})"),
        format!("/contacts%28{ID}%29"),
    ] {
        let parsed = read(&format!(r#"{{"parentid_contact@odata.bind":"{text}"}}"#)).unwrap();
        assert_eq!(parsed.change.get("parentid"), Some(&wanted), "{text}");
        let sent = parsed
            .members
            .get("parentid_contact@odata.bind")
            .and_then(Document::as_str);
        assert_eq!(sent, Some(format!("/contacts({ID})").as_str()));
    }
}

#[test]
fn references_by_key_do_not_look_alike() {
    let by = |name: &str| {
        let body = format!(r#"{{"parentid_account@odata.bind":"/accounts(name='{name}')"}}"#);
        read(&body).unwrap().change
    };
    assert_ne!(by("a"), by("b"));
}

#[test]
fn what_reads_add_is_left_out() {
    let body = r#"{"@odata.context":"x","@odata.etag":"W/\"1\"","size":1,
        "size@OData.Community.Display.V1.FormattedValue":"1",
        "_parentid_value@Microsoft.Dynamics.CRM.lookuplogicalname":"account"}"#;
    let parsed = read(body).unwrap();
    assert!(parsed.rewritten);
    assert_eq!(Document::from(parsed.members).to_json(), r#"{"size":1}"#);
}

proptest! {
    #[test]
    fn a_reference_never_leaves(text in r"(https?:)?/{0,3}[a-z.@:0-9\\#?%]{0,24}/{0,2}(api/data/v9.2/)?contacts\(.{0,12}\)") {
        let (gate, crm) = urls();
        let origins = Origins { gate: &gate, crm: &crm };
        if let Ok((set, _)) = reference(&text, &origins) {
            prop_assert_eq!(set, "contacts");
            if let Some((_, rest)) = text.split_once("://") {
                let own = rest.starts_with("gate.example:8702/") || rest.starts_with("org.crm.example/");
                prop_assert!(own, "{}", text);
            }
        }
    }

    #[test]
    fn whatever_comes_is_refused_or_understood_whole(
        names in prop::collection::vec(r"(name|size|parentid|parentid_account|_parentid_value|@odata\.[a-z]{2,5}|[a-z@.]{0,8})(@odata\.(bind|type)|@x)?", 0..5),
        values in prop::collection::vec(r#"null|1|"x"|\{\}|\[\]|"/accounts\(name='a'\)"|true"#, 5),
    ) {
        let members: Vec<String> = names
            .iter()
            .zip(&values)
            .map(|(name, value)| format!("{}:{value}", Document::from(name.as_str()).to_json()))
            .collect();
        if let Ok(parsed) = read(&format!("{{{}}}", members.join(","))) {
            let table = table();
            for (name, _) in parsed.change.iter() {
                prop_assert!(table.column(name).is_some());
                let member = &parsed.member_of[name];
                prop_assert!(parsed.members.contains(member));
            }
            // Every member that is sent sets a column that is judged, or says a type.
            for (member, _) in parsed.members.iter() {
                let judged = parsed.member_of.values().any(|known| known == member);
                prop_assert!(judged || member.ends_with("@odata.type"), "{}", member);
            }
        }
    }
}
