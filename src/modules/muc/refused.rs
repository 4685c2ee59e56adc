//! The error with which a room has refused a request of an administrator's command.

use crate::host::RequestError;
use crate::host::rooms::RoomError;
use crate::ns;
use crate::stanza::{Condition, Iq, Stanza};
use crate::xml::Frame;

/// Why a room has not done something.
pub(super) struct Refused {
    /// `None`: it has not answered.
    pub(super) condition: Option<Condition>,
    text: String,
}

impl Refused {
    pub(super) fn of(error: RequestError) -> Self {
        match error {
            RequestError::Refused(answer) => Self::read(&answer),
            RequestError::SessionEnded | RequestError::Timeout | RequestError::TooMany => {
                Self { condition: None, text: error.to_string() }
            }
        }
    }

    /// A value contains a character that XML does not allow.
    pub(super) fn unreadable() -> Self {
        Self { condition: None, text: "a value cannot be written as XML".to_owned() }
    }

    /// What an error says (RFC 6120 §8.3.2).
    fn read(answer: &Iq) -> Self {
        let written = Stanza::Iq(answer.clone()).to_bytes();
        let frame = Frame::from_bytes(written).ok();
        let error = frame.as_ref().and_then(|frame| frame.root().child(ns::CLIENT, "error"));
        let condition = Condition::ALL.iter().copied().find(|condition| {
            error.as_ref().is_some_and(|e| e.has_child(ns::STANZA_ERRORS, condition.as_str()))
        });
        let condition = condition.unwrap_or(Condition::UndefinedCondition);
        let text = error.and_then(|error| error.child(ns::STANZA_ERRORS, "text"));
        let text = text.map(|text| text.text().into_owned());
        Self {
            condition: Some(condition),
            text: text.unwrap_or_else(|| condition.as_str().to_owned()),
        }
    }
}

impl From<Refused> for RoomError {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused.text)
    }
}

#[cfg(test)]
mod tests {
    use super::Refused;
    use crate::host::RequestError;
    use crate::stanza::{Condition, Content, Head, Iq, IqKind, Stanza, StanzaError};
    use crate::xml::element;

    #[test]
    fn the_reason_is_what_the_room_says() {
        let told = |error: &StanzaError| {
            let (head, content) = (Head::default(), Content::from(element("query").ns("x")));
            let request = Stanza::Iq(Iq { head, kind: IqKind::Set, content });
            let Some(Stanza::Iq(answer)) = error.answer(&request) else { unreachable!() };
            let refused = Refused::of(RequestError::Refused(Box::new(answer)));
            (refused.condition, refused.text)
        };
        let conflict = Condition::Conflict.text("a room has an owner");
        let expected = (Some(Condition::Conflict), "a room has an owner".to_owned());
        assert_eq!(told(&conflict), expected);
        let bare = told(&Condition::Forbidden.into());
        assert_eq!(bare, (Some(Condition::Forbidden), "forbidden".to_owned()));
        assert_eq!(Refused::of(RequestError::Timeout).condition, None);
    }
}
