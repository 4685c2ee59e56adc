-- Accounts with their keys, rosters, messages that wait, documents.
--
-- Once released, this file is never edited: a change is a new file beside it.
-- Times are microseconds since 1970 (UTC). An owner is a number, so that rows stay narrow; the
-- number of an owner is never used again, so that nothing can be inherited.

PRAGMA application_id = 1465407303; -- "WXWG"

-- Everybody for whom something is kept. Most have an account.
CREATE TABLE owner (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    jid    TEXT    NOT NULL UNIQUE,
    domain TEXT    NOT NULL
);

CREATE INDEX owner_by_domain ON owner (domain, jid);

CREATE TABLE account (
    owner      INTEGER NOT NULL PRIMARY KEY REFERENCES owner (number) ON DELETE CASCADE,
    created    BIGINT  NOT NULL,
    last_login BIGINT
);

-- RFC 5802 section 3. hash: 1, 256 or 512, as in SCRAM-SHA-256.
CREATE TABLE scram_keys (
    owner      INTEGER NOT NULL REFERENCES owner (number) ON DELETE CASCADE,
    hash       INTEGER NOT NULL,
    iterations INTEGER NOT NULL,
    salt       BLOB    NOT NULL,
    stored_key BLOB    NOT NULL,
    server_key BLOB    NOT NULL,
    PRIMARY KEY (owner, hash)
) WITHOUT ROWID;

-- The version outlives the items: it only grows (RFC 6121 section 2.6).
CREATE TABLE roster (
    owner   INTEGER NOT NULL PRIMARY KEY REFERENCES owner (number) ON DELETE CASCADE,
    version BIGINT  NOT NULL
);

-- subscription: 0 none, 1 to, 2 from, 3 both. groups: a JSON array of strings.
CREATE TABLE roster_item (
    owner        INTEGER NOT NULL REFERENCES owner (number) ON DELETE CASCADE,
    jid          TEXT    NOT NULL,
    name         TEXT    NOT NULL,
    groups       TEXT    NOT NULL,
    subscription INTEGER NOT NULL,
    pending_out  BOOLEAN NOT NULL,
    pending_in   TEXT,
    approved     BOOLEAN NOT NULL,
    listed       BOOLEAN NOT NULL,
    PRIMARY KEY (owner, jid)
) WITHOUT ROWID;

-- The one copy of a message. Ids grow and are never used again.
CREATE TABLE message (
    id  INTEGER PRIMARY KEY AUTOINCREMENT,
    at  BIGINT  NOT NULL,
    xml BLOB    NOT NULL
);

-- Who has not got which message yet (XEP-0160).
CREATE TABLE waiting (
    owner   INTEGER NOT NULL REFERENCES owner (number) ON DELETE CASCADE,
    message INTEGER NOT NULL,
    PRIMARY KEY (owner, message)
) WITHOUT ROWID;

-- Rows may be large (a vCard with a picture), so they are not part of a clustered key.
CREATE TABLE document (
    owner INTEGER NOT NULL REFERENCES owner (number) ON DELETE CASCADE,
    kind  TEXT    NOT NULL,
    key   TEXT    NOT NULL,
    xml   TEXT    NOT NULL,
    UNIQUE (owner, kind, key)
);

-- What belongs to the server itself.
CREATE TABLE setting (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;
