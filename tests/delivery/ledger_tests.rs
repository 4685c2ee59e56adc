//! The ledger finds each fault, and nothing where there is none.

use super::ledger::{Connection, Copy, Key, Kind, Ledger};

/// Anna's messages to Bert.
fn key(number: u32) -> Key {
    Key { from: "anna", to: "bert", number }
}

fn ledger() -> Ledger {
    Ledger::new(&["anna", "bert"])
}

/// Sent and acknowledged.
fn promised(ledger: &mut Ledger, number: u32) {
    ledger.sent(key(number), "bert@localhost");
    ledger.acknowledged(key(number));
}

fn arrived(ledger: &mut Ledger, number: u32, session: u32, id: Option<&str>) {
    let connection = Connection { session, kills: ledger.kills() };
    let copy = Copy { connection, stanza_id: id.map(str::to_owned), delayed: false };
    let key = key(number);
    ledger.arrived("bert", &key.to_string(), "anna@localhost/pda", &key.body(), copy);
}

fn archived(ledger: &mut Ledger, number: u32, id: &str) {
    let key = key(number);
    ledger.archived("bert", &key.to_string(), "anna@localhost/pda", &key.body(), id);
}

#[track_caller]
fn finds(ledger: &Ledger, kinds: &[Kind]) {
    let verdict = ledger.verdict();
    let found: Vec<Kind> = verdict.faults.iter().map(|fault| fault.kind).collect();
    assert_eq!(found, kinds, "{}", ledger.story(&verdict));
}

#[test]
fn what_came_once_and_in_order_is_well() {
    let mut ledger = ledger();
    (1..=3).for_each(|n| promised(&mut ledger, n));
    (1..=3).for_each(|n| arrived(&mut ledger, n, 1, Some(&format!("id{n}"))));
    finds(&ledger, &[]);
    assert!(ledger.all_arrived(&["bert"]) && ledger.all_told());
}

#[test]
fn a_loss_is_found() {
    let mut ledger = ledger();
    (1..=3).for_each(|n| promised(&mut ledger, n));
    [1, 3].iter().for_each(|&n| arrived(&mut ledger, n, 1, None));
    finds(&ledger, &[Kind::Lost]);
    assert_eq!(ledger.verdict().faults[0].key, Some(key(2)));
    assert!(!ledger.all_arrived(&["bert"]) && ledger.all_arrived(&["anna"]));
}

#[test]
fn what_comes_late_to_somebody_who_was_online_is_found() {
    let mut ledger = ledger();
    promised(&mut ledger, 1);
    ledger.waited_for(&["bert"]);
    arrived(&mut ledger, 1, 1, None);
    finds(&ledger, &[Kind::Late]);
}

#[test]
fn what_was_never_acknowledged_may_be_lost() {
    let mut ledger = ledger();
    ledger.sent(key(1), "bert@localhost");
    assert!(!ledger.all_told());
    finds(&ledger, &[]);
}

#[test]
fn what_was_answered_with_an_error_is_not_lost_but_told() {
    let mut ledger = ledger();
    promised(&mut ledger, 1);
    ledger.refused(&key(1).to_string(), "wait", "resource-constraint");
    finds(&ledger, &[Kind::Refused]);
    ledger.is_full = true;
    finds(&ledger, &[]);
    ledger.refused(&key(1).to_string(), "modify", "bad-request");
    finds(&ledger, &[Kind::Wrong]);
}

#[test]
fn an_error_for_nothing_is_found() {
    let mut ledger = ledger();
    ledger.is_full = true;
    ledger.refused("anna.bert.1", "wait", "resource-constraint");
    finds(&ledger, &[Kind::Wrong]);
}

#[test]
fn what_stands_in_the_archive_is_not_lost() {
    let mut ledger = ledger();
    promised(&mut ledger, 1);
    archived(&mut ledger, 1, "id1");
    ledger.archive_read("bert");
    finds(&ledger, &[]);
    assert_eq!(ledger.verdict().in_archive_only, 1);
}

