//! Addresses on the wire (RFC 7622): `local@domain/resource`.
//!
//! A [`Jid`] is always prepared, so two addresses are equal if their texts are. The first `/` begins
//! the resource, and only then the first `@` before it ends the local part: `a@b/c@d/e` is a resource
//! `c@d/e` of `a@b`.

mod convert;
mod prep;
#[cfg(test)]
mod tests;

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use smol_str::{SmolStr, SmolStrBuilder};

pub(crate) use prep::{has_wrong_direction, is_prohibited};

/// An address: `local@domain/resource`, prepared. Cloning is cheap.
///
/// It hashes, sorts and compares as its text does, so a map by `Jid` can be asked with a `&str`
/// that is prepared.
#[derive(Clone)]
pub struct Jid {
    text: SmolStr,
    /// Index of the `@`; `u16::MAX` if there is no local part.
    at: u16,
    /// Index of the `/`; `u16::MAX` if there is no resource.
    slash: u16,
}

/// An address without a resource. Derefs to [`Jid`].
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct BareJid(Jid);

/// An address with a resource. Derefs to [`Jid`].
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FullJid(Jid);

/// Why a text is no address.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum JidError {
    /// A part is there and empty, or the domain is missing.
    #[error("a part of the address is empty")]
    Empty,
    /// A part has over 1023 bytes, or a domain is longer than the DNS allows.
    #[error("a part of the address is too long")]
    TooLong,
    /// A character that must not be there.
    #[error("the address has a forbidden character")]
    Forbidden,
    /// A bare address was wanted.
    #[error("the address has a resource")]
    HasResource,
    /// A full address was wanted.
    #[error("the address has no resource")]
    NoResource,
}

const NONE: u16 = u16::MAX;

impl Jid {
    /// Reads and prepares an address.
    ///
    /// Takes time linear in the length: a part of more than 1023 bytes is refused unread.
    ///
    /// # Errors
    /// If it is none.
    pub fn parse(text: &str) -> Result<Self, JidError> {
        let (bare, resource) = match memchr::memchr(b'/', text.as_bytes()) {
            Some(i) => (&text[..i], Some(&text[i + 1..])),
            None => (text, None),
        };
        let (local, domain) = match memchr::memchr(b'@', bare.as_bytes()) {
            Some(i) => (Some(&bare[..i]), &bare[i + 1..]),
            None => (None, bare),
        };
        Self::prepare(Some(text), local, domain, resource)
    }

    /// Reads and prepares a domain alone.
    ///
    /// # Errors
    /// If it is none, or if there is a local part or a resource.
    pub fn domain_only(text: &str) -> Result<Self, JidError> {
        Self::prepare(Some(text), None, text, None)
    }

    /// From parts, which are prepared.
    ///
    /// # Errors
    /// If a part is none.
    pub fn from_parts(
        local: Option<&str>,
        domain: &str,
        resource: Option<&str>,
    ) -> Result<Self, JidError> {
        Self::prepare(None, local, domain, resource)
    }

    /// The part before `@`.
    #[must_use]
    pub fn local(&self) -> Option<&str> {
        (self.at != NONE).then(|| &self.text[..usize::from(self.at)])
    }

    /// The domain.
    #[must_use]
    pub fn domain(&self) -> &str {
        let start = if self.at == NONE { 0 } else { usize::from(self.at) + 1 };
        &self.text[start..self.bare_len()]
    }

    /// The part behind `/`.
    #[must_use]
    pub fn resource(&self) -> Option<&str> {
        (self.slash != NONE).then(|| &self.text[usize::from(self.slash) + 1..])
    }

    /// The text before the resource.
    #[must_use]
    pub fn bare_str(&self) -> &str {
        &self.text[..self.bare_len()]
    }

    /// Without the resource.
    #[must_use]
    pub fn to_bare(&self) -> BareJid {
        if self.is_bare() {
            return BareJid(self.clone());
        }
        BareJid(Self { text: SmolStr::new(self.bare_str()), at: self.at, slash: NONE })
    }

