-- What each account was given slots for (XEP-0363), by hours since 1970: the quota of a day is a sum of these. What is
-- older than a day is removed with the next slot.
--
-- Once released, this file is never edited: a change is a new file beside it.

CREATE TABLE upload_hour (
    owner INTEGER NOT NULL REFERENCES owner (number) ON DELETE CASCADE,
    hour  BIGINT  NOT NULL,
    bytes BIGINT  NOT NULL,
    PRIMARY KEY (owner, hour)
) WITHOUT ROWID;
