use crate::testing::{load, package};

fn chain(length: usize, step: impl Fn(usize) -> String) -> String {
    let rules: Vec<String> = (1..=length).map(step).collect();
    rules.join("\n")
}

/// Rules that hold a value no single step could look through; the line below the header.
fn absurd() -> Vec<(String, u32)> {
    let doubled = chain(30, |at| format!("x{at} := [x{0}, x{0}]", at - 1));
    let doubled = format!("x0 := [input.purpose]\n{doubled}");
    let local = chain(30, |at| format!("\tx{at} := [x{0}, x{0}]", at - 1));
    vec![
        (format!("{doubled}\ndeny contains \"x\" if x30 == [1]\ndeny contains \"y\" if x30 == x29"), 33),
        (format!("{doubled}\ndeny contains x30"), 32),
        (format!("{doubled}\ndeny contains \"x\" if json.marshal(x30) == \"\""), 32),
        (format!("{doubled}\ndeny contains \"x\" if print(x30)"), 32),
        (format!("{doubled}\ndeny contains \"x\" if x30 in [[1]]"), 32),
        (format!("{doubled}\ndeny contains \"x\" if count({{x30, 1}}) == 2"), 32),
        (format!("{doubled}\ndeny contains \"x\" if f(x30)\nf(x) if x"), 32),
        (format!("{doubled}\ndeny contains \"x\" if f(1) with input as x30\nf(_) if input.id"), 32),
        (format!("deny contains \"x\" if {{\n\tx0 := input.record\n{local}\n\tx30 == x29\n}}"), 33),
        (
            "f(x) := [x, x]\ng(x) := f(f(f(f(x))))\nh(x) := g(g(g(g(x))))\ndeny contains \"x\" if h(input.record) == h(input.before)".into(),
            4,
        ),
        (
            format!("x0 := {{\"a\": input.record}}\n{}\ndeny contains \"x\" if x30 > x29", chain(30, |at| format!("x{at} := {{\"a\": x{0}, \"b\": x{0}}}", at - 1))),
            32,
        ),
        (
            "a := numbers.range(1, 9999)\nb := [a | some _ in a]\nc := [b | some _ in a]\ndeny contains \"x\" if c == [b, c]".into(),
            4,
        ),
        (
            "a := numbers.range(1, 9999)\nb[i] := a if some i in a\nc[i] := b if some i in a\ndeny contains \"x\" if c == b\ndeny contains \"y\" if c == c".into(),
            5,
        ),
        (
            format!("n0 := input.record.size\n{}\ndeny contains \"x\" if n30 > 1", chain(30, |at| format!("n{at} := n{0} * n{0}", at - 1))),
            8,
        ),
        (
            "f(x) := x * x\ng(x) := f(f(f(x)))\ndeny contains \"x\" if g(g(input.record.size)) * 2 > 1".into(),
            3,
        ),
    ]
}

/// Lines that `package` puts before the rules.
const HEADER: u32 = 5;

#[test]
fn values_that_no_step_could_look_through_are_refused() {
    for (text, line) in absurd() {
        let errors = load(&[package("crm.a.b", "", &text)])
            .map(|_| ())
            .expect_err(&text);
        let shown = errors.to_string();
        let fault = errors.all().iter().find(|fault| fault.code == "growth");
        let fault = fault.unwrap_or_else(|| panic!("{text}\n{shown}"));
        assert_eq!(fault.line, Some(HEADER + line), "{text}\n{shown}");
        assert!(fault.remedy.is_some());
    }
}

/// Whether the package loads, and is heavy.
fn heavy(text: &str) -> bool {
    let set =
        load(&[package("crm.a.b", "", text)]).unwrap_or_else(|errors| panic!("{text}\n{errors}"));
    let (_, package) = set.packages().next().unwrap();
    package.heavy
}

#[test]
fn what_policies_really_do_is_neither_refused_nor_heavy() {
    for text in [
        "deny contains {\"code\": \"x\", \"message\": sprintf(\"%s\", [f]), \"fields\": [f]} if { some f, v in input.record; v == null }",
        "missing := [f | some f in {\"a\", \"b\"}; not input.record[f]]\ndeny contains {\"message\": concat(\", \", missing), \"fields\": missing} if count(missing) > 0",
        "total := sum([sum | some line in input.record.lines; sum := line.amount * line.quantity])\ndeny contains \"x\" if total > input.record.amount * 1.1",
        "deny contains {\"code\": \"c\", \"message\": \"m\", \"fields\": [field]} if { some field, change in input.changes; change.from != change.to }",
        "digits := [to_number(d) | some d in split(input.record.card, \"\")]\nluhn := sum([d | some i, x in digits; d := x * (1 + (i % 2))]) % 10\ndeny contains \"x\" if luhn == 0",
        "words := {w | some w in split(lower(input.record.text), \" \")}\ndeny contains \"x\" if count(words & {\"a\", \"b\"}) > 0",
        "patch contains {\"op\": \"set\", \"field\": f, \"value\": trim_space(v)} if { some f, v in input.record; is_string(v) }",
        "owner := input.record.owner\ndeny contains \"x\" if owner == input.actor",
    ] {
        assert!(!heavy(text), "{text}");
    }
}

#[test]
fn what_may_take_a_step_long_is_marked() {
    for text in [
        "a := numbers.range(1, 9999)\nb := [a | some _ in a]\ndeny contains \"x\" if b == [a]\ndeny contains \"y\" if b == b",
        "by := {o: rs | some r in input.record.lines; o := r.owner; rs := [s | some s in input.record.lines; s.owner == o]}\ndeny contains \"x\" if json.marshal(by) == \"\"",
        "f(x) := x * x * x\ndeny contains \"x\" if f(f(input.record.size)) * input.record.size > 1",
    ] {
        assert!(heavy(text), "{text}");
    }
}

#[test]
fn the_catalogue_and_odd_shapes_are_followed_to_an_end() {
    let long = chain(90, |at| {
        format!("x{at} := [y | some y in x{0}; y != {at}]", at - 1)
    });
    heavy(&format!(
        "x0 := input.record.lines\n{long}\ndeny contains \"x\" if count(x90) > 1"
    ));
    heavy(
        "deny contains \"x\" if { some w in f([w | some v in [1]; w := v]); w == 1 }\nf(x) := [x]",
    );
    heavy("deny contains \"x\" if { [a, b] = [b, a]; a = input.record.x; b = input.record.y }");
    heavy("deny contains \"x\" if { some i; input.record.lines[i] == input.record.lines[_] }");
    heavy("deny contains \"x\" if { walk(input.record, [p, v]); p[0] == v }");
    heavy("o.a.b := 1\no.a.c := input.record\ndeny contains \"x\" if o.a.b == 1");
}
