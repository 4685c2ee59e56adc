//! Addresses on the wire (RFC 7622): `local@domain/resource`.
//!
//! A [`Jid`] is always prepared, so two addresses are equal if their texts are equal. The first `/`
//! begins the resource. The first `@` before that `/` ends the local part: in `a@b/c@d/e` the resource
//! is `c@d/e` and the bare address is `a@b`.

mod convert;
mod error;
mod prep;
#[cfg(test)]
mod tests;
mod traits;

use std::borrow::Cow;

use smol_str::{SmolStr, SmolStrBuilder};

pub use error::JidError;
pub(crate) use prep::{has_wrong_direction, is_prohibited};

/// An address: `local@domain/resource`, prepared. Cloning is cheap.
///
/// It hashes, sorts and compares like its text, so a prepared `&str` finds an entry in a map by `Jid`.
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

const NONE: u16 = u16::MAX;

impl Jid {
    /// Reads and prepares an address.
    ///
    /// The time is linear in the length: a part of more than 1023 bytes is refused without reading it.
    ///
    /// # Errors
    /// If the text is not an address.
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

    /// Reads and prepares a domain.
    ///
    /// # Errors
    /// If the text is not an address, or has a local part or a resource.
    pub fn domain_only(text: &str) -> Result<Self, JidError> {
        Self::prepare(Some(text), None, text, None)
    }

    /// Makes an address from its parts and prepares them.
    ///
    /// # Errors
    /// If a part is invalid.
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

    /// The part after `/`.
    #[must_use]
    pub fn resource(&self) -> Option<&str> {
        (self.slash != NONE).then(|| &self.text[usize::from(self.slash) + 1..])
    }

    /// The text before the resource.
    #[must_use]
    pub fn bare_str(&self) -> &str {
        &self.text[..self.bare_len()]
    }

    /// The address without its resource.
    #[must_use]
    pub fn to_bare(&self) -> BareJid {
        if self.is_bare() {
            return BareJid(self.clone());
        }
        BareJid(Self { text: SmolStr::new(self.bare_str()), at: self.at, slash: NONE })
    }

    /// Whether the address has no resource.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        self.slash == NONE
    }

    /// Whether the address has a resource.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.slash != NONE
    }

    /// The address as a full address, if it is one.
    #[must_use]
    pub fn to_full(&self) -> Option<FullJid> {
        self.is_full().then(|| FullJid(self.clone()))
    }

    /// The whole text, prepared.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// `whole` is the text that contains the parts, if there is one. Most addresses are prepared already;
    /// such a text is copied once.
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
            // A domain that lost its last dot borrows, too, but then the length differs.
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
    /// If the text is not an address, or has a resource.
    pub fn parse(text: &str) -> Result<Self, JidError> {
        Self::try_from(Jid::parse(text)?)
    }

    /// Makes an address from its parts and prepares them.
    ///
    /// # Errors
    /// If a part is invalid.
    pub fn from_parts(local: Option<&str>, domain: &str) -> Result<Self, JidError> {
        Jid::from_parts(local, domain, None).map(Self)
    }

    /// The address with this resource, which is prepared.
    ///
    /// # Errors
    /// If the text cannot be a resource.
    pub fn with_resource(&self, resource: &str) -> Result<FullJid, JidError> {
        let resource = prep::resource(resource)?;
        let mut text = SmolStrBuilder::new();
        text.push_str(&self.text);
        text.push('/');
        text.push_str(&resource);
        Ok(FullJid(Jid { text: text.finish(), at: self.at, slash: index(Some(self.text.len())) }))
    }

    /// The same address as a [`Jid`].
    #[must_use]
    pub fn into_jid(self) -> Jid {
        self.0
    }
}

impl FullJid {
    /// Reads and prepares an address with a resource.
    ///
    /// # Errors
    /// If the text is not an address, or has no resource.
    pub fn parse(text: &str) -> Result<Self, JidError> {
        Self::try_from(Jid::parse(text)?)
    }

    /// The resource.
    #[must_use]
    pub fn resource_part(&self) -> &str {
        self.0.resource().unwrap_or_default()
    }

    /// The same address as a [`Jid`].
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
