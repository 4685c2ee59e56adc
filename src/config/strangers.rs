//! `[strangers]`: what accounts do with people who are not their contacts, until their users choose.

use super::section::{choice, section};
use super::value::OneOf;

choice! {
    /// What happens to a stanza of somebody who is not a contact.
    pub enum OfStrangers {
        /// It is let through.
        Allow = "allow";
        /// It is refused, as if the account did not exist.
        Refuse = "refuse";
        /// It waits until the user accepts its sender.
        Wait = "wait";
    }
}

section! {
    /// What accounts do with people who are not their contacts, as long as their users have not chosen. Users choose
    /// by chat client (command `strangers` of their own address), administrators by `waxwing user strangers`.
    pub struct StrangersConfig = "strangers";

    /// Their messages. With "wait", users are not notified of messages that wait: tell them about the command
    /// `stranger-requests`.
    messages: OfStrangers = OfStrangers::Allow => OneOf(OfStrangers::WORDS), Reload;

    /// Their requests to see the user's presence.
    subscriptions: OfStrangers = OfStrangers::Allow => OneOf(OfStrangers::WORDS), Reload;

    /// Their calls.
    calls: OfStrangers = OfStrangers::Allow => OneOf(OfStrangers::WORDS), Reload;

    /// Their invitations to rooms.
    invitations: OfStrangers = OfStrangers::Allow => OneOf(OfStrangers::WORDS), Reload;
}
