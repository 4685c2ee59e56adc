//! What is offered at each stage of a stream (RFC 6120 §4.3). What was made once is made no second time, see
//! [`super::feature_cache`].

use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha2::{Digest as _, Sha256};
use smol_str::SmolStr;

use super::feature_cache::SessionState;
use super::profile::{NS_BIND, NS_FAST, NS_IAP, NS_UPGRADE, OPAQUE};
use super::settings::{Limits, Settings};
use crate::auth::{MechanismName, Offer, UPGRADES, upgrade_name};
use crate::ns;
use crate::xml::{Node, element};

/// Before TLS: nothing but STARTTLS, which is required (RFC 6120 §5.3.1).
pub(super) fn plain() -> Arc<Node> {
    static FEATURES: LazyLock<Arc<Node>> = LazyLock::new(|| {
        let starttls = element("starttls").ns(ns::TLS).child(element("required"));
        Arc::new(element("stream:features").child(starttls))
    });
    Arc::clone(&FEATURES)
}

/// Before authentication: mechanisms (RFC 6120 §6.4.1), types of channel binding (XEP-0440 §3), limits,
/// and registration of accounts if it is open or there are invitations (XEP-0077 §7, XEP-0445 §3). Returns also their
/// version, which a client repeats if it logs in before it has read them (XEP-0509 §2).
pub(super) fn secured(offer: &Offer, settings: &Settings) -> (Arc<Node>, SmolStr) {
    settings.features.before_login(offer, || before_login(offer, settings))
}

fn before_login(offer: &Offer, settings: &Settings) -> (Node, SmolStr) {
    let mechanisms = offer.mechanisms().iter().map(|m| element("mechanism").text(m.as_str()));
    let mut features = element("stream:features")
        .child(element("mechanisms").ns(ns::SASL).children(mechanisms))
        .child(authentication(offer, settings));
    if !offer.channel_bindings().is_empty() {
        let types = offer.channel_bindings().iter();
        let types = types.map(|kind| element("channel-binding").attr("type", kind));
        features = features.child(element("sasl-channel-binding").ns(SASL_CB).children(types));
    }
    if settings.invitations {
        features = features
            .child(element("register").ns(TOKEN_FEATURE))
            .child(element("register").ns(OLD_TOKEN_FEATURE));
    }
    if settings.registration {
        features = features.child(element("register").ns(REGISTER_FEATURE));
    }
    let features = features.child(told(settings.limits_before_auth));
    let version = version_of(&features);
    let value = element("config-version").ns(NS_IAP).attr("scheme", OPAQUE).attr("value", &version);
    (features.child(value), version)
}

/// What is offered before the login (XEP-0388 §2.1).
fn authentication(offer: &Offer, settings: &Settings) -> Node {
    let named = |mechanism: MechanismName| element("mechanism").text(mechanism.as_str());
    let mechanisms = offer.mechanisms().iter().copied().map(named);
    let tokens = element("fast").ns(NS_FAST).children(offer.token_mechanisms().map(named));
    let vars = settings.bind_features.iter().map(|var| element("feature").attr("var", *var));
    let bind = element("bind").ns(NS_BIND).child(element("inline").children(vars));
    let mut inline = element("inline").child(bind).child(tokens);
    if settings.resumption {
        inline = inline.child(element("sm").ns(ns::SM));
    }
    let upgrades = UPGRADES.map(|hash| element("upgrade").ns(NS_UPGRADE).text(upgrade_name(hash)));
    element("authentication").ns(ns::SASL2).children(mechanisms).child(inline).children(upgrades)
}

/// After authentication: bind (RFC 6120 §7.4), and what a client can use once it is bound. If a session was bound
/// together with the login (XEP-0386), only what is left to be used (XEP-0388 §2.6.1): a client that finds what it has
/// already would ask for it again.
pub(super) fn authenticated(settings: &Settings, domain: &str, session: SessionState) -> Arc<Node> {
    settings.features.after_login(domain, session, || after_login(settings, domain, session))
}

fn after_login(settings: &Settings, domain: &str, session: SessionState) -> Node {
    let mut features = element("stream:features");
    if session == SessionState::None {
        features = features
            .child(element("bind").ns(ns::BIND).child(element("required")))
            .child(element("session").ns(ns::SESSION).child(element("optional")));
    }
    let sm = (session != SessionState::Managed).then(|| element("sm").ns(ns::SM));
    features
        .child(element("ver").ns(ROSTER_VERSIONING))
        .child(element("sub").ns(PRE_APPROVAL))
        .children(sm)
        .child(element("csi").ns(ns::CSI))
        .child(told(settings.limits))
        .children(settings.caps.get(domain).cloned().unwrap_or_default())
}

/// XEP-0478.
fn told(limits: Limits) -> Node {
    element("limits")
        .ns(ns::STREAM_LIMITS)
        .child(element("max-bytes").text(&limits.bytes.to_string()))
        .child(element("idle-seconds").text(&limits.idle.as_secs().to_string()))
}

/// A text that changes with what is offered.
fn version_of(features: &Node) -> SmolStr {
    STANDARD_NO_PAD.encode(&Sha256::digest(features.to_bytes())[..VERSION_BYTES]).into()
}

/// Bytes of the hash in a version of features. Nobody gains by two that are equal.
const VERSION_BYTES: usize = 12;

/// XEP-0077 §7.
const REGISTER_FEATURE: &str = "http://jabber.org/features/iq-register";
/// XEP-0445 §3.
const TOKEN_FEATURE: &str = "urn:xmpp:ibr-token:0";
/// The same before XEP-0445. Conversations knows only this one.
const OLD_TOKEN_FEATURE: &str = "urn:xmpp:invite";
/// XEP-0440.
const SASL_CB: &str = "urn:xmpp:sasl-cb:0";
/// RFC 6121 §3.4.1.
const PRE_APPROVAL: &str = "urn:xmpp:features:pre-approval";
/// RFC 6121 §2.6.1.
const ROSTER_VERSIONING: &str = "urn:xmpp:features:rosterver";
