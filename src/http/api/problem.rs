//! What is wrong with a request, as programs read it: problem details (RFC 9457).

use std::time::Duration;

use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::host::Scope;

/// Why a request is refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Problem {
    /// The server has no archives.
    ArchiveOff,
    /// The request is malformed. What is wrong, in a sentence.
    BadRequest(String),
    /// The server failed.
    Failed,
    /// Another message was sent with this id.
    IdConflict,
    /// A message with this id is being sent.
    InProgress,
    /// The token is not known, was revoked, or has expired.
    InvalidToken,
    /// The token lacks this scope.
    LacksScope(Scope),
    /// The path has no such method. Those that it has.
    MethodNotAllowed(&'static str),
    /// There is no such room, or its archive may not be read.
    NoRoom,
    /// The message was refused: the condition of the error that a client would get (RFC 6120 §8.3.3).
    NotDelivered(String),
    /// There is nothing at this path.
    NotFound,
    /// The connection has no TLS.
    NotSecure,
    /// The body is too large.
    TooLarge,
    /// The account or the server does too much. When to try again.
    TooMany(Duration),
    /// The body did not come in time.
    TooSlow,
    /// There is no token.
    Unauthorized,
    /// The body is no JSON.
    UnsupportedMediaType,
}

impl Problem {
    /// Logs an error of the store.
    pub(super) fn failed(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "cannot answer a request of the HTTP API");
        Self::Failed
    }

    /// The type: a name that programs compare (RFC 9457 §3.1.1).
    pub(super) fn kind(&self) -> String {
        let word = match self {
            Self::ArchiveOff => "archive-off",
            Self::BadRequest(_) => "bad-request",
            Self::Failed => "failed",
            Self::IdConflict => "id-conflict",
            Self::InProgress => "in-progress",
            Self::LacksScope(_) => "lacks-scope",
            Self::MethodNotAllowed(_) => "method-not-allowed",
            Self::NoRoom => "no-room",
            Self::NotDelivered(_) => "not-delivered",
            Self::NotFound => "not-found",
            Self::NotSecure => "not-secure",
            Self::TooLarge => "too-large",
            Self::TooMany(_) => "too-many",
            Self::TooSlow => "too-slow",
            Self::InvalidToken | Self::Unauthorized => "unauthorized",
            Self::UnsupportedMediaType => "unsupported-media-type",
        };
        format!("urn:waxwing:problem:{word}")
    }

    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::ArchiveOff | Self::NoRoom | Self::NotFound => StatusCode::NOT_FOUND,
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Failed => StatusCode::INTERNAL_SERVER_ERROR,
            Self::IdConflict | Self::InProgress => StatusCode::CONFLICT,
            Self::LacksScope(_) | Self::NotSecure => StatusCode::FORBIDDEN,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotDelivered(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::InvalidToken | Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        }
    }

    /// One sentence for people, the same for all of the type.
    fn title(&self) -> &'static str {
        match self {
            Self::ArchiveOff => "This server keeps no messages.",
            Self::BadRequest(_) => "The request is malformed.",
            Self::Failed => "The server has failed.",
            Self::IdConflict => "Another message was sent with this id.",
            Self::InProgress => "A message with this id is being sent.",
            Self::LacksScope(_) => "The token does not allow this.",
            Self::MethodNotAllowed(_) => "There is no such method at this path.",
            Self::NoRoom => "There is no such room, or it may not be read.",
            Self::NotDelivered(_) => "The message was not delivered.",
            Self::NotFound => "There is nothing at this path.",
            Self::NotSecure => "Requests without TLS are answered only to trusted proxies.",
            Self::TooLarge => "The request is too large.",
            Self::TooMany(_) => "This is too much at a time.",
            Self::TooSlow => "The request did not come in time.",
            Self::InvalidToken | Self::Unauthorized => "A valid token is missing.",
            Self::UnsupportedMediaType => "The body must be JSON.",
        }
    }

    /// What is special about this one.
    fn detail(&self) -> Option<String> {
        match self {
            Self::BadRequest(detail) => Some(detail.clone()),
            Self::LacksScope(scope) => Some(format!("The scope `{}` is missing.", scope.word())),
            Self::NotDelivered(condition) => Some(format!("The error is {condition}.")),
            Self::InvalidToken | Self::Unauthorized => {
                Some("Send `Authorization: Bearer` with a token that has not expired.".to_owned())
            }
            _ => None,
        }
    }

    /// One of each type.
    #[cfg(test)]
    pub(super) fn samples() -> Vec<Self> {
        vec![
            Self::ArchiveOff,
            Self::BadRequest(String::new()),
            Self::Failed,
            Self::IdConflict,
            Self::InProgress,
            Self::InvalidToken,
            Self::LacksScope(Scope::Read),
            Self::MethodNotAllowed(""),
            Self::NoRoom,
            Self::NotDelivered(String::new()),
            Self::NotFound,
            Self::NotSecure,
            Self::TooLarge,
            Self::TooMany(Duration::ZERO),
            Self::TooSlow,
            Self::Unauthorized,
            Self::UnsupportedMediaType,
        ]
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut problem = json!({
            "type": self.kind(), "title": self.title(), "status": status.as_u16(),
        });
        if let Some(detail) = self.detail() {
            problem["detail"] = detail.into();
        }
        if let Self::NotDelivered(condition) = &self {
            problem["condition"] = condition.as_str().into();
        }
        let head = [(CONTENT_TYPE, "application/problem+json"), (CACHE_CONTROL, "no-store")];
        let mut answer = (status, head, problem.to_string()).into_response();
        let more = match self {
            Self::InProgress => Some((RETRY_AFTER, "1".to_owned())),
            Self::MethodNotAllowed(methods) => Some((ALLOW, methods.to_owned())),
            Self::TooMany(wait) => Some((RETRY_AFTER, wait.as_secs().max(1).to_string())),
            Self::Unauthorized => Some((WWW_AUTHENTICATE, "Bearer realm=\"waxwing\"".to_owned())),
            // RFC 6750 §3.1.
            Self::InvalidToken => {
                let value = "Bearer realm=\"waxwing\", error=\"invalid_token\"";
                Some((WWW_AUTHENTICATE, value.to_owned()))
            }
            Self::LacksScope(scope) => {
                let word = scope.word();
                let value = format!("Bearer error=\"insufficient_scope\", scope=\"{word}\"");
                Some((WWW_AUTHENTICATE, value))
            }
            _ => None,
        };
        if let Some((name, value)) = more
            && let Ok(value) = HeaderValue::from_str(&value)
        {
            answer.headers_mut().insert(name, value);
        }
        answer
    }
}
