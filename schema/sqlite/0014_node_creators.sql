-- The share of each creator of nodes at a service (XEP-0060).
--
-- Once released, this file is never edited: a change is a new file beside it.

CREATE INDEX pubsub_node_by_creator ON pubsub_node (creator, owner);
