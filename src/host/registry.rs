//! The registry: which feature answers which request, who may send it, and what is announced.

use std::sync::Arc;

use async_trait::async_trait;
use rustc_hash::FxHashMap;

use super::command::Command;
use super::lifecycle::{EventKind, Listener};
use super::shared_state::{SharedState, SharedStates};
use super::{Cx, Discovery, Manifest, Module, Service};
use crate::config::Config;
use crate::payload::data_form::Form;
use crate::payload::disco::{Identity, Info};
use crate::stanza::{Iq, IqKind, StanzaError};
use crate::xml::Node;

/// A kind of address.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Scope {
    /// The bare address of an account. The server answers on its behalf (RFC 6121 §8.5.2.1.3).
    Account,
    /// A host.
    Host,
    /// The domain of every service. Requests that only one service answers go to [`Service::request`].
    Service,
    /// A bare address at the domain of a service, for example a room.
    ServiceAddress,
}

/// Who may send a request. All others get the error that is named here, whether the account exists or not,
/// so that nobody can find out which accounts exist (RFC 6121 §8.5.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// Administrators of the server. Others: `forbidden`.
    Admins,
    /// The user, and contacts that may see the user's presence (RFC 6121 §3). Others:
    /// `service-unavailable`.
    Contacts,
    /// The same. Others: `forbidden`, as the specification of the request demands.
    ContactsElseForbidden,
    /// The user to whom the account belongs. Contacts that may see the user's presence: `forbidden`.
    /// Others: `service-unavailable`. To a host: its users. Others: `forbidden`.
    Owner,
    /// The user to whom the account belongs. Others: `forbidden`, as the specification of the request
    /// demands.
    OwnerElseForbidden,
    /// Everybody. To an account: except addresses that the user has blocked (XEP-0191 §3.3:
    /// `service-unavailable`), and the handler must give others the same answer whether the account
    /// exists or not.
    Public,
}

/// The payload of the answer. The router makes the stanza, so a handler cannot forget to answer, answer
/// twice, or answer to the wrong address.
pub type IqReply = Result<Option<Node>, StanzaError>;

/// Answers one kind of request.
#[async_trait]
pub trait IqHandler: Send + Sync {
    /// Answers a request. It has exactly one payload, with the registered namespace and name. Its `to` is an
    /// address of the registered scope. The sender has been checked: it may ask.
    async fn handle(&self, cx: &mut Cx<'_>, request: &Iq) -> IqReply;
}

/// A registered request: its handler, and who may send it.
#[derive(Clone, Copy)]
pub struct Entry {
    /// The handler, which answers.
    pub handler: &'static dyn IqHandler,
    /// Who may send the request.
    pub access: Access,
}

type Key = (Scope, IqKind, &'static str, &'static str);

/// What the features answer and announce. It is filled when the server starts, and does not change later.
#[derive(Default)]
pub struct Registry {
    answers: FxHashMap<Key, Entry>,
    features: Vec<Feature>,
    forms: Vec<(Scope, Form)>,
    identities: Vec<(Scope, Identity)>,
    discovery: Vec<(Scope, &'static dyn Discovery)>,
    manifests: Vec<&'static Manifest>,
    commands: Vec<&'static dyn Command>,
    services: Vec<Arc<dyn Service>>,
    shared: SharedStates,
    listeners: Vec<(EventKind, &'static str, &'static dyn Listener)>,
}

/// A feature that is announced (XEP-0030 §3.1).
struct Feature {
    scope: Scope,
    var: &'static str,
    /// An anonymous user (XEP-0175), who has no account, does not have it.
    needs_account: bool,
}

impl Registry {
    /// A registry of these features under this configuration.
    #[must_use]
    pub fn of(modules: &[&dyn Module], config: &Config) -> Self {
        let mut this = Self::default();
        for module in modules {
            this.manifests.push(module.manifest());
            module.register(&mut this);
            module.configure(config, &mut this);
        }
        this
    }

    /// Registers the handler of requests with this type, namespace and name, and who may send them.
    ///
    /// # Panics
    /// At start-up, if two modules answer the same request, or if it is for contacts and not to an account.
    pub fn iq(
        &mut self,
        scope: Scope,
        kind: IqKind,
        (ns, name): (&'static str, &'static str),
        access: Access,
        handler: &'static dyn IqHandler,
    ) -> &mut Self {
        let is_for_contacts = matches!(access, Access::Contacts | Access::ContactsElseForbidden);
        assert!(scope == Scope::Account || !is_for_contacts, "only an account has contacts");
        let old = self.answers.insert((scope, kind, ns, name), Entry { handler, access });
        assert!(old.is_none(), "two modules answer {name} of {ns}");
        self
    }

    /// Announces a feature (XEP-0030 §3.1).
    pub fn feature(&mut self, scope: Scope, var: &'static str) -> &mut Self {
        self.announce(Feature { scope, var, needs_account: false })
    }

