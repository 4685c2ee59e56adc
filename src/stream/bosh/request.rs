//! What the attributes of a request say (XEP-0124 §7.1, §11, §12, §15; XEP-0206 §3, §5).

use std::time::Duration;

use bytes::Bytes;
use sha1::{Digest, Sha1};
use smol_str::SmolStr;

use super::wrapper::Wrapper;
use crate::ns;
use crate::xml::element;

/// The largest `rid` (§14.1).
pub const MAX_RID: u64 = (1 << 53) - 1;

/// What the server allows a session.
#[derive(Clone, Copy, Debug)]
pub struct Allowed {
    /// The longest time for which a request is held.
    pub wait: Duration,
    /// The longest time without a request.
    pub inactivity: Duration,
    /// The longest pause that a client may ask for.
    pub pause: Duration,
}

/// What a session is created with (§7.1).
#[derive(Clone, Debug)]
pub struct Terms {
    /// The `rid` of the request that creates it.
    pub rid: u64,
    /// The domain, as the client writes it.
    pub to: String,
    /// How long a request is held.
    pub wait: Duration,
    /// How many requests are held.
    pub hold: usize,
    /// The longest time without a request. Longer if the client polls (§12).
    pub inactivity: Duration,
    /// The longest pause.
    pub pause: Duration,
    /// The version of the protocol. `None`: an old client, which wants HTTP errors (§17.1).
    pub ver: Option<(u32, u32)>,
    /// The client says which answers it has got (§9.2).
    pub acknowledges: bool,
    /// What the first `key` must hash to (§15).
    pub key: Option<Key>,
    /// The header of the stream.
    pub open: Bytes,
    /// What the client says on the stream at once (§8).
    pub payload: Vec<Bytes>,
}

/// A request within a session.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Its number.
    pub rid: u64,
    /// Up to which `rid` the client has got answers.
    pub ack: Option<u64>,
    /// The next key of the sequence.
    pub key: Option<SmolStr>,
    /// The beginning of the next sequence of keys.
    pub newkey: Option<Key>,
    /// How long the client wants to be away.
    pub pause: Option<Duration>,
    /// A new stream begins, with this header (XEP-0206 §5).
    pub restart: Option<Bytes>,
    /// The client ends the session.
    pub terminates: bool,
    /// Elements for the stream, as documents that need no declarations but those of a client's stream.
    pub payload: Vec<Bytes>,
}

/// The SHA-1 of a key, which is known before the key (§15.4).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Key([u8; 20]);

impl Key {
    /// Reads hexadecimal digits, in any case.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut key = [0; 20];
        if text.len() != 40 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        for (byte, at) in key.iter_mut().zip((0..40).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
        }
        Some(Self(key))
    }

    /// Whether this is the hash of a key, as the client writes the key.
    #[must_use]
    pub fn is_hash_of(&self, key: &str) -> bool {
        <[u8; 20]>::from(Sha1::digest(key.as_bytes())) == self.0
    }
}

/// What is wrong with the attributes of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mistake {
    /// `bad-request`.
    Malformed,
    /// `improper-addressing`: there is no `to`.
    NoDomain,
}

impl Terms {
    /// The terms for a client that asks for a session.
    ///
    /// # Errors
    /// What is wrong with its request.
    pub fn negotiate(wrapper: &Wrapper, allowed: Allowed) -> Result<Self, Mistake> {
        let rid = rid(wrapper).filter(|rid| *rid < MAX_RID).ok_or(Mistake::Malformed)?;
        let to = wrapper.attr("to").filter(|to| !to.is_empty()).ok_or(Mistake::NoDomain)?;
        let wait = number(wrapper, "wait")?.map_or(allowed.wait, Duration::from_secs);
        let hold = number(wrapper, "hold")?.unwrap_or(1);
        let ver = match wrapper.attr("ver") {
            None => None,
            Some(text) => Some(version(&text).ok_or(Mistake::Malformed)?.min(VERSION)),
        };
        let key = match wrapper.attr("newkey") {
            None => None,
            Some(text) => Some(Key::from_hex(&text).ok_or(Mistake::Malformed)?),
        };
        let wait = wait.min(allowed.wait);
        let polls = wait.is_zero() || hold == 0;
        Ok(Self {
            rid,
            open: open(wrapper, &to),
            to,
            wait,
            hold: usize::try_from(hold).unwrap_or(MAX_HOLD).min(MAX_HOLD),
            inactivity: allowed.inactivity + if polls { POLLING * 4 } else { Duration::ZERO },
            pause: allowed.pause,
            ver,
            acknowledges: wrapper.attr("ack").as_deref() == Some("1"),
            key,
            payload: wrapper.payload.clone(),
        })
    }

