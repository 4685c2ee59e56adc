-- What hashes of capabilities stand for (XEP-0115, XEP-0390), those that were verified.
--
-- Once released, this file is never edited: a change is a new file beside it.

-- owner: whose client has told it first. number: later ones have higher numbers.
-- nodes: what a client with this hash wants to hear of, as a JSON array of texts.
CREATE TABLE capability (
    hash   TEXT   NOT NULL PRIMARY KEY,
    owner  BIGINT NOT NULL REFERENCES owner (number) ON DELETE CASCADE,
    number BIGINT NOT NULL UNIQUE,
    nodes  TEXT   NOT NULL
);

CREATE INDEX capability_by_owner ON capability (owner, number);
