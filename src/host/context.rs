//! The context of a stanza, and the handlers that get it.
//!
//! A handler gets the context; the context leads to the registry, which leads to all handlers. These types
//! name each other, so they stand in one file. What the registry does is in `registry.rs`, what a handler
//! may ask about accounts in `account_checks.rs`.

use std::sync::Arc;

use async_trait::async_trait;
use rustc_hash::FxHashMap;

use super::access::{Access, AddressKind};
use super::announced::Announced;
use super::asked::Asked;
use super::command::{Command, CommandError, Outcome};
use super::destination::{Host, ServiceDomain};
use super::event::{Event, EventKind};
use super::halt::{Halt, refuse_presence};
use super::manifest::Manifest;
use super::reply::Reply;
use super::shared_state::SharedStates;
use super::{Keeping, Origin, Outbox, Route, ServerState};
use crate::jid::{BareJid, Jid};
use crate::payload::data_form::{Form, Submitted};
use crate::payload::disco::{Identity, Info, Item, ItemPage};
use crate::payload::result_set::SetRequest;
use crate::stanza::{Condition, Iq, IqKind, Message, Presence, StanzaError};
use crate::xml::Node;

/// What a handler may see and do while it handles one stanza.
pub struct Cx<'a> {
    /// What all tasks of the server share.
    pub server: &'a ServerState,
    /// The handlers of all features.
    pub registry: &'a Registry,
    /// The host for which the stanza is processed.
    pub host: &'a Host,
    /// The sender of the stanza.
    pub origin: &'a Origin<'a>,
    /// The stanzas that are routed when this one is done.
    pub outbox: &'a mut Outbox,
    /// What is stored of the stanza.
    pub keeping: &'a mut Keeping,
}

impl Cx<'_> {
    /// The same context for another host.
    pub fn at<'b>(&'b mut self, host: &'b Host) -> Cx<'b> {
        let Cx { server, registry, host: _, origin, outbox, keeping } = self;
        Cx { server, registry, host, origin, outbox, keeping }
    }
}

/// What the features answer and announce. It is filled when the server starts, and does not change later.
#[derive(Default)]
pub struct Registry {
    pub(super) answers: FxHashMap<Request, Entry>,
    pub(super) announced: Announced,
    pub(super) discovery: Vec<(AddressKind, &'static dyn Discovery)>,
    pub(super) manifests: Vec<&'static Manifest>,
    pub(super) commands: Vec<&'static Command>,
    pub(super) account_commands: Vec<&'static dyn AccountCommand>,
    pub(super) host_commands: Vec<&'static dyn HostCommand>,
    pub(super) services: Vec<Arc<dyn Service>>,
    pub(super) shared: SharedStates,
    pub(super) listeners: Vec<(EventKind, &'static str, &'static dyn Listener)>,
}

/// A kind of request: to which kind of address, its type, the namespace and the name of its payload.
pub(super) type Request = (AddressKind, IqKind, &'static str, &'static str);

/// A registered request: its handler, and who may send it.
#[derive(Clone, Copy)]
pub struct Entry {
    /// The handler, which answers.
    pub handler: &'static dyn IqHandler,
    /// Who may send the request.
    pub access: Access,
}

/// The payload of the answer. The router makes the stanza, so a handler cannot forget to answer, answer
/// twice, or answer to the wrong address.
pub type IqReply = Result<Option<Node>, StanzaError>;

/// Answers one kind of request.
#[async_trait]
pub trait IqHandler: Send + Sync {
    /// Answers a request. It has exactly one payload, with the registered namespace and name. Its `to` is an
    /// address of the registered kind. The sender has been checked: it may ask.
    async fn handle(&self, cx: &mut Cx<'_>, request: &Iq) -> IqReply;
}

/// A feature that is told of events.
#[async_trait]
pub trait Listener: Send + Sync {
    /// Acts on an event of a kind for which the feature has registered.
    ///
    /// # Errors
    /// If it cannot. That is logged, and changes nothing for anybody else.
    async fn on_event(&self, cx: &mut Cx<'_>, event: &Event<'_>) -> Result<(), StanzaError>;
}

/// A command that users give to their own accounts (XEP-0050).
#[async_trait]
pub trait AccountCommand: Send + Sync {
    /// Its node (XEP-0050 §2.2).
    fn node(&self) -> &'static str;

    /// One line for people.
    fn about(&self) -> &'static str;

