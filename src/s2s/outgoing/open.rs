//! Opens a stream to another server: finds it, connects, and carries out what the machine says, until stanzas may be
//! sent or a key is verified.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::action::{Action, Actions, Purpose, Seen};
use super::machine::Outgoing;
use crate::s2s::announced_limits::OurLimits;
use crate::s2s::dial::{Dialed, Dialer};
use crate::s2s::dialback::Verdict;
use crate::s2s::failure::{Failure, log_error_of_peer};
use crate::s2s::limits;
use crate::s2s::network::Network;
use crate::s2s::pair::Pair;
use crate::s2s::resolve::targets;
use crate::s2s::servers::Servers;
use crate::stream::channel::Channel;
use crate::stream::connection::Connection;
use crate::stream::input::StreamEvent;
use crate::stream::wire::Wire;
use crate::tls;

/// A stream that is open.
pub(in crate::s2s) struct Opened {
    pub(in crate::s2s) connection: Connection,
    pub(in crate::s2s) machine: Outgoing,
    /// The answer, if a key was to be verified.
    pub(in crate::s2s) verdict: Option<Verdict>,
    /// What is offered, if that was asked.
    pub(in crate::s2s) seen: Option<Seen>,
}

/// The result of some actions.
enum Step {
    Answered(Verdict),
    Goes,
    Ready,
    Seen(Seen),
}

/// Opens a stream for this pair.
///
/// # Errors
/// Why there is none. The other server was told, if it was reached.
pub(in crate::s2s) async fn open(
    servers: &Servers,
    pair: &Pair,
    purpose: Purpose,
) -> Result<Opened, Failure> {
    let config = servers.server().config.load_full();
    let host = servers.host_of(&pair.local);
    let Network { resolver, connector } = &servers.network;
    let dns = &**resolver;
    let dialer = Dialer {
        connector: &**connector,
        domain: &pair.remote,
        direct: servers.certificates.outgoing(host, true),
        own: servers.own_addresses(),
        handshake: config.limits.handshake,
    };
    let targets = targets(&config.s2s, dns, &pair.remote).await;
    let targets = targets.map_err(Failure::before_connected)?;
    let dialed = Box::pin(dialer.dial(dns, &targets)).await;
    let Dialed { wire, peer, certificates } = dialed.map_err(Failure::before_connected)?;
    let mut certificate = certificates.map(|chain| servers.certificates.judge(&chain));
    if let Some(certificate) = &mut certificate {
        let is_look = matches!(purpose, Purpose::Look);
        Box::pin(servers.ask_others(&pair.remote, certificate, is_look)).await;
    }
    let channel = Channel::Tcp(wire);
    let before = limits::before_auth(&config);
    let mut connection = Connection::new(channel, peer, before, config.limits.write).with_server();
    let key = servers.key.clone();
    let (rules, our_limits) = (servers.rules(), OurLimits::new(&config));
    // What was not acknowledged on the previous stream waits in front of everything else.
    let link = matches!(purpose, Purpose::Stanzas).then(|| servers.find(pair)).flatten();
    let mut machine = Outgoing::new(pair.clone(), purpose, rules, key, our_limits, certificate);
    machine.follows(link.and_then(|link| link.previous()));
    match negotiate(servers, host, pair, &mut connection, &mut machine).await {
        Ok((verdict, seen)) => {
            connection.set_limits(limits::of_servers(&config));
            Ok(Opened { connection, machine, verdict, seen })
        }
        Err(failure) => {
            servers.close_later(connection, &pair.local);
            Err(failure)
        }
    }
}

