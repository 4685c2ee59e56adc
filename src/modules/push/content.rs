//! How much of a message its notification contains. Notifications go through third parties, so by default it is
//! nothing. A client cannot change that: XEP-0357 §9 wants it out of band. Users do it on their own page, and an
//! administrator does it for a user who asks.

use crate::jid::{BareJid, Jid};
use crate::stanza::{Message, message_text};
use crate::storage::{self, Storage};
use crate::xml::{Frame, element};

/// How much of a message its notification contains.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Content {
    /// That there is one.
    #[default]
    Nothing,
    /// Who has sent it, too.
    Sender,
    /// Its text, too, if it is not encrypted.
    Body,
}

/// What a notification contains of the last message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Last {
    pub(super) sender: Jid,
    pub(super) body: Option<String>,
}

impl Content {
    /// The words, for commands.
    pub const WORDS: &[&str] = &["nothing", "sender", "body"];

    /// The word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Sender => "sender",
            Self::Body => "body",
        }
    }

    /// The meaning of a word. An unknown word means nothing.
    #[must_use]
    pub fn of_word(word: &str) -> Self {
        match word {
            "sender" => Self::Sender,
            "body" => Self::Body,
            _ => Self::Nothing,
        }
    }

    /// The setting of an account.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn of(storage: &dyn Storage, user: &BareJid) -> storage::Result<Self> {
        let kept = storage.documents().get(user, KIND, "").await?;
        let frame = kept.and_then(|kept| Frame::from_bytes(kept).ok());
        let tell = frame.as_ref().and_then(|frame| frame.root().attr("tell"));
        Ok(tell.map_or(Self::Nothing, |tell| Self::of_word(&tell)))
    }

    /// Stores the setting of an account. The caller tells the server that it has changed.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn store(self, storage: &dyn Storage, user: &BareJid) -> storage::Result<()> {
        match self {
            Self::Nothing => storage.documents().remove(user, KIND, "").await.map(drop),
            _ => {
                let xml = element("content").attr("tell", self.word()).to_xml();
                storage.documents().put(user, KIND, "", &xml).await
            }
        }
    }

    /// What a notification of this message contains of it.
    pub(super) fn last(self, message: &Message) -> Option<Last> {
        let sender = message.head.from.clone().filter(|_| self != Self::Nothing)?;
        let body = message_text(message).filter(|_| self == Self::Body);
        let body = body.map(|body| match body.char_indices().nth(MAX_BODY) {
            None => body,
            Some((end, _)) => body[..end].to_owned(),
        });
        Some(Last { sender, body })
    }
}

/// The kind of document.
const KIND: &str = "push";
/// Characters of a text. Notifications of Apple and Google have 4 KiB.
const MAX_BODY: usize = 500;