#[test]
fn an_archive_that_does_not_agree_is_found() {
    let mut ledger = ledger();
    (1..=4).for_each(|n| promised(&mut ledger, n));
    (1..=4).for_each(|n| arrived(&mut ledger, n, 1, Some(&format!("id{n}"))));
    archived(&mut ledger, 1, "id1");
    archived(&mut ledger, 2, "other");
    archived(&mut ledger, 3, "id3");
    archived(&mut ledger, 3, "id3");
    finds(&ledger, &[]);
    ledger.archive_read("bert");
    finds(&ledger, &[Kind::Archive; 3]);
    let faults = ledger.verdict().faults;
    assert_eq!(faults.iter().map(|f| f.key.unwrap().number).collect::<Vec<_>>(), [2, 3, 4]);
}

#[test]
fn a_second_copy_in_one_session_is_found() {
    for id in [None, Some("id1")] {
        let mut ledger = ledger();
        promised(&mut ledger, 1);
        arrived(&mut ledger, 1, 1, id);
        arrived(&mut ledger, 1, 1, id);
        finds(&ledger, &[Kind::Doubled]);
    }
}

#[test]
fn a_second_copy_in_another_session_needs_the_same_id() {
    let copies = [(Some("id1"), Some("id1"), true), (Some("id1"), Some("id2"), false)];
    let nothing = [(None, None, false), (Some("id1"), None, false), (None, Some("id1"), false)];
    for (first, second, is_well) in copies.into_iter().chain(nothing) {
        let mut ledger = ledger();
        promised(&mut ledger, 1);
        arrived(&mut ledger, 1, 1, first);
        arrived(&mut ledger, 1, 2, second);
        finds(&ledger, if is_well { &[] } else { &[Kind::Doubled] });
        assert_eq!(ledger.verdict().repeated, usize::from(is_well));
    }
}

#[test]
fn a_second_copy_of_what_a_client_has_acknowledged_is_found() {
    let mut ledger = ledger();
    promised(&mut ledger, 1);
    arrived(&mut ledger, 1, 1, Some("id1"));
    ledger.left("anna", 1, 1);
    ledger.left("bert", 1, 0);
    // What came to a session that was lost is not acknowledged by the next one.
    ledger.left("bert", 2, ledger.copies());
    arrived(&mut ledger, 1, 3, Some("id1"));
    finds(&ledger, &[]);
    ledger.left("bert", 3, ledger.copies());
    arrived(&mut ledger, 1, 4, Some("id1"));
    finds(&ledger, &[Kind::Doubled]);
    // The server may not have written down yet that it was delivered.
    ledger.left("bert", 4, ledger.copies());
    ledger.killed();
    arrived(&mut ledger, 1, 5, Some("id1"));
    finds(&ledger, &[Kind::Doubled]);
}

#[test]
fn a_full_disk_excuses_second_copies_with_the_same_id_only() {
    let mut ledger = ledger();
    ledger.is_full = true;
    promised(&mut ledger, 1);
    arrived(&mut ledger, 1, 1, Some("id1"));
    arrived(&mut ledger, 1, 1, Some("id1"));
    finds(&ledger, &[]);
    arrived(&mut ledger, 1, 1, Some("id2"));
    finds(&ledger, &[Kind::Doubled]);
}

#[test]
fn a_session_that_cannot_be_resumed_is_found_where_it_must_be() {
    let mut ledger = ledger();
    ledger.failed_to_resume("anna");
    finds(&ledger, &[]);
    ledger.must_resume = true;
    ledger.failed_to_resume("anna");
    finds(&ledger, &[Kind::Wrong]);
    assert_eq!(ledger.not_resumed, 2);
}

#[test]
fn what_is_sent_again_on_a_resumed_stream_comes_once() {
    let mut ledger = ledger();
    ledger.sent(key(1), "bert@localhost");
    promised(&mut ledger, 1);
    arrived(&mut ledger, 1, 1, Some("id1"));
    arrived(&mut ledger, 1, 1, Some("id2"));
    finds(&ledger, &[Kind::Doubled]);
}