    /// How many requests may wait for their answers at once (§11): one more than are held.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.hold + 1
    }

    /// The client polls (§12): no request is held.
    #[must_use]
    pub fn polls(&self) -> bool {
        self.wait.is_zero() || self.hold == 0
    }
}

impl Request {
    /// Reads a request. `to` is the domain of the session, for a new stream.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(wrapper: &Wrapper, to: &str) -> Result<Self, Mistake> {
        let newkey = match wrapper.attr("newkey") {
            None => None,
            Some(text) => Some(Key::from_hex(&text).ok_or(Mistake::Malformed)?),
        };
        let restarts = wrapper.attr_ns(ns::XBOSH, "restart");
        let restarts = matches!(restarts.as_deref(), Some("true" | "1"));
        Ok(Self {
            rid: rid(wrapper).ok_or(Mistake::Malformed)?,
            ack: wrapper
                .attr("ack")
                .map(|ack| digits(&ack).ok_or(Mistake::Malformed))
                .transpose()?,
            key: wrapper.attr("key").map(SmolStr::from),
            newkey,
            pause: number(wrapper, "pause")?.map(Duration::from_secs),
            restart: restarts.then(|| {
                let named = wrapper.attr("to").filter(|to| !to.is_empty());
                open(wrapper, named.as_deref().unwrap_or(to))
            }),
            terminates: wrapper.attr("type").as_deref() == Some("terminate"),
            // XEP-0206 §5: what comes with a restart is ignored.
            payload: if restarts { Vec::new() } else { wrapper.payload.clone() },
        })
    }

    /// Whether it brings nothing, and only asks for what there is for the client.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.payload.is_empty() && self.restart.is_none() && !self.may_be_one_more()
    }

    /// Whether a client may send such a request when it may send no other (§11).
    #[must_use]
    pub fn may_be_one_more(&self) -> bool {
        self.terminates || self.pause.is_some()
    }

    /// How many bytes its elements have.
    #[must_use]
    pub fn size(&self) -> usize {
        self.payload.iter().map(Bytes::len).sum()
    }
}

/// The header of a stream, which stands for the tag that BOSH does not have (XEP-0206 §3). A client that
/// names no version has 1.0.
fn open(wrapper: &Wrapper, to: &str) -> Bytes {
    let version = wrapper.attr_ns(ns::XBOSH, "version");
    let open = element("open").ns(ns::FRAMING).attr("to", to);
    let open = open.attr("version", version.as_deref().unwrap_or("1.0"));
    let open = open.maybe_attr("from", wrapper.attr("from"));
    open.maybe_attr("xml:lang", wrapper.attr_ns(ns::XML, "lang")).to_bytes().into()
}

/// A number that is too large for us is larger than every valid one.
fn rid(wrapper: &Wrapper) -> Option<u64> {
    digits(&wrapper.attr("rid")?).filter(|rid| *rid > 0)
}

fn number(wrapper: &Wrapper, name: &str) -> Result<Option<u64>, Mistake> {
    let Some(text) = wrapper.attr(name) else { return Ok(None) };
    digits(&text).map(|number| Some(number.min(u64::from(u32::MAX)))).ok_or(Mistake::Malformed)
}

fn digits(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

/// §7.1: both parts are integers of their own.
fn version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    let part = |text: &str| digits(text).map(|n| u32::try_from(n).unwrap_or(u32::MAX));
    Some((part(major)?, part(minor)?))
}

