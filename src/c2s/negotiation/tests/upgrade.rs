//! Upgrades between the login and `<success/>` (XEP-0480).

use super::*;
use ScramHash::{Sha256, Sha512};

pub(super) const BOTH: Event = Element(
    "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='SCRAM-SHA-1'>\
     <initial-response>biws</initial-response>\
     <upgrade xmlns='urn:xmpp:sasl:upgrade:0'>UPGR-SCRAM-SHA-256</upgrade>\
     <upgrade xmlns='urn:xmpp:sasl:upgrade:0'>UPGR-SCRAM-SHA-512</upgrade>\
     <bind xmlns='urn:xmpp:bind:0'/></authenticate>",
);
pub(super) const NEXT_256: Event = next_to("UPGR-SCRAM-SHA-256");
pub(super) const NEXT_512: Event = next_to("UPGR-SCRAM-SHA-512");
pub(super) const SALTED: Event = Element(
    "<task-data xmlns='urn:xmpp:sasl:2'><hash xmlns='urn:xmpp:scram-upgrade:0'>aGFzaA==</hash>\
     </task-data>",
);
const ABORT_2: Event = Element("<abort xmlns='urn:xmpp:sasl:2'/>");
const FIND: &str = "find UPGR-SCRAM-SHA-256 UPGR-SCRAM-SHA-512";
const LOGGED_IN: &[&str] = &["forget", "authenticated", "issue token"];

const fn next_to(name: &'static str) -> Event {
    match name.as_bytes() {
        b"UPGR-SCRAM-SHA-256" => {
            Element("<next xmlns='urn:xmpp:sasl:2' task='UPGR-SCRAM-SHA-256'/>")
        }
        _ => Element("<next xmlns='urn:xmpp:sasl:2' task='UPGR-SCRAM-SHA-512'/>"),
    }
}

fn expect(before: &[Event], event: Event, wanted: &[&str]) {
    let before = [TO_SECURED, before].concat();
    let found = words(&feed(&mut after(&before), event));
    assert_eq!(found, wanted, "{event:?} after {before:?}");
}

fn failure(condition: &str) -> String {
    format!(
        "<failure xmlns='urn:xmpp:sasl:2'>\
         <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/></failure>"
    )
}

fn offered(task: &str, data: &str) -> String {
    format!("<continue xmlns='urn:xmpp:sasl:2'>{data}<tasks><task>{task}</task></tasks></continue>")
}

#[test]
fn each_task_is_offered_alone_and_in_the_order_of_the_client() {
    let data = "<additional-data>dj0x</additional-data>";
    expect(&[BOTH], Success(Some(b"v=1")), &[FIND]);
    let login = [BOTH, Success(Some(b"v=1"))];
    expect(&login, Upgrades(&[Sha512]), &[&offered("UPGR-SCRAM-SHA-512", data)]);
    expect(&login, Upgrades(&[Sha256, Sha512]), &[&offered("UPGR-SCRAM-SHA-256", data)]);
    let first = [&login[..], &[Upgrades(&[Sha256, Sha512])]].concat();
    let salt = "<task-data xmlns='urn:xmpp:sasl:2'>\
        <salt xmlns='urn:xmpp:scram-upgrade:0' iterations='5000'>c2FsdA==</salt></task-data>";
    expect(&first, NEXT_256, &[salt]);
    let begun = [&first[..], &[NEXT_256]].concat();
    expect(&begun, SALTED, &["UPGR-SCRAM-SHA-256 \"hash\""]);
    // The data of the mechanism is told once.
    let added = [&begun[..], &[SALTED]].concat();
    expect(&added, Upgraded(Ok(())), &[&offered("UPGR-SCRAM-SHA-512", "")]);
    let last = [&added[..], &[Upgraded(Ok(())), NEXT_512, SALTED]].concat();
    expect(&last, Upgraded(Ok(())), LOGGED_IN);
    let bound = "<success xmlns='urn:xmpp:sasl:2'>\
        <authorization-identifier>romeo@montague.lit/tag/x</authorization-identifier>\
        <bound xmlns='urn:xmpp:bind:0'><enabled xmlns='urn:xmpp:sm:3'/></bound></success>";
    let end = [&last[..], &[Upgraded(Ok(())), Token(None)]].concat();
    expect(&end, BoundInline, &[bound, "[features]", "run"]);
}

