//! A service: a part of the server with a domain of its own below each host, as `rooms.<host>`.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use smol_str::SmolStr;

use super::{Cx, Halt, Host, Identity, IqReply};
use crate::jid::{Jid, JidError};
use crate::stanza::{Condition, Iq, Message, Presence};

/// What a service does. One value serves the domains below all hosts.
///
/// The handlers get what is sent to the domain itself and to all addresses at it: `rooms.<host>`,
/// `room@rooms.<host>`, `room@rooms.<host>/nick`. A service that sends stanzas because of the one in
/// hand puts them into [`Cx::outbox`], with a `from` at its own domain (`at`).
#[async_trait]
pub trait Service: Send + Sync {
    /// The label before the host: `rooms` for `rooms.<host>`.
    fn prefix(&self) -> &'static str;

    /// What it is, with its name for people (XEP-0030 §3.1).
    fn identity(&self) -> Identity;

    /// A message. Without a handler the sender is told that nobody is there (RFC 6121 §8.4).
    ///
    /// # Errors
    /// [`Halt`] if it goes no further: the sender is told as it says.
    async fn message(
        &self,
        _cx: &mut Cx<'_>,
        _at: &ServiceDomain,
        _message: Message,
    ) -> Result<(), Halt> {
        Err(Condition::ServiceUnavailable.into())
    }

    /// Presence of all kinds. Without a handler see [`refuse_presence`].
    ///
    /// # Errors
    /// [`Halt`] if it goes no further: the sender is told as it says.
    async fn presence(
        &self,
        _cx: &mut Cx<'_>,
        _at: &ServiceDomain,
        presence: Presence,
    ) -> Result<(), Halt> {
        Err(refuse_presence(&presence))
    }

    /// A request that the registry does not answer. The router makes a stanza of the reply and sends it.
    /// Without a handler the sender is told that nobody answers it (RFC 6120 §8.4).
    async fn request(&self, _cx: &mut Cx<'_>, _at: &ServiceDomain, _request: &Iq) -> IqReply {
        Err(Condition::ServiceUnavailable.into())
    }
}

/// The domain of a service below one host.
#[derive(Clone)]
pub struct ServiceDomain {
    /// The domain, prepared: `rooms.<host>`.
    pub domain: SmolStr,
    /// The same as an address.
    pub jid: Jid,
    /// The host that it belongs to.
    pub host: Host,
    /// What is there.
    pub service: Arc<dyn Service>,
}

impl ServiceDomain {
    /// The domain of `service` below `host`.
    ///
    /// # Errors
    /// If both together are no domain, as it is too long.
    pub fn below(host: &Host, service: &Arc<dyn Service>) -> Result<Self, JidError> {
        let jid = Jid::domain_only(&format!("{}.{}", service.prefix(), host.domain))?;
        let domain = SmolStr::new(jid.domain());
        Ok(Self { domain, jid, host: host.clone(), service: Arc::clone(service) })
    }
}

impl fmt::Debug for ServiceDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ServiceDomain").field(&self.domain).finish()
    }
}

/// Presence for a domain that takes none is dropped. But a client that enters a room waits for an
/// answer, and gets an error (XEP-0045 §7.2).
#[must_use]
pub fn refuse_presence(presence: &Presence) -> Halt {
    match presence.enters_room() {
        true => Condition::ServiceUnavailable.into(),
        false => Halt::Drop("presence to a domain"),
    }
}
