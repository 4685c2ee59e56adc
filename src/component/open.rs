//! How the stream of a component begins (XEP-0114 §3): its header, ours, and the handshake.

use std::net::SocketAddr;

use sha1::{Digest, Sha1};
use smol_str::SmolStr;
use subtle::ConstantTimeEq as _;

use crate::config::{ComponentConfig, prepare_domain};
use crate::host::ServerState;
use crate::ns;
use crate::random::random_id;
use crate::stanza::{StreamCondition, StreamError};
use crate::stream::channel::Channel;
use crate::stream::connection::write_all;
use crate::stream::input::{Input, StreamEvent};
use crate::xml::{Header, escape_attr};

/// A component that has proved that it knows its secret.
pub(super) struct Opened {
    /// Its configured domain.
    pub(super) domain: SmolStr,
    /// How many connections it may have.
    pub(super) connections: usize,
}

/// A stream that ends before it has begun.
pub(super) struct Refused {
    /// To be written first: our header, if it was not sent.
    pub(super) out: Vec<u8>,
    /// `None` if nobody is there to be told.
    pub(super) error: Option<StreamError>,
}

/// Reads the header and the handshake.
///
/// # Errors
/// Why the stream ends.
pub(super) async fn open(
    server: &ServerState,
    channel: &mut Channel,
    input: &mut Input,
    peer: SocketAddr,
) -> Result<Opened, Refused> {
    let id = random_id();
    let asked = match next(channel, input).await {
        Ok(Some(StreamEvent::Header(header))) => component(server, &header),
        Ok(Some(_)) => Err(StreamCondition::BadFormat.into()),
        Ok(None) => return Err(Refused { out: Vec::new(), error: None }),
        Err(error) => Err(error),
    };
    let component = asked.map_err(|error| {
        let ours = server.hosts().first().map_or("", |host| host.domain.as_str());
        Refused { out: our_header(ours, &id), error: Some(error) }
    })?;
    let header = our_header(&component.domain, &id);
    let limit = server.config.load().limits.write;
    if write_all(&mut *channel, &header, limit).await.is_err() {
        return Err(Refused { out: Vec::new(), error: None });
    }
    let told = |error: StreamError| Refused { out: Vec::new(), error: Some(error) };
    let proof = match next(channel, input).await.map_err(told)? {
        Some(StreamEvent::Element(frame)) if frame.root().is(ns::CLIENT, "handshake") => {
            frame.root().text().trim().to_ascii_lowercase()
        }
        Some(StreamEvent::Element(_)) => return Err(told(StreamCondition::NotAuthorized.into())),
        Some(StreamEvent::Header(_)) => return Err(told(StreamCondition::BadFormat.into())),
        Some(StreamEvent::End) | None => return Err(Refused { out: Vec::new(), error: None }),
    };
    let is_right = is_proof(&component, &id, &proof);
    wait_as_for_a_guess(server, peer, &component.domain, is_right).await.map_err(told)?;
    if !is_right {
        return Err(told(StreamCondition::NotAuthorized.text("the secret is wrong")));
    }
    let domain = SmolStr::new(&component.domain);
    Ok(Opened { domain, connections: component.connections })
}

/// The component that a header names.
fn component(server: &ServerState, header: &Header) -> Result<ComponentConfig, StreamError> {
    if header.name != "stream" {
        return Err(StreamCondition::BadFormat.text("a stream must begin with a stream element"));
    }
    if header.ns != ns::STREAM || header.default_namespace != ns::COMPONENT {
        return Err(StreamCondition::InvalidNamespace.into());
    }
    let to = header.to.as_deref().ok_or(StreamCondition::ImproperAddressing)?;
    let domain = prepare_domain(to).map_err(|_| StreamCondition::HostUnknown)?;
    let config = server.config.load();
    // A component with all domains below its own names its own.
    let named = config.components.iter().find(|component| component.domain == domain);
    Ok(named.ok_or(StreamCondition::HostUnknown)?.clone())
}

/// SHA-1 of the id and the secret, in hexadecimal digits. It takes as long for a wrong proof as for a right one.
fn is_proof(component: &ComponentConfig, id: &str, proof: &str) -> bool {
    let Some(secret) = component.shared_secret() else { return false };
    let hash = Sha1::new().chain_update(id).chain_update(secret.text()).finalize();
    let digits: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.as_bytes().ct_eq(proof.as_bytes()).into()
}

/// Wrong secrets count as failed logins do: after some, answers come late, right or wrong.
async fn wait_as_for_a_guess(
    server: &ServerState,
    peer: SocketAddr,
    domain: &str,
    is_right: bool,
) -> Result<(), StreamError> {
    let (guesses, config) = (&server.budgets.guesses, server.config.load_full());
    let longest = config.limits.authentication * 2 / 3;
    let by_address = config.auth.slow_addresses;
    match guesses.answer(peer.ip(), Some(domain), is_right, by_address, longest) {
        Ok(wait) => tokio::time::sleep(wait).await,
        Err(_) => return Err(StreamCondition::NotAuthorized.text("too many wrong secrets")),
    }
    if is_right {
        guesses.note_success(peer.ip(), domain);
    }
    Ok(())
}

/// What the component sends next. `None` if the connection has ended.
async fn next(
    channel: &mut Channel,
    input: &mut Input,
) -> Result<Option<StreamEvent>, StreamError> {
    loop {
        if let Some(event) = input.next_event()? {
            return Ok(Some(event));
        }
        if !matches!(channel.receive(input.received()).await, Ok(Some(_))) {
            return Ok(None);
        }
    }
}

fn our_header(from: &str, id: &str) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend_from_slice(b"<?xml version='1.0'?><stream:stream xmlns='");
    out.extend_from_slice(ns::COMPONENT.as_bytes());
    out.extend_from_slice(b"' xmlns:stream='");
    out.extend_from_slice(ns::STREAM.as_bytes());
    out.extend_from_slice(b"' id='");
    out.extend_from_slice(id.as_bytes());
    out.extend_from_slice(b"' from='");
    escape_attr(&mut out, from);
    out.extend_from_slice(b"'>");
    out
}
