//! Addresses on the wire (RFC 7622). Being written: the contract stands, the preparation does not.

use std::fmt;
use std::ops::Deref;

use smol_str::{SmolStr, ToSmolStr};

/// An address: `local@domain/resource`, prepared. Cloning is cheap.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Jid {
    text: SmolStr,
    /// Index of the `@`; `u16::MAX` if there is no local part.
    at: u16,
    /// Index of the `/`; `u16::MAX` if there is no resource.
    slash: u16,
}

/// An address without a resource. Derefs to [`Jid`].
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct BareJid(Jid);

/// An address with a resource. Derefs to [`Jid`].
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FullJid(Jid);

/// Why a text is no address.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum JidError {
    /// A part is there and empty, or the domain is missing.
    #[error("a part of the address is empty")]
    Empty,
    /// A part has over 1023 bytes.
    #[error("a part of the address is too long")]
    TooLong,
    /// A character that must not be there.
    #[error("the address has a forbidden character")]
    Forbidden,
}

const NONE: u16 = u16::MAX;

impl Jid {
    /// Reads and prepares an address.
    ///
    /// # Errors
    /// If it is none.
    pub fn parse(text: &str) -> Result<Self, JidError> {
        let slash = text.find('/').map_or(NONE, |i| i as u16);
        let bare = if slash == NONE { text } else { &text[..slash as usize] };
        let at = bare.find('@').map_or(NONE, |i| i as u16);
        if bare.is_empty() {
            return Err(JidError::Empty);
        }
        Ok(Self { text: text.to_smolstr(), at, slash })
    }

    /// The part before `@`.
    #[must_use]
    pub fn local(&self) -> Option<&str> {
        (self.at != NONE).then(|| &self.text[..self.at as usize])
    }

    /// The domain.
    #[must_use]
    pub fn domain(&self) -> &str {
        let start = if self.at == NONE { 0 } else { self.at as usize + 1 };
        let end = if self.slash == NONE { self.text.len() } else { self.slash as usize };
        &self.text[start..end]
    }

    /// The part behind `/`.
    #[must_use]
    pub fn resource(&self) -> Option<&str> {
        (self.slash != NONE).then(|| &self.text[self.slash as usize + 1..])
    }

    /// Without the resource.
    #[must_use]
    pub fn to_bare(&self) -> BareJid {
        let end = if self.slash == NONE { self.text.len() } else { self.slash as usize };
        BareJid(Self { text: SmolStr::new(&self.text[..end]), at: self.at, slash: NONE })
    }

    /// It has a resource.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.slash != NONE
    }

    /// As a full address, if it is one.
    #[must_use]
    pub fn to_full(&self) -> Option<FullJid> {
        self.is_full().then(|| FullJid(self.clone()))
    }

    /// The whole text, prepared.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl BareJid {
    /// From parts, which are prepared.
    ///
    /// # Errors
    /// If a part is none.
    pub fn from_parts(local: Option<&str>, domain: &str) -> Result<Self, JidError> {
        let text = local.map_or_else(|| domain.to_owned(), |l| format!("{l}@{domain}"));
        Ok(Self(Jid::parse(&text)?))
    }

    /// With a resource, which is prepared.
    ///
    /// # Errors
    /// If it cannot be a resource.
    pub fn with_resource(&self, resource: &str) -> Result<FullJid, JidError> {
        Ok(FullJid(Jid::parse(&format!("{}/{resource}", self.0.text))?))
    }

    /// As any address.
    #[must_use]
    pub fn into_jid(self) -> Jid {
        self.0
    }
}

impl FullJid {
    /// The resource, which is there.
    #[must_use]
    pub fn resource_part(&self) -> &str {
        self.0.resource().unwrap_or_default()
    }

    /// As any address.
    #[must_use]
    pub fn into_jid(self) -> Jid {
        self.0
    }
}

impl Deref for BareJid {
    type Target = Jid;
    fn deref(&self) -> &Jid {
        &self.0
    }
}

impl Deref for FullJid {
    type Target = Jid;
    fn deref(&self) -> &Jid {
        &self.0
    }
}

impl fmt::Display for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for BareJid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for FullJid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl serde::Serialize for Jid {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl serde::Serialize for BareJid {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.text)
    }
}

impl serde::Serialize for FullJid {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.text)
    }
}
