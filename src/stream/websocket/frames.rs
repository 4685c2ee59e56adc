//! Frames of WebSocket (RFC 6455 §5), on the side of the server: the frames of a client are decoded, our
//! own are encoded.
//!
//! Messages are text only. The decoder gives out text as it comes, and the length of each message that is
//! whole. It keeps nothing until a message is whole: the reader decides how long a message may be.
//! Extensions, such as compression, are not supported.

use std::ops::Range;

use super::utf8::Utf8;
use crate::stream::received::Received;

/// Decodes the frames of a client.
#[derive(Debug)]
pub struct Decoder {
    head: [u8; 14],
    /// How many bytes of `head` have come.
    known: usize,
    /// The frame whose payload is due.
    frame: Option<Frame>,
    /// A message has begun and not ended (§5.4).
    is_within: bool,
    /// Checks what has come of the message.
    text: Utf8,
    /// How many bytes have come of the message.
    length: usize,
    /// How many bytes the frames of the message have announced so far.
    size: u64,
    /// What has come of the payload of a control frame.
    control: Vec<u8>,
    limit: u64,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    opcode: u8,
    is_last: bool,
    left: u64,
    key: [u8; 4],
    /// Which byte of the key is next.
    turn: usize,
}

/// What was found in some bytes, besides messages.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Decoded {
    /// A control frame came between messages. It is a sign of life, as white space is over TCP. A control
    /// frame within a message is no sign of life: a message that never ends would keep the connection.
    pub is_alive: bool,
    /// The payload of the last ping. Earlier pings need no answer (§5.5.3).
    pub ping: Option<Vec<u8>>,
    /// A message is longer than the limit. Its text is given out all the same.
    pub is_too_large: bool,
    /// The WebSocket is to be closed for this reason. What comes behind does not count.
    pub closing: Option<Closing>,
}

/// Why the WebSocket is to be closed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Closing {
    /// A message is binary, not text: 1003.
    Binary,
    /// The client closes, with this code or none.
    Client(Option<u16>),
    /// The text of a message or of a closing frame is not UTF-8 (§8.1): 1007.
    NotText,
    /// A frame breaks the rules: 1002.
    Protocol,
}

impl Decoder {
    /// A decoder that reports messages longer than `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            head: [0; 14],
            known: 0,
            frame: None,
            is_within: false,
            text: Utf8::default(),
            length: 0,
            size: 0,
            control: Vec::new(),
            limit: limit as u64,
        }
    }

    /// Decodes these bytes, which are unmasked in place, and appends the text of messages to `received`.
    pub fn decode(&mut self, bytes: &mut [u8], received: &mut Received) -> Decoded {
        let mut found = Decoded::default();
        let mut at = 0;
        while at < bytes.len() && found.closing.is_none() {
            let Some(mut frame) = self.frame.take() else {
                self.head[self.known] = bytes[at];
                self.known += 1;
                at += 1;
                match self.head() {
                    Ok(None) => continue,
                    Ok(Some(frame)) => {
                        found.is_too_large |= self.size > self.limit;
                        self.payload(frame, &mut found, received);
                    }
                    Err(closing) => found.closing = Some(closing),
                }
                continue;
            };
            let count = usize::try_from(frame.left).unwrap_or(usize::MAX).min(bytes.len() - at);
            let payload = &mut bytes[at..at + count];
            for byte in payload.iter_mut() {
                *byte ^= frame.key[frame.turn];
                frame.turn = (frame.turn + 1) % 4;
            }
            if frame.opcode >= CLOSE {
                self.control.extend_from_slice(payload);
            } else {
                received.bytes.extend_from_slice(payload);
                self.length += count;
                if !self.text.take(payload) {
                    found.closing = Some(Closing::NotText);
                    return found;
                }
            }
            at += count;
            frame.left -= count as u64;
            self.payload(frame, &mut found, received);
        }
        found
    }

    /// Notes that a part of the payload of this frame was decoded: perhaps the frame is complete now.
    fn payload(&mut self, frame: Frame, found: &mut Decoded, received: &mut Received) {
        if frame.left > 0 {
            self.frame = Some(frame);
            return;
        }
        match frame.opcode {
            CLOSE => found.closing = Some(closing(&std::mem::take(&mut self.control))),
            PING => {
                found.ping = Some(std::mem::take(&mut self.control));
                found.is_alive |= !self.is_within;
            }
            PONG => {
                self.control = Vec::new();
                found.is_alive |= !self.is_within;
            }
            _ if frame.is_last && !self.text.end() => found.closing = Some(Closing::NotText),
            _ if frame.is_last => {
                received.messages.push_back(std::mem::take(&mut self.length));
                self.is_within = false;
                self.size = 0;
            }
            _ => {}
        }
    }

    /// The frame that the head announces; `None` if the head is not whole (§5.2). Most faults show in its
    /// first two bytes.
    fn head(&mut self) -> Result<Option<Frame>, Closing> {
        if self.known < 2 {
            return Ok(None);
        }
        let (first, second) = (self.head[0], self.head[1]);
        let (opcode, is_last) = (first & 0x0f, first & 0x80 != 0);
        let (is_masked, short) = (second & 0x80 != 0, second & 0x7f);
        let is_allowed = match opcode {
            CONTINUATION => self.is_within,
            TEXT | BINARY => !self.is_within,
            CLOSE | PING | PONG => is_last && short <= 125,
            _ => false,
        };
        // §5.1: a client must mask. §5.2: the bits of extensions must be 0.
        if first & 0x70 != 0 || !is_masked || !is_allowed {
            return Err(Closing::Protocol);
        }
        if opcode == BINARY {
            return Err(Closing::Binary);
        }
        let more = match short {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        if self.known < 2 + more + 4 {
            return Ok(None);
        }
        let long = self.head[2..2 + more].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        let left = if more == 0 { u64::from(short) } else { long };
        if left >> 63 != 0 {
            return Err(Closing::Protocol);
        }
        let key = [2, 3, 4, 5].map(|i| self.head[i + more]);
        self.known = 0;
        if opcode < CLOSE {
            self.is_within = true;
            self.size = self.size.saturating_add(left);
        }
        Ok(Some(Frame { opcode, is_last, left, key, turn: 0 }))
    }
}