async fn negotiate(
    servers: &Servers,
    host: &str,
    pair: &Pair,
    connection: &mut Connection,
    machine: &mut Outgoing,
) -> Result<(Option<Verdict>, Option<Seen>), Failure> {
    let mut actions = machine.begin();
    loop {
        match Box::pin(carry_out(servers, host, pair, connection, machine, actions)).await? {
            Step::Ready => return Ok((None, None)),
            Step::Answered(verdict) => return Ok((Some(verdict), None)),
            Step::Seen(seen) => return Ok((None, Some(seen))),
            Step::Goes => {}
        }
        if machine.is_resuming() {
            connection.set_limits(limits::of_servers(&servers.server().config.load()));
        }
        actions = loop {
            match connection.input.next_event() {
                Ok(Some(StreamEvent::Header(header))) => break machine.header(&header),
                Ok(Some(StreamEvent::Element(frame))) => {
                    log_error_of_peer(&frame, Some(&pair.remote), connection.peer);
                    break machine.element(frame);
                }
                Ok(Some(StreamEvent::End)) => break machine.ended(),
                Err(error) => break machine.broken(error.into()),
                // A server that says nothing must not keep the turn for long.
                Ok(None) if machine.awaits_verdict() && connection.read().await => {}
                Ok(None) if !machine.awaits_verdict() => {
                    match timeout(WORD, connection.read()).await {
                        Ok(true) => {}
                        Ok(false) => return Err(Failure::protocol("the other server has hung up")),
                        Err(_) => return Err(Failure::timeout("the other server does not answer")),
                    }
                }
                Ok(None) => return Err(Failure::protocol("the other server has hung up")),
            }
        };
    }
}

async fn carry_out(
    servers: &Servers,
    host: &str,
    pair: &Pair,
    connection: &mut Connection,
    machine: &mut Outgoing,
    actions: Actions,
) -> Result<Step, Failure> {
    let lost = |_| Failure::protocol("the connection to the other server is lost");
    let mut step = Step::Goes;
    let mut todo: std::collections::VecDeque<_> = actions.into_iter().collect();
    while let Some(action) = todo.pop_front() {
        match action {
            Action::Open(header) => connection.open(&header),
            Action::Send(node) => connection.send(&node),
            Action::Restart => {
                connection.restart(limits::before_auth(&servers.server().config.load()));
            }
            Action::Secure => {
                let chain = starttls(servers, host, pair, connection).await?;
                let mut certificate = servers.certificates.judge(&chain);
                let is_look = machine.is_look();
                Box::pin(servers.ask_others(&pair.remote, &mut certificate, is_look)).await;
                todo.extend(machine.secured(certificate));
            }
            // They may come only when stanzas may be sent.
            Action::Manage(_) | Action::Stanza(_) => {}
            Action::Ready => step = Step::Ready,
            Action::Seen(seen) => step = Step::Seen(seen),
            Action::Answered(verdict) => step = Step::Answered(verdict),
            Action::Fail(failure) => return Err(failure),
            Action::Close(_) => return Err(Failure::protocol("the other server has hung up")),
        }
    }
    connection.flush().await.map_err(lost)?;
    Ok(step)
}

/// Makes the handshake. What came before it must not be taken for what comes after it (RFC 6120 §5.4.3.3).
async fn starttls(
    servers: &Servers,
    host: &str,
    pair: &Pair,
    connection: &mut Connection,
) -> Result<Vec<rustls::pki_types::CertificateDer<'static>>, Failure> {
    let failed = || Failure::protocol("no TLS with the other server");
    if connection.input.discard() {
        return Err(failed());
    }
    let Some(Wire::Plain(io)) = connection.take_for_tls().await else { return Err(failed()) };
    let limit = servers.server().config.load().limits.handshake;
    let config = Arc::clone(&servers.certificates.outgoing(host, false));
    match timeout(limit, tls::connect(io, config, &pair.remote)).await {
        Ok(Ok(connected)) => {
            connection.secured(Wire::Plain(Box::new(connected.stream)));
            Ok(connected.certificates)
        }
        Ok(Err(error)) => {
            tracing::info!(domain = %pair.remote, %error, "TLS with another server has failed");
            Err(failed())
        }
        Err(_) => Err(Failure::timeout("the other server does not answer")),
    }
}

/// How long the other server may take for its next element, while it does not have to ask anybody.
const WORD: Duration = Duration::from_secs(15);
