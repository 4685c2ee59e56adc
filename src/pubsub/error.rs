//! The errors of XEP-0060: a condition, and in most cases a condition of its own (§16.5).

use crate::payload::node_config::ConfigError;
use crate::stanza::{Condition, ErrorKind, StanzaError};
use crate::xml::{Node, element};

/// An error of XEP-0060.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Problem {
    /// The node is for a whitelist, and the sender is not on it.
    ClosedNode,
    /// The sender may not do this.
    Forbidden,
    /// The options of a subscription are invalid.
    InvalidOptions,
    /// The parent is a leaf, a collection would become a leaf or contain itself (XEP-0248 §7.2.3).
    InvalidGraph,
    /// The subscriber is not the sender.
    InvalidJid,
    /// An item has not one payload, or one of another namespace than the node.
    InvalidPayload,
    /// There is no subscription with this identifier.
    InvalidSubid,
    /// The node takes no items, only notifications.
    ItemForbidden,
    /// An item, or its identifier, is missing.
    ItemRequired,
    /// The address of the subscriber is missing.
    JidRequired,
    /// There are as many items as the node takes.
    NodeFull,
    /// The name of a node is missing.
    NodeidRequired,
    /// The node, or what was asked for, does not exist.
    NotFound,
    /// The sender is in none of the roster groups.
    NotInRosterGroup,
    /// There is no such subscription.
    NotSubscribed,
    /// Only subscribers read the node.
    ReaderNotSubscribed,
    /// The request does not say what it wants, or more than one thing.
    Malformed,
    /// A payload is too long.
    PayloadTooBig,
    /// A payload is missing.
    PayloadRequired,
    /// The subscription waits for an owner.
    PendingSubscription,
    /// The node has another configuration than a publication demands.
    PreconditionNotMet,
    /// The sender does not see the presence of the owner.
    PresenceSubscriptionRequired,
    /// The subscriber is subscribed to this collection with another depth (XEP-0248 §6.1.3).
    SubscribedOtherwise,
    /// The address has several subscriptions, and the request names none.
    SubidRequired,
    /// A collection, or the way up from a node, has too many nodes (XEP-0248 §7.2.3.3).
    TooManyNodes,
    /// More items at once than the node, or a request, holds.
    TooManyItems,
    /// The node has too many subscriptions.
    TooManySubscriptions,
    /// The root belongs to nobody (XEP-0248 §7.4.3.1).
    RootNode,
    /// This is not implemented, or not allowed at this node.
    Unsupported(&'static str),
    /// There is no such access model.
    UnsupportedAccessModel,
    /// A form contains something invalid.
    NotAcceptable,
    /// The items of the node are not stored.
    NotPersistent,
    /// A node of this name exists.
    Exists,
}

impl Problem {
    /// The general condition, and what the sender may do.
    #[must_use]
    pub fn condition(self) -> (Condition, ErrorKind) {
        use Condition as C;
        let condition = match self {
            Self::ClosedNode
            | Self::InvalidGraph
            | Self::RootNode
            | Self::TooManyItems
            | Self::TooManyNodes => C::NotAllowed,
            Self::Forbidden => C::Forbidden,
            Self::InvalidOptions
            | Self::InvalidJid
            | Self::InvalidPayload
            | Self::ItemForbidden
            | Self::ItemRequired
            | Self::JidRequired
            | Self::Malformed
            | Self::NodeidRequired
            | Self::PayloadRequired
            | Self::SubidRequired => C::BadRequest,
            Self::InvalidSubid
            | Self::NotAcceptable
            | Self::PayloadTooBig
            | Self::UnsupportedAccessModel => C::NotAcceptable,
            Self::NodeFull
            | Self::PreconditionNotMet
            | Self::SubscribedOtherwise
            | Self::Exists => C::Conflict,
            Self::NotFound => C::ItemNotFound,
            Self::NotInRosterGroup
            | Self::PendingSubscription
            | Self::PresenceSubscriptionRequired
            | Self::ReaderNotSubscribed => C::NotAuthorized,
            // §6.2.3.2
            Self::NotSubscribed => return (C::UnexpectedRequest, ErrorKind::Cancel),
            // §6.1.3.9
            Self::TooManySubscriptions => return (C::PolicyViolation, ErrorKind::Wait),
            Self::Unsupported(_) | Self::NotPersistent => C::FeatureNotImplemented,
        };
        (condition, condition.kind())
    }

    /// Its own condition.
    fn detail(self) -> Option<Node> {
        let name = match self {
            Self::ClosedNode => "closed-node",
            Self::InvalidGraph | Self::InvalidOptions => "invalid-options",
            Self::InvalidJid => "invalid-jid",
            Self::InvalidPayload => "invalid-payload",
            Self::InvalidSubid => "invalid-subid",
            Self::ItemForbidden => "item-forbidden",
            Self::ItemRequired => "item-required",
            Self::JidRequired => "jid-required",
            Self::NodeFull => "node-full",
            Self::NodeidRequired => "nodeid-required",
            Self::NotInRosterGroup => "not-in-roster-group",
            Self::NotSubscribed | Self::ReaderNotSubscribed => "not-subscribed",
            Self::PayloadTooBig => "payload-too-big",
            Self::PayloadRequired => "payload-required",
            Self::PendingSubscription => "pending-subscription",
            Self::PreconditionNotMet => "precondition-not-met",
            Self::PresenceSubscriptionRequired => "presence-subscription-required",
            Self::SubidRequired => "subid-required",
            Self::TooManyItems => "max-items-exceeded",
            Self::TooManyNodes => "max-nodes-exceeded",
            Self::TooManySubscriptions => "too-many-subscriptions",
            Self::UnsupportedAccessModel => "unsupported-access-model",
            Self::Unsupported(feature) => return Some(unsupported(feature)),
            Self::NotPersistent => return Some(unsupported("persistent-items")),
            Self::Exists
            | Self::Forbidden
            | Self::Malformed
            | Self::NotAcceptable
            | Self::NotFound
            | Self::RootNode
            | Self::SubscribedOtherwise => return None,
        };
        Some(element(name).ns(NS))
    }
}

