//! The SOAP interface, as far as clients log in by it.

use std::fmt::Write;

use http::{Method, StatusCode};
use quick_xml::events::Event;
use quick_xml::{Reader, XmlVersion};

use super::cell::Cell;
use super::id::RecordId;
use super::oauth;
use super::org::Org;
use super::reply::plain;
use super::store::Row;
use crate::crm::{Answer, Call};

const XML: &str = "text/xml;charset=UTF-8";

/// What the body asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    operation: String,
    username: String,
    password: String,
    session: String,
}

/// `/services/Soap/{u|c}/{version}[/{org}]`
pub(super) fn answer(org: &Org, call: &Call, path: &str) -> Answer {
    let mut parts = path.split('/');
    let (kind, version) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    let number = super::version::parse(version);
    let Some(number) =
        number.filter(|number| matches!(kind, "u" | "c") && *number <= org.options.max_version)
    else {
        return plain(
            StatusCode::NOT_FOUND,
            "text/html;charset=UTF-8",
            "<html><body>URL No Longer Exists</body></html>",
        );
    };
    if call.method != Method::POST {
        return plain(StatusCode::METHOD_NOT_ALLOWED, XML, "");
    }
    let namespace = if kind == "u" {
        "urn:partner.soap.sforce.com"
    } else {
        "urn:enterprise.soap.sforce.com"
    };
    let asked = match read(&call.body) {
        Ok(asked) => asked,
        Err(message) => return fault("soapenv:Client", &message),
    };
    match asked.operation.as_str() {
        "login" if number <= org.options.last_login_version => {
            login(org, call, &asked, (kind, version, namespace))
        }
        "logout" => {
            if org.sessions.end(&asked.session) {
                plain(
                    StatusCode::OK,
                    XML,
                    envelope(namespace, "<logoutResponse/>"),
                )
            } else {
                fault("sf:INVALID_SESSION_ID", INVALID_SESSION)
            }
        }
        "getUserInfo" => {
            let user = org
                .sessions
                .touch(&asked.session)
                .and_then(|session| org.user(session.user));
            match user {
                Some(user) => {
                    let result = format!(
                        "<getUserInfoResponse><result>{}</result></getUserInfoResponse>",
                        user_info(org, &user)
                    );
                    plain(StatusCode::OK, XML, envelope(namespace, &result))
                }
                None => fault("sf:INVALID_SESSION_ID", INVALID_SESSION),
            }
        }
        other => fault(
            "soapenv:Client",
            &format!("No operation available for request {{{namespace}}}{other}"),
        ),
    }
}

const INVALID_SESSION: &str = "INVALID_SESSION_ID: Invalid Session ID found in SessionHeader: Illegal Session. Session not found, missing session key";

/// Finds the operation and what it carries. Prefixes are the client's choice, so only local names count.
fn read(body: &[u8]) -> Result<Asked, String> {
    let text = std::str::from_utf8(body).map_err(|error| error.to_string())?;
    let mut reader = Reader::from_str(text);
    let mut asked = Asked::default();
    let mut path: Vec<String> = Vec::new();
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(start) => {
                let name = start.local_name().as_ref().to_owned();
                if path.last().is_some_and(|parent| parent == "Body") {
                    asked.operation.clone_from(&name);
                }
                path.push(name);
            }
            Event::Empty(start) if path.last().is_some_and(|parent| parent == "Body") => {
                start.local_name().as_ref().clone_into(&mut asked.operation);
            }
            Event::End(_) => drop(path.pop()),
            Event::Text(text) => {
                let text = text.xml_content(XmlVersion::Implicit1_0);
                keep(&mut asked, &path, &text);
            }
            Event::GeneralRef(entity) => {
                let resolved = match entity
                    .resolve_char_ref()
                    .map_err(|error| error.to_string())?
                {
                    Some(letter) => letter.to_string(),
                    None => named_entity(&entity.xml_content(XmlVersion::Implicit1_0))?.to_owned(),
                };
                keep(&mut asked, &path, &resolved);
            }
            Event::CData(data) => keep(
                &mut asked,
                &path,
                &data.xml_content(XmlVersion::Implicit1_0),
            ),
            Event::DocType(_) => return Err("DOCTYPE is disallowed".to_owned()),
            Event::Eof => break,
            _ => {}
        }
    }
    if asked.operation.is_empty() {
        Err("the SOAP body is empty".to_owned())
    } else {
        Ok(asked)
    }
}

fn named_entity(name: &str) -> Result<&'static str, String> {
    match name {
        "amp" => Ok("&"),
        "lt" => Ok("<"),
        "gt" => Ok(">"),
        "quot" => Ok("\""),
        "apos" => Ok("'"),
        other => Err(format!(
            "The entity \"{other}\" was referenced, but not declared."
        )),
    }
}

fn keep(asked: &mut Asked, path: &[String], text: &str) {
    match path {
        [.., operation, name] if operation == "login" && name == "username" => {
            asked.username.push_str(text);
        }
        [.., operation, name] if operation == "login" && name == "password" => {
            asked.password.push_str(text);
        }
        [.., header, name] if header == "SessionHeader" && name == "sessionId" => {
            asked.session.push_str(text);
        }
        _ => {}
    }
}

