-- Push registrations (XEP-0357).
--
-- Once released, this file is never edited: a change is a new file beside it.

CREATE TABLE push_registration (
    owner        INTEGER NOT NULL REFERENCES owner (number) ON DELETE CASCADE,
    service      TEXT    NOT NULL,
    -- Empty: none.
    node         TEXT    NOT NULL,
    -- The form that goes with each notification.
    options      TEXT,
    -- The device: the id of its installation, or, if the id is not known, its resource.
    installation TEXT,
    resource     TEXT,
    -- Microseconds since 1970.
    registered   BIGINT  NOT NULL,
    PRIMARY KEY (owner, service, node)
) WITHOUT ROWID;
