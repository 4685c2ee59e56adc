//! The `type` of each kind of stanza.

/// The `type` of an `<iq/>`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum IqKind {
    /// An answer: the request failed.
    Error,
    /// A request for information.
    Get,
    /// An answer: the request succeeded.
    Result,
    /// A request to change something.
    Set,
}

/// The `type` of a `<message/>` (RFC 6121 §5.2.2).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum MessageKind {
    /// Between two people.
    Chat,
    /// It could not be delivered.
    Error,
    /// To or from a room.
    Groupchat,
    /// The sender expects no answer.
    Headline,
    /// No `type`, `normal`, or an unknown value (RFC 6121 §5.2.2).
    #[default]
    Normal,
}

/// The `type` of a `<presence/>` (RFC 6121 §4.7.1).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum PresenceKind {
    /// No `type`: the sender is available.
    #[default]
    Available,
    /// It could not be delivered.
    Error,
    /// A request for the current presence.
    Probe,
    /// A request to see the recipient's presence.
    Subscribe,
    /// The sender allows the recipient to see its presence.
    Subscribed,
    /// The sender is no longer available.
    Unavailable,
    /// The sender no longer wants to see the recipient's presence.
    Unsubscribe,
    /// The sender refuses, or withdraws, the permission to see its presence.
    Unsubscribed,
}

impl IqKind {
    /// The value of `type` in XML.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Get => "get",
            Self::Result => "result",
            Self::Set => "set",
        }
    }

    /// `None` if there is no such type (RFC 6120 §8.2.3).
    pub(super) fn parse(text: Option<&str>) -> Option<Self> {
        Some(match text? {
            "error" => Self::Error,
            "get" => Self::Get,
            "result" => Self::Result,
            "set" => Self::Set,
            _ => return None,
        })
    }
}

impl MessageKind {
    /// The value of `type` in XML; `None` for `normal`.
    #[must_use]
    pub fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Chat => Some("chat"),
            Self::Error => Some("error"),
            Self::Groupchat => Some("groupchat"),
            Self::Headline => Some("headline"),
            Self::Normal => None,
        }
    }

    /// An unknown type counts as `normal` (RFC 6121 §5.2.2).
    pub(super) fn parse(text: Option<&str>) -> Self {
        match text {
            Some("chat") => Self::Chat,
            Some("error") => Self::Error,
            Some("groupchat") => Self::Groupchat,
            Some("headline") => Self::Headline,
            _ => Self::Normal,
        }
    }
}

impl PresenceKind {
    /// The value of `type` in XML; `None` for available.
    #[must_use]
    pub fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Available => None,
            Self::Error => Some("error"),
            Self::Probe => Some("probe"),
            Self::Subscribe => Some("subscribe"),
            Self::Subscribed => Some("subscribed"),
            Self::Unavailable => Some("unavailable"),
            Self::Unsubscribe => Some("unsubscribe"),
            Self::Unsubscribed => Some("unsubscribed"),
        }
    }

    /// Whether it manages a subscription (RFC 6121 §3).
    #[must_use]
    pub fn is_subscription(self) -> bool {
        matches!(self, Self::Subscribe | Self::Subscribed | Self::Unsubscribe | Self::Unsubscribed)
    }

    /// `None` if there is no such type (RFC 6121 §4.7.1).
    pub(super) fn parse(text: Option<&str>) -> Option<Self> {
        Some(match text {
            None => Self::Available,
            Some("error") => Self::Error,
            Some("probe") => Self::Probe,
            Some("subscribe") => Self::Subscribe,
            Some("subscribed") => Self::Subscribed,
            Some("unavailable") => Self::Unavailable,
            Some("unsubscribe") => Self::Unsubscribe,
            Some("unsubscribed") => Self::Unsubscribed,
            Some(_) => return None,
        })
    }
}
