//! Lists of rooms.

use std::sync::Arc;

use waxwing::storage::{
    RoomAffiliation, RoomChange, RoomQuery, RoomSettings, RoomSummary, Storage, StoredRoom,
};

use crate::cases::{at, fill, make, user};
use crate::rooms::{coven, create, member, occupant, room};

const ALL: RoomQuery<'static> = RoomQuery {
    domain: "rooms.localhost",
    public_only: false,
    text: None,
    after: None,
    before: None,
    limit: 100,
};

fn public(name: &str, description: &str) -> StoredRoom {
    let description = description.to_owned();
    let settings = RoomSettings { is_public: true, description, ..room(name).settings };
    StoredRoom { settings, ..room(name) }
}

/// The local parts of the rooms that are found.
async fn found(s: &Arc<dyn Storage>, query: RoomQuery<'_>) -> Vec<String> {
    let rooms = s.rooms().list(query).await.unwrap();
    rooms.iter().map(|room| room.room.local().unwrap().to_owned()).collect()
}

pub(crate) async fn rooms_are_listed_in_order_and_by_page(s: Arc<dyn Storage>) {
    make(&s, &["a@localhost"]).await;
    assert_eq!(s.rooms().list(ALL).await.unwrap(), []);
    // `-` sorts before `@`: order is that of the whole text.
    for local in ["d", "b", "a-b", "a", "c"] {
        create(&s, &format!("{local}@rooms.localhost"), &room(local)).await;
    }
    create(&s, "b@rooms.example", &room("b")).await;
    create(&s, "bb@rooms.localhost", &public("Public", "for all")).await;
    fill(&s, &user("ab@rooms.localhost")).await;
    assert_eq!(found(&s, ALL).await, ["a-b", "a", "b", "bb", "c", "d"]);
    let rooms = s.rooms().list(RoomQuery { public_only: true, ..ALL }).await.unwrap();
    let expected = RoomSummary {
        room: user("bb@rooms.localhost"),
        name: "Public".into(),
        description: "for all".into(),
        language: "en".into(),
        is_public: true,
        is_persistent: true,
        created: at(1_000),
        creator: user("crone1@localhost"),
    };
    assert_eq!(rooms, [expected]);

    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = s.rooms().list(RoomQuery { after: after.as_ref(), limit: 4, ..ALL });
        let page = page.await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.room.clone());
        seen.extend(page.iter().map(|room| room.room.local().unwrap().to_owned()));
    }
    assert_eq!(seen, ["a-b", "a", "b", "bb", "c", "d"]);
    let [b, bc, c, d] = ["b", "bc", "c", "d"].map(|l| user(&format!("{l}@rooms.localhost")));
    let before = |before| RoomQuery { before: Some(before), limit: 2, ..ALL };
    assert_eq!(found(&s, before(&d)).await, ["bb", "c"]);
    assert_eq!(found(&s, before(&bc)).await, ["b", "bb"]);
    assert_eq!(found(&s, before(&b)).await, ["a-b", "a"]);
    assert_eq!(found(&s, RoomQuery { after: Some(&b), ..before(&c) }).await, ["bb"]);
    assert_eq!(found(&s, RoomQuery { after: Some(&bc), ..ALL }).await, ["c", "d"]);
    let end = user("rooms.localhost");
    assert_eq!(found(&s, before(&end)).await, ["c", "d"], "the last of all");
    assert_eq!(found(&s, RoomQuery { public_only: true, ..before(&end) }).await, ["bb"]);
    assert_eq!(found(&s, RoomQuery { limit: 0, ..ALL }).await, [""; 0]);
    assert_eq!(found(&s, RoomQuery { domain: "nowhere", ..ALL }).await, [""; 0]);
}

