//! The elements of dialback (XEP-0220).

use crate::ns;
use crate::stanza::{Condition, StreamCondition};
use crate::xml::{ElementRef, Header, Node, element};

use super::pair::{Pair, domain};

/// The result of checking a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// The key could not be checked (XEP-0220 §2.5).
    Error(Condition),
    /// The same: there was no connection to the server of the domain.
    Unreachable,
    /// The key is not one of the domain.
    Invalid,
    /// The domain has made the key.
    Valid,
}

impl Verdict {
    /// Reads it from the `type` of an element. `None` if there is none.
    pub(super) fn of(root: &ElementRef<'_>) -> Option<Self> {
        Some(match &*root.attr("type")? {
            "valid" => Self::Valid,
            "invalid" => Self::Invalid,
            _ => Self::Error(Condition::UndefinedCondition),
        })
    }
}

/// The pair of an element that the peer has sent: `from` is the peer's. `None` if an address is missing or wrong.
pub(super) fn pair_of(root: &ElementRef<'_>) -> Option<Pair> {
    let (from, to) = (root.attr("from"), root.attr("to"));
    Some(Pair { local: domain(to.as_deref())?, remote: domain(from.as_deref())? })
}

/// Asks the peer to take our key.
pub(super) fn ask(pair: &Pair, key: &str) -> Node {
    between("db:result", pair).text(key)
}

/// Tells the peer the result for its key.
pub(super) fn result(pair: &Pair, verdict: Verdict) -> Node {
    with_verdict(between("db:result", pair), verdict)
}

/// Asks the peer whether it has made a key for the stream with this id.
pub(super) fn verify(pair: &Pair, stream: &str, key: &str) -> Node {
    between("db:verify", pair).attr("id", stream).text(key)
}

/// Tells the peer whether we have made a key.
pub(super) fn verified(pair: &Pair, stream: &str, verdict: Verdict) -> Node {
    with_verdict(between("db:verify", pair).attr("id", stream), verdict)
}

/// The feature: its errors are known (XEP-0220 §2.4.2).
pub(super) fn feature() -> Node {
    element("dialback").ns(FEATURE).child(element("errors"))
}

/// Whether the header of a peer declares the namespace of dialback: it knows dialback, though perhaps not its errors (XEP-0220
/// §2.4.1).
pub(super) fn is_declared(header: &Header) -> bool {
    header.prefixes.iter().any(|(_, namespace)| namespace == ns::DIALBACK)
}

/// Whether the features of a peer have dialback.
pub(super) fn is_offered(features: &ElementRef<'_>) -> bool {
    features.has_child(FEATURE, "dialback")
}

fn between(name: &'static str, pair: &Pair) -> Node {
    element(name).attr("from", &pair.local).attr("to", &pair.remote)
}

fn with_verdict(node: Node, verdict: Verdict) -> Node {
    match verdict {
        Verdict::Valid => node.attr("type", "valid"),
        Verdict::Invalid => node.attr("type", "invalid"),
        Verdict::Error(condition) => with_error(node, condition.as_str()),
        // XEP-0220 §2.5 has it among the errors of stanzas.
        Verdict::Unreachable => with_error(node, StreamCondition::RemoteConnectionFailed.as_str()),
    }
}

fn with_error(node: Node, condition: &'static str) -> Node {
    let condition = element(condition).ns(ns::STANZA_ERRORS);
    let error = element("error").attr("type", "cancel").child(condition);
    node.attr("type", "error").child(error)
}

/// XEP-0220 §2.4.2.
const FEATURE: &str = "urn:xmpp:features:dialback";
