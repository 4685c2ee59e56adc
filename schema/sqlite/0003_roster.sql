-- What has changed in a roster since a version (RFC 6121 section 2.6.3).
--
-- Once released, this file is never edited: a change is a new file beside it.

-- The version of the roster with which the item got its present form; 0: before this step.
ALTER TABLE roster_item ADD COLUMN version BIGINT NOT NULL DEFAULT 0;

-- The oldest version since which all changes are known.
ALTER TABLE roster ADD COLUMN since BIGINT NOT NULL DEFAULT 0;

UPDATE roster SET since = version;

-- What is not in a roster any more, and the version with which it went. Bounded for each owner: the
-- oldest are forgotten, and `since` grows.
CREATE TABLE roster_removed (
    owner   INTEGER NOT NULL REFERENCES owner (number) ON DELETE CASCADE,
    jid     TEXT    NOT NULL,
    version BIGINT  NOT NULL,
    PRIMARY KEY (owner, jid)
) WITHOUT ROWID;