pub(crate) async fn rooms_are_found_by_their_words(s: Arc<dyn Storage>) {
    for (local, name, description) in [
        ("darkcave", "A Dark Cave", "100% witches!"),
        ("forres", "The Palace", "König DUNCAN"),
        ("heath", "", "under_score, a dark place"),
    ] {
        create(&s, &format!("{local}@rooms.localhost"), &public(name, description)).await;
    }
    create(&s, "hidden@rooms.localhost", &room("dark")).await;
    for (text, expected) in [
        ("DARK", &["darkcave", "heath", "hidden"][..]),
        ("dark place", &["heath"]),
        ("cave \t kc", &["darkcave"]),
        ("könig duncan", &["forres"]),
        ("KÖNIG", &["forres"]),
        ("forr palace", &["forres"]),
        ("localhost", &[]),
        ("0%", &["darkcave"]),
        ("r_s", &["heath"]),
        ("%", &["darkcave"]),
        ("_", &["heath"]),
        ("!", &["darkcave"]),
        ("dark nowhere", &[]),
        ("", &["darkcave", "forres", "heath", "hidden"]),
        (" ", &["darkcave", "forres", "heath", "hidden"]),
    ] {
        let query = RoomQuery { text: Some(text), ..ALL };
        assert_eq!(found(&s, query).await, expected, "{text:?}");
    }
    let dark = RoomQuery { text: Some("dark"), public_only: true, ..ALL };
    assert_eq!(found(&s, dark).await, ["darkcave", "heath"]);
    assert_eq!(found(&s, RoomQuery { limit: 1, ..dark }).await, ["darkcave"]);
    let end = user("rooms.localhost");
    assert_eq!(found(&s, RoomQuery { limit: 1, before: Some(&end), ..dark }).await, ["heath"]);
    let many = "dark ".repeat(5_000) + &"x".repeat(100_000);
    assert_eq!(found(&s, RoomQuery { text: Some(&many), ..dark }).await.len(), 2);
    // What is found follows the settings.
    let settings = Some(RoomSettings { is_public: true, ..room("bright").settings });
    let change = RoomChange { settings, ..RoomChange::default() };
    assert!(s.rooms().change(&user("heath@rooms.localhost"), change).await.unwrap());
    assert_eq!(found(&s, dark).await, ["darkcave"]);
    assert_eq!(found(&s, RoomQuery { text: Some("bright"), ..dark }).await, ["heath"]);
}

pub(crate) async fn rooms_are_counted(s: Arc<dyn Storage>) {
    make(&s, &["a@rooms.localhost"]).await;
    create(&s, "b@rooms.localhost", &room("b")).await;
    create(&s, "c@rooms.localhost", &public("c", "")).await;
    create(&s, "d@rooms.example", &public("d", "")).await;
    let count = async |domain: &str, public_only| s.rooms().count(domain, public_only).await;
    assert_eq!(count("rooms.localhost", false).await.unwrap(), 2);
    assert_eq!(count("rooms.localhost", true).await.unwrap(), 1);
    assert_eq!(count("nowhere", false).await.unwrap(), 0);
    let settings = Some(RoomSettings { is_public: true, ..room("b").settings });
    let change = RoomChange { settings, ..RoomChange::default() };
    assert!(s.rooms().change(&user("b@rooms.localhost"), change).await.unwrap());
    assert_eq!(count("rooms.localhost", true).await.unwrap(), 2);
    assert!(s.rooms().remove(&user("b@rooms.localhost")).await.unwrap());
    assert_eq!(count("rooms.localhost", false).await.unwrap(), 1);
}

