//! The server's side of SCRAM (RFC 5802, RFC 7677): two messages of the client, two of the server. No
//! I/O.
//!
//! The grammar is strict: a message that two parsers could read in two ways is refused. The proof is
//! checked even if it cannot be right (there is no such account), so that the answer takes the same time.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::{Choice, ConstantTimeEq};

use super::hash::{hash, hmac};
use super::{Offer, SaslError};
use crate::storage::ScramKeys;

/// The first message of the client (RFC 5802 §7, `client-first-message`).
#[derive(Debug)]
pub(super) struct ClientFirst<'a> {
    /// The GS2 header, for example `n,,`. It comes back as a part of `c=`.
    gs2: &'a str,
    binding: Binding<'a>,
    /// The authorization identity.
    pub authzid: Option<String>,
    /// The name of the account, unescaped; not empty.
    pub user: String,
    /// The message without the GS2 header.
    bare: &'a str,
    nonce: &'a str,
}

/// The client's flag for channel binding (RFC 5802 §6).
#[derive(Debug)]
enum Binding<'a> {
    /// `n`: the client does not support channel binding.
    None,
    /// `y`: the client supports it, but believes that the server does not.
    Unseen,
    /// `p=`: the client uses this type of channel binding.
    Used(&'a str),
}

impl<'a> ClientFirst<'a> {
    /// # Errors
    /// `malformed-request` for a message that breaks the grammar, and for `m=`, which announces a mandatory
    /// extension.
    pub(super) fn parse(message: &'a [u8]) -> Result<Self, SaslError> {
        Self::read(message).ok_or(SaslError::MalformedRequest)
    }

    fn read(message: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(message).ok().filter(|t| !t.contains('\0'))?;
        let mut parts = text.splitn(3, ',');
        let (flag, authzid, bare) = (parts.next()?, parts.next()?, parts.next()?);
        let binding = match flag {
            "n" => Binding::None,
            "y" => Binding::Unseen,
            _ => Binding::Used(flag.strip_prefix("p=").filter(|name| is_binding_name(name))?),
        };
        let authzid = match authzid {
            "" => None,
            _ => Some(unescape(authzid.strip_prefix("a=")?)?),
        };
        let mut attributes = bare.split(',');
        let user = unescape(attributes.next()?.strip_prefix("n=")?)?;
        let nonce = attributes.next()?.strip_prefix("r=").filter(|nonce| is_printable(nonce))?;
        attributes.all(is_extension).then_some(())?;
        Some(Self { gs2: &text[..text.len() - bare.len()], binding, authzid, user, bare, nonce })
    }

    /// The data that must follow the header in `c=`, by the client's flag and the offer.
    ///
    /// # Errors
    /// `not-authorized` if somebody hid -PLUS from a client that supports it (RFC 5802 §6);
    /// `malformed-request` if flag and mechanism do not fit together, or for an unknown binding.
    pub(super) fn bound_to<'o>(&self, plus: bool, offer: &'o Offer) -> Result<&'o [u8], SaslError> {
        match (&self.binding, plus) {
            (Binding::Used(name), true) => offer.binding(name).ok_or(SaslError::BindingUnknown),
            (Binding::Unseen, false) if !offer.channel_bindings().is_empty() => {
                Err(SaslError::Downgrade)
            }
            (Binding::None | Binding::Unseen, false) => Ok(&[]),
            (Binding::None | Binding::Unseen, true) => Err(SaslError::BindingMissing),
            (Binding::Used(_), false) => Err(SaslError::MalformedRequest),
        }
    }
}

/// Waits for the second message of the client.
pub(super) struct Scram {
    keys: ScramKeys,
    is_known: bool,
    /// The decoded value that `c=` must have: the header and the data of the channel binding.
    bound: Vec<u8>,
    first_bare: String,
    server_first: String,
    nonce: String,
}

