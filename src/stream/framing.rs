//! How the server writes on a stream (RFC 6120 §4, RFC 7395 §3.3). Over TCP, elements are parts of one
//! document. Over WebSocket, each element is a document in a frame of its own.

use super::header::{self, StreamHeader};
use super::websocket::frames;
use crate::jid::Jid;
use crate::ns;
use crate::xml::{declares_default, element};

/// How the server writes on a stream. The bytes are for the [`Channel`](super::channel::Channel) of the same
/// framing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Framing {
    /// The stream is one document. Elements are written as they are.
    Tcp,
    /// Each element is a document in a frame of its own, and declares its namespaces.
    WebSocket,
    /// The same, for a [`BoshChannel`](super::bosh::channel::BoshChannel), which takes the frames apart. What
    /// comes in needs no declarations.
    Bosh,
}

impl Framing {
    /// Appends the beginning of a stream.
    pub fn open(self, header: &StreamHeader, out: &mut Vec<u8>) {
        match self {
            Self::Tcp => header::write(header, out),
            Self::WebSocket | Self::Bosh => {
                // RFC 7395 §3.3.1.
                let open = element("open").ns(ns::FRAMING).attr("version", "1.0");
                let open = open.attr("xml:lang", "en").attr("id", &header.id);
                let open = open
                    .attr("from", &header.from)
                    .maybe_attr("to", header.to.as_ref().map(Jid::as_str));
                self.element(out, |out| open.write(out));
            }
        }
    }

    /// Appends one child of the stream. `write` writes it as for TCP; over WebSocket, that becomes a frame.
    pub fn element(self, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        let begin = out.len();
        write(out);
        if self != Self::Tcp {
            make_document(out, begin);
        }
    }

    /// Appends the end of a stream that the client is to open elsewhere, and that of the connection (RFC 7395
    /// §3.6.1). Nothing over TCP, where a stream error says so.
    pub fn redirect(self, address: &str, out: &mut Vec<u8>) {
        if self != Self::Tcp {
            let close = element("close").ns(ns::FRAMING).attr("see-other-uri", address);
            self.element(out, |out| close.write(out));
            frames::close(out, frames::NORMAL);
        }
    }

    /// Appends the end of the stream, and over WebSocket that of the connection (RFC 7395 §3.6).
    pub fn close(self, out: &mut Vec<u8>) {
        match self {
            Self::Tcp => out.extend_from_slice(header::END),
            Self::WebSocket | Self::Bosh => {
                self.element(out, |out| element("close").ns(ns::FRAMING).write(out));
                frames::close(out, frames::NORMAL);
            }
        }
    }
}

/// Makes a document in a frame of the element from `begin` to the end of `out`. The document gets the
/// declarations that a stream over TCP has in its header (RFC 7395 §3.3.3).
fn make_document(out: &mut Vec<u8>, begin: usize) {
    let element = &out[begin..];
    let is_end = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'/' | b'>');
    let name_end = element.iter().skip(1).position(is_end).map_or(element.len(), |at| at + 1);
    let mut start = element[..name_end].to_vec();
    if start.starts_with(b"<stream:") {
        declare(&mut start, "xmlns:stream", ns::STREAM);
    }
    if !declares_default(element) {
        declare(&mut start, "xmlns", ns::CLIENT);
    }
    let mut head = Vec::with_capacity(frames::LONGEST_HEAD + start.len());
    frames::text_head(&mut head, element.len() - name_end + start.len());
    head.append(&mut start);
    out.splice(begin..begin + name_end, head);
}

fn declare(out: &mut Vec<u8>, name: &str, namespace: &str) {
    out.push(b' ');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"='");
    out.extend_from_slice(namespace.as_bytes());
    out.push(b'\'');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(framing: Framing, text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        framing.element(&mut out, |out| out.extend_from_slice(text.as_bytes()));
        out
    }

    /// The documents in these frames, and whether a closing frame is the last.
    fn documents(mut bytes: &[u8]) -> (Vec<String>, bool) {
        let mut all = Vec::new();
        while !bytes.is_empty() {
            let (opcode, range) = frames::first(bytes).unwrap();
            if opcode == frames::CLOSE {
                assert_eq!(&bytes[range.clone()], 1000_u16.to_be_bytes());
                return (all, range.end == bytes.len());
            }
            assert_eq!(opcode, frames::TEXT);
            all.push(String::from_utf8(bytes[range.clone()].to_vec()).unwrap());
            bytes = &bytes[range.end..];
        }
        (all, false)
    }

    #[test]
    fn over_tcp_an_element_is_written_as_it_is() {
        assert_eq!(written(Framing::Tcp, "<iq type='get'/>"), b"<iq type='get'/>");
        let mut out = Vec::new();
        Framing::Tcp.close(&mut out);
        assert_eq!(out, b"</stream:stream>");
    }

    #[test]
    fn over_websocket_each_element_declares_its_namespaces() {
        let table = [
            ("<iq type='get'/>", "<iq xmlns='jabber:client' type='get'/>"),
            ("<presence/>", "<presence xmlns='jabber:client'/>"),
            ("<r xmlns='urn:xmpp:sm:3'/>", "<r xmlns='urn:xmpp:sm:3'/>"),
            (
                "<message><x xmlns='urn:x'/></message>",
                "<message xmlns='jabber:client'><x xmlns='urn:x'/></message>",
            ),
            (
                "<stream:features><bind/></stream:features>",
                "<stream:features xmlns:stream='http://etherx.jabber.org/streams' \
                 xmlns='jabber:client'><bind/></stream:features>",
            ),
        ];
        let mut all = Vec::new();
        for (element, document) in table {
            let one = written(Framing::WebSocket, element);
            assert_eq!(documents(&one), (vec![document.to_owned()], false));
            all.extend(one);
        }
        Framing::WebSocket.close(&mut all);
        let (said, is_closed) = documents(&all);
        assert_eq!(said.len(), table.len() + 1);
        assert_eq!(said.last().unwrap(), "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>");
        assert!(is_closed);
    }

    #[test]
    fn a_long_element_has_a_long_head() {
        for length in [100, 200, 70_000] {
            let text = format!("<message><body>{}</body></message>", "x".repeat(length));
            let (said, _) = documents(&written(Framing::WebSocket, &text));
            assert_eq!(said, [text.replacen("<message", "<message xmlns='jabber:client'", 1)]);
        }
    }
}
