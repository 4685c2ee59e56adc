//! Why a stanza goes no further, and what its sender is told.

use crate::stanza::{Condition, ErrorKind, Presence, StanzaError};
use crate::storage::StorageError;

/// Why a stanza goes no further.
#[derive(Debug)]
pub enum Halt {
    /// Tell the sender, unless the stanza is an error itself (RFC 6120 §8.3.1). The log learns the
    /// reason, if the condition does not say it.
    Bounce(StanzaError, Option<&'static str>),
    /// The sender learns nothing. The log learns the reason.
    Drop(&'static str),
}

impl Halt {
    /// Tell the sender this condition, which may have several reasons: the sender is not told which one
    /// it was, but the log is.
    #[must_use]
    pub fn bounce(condition: Condition, reason: &'static str) -> Self {
        Self::Bounce(condition.into(), Some(reason))
    }

    /// The reason, for the log.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Bounce(error, reason) => reason.unwrap_or(error.condition.as_str()),
            Self::Drop(reason) => reason,
        }
    }
}

/// The peer gets `internal-server-error`; the log gets the cause.
impl From<StorageError> for Halt {
    fn from(error: StorageError) -> Self {
        Self::Bounce(error.into(), None)
    }
}

/// The peer gets `internal-server-error`; the log gets the cause.
impl From<StorageError> for StanzaError {
    fn from(error: StorageError) -> Self {
        match &error {
            StorageError::Limit(what) => {
                tracing::debug!(limit = what, "storage limit reached")
            }
            StorageError::Quota => {}
            error => tracing::error!(%error, "storage failed"),
        }
        not_stored(&error)
    }
}

impl From<StanzaError> for Halt {
    fn from(error: StanzaError) -> Self {
        Self::Bounce(error, None)
    }
}

impl From<Condition> for Halt {
    fn from(condition: Condition) -> Self {
        Self::Bounce(condition.into(), None)
    }
}

/// The error for a client when the store fails. All such failures are temporary, so the client is told to
/// try again later (`wait`, RFC 6120 §8.3.2).
#[must_use]
pub fn not_stored(error: &StorageError) -> StanzaError {
    match error {
        StorageError::Limit(_) => Condition::ResourceConstraint.into(),
        StorageError::Quota => {
            Condition::ResourceConstraint.text("the account has used up its quota")
        }
        StorageError::Full(_) => Condition::ResourceConstraint.text("the server's disk is full"),
        StorageError::Busy(_) => {
            Condition::ResourceConstraint.text("the server's database is busy")
        }
        _ => StanzaError::from(Condition::InternalServerError).kind(ErrorKind::Wait),
    }
}

/// Presence for a domain that takes none is dropped. But a client that enters a room waits for an
/// answer, and gets an error (XEP-0045 §7.2).
#[must_use]
pub fn refuse_presence(presence: &Presence) -> Halt {
    match presence.enters_room() {
        true => Condition::ServiceUnavailable.into(),
        false => Halt::Drop("presence to a domain"),
    }
}

#[cfg(test)]
mod tests {
    use super::not_stored;
    use crate::stanza::{Condition, ErrorKind};
    use crate::storage::StorageError;

    #[test]
    fn whatever_the_store_could_not_do_may_be_tried_again() {
        let database = |text: &str| StorageError::Database(text.into());
        let cases = [
            (StorageError::Full("full"), Condition::ResourceConstraint, true),
            (StorageError::Busy("busy"), Condition::ResourceConstraint, true),
            (StorageError::Limit("items"), Condition::ResourceConstraint, false),
            (StorageError::Disk("broken".into()), Condition::InternalServerError, false),
            (database("damaged"), Condition::InternalServerError, false),
            (StorageError::Unusable("no".into()), Condition::InternalServerError, false),
        ];
        for (error, condition, has_text) in cases {
            let told = not_stored(&error);
            assert_eq!((told.condition, told.kind), (condition, ErrorKind::Wait), "{error}");
            assert_eq!(told.text.is_some(), has_text, "{error}");
        }
    }
}
