//! Addresses on the wire (being written: the contract stands, the body does not).

use smol_str::SmolStr;

/// An address.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Jid(SmolStr);
/// An address without a resource.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct BareJid(Jid);
/// An address with a resource.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Serialize)]
pub struct FullJid(String);
/// Why it is none.
#[derive(Debug)]
pub struct JidError;

#[expect(missing_docs, clippy::missing_errors_doc, reason = "being written")]
impl Jid {
    pub fn parse(text: &str) -> Result<Self, JidError> {
        Ok(Self(SmolStr::new(text)))
    }
    pub fn local(&self) -> Option<&str> {
        None
    }
    pub fn resource(&self) -> Option<&str> {
        None
    }
    pub fn to_bare(&self) -> BareJid {
        BareJid(self.clone())
    }
}
