use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use sha1::{Digest, Sha1};
use tokio::time::Instant;

use super::{EMPTY, Engine, OPEN, Said, Session, VER, terminal, wrapper};
use crate::stream::bosh::Condition;
use crate::stream::bosh::request::{Allowed, MAX_RID, Request, Terms};

#[test]
fn a_session_begins_with_its_terms_and_the_features() {
    let mut session =
        Session::asked("ver='1.6' wait='20' hold='1' xml:lang='de' from='a@localhost'");
    let open = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0' \
                from='a@localhost' xml:lang='de'/>";
    assert_eq!(session.heard(), [open]);
    assert!(session.is_waiting(0));
    let elements = b"<stream:features xmlns:stream='http://etherx.jabber.org/streams'/>".to_vec();
    let open = Some(Bytes::from_static(OPEN));
    session.say(Said { open, elements, ..Said::default() });
    assert_eq!(
        session.answer(0),
        "<body xmlns:xmpp='urn:xmpp:xbosh' sid='sid' wait='20' hold='1' requests='2' \
         inactivity='30' polling='5' maxpause='120' secure='true' xmpp:restartlogic='true' ver='1.6' \
         xmpp:version='1.0' authid='stream' from='localhost' ack='100' \
         xmlns:stream='http://etherx.jabber.org/streams'>\
         <stream:features xmlns:stream='http://etherx.jabber.org/streams'/></body>"
    );
}

#[test]
fn one_request_is_held_until_there_is_something_to_say() {
    let mut session = Session::open(VER);
    let first = session.send("rid='101'", "");
    assert!(session.is_waiting(first) && session.engine.idle_until().is_none());
    session.says("<presence/>");
    assert_eq!(session.answer(first), "<body ><presence/></body>");
    session.says("<message/>");
    assert!(!session.engine.is_said(), "nobody fetches it");
    let second = session.send("rid='102'", "<iq/>");
    assert_eq!(session.answer(second), "<body ><message/></body>");
    assert_eq!(session.heard(), ["<iq/>"]);
    let third = session.send("rid='103'", "");
    session.wait(10);
    let fourth = session.send("rid='104'", "<a/>");
    // §9.1: 104 has come.
    assert_eq!(session.answer(third), "<body ack='104'/>");
    session.wait(60);
    session.elapsed(fourth);
    assert_eq!(session.answer(fourth), EMPTY);
    assert_eq!(session.engine.idle_until(), Some(session.now + Duration::from_secs(30)));
}

#[test]
fn requests_are_handled_and_answered_in_their_order() {
    let mut session = Session::open("ver='1.6' hold='2'");
    let third = session.send("rid='103'", "<c/>");
    let second = session.send("rid='102'", "<b/>");
    assert_eq!(session.heard(), [""; 0]);
    let first = session.send("rid='101'", "<a/>");
    assert_eq!(session.heard(), ["<a/>", "<b/>", "<c/>"]);
    assert_eq!(session.answer(first), "<body ack='103'/>");
    session.says("<x/>");
    assert_eq!(session.answer(second), "<body ack='103'><x/></body>");
    assert!(session.is_waiting(third));
    session.elapsed(third);
    assert_eq!(session.answer(third), EMPTY);
}

#[test]
fn numbers_outside_of_the_window_end_the_session() {
    let table = ["104", "1", "99", "200", "9007199254740991", "9007199254740992"];
    let all = table.into_iter().chain(["99999999999999999999999999"]);
    for rid in all {
        for (ver, expected) in [(VER, terminal(Condition::ItemNotFound)), ("", "404".into())] {
            let mut session = Session::open(ver);
            let held = session.send("rid='101'", "");
            let wrong = session.send(&format!("rid='{rid}'"), "<a/>");
            assert_eq!(session.answer(wrong), expected, "{rid}");
            assert_eq!(session.answer(held), terminal(Condition::OtherRequest), "{rid}");
            assert_eq!(session.heard(), [""; 0], "{rid}");
            assert!(session.engine.is_over());
            let after = session.send("rid='102'", "");
            assert_eq!(session.answer(after), expected, "{rid}");
        }
    }
}

#[test]
fn the_last_number_is_the_last() {
    let wrapper = wrapper(&format!("rid='{}' to='localhost' ver='1.6'", MAX_RID - 1), "");
    let seconds = Duration::from_secs;
    let allowed = Allowed { wait: seconds(60), inactivity: seconds(30), pause: seconds(120) };
    let terms = Terms::negotiate(&wrapper, allowed).unwrap();
    let now = Instant::now();
    let engine = Engine::new("sid".into(), terms, 0, 0, now);
    let mut session = Session { engine, now, begun: now, tickets: 0, answers: BTreeMap::new() };
    session.say(Said { open: Some(Bytes::from_static(OPEN)), ..Said::default() });
    let last = session.send("rid='9007199254740991'", "");
    assert!(session.is_waiting(last));
    let beyond = session.send("rid='9007199254740992'", "");
    assert_eq!(session.answer(beyond), terminal(Condition::ItemNotFound));
}

