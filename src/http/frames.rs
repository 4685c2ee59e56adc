//! Frames of WebSocket (RFC 6455 §5), the server's side: what comes is unmasked where it lies, what
//! goes is framed.
//!
//! Messages are text only. They come out as a stream of bytes in which each message is followed by
//! [`END`]: nothing is kept here until a message is whole, so that whoever reads decides how long
//! one may be. Compression and other extensions are never agreed upon.

use super::utf8::Utf8;

/// Follows each message. XML has no such byte; one that comes inside a message comes out as
/// [`NEVER`], which XML does not have either.
pub const END: u8 = 0;
/// Stands for [`END`] and [`ALIVE`] inside a message.
pub const NEVER: u8 = 1;
/// Stands between messages for a ping or a pong: a sign of life, as white space is over TCP. One that
/// comes while a message goes on is none, or a message that never ends would live for ever.
pub const ALIVE: u8 = 2;

/// Takes frames of a client apart.
#[derive(Debug)]
pub struct Decoder {
    head: [u8; 14],
    /// Bytes of `head` that have come.
    known: usize,
    /// The frame whose payload is due.
    frame: Option<Frame>,
    /// A message has begun and not ended (§5.4).
    is_within: bool,
    /// What has come of it.
    text: Utf8,
    /// Bytes announced of the message so far.
    size: u64,
    /// Payload of a control frame so far.
    control: Vec<u8>,
    limit: u64,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    opcode: u8,
    is_last: bool,
    left: u64,
    key: [u8; 4],
    /// The byte of the key that is due.
    turn: usize,
}

/// What was found in some bytes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Decoded {
    /// How many bytes of messages, with their ends, stand at the front now.
    pub messages: usize,
    /// What the last ping had in it: older ones need no answer (§5.5.3).
    pub ping: Option<Vec<u8>>,
    /// A message is longer than the limit. It comes out all the same, as far as it comes.
    pub is_too_large: bool,
    /// Nothing counts any more: close with this.
    pub closing: Option<Closing>,
}

/// Why the WebSocket is to be closed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Closing {
    /// A message of bytes instead of text: 1003.
    Binary,
    /// The client says so, with this code or none.
    Client(Option<u16>),
    /// A text that is not UTF-8 (§8.1), be it a message or the reason of a closing frame: 1007.
    NotText,
    /// Against the rules of the frames: 1002.
    Protocol,
}

impl Decoder {
    /// For messages that are usually not longer than `limit`.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            head: [0; 14],
            known: 0,
            frame: None,
            is_within: false,
            text: Utf8::default(),
            size: 0,
            control: Vec::new(),
            limit: limit as u64,
        }
    }

    /// Takes apart what stands in `bytes` from the second byte on, and leaves messages at the front.
    /// The first byte is room: a message that began earlier may end here, and [`END`] needs a place.
    pub fn decode(&mut self, bytes: &mut [u8]) -> Decoded {
        let mut found = Decoded::default();
        let mut at = 1;
        while at < bytes.len() && found.closing.is_none() {
            let Some(mut frame) = self.frame.take() else {
                self.head[self.known] = bytes[at];
                self.known += 1;
                at += 1;
                match self.head() {
                    Ok(None) => continue,
                    Ok(Some(frame)) => {
                        found.is_too_large |= self.size > self.limit;
                        self.payload(frame, &mut found, bytes);
                    }
                    Err(closing) => found.closing = Some(closing),
                }
                continue;
            };
            let count = usize::try_from(frame.left).unwrap_or(usize::MAX).min(bytes.len() - at);
            let begin = found.messages;
            for from in at..at + count {
                let byte = bytes[from] ^ frame.key[frame.turn];
                frame.turn = (frame.turn + 1) % 4;
                if frame.opcode >= CLOSE {
                    self.control.push(byte);
                } else {
                    let is_ours = matches!(byte, END | ALIVE);
                    bytes[found.messages] = if is_ours { NEVER } else { byte };
                    found.messages += 1;
                }
            }
            if !self.text.take(&bytes[begin..found.messages]) {
                found.closing = Some(Closing::NotText);
                return found;
            }
            at += count;
            frame.left -= count as u64;
            self.payload(frame, &mut found, bytes);
        }
        found
    }

    /// More of this frame is due, or it ends.
    fn payload(&mut self, frame: Frame, found: &mut Decoded, bytes: &mut [u8]) {
        if frame.left > 0 {
            self.frame = Some(frame);
            return;
        }
        match frame.opcode {
            CLOSE => found.closing = Some(closing(&std::mem::take(&mut self.control))),
            PING => {
                found.ping = Some(std::mem::take(&mut self.control));
                self.alive(found, bytes);
            }
            PONG => {
                self.control = Vec::new();
                self.alive(found, bytes);
            }
            _ if frame.is_last && !self.text.end() => found.closing = Some(Closing::NotText),
            _ if frame.is_last => {
                bytes[found.messages] = END;
                found.messages += 1;
                self.is_within = false;
                self.size = 0;
            }
            _ => {}
        }
    }

    /// A control frame is over. It was longer than what stands for it.
    fn alive(&self, found: &mut Decoded, bytes: &mut [u8]) {
        if !self.is_within {
            bytes[found.messages] = ALIVE;
            found.messages += 1;
        }
    }

    /// The frame that the head announces, once it is whole (§5.2). What is wrong with it shows in
    /// its first two bytes.
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
        // §5.1: a client masks; §5.2: no bit is set that nobody agreed upon.
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

