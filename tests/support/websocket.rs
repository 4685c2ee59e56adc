//! A stream over WebSocket (RFC 7395) as a client sees it, by a library which is not the server's.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::element::{CLIENT, Element, Piece, STREAMS, document};
use super::server::Stream;

pub(crate) struct WebSocket {
    socket: WebSocketStream<Box<dyn Stream>>,
    /// The code with which the server closed it.
    pub(crate) code: Option<u16>,
}

/// What came, or did not.
pub(crate) enum Said {
    Closed,
    Nothing,
    Piece(Piece),
}

impl WebSocket {
    /// The error is the status of an answer that is no upgrade, or whatever else went wrong.
    pub(crate) async fn open(stream: Box<dyn Stream>) -> Result<Self, String> {
        let mut request =
            "ws://localhost/ws".into_client_request().map_err(|error| error.to_string())?;
        let protocol = HeaderValue::from_static("xmpp");
        request.headers_mut().insert("Sec-WebSocket-Protocol", protocol);
        match client_async(request, stream).await {
            Ok((socket, _)) => Ok(Self { socket, code: None }),
            Err(Error::Http(response)) => Err(response.status().as_str().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    pub(crate) async fn send(&mut self, message: Message) -> Result<(), String> {
        self.socket.send(message).await.map_err(|error| error.to_string())
    }

    /// Each message must be a document of its own.
    pub(crate) async fn next(&mut self, limit: Duration) -> Result<Said, String> {
        loop {
            let text = match timeout(limit, self.socket.next()).await {
                Err(_) => return Ok(Said::Nothing),
                Ok(None | Some(Err(_))) => return Ok(Said::Closed),
                Ok(Some(Ok(Message::Text(text)))) => text,
                Ok(Some(Ok(Message::Close(frame)))) => {
                    self.code = frame.map(|frame| frame.code.into());
                    continue;
                }
                Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => continue,
                Ok(Some(Ok(other))) => return Err(format!("what came is no text: {other:?}")),
            };
            if !text.starts_with('<') || text.starts_with("<?") {
                return Err(format!("this message does not begin with an element: {text}"));
            }
            return document(&text).map(|element| Said::Piece(piece(element)));
        }
    }
}

/// `<open/>` and `<close/>` stand for the stream's tags.
fn piece(element: Element) -> Piece {
    match (element.ns.as_str(), element.name.as_str()) {
        (FRAMING, "open") => {
            let stream = Element { ns: STREAMS.to_owned(), name: "stream".to_owned(), ..element };
            Piece::Header(stream)
        }
        (FRAMING, "close") => Piece::End,
        _ => Piece::Child(element),
    }
}

/// The messages that say what this part of a stream says: one for each element, which names its
/// namespace.
pub(crate) fn messages(part: &str) -> Vec<String> {
    let mut rest = part.trim();
    let mut found = Vec::new();
    while !rest.is_empty() {
        if let Some(header) = rest.strip_prefix("<?xml version='1.0'?>") {
            let header = header.trim_start_matches("<stream:stream ");
            let (attributes, after) = header.split_once('>').unwrap_or((header, ""));
            let attributes = attributes.replace(&format!("xmlns='{CLIENT}'"), "");
            let attributes = attributes.replace(&format!("xmlns:stream='{STREAMS}'"), "");
            found.push(format!("<open xmlns='{FRAMING}' {attributes}/>"));
            rest = after.trim_start();
        } else if let Some(after) = rest.strip_prefix("</stream:stream>") {
            found.push(format!("<close xmlns='{FRAMING}'/>"));
            rest = after.trim_start();
        } else {
            let (element, after) = rest.split_at(end_of_element(rest));
            found.push(alone(element));
            rest = after.trim_start();
        }
    }
    found
}

fn alone(element: &str) -> String {
    let tag = &element[..element.find('>').unwrap_or(element.len())];
    if tag.contains("xmlns=") {
        return element.to_owned();
    }
    let is_end = |c: char| c.is_whitespace() || c == '/' || c == '>';
    let (name, rest) = element.split_at(element.find(is_end).unwrap_or(element.len()));
    format!("{name} xmlns='{CLIENT}'{rest}")
}

/// Where the first element ends; all of it, if it does not.
fn end_of_element(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(begin) = text[at..].find('<').map(|begin| at + begin) {
        let mut quote = None;
        let end = text[begin..].char_indices().find_map(|(i, c)| match quote {
            Some(open) => {
                quote = Some(open).filter(|open| *open != c);
                None
            }
            None if c == '\'' || c == '"' => {
                quote = Some(c);
                None
            }
            None => (c == '>').then_some(begin + i + 1),
        });
        let Some(end) = end else { return text.len() };
        let tag = &text[begin..end];
        match (tag.starts_with("</"), tag.ends_with("/>")) {
            (true, _) => depth = depth.saturating_sub(1),
            (false, false) => depth += 1,
            (false, true) => {}
        }
        if depth == 0 {
            return end;
        }
        at = end;
    }
    text.len()
}

const FRAMING: &str = "urn:ietf:params:xml:ns:xmpp-framing";
