//! What another server is offered.

use super::action::Told;
use crate::ns;
use crate::s2s::dialback;
use crate::xml::{Node, element};

/// Before TLS: nothing but TLS (RFC 7590 §3.1).
pub(super) fn plain() -> Node {
    let starttls = element("starttls").ns(ns::TLS).child(element("required"));
    element("stream:features").child(starttls)
}

/// Under TLS. `with_external`: the certificate of the peer is valid for its domain.
pub(super) fn secured(with_external: bool, told: Told) -> Node {
    let external = with_external
        .then(|| element("mechanisms").ns(ns::SASL).child(element("mechanism").text("EXTERNAL")));
    let bidi = element("bidi").ns(ns::BIDI_FEATURE);
    let features = element("stream:features").children(external);
    features.child(bidi).child(dialback::feature()).child(limits(told))
}

/// After SASL: further pairs are proven by dialback.
pub(super) fn authenticated(told: Told) -> Node {
    element("stream:features").child(dialback::feature()).child(limits(told))
}

fn limits(told: Told) -> Node {
    element("limits")
        .ns(ns::STREAM_LIMITS)
        .child(element("max-bytes").text(&told.bytes.to_string()))
        .child(element("idle-seconds").text(&told.idle.as_secs().to_string()))
}
