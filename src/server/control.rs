//! What the commands of the administrator may do with the running server.

use std::sync::{Arc, Weak};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::listeners::{LISTENERS, Services};
use super::{Addresses, Server};
use crate::host::command::{ComponentRow, ServerControl, SessionRow};
use crate::host::components::Components;
use crate::host::rooms::{RoomAdministration, Rooms};
use crate::host::{self, Client, Invalidation, RemoteServers, privileges, stored_components};
use crate::jid::{BareJid, Jid};
use crate::listen::Acceptor;
use crate::session::CloseReason;
use crate::storage::StorageError;

#[async_trait]
impl ServerControl for Server {
    fn sessions(&self) -> Vec<SessionRow> {
        let mut rows: Vec<_> = self.state().sessions.all().iter().map(SessionRow::of).collect();
        rows.sort_by(|a, b| a.jid.cmp(&b.jid));
        rows
    }

    fn components(&self) -> Vec<ComponentRow> {
        let (state, mut rows) = (self.state(), Vec::new());
        let Some(table) = state.find_shared::<Components>() else { return rows };
        for component in &state.config.load().components {
            let domain = &component.domain;
            let links = table.of(domain);
            if links.is_empty() {
                rows.push(ComponentRow { domain: domain.clone(), ..ComponentRow::default() });
            }
            rows.extend(links.iter().map(|link| ComponentRow {
                domain: domain.clone(),
                peer: Some(link.peer.to_string()),
                seconds: Some(link.since.elapsed().as_secs()),
                waiting: link.waiting(),
            }));
        }
        rows
    }

    fn is_ours(&self, domain: &str) -> bool {
        self.state().ours(domain).is_some()
    }

    async fn set_component(
        &self,
        domain: &str,
        section: Option<&str>,
    ) -> Result<bool, StorageError> {
        let state = self.state();
        let before = state.config.load_full();
        let done = stored_components::set(state, domain, section).await?;
        if let Some(table) = state.find_shared::<Components>() {
            // With another secret, or if the domain was removed, it must connect again.
            table.close(domain);
        }
        privileges::tell_changes(state, &before, &state.config.load());
        Ok(done)
    }

    async fn close(&self, jid: &Jid, reason: Option<&str>) -> usize {
        let (sessions, user) = (&self.state().sessions, jid.to_bare());
        let why = CloseReason::Kicked(reason.map(Into::into));
        if !jid.is_full() {
            return sessions.revoke(&user, None, &why);
        }
        let sessions = sessions.of(&user);
        let meant = sessions.iter().filter(|session| **session.jid() == *jid);
        meant.map(|session| session.close(why.clone())).count()
    }

    async fn revoke_client(
        &self,
        user: &BareJid,
        client: &Client,
        reason: &str,
    ) -> Result<usize, StorageError> {
        let state = self.state();
        let (sessions, now) = (&*state.sessions, state.clock.now());
        host::revoke_client(&*state.storage, Some(sessions), user, client, true, now).await?;
        state.invalidate(&Invalidation::Push(user.clone()));
        let why = CloseReason::Kicked(Some(reason.into()));
        let meant = sessions.of(user).into_iter().filter(|session| client.has(session));
        Ok(meant.map(|session| session.close(why.clone())).count())
    }

    async fn remove_account(&self, user: &BareJid) -> Result<Option<usize>, StorageError> {
        self.acceptor.services.c2s().router.remove_account(user).await
    }

    fn admins_changed(&self) {
        self.state().invalidate(&Invalidation::Admins);
    }

    fn push_changed(&self, user: &BareJid) {
        self.state().invalidate(&Invalidation::Push(user.clone()));
    }

    fn strangers_changed(&self, user: &BareJid) {
        self.state().invalidate(&Invalidation::Strangers(user.clone()));
    }

    fn remote_servers(&self) -> Option<Arc<dyn RemoteServers>> {
        self.state().remote_servers()
    }

