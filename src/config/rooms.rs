//! `[[rooms]]`: a service for group chat, `conference.<host>` (XEP-0045).

use super::error::Problems;
use super::host::HostConfig;
use super::section::{Fields, choice, section};
use super::units::{GIB, KIB, MIB};
use super::value::{Accounts, Count, Label, OneOf, Size, Switch, Text};
use crate::jid::BareJid;

choice! {
    /// Who may make rooms.
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
    /// Repeat the section for further services, each with a `prefix` of its own. Without one, there is the service
    /// `conference`. Each service has a domain below each host. The owners of a room choose its settings; here are those
    /// of new rooms, and limits.
    pub struct RoomsConfig = "rooms";

    /// What stands before the host in the addresses of rooms: "conference" for `garden@conference.example.org`.
    prefix: String = "conference".to_owned() => Label("\"conference\""), Restart;

    /// Offer the service. If not, its rooms stay stored, and nobody reaches them. To have no group chat at all, write
    /// one section with `enabled = false`.
    enabled: bool = true => Switch, Restart;

    /// The name of the service, for people.
    name: String = "Group chat".to_owned() => Text("\"Group chat\""), Restart;

    /// Who may make rooms.
    create: RoomCreators = RoomCreators::Local => OneOf(RoomCreators::WORDS), Reload;

    /// Accounts that may do in each room of the service what its owners may do, besides the administrators of the
    /// server.
    admins: Vec<BareJid> = Vec::new() => Accounts, Reload;

    /// Rooms of the service below one host. When there are so many, nobody makes more; administrators still do by
    /// `waxwing room create --force`.
    rooms: u32 = 100_000 => Count::between(0, 100_000_000), Reload;

    /// Rooms that one user may have made at the service.
    rooms_per_user: u32 = 100 => Count::between(0, 1_000_000), Reload;

    /// New rooms stay when nobody is in them.
    persistent: bool = false => Switch, Reload;

    /// New rooms are listed, and found by search.
    public: bool = true => Switch, Reload;

    /// New rooms are for members only.
    members_only: bool = false => Switch, Reload;

    /// Who sees the real addresses of occupants in new rooms.
    whois: RoomWhois = RoomWhois::Moderators => OneOf(RoomWhois::WORDS), Reload;

    /// New rooms keep an archive of their messages (XEP-0313).
    archive: bool = true => Switch, Reload;

    /// Messages that newcomers of new rooms are sent. Older ones are in the archive.
    history: u32 = 20 => Count::between(0, 10_000), Reload;

    /// Occupants of one room. Admins and owners of a full room still get in, up to a tenth more.
    occupants: usize = 10_000 => Count::between(1, 1_000_000), Reload;

    /// Sessions of one user in one room.
    sessions_per_user: usize = 32 => Count::between(1, 1000), Reload;

    /// Occupants of one room whose presence is shown to the others. Of those who come later only moderators
    /// are shown. What is sent grows with the number of occupants, not with its square.
    shown_occupants: usize = 250 => Count::between(0, 100_000)
        .not_more("each of them is shown to each other one"), Reload;

    /// Members, admins, owners and banned addresses of one room.
    affiliations: usize = 20_000 => Count::between(10, 1_000_000), Reload;

    /// Members of one room who are not in it and whose devices may be woken by one message. In a room with more, each
    /// message goes to so many of them, to others each time. All of them find it in the archive.
    absent_members: usize = 1000 => Count::between(0, 1_000_000), Reload;

    /// Size of a nickname.
    nickname: usize = 256 => Size::between(16, 1023)
        .not_more("no resource of an address is longer (RFC 7622 §3.4)"), Reload;

    /// Messages of one room in memory, for newcomers. No room sends them more.
    past_messages: usize = 100 => Count::between(0, 10_000), Reload;

    /// Bytes of these messages, of one room.
    past_bytes: usize = 256 * KIB => Size::between(KIB, GIB), Reload;

    /// Size of the presence that one session shows in a room.
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

/// The prefixes of other services.
const TAKEN: &[&str] = &["pubsub"];