#[test]
fn a_request_that_comes_again_gets_the_same_answer() {
    let mut session = Session::open(VER);
    let first = session.send("rid='101'", "<a/>");
    session.says("<x/>");
    let again = session.send("rid='101'", "<a/>");
    assert_eq!(session.answer(again), session.answer(first));
    let created = session.send("rid='100'", "");
    assert_eq!(session.answer(created), session.answer(0));
    assert_eq!(session.heard(), ["<a/>"], "once");
    // It is still held: the earlier one is given up (§14.3).
    let held = session.send("rid='102'", "<b/>");
    let again = session.send("rid='102'", "<b/>");
    assert_eq!(session.answer(held), "<body type='error'/>");
    session.says("<y/>");
    assert_eq!(session.answer(again), "<body ><y/></body>");
    assert_eq!(session.heard(), ["<b/>"], "once");
    // Not kept any longer.
    let old = session.send("rid='100'", "");
    assert_eq!(session.answer(old), terminal(Condition::ItemNotFound));
}

#[test]
fn a_request_whose_connection_is_gone_is_answered_when_it_comes_again() {
    let mut session = Session::open(VER);
    let first = session.send("rid='101'", "<a/>");
    session.engine.lost(u64::from(first), session.now);
    assert!(session.engine.idle_until().is_some());
    session.says("<x/>");
    assert!(session.is_waiting(first) && !session.engine.is_said());
    let again = session.send("rid='101'", "<a/>");
    assert_eq!(session.answer(again), "<body ><x/></body>");
    assert_eq!(session.heard(), ["<a/>"]);
    // The client may also go on, and ask for what it has missed later.
    let lost = session.send("rid='102'", "");
    session.engine.lost(u64::from(lost), session.now);
    let next = session.send("rid='103'", "");
    session.says("<y/>");
    assert_eq!(session.answer(next), "<body ><y/></body>");
    let again = session.send("rid='102'", "");
    assert!(session.answer(again).contains("ack='103'/>"));
}

#[test]
fn whoever_repeats_without_end_is_stopped() {
    let mut session = Session::open(VER);
    let mut last = session.send("rid='101'", "");
    for _ in 0..20 {
        last = session.send("rid='101'", "");
        assert!(session.is_waiting(last));
    }
    let over = session.send("rid='101'", "");
    assert_eq!(session.answer(over), terminal(Condition::PolicyViolation));
    assert_eq!(session.answer(last), terminal(Condition::OtherRequest));
}

#[test]
fn too_many_requests_at_once_end_the_session() {
    // The stream takes nothing, so none of them is answered.
    let mut session = Session::open(VER);
    let large = format!("<a>{}</a>", "x".repeat(70_000));
    let first = session.send("rid='101'", &large);
    let second = session.send("rid='102'", &large);
    assert!(session.is_waiting(first) && session.is_waiting(second));
    let third = session.send("rid='103'", &large);
    assert!(session.answer(third).contains("condition="), "{}", session.answer(third));
    assert!(session.engine.has_ended());
    // One more is allowed if it ends the session.
    let mut session = Session::open(VER);
    session.send("rid='101'", &large);
    session.send("rid='102'", &large);
    let end = session.send("rid='103' type='terminate'", "<presence/>");
    assert!(session.is_waiting(end));
    let counts = [(); 3].map(|()| session.heard().len());
    assert_eq!(counts, [1, 1, 2]);
}

#[test]
fn empty_requests_that_come_too_often_end_the_session() {
    let cases = [(VER, terminal(Condition::PolicyViolation)), ("", "403".to_owned())];
    for (ver, expected) in cases {
        let mut session = Session::open(ver);
        session.send("rid='101'", "");
        session.wait(4);
        let second = session.send("rid='102'", "");
        assert_eq!(session.answer(second), expected);
    }
    let fine = [
        ("later", 6, "rid='102'", ""),
        ("with something", 0, "rid='102'", "<a/>"),
        ("a pause", 0, "rid='102' pause='10'", ""),
        ("the end", 0, "rid='102' type='terminate'", ""),
        ("a new stream", 0, "rid='102' xmpp:restart='true'", ""),
    ];
    for (what, seconds, attributes, inside) in fine {
        let mut session = Session::open(VER);
        session.send("rid='101'", "");
        session.wait(seconds);
        session.send(attributes, inside);
        assert!(!session.engine.has_ended(), "{what}");
    }
}

