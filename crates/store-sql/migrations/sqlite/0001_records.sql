-- Times are nanoseconds since 1970. Bodies are JSON. What each entry's hash covers is written down
-- in `crmgate_store::chain`.

-- The record: entries of chains, in the order of commits. Never edited; removed only by age, from
-- the beginning on.
CREATE TABLE ledger (
    seq INTEGER PRIMARY KEY,
    chain BLOB NOT NULL,
    link INTEGER NOT NULL,
    kind TEXT NOT NULL,
    at INTEGER NOT NULL,
    envelope TEXT NOT NULL,
    commitment BLOB,
    hash BLOB NOT NULL
) STRICT;

-- What can be erased of an entry, with the key of its commitment.
CREATE TABLE payloads (
    seq INTEGER PRIMARY KEY,
    key BLOB NOT NULL,
    body TEXT NOT NULL
) STRICT;

-- Which packages spoke, once per set of packages: few sets, many decisions.
CREATE TABLE package_sets (
    id INTEGER PRIMARY KEY,
    names TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE package_set_members (
    package TEXT NOT NULL,
    package_set INTEGER NOT NULL REFERENCES package_sets (id),
    PRIMARY KEY (package, package_set)
) STRICT, WITHOUT ROWID;

-- By what decisions are found: an index over the ledger, with the newest outcome of each. The
-- record of a create is known once its outcome is.
CREATE TABLE decisions (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    at INTEGER NOT NULL,
    connection TEXT NOT NULL,
    object TEXT,
    record_id TEXT,
    actor TEXT,
    effect TEXT NOT NULL,
    mode TEXT NOT NULL,
    package_set INTEGER NOT NULL,
    outcome TEXT,
    outcome_seq INTEGER
) STRICT;

CREATE INDEX decisions_by_time ON decisions (at);
CREATE INDEX decisions_by_connection ON decisions (connection, object);
CREATE INDEX decisions_by_object ON decisions (object);
CREATE INDEX decisions_by_record ON decisions (record_id) WHERE record_id IS NOT NULL;
CREATE INDEX decisions_by_actor ON decisions (actor);
CREATE INDEX decisions_not_allowed ON decisions (effect) WHERE effect <> 'allow';
CREATE INDEX decisions_by_packages ON decisions (package_set);
CREATE INDEX decisions_gone_wrong ON decisions (outcome)
    WHERE outcome IS NOT NULL AND outcome <> 'succeeded';

-- The codes of what refused; decisions that allow have none.
CREATE TABLE decision_reasons (
    code TEXT NOT NULL,
    decision INTEGER NOT NULL,
    PRIMARY KEY (code, decision)
) STRICT, WITHOUT ROWID;

-- How to find out what came of a write; gone once it is known. `seq` is the decision's.
CREATE TABLE read_backs (
    seq INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    connection TEXT NOT NULL,
    join_key BLOB NOT NULL,
    body TEXT NOT NULL
) STRICT;

CREATE INDEX read_backs_by_join_key ON read_backs (join_key, at);

-- Signed statements of how far the record reached.
CREATE TABLE checkpoints (
    number INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    jws TEXT NOT NULL
) STRICT;

-- How far each sink has come.
CREATE TABLE sinks (
    name TEXT PRIMARY KEY,
    position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Up to where payloads were removed by age: one row.
CREATE TABLE pruned (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    payloads INTEGER NOT NULL
) STRICT;

INSERT INTO pruned (id, payloads) VALUES (1, 0);

CREATE TABLE holds (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    connection TEXT NOT NULL,
    actor TEXT NOT NULL,
    record_id TEXT,
    decision BLOB NOT NULL,
    -- Connection, actor, object, record and payload of the request, hashed.
    request TEXT NOT NULL,
    status TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    erased INTEGER NOT NULL DEFAULT 0,
    body TEXT NOT NULL
) STRICT;

CREATE INDEX holds_by_connection ON holds (connection);
CREATE INDEX holds_by_actor ON holds (actor);
CREATE UNIQUE INDEX holds_waiting ON holds (request) WHERE status = 'waiting';

CREATE TABLE tokens (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    secret_hash TEXT NOT NULL,
    revoked_at INTEGER,
    body TEXT NOT NULL
) STRICT;

-- Counts per hour.
CREATE TABLE sightings (
    connection TEXT NOT NULL,
    hour INTEGER NOT NULL,
    client TEXT NOT NULL,
    route TEXT NOT NULL,
    class TEXT NOT NULL,
    enforced TEXT NOT NULL,
    why TEXT NOT NULL,
    count INTEGER NOT NULL,
    first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    PRIMARY KEY (connection, hour, client, route, class, enforced, why)
) STRICT, WITHOUT ROWID;

CREATE TABLE modes (
    seq INTEGER PRIMARY KEY,
    connection TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;

CREATE INDEX modes_by_connection ON modes (connection);

CREATE TABLE revisions (
    seq INTEGER PRIMARY KEY,
    revision TEXT NOT NULL UNIQUE,
    at INTEGER NOT NULL,
    sources TEXT NOT NULL
) STRICT;

-- One row, written to see whether writing works.
CREATE TABLE pulse (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    at INTEGER NOT NULL
) STRICT;