/// Reads the payload of a closing frame (§5.5.1): nothing, or a code and a reason.
fn closing(payload: &[u8]) -> Closing {
    match *payload {
        [] => Closing::Client(None),
        [_] => Closing::Protocol,
        [_, _, ref reason @ ..] if std::str::from_utf8(reason).is_err() => Closing::NotText,
        [high, low, ..] => Closing::Client(Some(u16::from_be_bytes([high, low]))),
    }
}

/// The opcode of the first of these frames of ours, and where its payload is. `None` if the frame is not
/// whole.
#[must_use]
pub fn first(bytes: &[u8]) -> Option<(u8, Range<usize>)> {
    let (opcode, short) = (bytes.first()? & 0x0f, usize::from(*bytes.get(1)?));
    let more = match short {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let long = bytes.get(2..2 + more)?.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    let (begin, length) = (2 + more, if more == 0 { short } else { long });
    bytes.get(begin..begin + length).map(|_| (opcode, begin..begin + length))
}

/// Appends the head of a frame with a text of this length.
pub fn text_head(out: &mut Vec<u8>, length: usize) {
    head(out, TEXT, length);
}

/// Appends a ping (§5.5.2).
pub fn ping(out: &mut Vec<u8>) {
    head(out, PING, 0);
}

/// Appends the answer to a ping (§5.5.3).
pub fn pong(out: &mut Vec<u8>, payload: &[u8]) {
    head(out, PONG, payload.len());
    out.extend_from_slice(payload);
}

/// Appends the last frame (§5.5.1), with a code of §7.4.
pub fn close(out: &mut Vec<u8>, code: u16) {
    head(out, CLOSE, 2);
    out.extend_from_slice(&code.to_be_bytes());
}

/// Appends the head of a frame (§5.2). A server does not mask (§5.1).
fn head(out: &mut Vec<u8>, opcode: u8, length: usize) {
    out.push(0x80 | opcode);
    match length {
        0..=125 => out.push(length as u8),
        126..=0xffff => {
            out.push(126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

/// The length of the longest head of our frames, in bytes.
pub const LONGEST_HEAD: usize = 10;
/// The code of a normal end (§7.4.1).
pub const NORMAL: u16 = 1000;
const CONTINUATION: u8 = 0;
/// The opcode (§5.2) of a frame with text.
pub const TEXT: u8 = 1;
const BINARY: u8 = 2;
/// The opcode of a closing frame.
pub const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As a client writes it.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        head(&mut out, 0, payload.len());
        out.extend_from_slice(payload);
        out[0] = first;
        out[1] |= 0x80;
        let key = [0x37, 0xfa, 0x21, 0x3d];
        let at = out.len() - payload.len();
        out.splice(at..at, key);
        for (i, byte) in out[at + 4..].iter_mut().enumerate() {
            *byte ^= key[i % 4];
        }
        out
    }

    /// All that comes out, if so many bytes come at once: each message, and what has come of the next.
    fn decode(bytes: &[u8], at_once: usize) -> (Vec<Vec<u8>>, Vec<Decoded>) {
        let mut decoder = Decoder::new(1000);
        let (mut received, mut all) = (Received::default(), Vec::new());
        for part in bytes.chunks(at_once) {
            let found = decoder.decode(&mut part.to_vec(), &mut received);
            let is_over = found.closing.is_some();
            all.push(found);
            if is_over {
                break;
            }
        }
        let Received { mut bytes, messages } = received;
        let mut text: Vec<_> = messages.iter().map(|n| bytes.split_to(*n).to_vec()).collect();
        text.push(bytes.to_vec());
        (text, all)
    }

    fn closing(bytes: &[u8]) -> Option<Closing> {
        decode(bytes, 4096).1.pop().and_then(|found| found.closing)
    }

    #[test]
    fn the_example_of_the_rfc_is_read() {
        // RFC 6455 §5.7.
        let hello = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        assert_eq!(decode(&hello, 4096).0, [&b"Hello"[..], b""]);
        assert_eq!(frame(0x81, b"Hello"), hello);
        let mut out = Vec::new();
        text_head(&mut out, 5);
        assert_eq!(out, [0x81, 0x05]);
    }

    #[test]
    fn messages_come_out_the_same_however_they_are_cut() {
        let long = vec![b'x'; 70_000];
        let frames = [
            frame(0x81, b""),
            frame(0x01, b"<a"),
            frame(0x89, b"still there?"),
            frame(0x00, b""),
            frame(0x80, b"/>"),
            frame(0x81, b"a\0b"),
            frame(0x8a, b"unasked"),
            frame(0x81, &[b'y'; 300]),
            frame(0x81, &long),
        ];
        let wanted = [&b""[..], b"<a/>", b"a\0b", &[b'y'; 300], &long, b""];
        for at_once in [1, 2, 3, 5, 7, 100, 4096, 1 << 20] {
            let (text, all) = decode(&frames.concat(), at_once);
            assert_eq!(text, wanted, "{at_once}");
            let pings: Vec<_> = all.iter().filter_map(|found| found.ping.as_deref()).collect();
            assert_eq!(pings, [b"still there?"]);
            assert!(all.iter().any(|found| found.is_too_large));
            assert!(all.iter().all(|found| found.closing.is_none()));
        }
    }

    #[test]
    fn fragments_count_together() {
        let small = [frame(0x01, &[b'x'; 600]), frame(0x80, &[b'x'; 400])].concat();
        assert!(!decode(&small, 4096).1.iter().any(|found| found.is_too_large));
        let large = [frame(0x01, &[b'x'; 600]), frame(0x80, &[b'x'; 401])].concat();
        assert!(decode(&large, 4096).1.iter().any(|found| found.is_too_large));
        let many = [frame(0x81, &[b'x'; 600]), frame(0x81, &[b'x'; 600])].concat();
        assert!(!decode(&many, 4096).1.iter().any(|found| found.is_too_large));
    }

    #[test]
    fn what_is_against_the_rules_closes() {
        let mut endless = frame(0x81, &[0; 1000]);
        endless.splice(1..4, [0xff, 0x80, 0, 0, 0, 0, 0, 0, 0]);
        let table: &[(&str, Vec<u8>, Closing)] = &[
            ("unmasked", vec![0x81, 0x01, b'x'], Closing::Protocol),
            ("a bit of an extension", frame(0xc1, b"x"), Closing::Protocol),
            ("an unknown opcode", frame(0x83, b"x"), Closing::Protocol),
            ("an unknown control frame", frame(0x8b, b"x"), Closing::Protocol),
            ("a continuation of nothing", frame(0x80, b"x"), Closing::Protocol),
            ("a ping in parts", frame(0x09, b"x"), Closing::Protocol),
            ("a long ping", frame(0x89, &[0; 126]), Closing::Protocol),
            (
                "a message within a message",
                [frame(0x01, b"x"), frame(0x81, b"y")].concat(),
                Closing::Protocol,
            ),
            ("a length of 64 bits", endless, Closing::Protocol),
            ("half a code", frame(0x88, b"x"), Closing::Protocol),
            ("bytes", frame(0x82, b"x"), Closing::Binary),
            ("no text", frame(0x81, b"<a>\xff"), Closing::NotText),
            ("half a character at the end", frame(0x81, b"<a>\xe2\x82"), Closing::NotText),
            (
                "a character of the next fragment",
                [frame(0x01, b"\xed"), frame(0x89, b""), frame(0x80, b"\xa0\x80")].concat(),
                Closing::NotText,
            ),
            ("a reason that is no text", frame(0x88, b"\x03\xe8\xff"), Closing::NotText),
            ("good-bye", frame(0x88, b""), Closing::Client(None)),
            ("good-bye with a code", frame(0x88, b"\x03\xe9gone"), Closing::Client(Some(1001))),
        ];
        for (what, bytes, wanted) in table {
            assert_eq!(closing(bytes), Some(*wanted), "{what}");
        }
        let after = [frame(0x81, b"<a/>"), frame(0x88, b""), frame(0x81, b"<b/>")].concat();
        assert_eq!(decode(&after, 4096).0, [&b"<a/>"[..], b""]);
    }

    #[test]
    fn a_fault_in_the_text_shows_before_the_message_ends() {
        assert_eq!(closing(&frame(0x01, b"<a>\xff")), Some(Closing::NotText));
        let parts = [frame(0x01, b"\xe2"), frame(0x00, b"\x82"), frame(0x80, b"\xac")];
        assert_eq!(decode(&parts.concat(), 1).0, ["€".as_bytes(), b""]);
    }

    #[test]
    fn a_control_frame_between_messages_is_a_sign_of_life() {
        let alive = |frames: &[Vec<u8>]| {
            decode(&frames.concat(), 4096).1.iter().any(|found| found.is_alive)
        };
        assert!(alive(&[frame(0x89, b"?")]));
        assert!(alive(&[frame(0x81, b"<a/>"), frame(0x8a, b"")]));
        let within = [frame(0x01, b"<a>"), frame(0x89, b"?"), frame(0x80, b"</a>")];
        assert!(!alive(&within), "not within one");
        assert!(!alive(&[frame(0x81, b"<a/>")]));
    }

    #[test]
    fn lengths_are_written_in_the_shortest_form() {
        for (length, wanted) in [(125, 2), (126, 4), (0xffff, 4), (0x10000, LONGEST_HEAD)] {
            let mut out = Vec::new();
            text_head(&mut out, length);
            assert_eq!(out.len(), wanted);
            assert_eq!(first(&out), None, "it is not whole");
            out.resize(wanted + length + 1, b'x');
            assert_eq!(first(&out), Some((TEXT, wanted..wanted + length)));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_frames_or_refused(bytes: Vec<u8>, at_once in 1_usize..64) {
            let (mut whole, _) = decode(&bytes, 4096);
            let (mut parts, _) = decode(&bytes, at_once);
            // Of a message that is no text, so much comes out as came at once before the fault.
            whole.pop();
            parts.pop();
            prop_assert_eq!(&whole, &parts);
            prop_assert!(whole.concat().len() <= bytes.len());
        }

        #[test]
        fn what_is_masked_is_unmasked(messages: Vec<String>, at_once in 1_usize..64) {
            let bytes: Vec<u8> = messages.iter().flat_map(|m| frame(0x81, m.as_bytes())).collect();
            let mut wanted: Vec<_> = messages.into_iter().map(String::into_bytes).collect();
            wanted.push(Vec::new());
            prop_assert_eq!(decode(&bytes, at_once).0, wanted);
        }
    }
}
