//! What of a session only its owner has. It moves when another task takes the session over.

use parking_lot::Mutex;

use super::feature_state::FeatureState;
use super::sm_state::SmState;

/// What of a session only its owner has. [`Session::hand_over`](super::Session::hand_over) sends it, and
/// [`TakeOver`](super::TakeOver) makes a session of it again.
///
/// The locks are for the loops of the owner. No other task has a reference.
#[derive(Debug, Default)]
pub struct OwnerState {
    pub(super) sm: Mutex<SmState>,
    pub(super) features: Mutex<FeatureState>,
}
