//! Input that nobody meant: never a panic, never the simulator's own fault.

use proptest::prelude::*;

use super::*;

/// Pieces of which addresses and queries are made, so that random joins reach deep into the readers.
const PIECES: [&str; 60] = [
    "accounts",
    "contacts",
    "opportunities",
    "(",
    ")",
    "'",
    "\"",
    ",",
    ";",
    "=",
    "/",
    "@p",
    "@p=@p",
    "$ref",
    "$count",
    "$value",
    "&",
    "name",
    "primarycontactid",
    "parentcustomerid_account",
    "contact_customer_accounts",
    "fullname",
    "_ownerid_value",
    "cg_extid",
    "cg_discount",
    "createdon",
    "birthdate",
    "cg_regions",
    " eq ",
    " ne ",
    " gt ",
    " and ",
    " or ",
    " not ",
    "null",
    "true",
    "5",
    "-1.5",
    "2026-01-31",
    "2026-01-31T00:00:00Z",
    "'O''Hara'",
    "contains(",
    "Microsoft.Dynamics.CRM.",
    "In(PropertyName=",
    "PropertyValues=",
    "[",
    "]",
    "any(o:o",
    "$select=",
    "$filter=",
    "$expand=",
    "$orderby=",
    " desc",
    "$top=",
    "$apply=",
    "aggregate(",
    "groupby((",
    "$skiptoken=",
    "fetchXml=<fetch>",
    "99999999999999999999",
];

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        proptest::collection::vec(proptest::sample::select(PIECES.to_vec()), 0..14)
            .prop_map(|pieces| pieces.concat()),
        "\\PC{0,40}",
    ]
}

fn encoded(text: &str, plain: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || plain.as_bytes().contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_address_gets_an_answer(path in text(), query in text()) {
        thread_local! {
            static ORG: Client = integration();
        }
        ORG.with(|org| {
            let path = encoded(&path, "/()$.,'=@_-;:");
            let query = encoded(&query, "/()$.,'=@_-;:&");
            for address in [
                format!("{path}?{query}"),
                format!("accounts?$filter={query}"),
                format!("accounts?{query}"),
                format!("contacts({path})?{query}"),
            ] {
                let seen = org.get(&address);
                prop_assert!(seen.status.as_u16() != 500, "{address}: {}", seen.text);
            }
            Ok(())
        })?;
    }

    #[test]
    fn any_body_gets_an_answer(name in text(), value in text(), number in any::<f64>()) {
        thread_local! {
            static ORG: Client = integration();
        }
        ORG.with(|org| {
            for body in [
                json!({name.as_str(): value}),
                json!({"name": value, "revenue": number, "cg_score": number}),
                json!({"cg_regions": value, "lastusedincampaign": value}),
                json!({"primarycontactid@odata.bind": value}),
                json!({"accountid": value, "industrycode": value, "donotemail": value}),
                json!({"Account_Tasks": [{name.as_str(): number}]}),
            ] {
                let seen = org.post("accounts", &body);
                prop_assert!(seen.status.as_u16() != 500, "{body}: {}", seen.text);
            }
            let seen = org.send(Method::PATCH, "accounts(cg_extid='x')", &[], &value);
            prop_assert!(seen.status.as_u16() != 500, "{value}: {}", seen.text);
            Ok(())
        })?;
    }
}
