//! A service: a part of the server with a domain of its own below each host, as `rooms.<host>`.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use smol_str::SmolStr;

use super::{Cx, Discovery, Halt, Host, ServerState};
use crate::jid::{Jid, JidError};
use crate::payload::disco::Identity;
use crate::stanza::{Condition, Iq, Message, Presence, StanzaError};
use crate::xml::Node;

/// What a service does. One value serves the domains below all hosts. A feature enters its service with
/// [`super::Registry::service`].
///
/// The handlers get what is sent to the domain itself and to all addresses at it: `rooms.<host>`,
/// `room@rooms.<host>`, `room@rooms.<host>/nick`. Each handler has a default that refuses the stanza.
///
/// A handler that sends stanzas puts them into [`Cx::outbox`]; a task of the service calls
/// [`ServerState::route`]. Both with a `from` at the domain of the service.
#[async_trait]
pub trait Service: Discovery {
    /// The label before the host: `rooms` for `rooms.<host>`.
    fn prefix(&self) -> &'static str;

    /// What it is, with its name for people (XEP-0030 §3.1).
    fn identity(&self) -> Identity;

    /// What it announces besides what all services announce (XEP-0030 §3.1).
    fn features(&self) -> &'static [&'static str] {
        &[]
    }

    /// The server starts. A service that has tasks of its own starts them here.
    fn start(&self, _hosts: &Arc<ServerState>) {}

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

    /// A request that no feature answers for all services ([`super::Scope::Service`]). Without a handler
    /// the sender is told that nobody answers it (RFC 6120 §8.4).
    ///
    /// # Errors
    /// Becomes the answer.
    async fn request(
        &self,
        _cx: &mut Cx<'_>,
        _at: &ServiceDomain,
        _request: &Iq,
    ) -> Result<Reply, StanzaError> {
        Err(Condition::ServiceUnavailable.into())
    }

    /// A result or an error: the answer to a request that the service has sent. Without a handler it is
    /// dropped.
    ///
    /// # Errors
    /// [`Halt`] if it goes no further. An answer is never answered (RFC 6120 §8.3.1).
    async fn response(
        &self,
        _cx: &mut Cx<'_>,
        _at: &ServiceDomain,
        _response: Iq,
    ) -> Result<(), Halt> {
        Err(Halt::Drop("answer to a service that has sent no request"))
    }
}

/// How a service answers a request. Each request is answered exactly once (RFC 6120 §8.2.3).
#[derive(Debug)]
pub enum Reply {
    /// The service sends the answer itself, now or later, as when it has passed the request on.
    Later,
    /// The payload of the answer. The router makes a stanza of it.
    Now(Option<Node>),
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
