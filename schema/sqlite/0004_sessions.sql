-- Sessions that have ended are found without a walk through all that are remembered.
--
-- Once released, this file is never edited: a change is a new file beside it.

CREATE INDEX resumable_by_end ON resumable (ended);
