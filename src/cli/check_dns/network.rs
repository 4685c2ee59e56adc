//! The DNS and the network of this machine.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::outside::{Kind, Outside, Refusal, Seen};
use crate::clock::Clock;
use crate::ns;
use crate::s2s::{Dns, Resolve, Srv, Unresolved};
use crate::tls::{self, Connected, Looker, PeerCertificate, Purpose, Tlsa};

/// The DNS and the network of this machine.
pub(super) struct Network {
    dns: Dns,
    looker: Looker,
    clock: Clock,
    has_answered: AtomicBool,
    failures: AtomicUsize,
}

impl Network {
    pub(super) fn new(resolver: Option<SocketAddr>, looker: Looker, clock: Clock) -> Self {
        let (has_answered, failures) = (AtomicBool::new(false), AtomicUsize::new(0));
        Self { dns: Dns::new(resolver, None), looker, clock, has_answered, failures }
    }

    /// One question. When several were asked and none was answered, nobody waits for more.
    async fn ask<T>(
        &self,
        question: impl Future<Output = Result<T, Unresolved>>,
    ) -> Result<T, Unresolved> {
        if self.failures.load(Relaxed) >= FAILURES && !self.has_answered.load(Relaxed) {
            return Err(Unresolved);
        }
        let answer = timeout(QUESTION, question).await.unwrap_or(Err(Unresolved));
        match answer {
            Ok(_) => self.has_answered.store(true, Relaxed),
            Err(Unresolved) => drop(self.failures.fetch_add(1, Relaxed)),
        }
        answer
    }

    /// The handshake, and one request, if there is one.
    async fn secured(
        &self,
        socket: TcpStream,
        purpose: Purpose,
        name: &str,
        path: Option<&str>,
    ) -> Result<Seen, Refusal> {
        let connected = tls::connect(socket, Looker::settings(purpose), name).await;
        let Connected { mut stream, certificates, .. } = connected.map_err(other)?;
        let answer = match path {
            Some(path) => Some(ask(&mut stream, name, path).await?),
            None => None,
        };
        let certificate = self.looker.judge(&certificates, self.clock.now());
        Ok(Seen { certificate, chain: certificates, answer })
    }
}

#[async_trait]
impl Resolve for Network {
    async fn srv(&self, name: &str) -> Result<Vec<Srv>, Unresolved> {
        self.ask(self.dns.srv(name)).await
    }

    async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, Unresolved> {
        self.ask(self.dns.addresses(name)).await
    }
}

#[async_trait]
impl Outside for Network {
    async fn tlsa(&self, name: &str) -> Result<Vec<Tlsa>, Unresolved> {
        self.ask(self.dns.tlsa(name)).await
    }

    async fn is_signed(&self, name: &str) -> bool {
        self.dns.is_signed(name).await
    }

    async fn connect(&self, address: SocketAddr, kind: Kind<'_>) -> Result<Seen, Refusal> {
        let mut socket = match timeout(PATIENCE, TcpStream::connect(address)).await {
            Ok(Ok(socket)) => socket,
            Ok(Err(error)) => return Err(Refusal::Closed(error.to_string())),
            Err(_) => return Err(Refusal::Closed(NO_ANSWER.to_owned())),
        };
        let seen = async {
            match kind {
                Kind::Plain => Ok(Seen {
                    certificate: PeerCertificate::none(),
                    chain: Vec::new(),
                    answer: None,
                }),
                Kind::Https { host, path } => {
                    self.secured(socket, Purpose::Https, host, path).await
                }
                Kind::Stream { domain, is_server, is_direct } => {
                    if !is_direct {
                        start_tls(&mut socket, domain, is_server).await?;
                    }
                    let purpose = match (is_server, is_direct) {
                        (true, true) => Purpose::ServerDirect,
                        (true, false) => Purpose::ServerStartTls,
                        (false, true) => Purpose::Direct,
                        (false, false) => Purpose::StartTls,
                    };
                    self.secured(socket, purpose, domain, None).await
                }
            }
        };
        let late = |_| Err(Refusal::Other(NO_ANSWER.to_owned()));
        timeout(PATIENCE, seen).await.unwrap_or_else(late)
    }
}

fn other(error: impl Display) -> Refusal {
    Refusal::Other(error.to_string())
}

/// All up to the handshake (RFC 6120 §5.4).
async fn start_tls(socket: &mut TcpStream, domain: &str, is_server: bool) -> Result<(), Refusal> {
    // A server says in whose name it opens a stream (RFC 6120 §4.7.1). Nobody has this domain (RFC 6761 §6.4).
    let (content, from) = match is_server {
        true => (ns::SERVER, " from='check.invalid'"),
        false => (ns::CLIENT, ""),
    };
    let header = format!(
        "<?xml version='1.0'?><stream:stream to='{domain}'{from} version='1.0' xmlns='{content}' xmlns:stream='{}'>",
        ns::STREAM
    );
    socket.write_all(header.as_bytes()).await.map_err(other)?;
    let features = read_to(socket, "</stream:features>").await?;
    if !features.contains("<starttls") {
        return Err(Refusal::Other("it offers no TLS".to_owned()));
    }
    let start = format!("<starttls xmlns='{}'/>", ns::TLS);
    socket.write_all(start.as_bytes()).await.map_err(other)?;
    let answer = read_to(socket, ">").await?;
    if answer.contains("<proceed") {
        return Ok(());
    }
    Err(Refusal::Other("it does not begin TLS".to_owned()))
}

/// Reads until this text has come. Nothing follows it: TLS begins only after we have sent something.
async fn read_to(socket: &mut (impl AsyncRead + Unpin), wanted: &str) -> Result<String, Refusal> {
    let mut heard = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&heard);
        if text.contains(wanted) {
            return Ok(text.into_owned());
        }
        if heard.len() > MOST || text.contains("</stream:stream>") {
            return Err(Refusal::Other("it opens no stream".to_owned()));
        }
        if socket.read_buf(&mut heard).await.map_err(other)? == 0 {
            return Err(Refusal::Other("it ends the connection".to_owned()));
        }
    }
}

/// One request. Returns its status, and the beginning of the answer.
async fn ask(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    host: &str,
    path: &str,
) -> Result<(u16, String), Refusal> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(other)?;
    stream.flush().await.map_err(other)?;
    let mut answer = Vec::new();
    while answer.len() < MOST {
        match stream.read_buf(&mut answer).await {
            Ok(0) => break,
            Ok(_) => {}
            // Some servers end the connection without ending TLS. What has come is enough then.
            Err(_) if !answer.is_empty() => break,
            Err(error) => return Err(other(error)),
        }
    }
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status =
        answer.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)?.parse().ok());
    match status {
        Some(status) => Ok((status, answer)),
        None => Err(Refusal::Other("what answers there is no web server".to_owned())),
    }
}

/// How long one connection may take to be made, and then everything on it.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of an answer that are looked at.
const MOST: usize = 64 * 1024;
/// How long one question to the DNS may take.
const QUESTION: Duration = Duration::from_secs(12);
/// After so many unanswered questions, the name server counts as unreachable.
const FAILURES: usize = 2;
const NO_ANSWER: &str = "no answer";
