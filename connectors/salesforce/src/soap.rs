//! The one SOAP call that is understood: `login`.

use crmgate_connector::{Malformed, NativeResponse};
use http::StatusCode;
use quick_xml::events::Event;
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;
use secrecy::SecretString;

#[cfg(test)]
mod tests;

const ENVELOPE: &str = "http://schemas.xmlsoap.org/soap/envelope/";
const INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";
const PARTNER: &str = "urn:partner.soap.sforce.com";
const ENTERPRISE: &str = "urn:enterprise.soap.sforce.com";
const XML: &str = "text/xml; charset=utf-8";

/// A login call's credentials.
#[derive(Debug)]
pub(crate) struct Login {
    pub(crate) username: String,
    pub(crate) password: SecretString,
}

/// Reads a body that must be a login call and nothing beside it.
pub(crate) fn parse_login(body: &[u8]) -> Result<Login, Malformed> {
    let not_login = || {
        Malformed::new(
            "not_understood",
            "of the SOAP API only the call `login` is understood",
        )
    };
    let text = std::str::from_utf8(body)
        .map_err(|_| Malformed::new("invalid_xml", "the body is not UTF-8"))?;
    let mut reader = NsReader::from_str(text);
    let mut path: Vec<(String, String)> = Vec::new();
    let mut calls = 0_usize;
    let mut username = String::new();
    let mut password = String::new();
    loop {
        let (namespace, event) = reader.read_resolved_event().map_err(|error| {
            Malformed::new("invalid_xml", format!("the body is no XML: {error}"))
        })?;
        let namespace = match namespace {
            ResolveResult::Bound(namespace) => namespace.into_inner().to_string(),
            ResolveResult::Unbound | ResolveResult::Unknown(_) => String::new(),
        };
        match event {
            Event::Start(start) => {
                path.push((namespace, start.local_name().into_inner().to_string()));
                calls += usize::from(is_call(&path));
                if !fits(&path) {
                    return Err(not_login());
                }
            }
            Event::Empty(start) => {
                path.push((namespace, start.local_name().into_inner().to_string()));
                let fits = fits(&path) && !is_call(&path);
                path.pop();
                if !fits {
                    return Err(not_login());
                }
            }
            Event::End(_) => {
                path.pop();
            }
            Event::Text(piece) => {
                push(&path, &piece.xml10_content(), &mut username, &mut password);
            }
            Event::CData(piece) => {
                push(&path, &piece.xml10_content(), &mut username, &mut password);
            }
            Event::GeneralRef(reference) => {
                let meant = entity(&reference).ok_or_else(not_login)?;
                push(&path, &meant, &mut username, &mut password);
            }
            // A document type can define entities, which make a text mean something else.
            Event::DocType(_) | Event::PI(_) => return Err(not_login()),
            // In another encoding the same bytes are another text.
            Event::Decl(declared) => {
                let utf8 = match declared.encoding() {
                    None => true,
                    Some(Ok(name)) => name.eq_ignore_ascii_case("utf-8"),
                    Some(Err(_)) => false,
                };
                if !utf8 {
                    return Err(not_login());
                }
            }
            Event::Comment(_) => {}
            Event::Eof => break,
        }
    }
    if calls != 1 || !path.is_empty() || username.is_empty() {
        return Err(not_login());
    }
    Ok(Login {
        username: username.trim().to_owned(),
        password: SecretString::from(password),
    })
}

fn is_call(path: &[(String, String)]) -> bool {
    path.len() == 3 && path.get(1).is_some_and(|(_, name)| name == "Body")
}

/// Whether an element may stand where it stands: headers are free, the body holds the one call.
fn fits(path: &[(String, String)]) -> bool {
    let is = |place: usize, namespaces: &[&str], name: &str| {
        path.get(place).is_none_or(|(namespace, local)| {
            namespaces.contains(&namespace.as_str()) && local == name
        })
    };
    if !is(0, &[ENVELOPE], "Envelope") {
        return false;
    }
    is(1, &[ENVELOPE], "Header")
        || (is(1, &[ENVELOPE], "Body") && is(2, &[PARTNER, ENTERPRISE], "login"))
}

fn push(path: &[(String, String)], text: &str, username: &mut String, password: &mut String) {
    let [_, (_, body), (_, call), (_, member)] = path else {
        return;
    };
    if body != "Body" || call != "login" {
        return;
    }
    match member.as_str() {
        "username" => username.push_str(text),
        "password" => password.push_str(text),
        _ => {}
    }
}

fn entity(reference: &quick_xml::events::BytesRef<'_>) -> Option<String> {
    if let Ok(Some(character)) = reference.resolve_char_ref() {
        return Some(character.to_string());
    }
    let name: &str = reference;
    quick_xml::escape::resolve_xml_entity(name).map(str::to_owned)
}

