use proptest::prelude::*;

use super::*;

const DESCRIBE: &str = r#"{"name":"Contact","fields":[
    {"name":"Id","type":"id"},
    {"name":"LastName","type":"string"},
    {"name":"Score__c","type":"double"},
    {"name":"AccountId","type":"reference","referenceTo":["Account"],"relationshipName":"Account"},
    {"name":"Ext__c","type":"string","unique":true,"externalId":true}
]}"#;

fn describe() -> Describe {
    Describe::parse(DESCRIBE.as_bytes()).unwrap()
}

/// Bodies made of what a body could be made of, and of noise.
fn bodies() -> impl Strategy<Value = String> {
    let key = prop_oneof![
        Just("LastName"),
        Just("lastname"),
        Just("Score__c"),
        Just("Account"),
        Just("AccountId"),
        Just("attributes"),
        Just("Id"),
        Just("Nope"),
        Just("L\\u0061stName"),
    ];
    let value = prop_oneof![
        Just("\"a\"".to_owned()),
        Just("1".to_owned()),
        Just("null".to_owned()),
        Just("{\"Ext__c\":\"x\"}".to_owned()),
        Just("{\"type\":\"Contact\"}".to_owned()),
        Just("[]".to_owned()),
        "[\\x00-\\x7f]{0,6}",
    ];
    prop::collection::vec((key, value), 0..5).prop_map(|members| {
        let members: Vec<String> = members
            .into_iter()
            .map(|(key, value)| format!("\"{key}\":{value}"))
            .collect();
        format!("{{{}}}", members.join(","))
    })
}

proptest! {
    /// What is understood has each field once, in the org's spelling, and no other.
    #[test]
    fn understood_bodies_mean_one_thing(text in bodies()) {
        let describe = describe();
        let Ok(body) = body_object(text.as_bytes(), false) else { return Ok(()) };
        let Ok(members) = members(&body, &describe) else { return Ok(()) };
        let mut names: Vec<&str> = members.change.iter().map(|(name, _)| name).collect();
        names.extend(members.lookups.iter().map(|lookup| lookup.field.as_str()));
        for name in &names {
            prop_assert_eq!(&describe.field(name).unwrap().name, name);
            prop_assert_ne!(*name, "Id");
        }
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        prop_assert_eq!(names.len(), count);
        prop_assert!(body.len() <= count + 1, "only `attributes` is left out");
    }

    #[test]
    fn no_bytes_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(body) = body_object(&body, false) {
            let _ = members(&body, &describe()).is_ok();
        }
    }

    #[test]
    fn keyed_paths_mean_an_id_or_a_unique_key(field in "[a-zA-Z_]{0,12}|Ext__c|ext__C|Id", key in ".{0,20}") {
        match keyed_target(&field, &key, &describe()) {
            Ok(Target::Key(keys)) => prop_assert_eq!(keys, vec![("Ext__c".to_owned(), key)]),
            Ok(Target::Id(id)) => prop_assert_eq!(id.len(), 18),
            Ok(Target::New) => prop_assert!(false),
            Err(malformed) => prop_assert!(!malformed.message.is_empty()),
        }
    }
}
