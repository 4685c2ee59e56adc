//! The two profiles of SASL: what their elements look like, and what a client asks for with XEP-0388.

use std::borrow::Cow;
use std::sync::Arc;

use crate::auth::{self, MechanismName, SaslError, TokenLogin, UPGRADES, UserAgent, upgrade_name};
use crate::ns;
use crate::storage::ScramHash;
use crate::xml::{ElementRef, Frame, Node, element};

/// How the elements of a login look.
#[derive(Clone, Debug)]
pub(super) enum Profile {
    /// RFC 6120 §6. A new stream begins after the login.
    Sasl,
    /// XEP-0388. The stream goes on, and the client has said what it wants then.
    Sasl2(Box<Inline>),
}

impl Profile {
    /// The namespace of its elements.
    pub(super) fn ns(&self) -> &'static str {
        match self {
            Self::Sasl => ns::SASL,
            Self::Sasl2(_) => ns::SASL2,
        }
    }

    /// An element with data of the mechanism.
    pub(super) fn with_data(&self, name: &'static str, data: &[u8]) -> Node {
        // Empty data is `=` only in an initial response (RFC 6120 §6.4.2).
        let data = if data.is_empty() { String::new() } else { auth::encode(data) };
        element(name).ns(self.ns()).text(&data)
    }

    /// `<failure/>` (RFC 6120 §6.4.5, XEP-0388 §2.6.2).
    pub(super) fn failure(&self, error: SaslError) -> Node {
        let condition = element(error.condition());
        let condition = match self {
            Self::Sasl => condition,
            Self::Sasl2(_) => condition.ns(ns::SASL),
        };
        element("failure").ns(self.ns()).child(condition)
    }

    /// `<success/>` of XEP-0388 §2.6.1.
    pub(super) fn success(
        &mut self,
        address: &str,
        results: impl IntoIterator<Item = Node>,
    ) -> Node {
        let success = element("success").ns(ns::SASL2);
        let Self::Sasl2(inline) = self else { return success };
        let address = element("authorization-identifier").text(address);
        let success = success.children(inline.data_node()).child(address);
        success.children(inline.failed.take()).children(results).children(inline.token.take())
    }
}

/// What a client wants once it is logged in, and what has come of it.
#[derive(Clone, Debug)]
pub(crate) struct Inline {
    /// `<authenticate/>`, with all its requests.
    pub(super) request: Frame,
    /// The data of the mechanism for `<success/>`.
    pub(super) data: Option<Vec<u8>>,
    /// `<failed/>`: the session could not be resumed.
    pub(super) failed: Option<Node>,
    /// `<token/>`.
    pub(super) token: Option<Node>,
}

impl Inline {
    /// The request to bind a session, if there is one.
    pub(crate) fn bind(&self) -> Option<ElementRef<'_>> {
        self.request.root().child(NS_BIND, "bind")
    }

    /// The id of the client's installation (XEP-0388 §2.3), if it is one.
    pub(crate) fn installation(&self) -> Option<Arc<str>> {
        self.user_agent().id
    }

    /// What the client says of itself (XEP-0388 §2.3).
    pub(crate) fn user_agent(&self) -> UserAgent {
        let Some(agent) = self.child(ns::SASL2, "user-agent") else { return UserAgent::default() };
        let text = |name| agent.child(ns::SASL2, name).map(|child| child.text());
        let id = agent.attr("id");
        UserAgent::new(id.as_deref(), text("software").as_deref(), text("device").as_deref())
    }

    /// The mechanism for which the client wants a token (XEP-0484 §3.2).
    pub(crate) fn wanted_token(&self) -> Option<MechanismName> {
        self.child(NS_FAST, "request-token")?.attr("mechanism")?.parse().ok()
    }

    /// The client has logged in before it read the features, and expects others than those of this version (XEP-0509
    /// §2.2). A client that says nothing about it expects none. The same text is a match in every scheme.
    pub(super) fn expects_other_features(&self, version: &str) -> bool {
        self.child(NS_IAP, "config-version")
            .is_some_and(|expected| expected.attr("value").as_deref() != Some(version))
    }

    /// The upgrades that the client asks for, of those that are offered (XEP-0480 §2.2), each once.
    pub(super) fn upgrades(&self) -> Vec<ScramHash> {
        let mut wanted = Vec::new();
        let children = self.request.root().children();
        for task in children.filter(|child| child.is(NS_UPGRADE, "upgrade")) {
            let name = task.text();
            let offered = UPGRADES.into_iter().find(|hash| upgrade_name(*hash) == name);
            wanted.extend(offered.filter(|hash| !wanted.contains(hash)));
        }
        wanted
    }

    /// `<additional-data/>`: the data of the mechanism. It is told once, in `<continue/>` or in `<success/>`.
    pub(super) fn data_node(&mut self) -> Option<Node> {
        let data = self.data.take()?;
        Some(element("additional-data").text(&auth::encode(&data)))
    }

    /// What the client says of the token with which it logs in (XEP-0484 §3.4).
    pub(super) fn token_login(&self) -> Option<TokenLogin> {
        let fast = self.child(NS_FAST, "fast")?;
        let invalidate = fast.attr("invalidate").is_some_and(|v| matches!(&*v, "1" | "true"));
        Some(TokenLogin { installation: self.installation()?.to_string(), invalidate })
    }

    /// The element of this name and namespace in `<authenticate/>`.
    pub(super) fn child(&self, ns: &str, name: &str) -> Option<ElementRef<'_>> {
        self.request.root().child(ns, name)
    }
}

/// Reads base64 in an element of XEP-0388. White space should not be there, but it is in the examples: lines that are
/// indented (XEP-0388 §2.2). RFC 6120 §13.9.1 does not allow it.
pub(super) fn decode(text: &str) -> Result<Vec<u8>, SaslError> {
    let is_spaced = text.contains(|c: char| c.is_ascii_whitespace());
    let text = if is_spaced { text.split_ascii_whitespace().collect() } else { Cow::from(text) };
    auth::decode(&text)
}

/// XEP-0484.
pub(crate) const NS_FAST: &str = "urn:xmpp:fast:0";
/// XEP-0480.
pub(super) const NS_UPGRADE: &str = "urn:xmpp:sasl:upgrade:0";
/// XEP-0509.
pub(super) const NS_IAP: &str = "urn:xmpp:iap:0";
/// The scheme of the version of features: a text without a meaning (XEP-0509 §2.3.1).
pub(super) const OPAQUE: &str = "opaque";
/// XEP-0386.
pub(super) const NS_BIND: &str = "urn:xmpp:bind:0";
