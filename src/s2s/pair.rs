//! A domain of ours and a domain of another server.

use smol_str::SmolStr;

use crate::jid::Jid;
use crate::stanza::Stanza;

/// A domain of ours and a domain of another server. What is proven on a stream is proven for a pair.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Pair {
    /// Our domain.
    pub(super) local: SmolStr,
    /// The domain of the other server.
    pub(super) remote: SmolStr,
}

impl Pair {
    /// The pair of a stanza that leaves. `None` if an address is missing.
    pub(super) fn of_outgoing(stanza: &Stanza) -> Option<Self> {
        let head = stanza.head();
        let (from, to) = (head.from.as_ref()?, head.to.as_ref()?);
        Some(Self { local: from.domain().into(), remote: to.domain().into() })
    }

    /// The other server as an address.
    pub(super) fn remote_jid(&self) -> Option<Jid> {
        Jid::domain_only(&self.remote).ok()
    }
}

/// The domain that an attribute names, prepared. `None` if it is missing, or is not exactly a domain.
pub(super) fn domain(attribute: Option<&str>) -> Option<SmolStr> {
    let jid = Jid::parse(attribute?).ok()?;
    (jid.local().is_none() && jid.resource().is_none()).then(|| jid.domain().into())
}
