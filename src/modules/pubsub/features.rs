//! What is announced (XEP-0060 §10). What is not there, and why: `docs/decisions/0024-what-pubsub-leaves-out.md`.

use std::sync::LazyLock;

use crate::ns;
use crate::pubsub::headers;

/// Features of accounts and of the service.
pub(super) const OF_ALL: &[&str] = &[
    ns::PUBSUB,
    "http://jabber.org/protocol/pubsub#access-authorize",
    "http://jabber.org/protocol/pubsub#access-open",
    "http://jabber.org/protocol/pubsub#access-presence",
    "http://jabber.org/protocol/pubsub#access-roster",
    "http://jabber.org/protocol/pubsub#access-whitelist",
    "http://jabber.org/protocol/pubsub#auto-create",
    "http://jabber.org/protocol/pubsub#collections",
    "http://jabber.org/protocol/pubsub#config-node",
    "http://jabber.org/protocol/pubsub#config-node-max",
    "http://jabber.org/protocol/pubsub#create-and-configure",
    "http://jabber.org/protocol/pubsub#create-nodes",
    "http://jabber.org/protocol/pubsub#delete-items",
    "http://jabber.org/protocol/pubsub#delete-nodes",
    GET_PENDING,
    "http://jabber.org/protocol/pubsub#instant-nodes",
    "http://jabber.org/protocol/pubsub#item-ids",
    "http://jabber.org/protocol/pubsub#last-published",
    "http://jabber.org/protocol/pubsub#manage-subscriptions",
    "http://jabber.org/protocol/pubsub#member-affiliation",
    META_DATA,
    "http://jabber.org/protocol/pubsub#modify-affiliations",
    "http://jabber.org/protocol/pubsub#multi-collections",
    "http://jabber.org/protocol/pubsub#multi-items",
    "http://jabber.org/protocol/pubsub#multi-subscribe",
    "http://jabber.org/protocol/pubsub#outcast-affiliation",
    "http://jabber.org/protocol/pubsub#persistent-items",
    "http://jabber.org/protocol/pubsub#publish",
    "http://jabber.org/protocol/pubsub#publish-node-full",
    "http://jabber.org/protocol/pubsub#publish-only-affiliation",
    ns::PUBLISH_OPTIONS,
    "http://jabber.org/protocol/pubsub#publisher-affiliation",
    "http://jabber.org/protocol/pubsub#purge-nodes",
    "http://jabber.org/protocol/pubsub#retract-items",
    "http://jabber.org/protocol/pubsub#retrieve-affiliations",
    "http://jabber.org/protocol/pubsub#retrieve-default",
    "http://jabber.org/protocol/pubsub#retrieve-default-sub",
    "http://jabber.org/protocol/pubsub#retrieve-items",
    "http://jabber.org/protocol/pubsub#retrieve-subscriptions",
    "http://jabber.org/protocol/pubsub#rsm",
    "http://jabber.org/protocol/pubsub#shim",
    "http://jabber.org/protocol/pubsub#subscribe",
    "http://jabber.org/protocol/pubsub#subscription-notifications",
    "http://jabber.org/protocol/pubsub#subscription-options",
    headers::NS,
];

/// Features of the service: those of all places, that it has a command, that it looks at the presence of subscribers, and
/// that its nodes are found by their types.
pub(super) static OF_SERVICE: LazyLock<Vec<&str>> = LazyLock::new(|| {
    OF_ALL.iter().copied().chain([PRESENCE_NOTIFICATIONS, ns::COMMANDS, ns::TYPE_FILTER]).collect()
});

/// Features of the host. It has no nodes, but its accounts have (XEP-0163 §6.1).
///
/// COMPAT: Smack 4.5 (2025) uses OMEMO and copies of secret keys (XEP-0384, XEP-0373) only if it finds these at the
/// domain. ejabberd announces them there, too.
pub(super) const OF_HOST: &[&str] =
    &[ns::PUBSUB, "http://jabber.org/protocol/pubsub#access-whitelist"];

/// Features of accounts alone.
pub(super) const OF_ACCOUNTS: &[&str] = &[
    "http://jabber.org/protocol/pubsub#auto-subscribe",
    "http://jabber.org/protocol/pubsub#filtered-notifications",
    PRESENCE_NOTIFICATIONS,
    // §9.1: subscriptions by presence are those of contacts to accounts.
    "http://jabber.org/protocol/pubsub#presence-subscribe",
    // §9: an account has nodes.
    "http://jabber.org/protocol/pubsub#pubsub-on-a-jid",
];

const PRESENCE_NOTIFICATIONS: &str = "http://jabber.org/protocol/pubsub#presence-notifications";
/// Also the node of the command (XEP-0060 §8.7).
pub(super) const GET_PENDING: &str = "http://jabber.org/protocol/pubsub#get-pending";
/// Also the `FORM_TYPE` of what is told of a node (XEP-0060 §16.4.3).
pub(super) const META_DATA: &str = "http://jabber.org/protocol/pubsub#meta-data";
