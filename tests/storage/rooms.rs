//! Rooms of group chats.

use std::sync::Arc;

use smallvec::smallvec;
use waxwing::jid::{BareJid, FullJid};
use waxwing::storage::{
    MessageId, Query, RoomAffiliation, RoomChange, RoomMember, RoomOccupant, RoomSettings, Storage,
    StorageError, StoredRoom, Way,
};

use crate::cases::{assert_empty, at, fill, make, user};
use crate::file::open;
use crate::messages::{holder, keep, message};

pub(crate) const ROOM: &str = "coven@rooms.localhost";

pub(crate) fn coven() -> BareJid {
    user(ROOM)
}

pub(crate) fn room(name: &str) -> StoredRoom {
    let settings = format!("<settings>{name}</settings>");
    let (name, language) = (name.to_owned(), "en".to_owned());
    StoredRoom {
        created: at(1_000),
        creator: user("crone1@localhost"),
        settings: RoomSettings {
            settings,
            name,
            language,
            is_persistent: true,
            ..RoomSettings::default()
        },
        subject: None,
        extra: None,
        members: vec![],
        occupants: vec![],
    }
}

pub(crate) fn member(jid: &str, affiliation: RoomAffiliation, version: i64) -> RoomMember {
    let (nick, reason) = (None, None);
    RoomMember { jid: user(jid), affiliation, nick, reason, since: at(version), version }
}

pub(crate) fn occupant(session: &str, nick: &str) -> RoomOccupant {
    let session = FullJid::parse(session).unwrap();
    RoomOccupant { session, nick: nick.to_owned(), data: format!("<presence>{nick}</presence>") }
}

/// With something of everything.
fn full_room() -> StoredRoom {
    let settings = RoomSettings {
        description: "A dark cave % in the \u{1F426}".into(),
        is_public: true,
        is_persistent: false,
        ..room("Coven").settings
    };
    let hecate = RoomMember {
        nick: Some("queen".into()),
        reason: Some("of the \"witches\"".into()),
        ..member("hecate@localhost", RoomAffiliation::Admin, 3)
    };
    StoredRoom {
        settings,
        subject: Some("<subject>Fire Burn</subject>".into()),
        extra: Some("<hats/>".into()),
        members: vec![
            member("crone1@localhost", RoomAffiliation::Owner, 1),
            hecate,
            member("macbeth@localhost", RoomAffiliation::Outcast, 4),
            member("nobody@localhost", RoomAffiliation::None, 5),
            member("wiccarocks@localhost", RoomAffiliation::Member, 2),
        ],
        occupants: vec![
            occupant("crone1@localhost/desktop", "firstwitch"),
            occupant("hecate@localhost/broom", "queen"),
        ],
        ..room("Coven")
    }
}

pub(crate) async fn create(s: &Arc<dyn Storage>, jid: &str, new: &StoredRoom) {
    assert!(s.rooms().create(&user(jid), new, 1_000).await.unwrap(), "{jid}");
}

async fn load(s: &Arc<dyn Storage>) -> StoredRoom {
    s.rooms().load(&coven()).await.unwrap().unwrap()
}

async fn occupied(s: &Arc<dyn Storage>) -> Vec<String> {
    let rooms = s.rooms().occupied(None, 1_000).await.unwrap();
    rooms.iter().map(ToString::to_string).collect()
}

/// A room keeps what somebody in it has said.
async fn say(s: &Arc<dyn Storage>, micros: i64, bytes: usize) -> MessageId {
    let said = holder(ROOM, &format!("{ROOM}/firstwitch"), Way::Received, true, false);
    keep(s, message(micros, "x".repeat(bytes), smallvec![said])).await
}

async fn said(s: &Arc<dyn Storage>) -> Vec<MessageId> {
    let all = Query { max: 1_000, ..Query::default() };
    let page = s.archive().page(&coven(), &all).await.unwrap().unwrap();
    page.rows.iter().map(|row| row.id).collect()
}