#[test]
fn who_polls_is_answered_at_once_and_must_not_poll_too_often() {
    for attributes in ["ver='1.6' wait='0'", "ver='1.6' hold='0'"] {
        let mut session = Session::open(attributes);
        let first = session.send("rid='101'", "<a/>");
        assert_eq!(session.answer(first), EMPTY);
        session.says("<x/>");
        let second = session.send("rid='102'", "");
        assert_eq!(session.answer(second), "<body ><x/></body>");
        // The last answer had something.
        let third = session.send("rid='103'", "");
        assert_eq!(session.answer(third), EMPTY);
        session.wait(6);
        let fourth = session.send("rid='104'", "");
        assert_eq!(session.answer(fourth), EMPTY);
        session.wait(4);
        let fifth = session.send("rid='105'", "");
        assert_eq!(session.answer(fifth), terminal(Condition::PolicyViolation));
    }
}

#[test]
fn a_pause_answers_all_and_lasts_as_long_as_it_may() {
    for (asked, lasts) in [("60", 60), ("99999999999", 120), ("0", 1)] {
        let mut session = Session::open(VER);
        let held = session.send("rid='101'", "");
        let pause = session.send(&format!("rid='102' pause='{asked}'"), "");
        assert_eq!(session.answer(held), "<body ack='102'/>");
        assert_eq!(session.answer(pause), EMPTY);
        assert_eq!(session.engine.idle_until(), Some(session.now + Duration::from_secs(lasts)));
        session.says("<x/>");
        session.wait(lasts - 1);
        session.expire();
        let back = session.send("rid='103'", "");
        assert_eq!(session.answer(back), "<body ><x/></body>");
        assert_eq!(session.engine.idle_until(), Some(session.now + Duration::from_secs(30)));
    }
    let mut session = Session::open(VER);
    let bad = wrapper("rid='101' pause='-1'", "");
    assert!(Request::read(&bad, "localhost").is_err());
    session.wait(30);
    session.expire();
    assert!(session.engine.is_over(), "it was away for too long");
    let late = session.send("rid='101'", "");
    assert_eq!(session.answer(late), terminal(Condition::ItemNotFound));
}

#[test]
fn a_request_that_never_comes_holds_those_behind_it_no_longer_than_the_session_may_idle() {
    for (ver, expected) in [(VER, terminal(Condition::ItemNotFound)), ("", "404".into())] {
        let mut session = Session::open(ver);
        session.wait(10);
        let ahead = session.send("rid='102'", "<b/>");
        assert_eq!(session.engine.idle_until(), Some(session.now + Duration::from_secs(20)));
        session.wait(5);
        // It comes again on another connection.
        session.engine.lost(u64::from(ahead), session.now);
        let ahead = session.send("rid='102'", "<b/>");
        session.wait(14);
        session.expire();
        assert!(session.is_waiting(ahead) && !session.engine.is_over());
        session.wait(1);
        session.expire();
        assert_eq!(session.answer(ahead), expected);
        assert!(session.engine.is_over());
        assert_eq!(session.heard(), [""; 0]);
    }
    // It comes in time.
    let mut session = Session::open("ver='1.6' hold='2'");
    let second = session.send("rid='102'", "<b/>");
    session.wait(29);
    let first = session.send("rid='101'", "<a/>");
    assert_eq!(session.engine.idle_until(), None);
    session.wait(29);
    session.expire();
    assert_eq!(session.heard(), ["<a/>", "<b/>"]);
    assert!(session.is_waiting(first) && session.is_waiting(second));
}

#[test]
fn a_request_that_waits_for_the_stream_keeps_the_session() {
    let mut session = Session::open("ver='1.6' hold='2'");
    let large = format!("<a>{}</a>", "x".repeat(70_000));
    session.send("rid='101'", &large);
    session.says("<x/>");
    session.wait(10);
    session.send("rid='102'", "<b/>");
    assert_eq!(session.engine.idle_until(), None, "its turn has come");
    assert_eq!(session.heard(), [large]);
    assert_eq!(session.heard(), ["<b/>"]);
}

