//! Hashes of files as OPA's signatures have them: of the bytes, or, for data and manifests, of the
//! value in one spelling, so that spaces and the order of members do not matter.

use std::collections::BTreeMap;

use crmgate_domain::Document;
use serde_json::value::RawValue;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512, Sha512_224, Sha512_256};

use crate::path::base;

/// The hash of a file in hex.
///
/// # Errors
/// When the algorithm is none that holds, or a structured file does not parse.
pub(crate) fn of(path: &str, bytes: &[u8], algorithm: &str) -> Result<String, String> {
    let spelled = match base(path) {
        "data.json" | ".manifest" => Some(json(bytes)?),
        "data.yaml" | "data.yml" => Some(json(bytes).or_else(|_| yaml(bytes))?),
        _ => None,
    };
    let bytes = spelled.as_deref().map_or(bytes, str::as_bytes);
    Ok(match algorithm {
        "SHA-224" => hex::encode(Sha224::digest(bytes)),
        "SHA-256" => hex::encode(Sha256::digest(bytes)),
        "SHA-384" => hex::encode(Sha384::digest(bytes)),
        "SHA-512" => hex::encode(Sha512::digest(bytes)),
        "SHA-512-224" => hex::encode(Sha512_224::digest(bytes)),
        "SHA-512-256" => hex::encode(Sha512_256::digest(bytes)),
        "MD5" | "SHA-1" => {
            return Err(format!(
                "the hash `{algorithm}` is too weak; sign with SHA-256"
            ));
        }
        other => return Err(format!("the hash `{other}` is not known")),
    })
}

/// JSON in one spelling: sorted members, no spaces, numbers as written.
fn json(bytes: &[u8]) -> Result<String, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "the file is not UTF-8".to_owned())?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let raw: &RawValue = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut out = String::with_capacity(text.len());
    spell(raw.get(), &mut out)?;
    Ok(out)
}

fn spell(raw: &str, out: &mut String) -> Result<(), String> {
    let bad = |error: serde_json::Error| error.to_string();
    match raw.as_bytes().first() {
        Some(b'{') => {
            let members: BTreeMap<String, &RawValue> = serde_json::from_str(raw).map_err(bad)?;
            out.push('{');
            for (index, (name, value)) in members.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                string(name, out)?;
                out.push(':');
                spell(value.get(), out)?;
            }
            out.push('}');
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(raw).map_err(bad)?;
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                spell(item.get(), out)?;
            }
            out.push(']');
        }
        Some(b'"') => string(&serde_json::from_str::<String>(raw).map_err(bad)?, out)?,
        _ => out.push_str(raw),
    }
    Ok(())
}

/// As OPA's language writes it: two line separators are escaped beside what must be.
fn string(text: &str, out: &mut String) -> Result<(), String> {
    let written = serde_json::to_string(text).map_err(|error| error.to_string())?;
    for c in written.chars() {
        match c {
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            c => out.push(c),
        }
    }
    Ok(())
}

/// YAML as OPA turns it to JSON before it hashes.
fn yaml(bytes: &[u8]) -> Result<String, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "the file is not UTF-8".to_owned())?;
    let document: Document = yaml_serde::from_str(text).map_err(|error| error.to_string())?;
    let mut out = String::with_capacity(text.len());
    document_spelled(&document, &mut out)?;
    Ok(out)
}

fn document_spelled(document: &Document, out: &mut String) -> Result<(), String> {
    match document {
        Document::Number(number) => out.push_str(&number_spelled(number.as_str())),
        Document::String(text) => string(text, out)?,
        Document::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                document_spelled(item, out)?;
            }
            out.push(']');
        }
        Document::Object(object) => {
            let members: BTreeMap<&str, &Document> = object.iter().collect();
            out.push('{');
            for (index, (name, value)) in members.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                string(name, out)?;
                out.push(':');
                document_spelled(value, out)?;
            }
            out.push('}');
        }
        Document::Null | Document::Bool(_) => out.push_str(&document.to_json()),
    }
    Ok(())
}

/// A float in the shortest form, with an exponent only where it is very small or very large.
fn number_spelled(text: &str) -> String {
    let float = text.contains(['.', 'e', 'E']);
    let Some(number) = float.then(|| text.parse::<f64>().ok()).flatten() else {
        return text.to_owned();
    };
    let size = number.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let written = format!("{number:e}");
        let (digits, exponent) = written.split_once('e').unwrap_or((&written, "0"));
        let sign = if exponent.starts_with('-') { "" } else { "+" };
        return format!("{digits}e{sign}{exponent}");
    }
    format!("{number}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_hashed_in_one_spelling() {
        let one = of(
            "x/data.json",
            b"{\"b\": 1.50, \"a\": [1e3, \"\\u00e9<\\u2028\"]}",
            "SHA-256",
        );
        let other = of(
            "x/data.json",
            " {\"a\":[1e3,\"\u{e9}<\u{2028}\"] ,\"b\":1.50}\n".as_bytes(),
            "SHA-256",
        );
        assert!(one.is_ok());
        assert_eq!(one, other);
        assert_ne!(one, of("x/other.json", b"{}", "SHA-256"));
        assert_eq!(
            json(b"{\"b\": 1.50, \"a\": 1e3}").unwrap(),
            "{\"a\":1e3,\"b\":1.50}"
        );
    }

    #[test]
    fn yaml_numbers_are_spelled_as_floats_are() {
        let spelled = yaml(b"a: 1.0\nb: 12.50\nc: 1e21\nd: 0.0000001\ne: 7\nf: 1e3\n").unwrap();
        assert_eq!(
            spelled,
            "{\"a\":1,\"b\":12.5,\"c\":1e+21,\"d\":1e-7,\"e\":7,\"f\":1000}"
        );
    }

    #[test]
    fn weak_hashes_are_refused() {
        assert!(of("a", b"", "MD5").unwrap_err().contains("weak"));
        assert!(of("a", b"", "SHA-1").unwrap_err().contains("weak"));
        assert!(of("a", b"", "CRC").unwrap_err().contains("not known"));
        for known in [
            "SHA-224",
            "SHA-384",
            "SHA-512",
            "SHA-512-224",
            "SHA-512-256",
        ] {
            assert!(of("a", b"", known).is_ok());
        }
    }
}
