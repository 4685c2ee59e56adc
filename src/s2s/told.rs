//! What servers tell each other of the limits of a stream (XEP-0478).

use std::time::Duration;

use crate::config::Config;
use crate::ns;
use crate::xml::{ElementRef, Node, element};

/// What we tell another server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    /// The largest stanza, in bytes.
    pub(super) bytes: usize,
    /// The silence after which a stream is closed.
    pub(super) idle: Duration,
}

impl Told {
    /// What the configuration says.
    pub(super) fn new(config: &Config) -> Self {
        Self { bytes: config.s2s.stanza, idle: config.s2s.idle * 2 }
    }

    pub(super) fn to_node(self) -> Node {
        element("limits")
            .ns(ns::STREAM_LIMITS)
            .child(element("max-bytes").text(&self.bytes.to_string()))
            .child(element("idle-seconds").text(&self.idle.as_secs().to_string()))
    }
}

/// What another server has told us. `None`: nothing.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Takes {
    /// The largest stanza that it takes, in bytes.
    pub(super) bytes: Option<usize>,
    /// The silence after which it may close the stream.
    pub(super) idle: Option<Duration>,
}

impl Takes {
    /// What these features, or this `<bidi/>`, say (XEP-0478 §3, §4). Nonsense counts as nothing.
    pub(super) fn of(parent: &ElementRef<'_>) -> Self {
        let Some(limits) = parent.child(ns::STREAM_LIMITS, "limits") else {
            return Self::default();
        };
        let number = |name: &str| {
            let child = limits.child(ns::STREAM_LIMITS, name)?;
            child.text().trim().parse::<u64>().ok().filter(|number| *number > 0)
        };
        let bytes = number("max-bytes").and_then(|bytes| usize::try_from(bytes).ok());
        Self {
            bytes: bytes.map(|bytes| bytes.max(LEAST)),
            idle: number("idle-seconds").map(|seconds| Duration::from_secs(seconds.min(A_YEAR))),
        }
    }

    /// Whether a stanza of so many bytes may be sent.
    pub(super) fn takes(self, bytes: usize) -> bool {
        self.bytes.is_none_or(|most| bytes <= most)
    }
}

/// In seconds.
const A_YEAR: u64 = 365 * 24 * 3600;
/// Each server takes so much (RFC 6120 §13.12).
const LEAST: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::{Frame, Limits, Scope};

    fn takes(text: &str) -> Takes {
        let text = format!(
            "<x xmlns='urn:x'><limits xmlns='urn:xmpp:stream-limits:0'>{text}</limits></x>"
        );
        let limits = Limits { bytes: 10_000, depth: 9, attributes: 20, nodes: 99 };
        Takes::of(&Frame::parse(text.into(), &Scope::none(), &limits).unwrap().root())
    }

    #[test]
    fn the_limits_of_a_peer_are_read() {
        let both = takes("<max-bytes>131072</max-bytes><idle-seconds> 360 </idle-seconds>");
        assert_eq!(both, Takes { bytes: Some(131_072), idle: Some(Duration::from_secs(360)) });
        assert!(both.takes(131_072) && !both.takes(131_073));
        assert_eq!(takes("<max-bytes>1</max-bytes>").bytes, Some(LEAST));
        for nothing in ["", "<max-bytes/>", "<max-bytes>0</max-bytes>", "<max-bytes>-1</max-bytes>"]
        {
            assert_eq!(takes(nothing), Takes::default(), "{nothing}");
        }
        assert!(Takes::default().takes(usize::MAX));
        let told = Told { bytes: 20_000, idle: Duration::from_secs(9) };
        let said = told.to_node().to_xml();
        assert!(
            said.contains("<max-bytes>20000</max-bytes><idle-seconds>9</idle-seconds>"),
            "{said}"
        );
    }
}
