//! Logins by XEP-0388, with what a client wants at once.

use super::*;

macro_rules! authenticate {
    ($mechanism:literal, $inside:literal) => {
        Element(concat!(
            "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='",
            $mechanism,
            "'>",
            $inside,
            "</authenticate>"
        ))
    };
}

const FAILURE: &str = "<failure xmlns='urn:xmpp:sasl:2'>\
    <not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/></failure>";
pub(super) const INITIAL: Event =
    authenticate!("SCRAM-SHA-256", "<initial-response>biws</initial-response>");
pub(super) const BOTH: Event = authenticate!(
    "PLAIN",
    "<initial-response>AGEAYg==</initial-response>\
     <resume xmlns='urn:xmpp:sm:3' previd='p' h='7'/>\
     <bind xmlns='urn:xmpp:bind:0'><tag>A</tag></bind>"
);
/// A header with the address of a user.
pub(super) const NAMED: Event =
    Header("from='juliet@montague.lit' to='montague.lit' version='1.0'");
const RESUME_ONLY: Event =
    authenticate!("PLAIN", "<resume xmlns='urn:xmpp:sm:3' previd='p' h='7'/>");
const BIND_ONLY: Event = authenticate!("PLAIN", "<bind xmlns='urn:xmpp:bind:0'/>");

/// What is done after each login.
const LOGGED_IN: &[&str] = &["forget", "authenticated", "issue token"];

/// The events up to a login with this request.
fn with(events: &[Event]) -> Vec<Event> {
    [TO_SECURED, events].concat()
}

fn expect(before: &[Event], event: Event, wanted: &[&str]) {
    let found = words(&feed(&mut after(&with(before)), event));
    assert_eq!(found, wanted, "{event:?} after {before:?}");
}

#[test]
fn both_profiles_are_offered_under_tls_only() {
    let offered = features(TO_SECURED);
    let wanted =
        "<authentication xmlns='urn:xmpp:sasl:2'><mechanism>SCRAM-SHA-512-PLUS</mechanism>";
    assert!(offered.contains(wanted), "{offered}");
    let inline = "<inline><bind xmlns='urn:xmpp:bind:0'><inline>\
        <feature var='urn:xmpp:carbons:2'/><feature var='urn:xmpp:sm:3'/></inline></bind>\
        <fast xmlns='urn:xmpp:fast:0'><mechanism>HT-SHA-256-EXPR</mechanism>\
        <mechanism>HT-SHA-256-ENDP</mechanism><mechanism>HT-SHA-256-NONE</mechanism></fast>\
        <sm xmlns='urn:xmpp:sm:3'/></inline>\
        <upgrade xmlns='urn:xmpp:sasl:upgrade:0'>UPGR-SCRAM-SHA-256</upgrade>\
        <upgrade xmlns='urn:xmpp:sasl:upgrade:0'>UPGR-SCRAM-SHA-512</upgrade></authentication>";
    assert!(offered.contains(inline), "{offered}");
    assert!(!features(TO_PLAIN).contains("urn:xmpp:sasl:2"));
    check(&[(TO_PLAIN, INITIAL, &["close not-authorized"])]);
}

#[test]
fn an_exchange_has_the_elements_of_its_profile() {
    expect(&[], INITIAL, &["begin SCRAM-SHA-256 \"n,,\""]);
    expect(&[], authenticate!("X", ""), &["begin X"]);
    expect(&[], authenticate!("X", "<initial-response/>"), &["begin X \"\""]);
    expect(&[INITIAL], Challenge(b"r=x"), &["<challenge xmlns='urn:xmpp:sasl:2'>cj14</challenge>"]);
    let challenged = [INITIAL, Challenge(b"r=x")];
    expect(
        &challenged,
        Element("<response xmlns='urn:xmpp:sasl:2'>Yz1iaXdz</response>"),
        &["continue \"c=biws\""],
    );
    // Anything else ends the stream (XEP-0388 §2.4).
    expect(&challenged, RESPONSE, &["close unsupported-stanza-type"]);
    expect(&challenged, INITIAL, &["close unsupported-stanza-type"]);
    expect(&challenged, MESSAGE, &["close not-authorized"]);
}

