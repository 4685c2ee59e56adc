-- The archive (XEP-0313), marks for what is not delivered yet, sessions that can be resumed.
--
-- Once released, this file is never edited: a change is a new file beside it.
-- The body of a message stands once (`message`), under an id that grows: microseconds since 1970 from
-- now on, small numbers for what waited before. Who holds it is a narrow row for each owner.

-- How many owners hold the body, by a row of `archive` or of `waiting` or both. What waited before
-- this step is held by the one who waits for it.
ALTER TABLE message ADD COLUMN holders INTEGER NOT NULL DEFAULT 1;

-- The owner holds it by this mark alone: when the mark falls, it is gone.
ALTER TABLE waiting ADD COLUMN alone BOOLEAN NOT NULL DEFAULT 1;

-- way: 0 received, 1 sent. peer: the whole address of the other side.
CREATE TABLE archive (
    owner INTEGER NOT NULL REFERENCES owner (number) ON DELETE CASCADE,
    id    INTEGER NOT NULL,
    peer  TEXT    NOT NULL,
    way   INTEGER NOT NULL,
    PRIMARY KEY (owner, id)
) WITHOUT ROWID;

-- Sessions that can be resumed (XEP-0198 section 5). ended: since when there is none any more.
-- state: what a server that ended in good order left for the next one.
CREATE TABLE resumable (
    number   INTEGER PRIMARY KEY,
    owner    INTEGER NOT NULL REFERENCES owner (number) ON DELETE CASCADE,
    resource TEXT    NOT NULL,
    key      TEXT    NOT NULL UNIQUE,
    ended    BIGINT,
    state    BLOB
);

CREATE INDEX resumable_by_owner ON resumable (owner);

-- How many stanzas of its client a session has handled (h), written with the messages among them.
-- Apart from `resumable`, as it changes with each message.
CREATE TABLE handled (
    session INTEGER PRIMARY KEY,
    count   BIGINT NOT NULL
);
