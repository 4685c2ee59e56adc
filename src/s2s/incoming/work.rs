//! What a stream that another server has opened is made to do: TLS, a new stream, a call back.

use std::sync::Arc;

use tokio::time::Instant;

use super::action::{Actions, Question};
use super::serve::{Ended, Stream};
use crate::s2s::dialback::Verdict;
use crate::s2s::limits;
use crate::s2s::verify::verify;
use crate::stanza::StreamCondition;
use crate::stream::handshake::Handshaker;
use crate::tls::Purpose;

impl Stream {
    /// A new stream begins.
    pub(super) fn restart(&mut self) {
        let limits = match self.machine.is_proven() {
            true => limits::of_servers(&self.config),
            false => limits::before_auth(&self.config),
        };
        if self.machine.is_proven() {
            self.due = Instant::now() + self.config.limits.negotiation;
        }
        self.connection.restart(limits);
    }

    /// RFC 6120 §5.4.3.3: what came before TLS must not be taken for what comes after it.
    pub(super) async fn secure(&mut self) -> Result<Actions, Ended> {
        if self.connection.input.discard() {
            let text = "data between starttls and the TLS handshake";
            return Err(Some(StreamCondition::PolicyViolation.text(text)));
        }
        let wire = self.connection.take_for_tls().await.ok_or(None)?;
        let handshaker = Handshaker {
            certificates: &self.servers.certificates,
            metrics: &self.servers.server().metrics,
            limit: self.config.limits.handshake,
        };
        let local = self.machine.claimed().map(|pair| pair.local.clone());
        let host = local.as_deref().map(|local| self.servers.host_of(local));
        let secured = handshaker.secure(wire, Purpose::ServerStartTls, host).await;
        let Some((wire, tls)) = secured else {
            let from = self.machine.claimed().map(|pair| &*pair.remote);
            tracing::info!(from, peer = %self.connection.peer, "no TLS with another server");
            return Err(None);
        };
        self.connection.secured(wire);
        Ok(self.machine.secured(self.servers.certificates.judge(&tls.certificates)))
    }

    /// Asks the other domain, in a task of its own.
    pub(super) fn verify(&self, question: Question) {
        let (servers, verdict) = (Arc::clone(&self.servers), self.verdict.clone());
        let (stream, peer) = (self.machine.id().to_owned(), self.connection.peer.ip());
        let ending = servers.server().tasks.ending();
        let task = async move {
            let Question { pair, key, certificate } = question;
            let asked = verify(&servers, &pair, stream, key, peer, certificate.as_deref());
            let said = tokio::select! {
                biased;
                // The server does not wait for another one.
                () = ending.cancelled() => return,
                said = Box::pin(asked) => said,
            };
            if said != Verdict::Valid {
                tracing::info!(from = %pair.remote, to = %pair.local, ?said, "a key is not taken");
            }
            // The stream may have ended.
            drop(verdict.send((pair, said)).await);
        };
        drop(self.servers.server().tasks.spawn("verification", task));
    }
}