    /// Announces a feature of accounts that anonymous users (XEP-0175) do not have.
    pub fn feature_of_registered(&mut self, var: &'static str) -> &mut Self {
        self.announce(Feature { scope: Scope::Account, var, needs_account: true })
    }

    fn announce(&mut self, new: Feature) -> &mut Self {
        if !self.features.iter().any(|old| (old.scope, old.var) == (new.scope, new.var)) {
            self.features.push(new);
        }
        self
    }

    /// Announces a form of type `result` with a `FORM_TYPE` (XEP-0128 §2).
    pub fn form(&mut self, scope: Scope, form: Form) -> &mut Self {
        self.forms.push((scope, form));
        self
    }

    /// Announces an identity (XEP-0030 §3.1).
    pub fn identity(&mut self, scope: Scope, identity: Identity) -> &mut Self {
        self.identities.push((scope, identity));
        self
    }

    /// Registers a provider of service discovery: of items, nodes, and what depends on the sender of the
    /// request.
    pub fn discovery(&mut self, scope: Scope, provider: &'static dyn Discovery) -> &mut Self {
        self.discovery.push((scope, provider));
        self
    }

    /// Registers a feature as a listener for events of this kind.
    pub fn listener(&mut self, kind: EventKind, listener: &'static dyn Listener) -> &mut Self {
        let feature = self.manifests.last().map_or("", |manifest| manifest.name);
        self.listeners.push((kind, feature, listener));
        self
    }

    /// The listeners for events of this kind with the names of their features, in the order of registration.
    pub fn listeners(
        &self,
        kind: EventKind,
    ) -> impl Iterator<Item = (&'static str, &'static dyn Listener)> {
        let listeners = self.listeners.iter().filter(move |(of, ..)| *of == kind);
        listeners.map(|(_, feature, listener)| (*feature, *listener))
    }

    /// Registers a service. It gets a domain below each host.
    pub fn service(&mut self, service: Arc<dyn Service>) -> &mut Self {
        self.services.push(service);
        self
    }

    /// Registers state that the feature keeps in memory for all sessions ([`super::ServerState::shared`]).
    ///
    /// # Panics
    /// At start-up, if there is a value of this type already.
    pub fn shared<T: SharedState>(&mut self, value: T) -> &mut Self {
        self.shared.add(value);
        self
    }

    pub(super) fn shared_states(&self) -> &SharedStates {
        &self.shared
    }

    /// Registers commands of the administrator.
    pub fn enter_commands(&mut self, commands: &[&'static dyn Command]) {
        self.commands.extend_from_slice(commands);
    }

    /// The entry for a request, if a feature answers it.
    #[must_use]
    pub fn entry(&self, scope: Scope, kind: IqKind, ns: &str, name: &str) -> Option<Entry> {
        self.answers.get(&(scope, kind, ns, name) as &(Scope, IqKind, &str, &str)).copied()
    }

    /// All registered requests: scope, type, namespace, name.
    pub fn requests(&self) -> impl Iterator<Item = (Scope, IqKind, &'static str, &'static str)> {
        self.answers.keys().copied()
    }

    /// What is announced for addresses of this kind, sorted.
    #[must_use]
    pub fn info(&self, scope: Scope) -> Info {
        self.announced(scope, |_| true)
    }

    /// What is announced for the account of an anonymous user (XEP-0175), sorted.
    #[must_use]
    pub fn info_of_anonymous(&self) -> Info {
        let mut info = self.announced(Scope::Account, |feature| !feature.needs_account);
        info.identities.iter_mut().for_each(|identity| identity.kind = "anonymous");
        info
    }

    fn announced(&self, scope: Scope, which: impl Fn(&Feature) -> bool) -> Info {
        let features = self.features.iter().filter(|f| f.scope == scope && which(f));
        let identities = self.identities.iter().filter(|(of, _)| *of == scope);
        let forms = self.forms.iter().filter(|(of, _)| *of == scope);
        let mut info = Info::default();
        info.add(Info {
            identities: identities.map(|(_, identity)| identity.clone()).collect(),
            features: features.map(|feature| feature.var).collect(),
            forms: forms.map(|(_, form)| form.clone()).collect(),
        });
        info
    }

    /// The providers of service discovery, in the order of registration.
    pub fn providers(&self, scope: Scope) -> impl Iterator<Item = &'static dyn Discovery> {
        self.discovery.iter().filter(move |(of, _)| *of == scope).map(|(_, provider)| *provider)
    }

    /// The services.
    #[must_use]
    pub fn services(&self) -> &[Arc<dyn Service>] {
        &self.services
    }

    /// The administrator's commands.
    #[must_use]
    pub fn commands(&self) -> &[&'static dyn Command] {
        &self.commands
    }

    /// The manifests of the features.
    #[must_use]
    pub fn manifests(&self) -> &[&'static Manifest] {
        &self.manifests
    }
}
