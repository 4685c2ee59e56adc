-- Rooms of group chats (XEP-0045).
--
-- Once released, this file is never edited: a change is a new file beside it.

-- jid, domain: those of the owner, so that rooms are listed without a walk through accounts.
-- is_awake: a server begins with this room, because somebody is in it, or because it is not persistent.
-- searched: what words are looked for in, in lower case: local part, name and description.
-- settings, subject, extra: as the engine writes them. Times are microseconds since 1970.
CREATE TABLE room (
    owner         INTEGER NOT NULL PRIMARY KEY REFERENCES owner (number) ON DELETE CASCADE,
    jid           TEXT    NOT NULL,
    domain        TEXT    NOT NULL,
    creator       TEXT    NOT NULL,
    created       BIGINT  NOT NULL,
    is_public     BOOLEAN NOT NULL,
    is_persistent BOOLEAN NOT NULL,
    is_awake      BOOLEAN NOT NULL,
    language      TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    description   TEXT    NOT NULL,
    searched      TEXT    NOT NULL,
    settings      TEXT    NOT NULL,
    subject       TEXT,
    extra         TEXT
);

CREATE UNIQUE INDEX room_by_domain ON room (domain, jid);
CREATE INDEX room_public ON room (domain, jid) WHERE is_public;
CREATE INDEX room_awake ON room (jid) WHERE is_awake;
CREATE INDEX room_by_creator ON room (creator, domain);

-- affiliation: 0 none, 1 owner, 2 admin, 3 member, 4 outcast. since: when the user got it.
-- nick: the one that is registered. version: of the last change of this user in this room.
CREATE TABLE room_member (
    owner       INTEGER NOT NULL REFERENCES room (owner) ON DELETE CASCADE,
    jid         TEXT    NOT NULL,
    affiliation INTEGER NOT NULL,
    nick        TEXT,
    reason      TEXT,
    since       BIGINT  NOT NULL,
    version     BIGINT  NOT NULL,
    PRIMARY KEY (owner, jid)
) WITHOUT ROWID;

CREATE INDEX room_member_by_jid ON room_member (jid) WHERE affiliation > 0;

-- Who is in the room. Rows may be large (presence), so they are not part of a clustered key.
CREATE TABLE room_occupant (
    owner   INTEGER NOT NULL REFERENCES room (owner) ON DELETE CASCADE,
    session TEXT    NOT NULL,
    nick    TEXT    NOT NULL,
    data    TEXT    NOT NULL,
    UNIQUE (owner, session)
);