#[test]
fn what_was_not_acknowledged_before_a_kill_may_come_as_two() {
    let mut ledger = ledger();
    ledger.sent(key(1), "bert@localhost");
    ledger.killed();
    arrived(&mut ledger, 1, 1, Some("id1"));
    promised(&mut ledger, 1);
    arrived(&mut ledger, 1, 2, Some("id2"));
    finds(&ledger, &[]);
    assert_eq!(ledger.verdict().sent_again, 1);
    // Two submissions are two, not three.
    arrived(&mut ledger, 1, 2, Some("id3"));
    finds(&ledger, &[Kind::Doubled]);
}

#[test]
fn what_was_acknowledged_before_a_kill_may_not_come_as_two() {
    let mut ledger = ledger();
    promised(&mut ledger, 1);
    arrived(&mut ledger, 1, 1, Some("id1"));
    ledger.killed();
    arrived(&mut ledger, 1, 2, Some("id1"));
    finds(&ledger, &[]);
    arrived(&mut ledger, 1, 2, Some("id2"));
    finds(&ledger, &[Kind::Doubled]);
}

#[test]
#[should_panic(expected = "though it is acknowledged")]
fn a_test_that_sends_what_is_acknowledged_is_wrong() {
    let mut ledger = ledger();
    promised(&mut ledger, 1);
    ledger.killed();
    ledger.sent(key(1), "bert@localhost");
}

#[test]
fn disorder_is_found_by_first_copies() {
    let mut ledger = ledger();
    (1..=3).for_each(|n| promised(&mut ledger, n));
    for (number, session) in [(1, 1), (3, 1), (2, 1), (3, 2)] {
        arrived(&mut ledger, number, session, Some(&format!("id{number}")));
    }
    finds(&ledger, &[Kind::Disorder]);
    assert_eq!(ledger.verdict().faults[0].key, Some(key(2)));
}

#[test]
fn a_second_copy_of_an_old_message_is_no_disorder() {
    let mut ledger = ledger();
    (1..=3).for_each(|n| promised(&mut ledger, n));
    for (number, session) in [(1, 1), (2, 1), (1, 2), (2, 2), (3, 2)] {
        arrived(&mut ledger, number, session, Some(&format!("id{number}")));
    }
    finds(&ledger, &[]);
}

#[test]
fn one_id_for_two_messages_is_found() {
    let mut ledger = ledger();
    (1..=2).for_each(|n| promised(&mut ledger, n));
    (1..=2).for_each(|n| arrived(&mut ledger, n, 1, Some("id")));
    finds(&ledger, &[Kind::Id]);
}

#[test]
fn what_nobody_sent_or_somebody_changed_is_found() {
    let mut ledger = ledger();
    promised(&mut ledger, 1);
    arrived(&mut ledger, 1, 1, None);
    arrived(&mut ledger, 2, 1, None);
    ledger.arrived("bert", "anna.bert.1", "anna@localhost", "changed", Copy::default());
    ledger.arrived("anna", "anna.bert.1", "anna@localhost", &key(1).body(), Copy::default());
    ledger.arrived("bert", "anna.bert.1", "carl@localhost", &key(1).body(), Copy::default());
    ledger.arrived("bert", "", "carl@localhost", "", Copy::default());
    finds(&ledger, &[Kind::Wrong; 5]);
}

#[test]
fn a_story_tells_what_happened_to_a_message() {
    let mut ledger = ledger();
    ledger.sent(key(1), "bert@localhost");
    ledger.note(None, "cut 7".to_owned());
    ledger.note(Some("anna"), "anna was there".to_owned());
    ledger.note(Some("carl"), "carl was there".to_owned());
    promised(&mut ledger, 1);
    let story = ledger.story(&ledger.verdict());
    for told in [
        "Lost anna.bert.1",
        "sent to bert",
        "sent again to bert",
        "cut 7",
        "anna was",
        "acknowledged\n",
    ] {
        assert!(story.contains(told), "{told:?} is missing in\n{story}");
    }
    assert!(!story.contains("carl"), "{story}");
}
