-- Tokens for the HTTP API.
--
-- Once released, this file is never edited: a change is a new file beside it.

-- hash: SHA-256 of the secret, which is stored nowhere. scopes: words, separated by spaces. Times are microseconds
-- since 1970. expires: NULL for never. last_used: NULL if it was not used yet.
CREATE TABLE api_token (
    hash      BLOB    NOT NULL PRIMARY KEY,
    owner     INTEGER NOT NULL REFERENCES owner (number) ON DELETE CASCADE,
    id        TEXT    NOT NULL,
    name      TEXT    NOT NULL,
    scopes    TEXT    NOT NULL,
    created   BIGINT  NOT NULL,
    expires   BIGINT,
    last_used BIGINT
) WITHOUT ROWID;

CREATE UNIQUE INDEX api_token_by_owner ON api_token (owner, id);
