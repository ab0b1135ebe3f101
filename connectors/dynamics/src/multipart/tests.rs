use proptest::prelude::*;

use super::*;

fn headers(content_type: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap());
    headers
}

#[test]
fn boundaries_are_read_as_the_standard_says() {
    for (text, expected) in [
        (
            "multipart/mixed; boundary=batchresponse_1",
            Some("batchresponse_1"),
        ),
        ("Multipart/Mixed;charset=x; Boundary=\"b 1\"", None),
        ("multipart/mixed; boundary=\"b1\"", Some("b1")),
        ("multipart/mixed; boundary=\"b1", None),
        ("multipart/mixed; boundary=", None),
        ("multipart/mixed", None),
        ("application/json; boundary=b", None),
    ] {
        assert_eq!(boundary(&headers(text)).as_deref(), expected, "{text}");
    }
    let long = format!("multipart/mixed; boundary={}", "b".repeat(71));
    assert_eq!(boundary(&headers(&long)), None);
}

#[test]
fn an_answer_is_taken_apart() {
    let text = b"--b\r\nContent-Type: application/http\r\nContent-ID: 1\r\n\r\n\
        HTTP/1.1 204 No Content\r\nOData-EntityId: x\r\n\r\n\r\n\
        --b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 412 Precondition Failed\r\n\
        Content-Type: application/json\r\n\r\n{\"error\":{}}\r\n\
        --b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 204 No Content\r\n--b--\r\n";
    let message = read(text, "b");
    assert!(message.whole);
    let answers: Vec<Answer> = message
        .parts
        .iter()
        .map(|part| part.as_ref().unwrap().answer().unwrap())
        .collect();
    let seen: Vec<(u16, &[u8])> = answers
        .iter()
        .map(|answer| (answer.status.as_u16(), &*answer.body))
        .collect();
    let expected: [(u16, &[u8]); 3] = [(204, b""), (412, b"{\"error\":{}}"), (204, b"")];
    assert_eq!(seen, expected);
    assert_eq!(message.parts[0].as_ref().unwrap().content_id(), Some("1"));
    assert_eq!(answers[0].headers["odata-entityid"], "x");
}

#[test]
fn what_is_no_answer_is_none() {
    for text in [
        "Content-Type: text/html\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
        "Content-Type: application/http\r\n\r\nHTTP/2 204 No Content\r\n\r\n",
        "Content-Type: application/http\r\n\r\nnothing",
        "Content-Type: application/http\r\n\r\nHTTP/1.1 999999 X\r\n\r\n",
        "Content-Type application/http\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
        "no head at all",
    ] {
        let whole = format!("--b\r\n{text}\r\n--b--");
        let message = read(whole.as_bytes(), "b");
        assert_eq!(message.parts.len(), 1, "{text}");
        let answer = message.parts[0].as_ref().and_then(Part::answer);
        assert!(answer.is_none(), "{text}");
    }
}

/// Calls as the gate writes them.
fn call() -> impl Strategy<Value = Call> {
    let body = prop::collection::vec(any::<u8>(), 0..200);
    ("[A-Z]{3,6}", "/[a-z0-9/()'=,]{1,40}", "[ -~]{0,30}", body).prop_map(
        |(method, path_and_query, value, body)| {
            let mut headers = HeaderMap::new();
            let value = HeaderValue::from_str(value.trim()).unwrap();
            headers.insert("x-any", value);
            Call {
                method: Method::from_bytes(method.as_bytes()).unwrap(),
                path_and_query,
                headers,
                body: body.into(),
            }
        },
    )
}

fn holds(calls: &[Call], boundary: &str) -> bool {
    let needle = boundary.as_bytes();
    calls
        .iter()
        .any(|call| call.body.windows(needle.len()).any(|part| part == needle))
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        calls in prop::collection::vec(call(), 1..6),
        boundary in "[A-Za-z0-9'+_,./:=?-]{1,70}",
    ) {
        prop_assume!(!holds(&calls, &boundary));
        let text = requests(calls.iter(), &boundary);
        let message = read(&text, &boundary);
        prop_assert!(message.whole);
        prop_assert_eq!(message.parts.len(), calls.len());
        for (part, call) in message.parts.iter().zip(&calls) {
            let body = part.as_ref().unwrap().body;
            let start = format!("{} {} HTTP/1.1\r\n", call.method, call.path_and_query);
            prop_assert!(body.starts_with(start.as_bytes()));
            prop_assert!(body.ends_with(&call.body));
        }
        let outer = format!("{boundary}_outer");
        prop_assume!(outer.len() <= LONGEST_BOUNDARY);
        let text = change_set(calls.iter(), (&outer, &boundary));
        let message = read(&text, &outer);
        prop_assert_eq!(message.parts.len(), 1);
        let part = message.parts[0].as_ref().unwrap();
        prop_assert_eq!(super::boundary(&part.headers), Some(boundary.clone()));
        let inner = read(part.body, &boundary);
        prop_assert!(inner.whole);
        let ids: Vec<_> = inner.parts.iter().map(|part| part.as_ref().unwrap().content_id().map(str::to_owned)).collect();
        let expected: Vec<_> = (1..=calls.len()).map(|id| Some(id.to_string())).collect();
        prop_assert_eq!(ids, expected);
    }

    #[test]
    fn a_message_that_is_cut_off_gives_only_parts_that_came(
        bodies in prop::collection::vec("[ -~]{0,40}", 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut text = String::new();
        for body in &bodies {
            text += &format!("--b1\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 200 OK\r\n\r\nx{body}\r\n");
        }
        text += "--b1--\r\n";
        let end = cut.index(text.len());
        let message = read(&text.as_bytes()[..end], "b1");
        prop_assert!(message.parts.len() <= bodies.len());
        prop_assert!(!message.whole || end >= text.len() - 2);
        for (part, body) in message.parts.iter().zip(&bodies) {
            let answer = part.as_ref().unwrap().answer().unwrap();
            let expected = format!("x{body}");
            prop_assert_eq!(&answer.body[..], expected.as_bytes());
        }
    }

    #[test]
    fn hostile_answers_are_survived(
        body in prop::collection::vec(any::<u8>(), 0..600),
        pieces in prop::collection::vec("(--b|--|\r\n|\n|HTTP/1.1 |204|Content-Type: application/http|:|[a-z]{1,3})", 0..60),
        content_type in "[ -~]{0,60}",
    ) {
        let text = pieces.concat();
        for body in [&body[..], text.as_bytes()] {
            let message = read(body, "b");
            for part in message.parts.iter().flatten() {
                let _ = (part.content_id(), part.answer(), boundary(&part.headers));
            }
        }
        let _ = boundary(&headers(&content_type));
    }
}
