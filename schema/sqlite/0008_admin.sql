-- Administrators: accounts that may give the administrator's commands by their chat clients.
--
-- Once released, this file is never edited: a change is a new file beside it.

ALTER TABLE account ADD COLUMN admin BOOLEAN NOT NULL DEFAULT FALSE;

CREATE INDEX account_admin ON account (owner) WHERE admin;
