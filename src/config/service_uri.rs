//! A STUN or TURN server of the configuration.

use std::fmt;

/// A STUN or TURN server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServiceUri {
    /// `stun`, `stuns`, `turn` or `turns`.
    pub kind: &'static str,
    /// A domain or an IP address, in lower case; an IPv6 address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// `tcp` or `udp`.
    pub transport: &'static str,
}

impl ServiceUri {
    /// Whether it relays data, and so wants credentials.
    #[must_use]
    pub fn is_relay(&self) -> bool {
        self.kind.starts_with("turn")
    }
}

/// As it is written in the configuration, with nothing left out.
impl fmt::Display for ServiceUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, host, port, transport } = self;
        match host.contains(':') {
            true => write!(f, "{kind}:[{host}]:{port}?transport={transport}"),
            false => write!(f, "{kind}:{host}:{port}?transport={transport}"),
        }
    }
}
