//! The configuration of a room (XEP-0045 §10.2): typed values. `config_form.rs` reads and writes its form.

use serde::{Deserialize, Serialize};

use super::affiliation::Role;
use crate::storage::RoomSettings;

/// Who learns the real addresses of occupants (XEP-0045 §4.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Whois {
    /// All occupants: the room is non-anonymous.
    Anyone,
    /// Moderators: the room is semi-anonymous.
    Moderators,
}

/// Who may send private messages to occupants.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum AllowPm {
    /// All occupants.
    Anyone,
    /// Moderators.
    Moderators,
    /// Nobody.
    None,
    /// Participants and moderators.
    Participants,
}

/// The configuration of a room. [`RoomConfig::default`] is that of an instant room (XEP-0045 §10.1.2).
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a field of the form")]
pub struct RoomConfig {
    /// The name, for people.
    pub name: String,
    /// What the room is for.
    pub description: String,
    /// The language of the discussion (RFC 5646); empty if none is said.
    pub language: String,
    /// Addresses at which people can ask about the room.
    pub contacts: Vec<String>,
    /// The node with which the room is associated: an XMPP URI; empty if there is none.
    pub pubsub: String,
    /// The room is listed.
    pub is_public: bool,
    /// The room outlives its last occupant.
    pub is_persistent: bool,
    /// Only members enter.
    pub members_only: bool,
    /// Only participants write to all, and newcomers are visitors.
    pub moderated: bool,
    /// What newcomers must tell.
    pub password: Option<String>,
    /// Who learns real addresses.
    pub whois: Whois,
    /// Participants may change the subject.
    pub change_subject: bool,
    /// Members may invite to a members-only room; else only admins.
    pub allow_invites: bool,
    /// Who may send private messages.
    pub allow_pm: AllowPm,
    /// Visitors may ask for voice (XEP-0045 §7.13).
    pub voice_requests: bool,
    /// Users may ask to become members (XEP-0045 §7.10).
    pub registration: bool,
    /// A user who has registered a nickname must use it in the room (XEP-0045 §7.10).
    pub registered_nicknames: bool,
    /// What newcomers are asked (XEP-0158). Nobody is asked without an answer.
    pub question: String,
    /// The answer to it.
    pub answer: String,
    /// Roles that may read the lists of members, admins and owners, if the room is non-anonymous or the role
    /// is that of a moderator.
    pub member_list: Vec<String>,
    /// Roles whose presence others are shown.
    pub presence_broadcast: Vec<String>,
    /// Occupants, at most; `None`: as many as the service allows.
    pub max_users: Option<u32>,
    /// Messages that a newcomer gets, at most.
    pub max_history: u32,
    /// Messages are archived (XEP-0313).
    pub archive: bool,
    /// Everybody can read the messages elsewhere: newcomers are warned (status 170).
    pub public_logging: bool,
    /// Members read only what was written since they became members.
    pub history_since_joined: bool,
    /// Seconds that an occupant waits between two messages (XEP-0500); 0: none.
    pub slow_mode: u32,
    /// The room was made and its creator has not configured it yet: nobody else enters (XEP-0045 §10.1).
    pub locked: bool,
}

impl Default for RoomConfig {
    fn default() -> Self {
        let roles = |roles: &[Role]| roles.iter().map(|role| role.as_str().to_owned()).collect();
        Self {
            name: String::new(),
            description: String::new(),
            language: String::new(),
            contacts: Vec::new(),
            pubsub: String::new(),
            is_public: true,
            is_persistent: false,
            members_only: false,
            moderated: false,
            password: None,
            whois: Whois::Moderators,
            change_subject: false,
            allow_invites: false,
            allow_pm: AllowPm::Anyone,
            voice_requests: true,
            registration: true,
            registered_nicknames: false,
            question: String::new(),
            answer: String::new(),
            member_list: roles(&[Role::Moderator, Role::Participant]),
            presence_broadcast: roles(&[Role::Moderator, Role::Participant, Role::Visitor]),
            max_users: None,
            max_history: 20,
            archive: true,
            public_logging: false,
            history_since_joined: false,
            slow_mode: 0,
            locked: false,
        }
    }
}

impl RoomConfig {
    /// Whether newcomers are asked a question.
    #[must_use]
    pub fn asks(&self) -> bool {
        !self.question.is_empty() && !self.answer.is_empty()
    }

    /// Whether others are shown the presence of occupants with this role.
    #[must_use]
    pub fn shows(&self, role: Role) -> bool {
        self.presence_broadcast.iter().any(|shown| shown == role.as_str())
    }

    /// As the store keeps it.
    #[must_use]
    pub fn to_settings(&self) -> RoomSettings {
        RoomSettings {
            settings: serde_json::to_string(self).unwrap_or_default(),
            name: self.name.clone(),
            description: self.description.clone(),
            language: self.language.clone(),
            is_public: self.is_public && !self.locked,
            is_persistent: self.is_persistent,
        }
    }

    /// Reads what [`RoomConfig::to_settings`] wrote. What is missing has its default. If it cannot be read at
    /// all, only members enter.
    #[must_use]
    pub fn from_settings(stored: &RoomSettings) -> Self {
        serde_json::from_str(&stored.settings).unwrap_or_else(|_| Self {
            name: stored.name.clone(),
            description: stored.description.clone(),
            is_public: stored.is_public,
            is_persistent: stored.is_persistent,
            members_only: true,
            ..Self::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_survives_the_store() {
        let config = RoomConfig {
            name: "The Coven".to_owned(),
            password: Some("cauldronburn".to_owned()),
            whois: Whois::Anyone,
            slow_mode: 7,
            ..RoomConfig::default()
        };
        assert_eq!(RoomConfig::from_settings(&config.to_settings()), config);
    }

    #[test]
    fn a_damaged_configuration_lets_only_members_in() {
        let stored =
            RoomSettings { settings: "?".to_owned(), ..RoomConfig::default().to_settings() };
        assert!(RoomConfig::from_settings(&stored).members_only);
        let old = RoomSettings { settings: "{}".to_owned(), ..stored };
        assert_eq!(RoomConfig::from_settings(&old), RoomConfig::default());
    }
}
