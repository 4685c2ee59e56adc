//! A message to the user when a client has logged in for the first time, so that nobody uses the account in secret.

use std::sync::Arc;

use async_trait::async_trait;

use super::wish;
use crate::auth::NewClients;
use crate::host::{Route, ServerState};
use crate::jid::{BareJid, Jid};
use crate::random::random_id;
use crate::stanza::{Content, Head, Message, MessageKind, Stanza};
use crate::storage::DeviceLogin;
use crate::xml::element;

/// Tells users of new clients, if they want that.
pub struct Notices {
    server: Arc<ServerState>,
    route: Arc<dyn Route>,
}

impl Notices {
    /// Notices that are sent by this route.
    #[must_use]
    pub fn new(server: Arc<ServerState>, route: Arc<dyn Route>) -> Self {
        Self { server, route }
    }
}

#[async_trait]
impl NewClients for Notices {
    /// The message goes the way of all messages: to the sessions that are available, else it waits; and it is archived.
    async fn added(&self, user: &BareJid, login: &DeviceLogin) {
        match wish::is_wanted(&self.server, user).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                tracing::error!(jid = %user, %error, "cannot read whether a new client is announced");
                return;
            }
        }
        let Ok(host) = Jid::parse(user.domain()) else { return };
        let mut head = Head::between(host, user.clone());
        head.id = Some(random_id());
        let body = element("body").text(&text(login));
        let message = Message { head, kind: MessageKind::Normal, content: Content::from(body) };
        self.route.route(Stanza::Message(message)).await;
    }
}

/// What the client says of itself is quoted: it may be invented.
fn text(login: &DeviceLogin) -> String {
    let client = match (&login.software, &login.device) {
        (Some(software), Some(device)) => {
            format!("A client that calls itself \"{software}\" on \"{device}\"")
        }
        (Some(software), None) => format!("A client that calls itself \"{software}\""),
        (None, Some(device)) => format!("A client on a machine that it calls \"{device}\""),
        (None, None) => "A client that does not say its name".to_owned(),
    };
    format!(
        "{client} has logged in to your account for the first time. If it is not yours, change your password."
    )
}
