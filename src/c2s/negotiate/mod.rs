//! Negotiates a client's stream: carries out what the state machine says (`negotiation`).

mod deadline;
mod driver;
mod inline;
mod login;
mod session;

use std::net::SocketAddr;
use std::sync::Arc;

use super::client::{C2s, StartState};
use super::last_words::note_stream_error;
use super::negotiation::{Action, Actions, FeatureCache, Limits, Negotiation, Settings};
use super::run::Start;
use crate::auth::{TlsFacts, TlsVersion};
use crate::config::Config;
use crate::host::stanza_log;
use crate::modules::{carbons, disco};
use crate::ns;
use crate::session::Session;
use crate::stanza::{StreamCondition, StreamError};
use crate::stream::channel::Channel;
use crate::stream::connection::Connection;
use crate::stream::input::StreamEvent;
use deadline::Deadline;
pub(super) use driver::before_auth;
use driver::{Driver, Failed};

/// A session, and what its connection starts with.
pub(super) struct Bound {
    pub(super) session: Session,
    pub(super) start: Box<Start>,
}

/// Negotiates until a session is bound or resumed (RFC 6120 §4.3), in its time. `None` if there will be
/// none: then the client was told why.
pub(super) async fn negotiate(
    c2s: &C2s,
    channel: Channel,
    peer: SocketAddr,
    start: StartState,
) -> Option<Bound> {
    let server = c2s.server();
    let config = server.config.load_full();
    let limits = &config.limits;
    let (stopping, deadline) = (server.tasks.stopping(), Deadline::new(limits.negotiation));
    let mut connection = Connection::new(channel, peer, before_auth(limits), limits.write);
    let mut driver = Driver::new(c2s, Arc::clone(&config), &mut connection, &deadline);
    let negotiated = tokio::select! {
        biased;
        negotiated = to_session(&mut driver, start) => negotiated,
        error = deadline.passed() => Err(Some(error)),
        () = stopping.cancelled() => Err(Some(StreamCondition::SystemShutdown.into())),
    };
    let (delivered, in_archive) = (driver.delivered, driver.in_archive);
    match negotiated {
        Ok(session) => {
            let start =
                Box::new(Start { connection: connection.negotiated(), delivered, in_archive });
            Some(Bound { session, start })
        }
        Err(error) => {
            match &error {
                Some(error) => note_stream_error(&server.metrics, error),
                None if connection.is_lost() => server.metrics.streams_closed.inc(["lost"]),
                None => server.metrics.streams_closed.inc(["closed"]),
            }
            let domain = server.hosts().first().map_or("", |host| host.domain.as_str());
            connection.close(error, domain).await;
            None
        }
    }
}

async fn to_session(driver: &mut Driver<'_>, start: StartState) -> Result<Session, Failed> {
    let offer = match start {
        StartState::StartTls => None,
        StartState::Tls(tls) => Some(driver.offer(tls.version, &tls.facts)),
        // A web page cannot bind a login to TLS: browsers do not tell it what is needed.
        StartState::Http(tls) => {
            let version = TlsVersion::named(tls);
            Some(driver.offer(tls, &TlsFacts { version, ..TlsFacts::default() }))
        }
    };
    let c2s = driver.c2s;
    let settings = c2s.settings.of(&driver.config, || settings(c2s, &driver.config));
    let mut machine = Negotiation::new(settings, offer);
    loop {
        while let Some(event) = driver.next_event() {
            let actions = match &event {
                Ok(StreamEvent::Header(header)) => machine.header(header),
                Ok(StreamEvent::Element(frame)) => machine.element(frame),
                Ok(StreamEvent::End) => machine.ended(),
                Err(error) => machine.fail(error.clone()),
            };
            note_refused(&machine, &event, &actions);
            drop(event);
            if let Some(session) = driver.carry_out(&mut machine, actions).await? {
                return Ok(session);
            }
        }
        driver.read().await?;
        if machine.is_within_login() && driver.connection.input.is_space() {
            let error = StreamCondition::BadFormat.text("white space within a login");
            stanza_log::note_refused(None, None, error.condition, None);
            let actions = machine.fail(error);
            driver.carry_out(&mut machine, actions).await?;
        }
    }
}

/// Says in the log that the stream ends because of a stanza that came before there was a session, or because
/// of bytes that are no stanza.
fn note_refused(
    machine: &Negotiation,
    event: &Result<StreamEvent, StreamError>,
    actions: &Actions,
) {
    let Some(Action::Close(Some(error))) = actions.last() else { return };
    let user = machine.user().map(|user| user.as_str());
    match event {
        Ok(StreamEvent::Element(frame)) if frame.root().ns() == ns::CLIENT => {
            let reason = "there is no session yet";
            stanza_log::note_refused(user, Some(&frame.root()), error.condition, Some(&reason));
        }
        Err(error) => stanza_log::note_refused(user, None, error.condition, None),
        Ok(_) => {}
    }
}

fn settings(c2s: &C2s, config: &Config) -> Settings {
    let limits = &config.limits;
    let idle = limits.silence + limits.ping_answer;
    Settings {
        domains: c2s.server().hosts().iter().map(|host| host.domain.to_string()).collect(),
        limits_before_auth: Limits { bytes: limits.stanza_before_auth, idle },
        limits: Limits { bytes: limits.stanza, idle },
        caps: disco::server_capabilities(c2s.server(), &c2s.router.registry),
        registration: config.registration.open || config.invitations.enabled,
        invitations: config.invitations.enabled,
        failures: config.auth.failures_per_connection,
        resumption: !limits.resume.is_zero(),
        bind_features: vec![carbons::NS, ns::CSI, ns::SM],
        features: FeatureCache::default(),
    }
}
