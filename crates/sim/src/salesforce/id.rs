//! Record identifiers: 15 case-sensitive characters, or 18 with a checksum of the case.

use std::fmt;
use std::str;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const CHECKSUM: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
/// Stands for the pod on which the org lives, as in every real identifier.
const POD: &[u8; 2] = b"Wd";

/// The 15 characters that identify a record.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RecordId([u8; 15]);

impl RecordId {
    /// Reads either form; `None` for anything else, a wrong checksum included.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if !matches!(bytes.len(), 15 | 18) || !bytes.iter().all(u8::is_ascii_alphanumeric) {
            return None;
        }
        let (head, tail) = bytes.split_at(15);
        let id = Self(head.try_into().ok()?);
        (tail.is_empty() || tail == id.checksum()).then_some(id)
    }

    /// The `number`-th identifier of the object with this key prefix.
    pub(crate) fn numbered(prefix: &str, number: u64) -> Self {
        let mut id = [b'0'; 15];
        for (to, from) in id.iter_mut().zip(prefix.bytes().take(3).chain(*POD)) {
            *to = from;
        }
        let mut rest = number;
        for to in id.iter_mut().skip(5).rev() {
            let digit = usize::try_from(rest % 62).unwrap_or_default();
            *to = ALPHABET.get(digit).copied().unwrap_or(b'0');
            rest /= 62;
        }
        Self(id)
    }

    /// The first three characters: which object it belongs to.
    pub(crate) fn prefix(&self) -> &str {
        self.short().get(..3).unwrap_or_default()
    }

    /// The form with 15 characters.
    pub(crate) fn short(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }

    fn checksum(self) -> [u8; 3] {
        let mut sum = [b'A'; 3];
        for (to, five) in sum.iter_mut().zip(self.0.chunks(5)) {
            let capitals = |bits: usize, (at, byte): (usize, &u8)| {
                bits | usize::from(byte.is_ascii_uppercase()) << at
            };
            let bits = five.iter().enumerate().fold(0, capitals);
            *to = CHECKSUM.get(bits).copied().unwrap_or(b'A');
        }
        sum
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.short())?;
        f.write_str(str::from_utf8(&self.checksum()).unwrap_or_default())
    }
}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_one_identifier() {
        // The pair that Salesforce's own documentation converts.
        let id = RecordId::parse("001D000000IqhSL").unwrap();
        assert_eq!(id.to_string(), "001D000000IqhSLIAZ");
        assert_eq!(RecordId::parse("001D000000IqhSLIAZ"), Some(id));
        assert_eq!(RecordId::parse("001D000000IqhSLIAA"), None);
        assert_eq!(RecordId::parse("001D000000IqhS-"), None);
        assert_eq!(RecordId::parse("001"), None);
    }

    #[test]
    fn numbered_identifiers_differ_and_sort() {
        let ids: Vec<_> = (0..200)
            .map(|number| RecordId::numbered("003", number))
            .collect();
        assert!(ids.is_sorted() && ids.windows(2).all(|pair| pair[0] != pair[1]));
        assert_eq!(ids[61].prefix(), "003");
    }
}