fn login(
    org: &Org,
    call: &Call,
    asked: &Asked,
    (kind, version, namespace): (&str, &str, &str),
) -> Answer {
    let Ok(user) = oauth::login(org, &asked.username, &asked.password) else {
        let message = "Invalid username, password, security token; or user locked out.";
        return fault("sf:INVALID_LOGIN", &format!("INVALID_LOGIN: {message}"));
    };
    let Some(row) = org.user(user) else {
        return fault("sf:INVALID_LOGIN", "INVALID_LOGIN: no such user");
    };
    let options = &org.options;
    // A SOAP login is not an app's: it gets the whole interface.
    let scopes = vec!["full".to_owned(), "api".to_owned()];
    let (token, _) = org
        .sessions
        .open(&org.entropy, &options.org_id, user, "", scopes);
    let base = &call.base_url;
    let short_org = options.org_id.get(..15).unwrap_or(&options.org_id);
    // Clients read the children by place, and the four that matter by tags without prefix or attribute.
    let result = format!(
        "<loginResponse><result><metadataServerUrl>{base}/services/Soap/m/{version}/{short_org}</metadataServerUrl>\
         <passwordExpired>false</passwordExpired><sandbox>true</sandbox>\
         <serverUrl>{base}/services/Soap/{kind}/{version}/{short_org}</serverUrl>\
         <sessionId>{}</sessionId><userId>{user}</userId><userInfo>{}</userInfo></result></loginResponse>",
        escape(&token),
        user_info(org, &row),
    );
    plain(StatusCode::OK, XML, envelope(namespace, &result))
}

/// The children of `userInfo`, in the order of the partner WSDL; the ninth is the org's identifier.
fn user_info(org: &Org, user: &Row) -> String {
    let shown = |name: &str| match org.user_field(user, name) {
        Cell::Text(text) => escape(&text),
        Cell::Ref(id) => id.to_string(),
        _ => String::new(),
    };
    let optional = |id: Option<RecordId>| id.map(|id| id.to_string()).unwrap_or_default();
    let profile = optional(org.user_field(user, "ProfileId").as_ref_id());
    let fields = [
        ("accessibilityMode", "false".to_owned()),
        ("chatterExternal", "false".to_owned()),
        ("currencySymbol", "EUR".to_owned()),
        ("orgAttachmentFileSizeLimit", "26214400".to_owned()),
        ("orgDefaultCurrencyIsoCode", "EUR".to_owned()),
        ("orgDefaultCurrencyLocale", "de_DE_EURO".to_owned()),
        ("orgDisallowHtmlAttachments", "false".to_owned()),
        ("orgHasPersonAccounts", "false".to_owned()),
        ("organizationId", org.options.org_id.clone()),
        ("organizationMultiCurrency", "true".to_owned()),
        ("organizationName", "Acme Instruments".to_owned()),
        ("profileId", profile),
        (
            "roleId",
            optional(org.user_field(user, "UserRoleId").as_ref_id()),
        ),
        (
            "sessionSecondsValid",
            org.options.session_lifetime.as_secs().to_string(),
        ),
        ("userDefaultCurrencyIsoCode", shown("CurrencyIsoCode")),
        ("userEmail", shown("Email")),
        ("userFullName", shown("Name")),
        ("userId", user.id.to_string()),
        ("userLanguage", shown("LanguageLocaleKey")),
        ("userLocale", shown("LocaleSidKey")),
        ("userName", shown("Username")),
        ("userTimeZone", shown("TimeZoneSidKey")),
        ("userType", "Standard".to_owned()),
        ("userUiSkin", "Theme3".to_owned()),
    ];
    fields.iter().fold(String::new(), |mut xml, (name, value)| {
        // Writing to a String can't fail.
        write!(xml, "<{name}>{value}</{name}>").ok();
        xml
    })
}

fn envelope(namespace: &str, body: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns=\"{namespace}\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><soapenv:Body>{body}</soapenv:Body></soapenv:Envelope>"
    )
}

/// A fault; those of the platform also carry a detail with its code and message.
pub(super) fn fault(code: &str, message: &str) -> Answer {
    let detail = code.strip_prefix("sf:").map_or_else(String::new, |name| {
        let plain = message.strip_prefix(name).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(message);
        format!(
            "<detail><sf:LoginFault xsi:type=\"sf:LoginFault\"><sf:exceptionCode>{name}</sf:exceptionCode><sf:exceptionMessage>{}</sf:exceptionMessage></sf:LoginFault></detail>",
            escape(plain)
        )
    });
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:sf=\"urn:fault.partner.soap.sforce.com\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><soapenv:Body><soapenv:Fault><faultcode>{code}</faultcode><faultstring>{}</faultstring>{detail}</soapenv:Fault></soapenv:Body></soapenv:Envelope>",
        escape(message)
    );
    plain(StatusCode::INTERNAL_SERVER_ERROR, XML, body)
}

fn escape(text: &str) -> String {
    quick_xml::escape::escape(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_read_whatever_their_prefixes() {
        let body = br#"<?xml version="1.0" encoding="utf-8" ?>
        <env:Envelope xmlns:env="http://schemas.xmlsoap.org/soap/envelope/"><env:Header>
        <n1:SessionHeader xmlns:n1="urn:partner.soap.sforce.com"><n1:sessionId>S</n1:sessionId></n1:SessionHeader></env:Header>
        <env:Body><n1:login xmlns:n1="urn:partner.soap.sforce.com"><n1:username>a@b.c</n1:username>
        <n1:password>p&amp;&#x31;<![CDATA[<]]></n1:password></n1:login></env:Body></env:Envelope>"#;
        let asked = read(body).unwrap();
        assert_eq!(
            (asked.operation.as_str(), asked.username.as_str()),
            ("login", "a@b.c")
        );
        assert_eq!(
            (asked.password.as_str(), asked.session.as_str()),
            ("p&1<", "S")
        );
        assert!(read(b"<a><b></a>").is_err());
        assert!(read(b"<!DOCTYPE a><Body><x/></Body>").is_err());
    }
}
