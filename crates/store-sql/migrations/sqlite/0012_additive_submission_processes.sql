-- The process that takes a submission in; of those that an earlier version began, it is not known.
ALTER TABLE submissions ADD COLUMN process BLOB;
