use std::collections::HashMap;

use super::expression::{Compare, Expr, Literal, Operand, literal, parse};
use super::test_value::Wildcard;

fn path(name: &str) -> Operand {
    Operand::Path(name.split('/').map(str::to_owned).collect())
}

fn number(text: &str) -> Operand {
    Operand::Literal(Literal::Number(text.to_owned()))
}

#[test]
fn and_binds_closer_than_or() {
    let compare = |name: &str, value: &str| Expr::Compare(path(name), Compare::Eq, number(value));
    let parsed = parse("a eq 1 or b eq 2 and not c eq 3", &HashMap::new()).unwrap();
    let expected = Expr::Or(vec![
        compare("a", "1"),
        Expr::And(vec![
            compare("b", "2"),
            Expr::Not(Box::new(compare("c", "3"))),
        ]),
    ]);
    assert_eq!(parsed, expected);
}

#[test]
fn aliases_stand_for_values() {
    let aliases = HashMap::from([("@p".to_owned(), "'O''Hara'".to_owned())]);
    let parsed = parse("a eq @p and b eq @q", &aliases).unwrap();
    let Expr::And(sides) = parsed else { panic!() };
    let text = Operand::Literal(Literal::Text("O'Hara".to_owned()));
    assert_eq!(sides[0], Expr::Compare(path("a"), Compare::Eq, text));
    assert_eq!(
        sides[1],
        Expr::Compare(path("b"), Compare::Eq, Operand::Literal(Literal::Null))
    );
    let own = HashMap::from([("@p".to_owned(), "@p".to_owned())]);
    assert!(parse("a eq @p", &own).is_err());
}

#[test]
fn lambdas_name_their_rows() {
    for text in ["a/any(o:o/b eq 1)", "a/any(o: o/b eq 1)"] {
        let Expr::Each {
            variable,
            all,
            inner,
            ..
        } = parse(text, &HashMap::new()).unwrap()
        else {
            panic!()
        };
        assert_eq!((variable.as_str(), all), ("o", false));
        assert_eq!(
            *inner.unwrap(),
            Expr::Compare(path("o/b"), Compare::Eq, number("1"))
        );
    }
}

#[test]
fn literals_are_told_apart_from_names() {
    assert_eq!(literal("-1.5"), Some(Literal::Number("-1.5".to_owned())));
    assert_eq!(literal("null"), Some(Literal::Null));
    assert!(matches!(literal("2026-01-31"), Some(Literal::Date(_))));
    assert!(matches!(
        literal("2026-01-31T00:00:00Z"),
        Some(Literal::Time(_))
    ));
    assert!(matches!(
        literal("5d2f8a1c-6b3e-4f70-9c21-7e8d4a5b6c90"),
        Some(Literal::Guid(_))
    ));
    assert_eq!(literal("name"), None);
    assert_eq!(literal("_ownerid_value"), None);
}

#[test]
fn no_input_makes_the_parser_fall_over() {
    for text in [
        "",
        "(",
        ")",
        "not",
        "a",
        "a eq",
        "eq",
        "a eq 1 or",
        "f(",
        "f(a",
        "f(a,)",
        "a/any(",
        "a/any(o",
        "[1",
        "a eq [",
        "'",
        "a eq 'x''",
        "@p",
        "a eq @@",
        "f(x=)",
        "a b c",
        "a eq 1 1",
        "é eq 'ü'",
    ] {
        let _ = parse(text, &HashMap::new());
    }
}

#[test]
fn wildcards_match_like_sql() {
    let like = |pattern: &str, text: &str| Wildcard::like(pattern).matches(text);
    assert!(like("a%c", "abbbc"));
    assert!(like("%", ""));
    assert!(like("a_c", "abc"));
    assert!(!like("a_c", "ac"));
    assert!(like("[ab]x", "bx"));
    assert!(!like("[^ab]x", "bx"));
    assert!(like("%ab%ab", "abxabab"));
    assert!(!like("a%b%c", "acb"));
    let long = "a".repeat(5_000);
    assert!(!like(&format!("{}b", "%a".repeat(200)), &long));
}
