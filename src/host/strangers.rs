//! What an account does with people who are not its contacts: let them through, let them wait, or refuse them.
//!
//! Most accounts have said nothing, and let everybody through: then a message costs one look into a cache.

mod guarded;
mod lock;
mod policy;
mod waiting;

pub use guarded::{Guarded, Strangers, lock, of, policy, remember, set_policy};
pub use policy::{Approach, Choice, Policy};
pub use waiting::{Place, Waiting, add, all, has_room, remove};
