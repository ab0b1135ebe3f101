use proptest::prelude::*;
use secrecy::ExposeSecret as _;

use super::*;

const JSFORCE: &str = r#"<se:Envelope xmlns:se="http://schemas.xmlsoap.org/soap/envelope/"><se:Header/><se:Body><login xmlns="urn:partner.soap.sforce.com"><username>me@example.com</username><password>a&amp;b&#33;<![CDATA[<c>]]></password></login></se:Body></se:Envelope>"#;

#[test]
fn reads_credentials_as_any_xml_reader() {
    let login = parse_login(JSFORCE.as_bytes()).unwrap();
    assert_eq!(login.username, "me@example.com");
    assert_eq!(login.password.expose_secret(), "a&b!<c>");
    assert!(!format!("{login:?}").contains("a&b"));
    let declared = format!("<?xml version=\"1.0\" encoding=\"utf-8\"?>{JSFORCE}");
    assert!(parse_login(declared.as_bytes()).is_ok());
    let enterprise = JSFORCE.replace("partner", "enterprise");
    assert!(parse_login(enterprise.as_bytes()).is_ok());
}

#[test]
fn refuses_every_other_call_and_every_disguise() {
    let second = JSFORCE.replace(
        "</login>",
        "</login><create xmlns=\"urn:partner.soap.sforce.com\"/>",
    );
    let twice = JSFORCE.replace(
        "</se:Body>",
        "<login xmlns=\"urn:partner.soap.sforce.com\"><username>x</username></login></se:Body>",
    );
    let two_bodies = JSFORCE.replace("</se:Body>", "</se:Body><se:Body><delete/></se:Body>");
    for (name, body) in [
        ("another call", JSFORCE.replace("login", "create")),
        ("another namespace", JSFORCE.replace("urn:partner.soap.sforce.com", "urn:x")),
        ("another envelope", JSFORCE.replace("schemas.xmlsoap.org", "evil.example")),
        ("a second call", second),
        ("the same call twice", twice),
        ("two bodies", two_bodies),
        ("a document type", format!("<!DOCTYPE a [<!ENTITY b \"c\">]>{JSFORCE}")),
        ("an entity of its own", JSFORCE.replace("&amp;", "&b;")),
        ("another encoding", format!("<?xml version=\"1.0\" encoding=\"UTF-7\"?>{JSFORCE}")),
        ("no user", JSFORCE.replace("me@example.com", "")),
        ("an empty call", "<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\"><e:Body><login xmlns=\"urn:partner.soap.sforce.com\"/></e:Body></e:Envelope>".to_owned()),
        ("half of it", JSFORCE[..200].to_owned()),
        ("nothing", String::new()),
        ("json", "{}".to_owned()),
    ] {
        assert!(parse_login(body.as_bytes()).is_err(), "{name}");
    }
    assert!(parse_login(b"\xff\xfe").is_err());
}

#[test]
fn addresses_move_whatever_host_they_name() {
    let moved = move_addresses(
        "<a><serverUrl>https://na1.example/services/Soap/u/59.0/00D</serverUrl><p:metadataServerUrl>https://x.example</p:metadataServerUrl><userName>https://x.example/</userName></a>",
        "https://gate.example:1",
    );
    assert_eq!(
        moved,
        "<a><serverUrl>https://gate.example:1/services/Soap/u/59.0/00D</serverUrl><p:metadataServerUrl>https://gate.example:1</p:metadataServerUrl><userName>https://x.example/</userName></a>"
    );
}

proptest! {
    #[test]
    fn no_bytes_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse_login(&body);
        let _ = move_addresses(&String::from_utf8_lossy(&body), "https://gate");
    }

    #[test]
    fn no_markup_panics(body in "(<[/a-z:!?]{0,8}>|&[a-z#0-9]{0,4};|serverUrl|[<>&\"' a-z]){0,24}") {
        let _ = parse_login(body.as_bytes());
        let _ = move_addresses(&body, "https://gate");
    }

    #[test]
    fn what_is_added_to_the_body_is_refused(name in "[a-z]{1,10}") {
        let added = format!("<{name} xmlns=\"urn:partner.soap.sforce.com\"></{name}></se:Body>");
        prop_assert!(parse_login(JSFORCE.replace("</se:Body>", &added).as_bytes()).is_err());
    }
}

fn fault_text(path: &str, code: &str) -> String {
    let crmgate_connector::Body::Full(body) = fault(path, code, "a < b").body else {
        panic!("whole")
    };
    String::from_utf8(body.to_vec()).unwrap()
}

/// Salesforce's own web service connector, which the Data Loader is made with, takes a fault's
/// detail by its type, and fails over one that it cannot type.
#[test]
fn a_fault_is_typed_as_the_api_declares_it() {
    for (path, code, namespace, kind, told) in [
        (
            "/services/Soap/u/62.0/00D",
            "FUNCTIONALITY_NOT_ENABLED",
            "partner",
            "UnexpectedErrorFault",
            "FUNCTIONALITY_NOT_ENABLED",
        ),
        (
            "/services/soap/C/62.0",
            "FUNCTIONALITY_NOT_ENABLED",
            "enterprise",
            "UnexpectedErrorFault",
            "FUNCTIONALITY_NOT_ENABLED",
        ),
        (
            "/services/Soap/u/62.0",
            "INVALID_LOGIN",
            "partner",
            "LoginFault",
            "INVALID_LOGIN",
        ),
        (
            "/services/Soap/u/62.0",
            "REQUEST_ENTITY_TOO_LARGE",
            "partner",
            "UnexpectedErrorFault",
            "UNKNOWN_EXCEPTION",
        ),
        (
            "/services/Soap/u/62.0",
            "INSUFFICIENT_ACCESS_OR_READONLY",
            "partner",
            "UnexpectedErrorFault",
            "INSUFFICIENT_ACCESS",
        ),
    ] {
        let text = fault_text(path, code);
        for part in [
            format!("xmlns:sf=\"urn:fault.{namespace}.soap.sforce.com\""),
            "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"".to_owned(),
            format!("<faultcode>sf:{told}</faultcode>"),
            format!("<detail><sf:{kind} xsi:type=\"sf:{kind}\">"),
            format!(
                "<sf:exceptionCode>{told}</sf:exceptionCode><sf:exceptionMessage>a &lt; b</sf:exceptionMessage>"
            ),
        ] {
            assert!(text.contains(&part), "{path} {code}: {part} in {text}");
        }
    }
    let metadata = fault_text("/services/Soap/m/62.0", "FUNCTIONALITY_NOT_ENABLED");
    assert!(metadata.contains("FUNCTIONALITY_NOT_ENABLED: a &lt; b</faultstring></soapenv:Fault>"));
}
