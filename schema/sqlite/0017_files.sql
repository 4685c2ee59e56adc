-- Uploaded files (XEP-0363).
--
-- Once released, this file is never edited: a change is a new file beside it.

-- Contents on the disk, by their SHA-256. A content that no file has is removed.
CREATE TABLE file_content (
    hash BLOB   NOT NULL PRIMARY KEY,
    size BIGINT NOT NULL
) WITHOUT ROWID;

-- purpose: 0 message, 1 profile, 2 ephemeral, 3 permanent. Times are microseconds since 1970.
-- slot_until: until then the file may be uploaded. expires: NULL for never.
-- content: NULL until the file is uploaded.
CREATE TABLE file (
    id         BLOB    NOT NULL PRIMARY KEY,
    owner      INTEGER NOT NULL REFERENCES owner (number) ON DELETE CASCADE,
    name       TEXT    NOT NULL,
    size       BIGINT  NOT NULL,
    media_type TEXT,
    purpose    INTEGER NOT NULL,
    created    BIGINT  NOT NULL,
    slot_until BIGINT  NOT NULL,
    expires    BIGINT,
    content    BLOB REFERENCES file_content (hash)
) WITHOUT ROWID;

CREATE INDEX file_by_owner ON file (owner, created, id);
CREATE INDEX file_expiry ON file (expires) WHERE expires IS NOT NULL;
CREATE INDEX file_slot ON file (slot_until) WHERE content IS NULL;
CREATE INDEX file_by_content ON file (content) WHERE content IS NOT NULL;
