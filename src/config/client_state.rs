//! `[client_state]`: what waits for inactive clients, at which the user does not look (XEP-0352 §3).

use super::section::section;
use super::value::Switch;

section! {
    /// What the server does for inactive clients, at which the user does not look. Clients say so themselves (XEP-0352).
    /// Each option spares their batteries. A change applies to each client when it becomes inactive the next time.
    pub struct ClientStateConfig = "client_state";

    /// Presence waits, and only the newest of each contact.
    hold_presence: bool = true => Switch, Reload;

    /// Events of nodes of others wait: moods, avatars, tunes.
    hold_events: bool = true => Switch, Reload;

    /// The client is not told that somebody writes, or has stopped.
    drop_chat_states: bool = true => Switch, Reload;
}
