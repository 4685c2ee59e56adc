//! BOSH (XEP-0124, XEP-0206) below a client that speaks as over TCP: what it says goes to the server in
//! requests, and what they are answered with comes back as one stream.

#![expect(clippy::disallowed_methods, reason = "requests are no tasks of the server")]

use std::collections::VecDeque;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;
use waxwing::xml::{self, Framer, Limits, Piece};

use super::element::{CLIENT, STREAMS, document};

/// A connection of a client; `connect` opens one for a request.
pub(crate) fn bridge(connect: impl Fn() -> DuplexStream + Send + Sync + 'static) -> DuplexStream {
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    tokio::spawn(Bridge::new(theirs, Box::new(connect)).run());
    ours
}

struct Bridge {
    client: DuplexStream,
    connect: Box<dyn Fn() -> DuplexStream + Send + Sync>,
    framer: Framer,
    buffer: Vec<u8>,
    /// What the client has said, to be sent.
    said: VecDeque<Said>,
    sid: Option<String>,
    rid: u64,
    /// Requests that wait for their answers, in order.
    waiting: VecDeque<JoinHandle<String>>,
    header: String,
    /// The header is to be written again, before the features.
    restarts: bool,
}

enum Said {
    /// The attributes of a header.
    Header(String),
    Element(String),
    End,
}

impl Bridge {
    fn new(client: DuplexStream, connect: Box<dyn Fn() -> DuplexStream + Send + Sync>) -> Self {
        let limits = Limits { bytes: 1 << 24, depth: 900, attributes: 1 << 12, nodes: 1 << 20 };
        Self {
            client,
            connect,
            framer: Framer::new(limits),
            buffer: Vec::new(),
            said: VecDeque::new(),
            sid: None,
            rid: 1_573_741_820,
            waiting: VecDeque::new(),
            header: String::new(),
            restarts: false,
        }
    }

    async fn run(mut self) {
        loop {
            self.send();
            let mut chunk = vec![0; 1 << 16];
            tokio::select! {
                biased;
                count = self.client.read(&mut chunk) => match count {
                    Ok(count) if count > 0 => self.read(&chunk[..count]),
                    _ => return self.lose().await,
                },
                answer = answer(self.waiting.front_mut()) => {
                    self.waiting.pop_front();
                    if !self.hear(&answer).await {
                        return;
                    }
                }
            }
        }
    }

    /// The client has said something.
    fn read(&mut self, bytes: &[u8]) {
        if bytes.starts_with(b"<?xml") && self.sid.is_some() {
            self.framer.restart();
        }
        self.buffer.extend_from_slice(bytes);
        while let Ok(Some(piece)) = self.framer.next(&self.buffer) {
            let (said, end) = match piece {
                Piece::Header(range) => {
                    let header = xml::header(&self.buffer[range.clone()]).unwrap();
                    let attribute = |name: &str, value: Option<String>| {
                        value.map(|value| format!(" {name}='{value}'")).unwrap_or_default()
                    };
                    let said = attribute("to", header.to) + &attribute("from", header.from);
                    (Said::Header(said + &attribute("xml:lang", header.lang)), range.end)
                }
                Piece::Child(range) => {
                    let text = String::from_utf8(self.buffer[range.clone()].to_vec()).unwrap();
                    (Said::Element(text), range.end)
                }
                Piece::End => {
                    self.said.push_back(Said::End);
                    return;
                }
            };
            self.buffer.drain(..end);
            self.framer.drop_front(end);
            self.said.push_back(said);
        }
    }

    /// Sends what may be sent: two requests may wait, and one always does.
    fn send(&mut self) {
        while self.waiting.len() < 2 {
            let Some(sid) = self.sid.clone() else {
                if self.waiting.is_empty()
                    && let Some(Said::Header(attributes)) = self.said.pop_front()
                {
                    let hold = "hold='1' wait='60' ver='1.6' xmpp:version='1.0'";
                    self.post(&format!("{hold}{attributes}"), "");
                }
                return;
            };
            let sid = format!("sid='{sid}'");
            match self.said.pop_front() {
                Some(Said::Header(attributes)) => {
                    self.post(&format!("{sid}{attributes} xmpp:restart='true'"), "");
                    self.restarts = true;
                }
                Some(Said::Element(mut elements)) => {
                    while let Some(Said::Element(more)) = self.said.front() {
                        elements.push_str(more);
                        self.said.pop_front();
                    }
                    self.post(&sid, &elements);
                }
                Some(Said::End) => self.post(&format!("{sid} type='terminate'"), ""),
                None if self.waiting.is_empty() => self.post(&sid, ""),
                None => return,
            }
        }
    }

    fn post(&mut self, attributes: &str, inside: &str) {
        let body = format!(
            "<body xmlns='{BOSH}' xmlns:xmpp='urn:xmpp:xbosh' xmlns:stream='{STREAMS}' \
             rid='{}' {attributes}>{inside}</body>",
            self.rid
        );
        self.rid += 1;
        let io = (self.connect)();
        self.waiting.push_back(tokio::spawn(post(io, body)));
    }

    /// The server has answered. `false` at the end of the session.
    async fn hear(&mut self, answer: &str) -> bool {
        let Ok(body) = document(answer) else { return self.end("").await };
        let tag = answer.find('>').unwrap_or(0);
        let inside = answer[tag + 1..].rsplit_once("</").map_or("", |(inside, _)| inside);
        let attribute = |name: &str| body.attribute(name).map(str::to_owned);
        if let Some(sid) = attribute("sid") {
            self.sid = Some(sid);
            self.header = format!(
                "<?xml version='1.0'?><stream:stream xmlns='{CLIENT}' xmlns:stream='{STREAMS}' \
                 version='1.0' id='{}' from='{}'>",
                attribute("authid").unwrap_or_default(),
                attribute("from").unwrap_or_default()
            );
            self.restarts = true;
        }
        if self.restarts && (attribute("sid").is_some() || !inside.is_empty()) {
            self.restarts = false;
            drop(self.client.write_all(self.header.as_bytes()).await);
        }
        if attribute("type").as_deref() == Some("terminate") {
            return self.end(inside).await;
        }
        self.client.write_all(inside.as_bytes()).await.is_ok()
    }

    async fn end(&mut self, inside: &str) -> bool {
        let end = if self.sid.is_some() { "</stream:stream>" } else { "" };
        drop(self.client.write_all(format!("{inside}{end}").as_bytes()).await);
        drop(self.client.shutdown().await);
        false
    }

    /// The client has lost the network. It leaves no request behind, and the server need not wait long to see
    /// that (XEP-0124 §10).
    async fn lose(mut self) {
        self.waiting.drain(..).for_each(|waiting| waiting.abort());
        if let Some(sid) = &self.sid {
            self.post(&format!("sid='{sid}' pause='1'"), "");
            drop(answer(self.waiting.front_mut()).await);
        }
    }
}

async fn answer(waiting: Option<&mut JoinHandle<String>>) -> String {
    match waiting {
        Some(waiting) => waiting.await.unwrap_or_default(),
        None => std::future::pending().await,
    }
}

/// What a request is answered with; nothing, if that is an error of HTTP.
async fn post(mut io: DuplexStream, body: String) -> String {
    let request = format!(
        "POST /http-bind HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut answer = Vec::new();
    drop(io.write_all(request.as_bytes()).await);
    drop(io.read_to_end(&mut answer).await);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200 ") => body.to_owned(),
        _ => String::new(),
    }
}

const BOSH: &str = "http://jabber.org/protocol/httpbind";
