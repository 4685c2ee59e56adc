-- Archives in segments: rows that came in the same time stand together, so that a write never meets
-- what was written long ago.
--
-- Once released, this file is never edited: a change is a new file beside it.

-- As `archive` was, but for the segment. Only the highest segment grows. The rows of an owner go
-- before the owner does.
CREATE TABLE archive_row (
    segment INTEGER NOT NULL,
    owner   INTEGER NOT NULL,
    id      INTEGER NOT NULL,
    peer    TEXT    NOT NULL,
    way     INTEGER NOT NULL,
    PRIMARY KEY (segment, owner, id)
) WITHOUT ROWID;

-- So many segments are a volume, with an index of its own. first: no id in it is lower, and none in
-- the ones before it is as high.
CREATE TABLE archive_volume (
    number INTEGER PRIMARY KEY,
    first  INTEGER NOT NULL
);

-- The index: where the rows of an owner stand. first: as above, of the owner's ids.
CREATE TABLE archive_segment (
    volume  INTEGER NOT NULL,
    owner   INTEGER NOT NULL,
    first   INTEGER NOT NULL,
    segment INTEGER NOT NULL,
    PRIMARY KEY (volume, owner, first)
) WITHOUT ROWID;

INSERT INTO archive_volume VALUES (0, 0);
INSERT INTO archive_row SELECT 0, owner, id, peer, way FROM archive ORDER BY owner, id;
INSERT INTO archive_segment SELECT 0, owner, min(id), 0 FROM archive GROUP BY owner;
DROP TABLE archive;

-- What is read: by owner, in the order of `volume`, `first` and `id`.
CREATE VIEW archive AS
    SELECT s.owner, v.number AS volume, v.first AS volume_first, s.first, a.id, a.peer, a.way
    FROM archive_volume v
    CROSS JOIN archive_segment s ON s.volume = v.number
    CROSS JOIN archive_row a ON a.segment = s.segment AND a.owner = s.owner;
