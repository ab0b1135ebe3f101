-- What becomes of holds: counted changes, how they ended, the decision they let pass, the queued
-- operation that waits in them.
ALTER TABLE holds ADD COLUMN version BIGINT NOT NULL DEFAULT 0;
ALTER TABLE holds ADD COLUMN ended TEXT;
ALTER TABLE holds ADD COLUMN spent_by BYTEA;
ALTER TABLE holds ADD COLUMN queued BYTEA;

CREATE INDEX holds_by_request ON holds (request, seq);
CREATE INDEX holds_open ON holds (expires_at) WHERE status IN ('waiting', 'approved');

-- People's answers. `seq` is the entry of the record; a person answers once.
CREATE TABLE votes (
    seq BIGINT PRIMARY KEY,
    hold BYTEA NOT NULL REFERENCES holds (id) ON DELETE CASCADE,
    person TEXT NOT NULL,
    account TEXT NOT NULL,
    choice TEXT NOT NULL,
    reason TEXT,
    at BIGINT NOT NULL,
    channel TEXT NOT NULL,
    agreements TEXT NOT NULL
);

CREATE INDEX votes_by_hold ON votes (hold, seq);
