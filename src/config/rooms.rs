//! `[[rooms]]`: a service for group chat, `conference.<host>` (XEP-0045).

use super::error::Problems;
use super::host::HostConfig;
use super::section::{Fields, choice, section};
use super::units::{GIB, KIB, MIB};
use super::value::{Accounts, Count, Label, OneOf, Size, Switch, Text};
use crate::jid::BareJid;

choice! {
    /// Who may create rooms.
    pub enum RoomCreators {
        /// Administrators: of the server, and those of `admins`.
        Admins = "admins";
        /// Everybody, also users of other servers.
        Everybody = "everybody";
        /// Users with an account on this server.
        Local = "local";
    }
}

choice! {
    /// Who sees the real addresses of occupants.
    pub enum RoomWhois {
        /// All occupants.
        Anyone = "anyone";
        /// Moderators only.
        Moderators = "moderators";
    }
}

section! {
    /// A service for group chat: rooms with addresses such as `garden@conference.example.org` (XEP-0045).
    ///
    /// Repeat the section for further services, each with a `prefix` of its own. Without any, there is one service,
    /// `conference`. Each service has a domain below each host. Owners change the settings of their rooms; this section
    /// has the settings of new rooms, and the limits of all.
    pub struct RoomsConfig = "rooms";

    /// The first label of the domain of the service: "conference" for `garden@conference.example.org`.
    prefix: String = "conference".to_owned() => Label("\"conference\""), Restart;

    /// Offer the service. If it is off, its rooms stay in the database, and nobody can enter them. To switch group chat
    /// off, write one section with `enabled = false`.
    enabled: bool = true => Switch, Restart;

    /// The name of the service, which clients show.
    name: String = "Group chat".to_owned() => Text("\"Group chat\""), Restart;

    /// Who may create rooms.
    create: RoomCreators = RoomCreators::Local => OneOf(RoomCreators::WORDS), Reload;

    /// Accounts that may do in each room of the service what its owners may do. Administrators of the server may do so
    /// anyway.
    admins: Vec<BareJid> = Vec::new() => Accounts, Reload;

    /// Rooms of the service below one host, at most. Beyond that only administrators can create rooms, by
    /// `waxwing room create --force`.
    rooms: u32 = 100_000 => Count::between(0, 100_000_000), Reload;

    /// Rooms of the service that one user may have created, at most.
    rooms_per_user: u32 = 100 => Count::between(0, 1_000_000), Reload;

    /// New rooms are persistent: they stay when the last occupant leaves.
    persistent: bool = false => Switch, Reload;

    /// New rooms are public: listed, and found by search.
    public: bool = true => Switch, Reload;

    /// New rooms are members-only.
    members_only: bool = false => Switch, Reload;

    /// Who sees the real addresses of occupants in new rooms.
    whois: RoomWhois = RoomWhois::Moderators => OneOf(RoomWhois::WORDS), Reload;

    /// New rooms keep an archive of their messages (XEP-0313).
    archive: bool = true => Switch, Reload;

    /// Messages of the history that a new room sends to each newcomer. Older ones are in the archive.
    history: u32 = 20 => Count::between(0, 10_000), Reload;

    /// Occupants of one room, at most. Admins and owners may still enter a full room, up to a tenth more.
    occupants: usize = 10_000 => Count::between(1, 1_000_000), Reload;

    /// Sessions of one user in one room, at most.
    sessions_per_user: usize = 32 => Count::between(1, 1000), Reload;

    /// Occupants of one room whose presence is broadcast. Of those who enter later, only the presence of moderators
    /// is. So the traffic grows with the number of occupants, not with its square.
    shown_occupants: usize = 250 => Count::between(0, 100_000)
        .not_more("each of them is shown to each other one"), Reload;

    /// Members, admins, owners and banned addresses of one room, at most.
    affiliations: usize = 20_000 => Count::between(10, 1_000_000), Reload;

    /// Users of one room whose devices one message may wake, at most: members who are not in it, and occupants who may
    /// have other devices. In a room with more of them, each message wakes those of others. The archive has all messages
    /// for all of them.
    absent_members: usize = 1000 => Count::between(0, 1_000_000), Reload;

    /// Size of a nickname, at most.
    nickname: usize = 256 => Size::between(16, 1023)
        .not_more("no resource of an address is longer (RFC 7622 §3.4)"), Reload;

    /// Messages of the history of one room that are held in memory, at most. No room sends newcomers more.
    past_messages: usize = 100 => Count::between(0, 10_000), Reload;

    /// Bytes of the history of one room that are held in memory, at most.
    past_bytes: usize = 256 * KIB => Size::between(KIB, GIB), Reload;

    /// Size of the presence that one session may have in a room, at most.
    presence: usize = 16 * KIB => Size::between(KIB, MIB), Reload;
}

/// Refuses the prefix of another service.
pub(super) fn check(rooms: &RoomsConfig, fields: &Fields<'_>, problems: &mut Problems<'_>) {
    if TAKEN.contains(&rooms.prefix.as_str()) {
        problems.add(
            &fields.value_of("prefix").unwrap_or_else(|| fields.at.clone()),
            format!("`prefix` is that of another service: \"{}\"", rooms.prefix),
            "write another one, for example \"conference\"".to_owned(),
        );
    }
}

/// Refuses two services with the same prefix, and one whose domain is a host.
pub(super) fn check_all(
    rooms: &[(RoomsConfig, Fields<'_>)],
    hosts: &[HostConfig],
    problems: &mut Problems<'_>,
) {
    let mut seen: Vec<&str> = Vec::new();
    for (service, fields) in rooms {
        // An invalid prefix was reported, and replaced by the default.
        let is_written = fields.table.get("prefix").is_some();
        let is_read = !is_written || fields.text_of("prefix") == Some(service.prefix.as_str());
        let place = || fields.value_of("prefix").unwrap_or_else(|| fields.at.clone());
        if is_read && seen.contains(&service.prefix.as_str()) {
            problems.add(
                &place(),
                format!("an earlier [[rooms]] has the prefix \"{}\"", service.prefix),
                "give each of the two sections a `prefix` of its own".to_owned(),
            );
        }
        if is_read {
            seen.push(&service.prefix);
        }
        let is_host = |host: &HostConfig| {
            let below = |other: &HostConfig| format!("{}.{}", service.prefix, other.domain);
            hosts.iter().any(|other| below(other) == host.domain)
        };
        if let Some(host) = hosts.iter().find(|host| service.enabled && is_host(host)) {
            problems.add(
                &place(),
                format!("{} is a [[host]] and a service for rooms", host.domain),
                "give the service another `prefix`".to_owned(),
            );
        }
    }
}

/// The prefixes of all other services, whether they are offered or not, in alphabetical order.
pub(crate) const TAKEN: &[&str] = &["proxy", "pubsub", "upload"];