    /// The form to be filled in, with the values of now. `None`: there is nothing to fill in, and the command
    /// is run with an empty form.
    ///
    /// # Errors
    /// If the store fails.
    async fn form(&self, cx: &mut Cx<'_>, user: &BareJid) -> Result<Option<Form>, CommandError>;

    /// Does what was filled in. The user has an account.
    ///
    /// # Errors
    /// What the user is told.
    async fn run(
        &self,
        cx: &mut Cx<'_>,
        user: &BareJid,
        form: &Submitted,
    ) -> Result<Outcome, CommandError>;
}

/// A command that users give to their host (XEP-0050). The commands of the administrator are others ([`Command`]).
#[async_trait]
pub trait HostCommand: Send + Sync {
    /// Its node (XEP-0050 §2.2).
    fn node(&self) -> &'static str;

    /// One line for people.
    fn about(&self) -> &'static str;

    /// Whether this user, who has an account at the host, may give it. Others do not find it.
    ///
    /// # Errors
    /// If the store fails.
    async fn is_for(&self, cx: &Cx<'_>, user: &BareJid) -> Result<bool, StanzaError>;

    /// The form to be filled in. `None`: there is nothing to fill in, and the command is run at once.
    fn form(&self) -> Option<Form>;

    /// Does what was filled in. Answers a form of type `result`.
    ///
    /// # Errors
    /// What the user is told.
    async fn run(
        &self,
        cx: &Cx<'_>,
        user: &BareJid,
        form: &Submitted,
    ) -> Result<Form, CommandError>;
}

/// Provides information and items of an address (XEP-0030). Each provider decides who may see them.
///
/// For the address itself (`node` is `None`) all providers are asked, and what the registry announces is
/// added. A node belongs to the first provider that knows it.
#[async_trait]
pub trait Discovery: Send + Sync {
    /// The identities and features of the address or node; `None` if this provider does not know it.
    ///
    /// # Errors
    /// The error for a sender that may not know.
    async fn info(&self, _cx: &Cx<'_>, _asked: Asked<'_>) -> Result<Option<Info>, StanzaError> {
        Ok(None)
    }

    /// The items of the address or node; `None` if this provider does not know it. A node that exists and has
    /// no items has an empty list (XEP-0030 §4.1).
    ///
    /// # Errors
    /// The error for a sender that may not know.
    async fn items(
        &self,
        _cx: &Cx<'_>,
        _asked: Asked<'_>,
    ) -> Result<Option<Vec<Item>>, StanzaError> {
        Ok(None)
    }

    /// A page of the items, for an address that has many of them (XEP-0030 §4.1, XEP-0059). `wanted`: the
    /// page that was asked for, if it was. The default has all items on one page, as XEP-0059 §4 allows.
    ///
    /// # Errors
    /// The error for a sender that may not know, and for a page that cannot be had.
    async fn page(
        &self,
        cx: &Cx<'_>,
        asked: Asked<'_>,
        _wanted: Option<&SetRequest>,
    ) -> Result<Option<ItemPage>, StanzaError> {
        Ok(self.items(cx, asked).await?.map(ItemPage::from))
    }
}

/// A service: a part of the server with a domain of its own below each host, as `rooms.<host>`. One value
/// serves the domains below all hosts. A feature enters its service with [`Registry::service`].
///
/// The handlers get what is sent to the domain itself and to all addresses at it: `rooms.<host>`,
/// `room@rooms.<host>`, `room@rooms.<host>/nick`. Each handler has a default that refuses the stanza.
///
/// A handler that sends stanzas puts them into [`Cx::outbox`]; a task of the service uses [`Route`]. Both
/// with a `from` at the domain of the service.
#[async_trait]
pub trait Service: Discovery {
    /// The label before the host: `rooms` for `rooms.<host>`.
    fn prefix(&self) -> &str;

    /// What it is, with its name for people (XEP-0030 §3.1).
    fn identity(&self) -> Identity;

    /// The features of service discovery that it announces besides those of all services (XEP-0030 §3.1).
    fn disco_features(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether users may ask this address for a subscription to its presence (RFC 6121 §3.1). If so, the
    /// request comes to [`Service::presence`], and the service answers it. If not, the user is told
    /// `service-unavailable`, and the user's roster stays as it is.
    fn takes_subscriptions(&self, _to: &Jid) -> bool {
        false
    }

    /// The server starts. A service that has tasks of its own starts them here.
    fn start(&self, _server: &Arc<ServerState>, _route: &Arc<dyn Route>) {}

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

    /// A request that no feature answers for all services ([`AddressKind::Service`]). Without a handler the sender
    /// is told that nobody answers it (RFC 6120 §8.4).
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
