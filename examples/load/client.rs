//! A minimal XMPP client over raw bytes: STARTTLS, SASL, bind (RFC 6120).
//!
//! It finds the end of an element by searching for its end tag. That is no XML parser, and it
//! trusts the server not to put those tags elsewhere.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use memchr::memmem;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::sasl2::Tokens;
use crate::scram::{self, Cache};
use crate::tls::client_config;
use crate::websocket::WebSocket;

/// How to prove the password.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum Mechanism {
    Plain,
    #[value(name = "scram-sha-1")]
    ScramSha1,
    /// The same by XEP-0388, with the request to bind.
    #[value(name = "sasl2-scram-sha-1")]
    Sasl2ScramSha1,
    /// By XEP-0388 and a token (XEP-0484), with the request to bind.
    #[value(name = "sasl2-token")]
    Sasl2Token,
}

/// What carries the stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum Transport {
    /// HTTP requests over TLS (XEP-0124). Only for `idle`.
    Bosh,
    /// TCP with STARTTLS.
    Tcp,
    /// WebSocket over TLS (RFC 7395).
    Websocket,
}

/// The server under load and the accounts on it.
pub(crate) struct Target {
    server: SocketAddr,
    pub(crate) transport: Transport,
    pub(crate) domain: String,
    prefix: String,
    password: String,
    mechanism: Mechanism,
    tls: TlsConnector,
    name: ServerName<'static>,
    keys: RefCell<Cache>,
    pub(crate) tokens: Tokens,
}

impl Target {
    pub(crate) fn new(
        (server, transport): (SocketAddr, Transport),
        domain: String,
        prefix: String,
        password: String,
        mechanism: Mechanism,
    ) -> anyhow::Result<Self> {
        let name = ServerName::try_from(domain.clone()).context("the domain is no host name")?;
        Ok(Self {
            server,
            transport,
            domain,
            prefix,
            password,
            mechanism,
            tls: TlsConnector::from(Arc::new(client_config()?)),
            name,
            keys: RefCell::default(),
            tokens: Tokens::default(),
        })
    }

    /// Connects and logs in account `number`, counted from 1, within [`LOGIN_TIMEOUT`].
    pub(crate) async fn login(&self, number: usize) -> anyhow::Result<Connection> {
        self.login_as(number, "load").await
    }

    /// The same, as the device with this name (the resource, RFC 6120 §7.7).
    pub(crate) async fn login_as(&self, number: usize, device: &str) -> anyhow::Result<Connection> {
        tokio::time::timeout(LOGIN_TIMEOUT, self.log_in(number, device))
            .await
            .context("timed out")
            .flatten()
            .with_context(|| format!("login of {}{number}", self.prefix))
    }

    async fn log_in(&self, number: usize, device: &str) -> anyhow::Result<Connection> {
        let wire: Wire<AnyStream> = match self.transport {
            Transport::Tcp => self.starttls().await?,
            Transport::Websocket => {
                let socket = WebSocket::open(self.tls().await?, &self.domain).await?;
                Wire::new(Box::new(socket) as AnyStream)
            }
            Transport::Bosh => bail!("over BOSH there is only idle"),
        };
        self.log_in_on(wire, number, device).await
    }

    /// The number's user.
    pub(crate) fn user(&self, number: usize) -> String {
        format!("{}{number}", self.prefix)
    }

    async fn starttls(&self) -> anyhow::Result<Wire<AnyStream>> {
        let mut wire = Wire::new(self.tcp(self.server).await?);
        self.open_stream(&mut wire).await?;
        wire.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>").await?;
        wire.expect("<proceed").await?;
        wire.expect(">").await?;
        let stream = self.tls.connect(self.name.clone(), wire.stream).await?;
        Ok(Wire::new(Box::new(stream) as AnyStream))
    }

    async fn tcp(&self, address: SocketAddr) -> anyhow::Result<TcpStream> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// A connection to the server that begins with TLS.
    pub(crate) async fn tls(&self) -> anyhow::Result<Wire<TlsStream<TcpStream>>> {
        self.https(self.server).await
    }

    /// The same to another port of the server.
    pub(crate) async fn https(
        &self,
        address: SocketAddr,
    ) -> anyhow::Result<Wire<TlsStream<TcpStream>>> {
        let stream = self.tcp(address).await?;
        Ok(Wire::new(self.tls.connect(self.name.clone(), stream).await?))
    }

    async fn log_in_on(
        &self,
        mut wire: Wire<AnyStream>,
        number: usize,
        device: &str,
    ) -> anyhow::Result<Connection> {
        let user = self.user(number);
        if let Mechanism::Sasl2ScramSha1 | Mechanism::Sasl2Token = self.mechanism {
            let with_token = self.mechanism == Mechanism::Sasl2Token;
            let jid = self.authenticate(&mut wire, &user, with_token).await?;
            return Ok(Connection { wire, transport: self.transport, jid });
        }
        self.open_stream(&mut wire).await?;
        match self.mechanism {
            Mechanism::Plain => self.prove_plain(&mut wire, &user).await?,
            _ => self.prove_scram(&mut wire, &user).await?,
        }
        self.open_stream(&mut wire).await?;
        wire.send(&format!(
            "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
             <resource>{device}</resource></bind></iq>"
        ))
        .await?;
        let answer = wire.expect("</iq>").await?;
        let jid = between(&answer, "<jid>", "</jid>")
            .with_context(|| format!("no address bound: {answer}"))?
            .to_owned();
        Ok(Connection { wire, transport: self.transport, jid })
    }

