//! All clients of an account are in the same rooms, if the user wants that. A client enters the rooms whose bookmarks
//! have `autojoin` (XEP-0402 §2), and is told of changes of bookmarks. So when the user enters a room with one client,
//! its bookmark gets `autojoin` and the password of the room; when the user leaves the room, or may no longer be in it,
//! the bookmark loses `autojoin`. The server makes no client enter or leave: clients do that themselves.
//!
//! It is off until the user switches it on by a command, since not all users want all rooms on all devices. It works
//! for rooms of this server: of others, it does not know who has left.

use async_trait::async_trait;
use serde_json::Value;

use crate::config::Config;
use crate::host::command::{CommandError, Outcome};
use crate::host::lifecycle::{Event, EventKind, Listener};
use crate::host::room_readers::ReadableRooms;
use crate::host::{AccountCommand, Cx, Manifest, Module, Registry, bookmarks};
use crate::jid::BareJid;
use crate::payload::bookmarks::Bookmark;
use crate::payload::data_form::{Field, FieldKind, Form, FormKind, Submitted};
use crate::session::SessionRef;
use crate::stanza::StanzaError;
use crate::storage::{self, Storage, StorageError};

/// Keeps the bookmarks of an account in step with the rooms that the user is in.
pub struct RoomBookmarks;

impl Module for RoomBookmarks {
    fn manifest(&self) -> &'static Manifest {
        &Manifest {
            name: NAME,
            summary: "Keeps bookmarks in step with the rooms that a user enters and leaves",
            xeps: &[],
        }
    }

    fn register(&self, _: &mut Registry) {}

    /// Without rooms there is nothing to follow.
    fn configure(&self, config: &Config, on: &mut Registry) {
        if config.room_services().next().is_some() {
            on.listener(EventKind::RoomEntered, &Self);
            on.listener(EventKind::RoomLeft, &Self);
            on.account_command(&Self);
        }
    }
}

