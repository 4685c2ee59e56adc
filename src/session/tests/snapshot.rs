//! Snapshots of sessions, also those of other versions of the program.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::{ClientFlags, Interests, Session, SessionFacts};
use super::{ROOMY, ids, marker, message, resumable_as};
use crate::jid::{BareJid, Jid};
use crate::payload::datetime::Timestamp;
use crate::stanza::{Presence, PresenceKind, Stanza};
use crate::storage::{Resumable, SessionNumber};

/// A snapshot as the first version of the program to make snapshots with flags wrote it, at the second
/// 1,700,000,000, with 3 stanzas handled. It must be read for as long as `VERSION` is 1.
const OLD: &str = include_str!("../testdata/snapshot-1.json");

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

fn resumable(handled: u32, snapshot: &[u8]) -> Resumable {
    Resumable {
        number: SessionNumber::for_tests(7),
        owner: BareJid::parse("romeo@montague.lit").unwrap(),
        resource: "orchard".into(),
        key: "an-id".into(),
        handled,
        ended: None,
        state: Some(snapshot.to_vec().into()),
    }
}

fn restore(snapshot: &Value) -> Option<Session> {
    let saved = resumable(3, snapshot.to_string().as_bytes());
    let restored = Session::restore(
        &Arc::default(),
        &saved,
        &SessionFacts::for_tests(),
        ROOMY,
        at(1_700_000_100),
    );
    restored.map(|(session, _)| session)
}

#[tokio::test(start_paused = true)]
async fn a_saved_session_goes_on_where_it_was() {
    let table = Arc::default();
    let (session, id) = resumable_as(&table, "romeo@montague.lit/orchard", Some(7));
    let handle = session.handle().clone();
    let contact = BareJid::parse("juliet@a.lit").unwrap();
    let presence = Presence::bare(PresenceKind::Available, handle.jid().clone(), contact.clone());
    session.set_available(Arc::new(presence), 5);
    session.add_directed(&contact);
    session.change_flags(|flags| flags.interested = true);
    (0..3).for_each(|n| {
        _ = handle.deliver_with_marker(message(n, 1), marker(10 + n as i64)).unwrap();
    });
    drop(session.sm(|sm| sm.next_batch(session.mailbox().take().0)));
    drop(session.sm(|sm| sm.acknowledge(1)).unwrap());
    session.mailbox().release(&[marker(10)]);
    assert!(session.sm(|sm| sm.receive().is_some() && !sm.note_handled(true)));
    _ = handle.deliver_with_marker(message(3, 1), marker(13)).unwrap();
    let ahead = session.save_ahead(Timestamp::from_micros(0), Some(marker(13)));
    assert_eq!(table.count(), 1, "it goes on");
    let (saved, unread) = session.save(Timestamp::from_micros(0), Some(marker(13))).unwrap();
    assert_eq!(ids(&unread.deliveries), [1, 2, 3], "should the store not take it");
    assert_eq!((table.count(), saved.handled), (0, 1));
    assert_eq!(ahead.as_ref(), Some(&saved), "what has not changed is not written again");

    let saved = Resumable { key: id.clone(), ..resumable(saved.handled, &saved.state) };
    let (late, left) =
        Session::restore(&table, &saved, &SessionFacts::for_tests(), ROOMY, at(301)).unwrap();
    assert_eq!(left, Duration::ZERO, "it is to end");
    drop(late);
    let (again, left) =
        Session::restore(&table, &saved, &SessionFacts::for_tests(), ROOMY, at(100)).unwrap();
    assert_eq!(left, Duration::from_secs(200));
    assert_eq!(again.handle().jid(), handle.jid());
    assert!(table.find_resumable(&handle.jid().to_bare(), &id).is_some());
    assert_eq!(again.handle().priority(), Some(5));
    assert!(again.handle().is_shown_to(&contact));
    let flags = ClientFlags { interested: true, ..ClientFlags::default() };
    assert_eq!(again.handle().flags(), flags);
    assert!(again.mailbox().is_catching_up(), "it looks for what came meanwhile");
    let (in_flight, since) = (again.mailbox().begin_catch_up(), again.mailbox().first_unread());
    assert_eq!((in_flight.len(), since), (3, Some(marker(14))), "but not for what it has");
    assert_eq!(again.sm(|sm| sm.handled_count()), 1);
    assert!(again.sm(|sm| sm.resume(4)).is_err(), "the last one was never written");
    assert_eq!(ids(&again.sm(|sm| sm.resume(2)).unwrap()), [1]);
    let (_, written) = again.sm(|sm| sm.next_batch(Default::default()));
    assert_eq!(ids(&written), [2, 3]);
    assert!(
        again.close().deliveries.iter().map(|d| d.marker).eq([Some(marker(12)), Some(marker(13))])
    );
}

