//! XEP-0492: Chat notification settings. A user sets, in the bookmark of a chat, which of its messages notify; other
//! messages wake no device.
//!
//! A bookmark may be of a room, or of any other address for which the client has made one. Devices that register for
//! pushes count as mobile devices (`payload/notification_settings.rs`). `<advanced/>` is ignored, since only clients
//! understand it: they evaluate it when they are awake.
//!
//! Without a setting, all messages of a private room notify, and of a public room those that mention the user
//! (XEP-0492 §3). A room is private if it is members-only.
//!
//! DEPARTS: XEP-0492 §3 – without a setting, all messages of rooms on other servers notify. The server does not know
//! whether such a room is public.

use rustc_hash::FxHashMap;

use crate::archive::importance::Importance;
use crate::archive::mention::Occupant;
use crate::host::lifecycle::RoomListener;
use crate::host::{ServerState, bookmarks};
use crate::jid::BareJid;
use crate::ns;
use crate::payload::notification_settings::Notify;
use crate::stanza::{Message, MessageKind};
use crate::storage::{self, StorageError};

/// The settings of an account, by chat.
#[derive(Debug, Default)]
pub(super) struct Settings(FxHashMap<String, Setting>);

#[derive(Debug)]
struct Setting {
    /// `None`: the user has chosen nothing.
    notify: Option<Notify>,
    /// The bookmark has `autojoin` (XEP-0402 §4).
    autojoin: bool,
    /// The nickname in the room.
    nick: String,
}

impl Settings {
    /// Reads them.
    ///
    /// # Errors
    /// If the store fails.
    pub(super) async fn of(server: &ServerState, user: &BareJid) -> storage::Result<Self> {
        let mut all = FxHashMap::default();
        let rooms = match bookmarks::rooms(server, user).await {
            // More bytes of bookmarks than are read at once: all messages notify.
            Err(StorageError::Limit(_)) => return Ok(Self(all)),
            rooms => rooms?,
        };
        for bookmark in rooms {
            let notify = Notify::in_bookmark(&bookmark.extensions);
            let autojoin = bookmark.autojoin;
            // Clients without a nickname enter under the name of the account.
            let nick = bookmark.nick.or(user.local().map(str::to_owned)).unwrap_or_default();
            all.insert(bookmark.room.to_string(), Setting { notify, autojoin, nick });
        }
        Ok(Self(all))
    }

    /// About how many bytes they occupy.
    pub(super) fn bytes(&self) -> usize {
        let texts = self.0.iter().map(|(chat, setting)| chat.len() + setting.nick.len());
        self.0.len() * size_of::<(String, Setting)>() + texts.sum::<usize>()
    }

    /// Whether a message of this importance notifies.
    pub(super) fn notifies(&self, user: &BareJid, message: &Message, what: Importance) -> bool {
        let Some(chat) = message.head.from.as_ref().map(|from| from.bare_str()) else {
            return true;
        };
        let Some(setting) = self.0.get(chat) else { return true };
        let is_of_room = message.kind == MessageKind::Groupchat;
        match setting.notify.unwrap_or(Notify::Always) {
            Notify::Always => true,
            Notify::OnMention if is_of_room => {
                Occupant { user, room: chat, nick: &setting.nick }.is_mentioned(message)
            }
            // A message to one user is for that user.
            Notify::OnMention => true,
            Notify::Never if is_of_room => false,
            // A call is no message. An invitation to a room, and what an occupant writes to one user, are other chats.
            Notify::Never => {
                what == Importance::Call
                    || message.content.received_children().any(|child| child.ns() == ns::MUC_USER)
            }
        }
    }

    /// Whether a groupchat message of a room on this server notifies. `listener`: the user, and how it is called in the
    /// room. If the user is not in it, only a bookmark with `autojoin` makes the room notify, and has the nickname.
    pub(super) fn room_notifies(
        &self,
        listener: RoomListener<'_>,
        message: &Message,
        is_private: bool,
    ) -> bool {
        let Some(room) = message.head.from.as_ref().map(|from| from.bare_str()) else {
            return false;
        };
        let setting = self.0.get(room);
        if listener.nick.is_none() && !setting.is_some_and(|setting| setting.autojoin) {
            return false;
        }
        let default = if is_private { Notify::Always } else { Notify::OnMention };
        let bookmarked = setting.map_or("", |setting| &setting.nick);
        let nick = listener.nick.unwrap_or(bookmarked);
        match setting.and_then(|setting| setting.notify).unwrap_or(default) {
            Notify::Always => true,
            Notify::OnMention => Occupant { user: listener.user, room, nick }.is_mentioned(message),
            Notify::Never => false,
        }
    }
}
