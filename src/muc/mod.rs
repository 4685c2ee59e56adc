//! Group chat (XEP-0045): what a room is, and what happens in it.
//!
//! A [`Room`] is a value. [`Room::apply`] takes an [`Input`], such as a stanza, with the time at which it came, and
//! returns [`Effects`]: stanzas to be sent, and changes to be stored. A room reads no clock, no socket and no table.
//! `modules/muc` gives it the inputs, and carries out the effects.
//!
//! One aspect of a room is in one file. Begin to read in `room.rs` and `apply.rs`.

mod activity;
mod admin;
mod admin_list;
mod administration;
mod affiliation;
mod affiliation_versions;
mod apply;
mod author;
mod cause;
mod challenge;
mod challenges;
mod change_affiliation;
mod change_role;
mod change_subject;
mod commands;
mod config;
mod config_form;
mod config_values;
mod destroy;
mod disco;
mod effect;
mod enter;
mod extra;
mod hats;
mod history;
mod input;
mod invite;
mod invite_tokens;
mod invited;
mod kept_roles;
mod leave;
mod limits;
mod members;
mod message;
mod moderation;
mod nick;
mod nick_skeleton;
mod occupant_id;
mod occupants;
mod open_requests;
mod owner;
mod presence_broadcast;
mod private_message;
mod program;
mod register;
mod registration_approval;
mod relay;
mod room;
mod sent_private_messages;
mod slow_mode;
mod stored;
mod subject;
mod undo;
mod vcard;
mod voice;

#[cfg(test)]
mod tests;

pub use administration::{MemberSummary, OccupantSummary};
pub use affiliation::Role;
pub use author::AuthorsSeen;
pub use challenge::is_answer_to_challenge;
pub use config::{AllowPm, RoomConfig, Whois};
pub use effect::{Effect, Effects, Publication, Retraction};
pub use enter::not_in_room_presence;
pub use input::{Actor, Input, Moment};
pub use leave::{is_doubtful, says_gone};
pub use limits::RoomLimits;
pub use message::is_for_newcomers;
pub use room::Room;
pub use undo::Before;

/// Who belongs to a room, and how (XEP-0045 §5.2).
pub use crate::storage::RoomAffiliation as Affiliation;
