//! External components (XEP-0114): programs that have a domain here, and connect to the server by a stream of their own.
//!
//! A component is trusted: it may send in the name of each address at its domain. So it must know the secret of the
//! configuration, and its port is open for this machine only, if nothing else is configured.

mod open;
mod probe;
mod stream;

use std::net::SocketAddr;
use std::sync::Arc;

use smol_str::SmolStr;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use self::open::{Opened, Refused};
use crate::config::LimitsConfig;
use crate::host::components::{ComponentQueue, Components, gone};
use crate::host::{
    Route as _, ServerState, delegations, privileged_presence, privileges, stanza_log,
};
use crate::listen::Accepted;
use crate::router::Router;
use crate::stanza::{Stanza, StreamCondition};
use crate::stream::channel::{Channel, SharedChannel};
use crate::stream::connection::{farewell, write_all};
use crate::stream::framing::Framing;
use crate::stream::input::Input;
use crate::xml::Limits;

/// Serves the connection of a component, to its end.
pub async fn serve(router: Arc<Router>, accepted: Accepted) {
    let Accepted { wire, peer, counted, .. } = accepted;
    let server = Arc::clone(&router.server);
    let limits = server.config.load().limits.clone();
    let stopping = server.tasks.stopping();
    let mut channel = Channel::Tcp(wire);
    let mut input = Input::new(Framing::Tcp, before_auth(&limits));
    let opened = tokio::select! {
        () = stopping.cancelled() => return,
        opened = timeout(limits.negotiation, open::open(&server, &mut channel, &mut input, peer)) => opened,
    };
    let Opened { domain, connections } = match opened {
        Ok(Ok(opened)) => opened,
        Ok(Err(refused)) => return refuse_connection(&server, channel, refused, peer).await,
        Err(_) => return,
    };
    let table = server.shared::<Components>();
    let Some((entered, mut queue)) = table.enter(&domain, connections, peer) else {
        tracing::info!(%peer, host = %domain, "component refused: it is connected already");
        let error = StreamCondition::Conflict.text("the component is connected already");
        drop(farewell(channel, Vec::new(), Some(&error)).await);
        return;
    };
    input.set_limits(after_auth(&limits));
    tracing::info!(%peer, host = %domain, "component connected");
    let welcome = welcome(&server, &domain);
    let acknowledged = write_all(&mut channel, &welcome, limits.write).await;
    let (channel, ended) = (SharedChannel::new(channel), CancellationToken::new());
    let (mut error, mut unwritten) = (None, Vec::new());
    if acknowledged.is_ok() {
        if entered.is_first {
            begin(&router, &domain);
        }
        let link = stream::Link {
            router: &router,
            domain: &domain,
            channel: &channel,
            closing: entered.closing(),
            ended: &ended,
        };
        let (read, rest) = tokio::join!(
            stream::read(&link, &mut input),
            stream::write(&link, &mut queue, limits.write),
        );
        (error, unwritten) = (read, rest);
    }
    drop(entered);
    if !table.is_connected(&domain) && !stopping.is_cancelled() {
        let work = probe::gone(Arc::clone(&router), domain.clone());
        drop(server.tasks.spawn("component-gone", work));
    }
    tracing::info!(%peer, host = %domain, condition = error.as_ref().map(|e| e.condition.as_str()), "component disconnected");
    refuse(&router, unwritten).await;
    refuse_what_waits(&router, &mut queue).await;
    drop(farewell(channel.into_inner(), Vec::new(), error.as_ref()).await);
    drop(counted);
}

/// Says why a connection is refused, and ends it.
async fn refuse_connection(
    server: &ServerState,
    channel: Channel,
    Refused { out, error }: Refused,
    peer: SocketAddr,
) {
    let Some(error) = error else { return };
    if let Some(left_out) = server.shared::<Components>().refusals.note() {
        let (condition, text) = (error.condition.as_str(), error.text.as_deref());
        tracing::info!(%peer, condition, text, left_out, "component refused");
    }
    drop(farewell(channel, out, Some(&error)).await);
}

/// What begins with the first connection of a component: it is told presence, it is asked for its features, and the
/// contacts of its users are probed.
fn begin(router: &Arc<Router>, domain: &SmolStr) {
    let server = &router.server;
    let (tasks, stopping) = (&server.tasks, server.tasks.stopping());
    let who = || (Arc::clone(server), domain.clone());
    let (state, name) = who();
    let work = privileged_presence::tell_all(state, name);
    drop(tasks.spawn("component-presence", stopping.clone().run_until_cancelled_owned(work)));
    let (state, name) = who();
    let work = delegations::ask(state, name);
    drop(tasks.spawn("component-features", stopping.run_until_cancelled_owned(work)));
    drop(tasks.spawn("component-probes", probe::contacts(Arc::clone(router), domain.clone())));
}

/// What a component is told first: that it is accepted, its privileges (XEP-0356 §4.2), and what is delegated
/// to it (XEP-0355 §4.2).
fn welcome(server: &ServerState, domain: &str) -> Vec<u8> {
    let mut out = b"<handshake/>".to_vec();
    let config = server.config.load();
    let component = config.components.iter().find(|component| component.domain == domain);
    let Some(component) = component else { return out };
    let told = privileges::advertised(server, component).into_iter();
    for stanza in told.chain(delegations::advertised(server, component)) {
        stanza.write(None, &mut out);
    }
    out
}

/// Returns what was not written to its senders.
async fn refuse_what_waits(router: &Router, queue: &mut ComponentQueue) {
    queue.close();
    while let Some(stanza) = queue.try_next() {
        refuse(router, [stanza]).await;
    }
}

/// Tells the senders that the component has disconnected.
async fn refuse(router: &Router, stanzas: impl IntoIterator<Item = Stanza>) {
    for stanza in stanzas {
        let (error, answer) = (gone(), gone().answer(&stanza));
        stanza_log::note_returned(&stanza, &error, answer.is_some());
        if let Some(answer) = answer {
            router.route(answer).await;
        }
    }
}

fn before_auth(limits: &LimitsConfig) -> Limits {
    Limits { bytes: limits.stanza_before_auth, nodes: NODES_BEFORE_AUTH, ..after_auth(limits) }
}

fn after_auth(limits: &LimitsConfig) -> Limits {
    Limits {
        bytes: limits.stanza,
        depth: limits.depth,
        attributes: limits.attributes,
        nodes: limits.nodes,
    }
}

/// Enough for a header and a handshake.
const NODES_BEFORE_AUTH: usize = 64;
