-- Queued operations, the jobs that wake workers for them, and what processes share.
--
-- What an index serves is a column of its own that is null wherever the index has no use for the
-- row: `turn`, `woken_at`, `live_since`, `deadline`, `ended_at`, `keeps_since`, `trouble`. A million
-- staged rows are in none of them.

CREATE TABLE submissions (
    nr INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    key TEXT,
    at INTEGER NOT NULL,
    accepted_at INTEGER,
    content BLOB,
    count INTEGER NOT NULL DEFAULT 0,
    repeated INTEGER NOT NULL DEFAULT 0,
    refused INTEGER NOT NULL DEFAULT 0,
    answer TEXT,
    -- Another submission took over the caller's ids of one of its lines: it is never accepted.
    broken INTEGER NOT NULL DEFAULT 0,
    -- Up to which line it is unfolded; null once it is to the end.
    unfolded INTEGER DEFAULT 0
) STRICT;

CREATE UNIQUE INDEX submissions_by_key ON submissions (owner, key) WHERE key IS NOT NULL;
CREATE INDEX submissions_open ON submissions (at) WHERE accepted_at IS NULL;
CREATE INDEX submissions_folded ON submissions (accepted_at, nr)
    WHERE accepted_at IS NOT NULL AND unfolded IS NOT NULL;
CREATE INDEX submissions_unfolded ON submissions (accepted_at) WHERE unfolded IS NULL;

CREATE TABLE operations (
    nr INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    submission INTEGER NOT NULL,
    line INTEGER NOT NULL,
    owner TEXT NOT NULL,
    client_id TEXT,
    content BLOB NOT NULL,
    connection TEXT NOT NULL,
    actor TEXT NOT NULL,
    kind TEXT NOT NULL,
    object TEXT NOT NULL,
    record_id TEXT,
    lane TEXT,
    -- The id of the group's first member.
    grp BLOB,
    group_name TEXT,
    priority INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    -- Its place in the order of acceptance; null while it is staged.
    seq INTEGER,
    state TEXT NOT NULL,
    version INTEGER NOT NULL,
    why_code TEXT,
    why_message TEXT,
    due INTEGER NOT NULL,
    open_dependencies INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    lease_owner BLOB,
    lease_until INTEGER,
    decision BLOB,
    -- The policies it was last judged under.
    revision TEXT NOT NULL DEFAULT '',
    hold BLOB,
    millicalls INTEGER NOT NULL DEFAULT 0,
    restored INTEGER NOT NULL DEFAULT 0,
    updated_at INTEGER NOT NULL,
    -- Its lane, while it stands in it.
    turn TEXT,
    -- When it was last woken, or can go on, while somebody should work on it.
    woken_at INTEGER,
    -- Since when it stands where it stands, until it has ended.
    live_since INTEGER,
    -- When it ends of itself.
    deadline INTEGER,
    ended_at INTEGER,
    -- Since when its request is only kept.
    keeps_since INTEGER,
    -- Its state, when that is one that people look for.
    trouble TEXT
) STRICT;

CREATE UNIQUE INDEX operations_by_client_id ON operations (owner, client_id)
    WHERE client_id IS NOT NULL;
CREATE UNIQUE INDEX operations_by_submission ON operations (submission, line);
CREATE INDEX operations_by_group ON operations (grp) WHERE grp IS NOT NULL;
CREATE INDEX operations_by_group_name ON operations (submission, group_name, line)
    WHERE group_name IS NOT NULL;
CREATE UNIQUE INDEX operations_by_seq ON operations (seq) WHERE seq IS NOT NULL;
CREATE INDEX operations_by_owner ON operations (owner, seq) WHERE seq IS NOT NULL;
CREATE INDEX operations_by_record ON operations (record_id) WHERE record_id IS NOT NULL;
CREATE INDEX operations_in_lanes ON operations (connection, turn, state, seq)
    WHERE turn IS NOT NULL;
