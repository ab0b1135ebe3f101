//! What somebody with the database in his hands may do to a record of three processes after each
//! other: chains of 9 entries, positions 1 to 27.

use crmgate_store::verify::FaultKind;

/// What is done, the fault it must show, where, and whether it takes a checkpoint to find it.
pub(crate) const TAMPERINGS: &[(&str, &str, FaultKind, u64, bool)] = &[
    (
        "an effect edited",
        "UPDATE ledger SET envelope = replace(envelope, 'deny', 'allow') WHERE seq = 4",
        FaultKind::Edited,
        4,
        false,
    ),
    (
        "a time edited",
        "UPDATE ledger SET at = at + 1 WHERE seq = 12",
        FaultKind::Edited,
        12,
        false,
    ),
    (
        "a kind edited",
        "UPDATE ledger SET kind = 'mode' WHERE seq = 13",
        FaultKind::Edited,
        13,
        false,
    ),
    (
        "a commitment taken off with its payload",
        "UPDATE ledger SET commitment = NULL WHERE seq = 4; DELETE FROM payloads WHERE seq = 4",
        FaultKind::Edited,
        4,
        false,
    ),
    (
        "an entry deleted",
        "DELETE FROM ledger WHERE seq = 5",
        FaultKind::Missing,
        6,
        false,
    ),
    (
        "entries deleted and the rest moved up",
        "DELETE FROM ledger WHERE seq IN (5, 6); UPDATE ledger SET seq = seq - 2, link = link - 2 \
         WHERE seq IN (7, 8, 9)",
        FaultKind::Edited,
        5,
        false,
    ),
    (
        "two entries exchanged",
        "UPDATE ledger SET seq = -1 WHERE seq = 4; UPDATE ledger SET seq = 4 WHERE seq = 6; \
         UPDATE ledger SET seq = 6 WHERE seq = -1",
        FaultKind::Missing,
        4,
        false,
    ),
    (
        "an entry put in",
        "INSERT INTO ledger SELECT 28, chain, link, kind, at, envelope, NULL, hash FROM ledger \
         WHERE seq = 22",
        FaultKind::Inserted,
        28,
        false,
    ),
    (
        "the end of an earlier chain cut",
        "DELETE FROM ledger WHERE seq IN (17, 18)",
        FaultKind::Missing,
        19,
        false,
    ),
    (
        "a chain taken away",
        "DELETE FROM ledger WHERE seq BETWEEN 10 AND 18",
        FaultKind::Missing,
        19,
        false,
    ),
    (
        "the beginning taken away",
        "DELETE FROM ledger WHERE seq <= 9",
        FaultKind::Missing,
        10,
        false,
    ),
    (
        "the beginning of the first chain taken away",
        "DELETE FROM ledger WHERE seq <= 4",
        FaultKind::Missing,
        5,
        false,
    ),
    (
        "two payloads exchanged",
        "UPDATE payloads SET seq = -1 WHERE seq = 2; UPDATE payloads SET seq = 2 WHERE seq = 4; \
         UPDATE payloads SET seq = 4 WHERE seq = -1",
        FaultKind::Payload,
        2,
        false,
    ),
    (
        "a payload edited",
        "UPDATE payloads SET body = replace(body, 'ada@', 'eve@') WHERE seq = 22",
        FaultKind::Payload,
        22,
        false,
    ),
    (
        "a key edited",
        "UPDATE payloads SET key = zeroblob(32) WHERE seq = 22",
        FaultKind::Payload,
        22,
        false,
    ),
    (
        "a payload put beside an outcome",
        "INSERT INTO payloads SELECT 3, key, body FROM payloads WHERE seq = 2",
        FaultKind::Payload,
        3,
        false,
    ),
    (
        "a hash shortened",
        "UPDATE ledger SET hash = x'00' WHERE seq = 22",
        FaultKind::Edited,
        22,
        false,
    ),
    (
        "the end cut",
        "DELETE FROM ledger WHERE seq >= 26",
        FaultKind::Cut,
        27,
        true,
    ),
    (
        "the last chain taken away",
        "DELETE FROM ledger WHERE seq >= 19",
        FaultKind::Cut,
        27,
        true,
    ),
    (
        "everything taken away",
        "DELETE FROM ledger",
        FaultKind::Cut,
        27,
        true,
    ),
];
