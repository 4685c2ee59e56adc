//! Stream errors (RFC 6120 §4.9). Each of them ends its stream.

use smol_str::SmolStr;

use crate::ns;
use crate::xml::{Node, element};

/// Why a stream ends.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StreamError {
    /// The condition.
    pub condition: StreamCondition,
    /// A sentence for people: a fixed one in English, or one that the operator wrote.
    pub text: Option<SmolStr>,
    /// A condition of the application (RFC 6120 §4.9.4).
    pub detail: Option<Detail>,
}

/// A condition of the application.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Detail {
    /// XEP-0198 §6: more stanzas were acknowledged than were sent.
    HandledCountTooHigh {
        /// How many stanzas the peer acknowledged.
        h: u32,
        /// How many stanzas were sent.
        sent: u32,
    },
}

macro_rules! conditions {
    ($($(#[$doc:meta])* $variant:ident $name:literal,)*) => {
        /// The conditions of RFC 6120 §4.9.3.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum StreamCondition { $($(#[$doc])* $variant,)* }

        impl StreamCondition {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name of its element.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

conditions! {
    /// The XML cannot be processed here.
    BadFormat "bad-format",
    /// A prefix is not declared, or declared wrongly.
    BadNamespacePrefix "bad-namespace-prefix",
    /// Another stream has replaced this one.
    Conflict "conflict",
    /// The peer did not answer.
    ConnectionTimeout "connection-timeout",
    /// The domain is no longer served here.
    HostGone "host-gone",
    /// The domain is not served here.
    HostUnknown "host-unknown",
    /// `from` or `to` is missing or invalid where it is required.
    ImproperAddressing "improper-addressing",
    /// The server has failed.
    InternalServerError "internal-server-error",
    /// `from` is not the authenticated address.
    InvalidFrom "invalid-from",
    /// The stream's namespace, or the content's, is wrong.
    InvalidNamespace "invalid-namespace",
    /// XML that does not follow its schema.
    InvalidXml "invalid-xml",
    /// The peer has not logged in.
    NotAuthorized "not-authorized",
    /// Not XML.
    NotWellFormed "not-well-formed",
    /// The peer breaks a rule of this server.
    PolicyViolation "policy-violation",
    /// The connection to another server is broken.
    RemoteConnectionFailed "remote-connection-failed",
    /// The peer must close the stream and open a new one.
    Reset "reset",
    /// The server has reached a limit.
    ResourceConstraint "resource-constraint",
    /// A DTD, comment, processing instruction or entity (RFC 6120 §11.1).
    RestrictedXml "restricted-xml",
    /// The peer must connect to another server.
    SeeOtherHost "see-other-host",
    /// The server shuts down.
    SystemShutdown "system-shutdown",
    /// None of the other conditions fits.
    UndefinedCondition "undefined-condition",
    /// Not UTF-8.
    UnsupportedEncoding "unsupported-encoding",
    /// A required feature is not supported.
    UnsupportedFeature "unsupported-feature",
    /// Neither iq nor message nor presence.
    UnsupportedStanzaType "unsupported-stanza-type",
    /// Not XMPP 1.0.
    UnsupportedVersion "unsupported-version",
}

impl StreamCondition {
    /// An error with this condition and a sentence.
    #[must_use]
    pub fn text(self, text: &'static str) -> StreamError {
        StreamError { text: Some(SmolStr::new_static(text)), ..self.into() }
    }

    /// The condition with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|c| c.as_str() == name)
    }
}

impl From<StreamCondition> for StreamError {
    fn from(condition: StreamCondition) -> Self {
        Self { condition, text: None, detail: None }
    }
}

impl From<crate::xml::XmlError> for StreamError {
    fn from(error: crate::xml::XmlError) -> Self {
        StreamCondition::named(error.condition()).unwrap_or(StreamCondition::NotWellFormed).into()
    }
}

impl StreamError {
    /// The `<stream:error/>` element.
    pub fn to_node(&self) -> Node {
        let mut node =
            element("stream:error").child(element(self.condition.as_str()).ns(ns::STREAM_ERRORS));
        if let Some(text) = &self.text {
            node =
                node.child(element("text").ns(ns::STREAM_ERRORS).attr("xml:lang", "en").text(text));
        }
        match self.detail {
            None => node,
            Some(Detail::HandledCountTooHigh { h, sent }) => node.child(
                element("handled-count-too-high")
                    .ns(ns::SM)
                    .attr("h", h.to_string())
                    .attr("send-count", sent.to_string()),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::StreamCondition;

    #[test]
    fn every_condition_is_found_by_its_name() {
        for condition in StreamCondition::ALL {
            assert_eq!(StreamCondition::named(condition.as_str()), Some(*condition));
        }
    }
}
