//! What has no order: who answers which request, what is announced where.

use std::sync::Arc;

use async_trait::async_trait;
use rustc_hash::{FxHashMap, FxHashSet};

use super::command::Command;
use super::lifecycle::{EventKind, Listener};
use super::{Cx, Service};
use crate::config::Config;
use crate::payload::data_form::Form;
use crate::stanza::{Iq, IqKind, StanzaError};
use crate::xml::Node;

/// A feature. Its file in `modules/` holds all of it.
pub trait Module: Send + Sync {
    /// What it is.
    fn manifest(&self) -> &'static Manifest;
    /// Enters what it answers and announces.
    fn register(&self, on: &mut Registry);
    /// Enters what depends on the configuration at the start of the server.
    fn configure(&self, _config: &Config, _on: &mut Registry) {}
}

/// What a feature is. `docs/xeps.md` is made from these.
#[derive(Debug)]
pub struct Manifest {
    /// Its short name.
    pub name: &'static str,
    /// One line for people.
    pub summary: &'static str,
    /// What it implements.
    pub xeps: &'static [Xep],
}

/// A specification and how far it is implemented.
#[derive(Debug)]
pub struct Xep {
    /// Its number.
    pub number: u16,
    /// Its version.
    pub version: &'static str,
    /// How far.
    pub status: Status,
}

/// How far a specification is implemented.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Status {
    /// All that concerns a server.
    Complete,
    /// A part; the summary says which.
    Partial,
}

/// For which kind of address.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Scope {
    /// The bare JID of an account: the server answers on its behalf (RFC 6121 §8.5).
    Account,
    /// The domain.
    Host,
}

/// The payload of the answer. The router adds the envelope, so no handler can forget to answer,
/// answer twice, or answer to the wrong address.
pub type IqReply = Result<Option<Node>, StanzaError>;

/// Answers one kind of request.
#[async_trait]
pub trait IqHandler: Send + Sync {
    /// Answers. `request` has exactly one payload, of the registered namespace and name; its `to`
    /// is the account or the domain, its `from` is who asks.
    async fn handle(&self, cx: &mut Cx<'_>, request: &Iq) -> IqReply;
}

/// Who or what an address is (XEP-0030 §3.1).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Identity {
    /// For example `server`.
    pub category: &'static str,
    /// For example `im`.
    pub kind: &'static str,
    /// For people.
    pub name: Option<&'static str>,
}

type Key = (Scope, IqKind, &'static str, &'static str);

/// Who answers which request, what is announced where.
#[derive(Default)]
pub struct Registry {
    iq: FxHashMap<Key, &'static dyn IqHandler>,
    public: FxHashSet<Key>,
    closed: FxHashSet<Key>,
    features: Vec<(Scope, &'static str)>,
    registered: FxHashSet<&'static str>,
    forms: Vec<(Scope, Form)>,
    identities: Vec<(Scope, Identity)>,
    manifests: Vec<&'static Manifest>,
    commands: Vec<&'static dyn Command>,
    services: Vec<Arc<dyn Service>>,
    listeners: Vec<(EventKind, &'static str, &'static dyn Listener)>,
}

impl Registry {
    /// Enters a module.
    pub fn module(&mut self, module: &dyn Module, config: &Config) {
        self.manifests.push(module.manifest());
        module.register(self);
        module.configure(config, self);
    }

    /// Announces a feature (XEP-0030 §3.1).
    pub fn feature(&mut self, scope: Scope, var: &'static str) -> &mut Self {
        if !self.features.contains(&(scope, var)) {
            self.features.push((scope, var));
        }
        self
    }

    /// Announces a feature of accounts that is for registered users only: the account of an anonymous
    /// one (XEP-0175) has it not.
    pub fn registered_feature(&mut self, var: &'static str) -> &mut Self {
        self.registered.insert(var);
        self.feature(Scope::Account, var)
    }

