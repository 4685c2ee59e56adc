//! The commands about rooms, with rooms that only note what they are told.

use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::json;

use super::{code_of, context, json_of, request, run};
use crate::admin::{Answer, Code};
use crate::host::rooms::{
    OccupantRow, RoomAdministration, RoomCount, RoomError, RoomFacts, RoomRow,
};
use crate::jid::{BareJid, Jid};
use crate::payload::datetime::Timestamp;
use crate::storage::{RoomAffiliation, RoomMember};

/// Has the room `garden`, and notes what is done with rooms.
#[derive(Default)]
pub(super) struct NotingRooms(Mutex<Vec<String>>);

impl NotingRooms {
    fn note(&self, what: String) -> Result<(), RoomError> {
        self.0.lock().push(what);
        Ok(())
    }
}

fn jid(text: &str) -> BareJid {
    BareJid::parse(text).unwrap()
}

fn garden() -> RoomRow {
    RoomRow {
        room: jid("garden@conference.localhost"),
        name: "The Garden".to_owned(),
        occupants: 1,
        is_public: true,
        is_persistent: true,
        created: Timestamp::from_micros(0),
    }
}

fn known(room: &BareJid) -> Result<RoomRow, RoomError> {
    let garden = garden();
    if garden.room == *room { Ok(garden) } else { Err(RoomError::NoRoom(room.clone())) }
}

#[async_trait]
impl RoomAdministration for NotingRooms {
    fn domains(&self) -> Vec<String> {
        vec!["conference.localhost".to_owned(), "conference.b.example".to_owned()]
    }

    async fn list(&self, domain: &str, all: bool) -> Result<Vec<RoomRow>, RoomError> {
        let tomb = RoomRow { room: jid("tomb@conference.b.example"), is_public: false, ..garden() };
        let rooms = [garden(), tomb].into_iter().filter(|row| row.room.domain() == domain);
        Ok(rooms.filter(|row| all || row.is_public).collect())
    }

    async fn show(&self, room: &BareJid) -> Result<RoomFacts, RoomError> {
        Ok(RoomFacts {
            row: known(room)?,
            creator: jid("juliet@localhost"),
            subject: None,
            affiliations: [1, 0, 2, 0],
            settings: vec![("muc#roomconfig_roomname".to_owned(), vec!["The Garden".to_owned()])],
        })
    }

    async fn count(&self, _: &str) -> Result<RoomCount, RoomError> {
        Ok(RoomCount { stored: 7, in_memory: 2, occupants: 3 })
    }

    async fn create(&self, room: &BareJid, owner: &BareJid, force: bool) -> Result<(), RoomError> {
        if known(room).is_ok() {
            return Err(RoomError::Exists(room.clone()));
        }
        self.note(format!("create {room} {owner}{}", if force { " by force" } else { "" }))
    }

    async fn destroy(
        &self,
        room: &BareJid,
        reason: Option<&str>,
        alternative: Option<&BareJid>,
    ) -> Result<usize, RoomError> {
        self.note(format!("destroy {} {reason:?} {alternative:?}", known(room)?.room))?;
        Ok(1)
    }

    async fn set(&self, room: &BareJid, field: &str, values: &[String]) -> Result<(), RoomError> {
        self.note(format!("{}: {field} = {}", known(room)?.room, values.join("|")))
    }

    async fn set_affiliation(
        &self,
        room: &BareJid,
        user: &BareJid,
        affiliation: RoomAffiliation,
        _: Option<&str>,
    ) -> Result<(), RoomError> {
        self.note(format!("{}: {user} {}", known(room)?.room, affiliation.as_str()))
    }

    async fn members(
        &self,
        room: &BareJid,
        affiliation: Option<RoomAffiliation>,
    ) -> Result<Vec<RoomMember>, RoomError> {
        known(room)?;
        let member = RoomMember {
            jid: jid("juliet@localhost"),
            affiliation: RoomAffiliation::Owner,
            nick: None,
            reason: None,
            since: Timestamp::from_micros(0),
            version: 1,
        };
        let is_wanted = affiliation.is_none_or(|wanted| wanted == member.affiliation);
        Ok(is_wanted.then_some(member).into_iter().collect())
    }

    async fn occupants(&self, room: &BareJid) -> Result<Vec<OccupantRow>, RoomError> {
        known(room)?;
        Ok(vec![OccupantRow {
            nick: "Juliet".to_owned(),
            sessions: vec![Jid::parse("juliet@localhost/balcony").unwrap()],
            role: "moderator",
            affiliation: RoomAffiliation::Owner,
        }])
    }

