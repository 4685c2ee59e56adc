//! Clients over WebSocket that are to connect elsewhere (RFC 7395 §3.6.1).

use tokio::time::timeout;

use super::client::{C2s, Client};
use super::negotiate::before_auth;
use crate::host::ServerState;
use crate::jid::Jid;
use crate::stanza::{StreamCondition, StreamError};
use crate::stream::connection::Connection;
use crate::stream::header::{self, StreamHeader};
use crate::stream::input::StreamEvent;
use crate::xml::Header;

/// Waits for the beginning of the client's stream, in its time, and sends the client to this address.
pub(super) async fn redirect(c2s: &C2s, client: Client, address: &str) {
    let server = c2s.server();
    let limits = server.config.load().limits.clone();
    let Client { channel, peer, counted, .. } = client;
    let mut connection = Connection::new(channel, peer, before_auth(&limits), limits.write);
    let begins = async {
        loop {
            match connection.input.next_event() {
                Ok(Some(StreamEvent::Header(header))) => return Some(domain_of(server, &header)),
                Ok(Some(_)) => return Some(Err(StreamCondition::BadFormat.into())),
                Err(error) => return Some(Err(error.into())),
                Ok(None) => {}
            }
            if !connection.read().await {
                return None;
            }
        }
    };
    let stopping = server.tasks.stopping();
    let begun = stopping.run_until_cancelled(timeout(limits.negotiation, begins)).await;
    let first = server.hosts().first().map_or("", |host| host.domain.as_str());
    match begun {
        Some(Ok(Some(Ok(domain)))) => {
            connection.open(&StreamHeader::new(&domain, None));
            connection.redirect(address).await;
        }
        Some(Ok(Some(Err(error)))) => connection.close(Some(error), first).await,
        _ => {}
    }
    drop(counted);
}

/// The domain that the client asks for.
///
/// # Errors
/// The header is wrong, or the domain is not served here (RFC 6120 §4.9.3.6).
fn domain_of(server: &ServerState, asked: &Header) -> Result<String, StreamError> {
    header::check(asked)?;
    let to = asked.to.as_deref().ok_or(StreamCondition::ImproperAddressing)?;
    let to = Jid::parse(to).map_err(|_| StreamCondition::HostUnknown)?;
    let host = server.host(to.domain()).filter(|_| to.local().is_none());
    Ok(host.ok_or(StreamCondition::HostUnknown)?.domain.to_string())
}
