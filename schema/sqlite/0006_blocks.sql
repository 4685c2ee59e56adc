-- Blocks of an archive: how many messages it has, and where those of a correspondent stand.
--
-- Once released, this file is never edited: a change is a new file beside it.

-- A stretch of an owner's archive: the ids above the `last` of the block before it, up to `last`.
-- Blocks begin at the oldest message and have no gaps; they are made when somebody asks for what
-- needs them, so the newest messages are in none. rows: how many messages the block had when it was
-- made; NULL once some of them are forgotten.
CREATE TABLE archive_block (
    owner INTEGER NOT NULL REFERENCES owner (number) ON DELETE CASCADE,
    last  INTEGER NOT NULL,
    rows  INTEGER,
    PRIMARY KEY (owner, last)
) WITHOUT ROWID;

-- Who writes in a block. peer: the bare address of the other side. rows: so many messages were to or
-- from it when the block was made.
CREATE TABLE archive_block_peer (
    owner INTEGER NOT NULL REFERENCES owner (number) ON DELETE CASCADE,
    peer  TEXT    NOT NULL,
    last  INTEGER NOT NULL,
    rows  INTEGER NOT NULL,
    PRIMARY KEY (owner, peer, last)
) WITHOUT ROWID;

-- For forgetting the oldest.
CREATE INDEX archive_block_peer_by_block ON archive_block_peer (owner, last);
