//! The contacts of a user to whom presence goes, and from whom it is wanted.

use std::sync::Arc;

use crate::host::block_list::{self, BlockList};
use crate::host::contact_list::{self, Contact, ContactList};
use crate::host::{Cx, Halt};
use crate::jid::BareJid;

/// The contacts that are not blocked: the others are sent no presence and no probes (XEP-0191 §3.3).
#[derive(Default)]
pub(super) struct Contacts {
    list: Arc<ContactList>,
    blocked: Arc<BlockList>,
}

impl Contacts {
    /// Those of `user`; from memory, if the user is online.
    pub(super) async fn of(cx: &Cx<'_>, user: &BareJid) -> Result<Self, Halt> {
        let list = contact_list::of(cx.server, user).await?;
        let blocked = block_list::of(cx.server, user).await?;
        Ok(Self { list, blocked })
    }

    /// Whether subscription requests wait for an answer of the user, those of blocked addresses included.
    pub(super) fn has_requests(&self) -> bool {
        self.list.has_requests
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Contact> {
        self.list.iter().filter(|contact| !block_list::hits(&self.blocked, &contact.jid))
    }

    /// The one with this bare address.
    pub(super) fn get(&self, jid: &str) -> Option<&Contact> {
        self.list.get(jid).filter(|contact| !block_list::hits(&self.blocked, &contact.jid))
    }
}
