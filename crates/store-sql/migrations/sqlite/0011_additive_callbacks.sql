-- Whether somebody is to be told of an operation's end.
ALTER TABLE operations ADD COLUMN calls_back INTEGER NOT NULL DEFAULT 0;
