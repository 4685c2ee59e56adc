//! The ledger of the room finds each fault, and nothing where there is none.

use super::ledger::{Connection, Kind, Ledger, ROOM, RoomKey, RoomRow};

/// Anna's messages to the room.
fn key(number: u32) -> RoomKey {
    RoomKey { from: "anna", number }
}

/// Three messages that are said and acknowledged.
fn ledger() -> Ledger {
    let mut ledger = Ledger::new(&["anna", "bert"]);
    for number in 1..=3 {
        ledger.said(key(number));
        ledger.said_is_acknowledged(key(number));
    }
    ledger
}

/// Session 7 of Bert hears these, under ids that begin with this letter.
fn hears(ledger: &mut Ledger, letter: &str, numbers: &[u32]) {
    for &number in numbers {
        let (key, from) = (key(number), format!("{ROOM}/anna"));
        let id = Some(format!("{letter}{number}"));
        let connection = Connection { session: 7, kills: ledger.kills() };
        ledger.heard("bert", connection, (&key.to_string(), &from, &key.body()), id);
    }
}

/// The archive is read, and these are in it.
fn archives(ledger: &mut Ledger, numbers: &[u32]) {
    let row = |&number: &u32| RoomRow { id: format!("a{number}"), key: key(number) };
    ledger.archive_of_room(numbers.iter().map(row).collect());
}

#[track_caller]
fn finds(ledger: &Ledger, kinds: &[Kind]) {
    let verdict = ledger.verdict();
    let found: Vec<Kind> = verdict.faults.iter().map(|fault| fault.kind).collect();
    assert_eq!(found, kinds, "{}", ledger.story(&verdict));
}

#[test]
fn a_piece_of_the_archive_is_well() {
    for heard in [&[] as &[u32], &[1], &[2, 3], &[1, 2, 3]] {
        let mut ledger = ledger();
        hears(&mut ledger, "a", heard);
        archives(&mut ledger, &[1, 2, 3]);
        finds(&ledger, &[]);
        assert!(ledger.all_told());
        assert_eq!(ledger.is_heard_by(key(3), &["bert"]), heard.contains(&3));
    }
}

#[test]
fn holes_copies_and_disorder_are_found() {
    let cases: [(&[u32], &[Kind]); 4] = [
        (&[1, 3], &[Kind::Gap]),
        (&[1, 1, 2, 3], &[Kind::Doubled]),
        (&[2, 1], &[Kind::Disorder]),
        (&[1, 2, 1, 3], &[Kind::Doubled]),
    ];
    for (heard, kinds) in cases {
        let mut ledger = ledger();
        hears(&mut ledger, "a", heard);
        archives(&mut ledger, &[1, 2, 3]);
        finds(&ledger, kinds);
    }
}

#[test]
fn what_the_archive_lacks_or_has_twice_is_found() {
    let mut ledger = ledger();
    archives(&mut ledger, &[1, 2]);
    finds(&ledger, &[Kind::Lost]);
    archives(&mut ledger, &[1, 2, 2, 3]);
    // The same id twice, and the same message.
    finds(&ledger, &[Kind::Id, Kind::Doubled]);
}

#[test]
fn an_archive_that_changes_is_found() {
    let mut ledger = ledger();
    archives(&mut ledger, &[1, 2]);
    archives(&mut ledger, &[1, 2, 3]);
    finds(&ledger, &[]);
    archives(&mut ledger, &[2, 1, 3]);
    finds(&ledger, &[Kind::Archive, Kind::Archive]);
}

#[test]
fn another_id_than_that_of_the_archive_is_found() {
    let mut ledger = ledger();
    hears(&mut ledger, "b", &[2]);
    archives(&mut ledger, &[1, 2, 3]);
    finds(&ledger, &[Kind::Archive]);
}

#[test]
fn what_a_kill_takes_may_come_again() {
    let mut ledger = Ledger::new(&["anna", "bert"]);
    ledger.said(key(1));
    hears(&mut ledger, "b", &[1]);
    archives(&mut ledger, &[]);
    finds(&ledger, &[Kind::Archive]);
    ledger.killed();
    // Nobody has said that it is there.
    finds(&ledger, &[]);
    ledger.said(key(1));
    ledger.said_is_acknowledged(key(1));
    archives(&mut ledger, &[1]);
    finds(&ledger, &[]);
}

/// What was on its way is read after the kill, and was still sent before it.
#[test]
fn what_a_kill_takes_may_be_read_after_it() {
    let mut ledger = Ledger::new(&["anna", "bert"]);
    let before = Connection { session: 7, kills: ledger.kills() };
    ledger.said(key(1));
    ledger.killed();
    let (key, from, id) = (key(1), format!("{ROOM}/anna"), Some("b1".to_owned()));
    ledger.heard("bert", before, (&key.to_string(), &from, &key.body()), id);
    ledger.said(key);
    ledger.said_is_acknowledged(key);
    archives(&mut ledger, &[1]);
    finds(&ledger, &[]);
    // And the same from the server that came after.
    hears(&mut ledger, "b", &[1]);
    finds(&ledger, &[]);
}

#[test]
fn what_a_kill_takes_after_it_was_acknowledged_is_found() {
    let mut ledger = Ledger::new(&["anna", "bert"]);
    ledger.said(key(1));
    ledger.said_is_acknowledged(key(1));
    hears(&mut ledger, "b", &[1]);
    ledger.killed();
    archives(&mut ledger, &[]);
    finds(&ledger, &[Kind::Lost, Kind::Archive]);
}

#[test]
fn whoever_is_thrown_out_or_refused_is_found() {
    let mut ledger = ledger();
    ledger.thrown_out("bert", 7);
    ledger.said_is_refused(&key(1).to_string(), "not-acceptable");
    archives(&mut ledger, &[1, 2, 3]);
    finds(&ledger, &[Kind::Wrong, Kind::Refused]);
}

#[test]
fn what_was_changed_is_found() {
    let mut ledger = ledger();
    let (from, id) = (format!("{ROOM}/anna"), Some("a1".to_owned()));
    let told = [
        ("room.anna.1", from.as_str(), "another body"),
        ("room.anna.9", from.as_str(), "never said"),
        ("room.anna.1", "orchard@conference.localhost/bert", "by another one"),
    ];
    for message in told {
        ledger.heard("bert", CONNECTION, message, id.clone());
    }
    let (key, from) = (key(1), format!("{ROOM}/anna"));
    ledger.heard("bert", CONNECTION, (&key.to_string(), &from, &key.body()), None);
    finds(&ledger, &[Kind::Wrong; 4]);
}

const CONNECTION: Connection = Connection { session: 7, kills: 0 };
