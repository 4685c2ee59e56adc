//! A small client: it logs in, sends what it is told, and keeps what comes until it is asked for.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use super::element::{CLIENT, Element, Piece, Reader, STREAMS};
use super::script::{Persona, Transport};
use super::server::{Stream, Target};
use super::trust;
use super::websocket::{self, Said, WebSocket};

/// What was said so far, by whom; shared by all clients of a script.
pub(crate) type Transcript = Rc<RefCell<Vec<String>>>;

pub(crate) struct Client {
    pub(crate) persona: Persona,
    /// Given by the server.
    pub(crate) full_jid: Option<String>,
    pub(crate) answers_pings: bool,
    /// The id of the session that can be resumed, and the stanzas read of it (XEP-0198).
    pub(super) managed: Option<(String, u32)>,
    stream: Option<Box<dyn Stream>>,
    /// Instead of `stream`, over WebSocket.
    socket: Option<WebSocket>,
    /// With which the last WebSocket was closed.
    pub(crate) code: Option<u16>,
    reader: Reader,
    kept: VecDeque<Piece>,
    has_header: bool,
    pub(super) exporter: Option<Vec<u8>>,
    /// The server under test has opened the connection: this client plays another server.
    pub(super) is_accepted: bool,
    /// As another server: the domain of the server under test.
    pub(super) other: String,
    /// As another server: how many streams it has answered.
    pub(super) streams: usize,
    transcript: Transcript,
    pub(super) patience: Duration,
}

/// What came, or did not.
#[derive(Debug)]
pub(crate) enum Came {
    Closed,
    Nothing,
    Piece(Piece),
}

impl Client {
    pub(crate) fn new(persona: Persona, transcript: Transcript, patience: Duration) -> Self {
        Self {
            persona,
            full_jid: None,
            answers_pings: false,
            managed: None,
            stream: None,
            socket: None,
            code: None,
            reader: Reader::new(),
            kept: VecDeque::new(),
            has_header: false,
            exporter: None,
            is_accepted: false,
            other: "localhost".to_owned(),
            streams: 0,
            transcript,
            patience,
        }
    }

    // ── the connection ──

    pub(crate) async fn connect(
        &mut self,
        target: &dyn Target,
        how: Transport,
    ) -> Result<(), String> {
        self.note("--", "connects");
        let stream = target.connect(how).await?;
        self.reset();
        self.is_accepted = false;
        self.full_jid = None;
        (self.stream, self.socket, self.code) = (None, None, None);
        if how == Transport::WebSocket {
            self.socket = Some(WebSocket::open(stream).await?);
            return Ok(());
        }
        self.stream = Some(stream);
        if how == Transport::Direct {
            self.handshake().await?;
        }
        Ok(())
    }

    /// The server under test has connected to it.
    pub(super) fn take(&mut self, stream: impl Stream + 'static) {
        self.note("--", "accepts a connection");
        self.reset();
        self.is_accepted = true;
        self.stream = Some(Box::new(stream));
    }