impl Scram {
    /// Answers the first message. The second value of the result is the answer.
    ///
    /// `is_known`: the account exists; if not, `keys` are invented. `nonce`: the server's half, printable
    /// and without commas. `offer`: what a client is told of it, to notice a change by somebody in between (XEP-0474
    /// §5.1, XEP-0515 §5.1).
    pub(super) fn begin(
        first: &ClientFirst<'_>,
        bound_to: &[u8],
        (keys, is_known): (ScramKeys, bool),
        nonce: &str,
        offer: Option<&Offer>,
    ) -> (Self, Vec<u8>) {
        let nonce = format!("{}{nonce}", first.nonce);
        let salt = STANDARD.encode(&keys.salt);
        let mut server_first = format!("r={nonce},s={salt},i={}", keys.iterations);
        if let Some(offer) = offer {
            server_first.push_str(",h=");
            let text = offer.downgrade_text();
            server_first.push_str(&STANDARD.encode(hash(keys.hash, text.as_bytes())));
            if let Some(version) = offer.tls_version() {
                server_first.push_str(",t=");
                server_first.push_str(version.number());
            }
        }
        let answer = server_first.clone().into_bytes();
        let bound = [first.gs2.as_bytes(), bound_to].concat();
        let first_bare = first.bare.to_owned();
        (Self { keys, is_known, bound, first_bare, server_first, nonce }, answer)
    }

    /// Checks the second message (RFC 5802 §3) and answers with the server's proof.
    ///
    /// # Errors
    /// `malformed-request` if the message breaks the grammar, `not-authorized` for everything else.
    pub(super) fn finish(self, message: &[u8]) -> Result<Vec<u8>, SaslError> {
        let last = ClientFinal::read(message).ok_or(SaslError::MalformedRequest)?;
        let h = self.keys.hash;
        let auth_message =
            format!("{},{},{}", self.first_bare, self.server_first, last.without_proof);
        let signature = hmac(h, &self.keys.stored_key, auth_message.as_bytes());
        if last.proof.len() != signature.len() {
            return Err(SaslError::MalformedRequest);
        }
        let client_key: Vec<u8> = last.proof.iter().zip(&signature).map(|(p, s)| p ^ s).collect();
        let server_signature = hmac(h, &self.keys.server_key, auth_message.as_bytes());
        let is_right = hash(h, &client_key).ct_eq(&self.keys.stored_key)
            & last.bound.ct_eq(&self.bound)
            & last.nonce.as_bytes().ct_eq(self.nonce.as_bytes())
            & Choice::from(u8::from(self.is_known));
        if !bool::from(is_right) {
            return Err(SaslError::NotAuthorized);
        }
        Ok(format!("v={}", STANDARD.encode(server_signature)).into_bytes())
    }
}

/// The second message of the client (RFC 5802 §7, `client-final-message`).
struct ClientFinal<'a> {
    without_proof: &'a str,
    bound: Vec<u8>,
    nonce: &'a str,
    proof: Vec<u8>,
}

impl<'a> ClientFinal<'a> {
    fn read(message: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(message).ok().filter(|t| !t.contains('\0'))?;
        let (without_proof, proof) = text.rsplit_once(",p=")?;
        let mut attributes = without_proof.split(',');
        let bound = STANDARD.decode(attributes.next()?.strip_prefix("c=")?).ok()?;
        let nonce = attributes.next()?.strip_prefix("r=").filter(|nonce| is_printable(nonce))?;
        // The proof is the last attribute, and no other attribute may have its name.
        attributes.all(|a| is_extension(a) && !a.starts_with("p=")).then_some(())?;
        let proof = STANDARD.decode(proof).ok()?;
        Some(Self { without_proof, bound, nonce, proof })
    }
}

/// `saslname`: `=2C` is a comma, `=3D` an equals sign, and no other `=` is allowed.
fn unescape(name: &str) -> Option<String> {
    let mut parts = name.split('=');
    let mut text = parts.next()?.to_owned();
    for part in parts {
        let (sign, rest) = match part.as_bytes() {
            [b'2', b'C', ..] => (',', &part[2..]),
            [b'3', b'D', ..] => ('=', &part[2..]),
            _ => return None,
        };
        text.push(sign);
        text.push_str(rest);
    }
    (!text.is_empty()).then_some(text)
}

/// `cb-name`.
fn is_binding_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-')
}

/// Whether the text may be a nonce: `printable`, without a comma, which ends it.
fn is_printable(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic())
}

/// An optional extension: a letter and a value. `m` announces a mandatory one.
fn is_extension(attribute: &str) -> bool {
    match attribute.as_bytes() {
        [b'm', ..] => false,
        [name, b'=', _, ..] => name.is_ascii_alphabetic(),
        _ => false,
    }
}
