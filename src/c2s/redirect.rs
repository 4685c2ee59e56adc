//! Clients over WebSocket that are to connect elsewhere (RFC 7395 §3.6.1).

use tokio::time::timeout;

use super::client::{C2s, Client};
use super::negotiate::before_auth;
use crate::stream::connection::Connection;
use crate::stream::header::StreamHeader;
use crate::stream::input::StreamEvent;

/// Waits for the beginning of the client's stream, in its time, and sends the client to this address.
pub(super) async fn redirect(c2s: &C2s, client: Client, address: &str) {
    let server = c2s.server();
    let limits = server.config.load().limits.clone();
    let Client { channel, peer, counted, .. } = client;
    let mut connection = Connection::new(channel, peer, before_auth(&limits), limits.write);
    let begins = async {
        loop {
            match connection.input.next_event() {
                Ok(Some(StreamEvent::Header(_))) => return true,
                Ok(Some(_)) | Err(_) => return false,
                Ok(None) => {}
            }
            if !connection.read().await {
                return false;
            }
        }
    };
    let stopping = server.tasks.stopping();
    let begun = stopping.run_until_cancelled(timeout(limits.negotiation, begins)).await;
    if let Some(Ok(true)) = begun {
        let domain = server.hosts().first().map_or("", |host| host.domain.as_str());
        connection.open(&StreamHeader::new(domain, None));
        connection.redirect(address).await;
    }
    drop(counted);
}