    /// Whether a feature of accounts is announced for registered users only.
    #[must_use]
    pub fn is_for_registered(&self, var: &str) -> bool {
        self.registered.contains(var)
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

    /// Enters who answers requests of this kind, namespace and name.
    ///
    /// # Panics
    /// At start-up, if two modules answer the same request.
    pub fn iq(
        &mut self,
        scope: Scope,
        kind: IqKind,
        (ns, name): (&'static str, &'static str),
        handler: &'static dyn IqHandler,
    ) -> &mut Self {
        let old = self.iq.insert((scope, kind, ns, name), handler);
        assert!(old.is_none(), "two modules answer {name} of {ns}");
        self
    }

    /// Enters who answers requests to accounts that strangers may send, too. The handler must give
    /// them the same answer whether the account exists or not.
    ///
    /// # Panics
    /// As [`Registry::iq`].
    pub fn public_iq(
        &mut self,
        kind: IqKind,
        (ns, name): (&'static str, &'static str),
        handler: &'static dyn IqHandler,
    ) -> &mut Self {
        self.public.insert((Scope::Account, kind, ns, name));
        self.iq(Scope::Account, kind, (ns, name), handler)
    }

    /// Whether strangers may send this request to an account.
    #[must_use]
    pub fn is_public(&self, kind: IqKind, ns: &str, name: &str) -> bool {
        self.public.contains(&(Scope::Account, kind, ns, name) as &(Scope, IqKind, &str, &str))
    }

    /// Enters who answers requests to accounts with `forbidden` if they come from strangers, whether
    /// the account exists or not, or whether it has blocked them.
    ///
    /// # Panics
    /// As [`Registry::iq`].
    pub fn closed_iq(
        &mut self,
        kind: IqKind,
        name: (&'static str, &'static str),
        handler: &'static dyn IqHandler,
    ) -> &mut Self {
        self.closed.insert((Scope::Account, kind, name.0, name.1));
        self.public_iq(kind, name, handler)
    }

    /// Whether this request to an account has an answer of its own for all strangers.
    #[must_use]
    pub fn is_closed(&self, kind: IqKind, ns: &str, name: &str) -> bool {
        self.closed.contains(&(Scope::Account, kind, ns, name) as &(Scope, IqKind, &str, &str))
    }

    /// Who answers.
    #[must_use]
    pub fn handler(
        &self,
        scope: Scope,
        kind: IqKind,
        ns: &str,
        name: &str,
    ) -> Option<&'static dyn IqHandler> {
        self.iq.get(&(scope, kind, ns, name) as &(Scope, IqKind, &str, &str)).copied()
    }

    /// Enters a feature that is told of events of this kind.
    pub fn listener(&mut self, kind: EventKind, listener: &'static dyn Listener) -> &mut Self {
        let feature = self.manifests.last().map_or("", |manifest| manifest.name);
        self.listeners.push((kind, feature, listener));
        self
    }

    /// The features that are told of events of this kind, with their names, in the order in which they
    /// were entered.
    pub fn listeners(
        &self,
        kind: EventKind,
    ) -> impl Iterator<Item = (&'static str, &'static dyn Listener)> {
        let listeners = self.listeners.iter().filter(move |(of, ..)| *of == kind);
        listeners.map(|(_, feature, listener)| (*feature, *listener))
    }

    /// Which requests are answered: scope, kind, namespace, name.
    pub fn requests(&self) -> impl Iterator<Item = (Scope, IqKind, &'static str, &'static str)> {
        self.iq.keys().copied()
    }

    /// What is announced, sorted.
    #[must_use]
    pub fn features_of(&self, scope: Scope) -> Vec<&'static str> {
        let of_scope = self.features.iter().filter(|(s, _)| *s == scope);
        let mut vars: Vec<_> = of_scope.map(|(_, var)| *var).collect();
        vars.sort_unstable();
        vars
    }

    /// The forms that are announced.
    pub fn forms_of(&self, scope: Scope) -> impl Iterator<Item = &Form> {
        self.forms.iter().filter(move |(s, _)| *s == scope).map(|(_, form)| form)
    }

    /// Who or what, sorted.
    #[must_use]
    pub fn identities_of(&self, scope: Scope) -> Vec<Identity> {
        let of_scope = self.identities.iter().filter(|(s, _)| *s == scope);
        let mut identities: Vec<_> = of_scope.map(|(_, identity)| *identity).collect();
        identities.sort_unstable();
        identities
    }

    /// Enters the administrator's commands.
    pub fn enter_commands(&mut self, commands: &[&'static dyn Command]) {
        self.commands.extend_from_slice(commands);
    }

    /// The administrator's commands.
    #[must_use]
    pub fn commands(&self) -> &[&'static dyn Command] {
        &self.commands
    }

    /// Enters a service. It gets a domain below each host.
    pub fn service(&mut self, service: Arc<dyn Service>) -> &mut Self {
        self.services.push(service);
        self
    }

    /// The services.
    #[must_use]
    pub fn services(&self) -> &[Arc<dyn Service>] {
        &self.services
    }

    /// What the modules are.
    #[must_use]
    pub fn manifests(&self) -> &[&'static Manifest] {
        &self.manifests
    }
}