#[test]
fn keys_must_follow_each_other() {
    let hash = |text: &str| -> String {
        Sha1::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let mut keys = vec![hash("seed")];
    (0..4).for_each(|_| keys.push(hash(keys.last().unwrap())));
    let begin = || Session::open(&format!("ver='1.6' newkey='{}'", keys[4]));
    let mut session = begin();
    session.send(&format!("rid='101' key='{}'", keys[3]), "<a/>");
    session.says("<x/>");
    // An exact copy.
    let again = session.send(&format!("rid='101' key='{}'", keys[3]), "<a/>");
    assert_eq!(session.answer(again), "<body ><x/></body>");
    // In the wrong order: the keys count in the right one.
    let ahead = session.send(&format!("rid='103' key='{}'", keys[1]), "<c/>");
    session.send(&format!("rid='102' key='{}'", keys[2]), "<b/>");
    assert_eq!(session.heard(), ["<a/>", "<b/>", "<c/>"]);
    // Another sequence.
    let other = hash("another seed");
    let new = hash(&other);
    session.send(&format!("rid='104' key='{}' newkey='{new}'", keys[0]), "<d/>");
    session.send(&format!("rid='105' key='{other}'"), "<e/>");
    assert_eq!(session.heard(), ["<d/>", "<e/>"]);
    assert!(!session.is_waiting(ahead));
    let wrong = [
        "rid='101'".to_owned(),
        format!("rid='101' key='{}'", keys[4]),
        format!("rid='101' key='{}'", keys[2]),
        "rid='101' key=''".to_owned(),
        format!("rid='101' newkey='{}'", keys[4]),
    ];
    for request in wrong {
        let mut session = begin();
        let answer = session.send(&request, "<a/>");
        assert_eq!(session.answer(answer), terminal(Condition::ItemNotFound), "{request}");
        assert_eq!(session.heard(), [""; 0], "{request}");
    }
    let mut session = begin();
    session.send(&format!("rid='101' key='{}'", keys[3]), "<a/>");
    session.says("<secret/>");
    let stolen = session.send("rid='101' key='x'", "<a/>");
    assert_eq!(session.answer(stolen), terminal(Condition::ItemNotFound));
}

#[test]
fn an_answer_that_seems_to_be_lost_is_reported() {
    let mut session = Session::open("ver='1.6' ack='1'");
    session.send("rid='101'", "");
    session.says("<x/>");
    // It may be on its way.
    let soon = session.send("rid='102' ack='100'", "<a/>");
    assert!(session.is_waiting(soon));
    session.says("<y/>");
    session.wait(3);
    let later = session.send("rid='103' ack='100'", "<b/>");
    assert_eq!(session.answer(later), "<body report='101' time='3000'/>");
    let again = session.send("rid='101'", "");
    assert_eq!(session.answer(again), "<body ><x/></body>");
    // §9.2: no `ack` means that all answers have come.
    session.send("rid='104'", "<c/>");
    let gone = session.send("rid='103'", "");
    assert_eq!(session.answer(gone), terminal(Condition::ItemNotFound));
}

#[test]
fn the_client_ends_the_session() {
    let mut session = Session::open(VER);
    let held = session.send("rid='101'", "");
    let end = session.send("rid='102' type='terminate'", "<presence type='unavailable'/>");
    let close = "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>";
    assert_eq!(session.heard(), ["<presence type='unavailable'/>", close]);
    assert!(session.is_waiting(held) && session.is_waiting(end));
    session.say(Said { elements: b"<x/>".to_vec(), is_close: true, ..Said::default() });
    assert_eq!(session.answer(held), "<body type='terminate'><x/></body>");
    assert_eq!(session.answer(end), EMPTY);
    assert!(session.engine.is_over() && !session.engine.has_last_words());
}

#[test]
fn the_end_of_the_stream_is_told_when_the_client_asks_next() {
    let error = b"<stream:error xmlns:stream='s'/>".to_vec();
    let end =
        || Said { elements: error.clone(), is_error: true, is_close: true, ..Said::default() };
    let told = "<body type='terminate' condition='remote-stream-error' \
                xmlns:stream='http://etherx.jabber.org/streams'><stream:error xmlns:stream='s'/></body>";
    let mut session = Session::open(VER);
    let held = session.send("rid='101'", "");
    session.say(end());
    assert_eq!(session.answer(held), told);
    let mut session = Session::open(VER);
    session.say(end());
    assert!(session.engine.has_last_words());
    let foreign = session.send("rid='7'", "");
    assert_eq!(session.answer(foreign), terminal(Condition::ItemNotFound));
    let next = session.send("rid='101'", "");
    assert_eq!(session.answer(next), told);
    let again = session.send("rid='102'", "");
    assert_eq!(session.answer(again), terminal(Condition::ItemNotFound));
    let mut session = Session::open(VER);
    let held = session.send("rid='101'", "");
    let answers = session.engine.close(Condition::SystemShutdown, session.now);
    session.note(answers);
    assert_eq!(session.answer(held), terminal(Condition::SystemShutdown));
}
