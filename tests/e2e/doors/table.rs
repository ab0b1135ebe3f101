//! The table of doors.

use std::collections::HashMap;

use serde::Deserialize;

use super::Face;
use super::wire::{Reply, deflate, gzip, zlib};

/// Which CRM stands behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Crm {
    Salesforce,
    Dynamics,
}

impl Crm {
    /// Contacts and accounts.
    pub(super) const fn tables(self) -> (&'static str, &'static str) {
        match self {
            Self::Salesforce => ("Contact", "Account"),
            Self::Dynamics => ("contact", "account"),
        }
    }

    /// How their ids are called.
    pub(super) const fn ids(self) -> (&'static str, &'static str) {
        match self {
            Self::Salesforce => ("Id", "Id"),
            Self::Dynamics => ("contactid", "accountid"),
        }
    }

    /// What a door could touch; contacts first.
    pub(super) const fn objects(self) -> &'static [&'static str] {
        match self {
            Self::Salesforce => &["Contact", "Account", "Opportunity", "Lead", "Task", "Case"],
            Self::Dynamics => &[
                "contact",
                "account",
                "opportunity",
                "lead",
                "task",
                "incident",
            ],
        }
    }

    const fn smuggled(self) -> &'static str {
        match self {
            Self::Salesforce => r#"{"LastName":"Smuggled"}"#,
            Self::Dynamics => r#"{"lastname":"Smuggled"}"#,
        }
    }

    /// Whether a refusal is one of this CRM's own.
    pub(super) fn in_its_shape(self, reply: &Reply) -> bool {
        let kind = reply.header("content-type").unwrap_or_default();
        let body = reply.json();
        let text = |value: &serde_json::Value| value.as_str().is_some_and(|text| !text.is_empty());
        match self {
            Self::Salesforce if kind.starts_with("text/xml") => reply.text().contains("Fault>"),
            Self::Salesforce => match body.as_array().map(Vec::as_slice) {
                Some([only]) => text(&only["errorCode"]) && text(&only["message"]),
                _ => text(&body["error"]) && text(&body["error_description"]),
            },
            Self::Dynamics => {
                (text(&body["error"]["code"]) && text(&body["error"]["message"]))
                    || (text(&body["error"]) && text(&body["error_description"]))
            }
        }
    }
}

/// What stands behind a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// A decision.
    Judged,
    /// The gate does not understand the request.
    Refused,
    /// It is no HTTP that the gate speaks.
    Wire,
    /// It only reads.
    Read,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Coding {
    Bom,
    Utf16le,
    Utf16be,
    Latin1,
    Gzip,
    Zlib,
    Deflate,
    Twice,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Frame {
    #[default]
    Length,
    Chunked,
    Both,
    Trailer,
}

/// One door.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Door {
    pub(super) id: String,
    pub(super) kind: Kind,
    line: Option<String>,
    #[serde(default)]
    headers: Vec<String>,
    r#type: Option<String>,
    body: Option<String>,
    #[serde(default)]
    coding: Vec<Coding>,
    #[serde(default)]
    frame: Frame,
    pub(super) raw: Option<String>,
    #[serde(default)]
    pub(super) answer: Vec<u16>,
}

/// The doors of a CRM.
pub(super) fn doors(crm: Crm) -> Vec<Door> {
    let mut all: HashMap<String, Vec<Door>> =
        yaml_serde::from_str(include_str!("../doors.yaml")).unwrap();
    let doors = match crm {
        Crm::Salesforce => all.remove("salesforce"),
        Crm::Dynamics => all.remove("dynamics"),
    };
    doors.unwrap()
}

impl Door {
    /// What the request asks for; nothing where it is given as a whole.
    pub(super) fn target(&self, face: &Face) -> String {
        let line = self.line.as_deref().unwrap_or_default();
        let target = line.split_once(' ').map_or("", |(_, target)| target);
        face.fill(target)
    }

    /// The bytes to send.
    pub(super) fn request(&self, face: &Face) -> Vec<u8> {
        if let Some(raw) = &self.raw {
            let text = face.fill(raw).replace('\n', "\r\n");
            let rest = text
                .split_once("\r\n\r\n")
                .map_or(0, |(_, rest)| rest.len());
            return text.replace("{length}", &rest.to_string()).into_bytes();
        }
        let body = self.body.as_deref().unwrap_or(face.crm.smuggled());
        let body = self
            .coding
            .iter()
            .fold(face.fill(body).into_bytes(), |bytes, coding| {
                recode(&bytes, *coding)
            });
        let line = face.fill(self.line.as_deref().unwrap());
        let mut head = face.head(&line);
        match self.r#type.as_deref() {
            Some("") => {}
            kind => {
                let kind = kind.unwrap_or("application/json");
                head.push_str(&format!("Content-Type: {kind}\r\n"));
            }
        }
        for header in &self.headers {
            head.push_str(&face.fill(header));
            head.push_str("\r\n");
        }
        framed(head, &body, self.frame)
    }
}

fn recode(bytes: &[u8], coding: Coding) -> Vec<u8> {
    let text = || String::from_utf8(bytes.to_vec()).unwrap();
    match coding {
        Coding::Bom => [b"\xef\xbb\xbf".as_slice(), bytes].concat(),
        Coding::Utf16le => text().encode_utf16().flat_map(u16::to_le_bytes).collect(),
        Coding::Utf16be => text().encode_utf16().flat_map(u16::to_be_bytes).collect(),
        Coding::Latin1 => text().chars().map(|c| u8::try_from(c).unwrap()).collect(),
        Coding::Gzip => gzip(bytes),
        Coding::Zlib => zlib(bytes),
        Coding::Deflate => deflate(bytes),
        Coding::Twice => [bytes, bytes].concat(),
    }
}

fn framed(mut head: String, body: &[u8], frame: Frame) -> Vec<u8> {
    if frame == Frame::Length {
        head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        return [head.as_bytes(), body].concat();
    }
    if frame == Frame::Both {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    head.push_str("Transfer-Encoding: chunked\r\n\r\n");
    let mut bytes = head.into_bytes();
    for piece in body.chunks(7) {
        bytes.extend(format!("{:x};ext=1\r\n", piece.len()).into_bytes());
        bytes.extend(piece);
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"0\r\n");
    if frame == Frame::Trailer {
        bytes.extend(b"X-HTTP-Method-Override: DELETE\r\nContent-Type: text/plain\r\n");
    }
    bytes.extend(b"\r\n");
    bytes
}

impl Face {
    /// Puts this CRM's facts into a text.
    pub(super) fn fill(&self, text: &str) -> String {
        text.replace("{id}", &self.id)
            .replace("{ID}", &self.id.to_uppercase())
            .replace("{short}", self.id.get(..15).unwrap_or_default())
            .replace("{account}", &self.account)
            .replace("{token}", &self.token)
            .replace("{host}", &self.host())
    }

    /// The gate's own name.
    pub(super) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.wire.port)
    }

    /// A request's line, host and credential.
    pub(super) fn head(&self, line: &str) -> String {
        format!(
            "{line} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n",
            self.host(),
            self.token
        )
    }
}