/// §5.5.1: nothing, or a code and a reason.
fn closing(payload: &[u8]) -> Closing {
    match *payload {
        [] => Closing::Client(None),
        [_] => Closing::Protocol,
        [_, _, ref reason @ ..] if std::str::from_utf8(reason).is_err() => Closing::NotText,
        [high, low, ..] => Closing::Client(Some(u16::from_be_bytes([high, low]))),
    }
}

/// Appends a message of text as one frame.
pub fn text(out: &mut Vec<u8>, message: &[u8]) {
    encode(out, TEXT, message);
}

/// Appends the answer to a ping (§5.5.3).
pub fn pong(out: &mut Vec<u8>, payload: &[u8]) {
    encode(out, PONG, payload);
}

/// Appends the last frame (§5.5.1), with a code of §7.4.
pub fn close(out: &mut Vec<u8>, code: u16) {
    encode(out, CLOSE, &code.to_be_bytes());
}

/// §5.1: what a server sends is not masked.
fn encode(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    out.reserve(payload.len() + 10);
    out.push(0x80 | opcode);
    match payload.len() {
        length @ 0..=125 => out.push(length as u8),
        length @ 126..=0xffff => {
            out.push(126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
}

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As a client writes it.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        encode(&mut out, 0, payload);
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

    /// All that comes out, if so many bytes come at once.
    fn decode(bytes: &[u8], at_once: usize) -> (Vec<u8>, Vec<Decoded>) {
        let mut decoder = Decoder::new(1000);
        let (mut text, mut all) = (Vec::new(), Vec::new());
        for part in bytes.chunks(at_once) {
            let mut room = [&[0][..], part].concat();
            let found = decoder.decode(&mut room);
            text.extend_from_slice(&room[..found.messages]);
            let is_over = found.closing.is_some();
            all.push(found);
            if is_over {
                break;
            }
        }
        (text, all)
    }

    fn closing(bytes: &[u8]) -> Option<Closing> {
        decode(bytes, 4096).1.pop().and_then(|found| found.closing)
    }

    #[test]
    fn the_example_of_the_rfc_is_read() {
        // RFC 6455 §5.7.
        let hello = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        assert_eq!(decode(&hello, 4096).0, b"Hello\0");
        assert_eq!(frame(0x81, b"Hello"), hello);
        let mut out = Vec::new();
        text(&mut out, b"Hello");
        assert_eq!(out, [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
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
        let mut wanted = b"\0<a/>\0a\x01b\0\x02".to_vec();
        wanted.extend([b'y'; 300]);
        wanted.push(END);
        wanted.extend(&long);
        wanted.push(END);
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
        assert_eq!(decode(&after, 4096).0, b"<a/>\0");
    }

    #[test]
    fn a_fault_in_the_text_shows_before_the_message_ends() {
        assert_eq!(closing(&frame(0x01, b"<a>\xff")), Some(Closing::NotText));
        let parts = [frame(0x01, b"\xe2"), frame(0x00, b"\x82"), frame(0x80, b"\xac")];
        assert_eq!(decode(&parts.concat(), 1).0, "€\0".as_bytes());
    }

    #[test]
    fn a_control_frame_between_messages_is_a_sign_of_life() {
        let ping = frame(0x89, b"\x02");
        let all = [ping.clone(), frame(0x8a, b""), frame(0x81, b"\x02"), ping.clone()];
        assert_eq!(decode(&all.concat(), 4096).0, b"\x02\x02\x01\0\x02");
        let within = [frame(0x01, b"<a>"), ping.clone(), frame(0x80, b"</a>"), ping];
        assert_eq!(decode(&within.concat(), 3).0, b"<a></a>\0\x02", "not within one");
    }

    #[test]
    fn lengths_are_written_in_the_shortest_form() {
        for (length, head) in [(125, 2), (126, 4), (0xffff, 4), (0x10000, 10)] {
            let mut out = Vec::new();
            text(&mut out, &vec![b'x'; length]);
            assert_eq!(out.len(), length + head);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_frames_or_refused(bytes: Vec<u8>, at_once in 1_usize..64) {
            let (whole, all) = decode(&bytes, 4096);
            let (parts, _) = decode(&bytes, at_once);
            // Of a message that is no text, so much comes out as came at once before the fault.
            let messages = |text: &[u8]| text.iter().rposition(|byte| *byte == END).map_or(0, |at| at);
            prop_assert_eq!(&whole[..messages(&whole)], &parts[..messages(&parts)]);
            prop_assert!(whole.len() <= bytes.len());
            drop(all);
        }

        #[test]
        fn what_is_masked_is_unmasked(messages: Vec<String>, at_once in 1_usize..64) {
            let bytes: Vec<u8> = messages.iter().flat_map(|m| frame(0x81, m.as_bytes())).collect();
            let end = |message: &String| format!("{}\0", message.replace(['\0', '\x02'], "\x01"));
            let wanted: String = messages.iter().map(end).collect();
            prop_assert_eq!(decode(&bytes, at_once).0, wanted.into_bytes());
        }
    }
}
