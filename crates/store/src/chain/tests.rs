use proptest::prelude::*;

use super::*;

fn id(bytes: u128) -> ChainId {
    let text = format!("{bytes:032x}");
    let parts = [
        &text[..8],
        &text[8..12],
        &text[12..16],
        &text[16..20],
        &text[20..],
    ];
    parts.join("-").parse().unwrap()
}

fn at(nanoseconds: i64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(nanoseconds)).unwrap()
}

/// The form is a promise: whoever verifies elsewhere, verifies by these bytes.
#[test]
fn the_form_is_what_is_written_down() {
    let payload = SealedPayload {
        key: Digest([7; 32]),
        body: "the payload".to_owned(),
    };
    let draft = Draft::new(
        EntryKind::Decision,
        at(1_700_000_000_000_000_001),
        r#"{"id":1}"#.to_owned(),
        Some(payload.clone()),
    );
    let mut chain = Chain::new(id(0x0198_0000_0000_7000_8000_0000_0000_0042));
    let first = chain.append(9, &draft);
    let mut bytes = b"crmgate-entry-1\n".to_vec();
    bytes.extend(hex::decode("01980000000070008000000000000042").unwrap());
    bytes.extend(0_u64.to_be_bytes());
    bytes.extend([0; 32]);
    bytes.extend(9_u64.to_be_bytes());
    bytes.extend(1_700_000_000_000_000_001_i64.to_be_bytes());
    bytes.push(8);
    bytes.extend(b"decision");
    bytes.extend(digest(br#"{"id":1}"#).0);
    bytes.push(1);
    // `printf 'the payload' | openssl dgst -sha256 -mac HMAC -macopt hexkey:0707…`
    bytes.extend(commitment(&payload).0);
    assert_eq!(first.hash, digest(&bytes));
    let second = chain.append(10, &draft);
    assert_eq!((second.link, Chain::after(second)), (1, chain));
    let (entry, _) = draft.into_entry(10, second);
    assert_eq!(hash_of(&entry, first.hash), second.hash);
}

/// RFC 4231, test case 1 has a key of 20 bytes; this is its like with our 32.
#[test]
fn commitments_are_hmac() {
    let payload = SealedPayload {
        key: Digest([0x0b; 32]),
        body: "Hi There".to_owned(),
    };
    assert_eq!(
        commitment(&payload).to_hex(),
        "198a607eb44bfbc69903a0f1cf2bbdc5ba0aa3f3d9ae3c1c7a3b1696a0b68cf7"
    );
}

fn entries() -> impl Strategy<Value = Entry> {
    let fields = (
        any::<u64>(),
        any::<u128>(),
        any::<u64>(),
        "[a-z]{0,12}",
        any::<i64>(),
        ".{0,40}",
        any::<Option<[u8; 32]>>(),
    );
    fields.prop_map(
        |(position, chain, link, kind, when, envelope, commitment)| Entry {
            position,
            chain: id(chain),
            link,
            kind: kind.into(),
            at: at(when),
            envelope,
            commitment: commitment.map(Digest),
            hash: Digest::default(),
        },
    )
}

proptest! {
    /// Entries that differ in anything, or in what is before them, have different hashes.
    #[test]
    fn different_entries_have_different_hashes(
        one in entries(),
        other in entries(),
        previous: [u8; 32],
        field in 0_usize..8,
    ) {
        let mut mixed = one.clone();
        let mut before = Digest([1; 32]);
        match field {
            0 => mixed.position = other.position,
            1 => mixed.chain = other.chain,
            2 => mixed.link = other.link,
            3 => mixed.kind = other.kind.clone(),
            4 => mixed.at = other.at,
            5 => mixed.envelope.clone_from(&other.envelope),
            6 => mixed.commitment = other.commitment,
            _ => before = Digest(previous),
        }
        let same = mixed == one && before == Digest([1; 32]);
        prop_assert_eq!(hash_of(&mixed, before) == hash_of(&one, Digest([1; 32])), same);
    }

    /// An entry comes back from its JSON with its hash.
    #[test]
    fn entries_come_back_from_json(entry in entries(), key: [u8; 32], body in ".{0,40}") {
        let raw = crate::RawEntry {
            entry,
            payload: Some(SealedPayload { key: Digest(key), body }),
        };
        let text = serde_json::to_string(&raw).unwrap();
        let back: crate::RawEntry = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(hash_of(&back.entry, Digest::default()), hash_of(&raw.entry, Digest::default()));
        prop_assert_eq!(commitment(back.payload.as_ref().unwrap()), commitment(raw.payload.as_ref().unwrap()));
        prop_assert_eq!(back, raw);
    }
}
