-- Nodes of accounts (XEP-0163) and of services (XEP-0060), with their items.
--
-- Once released, this file is never edited: a change is a new file beside it.

-- config: as the engine writes it. last_position: of the last item that was published; positions are never
-- used again. items, bytes: sums, so that no publication counts all items. bytes counts for the quota.
CREATE TABLE pubsub_node (
    number        INTEGER PRIMARY KEY AUTOINCREMENT,
    owner         INTEGER NOT NULL REFERENCES owner (number) ON DELETE CASCADE,
    name          TEXT    NOT NULL,
    creator       TEXT    NOT NULL,
    created       BIGINT  NOT NULL,
    config        TEXT    NOT NULL,
    last_position BIGINT  NOT NULL,
    items         BIGINT  NOT NULL,
    bytes         BIGINT  NOT NULL,
    UNIQUE (owner, name)
);

-- position: the order of publication (XEP-0060 section 12.18). Rows may be large (pictures), so they are
-- not part of a clustered key.
CREATE TABLE pubsub_item (
    node      INTEGER NOT NULL REFERENCES pubsub_node (number) ON DELETE CASCADE,
    position  BIGINT  NOT NULL,
    id        TEXT    NOT NULL,
    publisher TEXT    NOT NULL,
    published BIGINT  NOT NULL,
    payload   BLOB    NOT NULL,
    UNIQUE (node, position),
    UNIQUE (node, id)
);

-- affiliation: 1 owner, 2 publisher, 3 publish-only, 4 member, 5 outcast.
CREATE TABLE pubsub_affiliation (
    node        INTEGER NOT NULL REFERENCES pubsub_node (number) ON DELETE CASCADE,
    jid         TEXT    NOT NULL,
    affiliation INTEGER NOT NULL,
    PRIMARY KEY (node, jid)
) WITHOUT ROWID;

CREATE INDEX pubsub_affiliation_by_jid ON pubsub_affiliation (jid);

-- bare: the bare address of jid. state: 1 pending, 2 subscribed. options: as the engine writes them.
CREATE TABLE pubsub_subscription (
    node    INTEGER NOT NULL REFERENCES pubsub_node (number) ON DELETE CASCADE,
    subid   TEXT    NOT NULL,
    jid     TEXT    NOT NULL,
    bare    TEXT    NOT NULL,
    state   INTEGER NOT NULL,
    options TEXT    NOT NULL,
    PRIMARY KEY (node, subid)
) WITHOUT ROWID;

CREATE INDEX pubsub_subscription_by_jid ON pubsub_subscription (bare);