pub(crate) async fn a_room_comes_back_as_it_was_made(s: Arc<dyn Storage>) {
    assert_eq!(s.rooms().load(&coven()).await.unwrap(), None);
    let mut new = full_room();
    // In any order, and one twice.
    new.members.reverse();
    new.occupants.reverse();
    new.members.insert(0, member("crone1@localhost", RoomAffiliation::None, 9));
    create(&s, ROOM, &new).await;
    assert_eq!(load(&s).await, full_room());
    assert!(!s.rooms().create(&coven(), &room("Other"), 1_000).await.unwrap());
    assert_eq!(load(&s).await, full_room());
    assert_eq!(s.rooms().load(&user("cave@rooms.localhost")).await.unwrap(), None);
}

pub(crate) async fn a_room_is_no_account(s: Arc<dyn Storage>) {
    make(&s, &["romeo@localhost"]).await;
    let romeo = user("romeo@localhost");
    assert!(!s.rooms().create(&romeo, &room("x"), 9).await.unwrap());
    assert!(!s.rooms().remove(&romeo).await.unwrap());
    assert!(!s.rooms().change(&romeo, RoomChange::default()).await.unwrap());
    create(&s, ROOM, &room("Coven")).await;
    let id = say(&s, 1, 10).await;
    assert_eq!(s.accounts().find(&coven()).await.unwrap(), None);
    assert_eq!(s.accounts().count(None).await.unwrap(), 1);
    assert_eq!(s.accounts().list(None, None, 9).await.unwrap().len(), 1);
    assert!(!s.accounts().remove(&coven()).await.unwrap());
    assert_eq!((load(&s).await, said(&s).await), (room("Coven"), vec![id]));
    // A later account of the same address is nobody, unless the address is banned.
    make(&s, &["tybalt@localhost"]).await;
    let ban = member("tybalt@localhost", RoomAffiliation::Outcast, 2);
    let members = vec![member("romeo@localhost", RoomAffiliation::Member, 1), ban.clone()];
    let change = RoomChange { members, ..RoomChange::default() };
    assert!(s.rooms().change(&coven(), change).await.unwrap());
    assert!(s.accounts().remove(&romeo).await.unwrap());
    assert!(s.accounts().remove(&user("tybalt@localhost")).await.unwrap());
    assert_eq!(load(&s).await.members, [ban]);
    assert_eq!(s.rooms().rooms_of(&romeo, None, 9).await.unwrap().len(), 0);
}

pub(crate) async fn a_creator_has_so_many_rooms(s: Arc<dyn Storage>) {
    let make = async |jid: &str, creator: &str| {
        let new = StoredRoom { creator: user(creator), ..room("x") };
        s.rooms().create(&user(jid), &new, 2).await
    };
    assert!(make("a@rooms.localhost", "crone1@localhost").await.unwrap());
    assert!(make("b@rooms.localhost", "crone1@localhost").await.unwrap());
    fill(&s, &user("c@rooms.localhost")).await;
    let refused = make("c@rooms.localhost", "crone1@localhost").await;
    assert!(matches!(refused, Err(StorageError::Limit(_))), "{refused:?}");
    assert!(!make("b@rooms.localhost", "crone1@localhost").await.unwrap());
    assert!(make("c@rooms.localhost", "crone2@localhost").await.unwrap());
    assert!(make("c@rooms.example", "crone1@localhost").await.unwrap());
    assert!(s.rooms().remove(&user("a@rooms.localhost")).await.unwrap());
    assert!(make("d@rooms.localhost", "crone1@localhost").await.unwrap());
}

pub(crate) async fn a_new_room_inherits_nothing(s: Arc<dyn Storage>) {
    create(&s, ROOM, &full_room()).await;
    say(&s, 1, 10).await;
    assert!(s.rooms().remove(&coven()).await.unwrap());
    // A message on its way when the room was removed.
    for n in 2..5 {
        say(&s, n, 10).await;
    }
    fill(&s, &coven()).await;
    create(&s, ROOM, &room("Coven")).await;
    assert_eq!(load(&s).await, room("Coven"));
    assert_eq!(said(&s).await, []);
    assert_empty(&s, &coven()).await;
    let id = say(&s, 9, 10).await;
    assert_eq!(said(&s).await, [id]);
}