#[test]
fn a_failed_login_leaves_the_stream_as_it_was() {
    expect(&[INITIAL], Refused(SaslError::NotAuthorized), &["forget", FAILURE]);
    let aborted = FAILURE.replace("not-authorized", "aborted");
    let abort = Element("<abort xmlns='urn:xmpp:sasl:2'/>");
    expect(&[INITIAL, Challenge(b"r=x")], abort, &["forget", &aborted]);
    let encoding = FAILURE.replace("not-authorized", "incorrect-encoding");
    let bad = authenticate!("X", "<initial-response>%</initial-response>");
    expect(&[], bad, &["forget", &encoding]);
    let mechanism = FAILURE.replace("not-authorized", "invalid-mechanism");
    expect(&[], Element("<authenticate xmlns='urn:xmpp:sasl:2'/>"), &["forget", &mechanism]);
    // Then either profile may be tried. Nothing of the failed request is done.
    let failed = [BOTH, Refused(SaslError::NotAuthorized)];
    expect(&failed, INITIAL, &["begin SCRAM-SHA-256 \"n,,\""]);
    expect(&failed, PLAIN, &["begin PLAIN \"\\0a\\0b\""]);
    let classic = [BOTH, Refused(SaslError::NotAuthorized), PLAIN];
    let success = "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";
    expect(&classic, Success(None), &["forget", success, "restart Authenticated"]);
}

#[test]
fn after_success_come_features_on_the_same_stream() {
    let success = "<success xmlns='urn:xmpp:sasl:2'>\
        <additional-data>dj0x</additional-data>\
        <authorization-identifier>romeo@montague.lit</authorization-identifier></success>";
    expect(&[INITIAL], Success(Some(b"v=1")), LOGGED_IN);
    expect(&[INITIAL, Success(Some(b"v=1"))], Token(None), &[success, "[features]"]);
    expect(&[INITIAL, Success(None), Token(None)], BIND, &["bind orchard"]);
    expect(&[INITIAL, Success(None), Token(None)], RESUME, &["resume p 7"]);
    // Nobody logs in twice (XEP-0388 §4).
    expect(&[INITIAL, Success(None), Token(None)], INITIAL, &["close unsupported-stanza-type"]);
}

#[test]
fn a_session_is_resumed_or_else_bound() {
    expect(&[BOTH], Success(None), LOGGED_IN);
    expect(&[BOTH, Success(None)], Token(None), &["resume p 7"]);
    let resumed = "<success xmlns='urn:xmpp:sasl:2'>\
        <authorization-identifier>romeo@montague.lit/orchard</authorization-identifier>\
        <resumed xmlns='urn:xmpp:sm:3' previd='p' h='5'/></success>";
    expect(&[BOTH, Success(None), Token(None)], Resumed(Ok(5)), &[resumed, "run"]);
    expect(&[BOTH, Success(None), Token(None)], Resumed(Err(Some(4))), &["bind inline"]);
    let bound = "<success xmlns='urn:xmpp:sasl:2'>\
        <authorization-identifier>romeo@montague.lit/tag/x</authorization-identifier>\
        <failed xmlns='urn:xmpp:sm:3' h='4'>\
        <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>\
        <bound xmlns='urn:xmpp:bind:0'><enabled xmlns='urn:xmpp:sm:3'/></bound></success>";
    let failed = [BOTH, Success(None), Token(None), Resumed(Err(Some(4)))];
    expect(&failed, BoundInline, &[bound, "[features]", "run"]);
    expect(&[BIND_ONLY, Success(None)], Token(None), &["bind inline"]);
    // Without a request to bind, the client may bind in the old way.
    let failed = [RESUME_ONLY, Success(None), Token(None)];
    let success = "<success xmlns='urn:xmpp:sasl:2'>\
        <authorization-identifier>romeo@montague.lit</authorization-identifier>\
        <failed xmlns='urn:xmpp:sm:3'>\
        <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed></success>";
    expect(&failed, Resumed(Err(None)), &[success, "[features]"]);
    expect(&[RESUME_ONLY, Success(None), Token(None), Resumed(Err(None))], BIND, &["bind orchard"]);
    let without_h = authenticate!("PLAIN", "<resume xmlns='urn:xmpp:sm:3' previd='p'/>");
    let success = success.replace("item-not-found", "bad-request");
    expect(&[without_h, Success(None)], Token(None), &[&success, "[features]"]);
}

#[test]
fn the_address_in_the_header_is_that_of_the_login() {
    const SECURED: &[Event] = &[OPEN, STARTTLS, Secured];
    let other = [SECURED, &[NAMED, Found, BIND_ONLY]].concat();
    let refused = FAILURE.replace("not-authorized", "invalid-authzid");
    assert_eq!(words(&feed(&mut after(&other), Success(None))), ["forget", &refused]);
    let again = [&other[..], &[Success(None), BIND_ONLY]].concat();
    assert_eq!(words(&feed(&mut after(&again), Success(None))), ["forget", &refused]);
    let same = "from='romeo@montague.lit/a' to='montague.lit' version='1.0'";
    let same = [SECURED, &[Header(same), Found, BIND_ONLY]].concat();
    assert_eq!(words(&feed(&mut after(&same), Success(None))), LOGGED_IN);
    // RFC 6120 has no such rule.
    let classic = [SECURED, &[NAMED, Found, PLAIN]].concat();
    assert_eq!(words(&feed(&mut after(&classic), Success(None))).len(), 3);
    let elsewhere = Header("from='romeo@capulet.lit' to='montague.lit' version='1.0'");
    let found = words(&feed(&mut after(SECURED), elsewhere));
    assert_eq!(found, ["[header]", "close invalid-from"]);
}

