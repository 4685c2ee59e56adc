//! Binding and resuming a session (RFC 6120 §7, XEP-0198 §5).

use super::*;

#[test]
fn before_there_is_a_session_nothing_is_done_but_binding_one() {
    check(&[
        (TO_AUTHENTICATED, BIND, &["bind orchard"]),
        (
            TO_AUTHENTICATED,
            Element("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"),
            &["bind"],
        ),
        (
            TO_AUTHENTICATED,
            Element(
                "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource/></bind></iq>",
            ),
            &["bind"],
        ),
        (
            TO_AUTHENTICATED,
            Element("<iq type='get' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"),
            &["close not-authorized"],
        ),
        (
            TO_AUTHENTICATED,
            Element("<iq type='set' id='b'><query xmlns='jabber:iq:roster'/></iq>"),
            &["close not-authorized"],
        ),
        (TO_AUTHENTICATED, Element("<iq type='result' id='b'/>"), &["close not-authorized"]),
        (TO_AUTHENTICATED, MESSAGE, &["close not-authorized"]),
        (TO_AUTHENTICATED, Element("<presence/>"), &["close not-authorized"]),
        (TO_AUTHENTICATED, Element("<message to='@@'/>"), &["close not-authorized"]),
        (TO_AUTHENTICATED, UNKNOWN, &["close unsupported-stanza-type"]),
        (
            &[OPEN, STARTTLS, Secured, OPEN, PLAIN, Success(None), OPEN, BIND],
            BIND,
            &["close not-authorized"],
        ),
    ]);
}

#[test]
fn a_request_with_a_fault_is_answered_and_an_answer_is_not() {
    let answer = |text| {
        let actions = feed(&mut after(TO_AUTHENTICATED), Element(text));
        words(&actions).join(" ")
    };
    let found = answer("<iq type='set'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
    assert!(
        found.starts_with("<iq type='error' id=''><error") && found.contains("<bad-request"),
        "{found}"
    );
    let found =
        answer("<iq type='sit' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
    assert!(found.starts_with("<iq type='error' id='b'>"), "{found}");
    let found = answer("<iq type='set' id='b'/>");
    assert!(found.starts_with("<iq type='error' id='b'>"), "{found}");
    assert_eq!(answer("<iq type='error'/>"), "close not-authorized");
    assert_eq!(answer("<iq type='result' id='b'><x/><y/></iq>"), "close not-authorized");
    assert_eq!(answer("<iq type='error' id='b' to='@@'/>"), "close not-authorized");
}

#[test]
fn a_bound_session_runs_and_a_failed_one_can_be_tried_again() {
    const BINDING: &[Event] = &[OPEN, STARTTLS, Secured, OPEN, PLAIN, Success(None), OPEN, BIND];
    check(&[(
        BINDING,
        Bound(Ok("romeo@montague.lit/orchard")),
        &[
            "<iq type='result' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
             <jid>romeo@montague.lit/orchard</jid></bind></iq>",
            "run",
        ],
    )]);
    let mut machine = after(BINDING);
    let found = words(&feed(&mut machine, Bound(Err(Condition::BadRequest))));
    assert!(found[0].starts_with("<iq type='error' id='b'><error"), "{found:?}");
    assert_eq!(found.len(), 1);
    assert_eq!(words(&feed(&mut machine, BIND)), ["bind orchard"]);
}

#[test]
fn a_session_is_resumed_instead_of_bound() {
    const RESUMING: &[Event] = &[OPEN, STARTTLS, Secured, OPEN, PLAIN, Success(None), OPEN, RESUME];
    check(&[
        (TO_AUTHENTICATED, RESUME, &["resume p 7"]),
        (
            TO_AUTHENTICATED,
            Element("<enable xmlns='urn:xmpp:sm:3'/>"),
            &["<failed xmlns='urn:xmpp:sm:3'>\
               <unexpected-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>"],
        ),
        (
            TO_AUTHENTICATED,
            Element("<resume xmlns='urn:xmpp:sm:3' previd='p' h='-1'/>"),
            &["<failed xmlns='urn:xmpp:sm:3'>\
               <bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>"],
        ),
        (RESUMING, Resumed(Ok(3)), &["<resumed xmlns='urn:xmpp:sm:3' previd='p' h='3'/>", "run"]),
        (
            RESUMING,
            Resumed(Err(Some(9))),
            &["<failed xmlns='urn:xmpp:sm:3' h='9'>\
               <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>"],
        ),
    ]);
    let mut machine = after(RESUMING);
    feed(&mut machine, Resumed(Err(None)));
    assert_eq!(words(&feed(&mut machine, BIND)), ["bind orchard"]);
}

#[test]
fn where_nobody_can_resume_that_is_said_but_not_of_a_session_that_is_known() {
    for (h, condition) in [(None, "feature-not-implemented"), (Some(9), "item-not-found")] {
        let settings = Settings { resumption: false, ..settings() };
        let mut machine = Negotiation::new(Arc::new(settings), None);
        TO_AUTHENTICATED.iter().for_each(|event| drop(feed(&mut machine, *event)));
        feed(&mut machine, RESUME);
        let said = words(&feed(&mut machine, Resumed(Err(h)))).concat();
        assert!(said.contains(condition), "{said}");
    }
}