pub(crate) async fn a_removed_room_takes_its_archive(s: Arc<dyn Storage>) {
    assert!(!s.rooms().remove(&coven()).await.unwrap());
    create(&s, ROOM, &full_room()).await;
    create(&s, "cave@rooms.localhost", &full_room()).await;
    fill(&s, &coven()).await;
    for n in 1..9 {
        say(&s, n, 10).await;
    }
    assert!(s.rooms().remove(&coven()).await.unwrap());
    assert!(!s.rooms().remove(&coven()).await.unwrap());
    assert_eq!(s.rooms().load(&coven()).await.unwrap(), None);
    assert!(!s.rooms().change(&coven(), RoomChange::default()).await.unwrap());
    assert_eq!(s.archive().ends(&coven()).await.unwrap(), None);
    assert_empty(&s, &coven()).await;
    assert_eq!(occupied(&s).await, ["cave@rooms.localhost"]);
    let of = s.rooms().rooms_of(&user("hecate@localhost"), None, 9).await.unwrap();
    assert_eq!(of.len(), 1);
}

pub(crate) async fn a_change_replaces_what_it_names(s: Arc<dyn Storage>) {
    create(&s, ROOM, &full_room()).await;
    let mut expected = full_room();
    let change = async |change| assert!(s.rooms().change(&coven(), change).await.unwrap());
    change(RoomChange::default()).await;
    assert_eq!(load(&s).await, expected);

    expected.subject = None;
    change(RoomChange { subject: Some(None), ..RoomChange::default() }).await;
    assert_eq!(load(&s).await, expected);
    expected.subject = Some("<subject/>".into());
    expected.extra = None;
    let (subject, extra) = (Some(expected.subject.clone()), Some(None));
    change(RoomChange { subject, extra, ..RoomChange::default() }).await;
    assert_eq!(load(&s).await, expected);
    expected.settings = RoomSettings { is_public: false, ..room("Cave").settings };
    let settings = Some(expected.settings.clone());
    change(RoomChange { settings, ..RoomChange::default() }).await;
    assert_eq!(load(&s).await, expected);

    // One is forgotten, one replaced, one is new; one is forgotten and stored again.
    expected.members.remove(3);
    expected.members[2] = member("macbeth@localhost", RoomAffiliation::None, 6);
    expected.members[1] = member("hecate@localhost", RoomAffiliation::Owner, 7);
    expected.members.push(member("zoe@localhost", RoomAffiliation::Member, 8));
    let mut members = expected.members[1..3].to_vec();
    members.push(member("zoe@localhost", RoomAffiliation::Admin, 7));
    members.push(expected.members[4].clone());
    let gone = ["nobody@localhost", "hecate@localhost", "unknown@localhost"];
    let forget_members = gone.map(user).to_vec();
    change(RoomChange { members, forget_members, ..RoomChange::default() }).await;
    assert_eq!(load(&s).await, expected);
}

pub(crate) async fn occupants_come_and_go(s: Arc<dyn Storage>) {
    create(&s, ROOM, &room("Coven")).await;
    let sessions = async || {
        let room = load(&s).await;
        room.occupants
            .into_iter()
            .map(|one| (one.session.to_string(), one.nick))
            .collect::<Vec<_>>()
    };
    let change = async |come: &[(&str, &str)], gone: &[&str]| {
        let occupants = come.iter().map(|(session, nick)| occupant(session, nick)).collect();
        let gone = gone.iter().map(|session| FullJid::parse(session).unwrap()).collect();
        let change = RoomChange { occupants, gone, ..RoomChange::default() };
        assert!(s.rooms().change(&coven(), change).await.unwrap());
    };
    let expect = |all: &[(&str, &str)]| {
        all.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<Vec<_>>()
    };
    assert_eq!(occupied(&s).await, [""; 0]);
    change(&[("b@localhost/1", "b"), ("a@localhost/1", "a")], &[]).await;
    assert_eq!(sessions().await, expect(&[("a@localhost/1", "a"), ("b@localhost/1", "b")]));
    assert_eq!(occupied(&s).await, [ROOM]);
    // Another nickname; one goes and comes again.
    change(&[("a@localhost/1", "c"), ("b@localhost/1", "d")], &["b@localhost/1", "x@localhost/1"])
        .await;
    assert_eq!(sessions().await, expect(&[("a@localhost/1", "c"), ("b@localhost/1", "d")]));
    change(&[], &["a@localhost/1"]).await;
    assert_eq!(occupied(&s).await, [ROOM]);
    change(&[], &["b@localhost/1"]).await;
    assert_eq!((sessions().await, occupied(&s).await), (vec![], vec![]));
    // A room that is not persistent is one to begin with, though nobody is in it.
    for (is_persistent, expected) in [(false, &[ROOM][..]), (true, &[])] {
        let settings = Some(RoomSettings { is_persistent, ..room("Coven").settings });
        let change = RoomChange { settings, ..RoomChange::default() };
        assert!(s.rooms().change(&coven(), change).await.unwrap());
        assert_eq!(occupied(&s).await, expected);
    }
}

