-- The newest rows of all archives, apart from the others until there are many for each owner: then a
-- page of the large table is written once for all of them.
--
-- Once released, this file is never edited: a change is a new file beside it.

-- As `archive`. Of one owner, all rows here are newer than those there.
CREATE TABLE archive_recent (
    owner INTEGER NOT NULL REFERENCES owner (number) ON DELETE CASCADE,
    id    INTEGER NOT NULL,
    peer  TEXT    NOT NULL,
    way   INTEGER NOT NULL,
    PRIMARY KEY (owner, id)
) WITHOUT ROWID;

-- What is read.
CREATE VIEW archived AS
    SELECT owner, id, peer, way FROM archive
    UNION ALL
    SELECT owner, id, peer, way FROM archive_recent;