CREATE INDEX operations_to_wake ON operations (woken_at) WHERE woken_at IS NOT NULL;
CREATE INDEX operations_live ON operations (connection, state, live_since)
    WHERE live_since IS NOT NULL;
CREATE INDEX operations_by_deadline ON operations (deadline) WHERE deadline IS NOT NULL;
CREATE INDEX operations_ended ON operations (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX operations_kept ON operations (keeps_since) WHERE keeps_since IS NOT NULL;
CREATE INDEX operations_in_trouble ON operations (trouble, seq) WHERE trouble IS NOT NULL;
CREATE INDEX operations_unjudged ON operations (revision) WHERE state = 'unjudged';

-- What never changes of an operation, and what is asked.
CREATE TABLE operation_bodies (
    nr INTEGER PRIMARY KEY,
    body TEXT NOT NULL,
    request TEXT
) STRICT;

CREATE TABLE operation_history (
    operation INTEGER NOT NULL,
    version INTEGER NOT NULL,
    at INTEGER NOT NULL,
    was TEXT,
    state TEXT NOT NULL,
    who TEXT NOT NULL,
    why_code TEXT,
    why_message TEXT,
    decision BLOB,
    hold BLOB,
    PRIMARY KEY (operation, version)
) STRICT, WITHOUT ROWID;

-- What an operation waits for. `target` is known once it is unfolded.
CREATE TABLE operation_dependencies (
    dependant INTEGER NOT NULL,
    n INTEGER NOT NULL,
    target BLOB,
    client_id TEXT,
    open INTEGER NOT NULL,
    PRIMARY KEY (dependant, n)
) STRICT, WITHOUT ROWID;

CREATE INDEX operation_dependencies_by_target ON operation_dependencies (target, open)
    WHERE target IS NOT NULL;

-- Operations that ended, with dependants that have not been told yet.
CREATE TABLE operation_echoes (
    nr INTEGER PRIMARY KEY,
    target BLOB NOT NULL UNIQUE
) STRICT;

-- How many operations that have not ended stand where.
CREATE TABLE operation_counts (
    connection TEXT NOT NULL,
    state TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (connection, state)
) STRICT, WITHOUT ROWID;

-- The last place in the order of acceptance: one row.
CREATE TABLE operation_places (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    seq INTEGER NOT NULL
) STRICT;

INSERT INTO operation_places (id, seq) VALUES (1, 0);

-- `state`: 0 its time has not come, 1 due, 2 claimed, 3 dead. Due ones are claimed by `rank` (the
-- priority, negative), then by `due`, then by `nr`. Numbers are never given twice: leases are made
-- of them.
CREATE TABLE jobs (
    nr INTEGER PRIMARY KEY AUTOINCREMENT,
    queue TEXT NOT NULL,
    id TEXT NOT NULL,
    state INTEGER NOT NULL,
    due INTEGER NOT NULL,
    rank INTEGER NOT NULL,
    most_attempts INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    pushes INTEGER NOT NULL DEFAULT 1,
    claims INTEGER NOT NULL DEFAULT 0,
    owner TEXT,
    lease_until INTEGER,
    -- It was pushed while it was claimed.
    again_due INTEGER,
    again_rank INTEGER,
    dead_at INTEGER,
    reason TEXT,
    UNIQUE (queue, id)
) STRICT;

CREATE INDEX jobs_waiting ON jobs (queue, due) WHERE state = 0;
CREATE INDEX jobs_due ON jobs (queue, rank, due, nr) WHERE state = 1;
CREATE INDEX jobs_claimed ON jobs (queue, lease_until) WHERE state = 2;
CREATE INDEX jobs_dead ON jobs (queue, dead_at) WHERE state = 3;

CREATE TABLE cells (
    key TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    body TEXT NOT NULL,
    -- From when on it counts as forgotten.
    ends_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX cells_by_end ON cells (ends_at) WHERE ends_at IS NOT NULL;

CREATE TABLE processes (
    id BLOB PRIMARY KEY,
    started_at INTEGER NOT NULL,
    beat_at INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX processes_by_beat ON processes (beat_at);
