//! What a client is spared at which nobody looks (XEP-0352 §3).

use crate::config::ClientStateConfig;

/// What a client is spared as long as it is inactive. The operator can switch each off.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Spared {
    /// Presence waits.
    pub presence: bool,
    /// Events of nodes of others wait.
    pub events: bool,
    /// Chat states are dropped.
    pub chat_states: bool,
}

impl Default for Spared {
    fn default() -> Self {
        Self { presence: true, events: true, chat_states: true }
    }
}

impl From<&ClientStateConfig> for Spared {
    fn from(config: &ClientStateConfig) -> Self {
        Self {
            presence: config.hold_presence,
            events: config.hold_events,
            chat_states: config.drop_chat_states,
        }
    }
}
