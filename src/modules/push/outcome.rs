//! The meaning of a push service's answer for a registration (XEP-0357 §7.1).

use crate::host::RequestError;
use crate::ns;
use crate::stanza::{Condition, Iq};

/// The outcome of a notification.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    /// The service has it.
    Done,
    /// It was not sent: too many requests wait for an answer.
    Busy,
    /// The service does not have it. It may take the next one.
    Failed,
    /// The service no longer has the node, or accepts nothing from this server.
    Refused,
}

impl Outcome {
    pub(super) fn of(answer: &Result<Iq, RequestError>) -> Self {
        match answer {
            Ok(_) => Self::Done,
            Err(RequestError::TooMany) => Self::Busy,
            Err(RequestError::SessionEnded | RequestError::Timeout) => Self::Failed,
            Err(RequestError::Refused(iq)) if is_for_good(iq) => Self::Refused,
            Err(RequestError::Refused(_)) => Self::Failed,
        }
    }

    /// The word in the metrics.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Done => "success",
            Self::Busy => "busy",
            Self::Failed => "failure",
            Self::Refused => "refused",
        }
    }
}

/// An error that another notification would get, too.
fn is_for_good(iq: &Iq) -> bool {
    let error = iq.content.received_child(ns::CLIENT, "error");
    let Some(error) = error else { return false };
    if error.attr("type").is_some_and(|kind| kind == "wait") {
        return false;
    }
    let mut conditions = error.children().filter(|child| child.ns() == ns::STANZA_ERRORS);
    !conditions.any(|child| PASSING.iter().any(|passing| passing.as_str() == child.name()))
}

/// Conditions of a service that cannot be reached, or has a temporary problem.
const PASSING: &[Condition] = &[
    Condition::InternalServerError,
    Condition::RecipientUnavailable,
    Condition::RemoteServerNotFound,
    Condition::RemoteServerTimeout,
    Condition::ResourceConstraint,
    Condition::ServiceUnavailable,
    Condition::UndefinedCondition,
    Condition::UnexpectedRequest,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stanza::Stanza;
    use crate::xml::Frame;

    #[test]
    fn only_an_error_that_stays_ends_a_registration() {
        let cases = [
            ("cancel", "item-not-found", Outcome::Refused),
            ("cancel", "gone", Outcome::Refused),
            ("auth", "forbidden", Outcome::Refused),
            ("modify", "bad-request", Outcome::Refused),
            ("cancel", "conflict", Outcome::Refused),
            ("wait", "item-not-found", Outcome::Failed),
            ("wait", "resource-constraint", Outcome::Failed),
            ("cancel", "remote-server-not-found", Outcome::Failed),
            ("cancel", "service-unavailable", Outcome::Failed),
            ("cancel", "internal-server-error", Outcome::Failed),
        ];
        for (kind, condition, expected) in cases {
            let condition = format!("<{condition} xmlns='{}'/>", ns::STANZA_ERRORS);
            let xml =
                format!("<iq type='error' id='1'><error type='{kind}'>{condition}</error></iq>");
            let Ok(Stanza::Iq(iq)) = Stanza::read(Frame::from_bytes(xml).unwrap()) else {
                unreachable!("it is an iq")
            };
            assert_eq!(Outcome::of(&Err(RequestError::Refused(Box::new(iq)))), expected);
        }
        assert_eq!(Outcome::of(&Err(RequestError::Timeout)), Outcome::Failed);
        assert_eq!(Outcome::of(&Err(RequestError::TooMany)), Outcome::Busy);
    }
}
