-- Several nodes on one database (docs/decisions/0014-many-writers.md). The lowest 10 bits of a message's
-- id and of a session's number are the node that made it.
--
-- Once released, this file is never edited: a change is a new file beside it.

-- Ids up to this one are microseconds without a node. 8 bytes, most significant first.
INSERT INTO setting (name, value)
    SELECT 'nodeless_ids', unhex(printf('%016x', seq)) FROM sqlite_sequence WHERE name = 'message';

-- The node on which the session began.
ALTER TABLE resumable ADD COLUMN node INTEGER NOT NULL DEFAULT 0;
