//! Takes stanzas from the router, and gives each to an existing link or to a new one.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use tracing::Instrument as _;

use super::bounce;
use super::failure::STOPPING;
use super::link::{Link, NotTaken, Waiting};
use super::live::live;
use super::pair::Pair;
use super::servers::{LINKS, Servers};
use crate::host::{RemoteRule, RemoteServers, StreamRow};
use crate::jid::BareJid;
use crate::limit::{Action, BudgetScope, Held};
use crate::stanza::{Condition, Stanza, StanzaError};
use crate::storage;

impl Servers {
    /// A stream that the peer had opened has ended. What is queued needs a stream of our own.
    pub(super) fn abandon(&self, link: &Arc<Link>) {
        link.set_opened(None);
        if link.close_if_empty() {
            self.remove(link);
            return;
        }
        let Some(own) = self.own.upgrade() else { return };
        let span = tracing::debug_span!("link", from = %link.pair.local, to = %link.pair.remote);
        let task = live(own, Arc::clone(link)).instrument(span);
        drop(self.server().tasks.spawn("link", task));
    }

    /// Counts a stanza until it is written or returned.
    fn hold(
        &self,
        stanza: &Stanza,
        is_of_user: bool,
        account: Option<&BareJid>,
    ) -> Result<Held, StanzaError> {
        let (budget, size) = (&self.server().budgets.remote, stanza.size() as u64);
        let refused = |scope| {
            budget.count(scope, Action::Error);
            Condition::ResourceConstraint.text("too much waits for other servers")
        };
        // Strangers can make the server and its services answer. So half of the budget is for users alone.
        if !is_of_user && budget.is_half_full(size) {
            return Err(refused(BudgetScope::All));
        }
        let held = budget.holder(account.map(|by| by.as_str()), None);
        held.try_add(size).map_err(refused)?;
        Ok(held)
    }

    /// The link of this pair. A new one begins to connect.
    fn link(&self, pair: &Pair, by: Option<&BareJid>) -> Result<Arc<Link>, StanzaError> {
        if let Some(link) = self.find(pair) {
            return Ok(link);
        }
        if !self.rules().may_talk(&pair.remote) {
            let text = "this server does not talk to that domain";
            return Err(Condition::RemoteServerNotFound.text(text));
        }
        if let Some(why) = self.remotes.why_not_pair(pair) {
            return Err(bounce::error(why));
        }
        let server = self.server();
        let own = self.own.upgrade().filter(|_| !server.tasks.ending().is_cancelled());
        let Some(own) = own else { return Err(bounce::error(STOPPING)) };
        let mut links = self.links.lock();
        if let Some(link) = links.get(pair).filter(|link| !link.is_closed()) {
            return Ok(Arc::clone(link));
        }
        if links.len() >= LINKS {
            return Err(Condition::ResourceConstraint.text("too many other servers"));
        }
        let link =
            Arc::new(Link::new(pair.clone(), by.map(|by| by.as_str().into()), &server.budgets));
        links.insert(pair.clone(), Arc::clone(&link));
        // The stanza in hand is the first of many: they are not in its span.
        let span =
            tracing::debug_span!(parent: None, "link", from = %pair.local, to = %pair.remote);
        drop(server.tasks.spawn("link", live(own, Arc::clone(&link)).instrument(span)));
        Ok(link)
    }
}

#[async_trait]
impl RemoteServers for Servers {
    fn send(&self, stanza: Stanza, by: Option<&BareJid>) -> Result<(), StanzaError> {
        let pair = Pair::of_outgoing(&stanza).ok_or(Condition::BadRequest)?;
        let server = self.server();
        let (most, bytes) = {
            let config = server.config.load();
            (config.s2s.queue_stanzas, config.s2s.queue_bytes)
        };
        let mut waiting = Waiting { stanza, held: None };
        loop {
            let link = self.link(&pair, by)?;
            if waiting.held.is_none() {
                // What is written at once counts only for the total, which needs no look-up.
                let account = by.filter(|_| !link.is_flowing());
                waiting.held = Some(self.hold(&waiting.stanza, by.is_some(), account)?);
            }
            match link.push(waiting, most, bytes) {
                Ok(()) => return Ok(()),
                Err(NotTaken::Closed(again)) => waiting = again,
                Err(NotTaken::Full) => {
                    let text = "too much waits for the other server";
                    return Err(Condition::ResourceConstraint.text(text));
                }
            }
        }
    }

    fn streams(&self) -> Vec<StreamRow> {
        self.rows()
    }

    fn close(&self, domain: &str) -> usize {
        self.end(domain)
    }

    fn stored_rules(&self) -> Vec<RemoteRule> {
        self.exceptions.all().to_vec()
    }

    async fn set_rule(&self, pattern: &str, is_allowed: Option<bool>) -> storage::Result<bool> {
        let done = self.exceptions.set(self.server(), pattern, is_allowed).await?;
        self.end_denied();
        Ok(done)
    }

    fn rules_changed(&self) {
        self.end_denied();
    }

    fn show(&self, domain: &str) -> Vec<(&'static str, Value)> {
        self.about(domain)
    }

    async fn test(&self, from: &str, domain: &str) -> Vec<(&'static str, Value)> {
        self.try_out(from, domain).await
    }
}
