//! The mechanisms and channel bindings (XEP-0440) that a connection offers, and the hash of these lists,
//! with which a client detects that somebody in between changed them (XEP-0474).

use std::sync::Arc;

use super::{Binding, MechanismName};
use crate::config::AuthConfig;
use crate::jid::BareJid;
use crate::storage::ScramHash;

/// The facts of a TLS connection to which logins can be bound.
#[derive(Clone, Debug, Default)]
pub struct TlsFacts {
    /// The version that the client speaks; `None` behind a proxy, which ends TLS. On TLS 1.2 only
    /// tokens are bound to the connection, see [`Offer`].
    pub version: Option<TlsVersion>,
    /// Keying material with the label `EXPORTER-Channel-Binding` and an empty context (RFC 9266 §2).
    pub exporter: Option<[u8; 32]>,
    /// The hash of the server's certificate (RFC 5929 §4.1).
    pub server_end_point: Option<Vec<u8>>,
    /// The addresses in the certificate of the client, if it is valid (XEP-0178 §2).
    pub addresses: Vec<BareJid>,
    /// The fingerprint of that certificate: the digits of SHA-256.
    pub fingerprint: Option<String>,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TlsVersion {
    /// RFC 5246.
    V1_2,
    /// RFC 8446.
    V1_3,
}

impl TlsVersion {
    /// The version with this name, for example `TLSv1.3`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::V1_2, Self::V1_3].into_iter().find(|version| version.as_str() == name)
    }

    /// The name for people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1_2 => "TLSv1.2",
            Self::V1_3 => "TLSv1.3",
        }
    }

    /// The number of the protocol in hexadecimal digits (XEP-0515 §5.1).
    pub(super) fn number(self) -> &'static str {
        match self {
            Self::V1_2 => "0303",
            Self::V1_3 => "0304",
        }
    }
}

/// The mechanisms that one connection offers and accepts. Computed once, after the TLS handshake.
///
/// `<mechanisms/>` and `<sasl-channel-binding/>` must contain exactly these lists: clients check them
/// against the hash of XEP-0474. Cheap to clone.
///
/// DEPARTS: XEP-0440 §3 – on TLS 1.2 the server offers neither -PLUS nor any channel binding, not even
/// `tls-server-end-point`. Clients without XEP-0440 would then use `tls-unique`, as RFC 5802 §6.1 tells
/// them. rustls does not provide it, and gloox would not log in.
/// `docs/decisions/0011-channel-binding-on-tls-1.2.md`
#[derive(Clone, Debug)]
pub struct Offer(Arc<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    encrypted: bool,
    version: Option<TlsVersion>,
    mechanisms: Vec<MechanismName>,
    types: Vec<&'static str>,
    bindings: Vec<Vec<u8>>,
    /// The hash of the server's certificate, for tokens: also on TLS 1.2.
    end_point: Option<Vec<u8>>,
    addresses: Vec<BareJid>,
    fingerprint: Option<String>,
}

impl Offer {
    /// Without TLS nothing is offered (RFC 6120 §6.3.4, §13.9.4). -PLUS is offered if there is a channel
    /// binding, EXTERNAL if the client has a valid certificate with an address, PLAIN and ANONYMOUS as configured.
    #[must_use]
    pub fn new(config: &AuthConfig, tls: Option<&TlsFacts>) -> Self {
        let (mut types, mut bindings) = (Vec::new(), Vec::new());
        if let Some(tls) = tls.filter(|tls| tls.version == Some(TlsVersion::V1_3)) {
            if let Some(exporter) = &tls.exporter {
                types.push(TLS_EXPORTER);
                bindings.push(exporter.to_vec());
            }
            if let Some(hash) = &tls.server_end_point {
                types.push(TLS_SERVER_END_POINT);
                bindings.push(hash.clone());
            }
        }
        let encrypted = tls.is_some();
        let end_point = tls.and_then(|tls| tls.server_end_point.clone());
        let addresses = tls.map(|tls| tls.addresses.clone()).unwrap_or_default();
        let fingerprint = tls.and_then(|tls| tls.fingerprint.clone());
        let is_offered = |mechanism: &MechanismName| match mechanism {
            MechanismName::Anonymous => config.anonymous,
            MechanismName::External => !addresses.is_empty() && fingerprint.is_some(),
            MechanismName::Plain => config.plain,
            MechanismName::Scram(_) => true,
            MechanismName::ScramPlus(_) => !types.is_empty(),
            // These are offered apart.
            MechanismName::Token(_) => false,
        };
        let mechanisms =
            MechanismName::ALL.into_iter().filter(|m| encrypted && is_offered(m)).collect();
        let version = tls.and_then(|tls| tls.version);
        Self(Arc::new(Inner {
            encrypted,
            version,
            mechanisms,
            types,
            bindings,
            end_point,
            addresses,
            fingerprint,
        }))
    }

