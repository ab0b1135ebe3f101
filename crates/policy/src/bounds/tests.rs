use proptest::prelude::*;

use super::*;

/// Evaluates an expression over `input.x` in an engine with the bounded functions, or without.
fn evaluate(expression: &str, x: &Value, bounded: bool) -> Result<Value, String> {
    let mut engine = Engine::new();
    engine.set_strict_builtin_errors(true);
    if bounded {
        install(&mut engine).unwrap();
        begin();
    }
    engine
        .add_policy(
            "p.rego".into(),
            format!("package p\n\nanswer := {expression}\n"),
        )
        .unwrap_or_else(|error| panic!("{expression}: {error}"));
    engine.set_input(crate::value::object([(Value::from("x"), x.clone())]));
    engine
        .eval_rule("data.p.answer".into())
        .map_err(|error| Told::read(&error).message)
}

/// What would take all memory or all day, and the bound that is named.
const BEYOND: &[(&str, &str)] = &[
    (
        "numbers.range(1, 300000000)",
        "numbers: 299999999, at most 100000",
    ),
    (
        "numbers.range(1, 99999999999999999999999999)",
        "`numbers.range`",
    ),
    (
        "numbers.range_step(1, 300000000, 2)",
        "`numbers.range_step`",
    ),
    ("sprintf(\"%1000000000d\", [1])", "`sprintf`"),
    ("sprintf(\"%99999d\", [1])", "characters in a cell"),
    ("sprintf(\"%².3d\", [1])", "digits that are not 0 to 9"),
    (
        "concat(concat(\"\", [x | x := \"aaaaaaaaaa\"; some _ in numbers.range(1, 90000)]), numbers.range(1, 2))",
        "",
    ),
    (
        "concat(\"\", [x | some _ in numbers.range(1, 90000); x := \"0123456789abcdef\"])",
        "`concat` goes beyond its bound: bytes:",
    ),
    (
        "replace(sprintf(\"%9999d\", [1]), \" \", sprintf(\"%999d\", [1]))",
        "`replace` goes beyond its bound",
    ),
    (
        "strings.replace_n({\"a\": \"bbbbbbbbbbbbbbbb\", \"b\": \"cccccccccccccccc\", \"c\": \"dddddddddddddddd\", \"d\": \"eeeeeeeeeeeeeeee\", \"e\": \"ffffffffffffffff\"}, \"aa\")",
        "`strings.replace_n` goes beyond its bound",
    ),
    ("to_number(\"1e999999999\")", "powers of ten"),
    ("to_number(\"1e9_99999999\")", "powers of ten"),
    ("units.parse(\"1e999999999k\")", "powers of ten"),
    ("json.unmarshal(\"[1, 1e999999999]\")", "powers of ten"),
    (
        "json.is_valid(\"{\\\"a\\\": -12e+999999999}\")",
        "powers of ten",
    ),
    ("bits.lsh(1, 100000000000)", "bits:"),
    ("product([x | some x in numbers.range(2, 5000)])", "factors"),
    ("net.cidr_expand(\"10.0.0.0/8\")", "bits of hosts: 24"),
    ("net.cidr_expand(\"2001:db8::/64\")", "bits of hosts: 64"),
    (
        "graph.reachable_paths({k: n | some k in numbers.range(1, 25); n := [m | some m in numbers.range(1, 25)]}, [1])",
        "`graph.reachable_paths` goes beyond its bound",
    ),
    (
        "json.marshal([x | some _ in numbers.range(1, 9000); x := numbers.range(1, 30)])",
        "`json.marshal` goes beyond its bound",
    ),
    (
        "json.marshal_with_options([1, 2], {\"pretty\": true, \"indent\": sprintf(\"%9999d\", [1]), \"prefix\": concat(\"\", [x | some _ in numbers.range(1, 60); x := sprintf(\"%9999d\", [1])])})",
        "`json.marshal_with_options` goes beyond its bound",
    ),
    (
        "array.concat([x | some _ in numbers.range(1, 9000); x := numbers.range(1, 30)], [])",
        "`array.concat` goes beyond its bound",
    ),
    (
        "count([n | some [p, n] in walk([x | some _ in numbers.range(1, 9000); x := numbers.range(1, 30)])])",
        "`walk` goes beyond its bound",
    ),
    (
        "indexof(concat(\"\", [x | some _ in numbers.range(1, 90); x := sprintf(\"%9999d\", [1])]), concat(\"\", [x | some _ in numbers.range(1, 80); x := sprintf(\"%9999d\", [1])]))",
        "`indexof` goes beyond its bound",
    ),
    (
        "regex.match(\"a*b\", concat(\"\", [x | some _ in numbers.range(1, 90); x := sprintf(\"%9999d\", [1])]))",
        "bytes of the text",
    ),
    (
        "regex.replace(sprintf(\"%9999d\", [1]), \" \", \"$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0\")",
        "`regex.replace` goes beyond its bound",
    ),
    (
        "count([y | some _ in numbers.range(1, 90000); y := sprintf(\"%9999d\", [1])])",
        "bytes made in one evaluation",
    ),
];