#[test]
fn what_is_offered_depends_on_the_account_in_the_header() {
    const SECURED: &[Event] = &[OPEN, STARTTLS, Secured];
    let wanted = ["[header]", "find mechanisms of juliet@montague.lit"];
    assert_eq!(words(&feed(&mut after(SECURED), NAMED)), wanted);
    let named = [SECURED, &[NAMED]].concat();
    assert_eq!(words(&feed(&mut after(&named), Found)), ["[features]"]);
    // A domain as `from` names no account.
    let domain = Header("from='montague.lit' to='montague.lit' version='1.0'");
    assert_eq!(words(&feed(&mut after(SECURED), domain)), ["[header]", "[features]"]);
    // In the clear nothing is looked up.
    assert_eq!(words(&feed(&mut after(&[]), NAMED)), ["[header]", "[features]"]);
}

const AGENT: &str = "d4565fa7-4d72-4749-b3d3-740edbf87770";

#[test]
fn a_token_is_of_the_installation_and_goes_with_the_success() {
    let by_token = authenticate!(
        "HT-SHA-256-NONE",
        "<initial-response>AGE=</initial-response>\
         <user-agent id='d4565fa7-4d72-4749-b3d3-740edbf87770'/>\
         <fast xmlns='urn:xmpp:fast:0' count='3' invalidate='true'/>"
    );
    expect(&[], by_token, &[&format!("begin HT-SHA-256-NONE {AGENT} true")]);
    // Nobody knows whose token that is.
    let of_nobody = authenticate!(
        "HT-SHA-256-NONE",
        "<initial-response>AGE=</initial-response><fast xmlns='urn:xmpp:fast:0'/>"
    );
    expect(&[], of_nobody, &["begin HT-SHA-256-NONE \"\\0a\""]);
    let success = "<success xmlns='urn:xmpp:sasl:2'>\
        <authorization-identifier>romeo@montague.lit</authorization-identifier>\
        <token>t</token></success>";
    expect(&[by_token, Success(None)], Token(Some("t")), &[success, "[features]"]);
    expect(&[by_token], Token(Some("t")), &["close internal-server-error"]);
}

#[test]
fn features_after_a_bound_session_are_those_that_are_left() {
    let features = |request: Event| {
        let events = with(&[request, Success(None), Token(None)]);
        let actions = feed(&mut after(&events), BoundInline);
        let [_, Action::Features(features), _] = &actions[..] else { panic!("{actions:?}") };
        features.to_xml()
    };
    let managed = authenticate!(
        "PLAIN",
        "<bind xmlns='urn:xmpp:bind:0'><enable xmlns='urn:xmpp:sm:3'/></bind>"
    );
    for (request, has_sm) in [(BIND_ONLY, true), (managed, false)] {
        let found = features(request);
        assert!(!found.contains(ns::BIND) && !found.contains(ns::SESSION), "{found}");
        assert_eq!(found.contains(ns::SM), has_sm, "{found}");
        assert!(found.contains("rosterver") && found.contains(ns::CSI), "{found}");
    }
}

#[test]
fn a_client_that_expects_other_features_is_told_and_may_try_again() {
    let offered = features(TO_SECURED);
    let (_, version) = offered
        .split_once("<config-version xmlns='urn:xmpp:iap:0' scheme='opaque' value='")
        .unwrap();
    let version = version.split_once('\'').unwrap().0;
    assert_eq!(version.len(), 16, "{offered}");
    let mismatch = "<failure xmlns='urn:xmpp:sasl:2'>\
        <aborted xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>\
        <config-version-mismatch xmlns='urn:xmpp:iap:0'/></failure>";
    let mut machine = after(TO_SECURED);
    let mut try_with = |attributes: &str| {
        let request = format!(
            "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'>\
             <config-version xmlns='urn:xmpp:iap:0' {attributes}/></authenticate>"
        );
        words(&machine.element(&Frame::from_bytes(request).unwrap()))
    };
    let lower = version.to_lowercase();
    // More than may fail (`failures`): this is no failure.
    for wrong in [
        String::new(),
        "value=''".to_owned(),
        "value='b2xk' scheme='opaque'".to_owned(),
        format!("value='{version} '"),
        format!("value='{lower}x'"),
    ] {
        assert_eq!(try_with(&wrong), [mismatch], "{wrong}");
    }
    assert_eq!(try_with(&format!("value='{version}' scheme='opaque'")), ["begin PLAIN"]);
    let mut machine = after(TO_SECURED);
    let other_scheme = format!(
        "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'>\
         <config-version xmlns='urn:xmpp:iap:0' scheme='hash' value='{version}'/></authenticate>"
    );
    let found = words(&machine.element(&Frame::from_bytes(other_scheme).unwrap()));
    assert_eq!(found, ["begin PLAIN"]);
    let without_scheme = Element("<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'/>");
    expect(&[], without_scheme, &["begin PLAIN"]);
}

