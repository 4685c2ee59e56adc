//! Exchanges of a login (RFC 6120 §6): what they send, how they end, what may follow.

use super::*;

#[test]
fn payloads_of_a_login_are_base64_or_nothing() {
    check(&[
        (TO_SECURED, PLAIN, &["begin PLAIN \"\\0a\\0b\""]),
        (
            TO_SECURED,
            Element("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='X'/>"),
            &["begin X"],
        ),
        (
            TO_SECURED,
            Element("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='X'>=</auth>"),
            &["begin X \"\""],
        ),
        (
            TO_SECURED,
            Element("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='X'>A GE=</auth>"),
            ENCODING,
        ),
        (
            TO_SECURED,
            Element("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='X'>YQ</auth>"),
            ENCODING,
        ),
        (
            TO_SECURED,
            Element("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='X'>====</auth>"),
            ENCODING,
        ),
        (
            TO_SECURED,
            Element("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>AGEAYg==</auth>"),
            &[
                "forget",
                "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><invalid-mechanism/></failure>",
            ],
        ),
        (TO_CHALLENGED, RESPONSE, &["continue \"c=biws\""]),
        (
            TO_CHALLENGED,
            Element("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>=</response>"),
            &["continue \"\""],
        ),
        (
            TO_CHALLENGED,
            Element("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"),
            &["continue \"\""],
        ),
        (
            TO_CHALLENGED,
            Element("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>%</response>"),
            ENCODING,
        ),
    ]);
}

const ENCODING: &[&str] = &[
    "forget",
    "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><incorrect-encoding/></failure>",
];

#[test]
fn an_exchange_ends_in_success_failure_or_abortion() {
    const EXCHANGE: &[Event] = &[OPEN, STARTTLS, Secured, OPEN, SCRAM];
    check(&[
        (
            EXCHANGE,
            Challenge(b"r=x"),
            &["<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>cj14</challenge>"],
        ),
        (EXCHANGE, Challenge(b""), &["<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"]),
        (
            EXCHANGE,
            Refused(SaslError::NotAuthorized),
            &[
                "forget",
                "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>",
            ],
        ),
        (
            EXCHANGE,
            Success(None),
            &[
                "forget",
                "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
                "restart Authenticated",
            ],
        ),
        (
            EXCHANGE,
            Success(Some(b"v=y")),
            &[
                "forget",
                "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>dj15</success>",
                "restart Authenticated",
            ],
        ),
        (
            TO_CHALLENGED,
            ABORT,
            &["forget", "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><aborted/></failure>"],
        ),
        // The client may try again on the same stream (RFC 6120 §6.4.5).
        (
            &[OPEN, STARTTLS, Secured, OPEN, PLAIN, Refused(SaslError::NotAuthorized)],
            PLAIN,
            &["begin PLAIN \"\\0a\\0b\""],
        ),
        (&[OPEN, STARTTLS, Secured, OPEN, PLAIN], PLAIN, &["close unsupported-stanza-type"]),
        (&[OPEN, STARTTLS, Secured, OPEN, PLAIN], BIND, &["close not-authorized"]),
    ]);
}

#[test]
fn the_last_failure_ends_the_stream() {
    for (event, error) in [(PLAIN, SaslError::NotAuthorized), (SCRAM, SaslError::Aborted)] {
        let mut machine = after(TO_SECURED);
        for attempt in 1..=3 {
            feed(&mut machine, event);
            let found = words(&feed(&mut machine, Refused(error)));
            assert_eq!(found.len(), if attempt == 3 { 3 } else { 2 }, "{attempt}: {found:?}");
            assert_eq!(
                found.get(2).map(String::as_str),
                (attempt == 3).then_some("close policy-violation")
            );
        }
        assert_eq!(words(&feed(&mut machine, event)), ["close unsupported-stanza-type"]);
    }
}

/// Old libraries try each mechanism with a binding that is not offered; they come to one that works.
#[test]
fn a_login_that_could_not_begin_for_its_binding_is_no_failure() {
    let mut machine = after(TO_SECURED);
    for error in [SaslError::BindingUnknown, SaslError::Downgrade].repeat(5) {
        feed(&mut machine, SCRAM);
        let found = words(&feed(&mut machine, Refused(error)));
        assert_eq!(found.len(), 2, "{found:?}");
    }
    assert_eq!(words(&feed(&mut machine, PLAIN)), ["begin PLAIN \"\\0a\\0b\""]);
}

#[test]
fn a_second_login_needs_a_second_connection() {
    check(&[
        (TO_AUTHENTICATED, PLAIN, &["close unsupported-stanza-type"]),
        (TO_AUTHENTICATED, RESPONSE, &["close unsupported-stanza-type"]),
        (TO_AUTHENTICATED, STARTTLS, &["close unsupported-stanza-type"]),
        (TO_AUTHENTICATED, OPEN, &["close bad-format"]),
    ]);
}

#[test]
fn the_domain_may_change_until_the_login_and_not_after() {
    const OTHER: Event = Header("to='capulet.lit' version='1.0'");
    check(&[
        (&[OPEN, STARTTLS, Secured], OTHER, &["[header]", "[features]"]),
        (TO_RESTARTED, OTHER, &["[header]", "close not-authorized"]),
        (TO_RESTARTED, OPEN, &["[header]", "[features]"]),
    ]);
    let mut machine = after(&[OPEN, STARTTLS, Secured, OTHER]);
    assert_eq!(machine.domain(), "capulet.lit");
    feed(&mut machine, Ended);
    assert_eq!(after(TO_AUTHENTICATED).user().unwrap().as_str(), "romeo@montague.lit");
    assert_eq!(after(TO_CHALLENGED).user(), None);
}