/// Another device may get a buffered message, so that its marker is gone.
#[tokio::test(start_paused = true)]
async fn a_session_that_catches_up_is_saved_with_what_it_has_and_has_not() {
    let table = Arc::default();
    let (session, id) = resumable_as(&table, "romeo@montague.lit/orchard", Some(7));
    let handle = session.handle();
    (1..=4).for_each(|n| _ = handle.deliver_with_marker(message(n, 1), marker(n as i64)).unwrap());
    drop(session.sm(|sm| sm.next_batch(session.mailbox().take().0)));
    handle.request_catch_up();
    assert_eq!(session.sm(|sm| sm.acknowledge(2)).unwrap().len(), 2);
    session.mailbox().release(&[marker(1), marker(2)]);
    session.mailbox().buffer_new();
    _ = handle.deliver_with_marker(message(3, 1), marker(5)).unwrap();
    let ahead = session.save_ahead(at(0), Some(marker(9)));
    let (saved, _) = session.save(at(0), Some(marker(9))).unwrap();
    assert_eq!(ahead.as_ref(), Some(&saved));
    let saved = Resumable { key: id, ..resumable(saved.handled, &saved.state) };
    let again = Session::restore(&table, &saved, &SessionFacts::for_tests(), ROOMY, at(1));
    let (again, _) = again.unwrap();
    assert_eq!(again.mailbox().first_unread(), Some(marker(5)), "it was buffered");
    let has = |n| again.mailbox().has(marker(n));
    assert!([1, 2, 3, 4].into_iter().all(has) && !has(5));
    let in_flight = [1, 2, 3, 4].map(|n| again.handle().has_in_flight(marker(n)));
    assert_eq!(in_flight, [false, false, true, true]);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_of_an_older_program_is_resumed_with_all_that_is_in_it() {
    let session = restore(&serde_json::from_str(OLD).unwrap()).unwrap();
    let handle = session.handle();
    assert_eq!(
        handle.flags(),
        ClientFlags { interested: true, wants_blocklist: true, ..ClientFlags::default() }
    );
    let presence = handle.available().unwrap();
    assert!(Stanza::Presence((*presence).clone()).to_xml().contains("<show>away</show>"));
    assert_eq!((handle.priority(), handle.facts().newest), (Some(5), Some(marker(9))));
    let mut directed = handle.directed();
    directed.sort_unstable();
    let expected = ["nurse@capulet.lit", "room@rooms.capulet.lit/romeo"];
    assert_eq!(directed, expected.map(|jid| Jid::parse(jid).unwrap()));

    assert_eq!(session.sm(|sm| sm.handled_count()), 3);
    let in_flight = session.mailbox().begin_catch_up();
    assert_eq!(in_flight, [5, 6, 11, 12, 13].map(marker).into_iter().collect());
    assert_eq!(session.mailbox().first_unread(), Some(marker(14)));
    assert!(session.sm(|sm| sm.resume(5)).is_err(), "four were written");
    let acknowledged = session.sm(|sm| sm.resume(2)).unwrap();
    assert!(acknowledged.iter().map(|d| d.marker).eq([Some(marker(11))]));
    let (_, again) = session.sm(|sm| sm.next_batch(Default::default()));
    assert_eq!(again.len(), 5, "a message, a request, and three that were in the mailbox");
    assert_eq!(again[3].to.as_ref().unwrap(), &**handle.jid());
    assert_eq!(again[4].markers().collect::<Vec<_>>(), [5, 6].map(marker));
    assert_eq!(session.close().deliveries.len(), 4, "the request was answered");
}

/// What a field is for may be lost, but not the session.
#[tokio::test(start_paused = true)]
async fn a_snapshot_with_a_field_more_or_less_is_read() {
    let whole: Value = serde_json::from_str(OLD).unwrap();
    let mut more = whole.clone();
    more["hats"] = json!({ "enabled": true });
    more["queue"][0]["pushed"] = json!(7);
    let session = restore(&more).unwrap();
    assert_eq!((session.handle().priority(), session.close().deliveries.len()), (Some(5), 5));

    let mut removed = 0;
    for name in whole.as_object().unwrap().keys() {
        // Without these nobody knows what the rest means.
        if matches!(&**name, "version" | "at" | "max") {
            continue;
        }
        let mut less = whole.clone();
        less.as_object_mut().unwrap().remove(name);
        assert!(restore(&less).is_some(), "without `{name}`");
        removed += 1;
    }
    assert_eq!(removed, 10);
    let mut less = whole.clone();
    less.as_object_mut().unwrap().remove("interested");
    let flags = restore(&less).unwrap().handle().flags();
    assert_eq!(flags, ClientFlags { wants_blocklist: true, ..ClientFlags::default() });
    for name in ["to", "mark", "answered"] {
        let mut less = whole.clone();
        less["queue"][0].as_object_mut().unwrap().remove(name);
        assert!(restore(&less).is_some(), "without `{name}` of a stanza");
    }
    let mut other = whole;
    other["version"] = json!(2);
    assert!(restore(&other).is_none(), "its fields mean something else");
}

/// Fields of the first version, none of which it could do without.
#[derive(Deserialize)]
struct FirstReader {
    version: u32,
    priority: i8,
    interested: bool,
    wants_blocklist: bool,
    queue: Vec<FirstStanza>,
    #[expect(dead_code, reason = "it must be there")]
    acknowledged: u32,
    #[expect(dead_code, reason = "it must be there")]
    written: usize,
    directed: Vec<String>,
}

#[derive(Deserialize)]
struct FirstStanza {
    xml: String,
    answered: bool,
}

/// A reader that expects one more field, and knows fewer of the others.
#[derive(Deserialize)]
struct NextReader {
    version: u32,
    #[serde(default)]
    hats: bool,
    #[serde(flatten)]
    flags: ClientFlags,
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_of_this_program_is_read_by_others() {
    let table = Arc::default();
    let (session, _) = resumable_as(&table, "romeo@montague.lit/orchard", Some(7));
    session.change_flags(|flags| flags.wants_blocklist = true);
    session.handle().deliver(message(0, 1)).unwrap();
    let (saved, _) = session.save(at(0), None).unwrap();
    let first: FirstReader = serde_json::from_slice(&saved.state).unwrap();
    assert_eq!((first.version, first.priority, first.directed.len()), (1, 0, 0));
    assert!(first.wants_blocklist && !first.interested);
    assert!(first.queue.len() == 1 && !first.queue[0].answered);
    assert!(first.queue[0].xml.starts_with("<message"));
    let next: NextReader = serde_json::from_slice(&saved.state).unwrap();
    assert!(next.version == 1 && !next.hats && next.flags.wants_blocklist);
}

/// A snapshot in which each field has a value, as this version of the program writes it. If a field is added: this file
/// stays, and is read for as long as `VERSION` is 1; another one beside it gets all fields, and takes its place here.
const NEW: &str = include_str!("../testdata/snapshot-2.json");

#[tokio::test(start_paused = true)]
async fn the_newest_snapshot_is_resumed_with_all_that_is_in_it() {
    let session = restore(&serde_json::from_str(NEW).unwrap()).unwrap();
    let handle = session.handle();
    let flags =
        ClientFlags { interested: true, wants_blocklist: true, carbons: true, no_photo: true };
    assert_eq!(handle.flags(), flags);
    let interests = handle.interests().unwrap();
    assert_eq!(interests.key(), "1 sha-1 QgayPKawpkPSDYmwT/WM94uAlu0=");
    assert!(handle.wants("http://jabber.org/protocol/mood") && !handle.wants("urn:other"));
    let facts = handle.facts();
    assert_eq!(facts.newest, Some(marker(9)));
    assert_eq!(facts.installation.as_deref(), Some("d4565fa7-4d72-4749-b3d3-740edbf87770"));
    assert!(facts.restored.is_some(), "it reads in rooms what it has missed");
    let in_flight = session.mailbox().begin_catch_up();
    assert_eq!(in_flight, [5, 6, 11, 12, 13].map(marker).into_iter().collect());
    assert_eq!(session.mailbox().first_unread(), Some(marker(14)));
    assert!(session.mailbox().has(marker(14)) && !session.mailbox().has(marker(15)));
}

#[tokio::test(start_paused = true)]
async fn the_newest_snapshot_has_the_fields_that_are_written() {
    let table = Arc::default();
    let (session, _) = resumable_as(&table, "romeo@montague.lit/orchard", Some(7));
    let handle = session.handle();
    _ = handle.deliver_with_marker(message(1, 1), marker(1)).unwrap();
    _ = session.mailbox().deliver_read(message(2, 1), [marker(2)].into()).unwrap();
    drop(session.sm(|sm| sm.next_batch(session.mailbox().take().0)));
    // Only a session that catches up writes what its client has received.
    handle.request_catch_up();
    session.mailbox().release(&[marker(1)]);
    let interests = Interests::new("1 sha-1 x".into(), vec!["urn:a".into()]);
    handle.set_interests(Some(Arc::new(interests)));
    let (saved, _) = session.save(at(0), Some(marker(9))).unwrap();
    let written: Value = serde_json::from_slice(&saved.state).unwrap();
    assert_eq!(fields(&written), fields(&serde_json::from_str(NEW).unwrap()));
}

/// The names of all fields, those in other fields, too, each with its place.
fn fields(value: &Value) -> BTreeSet<String> {
    match value {
        Value::Object(all) => all.iter().flat_map(named).collect(),
        Value::Array(values) => values.iter().flat_map(fields).collect(),
        _ => BTreeSet::new(),
    }
}

fn named((name, value): (&String, &Value)) -> BTreeSet<String> {
    let below = fields(value).into_iter().map(|below| format!("{name}.{below}"));
    below.chain([name.clone()]).collect()
}