    fn rooms(&self) -> Option<Arc<dyn RoomAdministration>> {
        self.state().find_shared::<Rooms>()?.administration()
    }

    fn status(&self) -> Vec<(&'static str, Value)> {
        let state = self.state();
        let domains: Vec<_> = state.hosts().iter().map(|h| h.domain.as_str()).collect();
        let listening = LISTENERS.iter().map(|listener| {
            let of = self.addresses.iter().filter(|(other, _)| other.name == listener.name);
            let addresses: Vec<_> = of.map(|(_, address)| address.to_string()).collect();
            (listener.name, json!(addresses))
        });
        let mut status = vec![
            ("version", json!(env!("CARGO_PKG_VERSION"))),
            ("domains", json!(domains)),
            ("uptime_seconds", json!(state.uptime().as_secs())),
        ];
        status.extend(listening);
        status.extend([
            ("connections", json!(state.metrics.connections.get())),
            ("sessions", json!(state.sessions.count())),
            ("messages_in", json!(state.metrics.stanzas_in.message.get())),
            ("messages_out", json!(state.metrics.stanzas_out.message.get())),
            ("panics", json!(state.metrics.panics.get())),
        ]);
        status
    }
}

/// A reference of the server to itself, which does not keep it alive.
pub(super) struct WeakServer {
    acceptor: Weak<Acceptor<Services>>,
    addresses: Addresses,
}

impl WeakServer {
    pub(super) fn new(server: &Server) -> Self {
        let (acceptor, addresses) =
            (Arc::downgrade(&server.acceptor), Arc::clone(&server.addresses));
        Self { acceptor, addresses }
    }

    fn server(&self) -> Option<Server> {
        Some(Server { acceptor: self.acceptor.upgrade()?, addresses: Arc::clone(&self.addresses) })
    }
}

#[async_trait]
impl ServerControl for WeakServer {
    fn sessions(&self) -> Vec<SessionRow> {
        self.server().map_or_else(Vec::new, |server| server.sessions())
    }

    fn components(&self) -> Vec<ComponentRow> {
        self.server().map_or_else(Vec::new, |server| server.components())
    }

    fn is_ours(&self, domain: &str) -> bool {
        self.server().is_some_and(|server| server.is_ours(domain))
    }

    async fn set_component(
        &self,
        domain: &str,
        section: Option<&str>,
    ) -> Result<bool, StorageError> {
        match self.server() {
            Some(server) => server.set_component(domain, section).await,
            None => Ok(false),
        }
    }

    async fn close(&self, jid: &Jid, reason: Option<&str>) -> usize {
        match self.server() {
            Some(server) => server.close(jid, reason).await,
            None => 0,
        }
    }

    async fn revoke_client(
        &self,
        user: &BareJid,
        client: &Client,
        reason: &str,
    ) -> Result<usize, StorageError> {
        match self.server() {
            Some(server) => server.revoke_client(user, client, reason).await,
            None => Err(StorageError::Unusable("the server ends".into())),
        }
    }

    async fn remove_account(&self, user: &BareJid) -> Result<Option<usize>, StorageError> {
        match self.server() {
            Some(server) => server.remove_account(user).await,
            None => Err(StorageError::Unusable("the server ends".into())),
        }
    }

    fn admins_changed(&self) {
        if let Some(server) = self.server() {
            server.admins_changed();
        }
    }

    fn push_changed(&self, user: &BareJid) {
        if let Some(server) = self.server() {
            server.push_changed(user);
        }
    }

    fn strangers_changed(&self, user: &BareJid) {
        if let Some(server) = self.server() {
            server.strangers_changed(user);
        }
    }

    fn remote_servers(&self) -> Option<Arc<dyn RemoteServers>> {
        self.server()?.remote_servers()
    }

    fn rooms(&self) -> Option<Arc<dyn RoomAdministration>> {
        self.server()?.rooms()
    }

    fn status(&self) -> Vec<(&'static str, Value)> {
        self.server().map_or_else(Vec::new, |server| server.status())
    }
}