pub(crate) async fn a_server_begins_with_rooms_that_are_in_use(s: Arc<dyn Storage>) {
    let occupants = vec![occupant("a@localhost/1", "a"), occupant("b@localhost/1", "b")];
    let used = StoredRoom { occupants, ..room("x") };
    let settings = RoomSettings { is_persistent: false, ..room("x").settings };
    let temporary = StoredRoom { settings: settings.clone(), ..room("x") };
    let both = StoredRoom { settings, ..used.clone() };
    for (jid, new) in [
        ("d@rooms.localhost", &used),
        ("a@rooms.localhost", &both),
        ("b@rooms.localhost", &room("x")),
        ("c@rooms.example", &temporary),
    ] {
        create(&s, jid, new).await;
    }
    let rooms = async |after: Option<&str>, limit| {
        let after = after.map(user);
        let rooms = s.rooms().occupied(after.as_ref(), limit).await.unwrap();
        rooms.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let all = ["a@rooms.localhost", "c@rooms.example", "d@rooms.localhost"];
    assert_eq!(rooms(None, 9).await, all);
    assert_eq!(rooms(None, 2).await, all[..2]);
    assert_eq!(rooms(Some(all[0]), 9).await, all[1..]);
    assert_eq!(rooms(Some("b@rooms.localhost"), 1).await, all[1..2]);
    assert_eq!(rooms(Some(all[2]), 9).await, [""; 0]);
}

pub(crate) async fn rooms_that_mention_somebody_are_found(s: Arc<dyn Storage>) {
    let mentions = |text: &str| StoredRoom { extra: Some(text.to_owned()), ..room("x") };
    for (jid, new) in [
        ("c@rooms.localhost", mentions(r#"{"a":["hag66@localhost","x"]}"#)),
        ("b@rooms.localhost", mentions(r#"{"a":["hag_6@localhost"]}"#)),
        ("a@rooms.localhost", mentions(r#"{"b":"hag66@localhost"}"#)),
        ("a@rooms.example", mentions(r#"{"b":"hag66@localhost"}"#)),
        ("d@rooms.localhost", mentions(r#"{"b":"xhag66@localhost"}"#)),
        ("e@rooms.localhost", StoredRoom { extra: None, ..room("x") }),
    ] {
        create(&s, jid, &new).await;
    }
    let found = async |text: &str, after: Option<&str>, limit| {
        let after = after.map(user);
        let rooms = s.rooms().mentioning("rooms.localhost", text, after.as_ref(), limit).await;
        rooms.unwrap().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let all = ["a@rooms.localhost", "c@rooms.localhost"];
    assert_eq!(found(r#""hag66@localhost""#, None, 9).await, all);
    assert_eq!(found(r#""hag66@localhost""#, None, 1).await, all[..1]);
    assert_eq!(found(r#""hag66@localhost""#, Some(all[0]), 9).await, all[1..]);
    assert_eq!(found(r#""hag_6@localhost""#, None, 9).await, ["b@rooms.localhost"]);
}

pub(crate) async fn a_user_is_found_in_rooms(s: Arc<dyn Storage>) {
    let hecate = "hecate@localhost";
    let (none, outcast) = (RoomAffiliation::None, RoomAffiliation::Outcast);
    for (jid, affiliation) in [
        ("c@rooms.localhost", RoomAffiliation::Owner),
        ("b@rooms.localhost", none),
        ("a@rooms.example", outcast),
        ("d@rooms.localhost", RoomAffiliation::Member),
    ] {
        let members =
            vec![member(hecate, affiliation, 1), member("x@localhost", RoomAffiliation::Owner, 2)];
        create(&s, jid, &StoredRoom { members, ..room("x") }).await;
    }
    create(&s, coven().as_str(), &room("x")).await;
    let hecate = user(hecate);
    let all = s.rooms().rooms_of(&hecate, None, 9).await.unwrap();
    let jids: Vec<_> = all.iter().map(|(jid, _)| jid.as_str()).collect();
    assert_eq!(jids, ["a@rooms.example", "c@rooms.localhost", "d@rooms.localhost"]);
    assert_eq!(all[0].1, member(hecate.as_str(), outcast, 1));
    let first = user("a@rooms.example");
    assert_eq!(s.rooms().rooms_of(&hecate, Some(&first), 1).await.unwrap(), all[1..2]);
    let members = vec![member(hecate.as_str(), none, 3)];
    let change = RoomChange { members, ..RoomChange::default() };
    assert!(s.rooms().change(&first, change).await.unwrap());
    assert_eq!(s.rooms().rooms_of(&hecate, None, 9).await.unwrap(), all[1..]);
    assert_eq!(s.rooms().rooms_of(&user("y@localhost"), None, 9).await.unwrap(), []);
}
