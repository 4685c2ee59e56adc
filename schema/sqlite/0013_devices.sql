-- The clients that have logged in to an account (XEP-0494).
--
-- Once released, this file is never edited: a change is a new file beside it.

-- id: that of the installation; empty for all clients that do not tell one. logins: how many there were.
-- password: the client has proven the password that the account has now.
CREATE TABLE device (
    owner      INTEGER NOT NULL REFERENCES owner (number) ON DELETE CASCADE,
    id         TEXT    NOT NULL,
    software   TEXT,
    device     TEXT,
    first_seen BIGINT  NOT NULL,
    last_seen  BIGINT  NOT NULL,
    logins     BIGINT  NOT NULL,
    password   BOOLEAN NOT NULL,
    PRIMARY KEY (owner, id)
) WITHOUT ROWID;

-- For forgetting those that were not seen for long.
CREATE INDEX device_by_last_seen ON device (last_seen);
