//! Why a store of contents elsewhere has failed.

use std::io;

/// Why a store of contents elsewhere has failed: what an [`io::Error`] of a [`ContentStore`](super::ContentStore) may
/// hold.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum StoreError {
    /// It has too much to do: later it may work.
    #[error("the bucket has too much to do: {0}")]
    Busy(String),
    /// It has no room.
    #[error("the bucket has no room: {0}")]
    Full(String),
    /// It does not answer in time.
    #[error("the bucket does not answer in time")]
    Late,
    /// It refuses, or its answer is invalid.
    #[error("the bucket fails: {0}")]
    Refused(String),
    /// There is no connection to it.
    #[error("there is no connection to the bucket: {0}")]
    Unreachable(String),
}

impl StoreError {
    /// What has failed, if the error is one of a store elsewhere.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// Whether the next request would fail, too, for some time.
    #[must_use]
    pub fn is_lasting(error: &io::Error) -> bool {
        matches!(Self::of(error), Some(Self::Busy(_) | Self::Late | Self::Unreachable(_)))
    }
}

impl From<StoreError> for io::Error {
    fn from(error: StoreError) -> Self {
        Self::other(error)
    }
}