    /// The TLS handshake, and a new stream after it.
    pub(crate) async fn handshake(&mut self) -> Result<(), String> {
        let stream = self.stream.take().ok_or("it is not connected")?;
        if self.is_server() {
            let secured = timeout(self.patience, self.handshake_of_servers(stream)).await;
            self.stream = Some(secured.map_err(|_| "the TLS handshake takes too long")??);
            self.note("--", "has made the TLS handshake");
            self.reset();
            return Ok(());
        }
        let name = ServerName::try_from(self.persona.domain().to_owned())
            .map_err(|error| error.to_string())?;
        let connector =
            tokio_rustls::TlsConnector::from(Arc::new(trust::config(self.persona.is_tls12)));
        let stream = timeout(self.patience, connector.connect(name, stream)).await;
        let stream = stream
            .map_err(|_| "the TLS handshake takes too long".to_owned())?
            .map_err(|error| format!("the TLS handshake failed: {error}"))?;
        let connection = stream.get_ref().1;
        let version13 = connection.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3);
        let exported =
            connection.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b""));
        self.exporter = exported.ok().filter(|_| version13).map(|key| key.to_vec());
        self.note("--", "has made the TLS handshake");
        self.stream = Some(Box::new(stream));
        self.reset();
        Ok(())
    }

    /// A new stream begins: nothing of the old one counts.
    pub(crate) fn reset(&mut self) {
        self.reader = Reader::new();
        self.kept.clear();
        self.has_header = false;
    }

    pub(crate) fn lose(&mut self) {
        self.note("--", "loses the network");
        (self.stream, self.socket) = (None, None);
        self.full_jid = None;
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.stream.is_some() || self.socket.is_some()
    }

    // ── speaking ──

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        if self.socket.is_none() {
            return self.send_raw(bytes).await;
        }
        let text = str::from_utf8(bytes).map_err(|error| error.to_string())?;
        for message in websocket::messages(text) {
            self.send_raw(message.as_bytes()).await?;
        }
        Ok(())
    }

    /// As it stands; over WebSocket in one message.
    pub(crate) async fn send_raw(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.note(">>", &shown(bytes));
        if self.socket.is_some() {
            let text = str::from_utf8(bytes).map_err(|error| error.to_string())?;
            return self.send_message(Message::text(text)).await;
        }
        let stream = self.stream.as_mut().ok_or("it is not connected")?;
        // A client whose connection is being closed may notice while it writes; what was sent before can still be read.
        let written = timeout(self.patience, async {
            stream.write_all(bytes).await?;
            stream.flush().await
        });
        match written.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.note("--", &format!("(cannot write: {error})")),
            Err(_) => return Err("the server does not read".to_owned()),
        }
        Ok(())
    }

    pub(crate) async fn send_binary(&mut self, bytes: Vec<u8>) -> Result<(), String> {
        self.note(">>", &format!("(binary) {}", shown(&bytes)));
        self.send_message(Message::binary(bytes)).await
    }

    async fn send_message(&mut self, message: Message) -> Result<(), String> {
        let socket = self.socket.as_mut().ok_or("there is no WebSocket")?;
        match timeout(self.patience, socket.send(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.note("--", &format!("(cannot write: {error})")),
            Err(_) => return Err("the server does not read".to_owned()),
        }
        Ok(())
    }

    pub(crate) async fn open(&mut self, domain: &str) -> Result<(), String> {
        self.reset();
        let header = format!(
            "<?xml version='1.0'?><stream:stream xmlns='{CLIENT}' xmlns:stream='{STREAMS}' \
             to='{domain}' version='1.0'>"
        );
        self.send(header.as_bytes()).await?;
        self.header().await.map(drop)
    }

    /// Opens the stream of a component, and gives the proof of a secret (XEP-0114 §3).
    pub(crate) async fn open_component(&mut self, secret: &str) -> Result<(), String> {
        let header = format!(
            "<stream:stream xmlns='jabber:component:accept' xmlns:stream='{STREAMS}' to='{}'>",
            self.persona.bare()
        );
        self.send(header.as_bytes()).await?;
        let header = self.header().await?;
        let id = header.attribute("id").ok_or("the header has no id")?;
        let hash = <sha1::Sha1 as sha1::Digest>::digest(format!("{id}{secret}"));
        let digits: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        self.send(format!("<handshake>{digits}</handshake>").as_bytes()).await
    }

    /// The server's header; its namespace is checked.
    pub(crate) async fn header(&mut self) -> Result<Element, String> {
        match self.next().await? {
            Came::Piece(Piece::Header(header)) if header.is(STREAMS, "stream") => Ok(header),
            other => Err(format!("expected a stream header, got {}", named(&other))),
        }
    }

    // ── hearing ──

    /// The next piece, waiting as long as one may.
    pub(crate) async fn next(&mut self) -> Result<Came, String> {
        self.within(self.patience).await
    }

    pub(crate) async fn within(&mut self, limit: Duration) -> Result<Came, String> {
        if let Some(piece) = self.kept.pop_front() {
            return Ok(Came::Piece(piece));
        }
        loop {
            let piece = match self.socket.as_mut() {
                None => self.reader.next()?,
                Some(socket) => match socket.next(limit).await? {
                    Said::Nothing => return Ok(Came::Nothing),
                    Said::Piece(piece) => Some(piece),
                    Said::Closed => {
                        self.note("--", "is disconnected");
                        self.code = self.socket.take().and_then(|socket| socket.code);
                        return Ok(Came::Closed);
                    }
                },
            };
            if let Some(piece) = piece {
                self.hear(&piece);
                if !self.answer(&piece).await? {
                    return Ok(Came::Piece(piece));
                }
                continue;
            }
            let Some(stream) = self.stream.as_mut() else { return Ok(Came::Closed) };
            let mut buffer = vec![0; 16 * 1024];
            match timeout(limit, stream.read(&mut buffer)).await {
                Err(_) => return Ok(Came::Nothing),
                Ok(Ok(0) | Err(_)) => {
                    self.note("--", "is disconnected");
                    self.stream = None;
                    return Ok(Came::Closed);
                }
                Ok(Ok(count)) => self.reader.feed(&buffer[..count]),
            }
        }
    }

    /// Puts a piece back, to be the next one.
    pub(crate) fn keep(&mut self, pieces: Vec<Piece>) {
        for piece in pieces.into_iter().rev() {
            self.kept.push_front(piece);
        }
    }

    /// The next stanza or other child of the stream.
    pub(crate) async fn element(&mut self) -> Result<Element, String> {
        loop {
            match self.next().await? {
                Came::Piece(Piece::Child(element)) => return Ok(element),
                Came::Piece(Piece::Header(_)) => {}
                other => return Err(format!("expected an element, got {}", named(&other))),
            }
        }
    }

    pub(super) async fn expect(&mut self, ns: &str, name: &str) -> Result<Element, String> {
        let element = self.element().await?;
        if element.is(ns, name) {
            return Ok(element);
        }
        Err(format!("expected <{name} xmlns='{ns}'>, got {element}"))
    }

    fn hear(&mut self, piece: &Piece) {
        match piece {
            Piece::Header(_) if self.has_header => {}
            Piece::Header(header) => {
                self.has_header = true;
                self.note("<<", &header.to_string());
            }
            Piece::Child(element) => self.note("<<", &element.to_string()),
            Piece::End => self.note("<<", "</stream:stream>"),
        }
    }

    /// Answers what is answered without being told: a ping if that is wanted, requests of
    /// stream management. Stanzas are counted here.
    async fn answer(&mut self, piece: &Piece) -> Result<bool, String> {
        let Piece::Child(iq) = piece else { return Ok(false) };
        if let Some((_, read)) = &mut self.managed {
            *read += u32::from(iq.ns == CLIENT);
            if iq.is(SM, "r") {
                let answer = format!("<a xmlns='{SM}' h='{read}'/>");
                return Box::pin(self.send(answer.as_bytes())).await.map(|()| true);
            }
            if iq.is(SM, "a") {
                return Ok(true);
            }
        }
        if !self.answers_pings || !iq.is(CLIENT, "iq") || iq.child(PING, "ping").is_none() {
            return Ok(false);
        }
        let (id, from) = (iq.attribute("id").unwrap_or(""), iq.attribute("from"));
        let to = from.map(|from| format!(" to='{from}'")).unwrap_or_default();
        let answer = format!("<iq type='result' id='{id}'{to}/>");
        Box::pin(self.send(answer.as_bytes())).await.map(|()| true)
    }

    fn note(&self, arrow: &str, what: &str) {
        self.transcript.borrow_mut().push(format!("{} {arrow} {what}", self.persona.name));
    }
}

/// In words, for people.
pub(crate) fn named(came: &Came) -> String {
    match came {
        Came::Closed => "the end of the connection".to_owned(),
        Came::Nothing => "nothing".to_owned(),
        Came::Piece(Piece::Child(element) | Piece::Header(element)) => element.to_string(),
        Came::Piece(Piece::End) => "</stream:stream>".to_owned(),
    }
}

fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim();
    match text.char_indices().nth(600) {
        Some((at, _)) => format!("{} … ({} bytes)", &text[..at], bytes.len()),
        None => text.to_owned(),
    }
}

const PING: &str = "urn:xmpp:ping";
pub(super) const SM: &str = "urn:xmpp:sm:3";
pub(super) const TLS: &str = "urn:ietf:params:xml:ns:xmpp-tls";
