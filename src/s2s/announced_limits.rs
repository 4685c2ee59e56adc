//! The limits of a stream that servers announce to each other (XEP-0478).

use std::time::Duration;

use crate::config::Config;
use crate::ns;
use crate::xml::{ElementRef, Node, element};

/// Our limits, which we announce to another server.
#[derive(Clone, Copy, Debug)]
pub(super) struct OurLimits {
    /// The largest stanza, in bytes.
    pub(super) bytes: usize,
    /// The silence after which a stream is closed.
    pub(super) idle: Duration,
}

impl OurLimits {
    /// The limits of the configuration.
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

/// The limits that another server has announced. `None`: it has announced none.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct PeerLimits {
    /// The largest stanza that it takes, in bytes.
    pub(super) bytes: Option<usize>,
    /// The silence after which it may close the stream.
    pub(super) idle: Option<Duration>,
}

impl PeerLimits {
    /// Reads the limits in these features, or in this `<bidi/>` (XEP-0478 §3, §4). Invalid values are ignored.
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

    /// How long nothing is sent before the stream is closed: before the other server may find it idle, since what is sent at that
    /// moment would be lost. `None` if it has announced nothing.
    pub(super) fn idle_of_sender(self) -> Option<Duration> {
        self.idle.map(|idle| (idle * 9 / 10).max(SHORTEST_IDLE))
    }

    /// Whether a stanza of this size may be sent.
    pub(super) fn allow(self, bytes: usize) -> bool {
        self.bytes.is_none_or(|most| bytes <= most)
    }
}

/// Whatever the other server says, a stream is not closed before.
const SHORTEST_IDLE: Duration = Duration::from_secs(10);
/// In seconds.
const A_YEAR: u64 = 365 * 24 * 3600;
/// In bytes. Each server takes at least this much (RFC 6120 §13.12).
const LEAST: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::{Frame, Limits, Scope};

    fn peer_limits(text: &str) -> PeerLimits {
        let text = format!(
            "<x xmlns='urn:x'><limits xmlns='urn:xmpp:stream-limits:0'>{text}</limits></x>"
        );
        let limits = Limits { bytes: 10_000, depth: 9, attributes: 20, nodes: 99 };
        PeerLimits::of(&Frame::parse(text.into(), &Scope::none(), &limits).unwrap().root())
    }

    #[test]
    fn the_limits_of_a_peer_are_read() {
        let both = peer_limits("<max-bytes>131072</max-bytes><idle-seconds> 360 </idle-seconds>");
        assert_eq!(both, PeerLimits { bytes: Some(131_072), idle: Some(Duration::from_secs(360)) });
        assert_eq!(both.idle_of_sender(), Some(Duration::from_secs(324)));
        let short = peer_limits("<idle-seconds>5</idle-seconds>");
        assert_eq!(short.idle_of_sender(), Some(SHORTEST_IDLE));
        assert!(both.allow(131_072) && !both.allow(131_073));
        assert_eq!(peer_limits("<max-bytes>1</max-bytes>").bytes, Some(LEAST));
        for nothing in ["", "<max-bytes/>", "<max-bytes>0</max-bytes>", "<max-bytes>-1</max-bytes>"]
        {
            assert_eq!(peer_limits(nothing), PeerLimits::default(), "{nothing}");
        }
        assert!(PeerLimits::default().allow(usize::MAX));
        let our_limits = OurLimits { bytes: 20_000, idle: Duration::from_secs(9) };
        let said = our_limits.to_node().to_xml();
        assert!(
            said.contains("<max-bytes>20000</max-bytes><idle-seconds>9</idle-seconds>"),
            "{said}"
        );
    }
}