    async fn open_stream<S: Stream>(&self, wire: &mut Wire<S>) -> anyhow::Result<()> {
        wire.send(&self.header()).await?;
        wire.expect("</stream:features>").await?;
        Ok(())
    }

    /// The header of a stream.
    pub(crate) fn header(&self) -> String {
        if self.transport == Transport::Websocket {
            return format!("<open to='{}' version='1.0' xmlns='{FRAMING}'/>", self.domain);
        }
        format!(
            "<?xml version='1.0'?><stream:stream to='{}' version='1.0' xml:lang='en' \
             xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>",
            self.domain
        )
    }

    /// The client's last message of SCRAM.
    pub(crate) fn prove(
        &self,
        first: &scram::First,
        challenge: &str,
    ) -> anyhow::Result<scram::Last> {
        first.answer(challenge, &self.password, &mut self.keys.borrow_mut())
    }

    async fn prove_plain<S: Stream>(&self, wire: &mut Wire<S>, user: &str) -> anyhow::Result<()> {
        let proof = scram::base64(format!("\0{user}\0{}", self.password).as_bytes());
        wire.send(&format!("<auth xmlns='{SASL}' mechanism='PLAIN'>{proof}</auth>")).await?;
        wire.expect("<success").await?;
        wire.expect(">").await?;
        Ok(())
    }

    async fn prove_scram<S: Stream>(&self, wire: &mut Wire<S>, user: &str) -> anyhow::Result<()> {
        let first = scram::First::new(user)?;
        wire.send(&format!(
            "<auth xmlns='{SASL}' mechanism='SCRAM-SHA-1'>{}</auth>",
            scram::base64(first.message().as_bytes())
        ))
        .await?;
        let challenge = content(&wire.expect("</challenge>").await?, "<challenge")?;
        let last = self.prove(&first, &challenge)?;
        wire.send(&format!(
            "<response xmlns='{SASL}'>{}</response>",
            scram::base64(last.message.as_bytes())
        ))
        .await?;
        let success = content(&wire.expect("</success>").await?, "<success")?;
        last.check(&success)
    }

    /// The bare address of account `number`.
    pub(crate) fn address(&self, number: usize) -> String {
        format!("{}{number}@{}", self.prefix, self.domain)
    }

    /// Logs in the accounts 1 to `count`.
    pub(crate) async fn login_all(
        self: &Rc<Self>,
        count: usize,
    ) -> anyhow::Result<Vec<Connection>> {
        self.login_range(1, count).await
    }

    /// Logs in `count` accounts from `first` on, [`LOGINS_AT_ONCE`] at a time, in their order.
    pub(crate) async fn login_range(
        self: &Rc<Self>,
        first: usize,
        count: usize,
    ) -> anyhow::Result<Vec<Connection>> {
        let permits = Rc::new(Semaphore::new(LOGINS_AT_ONCE));
        let mut logins = JoinSet::new();
        for number in first..first + count {
            let (target, permits) = (Rc::clone(self), Rc::clone(&permits));
            logins.spawn_local(async move {
                let _permit = permits.acquire().await.expect("the semaphore is never closed");
                target.login(number).await.map(|connection| (number, connection))
            });
        }
        let mut all = Vec::with_capacity(count);
        while let Some(login) = logins.join_next().await {
            all.push(login??);
        }
        all.sort_by_key(|(number, _)| *number);
        Ok(all.into_iter().map(|(_, connection)| connection).collect())
    }
}

/// A bound connection.
pub(crate) struct Connection {
    wire: Wire<AnyStream>,
    transport: Transport,
    /// The full address, as the server told it.
    pub(crate) jid: String,
}

impl Connection {
    pub(crate) async fn send(&mut self, xml: &str) -> anyhow::Result<()> {
        self.wire.send(xml).await
    }

    /// Sends initial presence and waits until the server has dealt with it: what it sends in
    /// answer has come before its answer to a later request.
    pub(crate) async fn appear(&mut self, domain: &str) -> anyhow::Result<()> {
        let ping = format!(
            "<presence/><iq type='get' id='settled' to='{domain}'><ping xmlns='urn:xmpp:ping'/></iq>"
        );
        self.send(&ping).await?;
        let answer = async {
            self.wire.expect("settled").await?;
            self.wire.expect(">").await
        };
        tokio::time::timeout(LOGIN_TIMEOUT, answer).await.context("no answer to a ping")??;
        Ok(())
    }

