//! The negotiation as tables: what has happened, what happens, what is to be done.

use std::sync::Arc;

use super::action::{Action, Actions, Stage};
use super::feature_cache::{FeatureCache, SessionState};
use super::machine::{Negotiation, State};
use super::settings::{Limits, Settings, SettingsCache};
use crate::auth::{Offer, SaslError, Step, TlsFacts, TlsVersion, Upgrade, upgrade_name};
use crate::config::AuthConfig;
use crate::jid::{BareJid, Jid};
use crate::ns;
use crate::stanza::{Condition, StreamCondition};
use crate::storage::ScramHash;
use crate::stream::framing::Framing;
use crate::xml::{self, Frame, element};

mod login;
mod random;
mod sasl2;
mod session;
mod upgrade;

/// Something that the client does, or that the driver reports.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// The session is bound.
    Bound(Result<&'static str, Condition>),
    /// The session is bound as a client asked with its login.
    BoundInline,
    Challenge(&'static [u8]),
    Element(&'static str),
    Ended,
    /// The driver has found what can be used for the account in the header.
    Found,
    Failed(StreamCondition),
    /// A header with these attributes.
    Header(&'static str),
    Refused(SaslError),
    Resumed(Result<u32, Option<u32>>),
    Secured,
    Success(Option<&'static [u8]>),
    /// The driver has made a token, or none.
    Token(Option<&'static str>),
    /// The driver has added the keys of an upgrade.
    Upgraded(Result<(), SaslError>),
    /// The account needs these upgrades.
    Upgrades(&'static [ScramHash]),
}

use Event::{
    Bound, BoundInline, Challenge, Element, Ended, Failed, Found, Header, Refused, Resumed,
    Secured, Success, Token, Upgraded, Upgrades,
};

/// The header of a stream to us.
const OPEN: Event = Header("to='montague.lit' version='1.0'");
const STARTTLS: Event = Element("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
const PLAIN: Event =
    Element("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGEAYg==</auth>");
const SCRAM: Event =
    Element("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-256'>biws</auth>");
const RESPONSE: Event =
    Element("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>Yz1iaXdz</response>");
const ABORT: Event = Element("<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
const BIND: Event = Element(
    "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
     <resource>orchard</resource></bind></iq>",
);
/// XEP-0198 §3: the order is enforced, and one may go on.
const TOO_EARLY: &str = "<failed xmlns='urn:xmpp:sm:3'>\
    <unexpected-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>";
const RESUME: Event = Element("<resume xmlns='urn:xmpp:sm:3' previd='p' h='7'/>");
const MESSAGE: Event = Element("<message to='a@b.lit'><body>x</body></message>");
const UNKNOWN: Event = Element("<x xmlns='urn:example'/>");
const ENCRYPTION: &str =
    "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><encryption-required/></failure>";

/// The features of the clear are out.
const TO_PLAIN: &[Event] = &[OPEN];
/// The mechanisms are out.
const TO_SECURED: &[Event] = &[OPEN, STARTTLS, Secured, OPEN];
/// A challenge is out.
const TO_CHALLENGED: &[Event] = &[OPEN, STARTTLS, Secured, OPEN, SCRAM, Challenge(b"r=x")];
/// The client has logged in, and its header is due.
const TO_RESTARTED: &[Event] = &[OPEN, STARTTLS, Secured, OPEN, PLAIN, Success(None)];
/// `<bind/>` is out.
const TO_AUTHENTICATED: &[Event] = &[OPEN, STARTTLS, Secured, OPEN, PLAIN, Success(None), OPEN];

fn settings() -> Settings {
    let caps = |domain: &str| {
        (domain.to_owned(), vec![element("c").ns("http://jabber.org/protocol/caps")])
    };
    let limits = |bytes| Limits { bytes, idle: std::time::Duration::from_secs(300) };
    Settings {
        domains: vec!["montague.lit".to_owned(), "capulet.lit".to_owned()],
        limits_before_auth: limits(10_000),
        limits: limits(262_144),
        caps: Arc::new(["montague.lit", "capulet.lit"].map(caps).into_iter().collect()),
        failures: 3,
        registration: false,
        invitations: false,
        resumption: true,
        bind_features: vec!["urn:xmpp:carbons:2", "urn:xmpp:sm:3"],
        features: FeatureCache::default(),
    }
}

fn offer() -> Offer {
    let exporter = Some([7; 32]);
    let facts = TlsFacts {
        version: Some(TlsVersion::V1_3),
        exporter,
        server_end_point: Some(vec![1; 32]),
        addresses: Vec::new(),
        fingerprint: None,
    };
    let config = AuthConfig {
        anonymous: false,
        plain: true,
        iterations: 4096,
        failures_per_connection: 3,
        slow_addresses: true,
        certificate_authorities: None,
        certificate_revocation_lists: None,
        devices: true,
        announce_devices: false,
        devices_age: std::time::Duration::ZERO,
        derivations: 1,
    };
    Offer::new(&config, Some(&facts))
}

fn begun() -> Negotiation {
    Negotiation::new(Arc::new(settings()), None)
}

fn after(events: &[Event]) -> Negotiation {
    let mut machine = begun();
    for event in events {
        feed(&mut machine, *event);
    }
    machine
}

fn header(attributes: &str) -> xml::Header {
    let common = "<stream:stream xmlns='jabber:client' \
                  xmlns:stream='http://etherx.jabber.org/streams'";
    xml::header(format!("{common} {attributes}>").as_bytes()).unwrap()
}

fn feed(machine: &mut Negotiation, event: Event) -> Actions {
    match event {
        Bound(Ok(jid)) => machine.bound(Ok(&Jid::parse(jid).unwrap())),
        Bound(Err(condition)) => machine.bound(Err(condition)),
        Challenge(data) => machine.sasl(Ok(Step::Challenge(data.to_vec()))),
        Element(text) => machine.element(&Frame::from_bytes(text).unwrap()),
        Ended => machine.ended(),
        Found => machine.mechanisms_found(offer()),
        Failed(condition) => machine.fail(condition.into()),
        Header(attributes) => machine.header(&header(attributes)),
        Refused(error) => machine.sasl(Err(error)),
        Resumed(handled) => {
            let jid = Jid::parse("romeo@montague.lit/orchard").unwrap();
            machine.resumed("p", handled.map(|h| (&jid, h)))
        }
        Token(token) => machine.token_issued(token.map(|token| element("token").text(token))),
        Upgraded(done) => machine.upgraded(done),
        Upgrades(needed) => {
            let upgrade = |hash: &ScramHash| Upgrade {
                hash: *hash,
                salt: b"salt".to_vec(),
                iterations: 5000,
            };
            machine.upgrades_found(needed.iter().map(upgrade).collect())
        }
        BoundInline => {
            let jid = Jid::parse("romeo@montague.lit/tag/x").unwrap();
            machine.bound_inline(Ok((&jid, vec![element("enabled").ns("urn:xmpp:sm:3")])))
        }
        Secured => machine.secured(offer()),
        Success(data) => {
            let user = BareJid::parse("romeo@montague.lit").unwrap();
            let data = data.map(<[u8]>::to_vec);
            machine.sasl(Ok(Step::Success { user, anonymous: false, data }))
        }
    }
}

/// Actions in short: our header is `[header]`, features are `[features]`.
fn words(actions: &Actions) -> Vec<String> {
    actions.iter().map(word).collect()
}

fn word(action: &Action) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    match action {
        Action::Authenticated => "authenticated".to_owned(),
        Action::BindInline(_) => "bind inline".to_owned(),
        Action::Begin(mechanism, _, Some(token)) => {
            format!("begin {mechanism} {} {}", token.installation, token.invalidate)
        }
        Action::FindMechanisms(user) => format!("find mechanisms of {user}"),
        Action::FindUpgrades(wanted) => {
            let names: Vec<_> = wanted.iter().map(|hash| upgrade_name(*hash)).collect();
            format!("find {}", names.join(" "))
        }
        Action::Upgrade(upgrade, salted) => {
            format!("{} {:?}", upgrade_name(upgrade.hash), text(salted))
        }
        Action::IssueToken(_) => "issue token".to_owned(),
        Action::Begin(mechanism, None, _) => format!("begin {mechanism}"),
        Action::Begin(mechanism, Some(data), None) => format!("begin {mechanism} {:?}", text(data)),
        Action::Bind(None) => "bind".to_owned(),
        Action::Bind(Some(resource)) => format!("bind {resource}"),
        Action::Close(None) => "close".to_owned(),
        Action::Close(Some(error)) => format!("close {}", error.condition.as_str()),
        Action::Continue(data) => format!("continue {:?}", text(data)),
        Action::Forget => "forget".to_owned(),
        Action::Register(iq) => format!("register {}", iq.head.id.as_deref().unwrap_or_default()),
        Action::Restart(stage) => format!("restart {stage:?}"),
        Action::Resume(id, h) => format!("resume {id} {h}"),
        Action::Run => "run".to_owned(),
        Action::Secure => "secure".to_owned(),
        Action::Open(_) => "[header]".to_owned(),
        Action::Features(_) => "[features]".to_owned(),
        Action::Send(node) => node.to_xml(),
    }
}

/// Each line: what has happened, what happens now, what is to be done.
type Table = &'static [(&'static [Event], Event, &'static [&'static str])];

fn check(table: Table) {
    for (before, event, wanted) in table {
        let found = words(&feed(&mut after(before), *event));
        assert_eq!(found, *wanted, "{event:?} after {before:?}");
    }
}

/// What a stage offers.
fn features(events: &[Event]) -> String {
    let (last, before) = events.split_last().unwrap();
    let actions = feed(&mut after(before), *last);
    let [Action::Open(_), Action::Features(features)] = &actions[..] else { panic!("{actions:?}") };
    features.to_xml()
}

#[test]
fn a_header_that_is_wrong_is_answered_before_the_error() {
    check(&[
        (&[], OPEN, &["[header]", "[features]"]),
        (&[], Header("to='capulet.lit' version='1.7'"), &["[header]", "[features]"]),
        (&[], Header("to='MONTAGUE.lit' version='1.0'"), &["[header]", "[features]"]),
        (&[], Header("version='1.0'"), &["[header]", "close improper-addressing"]),
        (&[], Header("to='elsewhere.lit' version='1.0'"), &["[header]", "close host-unknown"]),
        (&[], Header("to='@@' version='1.0'"), &["[header]", "close host-unknown"]),
        (&[], Header("to='a@montague.lit' version='1.0'"), &["[header]", "close host-unknown"]),
        (&[], Header("to='montague.lit'"), &["[header]", "close unsupported-version"]),
        (
            &[],
            Header("to='montague.lit' version='0.9'"),
            &["[header]", "close unsupported-version"],
        ),
        (
            &[],
            Header("to='montague.lit' version='one'"),
            &["[header]", "close unsupported-version"],
        ),
        (TO_RESTARTED, Header("version='1.0'"), &["[header]", "close improper-addressing"]),
    ]);
}

#[test]
fn a_header_of_another_namespace_is_refused() {
    let refused = [
        (
            "<s:stream xmlns='jabber:server' xmlns:s='http://etherx.jabber.org/streams'",
            "invalid-namespace",
        ),
        ("<s:stream xmlns='jabber:client' xmlns:s='urn:example'", "invalid-namespace"),
        ("<stream xmlns='jabber:client'", "invalid-namespace"),
        ("<s:flow xmlns='jabber:client' xmlns:s='http://etherx.jabber.org/streams'", "bad-format"),
    ];
    for (tag, condition) in refused {
        let text = format!("{tag} to='montague.lit' version='1.0'>");
        let actions = begun().header(&xml::header(text.as_bytes()).unwrap());
        assert_eq!(words(&actions), ["[header]".to_owned(), format!("close {condition}")], "{tag}");
    }
    // Each stanza declares its own namespace, or a prefix stands for it (RFC 6120 §4.8.2).
    for tag in [
        "<stream xmlns='http://etherx.jabber.org/streams'",
        "<s:stream xmlns:s='http://etherx.jabber.org/streams' xmlns:c='jabber:client'",
    ] {
        let text = format!("{tag} to='montague.lit' version='1.0'>");
        let actions = begun().header(&xml::header(text.as_bytes()).unwrap());
        assert_eq!(words(&actions), ["[header]", "[features]"], "{tag}");
    }
}

#[test]
fn our_header_comes_from_the_domain_that_was_asked_for() {
    let cases = [
        ("to='capulet.lit' version='1.0' from='juliet@capulet.lit'", "capulet.lit", true),
        ("to='montague.lit' version='1.0'", "montague.lit", false),
        ("to='montague.lit' version='1.0' from='@@'", "montague.lit", false),
        // RFC 6120 §4.9.3.6: nothing is known of that one, so the first of ours answers.
        ("to='elsewhere.lit' version='1.0'", "montague.lit", false),
    ];
    for (attributes, from, has_to) in cases {
        let actions = begun().header(&header(attributes));
        let Some(Action::Open(sent)) = actions.first() else { panic!("{actions:?}") };
        let mut written = Vec::new();
        Framing::Tcp.open(sent, &mut written);
        let ours = xml::header(&written["<?xml version='1.0'?>".len()..]).unwrap();
        assert_eq!(ours.from.as_deref(), Some(from), "{attributes}");
        assert_eq!(ours.to.as_deref(), has_to.then_some("juliet@capulet.lit"), "{attributes}");
        assert_eq!(ours.version.as_deref(), Some("1.0"));
        assert!(ours.id.is_some_and(|id| id.len() >= 22), "128 bits");
    }
}

#[test]
fn each_stage_offers_what_may_be_done_there_and_nothing_else() {
    assert_eq!(
        features(TO_PLAIN),
        "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>\
         </stream:features>"
    );
    let secured = features(TO_SECURED);
    for offered in ["<mechanism>SCRAM-SHA-256-PLUS</mechanism>", "tls-exporter", "10000"] {
        assert!(secured.contains(offered), "{offered}: {secured}");
    }
    for other in ["<starttls", ns::BIND, "<session", "<required", "compress"] {
        assert!(!secured.contains(other), "{other}: {secured}");
    }
    let authenticated = features(TO_AUTHENTICATED);
    for offered in ["<bind", "<session", "urn:xmpp:features:rosterver", ":sm:3", "262144", "caps"] {
        assert!(authenticated.contains(offered), "{offered}: {authenticated}");
    }
    for other in ["<starttls", "<mechanism", "compress"] {
        assert!(!authenticated.contains(other), "{other}: {authenticated}");
    }
}

#[test]
fn under_tls_from_the_start_mechanisms_are_offered_at_once() {
    let mut machine = Negotiation::new(Arc::new(settings()), Some(offer()));
    let actions = feed(&mut machine, OPEN);
    let [Action::Open(_), Action::Features(features)] = &actions[..] else { panic!("{actions:?}") };
    assert!(features.to_xml().contains("<mechanism>"));
    assert_eq!(words(&feed(&mut machine, PLAIN)), ["begin PLAIN \"\\0a\\0b\""]);
}

#[test]
fn before_tls_there_is_nothing_but_tls() {
    check(&[
        (TO_PLAIN, STARTTLS, &["<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "secure"]),
        (TO_PLAIN, PLAIN, &["forget", ENCRYPTION]),
        (
            &[OPEN, PLAIN],
            STARTTLS,
            &["<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "secure"],
        ),
        (&[OPEN, PLAIN, PLAIN], PLAIN, &["forget", ENCRYPTION, "close policy-violation"]),
        (TO_PLAIN, RESPONSE, &["close not-authorized"]),
        (TO_PLAIN, BIND, &["close not-authorized"]),
        (TO_PLAIN, MESSAGE, &["close not-authorized"]),
        (TO_PLAIN, RESUME, &[TOO_EARLY]),
        (TO_PLAIN, UNKNOWN, &["close unsupported-stanza-type"]),
        (TO_PLAIN, OPEN, &["close bad-format"]),
        (TO_PLAIN, Ended, &["close"]),
        // Pipelined behind <starttls/>, when the driver should have thrown it away.
        (&[OPEN, STARTTLS], STARTTLS, &["close unsupported-stanza-type"]),
        (&[OPEN, STARTTLS], PLAIN, &["close unsupported-stanza-type"]),
        (&[OPEN, STARTTLS], MESSAGE, &["close not-authorized"]),
        (&[OPEN, STARTTLS], OPEN, &["close bad-format"]),
        (&[OPEN, STARTTLS], Secured, &["restart Secured"]),
    ]);
}

#[test]
fn under_tls_there_is_nothing_but_a_login() {
    check(&[
        (TO_SECURED, STARTTLS, &["close unsupported-stanza-type"]),
        (TO_SECURED, RESPONSE, &["close unsupported-stanza-type"]),
        (TO_SECURED, ABORT, &["close unsupported-stanza-type"]),
        (TO_SECURED, BIND, &["close not-authorized"]),
        (TO_SECURED, MESSAGE, &["close not-authorized"]),
        (TO_SECURED, Element("<presence/>"), &["close not-authorized"]),
        (TO_SECURED, RESUME, &[TOO_EARLY]),
        (TO_SECURED, UNKNOWN, &["close unsupported-stanza-type"]),
        (TO_SECURED, OPEN, &["close bad-format"]),
        (TO_CHALLENGED, PLAIN, &["close unsupported-stanza-type"]),
        (TO_CHALLENGED, BIND, &["close not-authorized"]),
        (TO_CHALLENGED, RESUME, &[TOO_EARLY]),
        (TO_CHALLENGED, Ended, &["close"]),
    ]);
}

#[test]
fn strangers_ask_for_accounts_under_tls_only_and_where_they_may() {
    let get = Element("<iq type='get' id='1'><query xmlns='jabber:iq:register'/></iq>");
    let after = |open, events: &[Event]| {
        let registration = open;
        let settings = Settings { registration, ..settings() };
        let mut machine = Negotiation::new(Arc::new(settings), None);
        let actions = events.iter().map(|event| words(&feed(&mut machine, *event)));
        actions.last().unwrap_or_default()
    };
    let refused = ["close not-authorized"];
    let secured = [OPEN, STARTTLS, Secured, OPEN];
    let and = |event| [&secured[..], &[event]].concat();
    assert_eq!(after(true, &and(get)), ["register 1"]);
    assert_eq!(after(true, &[&and(get)[..], &[PLAIN]].concat()).len(), 1, "and then a login");
    assert_eq!(after(false, &and(get)), refused);
    assert_eq!(after(true, &[OPEN, get]), refused);
    let ping = Element("<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>");
    assert_eq!(after(true, &and(ping)), refused);
    let result = Element("<iq type='result' id='1'><query xmlns='jabber:iq:register'/></iq>");
    assert_eq!(after(true, &and(result)), refused);
}

#[test]
fn an_error_is_told_on_an_open_stream() {
    const TIMEOUT: Event = Failed(StreamCondition::ConnectionTimeout);
    // RFC 6120 §4.9.1.1: a header first, if ours has not been sent on this very stream.
    check(&[
        (&[], TIMEOUT, &["[header]", "close connection-timeout"]),
        (TO_PLAIN, TIMEOUT, &["close connection-timeout"]),
        (&[OPEN, STARTTLS, Secured], TIMEOUT, &["[header]", "close connection-timeout"]),
        (TO_SECURED, TIMEOUT, &["close connection-timeout"]),
        (TO_RESTARTED, TIMEOUT, &["[header]", "close connection-timeout"]),
        (TO_AUTHENTICATED, TIMEOUT, &["close connection-timeout"]),
        (&[TIMEOUT], TIMEOUT, &["close connection-timeout"]),
    ]);
}

#[test]
fn a_report_that_was_not_asked_for_ends_the_stream() {
    for before in [&[], TO_PLAIN, TO_SECURED, TO_CHALLENGED, TO_RESTARTED, TO_AUTHENTICATED] {
        let jid = "romeo@montague.lit/orchard";
        for report in [Secured, Success(None), Bound(Ok(jid)), Resumed(Ok(0)), Challenge(b"r=x")] {
            let actions = feed(&mut after(before), report);
            let found = words(&actions);
            assert_eq!(
                found.last().unwrap(),
                "close internal-server-error",
                "{report:?} {before:?}"
            );
            assert!(found.iter().all(|w| w == "[header]" || w.starts_with("close")), "{found:?}");
        }
    }
}
