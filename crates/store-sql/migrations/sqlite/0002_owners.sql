-- Who recorded a write whose outcome is not known, and by which way it came: a process settles its
-- own. Of writes from before this file, no process that lives is the owner.
ALTER TABLE read_backs ADD COLUMN owner BLOB NOT NULL DEFAULT x'';
ALTER TABLE read_backs ADD COLUMN point TEXT NOT NULL DEFAULT 'gateway';

CREATE INDEX decision_reasons_by_decision ON decision_reasons (decision);

-- When a hold was made; of older ones, to the millisecond.
ALTER TABLE holds ADD COLUMN created_at INTEGER NOT NULL DEFAULT 0;
UPDATE holds
SET created_at = coalesce(CAST(unixepoch(body ->> '$.created_at', 'subsec') * 1000 AS INTEGER), 0) * 1000000;
