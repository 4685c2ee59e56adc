//! The proxy for bytestreams (XEP-0065 §6): takes SOCKS5 connections, and relays two of them when the requester has
//! activated their bytestream at the service `proxy.<host>` (`src/modules/bytestreams.rs`).
//!
//! Until then a connection may only be open: what it sends is thrown away (XEP-0065 §10.1), and it is closed after
//! `limits.bytestream_wait`.

mod relay;
mod socks5;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use self::relay::Progress;
use self::socks5::Refusal;
use crate::host::ServerState;
use crate::host::bytestreams::{Bytestreams, Side, Start, StreamHash, Waiting};
use crate::limit::Action;
use crate::listen::Accepted;
use crate::stream::wire::Wire;

/// Serves a connection, to the end of its bytestream or until the task of the other side has it.
pub async fn serve(server: Arc<ServerState>, accepted: Accepted) {
    let stopping = server.tasks.stopping();
    tokio::select! {
        () = stopping.cancelled() => {}
        () = run(&server, accepted) => {}
    }
}

async fn run(server: &ServerState, accepted: Accepted) {
    let Accepted { mut wire, peer, counted, .. } = accepted;
    let held = server.budgets.waiting_bytestreams.holder(None, Some(peer.ip()));
    if let Err(scope) = held.try_add(1) {
        server.budgets.waiting_bytestreams.count(scope, Action::Close);
        return;
    }
    let limits = server.config.load().limits.clone();
    let table = server.shared::<Bytestreams>();
    let joined = timeout(limits.handshake, join(table, &mut wire)).await;
    let Ok(Some((hash, mut waiting))) = joined else {
        tracing::debug!("no bytestream was asked for");
        return;
    };
    let start = timeout(limits.bytestream_wait, started(&mut wire, &mut waiting)).await;
    drop((waiting, held));
    match start {
        Ok(Some(Start::Give(to))) => {
            let side = Side { io: Box::new(wire), address: peer.ip(), counted: Box::new(counted) };
            drop(to.send(side));
        }
        Ok(Some(Start::Take(from, activation))) => {
            let Ok(other) = from.await else { return };
            let user = &activation.user;
            let shares =
                [peer.ip(), other.address].map(|address| server.budgets.bytestream(user, address));
            let progress = Progress::default();
            tracing::debug!(jid = %user, ?hash, "a bytestream begins");
            relay::relay(wire, other.io, shares, limits.bytestream_silence, &progress).await;
            let bytes = progress.bytes.load(Ordering::Relaxed);
            tracing::debug!(jid = %user, bytes, "a bytestream has ended");
        }
        Ok(None) => tracing::debug!("the client has gone before its bytestream was activated"),
        Err(_) => tracing::debug!("nobody has activated a bytestream"),
    }
}

/// Reads which bytestream the client wants, and enters it. `None` if there is no such request, or if two connections
/// have entered already.
async fn join<'a>(table: &'a Bytestreams, wire: &mut Wire) -> Option<(StreamHash, Waiting<'a>)> {
    let request = socks5::negotiate(wire).await.ok()??;
    let joined = request.hash.and_then(|hash| {
        let waiting = table.wait(hash).ok_or(Refusal::NotAllowed)?;
        Ok((hash, waiting))
    });
    request.answer(wire, joined.as_ref().err().copied()).await.ok()?;
    joined.ok()
}

/// Waits until the bytestream is activated. `None` if the client closes the connection, or sends too much before.
async fn started(wire: &mut Wire, waiting: &mut Waiting<'_>) -> Option<Start> {
    let mut early = 0;
    let mut buffer = [0; 1024];
    loop {
        // In this order: what was sent after the activation is not read here.
        tokio::select! {
            biased;
            start = &mut waiting.start => return start.ok(),
            read = wire.read(&mut buffer) => early += read.ok().filter(|count| *count > 0)?,
        }
        if early > MOST_EARLY {
            return None;
        }
    }
}

/// How many bytes may come too early.
const MOST_EARLY: usize = 64 * 1024;
