//! The registry: what features register, and how it is found.

use std::sync::Arc;

use super::access::{Access, AddressKind};
use super::announced::{ConfiguredForm, DiscoFeature};
use super::command::Command;
use super::context::{
    AccountCommand, Discovery, Entry, HostCommand, IqHandler, Listener, Registry, Service,
};
use super::destination::ServiceDomain;
use super::event::EventKind;
use super::manifest::Manifest;
use super::shared_state::{SharedState, SharedStates};
use crate::config::Config;
use crate::payload::disco::{Identity, Info};
use crate::stanza::IqKind;

impl Registry {
    /// Registers the handler of requests with this type, namespace and name, and who may send them.
    ///
    /// # Panics
    /// At start-up, if two modules answer the same request, or if `access` is not for such addresses
    /// ([`Access::is_for`]).
    pub fn iq(
        &mut self,
        address: AddressKind,
        kind: IqKind,
        (ns, name): (&'static str, &'static str),
        access: Access,
        handler: &'static dyn IqHandler,
    ) -> &mut Self {
        assert!(
            access.is_for(address),
            "{access:?} is nobody who asks {address:?}: {name} of {ns}"
        );
        let old = self.answers.insert((address, kind, ns, name), Entry { handler, access });
        assert!(old.is_none(), "two modules answer {name} of {ns}");
        self
    }

    /// Announces a feature of service discovery (XEP-0030 §3.1).
    pub fn disco_feature(&mut self, address: AddressKind, var: &'static str) -> &mut Self {
        self.announced.feature(DiscoFeature { address, var, needs_account: false });
        self
    }

    /// Announces a feature of accounts that anonymous users (XEP-0175) do not have.
    pub fn disco_feature_of_registered(&mut self, var: &'static str) -> &mut Self {
        self.announced.feature(DiscoFeature {
            address: AddressKind::Account,
            var,
            needs_account: true,
        });
        self
    }

    /// Announces a form of type `result` with a `FORM_TYPE` (XEP-0128 §2), of the domains that are addresses of this kind. It
    /// follows from the configuration, and changes with it.
    pub fn form(&mut self, address: AddressKind, form: ConfiguredForm) -> &mut Self {
        self.announced.form(address, form);
        self
    }

    /// Announces an identity (XEP-0030 §3.1).
    pub fn identity(&mut self, address: AddressKind, identity: Identity) -> &mut Self {
        self.announced.identity(address, identity);
        self
    }

    /// Registers a provider of service discovery: of items, nodes, and what depends on the sender of the
    /// request.
    pub fn discovery(
        &mut self,
        address: AddressKind,
        provider: &'static dyn Discovery,
    ) -> &mut Self {
        self.discovery.push((address, provider));
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

    /// Takes out the shared state of all features, for [`super::ServerState::new`].
    pub fn take_shared(&mut self) -> SharedStates {
        std::mem::take(&mut self.shared)
    }

    /// Registers commands of the administrator.
    pub fn enter_commands(&mut self, commands: &[&'static Command]) {
        self.commands.extend_from_slice(commands);
    }

    /// Registers a command that users give to their own accounts.
    pub fn account_command(&mut self, command: &'static dyn AccountCommand) -> &mut Self {
        self.account_commands.push(command);
        self
    }

    /// Registers a command that users give to their host.
    pub fn host_command(&mut self, command: &'static dyn HostCommand) -> &mut Self {
        self.host_commands.push(command);
        self
    }

    /// The entry for a request, if a feature answers it.
    #[must_use]
    pub fn entry(&self, address: AddressKind, kind: IqKind, ns: &str, name: &str) -> Option<Entry> {
        self.answers.get(&(address, kind, ns, name) as &(AddressKind, IqKind, &str, &str)).copied()
    }

    /// All registered requests: kind of address, type, namespace, name.
    pub fn requests(
        &self,
    ) -> impl Iterator<Item = (AddressKind, IqKind, &'static str, &'static str)> {
        self.answers.keys().copied()
    }

    /// What is announced for a domain of ours that is an address of this kind, sorted. The same for everybody who asks.
    #[must_use]
    pub fn info_of_domain(&self, address: AddressKind, config: &Config, domain: &str) -> Info {
        self.announced.info_of_domain(address, config, domain)
    }

    /// What is announced for addresses of this kind, sorted, without what follows from the configuration.
    #[must_use]
    pub fn info(&self, address: AddressKind) -> Info {
        self.announced.info(address)
    }

    /// What is announced for the account of an anonymous user (XEP-0175), sorted.
    #[must_use]
    pub fn info_of_anonymous(&self) -> Info {
        self.announced.info_of_anonymous()
    }

    /// The providers of service discovery, in the order of registration.
    pub fn providers(&self, address: AddressKind) -> impl Iterator<Item = &'static dyn Discovery> {
        self.discovery.iter().filter(move |(of, _)| *of == address).map(|(_, provider)| *provider)
    }

    /// The services, in the order of registration.
    #[must_use]
    pub fn services(&self) -> &[Arc<dyn Service>] {
        &self.services
    }

    /// The service at one of our domains.
    ///
    /// # Panics
    /// Never: the domains are made from the same registry.
    #[must_use]
    pub fn service_at(&self, at: &ServiceDomain) -> &dyn Service {
        &*self.services[at.service]
    }

    /// The administrator's commands.
    #[must_use]
    pub fn commands(&self) -> &[&'static Command] {
        &self.commands
    }

    /// The commands that users give to their own accounts, in the order of registration.
    #[must_use]
    pub fn account_commands(&self) -> &[&'static dyn AccountCommand] {
        &self.account_commands
    }

    /// The commands that users give to their host, in the order of registration.
    #[must_use]
    pub fn host_commands(&self) -> &[&'static dyn HostCommand] {
        &self.host_commands
    }

    /// The manifests of the features.
    #[must_use]
    pub fn manifests(&self) -> &[&'static Manifest] {
        &self.manifests
    }
}
