//! The commands. A new command is a [`Command`], the function that it runs, and a line in [`COMMANDS`].

mod account;
mod archive;
mod component;
mod component_change;
mod device;
mod facts;
mod file;
mod import;
mod invite;
mod new_password;
mod push;
mod quota;
mod report;
mod room;
mod room_argument;
mod room_change;
mod room_people;
mod s2s;
mod session;
mod status;
mod strangers;
mod token;
mod user;
mod user_list;

use crate::host::command::Command;

/// All commands, in the order in which they are shown.
pub const COMMANDS: &[&Command] = &[
    &user::ADD,
    &user::DEL,
    &user::PASSWD,
    &user::ADMIN,
    &user_list::LIST,
    &user_list::SHOW,
    &quota::QUOTA,
    &strangers::STRANGERS,
    &device::LIST,
    &device::REMOVE,
    &file::LIST,
    &file::REMOVE,
    &file::USAGE,
    &import::IMPORT,
    &token::CREATE,
    &token::LIST,
    &token::REVOKE,
    &invite::CREATE,
    &invite::LIST,
    &invite::REVOKE,
    &archive::SHOW,
    &archive::LIMIT,
    &archive::CLEAR,
    &push::LIST,
    &push::REMOVE,
    &push::CONTENT,
    &session::LIST,
    &session::CLOSE,
    &room::LIST,
    &room::SHOW,
    &room_change::CREATE,
    &room_change::SET,
    &room_change::DESTROY,
    &room_people::MEMBERS,
    &room_people::AFFILIATE,
    &room_people::OCCUPANTS,
    &room_people::KICK,
    &component_change::ADD,
    &component::LIST,
    &component_change::REMOVE,
    &component::SHOW,
    &s2s::LIST,
    &s2s::SHOW,
    &s2s::CLOSE,
    &s2s::ALLOW,
    &s2s::DENY,
    &s2s::RESET,
    &s2s::TEST,
    &report::LIST,
    &report::SHOW,
    &report::REMOVE,
    &status::STATUS,
];
