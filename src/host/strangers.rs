//! What an account does with people who are not its contacts: let them through, let them wait, or refuse them.
//!
//! Most users have chosen nothing. Then the account does what the operator chose (`[strangers]`), which is to let
//! everybody through, if nothing else is configured; and a message costs one look into a cache for each side. To whom they
//! write is remembered all the same: a conversation is not broken by what they choose later.

mod guarded;
mod lock;
mod policy;
mod waiting;
mod written_to;

pub use guarded::{
    Guarded, Strangers, forget_of, lock, of, policy, remember, remember_later, set_policy,
    written_to,
};
pub use policy::{Approach, Choice, Policy};
pub use waiting::{Place, Waiting, add, all, has_room, is_there, remove};
pub use written_to::WrittenTo;