    /// Enables stream management, with resumption as real clients do (XEP-0198 §3).
    pub(crate) async fn manage(&mut self) -> anyhow::Result<()> {
        self.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>").await?;
        self.expect("<enabled").await?;
        self.expect(">").await?;
        Ok(())
    }

    /// Reads until `end` has come, within [`LOGIN_TIMEOUT`], and returns all up to there.
    pub(crate) async fn expect(&mut self, end: &str) -> anyhow::Result<String> {
        let answer = tokio::time::timeout(LOGIN_TIMEOUT, self.wire.expect(end)).await;
        answer.with_context(|| format!("timed out waiting for {end}"))?
    }

    /// The same for the tag in which `mark` stands, up to its end.
    pub(crate) async fn expect_tag(&mut self, mark: &str) -> anyhow::Result<String> {
        Ok(self.expect(mark).await? + &self.expect(">").await?)
    }

    /// The stream, for those who read and write at the same time, and what was read from it
    /// already but not asked for.
    pub(crate) fn into_parts(self) -> (AnyStream, Vec<u8>) {
        self.wire.into_parts()
    }

    /// What ends the stream.
    pub(crate) fn end(&self) -> &'static str {
        self.transport.end()
    }

    /// Closes the stream and waits until the server has closed it, too.
    pub(crate) async fn close(mut self) -> anyhow::Result<()> {
        self.send(self.end()).await?;
        let mut rest = [0; 1024];
        let closed = async {
            // A server may leave without TLS's close_notify.
            while self.wire.stream.read(&mut rest).await.is_ok_and(|count| count > 0) {}
        };
        tokio::time::timeout(CLOSE_TIMEOUT, closed).await.context("the server does not close")
    }
}

impl Transport {
    /// What ends a stream.
    pub(crate) fn end(self) -> &'static str {
        match self {
            Self::Websocket => "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>",
            Self::Bosh | Self::Tcp => "</stream:stream>",
        }
    }
}

/// A stream over any transport.
pub(crate) type AnyStream = Box<dyn Stream>;

pub(crate) trait Stream: AsyncRead + tokio::io::AsyncWrite + Unpin {}
impl<S: AsyncRead + tokio::io::AsyncWrite + Unpin> Stream for S {}

/// A byte stream and what was read from it but not yet asked for.
pub(crate) struct Wire<S> {
    stream: S,
    unread: Vec<u8>,
}

impl<S: Stream> Wire<S> {
    fn new(stream: S) -> Self {
        Self { stream, unread: Vec::new() }
    }

    pub(crate) async fn send(&mut self, xml: &str) -> anyhow::Result<()> {
        self.stream.write_all(xml.as_bytes()).await?;
        Ok(self.stream.flush().await?)
    }

    pub(crate) fn into_parts(self) -> (S, Vec<u8>) {
        (self.stream, self.unread)
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.stream.write_all(bytes).await?;
        Ok(self.stream.flush().await?)
    }

    /// Reads `count` bytes of text.
    pub(crate) async fn take(&mut self, count: usize) -> anyhow::Result<String> {
        Ok(String::from_utf8(self.take_bytes(count).await?)?)
    }

    /// Reads `count` bytes.
    pub(crate) async fn take_bytes(&mut self, count: usize) -> anyhow::Result<Vec<u8>> {
        while self.unread.len() < count {
            let read = self.stream.read_buf(&mut self.unread).await?;
            anyhow::ensure!(read > 0, "connection closed");
        }
        let rest = self.unread.split_off(count);
        Ok(std::mem::replace(&mut self.unread, rest))
    }

    pub(crate) async fn expect(&mut self, end: &str) -> anyhow::Result<String> {
        loop {
            if let Some(at) = memmem::find(&self.unread, end.as_bytes()) {
                let rest = self.unread.split_off(at + end.len());
                return Ok(String::from_utf8(std::mem::replace(&mut self.unread, rest))?);
            }
            let refused = ["<failure", "<stream:error", "</stream:stream>", "<close "];
            let count = self.stream.read_buf(&mut self.unread).await?;
            let is_refused =
                refused.iter().any(|tag| memmem::find(&self.unread, tag.as_bytes()).is_some());
            if count == 0 || (is_refused && memmem::find(&self.unread, end.as_bytes()).is_none()) {
                bail!("waited for {end}, got {}", String::from_utf8_lossy(&self.unread));
            }
        }
    }
}

/// The decoded content of the element that begins with `tag`, up to its end tag.
pub(crate) fn content(text: &str, tag: &str) -> anyhow::Result<String> {
    let element = text.find(tag).map(|at| &text[at..]).context("element not found")?;
    let text = between(element, ">", "</").context("element without content")?;
    scram::from_base64(text)
}

/// What stands between the first `start` and the next `end`.
pub(crate) fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let text = &text[text.find(start)? + start.len()..];
    Some(&text[..text.find(end)?])
}

const FRAMING: &str = "urn:ietf:params:xml:ns:xmpp-framing";
const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
const LOGIN_TIMEOUT: Duration = Duration::from_secs(30);
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
pub(crate) const LOGINS_AT_ONCE: usize = 8;