/// A SOAP fault, in the types of the API that was called.
pub(crate) fn fault(path: &str, code: &str, message: &str) -> NativeResponse {
    // Clients know the API's own codes only; the message says the rest.
    let code = match code {
        "INSUFFICIENT_ACCESS_OR_READONLY" => "INSUFFICIENT_ACCESS",
        "FIELD_CUSTOM_VALIDATION_EXCEPTION"
        | "PRECONDITION_FAILED"
        | "REQUEST_ENTITY_TOO_LARGE" => "UNKNOWN_EXCEPTION",
        code => code,
    };
    let kind = if code == "INVALID_LOGIN" {
        "LoginFault"
    } else {
        "UnexpectedErrorFault"
    };
    let message = quick_xml::escape::escape(message);
    let path = path.to_ascii_lowercase();
    let (api, typed) = if path.starts_with("/services/soap/c/") {
        ("enterprise", true)
    } else {
        ("partner", path.starts_with("/services/soap/u/"))
    };
    let detail = if typed {
        format!(
            "<detail><sf:{kind} xsi:type=\"sf:{kind}\"><sf:exceptionCode>{code}</sf:exceptionCode>\
             <sf:exceptionMessage>{message}</sf:exceptionMessage></sf:{kind}></detail>"
        )
    } else {
        String::new()
    };
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <soapenv:Envelope xmlns:soapenv=\"{ENVELOPE}\" xmlns:sf=\"urn:fault.{api}.soap.sforce.com\" xmlns:xsi=\"{INSTANCE}\">\
         <soapenv:Body><soapenv:Fault><faultcode>sf:{code}</faultcode>\
         <faultstring>{code}: {message}</faultstring>{detail}</soapenv:Fault></soapenv:Body></soapenv:Envelope>"
    );
    NativeResponse::full(StatusCode::INTERNAL_SERVER_ERROR, XML, body)
}

/// Who a login answer is given to.
pub(crate) struct Given<'a> {
    /// Scheme, host and port of the gate.
    pub(crate) gate: &'a str,
    /// The path by which the client asked.
    pub(crate) path: &'a str,
    pub(crate) session: &'a str,
    pub(crate) user: &'a str,
    pub(crate) org: &'a str,
    pub(crate) username: &'a str,
}

/// A login answer. The order of its members counts: some clients read them by place.
pub(crate) fn login_answer(given: &Given<'_>) -> NativeResponse {
    let escape = |text: &str| quick_xml::escape::escape(text).into_owned();
    let namespace = if given
        .path
        .to_ascii_lowercase()
        .starts_with("/services/soap/c/")
    {
        ENTERPRISE
    } else {
        PARTNER
    };
    let address = escape(&format!("{}{}", given.gate, given.path));
    let metadata = address.replacen("/Soap/u/", "/Soap/m/", 1);
    let (user, org) = (escape(given.user), escape(given.org));
    let (session, username) = (escape(given.session), escape(given.username));
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <soapenv:Envelope xmlns:soapenv=\"{ENVELOPE}\" xmlns=\"{namespace}\"><soapenv:Body>\
         <loginResponse><result><metadataServerUrl>{metadata}</metadataServerUrl>\
         <passwordExpired>false</passwordExpired><sandbox>false</sandbox>\
         <serverUrl>{address}</serverUrl><sessionId>{session}</sessionId><userId>{user}</userId>\
         <userInfo><accessibilityMode>false</accessibilityMode><chatterExternal>false</chatterExternal>\
         <currencySymbol></currencySymbol><orgAttachmentFileSizeLimit>26214400</orgAttachmentFileSizeLimit>\
         <orgDefaultCurrencyIsoCode></orgDefaultCurrencyIsoCode><orgDefaultCurrencyLocale></orgDefaultCurrencyLocale>\
         <orgDisallowHtmlAttachments>false</orgDisallowHtmlAttachments><orgHasPersonAccounts>false</orgHasPersonAccounts>\
         <organizationId>{org}</organizationId><organizationMultiCurrency>false</organizationMultiCurrency>\
         <organizationName></organizationName><profileId></profileId><roleId></roleId>\
         <sessionSecondsValid>7200</sessionSecondsValid><userDefaultCurrencyIsoCode></userDefaultCurrencyIsoCode>\
         <userEmail></userEmail><userFullName></userFullName><userId>{user}</userId>\
         <userLanguage>en_US</userLanguage><userLocale>en_US</userLocale><userName>{username}</userName>\
         <userTimeZone>UTC</userTimeZone><userType>Standard</userType><userUiSkin>Theme3</userUiSkin>\
         </userInfo></result></loginResponse></soapenv:Body></soapenv:Envelope>"
    );
    NativeResponse::full(StatusCode::OK, XML, body)
}

/// A login answer of Salesforce with its addresses moved to the gate, whatever host they name.
pub(crate) fn move_addresses(answer: &str, gate: &str) -> String {
    let mut out = answer.to_owned();
    for tag in ["serverUrl", "metadataServerUrl"] {
        let mut moved = String::with_capacity(out.len());
        let mut rest = out.as_str();
        while let Some((before, inside, after)) = element_text(rest, tag) {
            moved.push_str(before);
            moved.push_str(&move_origin(inside, gate));
            rest = after;
        }
        moved.push_str(rest);
        out = moved;
    }
    out
}

/// What stands before, in and after the text of the next `<tag>` or `<prefix:tag>`.
fn element_text<'a>(text: &'a str, tag: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let mut from = 0;
    loop {
        let at = from + text.get(from..)?.find(tag)?;
        let opened = text.get(..at)?.ends_with(['<', ':']);
        let end = at + tag.len();
        if opened && text.get(end..)?.starts_with('>') {
            let start = end + 1;
            let stop = start + text.get(start..)?.find('<')?;
            return Some((
                text.get(..start)?,
                text.get(start..stop)?,
                text.get(stop..)?,
            ));
        }
        from = end;
    }
}

/// An address at the gate's origin.
pub(crate) fn move_origin(url: &str, gate: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    if !matches!(scheme, "http" | "https") {
        return url.to_owned();
    }
    let path = rest.find('/').and_then(|slash| rest.get(slash..));
    format!("{gate}{}", path.unwrap_or_default())
}