#[test]
fn what_would_exhaust_the_process_is_an_error() {
    for (expression, part) in BEYOND {
        let told = evaluate(expression, &Value::Null, true).expect_err(expression);
        assert!(told.contains(part), "{expression}: {told}");
    }
}

#[test]
fn a_call_beyond_its_bound_is_told_with_its_place() {
    let mut engine = Engine::new();
    install(&mut engine).unwrap();
    let text = "package p\n\nx := count(numbers.range(1, 300000000))\n";
    engine.add_policy("p.rego".into(), text.into()).unwrap();
    let told = Told::read(&engine.eval_rule("data.p.x".into()).unwrap_err());
    assert_eq!(told.file.as_deref(), Some("p.rego"));
    assert_eq!(told.place, Some((3, 25)));
}

#[test]
fn a_function_of_the_engine_can_still_be_mocked() {
    let mut engine = Engine::new();
    install(&mut engine).unwrap();
    let text =
        "package p\n\nf(_) := 7\n\nx := y if { y := to_number(\"1\") with to_number as f }\n";
    engine.add_policy("p.rego".into(), text.into()).unwrap();
    assert_eq!(engine.eval_rule("data.p.x".into()).unwrap(), Value::from(7));
}

/// Uses that policies make, over whatever `input.x` is.
const USES: &[&str] = &[
    "sprintf(\"%s and %v, %d%% %5d|%05d|%.2f|%x|%q\", [input.x, input.x, 3, 4, 5, 1.5, 255, \"a\\\"b\"])",
    "sprintf(\"%s\", input.x)",
    "sprintf(\"%d\", [input.x])",
    "sprintf(\"100%\", [])",
    "sprintf(\"%5\", [1])",
    "concat(\", \", input.x)",
    "concat(\", \", [\"a\", input.x])",
    "replace(input.x, \"a\", \"bcd\")",
    "replace(input.x, \"\", \"-\")",
    "strings.replace_n({\"a\": \"b\", \"b\": \"c\"}, input.x)",
    "split(input.x, \",\")",
    "split(input.x, \"\")",
    "numbers.range(1, input.x)",
    "numbers.range(input.x, 1)",
    "numbers.range_step(0, input.x, 7)",
    "product([2, input.x, 3])",
    "bits.lsh(input.x, 3)",
    "bits.lsh(3, input.x)",
    "to_number(input.x)",
    "units.parse(input.x)",
    "units.parse_bytes(input.x)",
    "json.marshal(input.x)",
    "json.marshal_with_options(input.x, {\"pretty\": true, \"indent\": \" \"})",
    "json.unmarshal(input.x)",
    "json.unmarshal(json.marshal(input.x))",
    "json.is_valid(input.x)",
    "json.patch({\"a\": [1]}, [{\"op\": \"add\", \"path\": \"/b\", \"value\": input.x}])",
    "base64.encode(input.x)",
    "hex.encode(input.x)",
    "urlquery.encode(input.x)",
    "urlquery.encode_object({\"a\": input.x})",
    "indexof(input.x, \"a\")",
    "indexof_n(input.x, \"a\")",
    "trim(input.x, \" a\")",
    "trim_left(input.x, \"a\")",
    "strings.any_prefix_match(input.x, [\"a\", \"b\"])",
    "regex.match(\"^[a-c]+$\", input.x)",
    "regex.match(input.x, \"abc\")",
    "regex.split(\"[,;]\", input.x)",
    "regex.find_n(\"[a-z]\", input.x, 3)",
    "regex.find_all_string_submatch_n(\"([a-z])([0-9])\", input.x, -1)",
    "regex.replace(input.x, \"a(b)?\", \"<$0>\")",
    "regex.is_valid(input.x)",
    "glob.match(\"*.example.com\", [\".\"], input.x)",
    "glob.match(input.x, null, \"abc\")",
    "array.concat(input.x, [1, 2])",
    "object.union({\"a\": {\"b\": 1}}, input.x)",
    "object.union_n([{\"a\": 1}, input.x])",
    "object.subset({\"a\": 1}, input.x)",
    "union({{1}, {2, input.x}})",
    "intersection({{1, input.x}, {2, input.x}})",
    "sort([3, input.x, 1])",
    "graph.reachable({\"a\": [\"b\"], \"b\": [input.x]}, {\"a\"})",
    "graph.reachable_paths({\"a\": [\"b\", \"c\"], \"b\": [input.x], \"c\": []}, [\"a\"])",
    "[[p, v] | [p, v] := walk(input.x)[_]]",
    "[v | walk(input.x, [_, v])]",
    "net.cidr_expand(input.x)",
    "net.cidr_expand(\"10.0.0.0/28\")",
    "time.format([0, \"UTC\", input.x])",
    "time.parse_ns(\"2006-01-02\", input.x)",
    "time.parse_rfc3339_ns(input.x)",
    "time.parse_duration_ns(input.x)",
];

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-50_i64..50).prop_map(Value::from),
        any::<f64>()
            .prop_filter("finite", |f| f.is_finite())
            .prop_map(Value::from),
        "[ -~é\n]{0,12}".prop_map(Value::from),
        "[abc,;0-9.]{0,12}".prop_map(Value::from),
        prop_oneof![
            Just("12Ki"),
            Just("1.5G"),
            Just("2026-01-02"),
            Just("2026-01-02T03:04:05Z"),
            Just("1h30m"),
            Just("192.0.2.0/30"),
            Just("[1, {\"a\": 1e3}]"),
            Just("a.example.com"),
        ]
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_set(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-c]{1,2}".prop_map(Value::from), inner, 0..4)
                .prop_map(Value::from),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn below_the_bounds_answers_are_the_engines_own(at in 0..USES.len(), x in values()) {
        let expression = USES[at];
        let bounded = std::panic::catch_unwind(|| evaluate(expression, &x, true));
        let own = std::panic::catch_unwind(|| evaluate(expression, &x, false));
        match (bounded, own) {
            // The bound may be met before the engine finds what else is wrong.
            (Ok(Err(bound)), Ok(Err(_))) if bound.contains("goes beyond its bound") => {}
            (Ok(bounded), Ok(own)) => prop_assert_eq!(bounded, own, "{} {}", expression, x),
            // The engine's own panic is caught where policies are judged.
            (_, Err(_)) => {}
            (Err(_), Ok(_)) => prop_assert!(false, "{} {} panics", expression, x),
        }
    }
}

#[test]
fn every_bounded_function_is_tried_against_the_engines_own() {
    for (name, _) in all() {
        let called = format!("{name}(");
        let alike = [
            "base64url.encode",
            "base64url.encode_no_pad",
            "trim_right",
            "strings.any_suffix_match",
            "regex.template_match",
            "glob.quote_meta",
        ];
        assert!(
            alike.contains(&name) || USES.iter().any(|one| one.contains(&called)),
            "{name}"
        );
    }
}
