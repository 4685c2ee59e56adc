//! Features: one file each, islands. This is the list, and nothing but the list.
//!
//! What has an order among them (a message passes several) stands in `router/`.

pub mod api_tokens;
pub mod avatars;
pub mod blocking;
pub mod bookmarks;
pub mod bytestreams;
pub mod capabilities;
pub mod carbons;
pub mod client_access;
pub mod commands;
pub mod components;
pub mod data_policy;
pub mod disco;
pub mod external_services;
pub mod inbox;
pub mod invitations;
pub mod last_activity;
pub mod legacy_session;
pub mod mam;
pub mod muc;
pub mod offline;
pub mod ping;
pub mod private;
pub mod pubsub;
pub mod push;
pub mod read_state;
pub mod register;
pub mod retraction;
pub mod room_bookmarks;
pub mod roster;
pub mod server_info;
pub mod software_version;
pub mod stanza_id;
pub mod strangers;
pub mod time;
pub mod upload;
pub mod vcard;

use crate::config::Config;
use crate::host::{Module, Registry};

/// Every feature of the server.
pub const ALL: &[&dyn Module] = &[
    &api_tokens::ApiTokens,
    &avatars::Avatars,
    &blocking::Blocking,
    &bookmarks::Bookmarks,
    &bytestreams::Bytestreams,
    &capabilities::Capabilities,
    &carbons::Carbons,
    &client_access::ClientAccess,
    &commands::Commands,
    &components::Components,
    &data_policy::DataPolicy,
    &disco::Disco,
    &external_services::ExternalServices,
    &inbox::Inbox,
    &invitations::Invitations,
    &last_activity::LastActivity,
    &legacy_session::LegacySession,
    &mam::Mam,
    &muc::Muc,
    &offline::Offline,
    &ping::Ping,
    &private::Private,
    &push::Push,
    &pubsub::PubSub,
    &read_state::ReadState,
    &register::Register,
    &retraction::Retraction,
    &room_bookmarks::RoomBookmarks,
    &roster::Roster,
    &server_info::ServerInfo,
    &software_version::SoftwareVersion,
    &stanza_id::StanzaId,
    &strangers::Strangers,
    &time::EntityTime,
    &upload::Upload,
    &vcard::Vcard,
];

/// What all of them answer and announce under this configuration.
#[must_use]
pub fn registry(config: &Config) -> Registry {
    Registry::of(ALL, config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TAKEN_PREFIXES;

    /// If the prefix of a service were not among those that `[[rooms]]` must not have, the configuration would be accepted,
    /// and the server would not start.
    #[test]
    fn no_service_for_rooms_can_have_the_prefix_of_another_service() {
        // With these options, all services are offered.
        let options = "listen.https = 7443\nlisten.proxy65 = 7777\n[[rooms]]\nenabled = false\n";
        let config = Config::parse(options, "test").unwrap();
        let registry = registry(&config);
        let mut prefixes: Vec<_> = registry.services().iter().map(|of| of.prefix()).collect();
        prefixes.sort_unstable();
        assert_eq!(prefixes, TAKEN_PREFIXES);
        for prefix in prefixes {
            let rooms = format!("[[rooms]]\nprefix = \"{prefix}\"\n");
            let problem = Config::parse(&rooms, "test").unwrap_err().to_string();
            assert!(problem.contains("is that of another service"), "{problem}");
        }
    }
}
