//! Why a request about a file is refused, and the answer.

use std::io::{self, ErrorKind};

use axum::http::StatusCode;
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_RANGE, RETRY_AFTER};
use axum::response::{IntoResponse, Response};

use super::headers;
use crate::http::WITHOUT_TLS;
use crate::upload::StoreError;

/// Why a request is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Refused {
    /// What was sent contradicts itself, or is not what the slot is for.
    Bad(&'static str),
    /// The store of files is not reached, or has too much to do.
    Away,
    /// Too many uploads at once.
    Busy,
    /// The file is not the one that the client means.
    Changed,
    /// The file is there already, or these bytes do not follow those that are there: so many.
    Conflict(Option<u64>),
    /// The store of files failed.
    Elsewhere,
    /// The server failed.
    Failed,
    /// The signature is missing or wrong.
    Forbidden,
    /// No disk has room for it.
    Full,
    /// The slot or the file has expired.
    Gone,
    /// The store of files does not answer in time.
    Late,
    /// No length is told.
    LengthRequired,
    /// There is no such method.
    NotAllowed,
    /// There is no such file.
    NotFound,
    /// No byte of the file is in this range. Its size.
    Range(u64),
    /// Without TLS, and not through a reverse proxy of ours.
    NoTls,
    /// Another request writes this file, and has not stopped in time.
    Taken,
    /// The file is of another type than the slot.
    WrongType,
}

impl Refused {
    /// Logs an error of the store or the disk.
    pub(super) fn failed(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "{FAILED}");
        Self::Failed
    }

    /// Logs an error of the disk, or of the store of files elsewhere.
    pub(super) fn of_contents(error: &io::Error) -> Self {
        let refused = match (StoreError::of(error), error.kind()) {
            (Some(StoreError::Busy(_) | StoreError::Unreachable(_)), _) => Self::Away,
            (Some(StoreError::Full(_)), _) => Self::Full,
            (Some(StoreError::Late), _) => Self::Late,
            (Some(StoreError::Refused(_)), _) => Self::Elsewhere,
            (None, ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge) => {
                Self::Full
            }
            (None, _) => return Self::failed(error),
        };
        let what = if refused == Self::Full { "there is no room for a file" } else { FAILED };
        tracing::error!(%error, "{what}");
        refused
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, text) = match self {
            Self::Away => (
                StatusCode::SERVICE_UNAVAILABLE,
                "The store of files cannot be reached now. Try again later.",
            ),
            Self::Bad(text) => (StatusCode::BAD_REQUEST, text),
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "There are too many uploads."),
            Self::Changed => (
                StatusCode::PRECONDITION_FAILED,
                "The file has changed: it is not the one that your request names (If-Match, If-Unmodified-Since).",
            ),
            Self::Conflict(None) => (StatusCode::CONFLICT, "The file was uploaded already."),
            Self::Conflict(Some(_)) => (
                StatusCode::CONFLICT,
                "Upload-Offset does not match: the header of this answer says how many bytes are there.",
            ),
            Self::Elsewhere => (StatusCode::BAD_GATEWAY, "The store of files has failed."),
            Self::Failed => (StatusCode::INTERNAL_SERVER_ERROR, "The server has failed."),
            Self::Forbidden => (StatusCode::FORBIDDEN, "The signature is missing or wrong."),
            Self::Full => {
                (StatusCode::INSUFFICIENT_STORAGE, "The server has no room for the file.")
            }
            Self::Gone => (StatusCode::GONE, "The file or the upload slot has expired."),
            Self::Late => (StatusCode::GATEWAY_TIMEOUT, "The store of files does not answer."),
            Self::LengthRequired => (StatusCode::LENGTH_REQUIRED, "The length is missing."),
            Self::NotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "This method is not supported for files.")
            }
            Self::NotFound => (StatusCode::NOT_FOUND, "There is no such file."),
            Self::Range(_) => (StatusCode::RANGE_NOT_SATISFIABLE, "The file is shorter."),
            Self::NoTls => (StatusCode::FORBIDDEN, WITHOUT_TLS),
            Self::Taken => (StatusCode::SERVICE_UNAVAILABLE, "Another request writes this file."),
            Self::WrongType => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "The slot is for a file of another type.")
            }
        };
        let mut answer = (status, format!("{text}\n")).into_response();
        let head = answer.headers_mut();
        headers::put(head, CACHE_CONTROL, "no-store");
        match self {
            Self::Taken => headers::put(head, RETRY_AFTER, "10"),
            Self::Away | Self::Busy | Self::Late => headers::put(head, RETRY_AFTER, "30"),
            Self::Conflict(Some(offset)) => {
                headers::put(head, headers::UPLOAD_OFFSET, &offset.to_string());
            }
            Self::NotAllowed => headers::put(head, ALLOW, headers::METHODS),
            Self::Range(size) => headers::put(head, CONTENT_RANGE, &format!("bytes */{size}")),
            _ => {}
        }
        answer
    }
}

const FAILED: &str = "cannot serve a file";