    async fn kick(&self, room: &BareJid, nick: &str, _: Option<&str>) -> Result<(), RoomError> {
        match nick {
            "Juliet" => self.note(format!("kick {}", known(room)?.room)),
            _ => Err(RoomError::NoOccupant(room.clone(), nick.to_owned())),
        }
    }
}

#[tokio::test]
async fn rooms_are_listed_and_shown() {
    let (cx, _) = context();
    let all = json!({"all": true});
    let count = async |domain: Option<&str>, arguments| {
        let request =
            super::Request { domain: domain.map(str::to_owned), ..request("room list", arguments) };
        match run(cx.clone(), &request).await {
            Answer::Ok(super::Outcome::Table { rows, .. }) => rows.len(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(count(None, json!({})).await, 1);
    assert_eq!(count(None, all.clone()).await, 2);
    assert_eq!(count(Some("b.example"), all).await, 1);
    let shown = json_of(&cx, "room show", json!({"room": "garden"})).await;
    assert_eq!(shown["room"], "garden@conference.localhost");
    assert_eq!(shown["settings"], json!([{"field": "roomname", "values": ["The Garden"]}]));
    assert_eq!(code_of(&cx, "room show", json!({"room": "tomb"})).await, Code::NotFound);
    assert_eq!(code_of(&cx, "room show", json!({"room": "a@b/c"})).await, Code::Invalid);
    for command in ["room members", "room occupants"] {
        let request = request(command, json!({"room": "garden"}));
        let Answer::Ok(super::Outcome::Table { rows, .. }) = run(cx.clone(), &request).await else {
            panic!("{command} is a table");
        };
        assert_eq!(rows.len(), 1, "{command}");
    }
}

#[tokio::test]
async fn a_room_is_told_what_is_to_be_done() {
    let (cx, running) = context();
    for (command, arguments) in [
        ("room create", json!({"room": "tomb", "owner": "romeo"})),
        ("room set", json!({"room": "garden", "field": "roomname", "value": "A, B"})),
        (
            "room set",
            json!({"room": "garden", "field": "presencebroadcast", "value": "moderator, visitor"}),
        ),
        ("room set", json!({"room": "garden", "field": "maxhistoryfetch", "value": "7"})),
        ("room member", json!({"room": "garden", "user": "romeo", "affiliation": "member"})),
        (
            "room member",
            json!({"room": "garden", "user": "@evil.example", "affiliation": "outcast"}),
        ),
        ("room kick", json!({"room": "garden", "nick": "Juliet"})),
        ("room destroy", json!({"room": "garden@conference.localhost", "alternative": "tomb"})),
    ] {
        json_of(&cx, command, arguments).await;
    }
    let room = "garden@conference.localhost";
    let told = running.2.0.lock().clone();
    assert_eq!(told[0], "create tomb@conference.localhost romeo@localhost");
    assert_eq!(told[1], format!("{room}: muc#roomconfig_roomname = A, B"));
    assert_eq!(told[2], format!("{room}: muc#roomconfig_presencebroadcast = moderator|visitor"));
    assert_eq!(told[3], format!("{room}: muc#maxhistoryfetch = 7"));
    assert_eq!(told[4], format!("{room}: romeo@localhost member"));
    assert_eq!(told[5], format!("{room}: evil.example outcast"));
    assert_eq!(told[6], format!("kick {room}"));
    assert!(told[7].starts_with(&format!("destroy {room} None Some(")), "{}", told[7]);
    assert_eq!(told.len(), 8);
}

#[tokio::test]
async fn what_cannot_be_done_with_a_room_is_said() {
    let (mut cx, _) = context();
    for (command, arguments, code) in [
        ("room create", json!({"room": "garden", "owner": "romeo"}), Code::Conflict),
        ("room create", json!({"room": "tomb"}), Code::Invalid),
        ("room kick", json!({"room": "garden", "nick": "Romeo"}), Code::NotFound),
        (
            "room set",
            json!({"room": "garden", "field": "roomsecret", "value": "sesame"}),
            Code::Invalid,
        ),
    ] {
        assert_eq!(code_of(&cx, command, arguments.clone()).await, code, "{command} {arguments}");
    }
    cx.running = None;
    assert_eq!(code_of(&cx, "room list", json!({})).await, Code::NotRunning);
}
