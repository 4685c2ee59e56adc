//! The commands. A new command is a value that implements [`Command`], and a line in [`COMMANDS`].

mod account;
mod archive;
mod device;
mod facts;
mod file;
mod import;
mod new_password;
mod push;
mod quota;
mod report;
mod room;
mod room_argument;
mod room_change;
mod room_people;
mod session;
mod status;
mod strangers;
mod user;
mod user_list;

use crate::host::command::Command;

/// All commands, in the order in which they are shown.
pub const COMMANDS: &[&dyn Command] = &[
    &user::Add,
    &user::Del,
    &user::Passwd,
    &user::Admin,
    &user_list::List,
    &user_list::Show,
    &quota::Quota,
    &strangers::Strangers,
    &device::List,
    &device::Remove,
    &file::List,
    &file::Remove,
    &file::Usage,
    &import::Import,
    &archive::Show,
    &archive::Limit,
    &archive::Clear,
    &push::List,
    &push::Remove,
    &push::Tell,
    &session::List,
    &session::Close,
    &room::List,
    &room::Show,
    &room_change::Create,
    &room_change::Set,
    &room_change::Destroy,
    &room_people::Members,
    &room_people::Affiliate,
    &room_people::Occupants,
    &room_people::Kick,
    &report::List,
    &report::Show,
    &report::Remove,
    &status::Status,
];
