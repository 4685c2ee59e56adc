//! What another server is offered.

use crate::ns;
use crate::s2s::announced_limits::OurLimits;
use crate::s2s::dialback;
use crate::s2s::managed;
use crate::xml::{Node, element};

/// Before TLS: nothing but TLS (RFC 7590 §3.1), and what there will be after it (XEP-0288 §2.1).
pub(super) fn plain() -> Node {
    let starttls = element("starttls").ns(ns::TLS).child(element("required"));
    element("stream:features").child(starttls).child(element("bidi").ns(ns::BIDI_FEATURE))
}

/// Under TLS. `with_external`: the certificate of the peer is valid for its domain. Who proves itself by dialback gets no other
/// features: for it, stanzas are acknowledged (XEP-0198) as soon as a pair is proven.
pub(super) fn secured(with_external: bool, our_limits: OurLimits) -> Node {
    let external = with_external
        .then(|| element("mechanisms").ns(ns::SASL).child(element("mechanism").text("EXTERNAL")));
    let bidi = element("bidi").ns(ns::BIDI_FEATURE);
    let management = (!with_external).then(managed::feature);
    let features = element("stream:features").children(external).children(management);
    features.child(bidi).child(dialback::feature()).child(our_limits.to_node())
}

/// After SASL: further pairs are proven by dialback, and stanzas are acknowledged (XEP-0198).
pub(super) fn authenticated(our_limits: OurLimits) -> Node {
    let features = element("stream:features").child(dialback::feature());
    features.child(managed::feature()).child(our_limits.to_node())
}
