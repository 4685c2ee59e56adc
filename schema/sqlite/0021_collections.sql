-- Nodes in collections (XEP-0248). A node without a row is below the root.
--
-- Once released, this file is never edited: a change is a new file beside it.

CREATE TABLE pubsub_child (
    node   INTEGER NOT NULL REFERENCES pubsub_node (number) ON DELETE CASCADE,
    parent INTEGER NOT NULL REFERENCES pubsub_node (number) ON DELETE CASCADE,
    PRIMARY KEY (node, parent)
) WITHOUT ROWID;

CREATE INDEX pubsub_child_by_parent ON pubsub_child (parent);
