//! Stanza errors (RFC 6120 §8.3).
//!
//! An error that is sent to a peer consists of a condition and a fixed sentence. It never contains the
//! text of an internal error.

use crate::jid::Jid;
use crate::ns;
use crate::xml::{Node, element};

/// An error that a peer is told about its stanza.
#[derive(Clone, Debug)]
pub struct StanzaError {
    /// What went wrong.
    pub condition: Condition,
    /// What the sender may do about it.
    pub kind: ErrorKind,
    /// A fixed sentence in English, for people who debug.
    pub text: Option<&'static str>,
    /// A condition of the application (RFC 6120 §8.3.4).
    pub detail: Option<Node>,
    /// What stands beside the error: the part of the request that was refused (RFC 6120 §8.3.1), as XEP-0060
    /// §8.8.2.4 wants it.
    pub refused: Option<Box<Node>>,
    /// Who says so, if it is not the address to which the stanza was sent (RFC 6120 §8.3.1).
    pub by: Option<Box<Jid>>,
}

/// What the sender may do (RFC 6120 §8.3.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ErrorKind {
    /// Retry after giving credentials.
    Auth,
    /// Do not retry.
    Cancel,
    /// Proceed; it was a warning.
    Continue,
    /// Retry after changing what was sent.
    Modify,
    /// Retry later.
    Wait,
}

macro_rules! conditions {
    ($($(#[$doc:meta])* $variant:ident $name:literal $kind:ident $code:literal,)*) => {
        /// What went wrong (RFC 6120 §8.3.3).
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum Condition { $($(#[$doc])* $variant,)* }

        impl Condition {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name of its element.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The kind that usually goes with it.
            #[must_use]
            pub fn kind(self) -> ErrorKind {
                match self { $(Self::$variant => ErrorKind::$kind,)* }
            }

            /// The error code for clients from before 2004 (XEP-0086).
            #[must_use]
            pub fn code(self) -> u16 {
                match self { $(Self::$variant => $code,)* }
            }
        }
    };
}

conditions! {
    /// The stanza is malformed.
    BadRequest "bad-request" Modify 400,
    /// It exists already.
    Conflict "conflict" Cancel 409,
    /// This feature is not implemented.
    FeatureNotImplemented "feature-not-implemented" Cancel 501,
    /// The sender may not do this.
    Forbidden "forbidden" Auth 403,
    /// The recipient has moved permanently.
    Gone "gone" Cancel 302,
    /// The server has failed.
    InternalServerError "internal-server-error" Cancel 500,
    /// There is no such item.
    ItemNotFound "item-not-found" Cancel 404,
    /// The address is malformed.
    JidMalformed "jid-malformed" Modify 400,
    /// The stanza breaks a rule of the recipient.
    NotAcceptable "not-acceptable" Modify 406,
    /// Nobody may do this.
    NotAllowed "not-allowed" Cancel 405,
    /// The sender must log in first.
    NotAuthorized "not-authorized" Auth 401,
    /// It is against a local policy: too much, too long, or too often.
    PolicyViolation "policy-violation" Modify 402,
    /// The recipient is offline.
    RecipientUnavailable "recipient-unavailable" Wait 404,
    /// The recipient is temporarily at another address.
    Redirect "redirect" Modify 302,
    /// The sender must register first.
    RegistrationRequired "registration-required" Auth 407,
    /// There is no such server, or it cannot be reached.
    RemoteServerNotFound "remote-server-not-found" Cancel 404,
    /// The remote server does not answer in time.
    RemoteServerTimeout "remote-server-timeout" Wait 504,
    /// The server or an account has reached a limit.
    ResourceConstraint "resource-constraint" Wait 500,
    /// The service is not offered. Also the answer for accounts that do not exist.
    ServiceUnavailable "service-unavailable" Cancel 503,
    /// The sender needs a subscription first.
    SubscriptionRequired "subscription-required" Auth 407,
    /// None of the other conditions fits.
    UndefinedCondition "undefined-condition" Cancel 500,
    /// The request comes at the wrong time.
    UnexpectedRequest "unexpected-request" Wait 400,
}

impl Condition {
    /// An error with this condition and a sentence.
    #[must_use]
    pub fn text(self, text: &'static str) -> StanzaError {
        StanzaError { text: Some(text), ..self.into() }
    }
}

impl From<Condition> for StanzaError {
    fn from(condition: Condition) -> Self {
        Self {
            condition,
            kind: condition.kind(),
            text: None,
            detail: None,
            refused: None,
            by: None,
        }
    }
}

impl StanzaError {
    /// The same error with another kind than the usual one.
    #[must_use]
    pub fn kind(mut self, kind: ErrorKind) -> Self {
        self.kind = kind;
        self
    }

    /// The same error, said by this address.
    #[must_use]
    pub fn by(mut self, by: &Jid) -> Self {
        self.by.get_or_insert_with(|| Box::new(by.clone()));
        self
    }

    /// The `<error/>` element.
    pub fn to_node(&self) -> Node {
        let mut node = element("error")
            .attr("code", self.condition.code().to_string())
            .attr("type", self.kind.as_str())
            .maybe_attr("by", self.by.as_ref().map(|by| by.as_str()))
            .child(element(self.condition.as_str()).ns(ns::STANZA_ERRORS));
        if let Some(text) = self.text {
            node =
                node.child(element("text").ns(ns::STANZA_ERRORS).attr("xml:lang", "en").text(text));
        }
        if let Some(detail) = &self.detail {
            node = node.child(detail.clone());
        }
        node
    }
}

impl ErrorKind {
    /// The kind as it is written in XML.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Cancel => "cancel",
            Self::Continue => "continue",
            Self::Modify => "modify",
            Self::Wait => "wait",
        }
    }
}
