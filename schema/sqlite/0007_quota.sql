-- Who sent what waits, so that nobody fills the store for the absent alone (XEP-0160). What each
-- account keeps, in bytes, and how much it may keep.
--
-- Once released, this file is never edited: a change is a new file beside it.

-- The bare address of the other side; empty for what waited before this step.
ALTER TABLE waiting ADD COLUMN sender TEXT NOT NULL DEFAULT '';

-- Of the message, whoever else holds it.
ALTER TABLE archive_row ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;

UPDATE archive_row SET bytes =
    coalesce((SELECT octet_length(m.xml) FROM message m WHERE m.id = archive_row.id), 0);

-- The sum of the owner's rows in the segment; NULL if it has to be counted.
ALTER TABLE archive_segment ADD COLUMN bytes INTEGER;

-- How many bytes the account may keep; NULL: as the configuration says.
ALTER TABLE owner ADD COLUMN quota BIGINT;

DROP VIEW archive;
CREATE VIEW archive AS
    SELECT s.owner, v.number AS volume, v.first AS volume_first, s.first, a.id, a.peer, a.way, a.bytes
    FROM archive_volume v
    CROSS JOIN archive_segment s ON s.volume = v.number
    CROSS JOIN archive_row a ON a.segment = s.segment AND a.owner = s.owner;