    /// It has no resource.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        self.slash == NONE
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

    /// `whole` is the text of which the parts are cut, if they are: most addresses come prepared,
    /// and are then copied once.
    fn prepare(
        whole: Option<&str>,
        local: Option<&str>,
        domain: &str,
        resource: Option<&str>,
    ) -> Result<Self, JidError> {
        let local = local.map(prep::local).transpose()?;
        let domain = prep::domain(domain)?;
        let resource = resource.map(prep::resource).transpose()?;
        let at = local.as_ref().map(|l| l.len());
        let bare_len = at.map_or(0, |at| at + 1) + domain.len();
        let slash = resource.as_ref().map(|_| bare_len);
        let full_len = bare_len + resource.as_ref().map_or(0, |r| r.len() + 1);
        let unchanged = is_borrowed(local.as_ref())
            && is_borrowed(Some(&domain))
            && is_borrowed(resource.as_ref());
        let text = match whole {
            // A dot that fell from the domain borrows too, but is missing in the length.
            Some(whole) if unchanged && whole.len() == full_len => SmolStr::new(whole),
            _ => join(local.as_deref(), &domain, resource.as_deref()),
        };
        Ok(Self { text, at: index(at), slash: index(slash) })
    }

    fn bare_len(&self) -> usize {
        if self.slash == NONE { self.text.len() } else { usize::from(self.slash) }
    }
}

impl BareJid {
    /// Reads and prepares an address without a resource.
    ///
    /// # Errors
    /// If it is none, or has a resource.
    pub fn parse(text: &str) -> Result<Self, JidError> {
        Self::try_from(Jid::parse(text)?)
    }

    /// From parts, which are prepared.
    ///
    /// # Errors
    /// If a part is none.
    pub fn from_parts(local: Option<&str>, domain: &str) -> Result<Self, JidError> {
        Jid::from_parts(local, domain, None).map(Self)
    }

    /// With a resource, which is prepared.
    ///
    /// # Errors
    /// If it cannot be a resource.
    pub fn with_resource(&self, resource: &str) -> Result<FullJid, JidError> {
        let resource = prep::resource(resource)?;
        let mut text = SmolStrBuilder::new();
        text.push_str(&self.text);
        text.push('/');
        text.push_str(&resource);
        Ok(FullJid(Jid { text: text.finish(), at: self.at, slash: index(Some(self.text.len())) }))
    }

    /// As any address.
    #[must_use]
    pub fn into_jid(self) -> Jid {
        self.0
    }
}

impl FullJid {
    /// Reads and prepares an address with a resource.
    ///
    /// # Errors
    /// If it is none, or has no resource.
    pub fn parse(text: &str) -> Result<Self, JidError> {
        Self::try_from(Jid::parse(text)?)
    }

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

fn is_borrowed(part: Option<&Cow<'_, str>>) -> bool {
    !matches!(part, Some(Cow::Owned(_)))
}

fn join(local: Option<&str>, domain: &str, resource: Option<&str>) -> SmolStr {
    let mut text = SmolStrBuilder::new();
    if let Some(local) = local {
        text.push_str(local);
        text.push('@');
    }
    text.push_str(domain);
    if let Some(resource) = resource {
        text.push('/');
        text.push_str(resource);
    }
    text.finish()
}

fn index(i: Option<usize>) -> u16 {
    i.map_or(NONE, |i| u16::try_from(i).expect("three parts of 1023 bytes at most"))
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

// The indices follow from the text: neither a local part nor a domain has a `@` or a `/` in it.
impl Eq for Jid {}

impl PartialEq for Jid {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Ord for Jid {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl PartialOrd for Jid {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Jid {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl Borrow<str> for Jid {
    fn borrow(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Jid({:?})", self.as_str())
    }
}

impl fmt::Display for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}