#[async_trait]
impl Listener for RoomBookmarks {
    async fn on_event(&self, cx: &mut Cx<'_>, event: &Event<'_>) -> Result<(), StanzaError> {
        match event {
            Event::RoomEntered { session, room, nick, name, password } => {
                let Some((user, known)) = bookmarks_of(cx, session).await? else { return Ok(()) };
                if let Some(bookmark) = after_entering(known, room, (nick, name), *password) {
                    bookmarks::put(cx, &user, &bookmark, NAME).await?;
                }
            }
            Event::RoomLeft { session, room } => {
                let Some((user, known)) = bookmarks_of(cx, session).await? else { return Ok(()) };
                let Some(bookmark) = after_leaving(known, room) else { return Ok(()) };
                if !is_back(cx, room, session).await {
                    bookmarks::put(cx, &user, &bookmark, NAME).await?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// The user of a session with all bookmarks, if they are to be kept in step. They are not if they are more than are
/// read at once.
async fn bookmarks_of(
    cx: &Cx<'_>,
    session: &SessionRef,
) -> storage::Result<Option<(BareJid, Vec<Bookmark>)>> {
    let user = session.jid().to_bare();
    if session.is_anonymous() || !is_on(&*cx.server.storage, &user).await? {
        return Ok(None);
    }
    match bookmarks::rooms(cx.server, &user).await {
        Ok(known) => Ok(Some((user, known))),
        Err(StorageError::Limit(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The bookmark of a room that the user has entered. `None`: it is right as it is.
fn after_entering(
    known: Vec<Bookmark>,
    room: &BareJid,
    (nick, name): (&str, &str),
    password: Option<&str>,
) -> Option<Bookmark> {
    let nick = Some(nick.to_owned());
    let password = password.map(str::to_owned);
    match known.into_iter().find(|bookmark| bookmark.room == *room) {
        // The other devices enter with what the bookmark says.
        Some(bookmark) if bookmark.autojoin => (bookmark.password != password
            && password.is_some())
        .then_some(Bookmark { password, ..bookmark }),
        Some(bookmark) => {
            let password = password.or(bookmark.password);
            Some(Bookmark { autojoin: true, nick, password, ..bookmark })
        }
        None => Some(Bookmark {
            id: room.to_string(),
            room: room.clone(),
            name: Some(name.to_owned()).filter(|name| !name.is_empty()),
            autojoin: true,
            nick,
            password,
            extensions: String::new(),
        }),
    }
}

/// The bookmark of a room that the user has left. `None`: it is right as it is.
fn after_leaving(known: Vec<Bookmark>, room: &BareJid) -> Option<Bookmark> {
    let bookmark = known.into_iter().find(|bookmark| bookmark.room == *room);
    let bookmark = bookmark.filter(|bookmark| bookmark.autojoin)?;
    Some(Bookmark { autojoin: false, ..bookmark })
}

/// Whether the session has entered the room again.
async fn is_back(cx: &Cx<'_>, room: &BareJid, session: &SessionRef) -> bool {
    match cx.server.find_shared::<ReadableRooms>().and_then(ReadableRooms::readers) {
        Some(readers) => readers.has_session(cx.server, room, session.jid()).await,
        None => false,
    }
}

#[async_trait]
impl AccountCommand for RoomBookmarks {
    fn node(&self) -> &'static str {
        "room-bookmarks"
    }

    fn about(&self) -> &'static str {
        "Be in the same rooms on all devices"
    }

    async fn form(&self, cx: &mut Cx<'_>, user: &BareJid) -> Result<Option<Form>, CommandError> {
        let is_on = is_on(&*cx.server.storage, user).await?;
        let field = Field::new(FOLLOW, FieldKind::Boolean).label("Bookmarks follow the rooms");
        let field = field.value(if is_on { "1" } else { "0" });
        let form = Form::new(FormKind::Form).title(self.about()).instructions(INSTRUCTIONS);
        Ok(Some(form.field(field)))
    }

    async fn run(
        &self,
        cx: &mut Cx<'_>,
        user: &BareJid,
        form: &Submitted,
    ) -> Result<Outcome, CommandError> {
        let documents = cx.server.storage.documents();
        let invalid = |_| CommandError::Invalid(format!("`{FOLLOW}` is 1 or 0"));
        match form.boolean(FOLLOW).map_err(invalid)? {
            Some(true) => documents.put(user, KIND, "", ON).await?,
            Some(false) => drop(documents.remove(user, KIND, "").await?),
            // What is left out stays as it is.
            None => {}
        }
        let text = match is_on(&*cx.server.storage, user).await? {
            true => "Bookmarks follow the rooms that you enter and leave.",
            false => "Bookmarks stay as your clients write them.",
        };
        Ok(Outcome::Done { text: text.to_owned(), json: Value::Null })
    }
}

async fn is_on(storage: &dyn Storage, user: &BareJid) -> storage::Result<bool> {
    Ok(storage.documents().get(user, KIND, "").await?.is_some())
}

const INSTRUCTIONS: &str = "When you enter a room of this server, its bookmark says that your devices enter it by \
                            themselves. When you leave it, the bookmark stays, and says that no more.";
/// The name of the feature, and of what it changes.
const NAME: &str = "room_bookmarks";
/// The field of the form.
const FOLLOW: &str = "follow";
/// The kind of document that is there if it is on.
const KIND: &str = "room-bookmarks";
const ON: &str = "<on/>";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bookmark_changes_only_if_it_says_something_else() {
        let room = BareJid::parse("garden@conference.a.example").unwrap();
        let enters = |known: &[&Bookmark], password| {
            let known = known.iter().map(|known| (*known).clone()).collect();
            after_entering(known, &room, ("Juliet", "The Garden"), password)
        };
        let entered = |known: &[&Bookmark]| enters(known, None);
        let new = entered(&[]).unwrap();
        assert_eq!((new.name.as_deref(), new.autojoin), (Some("The Garden"), true));
        assert_eq!((new.id.as_str(), new.nick.as_deref()), (room.as_str(), Some("Juliet")));
        assert_eq!(entered(&[&new]), None);
        let locked = enters(&[], Some("sesame")).unwrap();
        assert_eq!(locked.password.as_deref(), Some("sesame"));
        assert_eq!(enters(&[&locked], Some("sesame")), None);
        assert_eq!(enters(&[&new], Some("sesame")), Some(locked));
        let left = after_leaving(vec![new.clone()], &room).unwrap();
        assert_eq!(left, Bookmark { autojoin: false, ..new.clone() });
        assert_eq!(after_leaving(vec![left.clone()], &room), None);
        assert_eq!(after_leaving(Vec::new(), &room), None);
        // The name and all else that the user has written stay.
        let own = Bookmark {
            name: Some("Orchard".to_owned()),
            extensions: "<extensions/>".to_owned(),
            ..left
        };
        assert_eq!(entered(&[&own]), Some(Bookmark { autojoin: true, ..own }));
        let other = Bookmark { room: BareJid::parse("tomb@conference.a.example").unwrap(), ..new };
        assert!(entered(&[&other]).is_some_and(|bookmark| bookmark.room == room));
    }
}