fn unsupported(feature: &str) -> Node {
    element("unsupported").ns(NS).attr("feature", feature)
}

impl From<Problem> for StanzaError {
    fn from(problem: Problem) -> Self {
        let (condition, kind) = problem.condition();
        Self { condition, kind, text: None, detail: problem.detail(), refused: None, by: None }
    }
}

impl From<ConfigError> for Problem {
    fn from(error: ConfigError) -> Self {
        match error {
            ConfigError::AccessModel => Self::UnsupportedAccessModel,
            ConfigError::Leaf => Self::InvalidGraph,
            ConfigError::Value | ConfigError::Unknown => Self::NotAcceptable,
        }
    }
}

/// The namespace of these conditions (§16.5).
const NS: &str = "http://jabber.org/protocol/pubsub#errors";

#[cfg(test)]
mod tests {
    use super::*;

    /// Each error as the text shows it: the general condition, its type, its own condition.
    #[test]
    fn errors_are_those_of_the_text() {
        let cases = [
            (Problem::InvalidJid, "bad-request", "modify", "invalid-jid"),
            (
                Problem::PresenceSubscriptionRequired,
                "not-authorized",
                "auth",
                "presence-subscription-required",
            ),
            (Problem::NotInRosterGroup, "not-authorized", "auth", "not-in-roster-group"),
            (Problem::ClosedNode, "not-allowed", "cancel", "closed-node"),
            (Problem::PendingSubscription, "not-authorized", "auth", "pending-subscription"),
            (Problem::TooManySubscriptions, "policy-violation", "wait", "too-many-subscriptions"),
            (Problem::Unsupported("subscribe"), "feature-not-implemented", "cancel", "unsupported"),
            (Problem::NotSubscribed, "unexpected-request", "cancel", "not-subscribed"),
            (Problem::ReaderNotSubscribed, "not-authorized", "auth", "not-subscribed"),
            (Problem::TooManyItems, "not-allowed", "cancel", "max-items-exceeded"),
            (Problem::InvalidSubid, "not-acceptable", "modify", "invalid-subid"),
            (Problem::JidRequired, "bad-request", "modify", "jid-required"),
            (Problem::InvalidOptions, "bad-request", "modify", "invalid-options"),
            (Problem::NodeFull, "conflict", "cancel", "node-full"),
            (Problem::PayloadTooBig, "not-acceptable", "modify", "payload-too-big"),
            (Problem::InvalidPayload, "bad-request", "modify", "invalid-payload"),
            (Problem::ItemRequired, "bad-request", "modify", "item-required"),
            (Problem::PayloadRequired, "bad-request", "modify", "payload-required"),
            (Problem::ItemForbidden, "bad-request", "modify", "item-forbidden"),
            (Problem::NodeidRequired, "bad-request", "modify", "nodeid-required"),
            (Problem::PreconditionNotMet, "conflict", "cancel", "precondition-not-met"),
            (
                Problem::UnsupportedAccessModel,
                "not-acceptable",
                "modify",
                "unsupported-access-model",
            ),
            (Problem::NotPersistent, "feature-not-implemented", "cancel", "unsupported"),
            (Problem::SubidRequired, "bad-request", "modify", "subid-required"),
            (Problem::InvalidGraph, "not-allowed", "cancel", "invalid-options"),
            (Problem::TooManyNodes, "not-allowed", "cancel", "max-nodes-exceeded"),
            (Problem::SubscribedOtherwise, "conflict", "cancel", ""),
            (Problem::RootNode, "not-allowed", "cancel", ""),
            (Problem::Forbidden, "forbidden", "auth", ""),
            (Problem::NotFound, "item-not-found", "cancel", ""),
            (Problem::Exists, "conflict", "cancel", ""),
        ];
        for (problem, condition, kind, detail) in cases {
            let error = StanzaError::from(problem);
            assert_eq!((error.condition.as_str(), error.kind.as_str()), (condition, kind));
            let xml = error.detail.map(|node| node.to_bytes()).unwrap_or_default();
            let xml = String::from_utf8(xml).unwrap();
            assert!(xml.starts_with(&format!("<{detail}")) || detail.is_empty(), "{xml}");
            assert_eq!(xml.is_empty(), detail.is_empty(), "{problem:?}");
        }
        let error = StanzaError::from(Problem::Unsupported("publish"));
        let xml = String::from_utf8(error.detail.unwrap().to_bytes()).unwrap();
        assert!(xml.contains("feature='publish'"), "{xml}");
    }
}
