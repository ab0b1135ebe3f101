use http::HeaderValue;
use http::header::HeaderName;
use proptest::prelude::*;

use super::*;

fn head(method: &str, path: &str) -> Option<RequestHead> {
    Some(RequestHead {
        method: Method::from_bytes(method.as_bytes()).ok()?,
        uri: path.parse().ok()?,
        headers: HeaderMap::new(),
        gate: "https://gate.example".parse().unwrap(),
    })
}

fn conditions(pairs: &[(&'static str, &str)], method: &Method) -> Result<Condition, &'static str> {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(
            HeaderName::from_static(name),
            HeaderValue::from_str(value).unwrap(),
        );
    }
    condition(&headers, method).map_err(|malformed| malformed.code)
}

#[test]
fn the_word_null_is_no_precondition() {
    let patch = &Method::PATCH;
    assert_eq!(
        conditions(&[("if-none-match", "null")], patch),
        Ok(Condition::None)
    );
    assert_eq!(
        conditions(&[("if-none-match", "null")], &Method::POST),
        Ok(Condition::None)
    );
    assert_eq!(
        conditions(&[("if-none-match", "null"), ("if-match", "*")], patch),
        Ok(Condition::MustExist)
    );
    assert_eq!(
        conditions(&[("if-none-match", "*")], patch),
        Ok(Condition::MustNotExist)
    );
    assert_eq!(
        conditions(&[("if-match", "W/\"1\"")], patch),
        Ok(Condition::Version("W/\"1\"".to_owned()))
    );
    for bad in ["null", "", "1", "\"\"", "W/\"1\", W/\"2\"", "W/\"1"] {
        assert_eq!(
            conditions(&[("if-match", bad)], patch),
            Err("invalid_precondition"),
            "{bad}"
        );
    }
    assert!(conditions(&[("if-none-match", "*")], &Method::DELETE).is_err());
}

#[test]
fn content_types_of_json_in_utf_8_pass() {
    let check = |text: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_str(text).unwrap());
        check_content_type(&headers).is_ok()
    };
    for good in [
        "application/json",
        "Application/JSON; charset=UTF-8",
        "application/json;charset=\"utf-8\";",
        "application/json; odata.metadata=minimal; odata.streaming=true",
        "application/json; type=entry",
        "application/json; IEEE754Compatible=false",
    ] {
        assert!(check(good), "{good}");
    }
    assert!(!check("application/json; charset=latin1"));
    assert!(check_content_type(&HeaderMap::new()).is_err());
}

proptest! {
    /// Nothing writes by a door that is no write, whatever the spelling.
    #[test]
    fn classifying_is_total(
        method in "GET|POST|PATCH|PUT|DELETE|HEAD|[A-Z]{1,9}",
        path in r"/(api|API|XRMServices|[a-z%.]{0,6})?/?(data|DATA)?/?(v9\.2|v[0-9.]{0,4})?(/([a-zA-Z$%_.();='0-9*-]{0,14})){0,4}(\?[a-zA-Z$_%=&]{0,16})?",
    ) {
        let routes = crate::connector::routes().unwrap();
        let Some(head) = head(&method, &path) else { return Ok(()) };
        let segments = split_path(head.path());
        match classify(&routes, &head) {
            Class::Unknown { why } => prop_assert!(!why.is_empty()),
            Class::Open(_) => prop_assert!(false, "no route is open"),
            Class::Read(_) => prop_assert_eq!(method, "GET"),
            Class::SignIn(_) => prop_assert!(path.to_ascii_lowercase().contains("o")),
            Class::Write(matched) => {
                prop_assert!(key::is_name(matched.parameter("set")));
                prop_assert!(["POST", "PATCH", "PUT", "DELETE"].contains(&method.as_str()));
                prop_assert!(segments.is_some_and(|segments| (4..=6).contains(&segments.len())));
            }
        }
    }

    #[test]
    fn headers_never_panic(value in "[ -~]{0,24}") {
        let mut headers = HeaderMap::new();
        let value = HeaderValue::from_str(&value).unwrap();
        for name in [IF_MATCH, IF_NONE_MATCH, CONTENT_TYPE, http::header::AUTHORIZATION] {
            headers.insert(name, value.clone());
        }
        let _ = condition(&headers, &Method::PATCH);
        let _ = check_content_type(&headers);
        let _ = crate::sign_in::bearer(&headers);
    }
}
