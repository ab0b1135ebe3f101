-- What becomes of holds: counted changes, how they ended, the decision they let pass, the queued
-- operation that waits in them.
ALTER TABLE holds ADD COLUMN version INTEGER NOT NULL DEFAULT 0;
ALTER TABLE holds ADD COLUMN ended TEXT;
ALTER TABLE holds ADD COLUMN spent_by BLOB;
ALTER TABLE holds ADD COLUMN queued BLOB;

CREATE INDEX holds_by_request ON holds (request, seq);
CREATE INDEX holds_open ON holds (expires_at) WHERE status IN ('waiting', 'approved');

-- People's answers. `seq` is the entry of the record; a person answers once.
CREATE TABLE votes (
    seq INTEGER PRIMARY KEY,
    hold BLOB NOT NULL REFERENCES holds (id) ON DELETE CASCADE,
    person TEXT NOT NULL,
    account TEXT NOT NULL,
    choice TEXT NOT NULL,
    reason TEXT,
    at INTEGER NOT NULL,
    channel TEXT NOT NULL,
    agreements TEXT NOT NULL
) STRICT;

CREATE INDEX votes_by_hold ON votes (hold, seq);
