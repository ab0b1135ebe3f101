use super::*;

fn file() -> ParamsFile {
    let parse = |text: &str| crate::yaml::parse(text).unwrap();
    let values = parse(
        "sales: {discounts: {deny_over: 50, floor: 5, countries: [de, at], regions: [emea], words: x}}",
    );
    let schema = parse(
        r#"{"type": "object", "properties": {"sales": {"type": "object", "properties": {"discounts": {
            "type": "object", "additionalProperties": false, "properties": {
              "deny_over": {"type": "number", "minimum": 10, "x-connection": "lower"},
              "floor": {"type": "number", "x-connection": "raise"},
              "countries": {"type": "array", "x-connection": "subset"},
              "regions": {"type": "array", "items": {"type": "string"}, "x-connection": "superset"},
              "words": {"type": "string"}}}}}}}"#,
    );
    ParamsFile {
        file: "sales/params.yaml".into(),
        values: values.as_object().unwrap().clone(),
        schema,
    }
}

fn set(text: &str) -> Result<Object, String> {
    let settings = crate::yaml::parse(&format!("sales: {{discounts: {{{text}}}}}")).unwrap();
    let mut faults = Vec::new();
    let merged = overridden(
        &[file()],
        &"acme-sf".parse().unwrap(),
        settings.as_object().unwrap(),
        &mut faults,
    );
    if faults.is_empty() {
        Ok(merged)
    } else {
        Err(faults
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n"))
    }
}

#[test]
fn a_connection_sets_what_the_schema_lets_it() {
    let cases = [
        ("deny_over: 40", Ok(())),
        ("deny_over: 50.0", Ok(())),
        ("deny_over: 51", Err("expected a lower number")),
        ("deny_over: 5", Err("less than the minimum")),
        ("deny_over: low", Err("expected a lower number")),
        ("floor: 6", Ok(())),
        ("floor: 4", Err("expected a higher number")),
        ("countries: [de]", Ok(())),
        ("countries: [de, ch]", Err("some of the same members")),
        ("regions: [emea, amer]", Ok(())),
        ("regions: [emea, 7]", Err("not of type")),
        ("regions: [amer]", Err("the same members and more")),
        ("words: x", Ok(())),
        ("words: y", Err("fixed for all connections")),
        ("deny_ovr: 4", Err("no such parameter")),
    ];
    for (text, expected) in cases {
        match (set(text), expected) {
            (Ok(_), Ok(())) => {}
            (Err(told), Err(part)) => {
                assert!(told.contains(part), "{text}: {told}");
                assert!(
                    told.starts_with("connections/acme-sf: parameter `sales.discounts"),
                    "{told}"
                );
            }
            (found, _) => panic!("{text}: {found:?}"),
        }
    }
}

#[test]
fn what_is_not_set_keeps_its_value() {
    let merged = set("deny_over: 40").unwrap();
    let text = Document::Object(merged).to_json();
    assert!(
        text.contains("\"deny_over\":40") && text.contains("\"floor\":5"),
        "{text}"
    );
}

#[test]
fn values_are_checked_against_their_schema() {
    let mut params = file();
    let values = crate::yaml::parse("sales: {discounts: {deny_over: fifty}}").unwrap();
    params.values = values.as_object().unwrap().clone();
    let mut faults = Vec::new();
    check(&params, &mut faults);
    let told = faults[0].to_string();
    assert!(
        told.contains("sales/params.yaml: parameter `sales.discounts.deny_over`"),
        "{told}"
    );

    params.values = crate::yaml::parse("deny_over: 3")
        .unwrap()
        .as_object()
        .unwrap()
        .clone();
    faults.clear();
    check(&params, &mut faults);
    assert!(
        faults[0].to_string().contains("team, policy and parameter"),
        "{faults:?}"
    );
}
