-- Subscriptions to nodes that wait for an owner (XEP-0060 section 8.7). They are few among the others.
--
-- Once released, this file is never edited: a change is a new file beside it.

-- state: 1 pending.
CREATE INDEX pubsub_subscription_pending ON pubsub_subscription (node, subid) WHERE state = 1;
