-- Invitations (XEP-0379, XEP-0401, XEP-0445).
--
-- Once released, this file is never edited: a change is a new file beside it.

-- id: half of the SHA-256 of the token, which is not stored. owner: the account that invites, or the host.
-- kind: 0 to make an account, 1 to become a contact. also: the other of the two, too. name: the address that is
-- reserved for the new account. uses: how often it can still be used. Times are microseconds since 1970.
CREATE TABLE invitation (
    id      BLOB    NOT NULL PRIMARY KEY,
    owner   INTEGER NOT NULL REFERENCES owner (number) ON DELETE CASCADE,
    kind    INTEGER NOT NULL,
    also    BOOLEAN NOT NULL,
    name    TEXT,
    uses    BIGINT  NOT NULL,
    created BIGINT  NOT NULL,
    expires BIGINT  NOT NULL
) WITHOUT ROWID;

CREATE INDEX invitation_by_owner ON invitation (owner, created, id);
CREATE INDEX invitation_by_name ON invitation (name) WHERE name IS NOT NULL;
CREATE INDEX invitation_expiry ON invitation (expires);
