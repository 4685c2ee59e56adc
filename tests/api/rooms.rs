//! Programs in group chats: they write to rooms and read them.

use serde_json::{Value, json};
use waxwing::host::rooms::Rooms;
use waxwing::jid::BareJid;
use waxwing::storage::RoomAffiliation;

use crate::test_server::{Answer, TestServer, user};

const ROOM: &str = "garden@conference.localhost";

/// A room of the nurse, of which Romeo is a member.
async fn garden(server: &TestServer) -> BareJid {
    let room = BareJid::parse(ROOM).unwrap();
    let rooms = server.server.state().shared::<Rooms>().administration().unwrap();
    rooms.create(&room, &user("nurse"), false).await.unwrap();
    let member = RoomAffiliation::Member;
    rooms.set_affiliation(&room, &user("romeo"), member, None).await.unwrap();
    room
}

async fn say(server: &TestServer, token: &str, to: &str, body: &str) -> Answer {
    let message = json!({ "to": to, "body": body, "type": "groupchat" });
    server.send(token, &message.to_string()).await
}

async fn set(server: &TestServer, room: &BareJid, field: &str, value: &str) {
    let rooms = server.server.state().shared::<Rooms>().administration().unwrap();
    rooms.set(room, field, &[value.to_owned()]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_member_writes_to_a_room_and_reads_it() {
    let server = TestServer::new("").await;
    garden(&server).await;
    let romeo = server.token("romeo", "send read", None).await;
    let nurse = server.token("nurse", "read", None).await;
    let mut events = server.follow(&nurse, &format!("?room={ROOM}"), "").await;
    let sent = say(&server, &romeo, ROOM, "soft").await;
    assert_eq!((sent.status, &sent.json["to"]), (201, &json!(ROOM)), "{sent:?}");
    let read = server.get(&romeo, &format!("messages?room={ROOM}")).await;
    let messages = read.json["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 1, "{read:?}");
    let message = &messages[0];
    for (name, value) in [
        ("body", json!("soft")),
        ("type", json!("groupchat")),
        ("from", json!(format!("{ROOM}/romeo"))),
        ("id", sent.json["id"].clone()),
        // Nobody learns who an occupant is.
        ("with", Value::Null),
        ("direction", Value::Null),
    ] {
        assert_eq!(message[name], value, "{name}: {message}");
    }
    assert!(!message.to_string().contains("romeo@localhost"), "{message}");
    let (id, event) = events.next().await.unwrap();
    assert_eq!((json!(id), &event["body"]), (message["stanza_id"].clone(), &json!("soft")));
    // The nickname that is registered is that of the program, too.
    assert_eq!(server.server.state().sessions.count(), 0);
    server.close().await;
}

#[tokio::test]
async fn a_room_refuses_programs_as_it_refuses_their_users() {
    let server = TestServer::new("").await;
    let room = garden(&server).await;
    let romeo = server.token("romeo", "send read", None).await;
    let juliet = server.token("juliet", "send read", None).await;
    for (token, to, condition) in [
        (&juliet, ROOM, "forbidden"),
        (&romeo, "nowhere@conference.localhost", "item-not-found"),
        (&romeo, "garden@conference.localhost/nurse", "bad-request"),
        (&romeo, "juliet@localhost", "not-acceptable"),
        (&romeo, "garden@conference.elsewhere.example", "not-acceptable"),
    ] {
        let answer = say(&server, token, to, "x").await;
        assert_eq!((answer.status, answer.problem()), (422, "not-delivered"), "{to}: {answer:?}");
        assert_eq!(answer.json["condition"], condition, "{to}");
    }
    let private = json!({ "to": ROOM, "body": "x" }).to_string();
    assert_eq!(server.send(&romeo, &private).await.json["condition"], "not-acceptable");
    set(&server, &room, "muc#roomconfig_membersonly", "1").await;
    let read = async |token: &str, room: &str| {
        let answer = server.get(token, &format!("messages?room={room}")).await;
        (answer.status, if answer.status == 200 { String::new() } else { answer.problem().into() })
    };
    assert_eq!(read(&romeo, ROOM).await, (200, String::new()));
    for (token, room) in
        [(&juliet, ROOM), (&romeo, "nowhere@conference.localhost"), (&romeo, "juliet@localhost")]
    {
        assert_eq!(read(token, room).await, (404, "no-room".to_owned()), "{room}");
    }
    let both = server.get(&romeo, &format!("messages?room={ROOM}&with=juliet@localhost")).await;
    assert_eq!(both.problem(), "bad-request");
    let sender = server.token("romeo", "send", None).await;
    let refused = server.get(&sender, &format!("messages?room={ROOM}")).await;
    assert_eq!(refused.problem(), "lacks-scope");
    server.close().await;
}
