//! Whether somebody looks at a client (XEP-0352).

use std::time::Duration;

use super::session_ref::SessionRef;

impl SessionRef {
    /// Nobody looks at the client (XEP-0352). Others must not be told.
    #[must_use]
    pub fn is_inactive(&self) -> bool {
        self.inactive_for().is_some()
    }

    /// Nobody looks at the client, and it is not told that somebody writes (XEP-0352 §3).
    #[must_use]
    pub fn drops_chat_states(&self) -> bool {
        let state = self.mailbox().state.lock();
        state.inactive_since.is_some() && state.spared.chat_states
    }

    /// For how long nobody has looked at the client (XEP-0352); `None` if somebody does.
    #[must_use]
    pub fn inactive_for(&self) -> Option<Duration> {
        self.mailbox().state.lock().inactive_since.map(|since| since.elapsed())
    }
}