#[test]
fn a_client_gets_no_task_that_it_does_not_ask_for_or_that_nobody_needs() {
    expect(&[BOTH, Success(None)], Upgrades(&[]), LOGGED_IN);
    for asked in [
        "",
        "<upgrade xmlns='urn:xmpp:sasl:upgrade:0'>UPGR-SCRAM-SHA-1</upgrade>",
        "<upgrade xmlns='urn:xmpp:sasl:upgrade:0'>UPGR-BLOOP</upgrade>",
        "<upgrade xmlns='urn:xmpp:sasl:upgrade:0'/>",
        "<upgrade xmlns='urn:example'>UPGR-SCRAM-SHA-512</upgrade>",
    ] {
        let request = format!(
            "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'>{asked}</authenticate>"
        );
        let mut machine = after(TO_SECURED);
        machine.element(&Frame::from_bytes(request).unwrap());
        assert_eq!(words(&feed(&mut machine, Success(None))), LOGGED_IN, "{asked}");
    }
    let twice = Element(
        "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'>\
         <upgrade xmlns='urn:xmpp:sasl:upgrade:0'>UPGR-SCRAM-SHA-512</upgrade>\
         <upgrade xmlns='urn:xmpp:sasl:upgrade:0'>UPGR-SCRAM-SHA-512</upgrade></authenticate>",
    );
    expect(&[twice], Success(None), &["find UPGR-SCRAM-SHA-512"]);
}

#[test]
fn what_is_wrong_fails_the_login() {
    let offered = [BOTH, Success(None), Upgrades(&[Sha512])];
    let begun = [&offered[..], &[NEXT_512]].concat();
    let malformed = failure("malformed-request");
    let nameless = Element("<next xmlns='urn:xmpp:sasl:2'/>");
    for other in [NEXT_256, nameless] {
        expect(&offered, other, &["forget", &malformed]);
    }
    expect(&offered, ABORT_2, &["forget", &failure("aborted")]);
    expect(&begun, ABORT_2, &["forget", &failure("aborted")]);
    let no_hash = Element("<task-data xmlns='urn:xmpp:sasl:2'/>");
    expect(&begun, no_hash, &["forget", &malformed]);
    let no_base64 = Element(
        "<task-data xmlns='urn:xmpp:sasl:2'><hash xmlns='urn:xmpp:scram-upgrade:0'>%</hash>\
         </task-data>",
    );
    expect(&begun, no_base64, &["forget", &failure("incorrect-encoding")]);
    let written = [&begun[..], &[SALTED]].concat();
    for error in [SaslError::MalformedRequest, SaslError::TemporaryAuthFailure] {
        expect(&written, Upgraded(Err(error)), &["forget", &failure(error.condition())]);
    }
    // Anything else ends the stream (XEP-0388 §2.4).
    for (wrong, condition) in [
        (NEXT_512, "unsupported-stanza-type"),
        (BOTH, "unsupported-stanza-type"),
        (RESPONSE, "unsupported-stanza-type"),
        (MESSAGE, "not-authorized"),
    ] {
        expect(&begun, wrong, &[&format!("close {condition}")]);
    }
    expect(&offered, SALTED, &["close unsupported-stanza-type"]);
    expect(&written, SALTED, &["close unsupported-stanza-type"]);
    expect(&[], NEXT_512, &["close unsupported-stanza-type"]);
}

#[test]
fn after_a_task_nobody_logs_in_again_and_nobody_is_logged_in() {
    let failed = [BOTH, Success(None), Upgrades(&[Sha512]), ABORT_2];
    for login in [BOTH, sasl2::INITIAL, PLAIN] {
        expect(&failed, login, &["close policy-violation"]);
    }
    for too_early in [BIND, MESSAGE] {
        expect(&failed, too_early, &["close not-authorized"]);
    }
    let before = [TO_SECURED, &failed].concat();
    assert_eq!(after(&before).user(), None);
}