#[test]
fn the_version_of_features_changes_with_them_and_only_then() {
    let version = |change: fn(&mut Settings), offer: Offer| {
        let mut settings = settings();
        change(&mut settings);
        let mut machine = Negotiation::new(Arc::new(settings), Some(offer));
        machine.header(&header("to='montague.lit' version='1.0'"));
        machine.version
    };
    let usual = version(|_| {}, offer());
    assert_eq!(version(|_| {}, offer()), usual);
    assert_eq!(version(|settings| settings.failures = 9, offer()), usual);
    let changes: [fn(&mut Settings); 4] = [
        |settings| settings.registration = true,
        |settings| settings.resumption = false,
        |settings| settings.limits_before_auth.bytes = 1,
        |settings| settings.bind_features.clear(),
    ];
    for change in changes {
        assert_ne!(version(change, offer()), usual);
    }
    let config = crate::config::Config::default_for("montague.lit", "x".into()).auth;
    let tls12 = TlsFacts { version: Some(TlsVersion::V1_2), ..TlsFacts::default() };
    assert_ne!(version(|_| {}, Offer::new(&config, Some(&tls12))), usual);
}

#[test]
fn features_are_made_once_for_each_offer_and_each_domain() {
    let settings = Arc::new(settings());
    let offered = |domain: &str, offer: Offer| {
        let mut machine = Negotiation::new(Arc::clone(&settings), Some(offer));
        let actions = machine.header(&header(&format!("to='{domain}' version='1.0'")));
        let [_, Action::Features(features)] = &actions[..] else { panic!("{actions:?}") };
        (Arc::clone(features), machine.version.clone())
    };
    let (first, version) = offered("montague.lit", offer());
    // Before the login, a domain has nothing of its own.
    let (again, same) = offered("capulet.lit", offer());
    assert!(Arc::ptr_eq(&first, &again));
    assert_eq!(version, same);
    let config = crate::config::Config::default_for("montague.lit", "x".into()).auth;
    let tls12 = TlsFacts { version: Some(TlsVersion::V1_2), ..TlsFacts::default() };
    let (other, of_other) = offered("montague.lit", Offer::new(&config, Some(&tls12)));
    assert_ne!(first.to_xml(), other.to_xml());
    assert_ne!(version, of_other);
    let after_login = |domain: &str, session| {
        let mut machine = Negotiation::new(Arc::clone(&settings), Some(offer()));
        machine.header(&header(&format!("to='{domain}' version='1.0'")));
        let Action::Features(features) = machine.features(session) else { panic!() };
        features
    };
    let sessions = [SessionState::None, SessionState::Unmanaged, SessionState::Managed];
    let domains = ["montague.lit", "capulet.lit"].into_iter();
    let all: Vec<_> =
        domains.flat_map(|domain| sessions.map(|session| (domain, session))).collect();
    let made: Vec<_> = all.iter().map(|(domain, session)| after_login(domain, *session)).collect();
    for (n, (domain, session)) in all.into_iter().enumerate() {
        let again = after_login(domain, session);
        let equal = made.iter().map(|made| Arc::ptr_eq(made, &again));
        assert!(equal.enumerate().all(|(m, is_same)| is_same == (m == n)), "{domain} {session:?}");
    }
}

#[test]
fn settings_are_made_once_for_each_configuration() {
    let cache = SettingsCache::default();
    let config = || Arc::new(crate::config::Config::default_for("montague.lit", "x".into()));
    let (first, second) = (config(), config());
    let made = cache.of(&first, settings);
    assert!(Arc::ptr_eq(&made, &cache.of(&first, || panic!("made twice"))));
    let reloaded = cache.of(&second, settings);
    assert!(!Arc::ptr_eq(&made, &reloaded), "features of the old configuration");
    assert!(Arc::ptr_eq(&reloaded, &cache.of(&second, || panic!("made twice"))));
}