    /// The same for an account that has keys of these hashes only: no other SCRAM can be used (XEP-0388 §2.1). The hash
    /// of XEP-0474 follows from what is left.
    #[must_use]
    pub(super) fn with_hashes(&self, hashes: &[ScramHash]) -> Self {
        let can_be_used = |mechanism: &MechanismName| match mechanism {
            MechanismName::Scram(hash) | MechanismName::ScramPlus(hash) => hashes.contains(hash),
            _ => true,
        };
        if self.0.mechanisms.iter().all(can_be_used) {
            return self.clone();
        }
        let mut inner = Inner::clone(&self.0);
        inner.mechanisms.retain(can_be_used);
        Self(Arc::new(inner))
    }

    /// The mechanisms in the order of the stream features: the strongest first.
    #[must_use]
    pub fn mechanisms(&self) -> &[MechanismName] {
        &self.0.mechanisms
    }

    /// The types of channel binding as announced by XEP-0440: the strongest first.
    #[must_use]
    pub fn channel_bindings(&self) -> &[&'static str] {
        &self.0.types
    }

    /// The mechanisms for logins with a token (XEP-0484 §3.1). They are not among those that XEP-0474 protects. A client that
    /// knows them knows the binding in their names, so tokens are bound to the certificate on TLS 1.2, too.
    pub fn token_mechanisms(&self) -> impl Iterator<Item = MechanismName> {
        let all = MechanismName::TOKENS.into_iter().filter(|_| self.is_encrypted());
        all.filter(|mechanism| self.token_binding(*mechanism).is_some())
    }

    /// What a proof with this mechanism is bound to, if it can be used.
    pub(super) fn token_binding(&self, mechanism: MechanismName) -> Option<&[u8]> {
        match mechanism {
            MechanismName::Token(Binding::Exporter) => self.binding(TLS_EXPORTER),
            MechanismName::Token(Binding::EndPoint) => self.0.end_point.as_deref(),
            MechanismName::Token(Binding::None) => Some(&[]),
            _ => None,
        }
    }

    /// The fingerprint of the certificate of the client.
    pub(super) fn fingerprint(&self) -> Option<&str> {
        self.0.fingerprint.as_deref()
    }

    /// The addresses in the certificate of the client.
    pub(super) fn addresses(&self) -> &[BareJid] {
        &self.0.addresses
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.0.encrypted
    }

    /// The version of TLS that the client is told in SCRAM (XEP-0515).
    pub(super) fn tls_version(&self) -> Option<TlsVersion> {
        self.0.version
    }

    /// The data of the channel binding with this name, which the client must have used.
    pub(super) fn binding(&self, name: &str) -> Option<&[u8]> {
        let i = self.0.types.iter().position(|t| *t == name)?;
        Some(&self.0.bindings[i])
    }

    /// The text whose hash goes into the first message of the server (XEP-0474 §5.1): the mechanisms, then
    /// the types of channel binding if they were announced.
    pub(super) fn downgrade_text(&self) -> String {
        let mechanisms = self.0.mechanisms.iter().map(|m| m.as_str()).collect();
        downgrade_text(mechanisms, self.0.types.clone())
    }
}

/// Sorts by bytes (`i;octet`) and joins with U+001E. U+001F separates the lists.
pub(super) fn downgrade_text(mut mechanisms: Vec<&str>, mut types: Vec<&str>) -> String {
    mechanisms.sort_unstable();
    types.sort_unstable();
    let mut text = mechanisms.join("\u{1e}");
    if !types.is_empty() {
        text.push('\u{1f}');
        text.push_str(&types.join("\u{1e}"));
    }
    text
}

const TLS_EXPORTER: &str = "tls-exporter";
const TLS_SERVER_END_POINT: &str = "tls-server-end-point";
