//! Record ids: 15 characters in which case counts, or 18 with a checksum that restores the case.

const CHECKSUM: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";

/// The 18-character form of an id; `None` for what is no id.
///
/// The checksum decides over the case of an 18-character id, as it does in Salesforce: a client
/// that folded the case still means the same record.
pub(crate) fn normalize(text: &str) -> Option<String> {
    if !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    match text.len() {
        15 => Some(format!("{text}{}", checksum(text))),
        18 => {
            let (body, sum) = text.split_at(15);
            let body = restore(body, sum)?;
            Some(format!("{body}{}", sum.to_ascii_uppercase()))
        }
        _ => None,
    }
}

/// The first three characters, which name the object.
pub(crate) fn prefix(id: &str) -> &str {
    id.get(..3).unwrap_or_default()
}

fn checksum(body: &str) -> String {
    body.as_bytes()
        .chunks(5)
        .map(|chunk| {
            let bits = chunk
                .iter()
                .enumerate()
                .filter(|(_, byte)| byte.is_ascii_uppercase())
                .fold(0_usize, |bits, (place, _)| bits | 1 << place);
            CHECKSUM.get(bits).copied().map_or('A', char::from)
        })
        .collect()
}

fn restore(body: &str, sum: &str) -> Option<String> {
    let mut restored = String::with_capacity(15);
    for (chunk, sum) in body.as_bytes().chunks(5).zip(sum.bytes()) {
        let sum = sum.to_ascii_uppercase();
        let bits = CHECKSUM.iter().position(|known| *known == sum)?;
        for (place, byte) in chunk.iter().enumerate() {
            let upper = bits >> place & 1 == 1;
            if upper && !byte.is_ascii_alphabetic() {
                return None;
            }
            restored.push(char::from(if upper {
                byte.to_ascii_uppercase()
            } else {
                byte.to_ascii_lowercase()
            }));
        }
    }
    Some(restored)
}

/// The object of a key prefix, for lookups that can point to several.
pub(crate) fn object_of(prefix: &str) -> Option<&'static str> {
    Some(match prefix {
        "001" => "Account",
        "003" => "Contact",
        "005" => "User",
        "006" => "Opportunity",
        "00G" => "Group",
        "00Q" => "Lead",
        "00T" => "Task",
        "00U" => "Event",
        "01t" => "Product2",
        "01Z" => "Dashboard",
        "0Q0" => "Quote",
        "500" => "Case",
        "701" => "Campaign",
        "800" => "Contract",
        "801" => "Order",
        "02i" => "Asset",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_ids() {
        assert_eq!(
            normalize("001D000000IqhSL").as_deref(),
            Some("001D000000IqhSLIAZ")
        );
        assert_eq!(
            normalize("001d000000iqhsliaz").as_deref(),
            Some("001D000000IqhSLIAZ")
        );
        for none in [
            "",
            "001",
            "001D000000IqhS-",
            "001D000000IqhSLIA!",
            "describe",
        ] {
            assert_eq!(normalize(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn all_spellings_are_one(body in "[a-zA-Z0-9]{15}") {
            let id = normalize(&body).unwrap();
            prop_assert_eq!(&id[..15], &body);
            prop_assert_eq!(normalize(&id), Some(id.clone()));
            prop_assert_eq!(normalize(&id.to_lowercase()), Some(id.clone()));
            prop_assert_eq!(normalize(&id.to_uppercase()), Some(id));
        }

        #[test]
        fn nothing_panics(text in ".{0,20}") {
            let _ = normalize(&text);
        }
    }
}