pub(crate) async fn a_room_takes_many_people_at_once(s: Arc<dyn Storage>) {
    create(&s, ROOM, &room("Coven")).await;
    let jid = |n: usize| format!("u{n:04}@localhost");
    let member = |n| member(&jid(n), RoomAffiliation::Member, n as i64);
    let occupant = |n| occupant(&format!("{}/1", jid(n)), "nick");
    let members: Vec<_> = (0..1_000).map(member).collect();
    let occupants: Vec<_> = (0..700).map(occupant).collect();
    let change = RoomChange { members, occupants, ..RoomChange::default() };
    assert!(s.rooms().change(&coven(), change.clone()).await.unwrap());
    let found = load(&s).await;
    assert!(found.members == change.members && found.occupants == change.occupants);
    let forget_members = (1..1_000).map(|n| user(&jid(n))).collect();
    let gone = change.occupants[1..].iter().map(|one| one.session.clone()).collect();
    let less = RoomChange { forget_members, gone, ..RoomChange::default() };
    assert!(s.rooms().change(&coven(), less).await.unwrap());
    let found = load(&s).await;
    assert_eq!((found.members, found.occupants), (vec![member(0)], vec![occupant(0)]));
}

pub(crate) async fn a_room_has_no_quota_unless_it_gets_one(s: Arc<dyn Storage>) {
    s.usage().set_default_quota(2_000);
    create(&s, ROOM, &full_room()).await;
    assert_eq!(s.usage().quota(&coven()).await.unwrap(), Some(u64::MAX));
    let mut all = Vec::new();
    for n in 0..10 {
        all.push(say(&s, n, 1_000).await);
    }
    assert_eq!(said(&s).await, all);
    s.usage().set_default_quota(1_000);
    all.push(say(&s, 11, 1_000).await);
    assert_eq!(said(&s).await, all);
    // With one of its own, it forgets the oldest: what is said in the room is as if it had said it itself.
    s.usage().set_quota(&coven(), Some(5_000)).await.unwrap();
    let newest = say(&s, 12, 1_000).await;
    let left = said(&s).await;
    assert!((2..5).contains(&left.len()) && left.last() == Some(&newest), "{left:?}");
    let change = RoomChange { subject: Some(Some("x".repeat(9_000))), ..RoomChange::default() };
    assert!(s.rooms().change(&coven(), change).await.unwrap(), "only the archive counts");
}

#[tokio::test]
async fn rooms_are_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let s: Arc<dyn Storage> = open(dir.path()).await.unwrap();
    s.usage().set_default_quota(2_000);
    create(&s, ROOM, &full_room()).await;
    create(&s, "empty@rooms.localhost", &room("x")).await;
    let mut all = vec![say(&s, 1, 1_900).await];
    s.close().await;
    let s: Arc<dyn Storage> = open(dir.path()).await.unwrap();
    s.usage().set_default_quota(2_000);
    assert_eq!((load(&s).await, occupied(&s).await), (full_room(), vec![ROOM.to_owned()]));
    all.push(say(&s, 2, 1_900).await);
    all.push(say(&s, 3, 1_900).await);
    assert_eq!(said(&s).await, all);
    s.close().await;
}
