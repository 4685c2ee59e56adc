//! How the program ends: its exit code, and the failure that it reports.

use std::io;
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::admin::{Code, Failure};
use crate::storage::StorageError;

/// How the program ends. The numbers are fixed; `waxwing man` and the head of `cli/mod.rs` list them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Exit {
    Ok = 0,
    Failed = 1,
    Invalid = 2,
    NotFound = 3,
    Conflict = 4,
    NotRunning = 5,
    Configuration = 6,
    Unconfirmed = 7,
}

/// The reason for a failure.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) exit: Exit,
    pub(super) message: String,
    /// More details, for programs.
    pub(super) details: Option<Value>,
}

impl Problem {
    pub(super) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), details: None }
    }

    pub(super) fn to_json(&self) -> Value {
        let code = match self.exit {
            Exit::Ok => "ok",
            Exit::Failed => "failed",
            Exit::Invalid => "invalid",
            Exit::Unconfirmed => "unconfirmed",
            Exit::NotFound => "not-found",
            Exit::Conflict => "conflict",
            Exit::NotRunning => "not-running",
            Exit::Configuration => "configuration",
        };
        let mut error = json!({ "code": code, "message": self.message });
        if let Some(details) = &self.details {
            error["details"] = details.clone();
        }
        json!({ "error": error })
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        let exit = match failure.code {
            Code::Conflict => Exit::Conflict,
            Code::Failed => Exit::Failed,
            Code::Invalid => Exit::Invalid,
            Code::NotFound => Exit::NotFound,
            Code::NotRunning => Exit::NotRunning,
            Code::Unconfirmed => Exit::Unconfirmed,
        };
        Self::new(exit, failure.message)
    }
}

impl From<StorageError> for Problem {
    fn from(error: StorageError) -> Self {
        Self::new(Exit::Failed, error.to_string())
    }
}

/// A reader that closes our output early (`| head`) is not a failure.
impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::new(Exit::Ok, ""),
            _ => Self::new(Exit::Failed, error.to_string()),
        }
    }
}