/// The version of XEP-0124 that we speak.
const VERSION: (u32, u32) = (1, 11);
/// Each held request costs a connection, and a second one speeds up nothing.
const MAX_HOLD: usize = 2;
/// The shortest time between two empty requests (§11, §12).
pub const POLLING: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::Limits;

    const ALLOWED: Allowed = Allowed {
        wait: Duration::from_secs(60),
        inactivity: Duration::from_secs(30),
        pause: Duration::from_secs(120),
    };

    fn terms(attributes: &str) -> Result<Terms, Mistake> {
        let xml = format!("<body xmlns='http://jabber.org/protocol/httpbind' {attributes}/>");
        Terms::negotiate(&Wrapper::parse(&xml.into(), Limits::default()).unwrap(), ALLOWED)
    }

    #[test]
    fn what_a_client_gets_is_never_more_than_it_asks_for() {
        let got = |attributes: &str| {
            let terms = terms(&format!("rid='1' to='localhost' {attributes}")).unwrap();
            (terms.wait.as_secs(), terms.hold, terms.requests(), terms.inactivity.as_secs())
        };
        let table = [
            ("", (60, 1, 2, 30)),
            ("wait='10' hold='1'", (10, 1, 2, 30)),
            ("wait='3600' hold='250'", (60, 2, 3, 30)),
            ("wait='0' hold='1'", (0, 1, 2, 50)),
            ("wait='60' hold='0'", (60, 0, 1, 50)),
            ("wait='99999999999999999999999' hold='99999999999999999999999'", (60, 2, 3, 30)),
        ];
        for (attributes, expected) in table {
            assert_eq!(got(attributes), expected, "{attributes}");
        }
    }

    #[test]
    fn the_lower_version_counts_and_its_minor_part_is_a_number() {
        let ver = |ver: &str| terms(&format!("rid='1' to='a' ver='{ver}'")).map(|terms| terms.ver);
        assert_eq!(ver("1.6"), Ok(Some((1, 6))));
        assert_eq!(ver("1.11"), Ok(Some((1, 11))));
        assert_eq!(ver("1.9"), Ok(Some((1, 9))));
        assert_eq!(ver("1.100"), Ok(Some((1, 11))));
        assert_eq!(ver("7.1"), Ok(Some((1, 11))));
        assert_eq!(ver("one"), Err(Mistake::Malformed));
        assert_eq!(terms("rid='1' to='a'").unwrap().ver, None);
    }

    #[test]
    fn attributes_that_cannot_be_are_refused() {
        let most = MAX_RID.to_string();
        for rid in ["", "0", "-1", "1.5", "1e3", "x", " 1", &most, "9999999999999999999999"] {
            let answer = terms(&format!("rid='{rid}' to='localhost'")).map(drop);
            assert_eq!(answer, Err(Mistake::Malformed), "{rid}");
        }
        assert_eq!(terms("rid='9007199254740990' to='a'").map(|terms| terms.rid), Ok(MAX_RID - 1));
        for bad in ["wait='-1'", "wait='x'", "hold='1.0'", "hold=''", "newkey='abc'"] {
            let answer = terms(&format!("rid='1' to='localhost' {bad}")).map(drop);
            assert_eq!(answer, Err(Mistake::Malformed), "{bad}");
        }
        assert_eq!(terms("rid='1'").map(drop), Err(Mistake::NoDomain));
        assert_eq!(terms("rid='1' to=''").map(drop), Err(Mistake::NoDomain));
    }

    #[test]
    fn a_key_is_known_by_its_hash_in_any_case() {
        // K(1) of the seed "seed", and K(2).
        let first = hex(&Sha1::digest(b"seed"));
        let second = hex(&Sha1::digest(first.as_bytes()));
        for written in [second.clone(), second.to_uppercase()] {
            let key = Key::from_hex(&written).unwrap();
            assert!(key.is_hash_of(&first));
            assert!(!key.is_hash_of(&second) && !key.is_hash_of(""));
        }
        assert_eq!(Key::from_hex(&second[1..]), None);
        assert_eq!(Key::from_hex(&second.replace(&second[..1], "g")), None);
        assert_eq!(Key::from_hex(&"é".repeat(20)), None);
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
