//! Service discovery of a room (XEP-0045 §6.4, §6.5), and requests that no other file handles.

use smol_str::SmolStr;

use super::commands::Command;
use super::{Actor, Affiliation, AllowPm, Effects, Moment, Room, Whois};
use crate::archive;
use crate::ns;
use crate::payload::data_form::{self, Field, FieldKind, Form, FormKind};
use crate::payload::datetime::Timestamp;
use crate::payload::disco::{Identity, Info, Item};
use crate::payload::{photo, result_set};
use crate::stanza::{Condition, Iq, IqKind, StanzaError};

impl Room {
    /// The identity and features of the room, or of one of its nodes. `None`: for the sender there is no such room or
    /// node. A locked room exists for its owners only (§10.1). A hidden room answers, too: it is only left out of lists
    /// (§6.4). `archives`: the server has archives; else the room has none, whatever its configuration says.
    ///
    /// # Errors
    /// `feature-not-implemented` for the list of payloads that may be sent (§18.1): all may be.
    pub fn info(
        &self,
        now: Timestamp,
        actor: &Actor,
        node: Option<&str>,
        archives: bool,
    ) -> Result<Option<Info>, StanzaError> {
        if self.is_in_the_making_for(actor) {
            return Ok(None);
        }
        match node {
            None => Ok(Some(Info {
                identities: vec![identity(self.title())],
                features: self.features(archives),
                forms: vec![self.form(now, actor)],
            })),
            Some(RESERVED_NICK) => Ok(Some(self.reserved_nick(actor))),
            Some(TRAFFIC) => Err(Condition::ServiceUnavailable.into()),
            Some(node) => Ok(self.command_info(actor, node)),
        }
    }

    /// The occupants whose presence is broadcast. In a public room, users who may enter get the list, in a hidden one
    /// only occupants (§6.5); others get an empty list. `None` as for [`Room::info`].
    #[must_use]
    pub fn items(&self, actor: &Actor, node: Option<&str>) -> Option<Vec<Item>> {
        if self.is_in_the_making_for(actor) {
            return None;
        }
        match node {
            Some(ns::COMMANDS) => {
                let commands = self.commands_for(actor).into_iter();
                return Some(commands.map(|command| self.command_item(command)).collect());
            }
            Some(_) => return None,
            None => {}
        }
        let may_know = self.is_occupant(actor)
            || actor.is_service_admin
            || (self.config.is_public && self.may_enter_now(actor));
        if !may_know {
            return Some(Vec::new());
        }
        let shown = self.occupants.iter().filter(|occupant| occupant.is_shown);
        let item = |address: &crate::jid::FullJid| Item::of(address.clone().into_jid());
        Some(shown.take(MOST_ITEMS).map(|occupant| item(&occupant.address)).collect())
    }

    /// A request to the room itself that no other file answers. Service discovery is answered by the server
    /// for all services, by [`Room::info`] and [`Room::items`].
    pub(super) fn other_request(
        &mut self,
        now: &Moment,
        actor: &Actor,
        iq: &Iq,
        fx: &mut Effects,
    ) -> Result<(), StanzaError> {
        let payload = iq.payload().ok_or(Condition::BadRequest)?;
        // The card with the picture (XEP-0486), then commands (XEP-0317), then invitations by token (XEP-0488).
        if let Some(answered) = self.card_request(now, actor, iq, fx) {
            return answered;
        }
        if let Some(answered) = self.command_request(now, actor, iq, fx) {
            return answered;
        }
        if let Some(answered) = self.token_request(now, actor, iq, fx) {
            return answered;
        }
        match (iq.kind, payload.ns(), payload.name()) {
            // The room exists (XEP-0199 §4.2). A client that wants to know whether it is in the room pings its own
            // occupant address (XEP-0410).
            (IqKind::Get, ns::PING, "ping") => Ok(()),
            // RFC 6120 §8.4: nothing here understands it.
            _ => Err(Condition::ServiceUnavailable.into()),
        }
    }

    /// The name for people: if it has none, the local part of its address.
    #[must_use]
    pub fn title(&self) -> &str {
        match self.config.name.as_str() {
            "" => self.jid.local().unwrap_or_default(),
            name => name,
        }
    }

    /// Whether the room is locked, and does not exist for this user.
    fn is_in_the_making_for(&self, actor: &Actor) -> bool {
        self.config.locked && self.affiliation_of(actor) != Affiliation::Owner
    }

    fn is_occupant(&self, actor: &Actor) -> bool {
        self.occupants.of_user(&actor.user).next().is_some()
    }

    /// Whether somebody may enter now, as far as that depends on who it is.
    fn may_enter_now(&self, actor: &Actor) -> bool {
        self.may_read_archive(actor).is_ok()
    }

    /// What the room can do, and what kind of room it is (§16.3, §4.2). Without an archive there is no moderation, since
    /// the message to be retracted is read from the archive (XEP-0425 §3).
    fn features(&self, archives: bool) -> Vec<&'static str> {
        let config = &self.config;
        let one_of =
            |holds: bool, yes: &'static str, no: &'static str| if holds { yes } else { no };
        let mut features = vec![
            one_of(config.is_public && !config.locked, "muc_public", "muc_hidden"),
            one_of(config.is_persistent, "muc_persistent", "muc_temporary"),
            one_of(config.members_only, "muc_membersonly", "muc_open"),
            one_of(config.moderated, "muc_moderated", "muc_unmoderated"),
            one_of(config.whois == Whois::Anyone, "muc_nonanonymous", "muc_semianonymous"),
            one_of(config.password.is_some(), "muc_passwordprotected", "muc_unsecured"),
        ];
        features.extend(OF_ALL);
        if config.archive && archives {
            features.extend([ns::MAM, archive::EXTENDED, ns::STANZA_ID, result_set::NS]);
            features.extend([super::moderation::NS, ns::RETRACT_TOMBSTONE]);
        }
        if config.registration {
            features.push(ns::REGISTER);
        }
        if config.asks() {
            features.push(super::challenge::NS);
        }
        if config.voice_requests {
            features.push(ns::MUC_REQUEST);
        }
        features.sort_unstable();
        features.dedup();
        features
    }

    /// More about the room (§6.4, §16.5.4).
    fn form(&self, now: Timestamp, actor: &Actor) -> Form {
        let config = &self.config;
        let mut fields = vec![
            text("muc#roomconfig_roomname", "Name", &config.name),
            text("muc#roominfo_description", "Description", &config.description),
            text("muc#roominfo_lang", "Language", &config.language),
        ];
        fields.extend(self.state_fields(now, actor));
        if !config.contacts.is_empty() {
            let contacts = Field::new("muc#roominfo_contactjid", FieldKind::JidMulti);
            let contacts = contacts.label("Contact addresses");
            fields.push(contacts.values(config.contacts.iter().cloned()));
        }
        fields.extend([
            switch("muc#roominfo_subjectmod", SUBJECT, config.change_subject),
            switch("muc#roomconfig_changesubject", SUBJECT, config.change_subject),
            switch("muc#roomconfig_allowinvites", "Members may invite", config.allow_invites),
            text("muc#roomconfig_allowpm", "Who may send private messages", pm(config.allow_pm)),
            text("muc#maxhistoryfetch", "Messages for newcomers", &config.max_history.to_string()),
            // XEP-0500 §5.2: 0 if occupants need not wait.
            text("muc#roominfo_slow_mode_duration", "Slow mode", &config.slow_mode.to_string()),
        ]);
        if !config.pubsub.is_empty() {
            fields.push(text("muc#roomconfig_pubsub", "Associated node", &config.pubsub));
        }
        if self.photo().is_some() {
            // XEP-0486 §5.1.
            let hashes = Field::new("muc#roominfo_avatarhash", FieldKind::TextMulti);
            fields.push(hashes.label("Avatar hash").values(self.photos()));
        }
        if let Some(hash) = self.hats_hash() {
            fields.push(text("hats#hash", "Hats hash", &hash));
        }
        let form = Form::new(FormKind::Result).form_type(ROOM_INFO);
        fields.into_iter().fold(form, Form::field)
    }

    /// The fields about the state of the room. Only users who may enter get the subject, and the number of occupants of
    /// a hidden room (§14.4).
    fn state_fields(&self, now: Timestamp, actor: &Actor) -> Vec<Field> {
        let config = &self.config;
        let may_enter = self.may_enter_now(actor);
        let mut fields = Vec::new();
        if let Some(subject) = self.subject.text().filter(|_| may_enter) {
            fields.push(text("muc#roominfo_subject", "Subject", &subject));
        }
        let is_banned = self.affiliation_of(actor) == Affiliation::Outcast;
        if may_enter || (config.is_public && !is_banned) {
            let occupants = self.occupants.len().to_string();
            fields.push(text("muc#roominfo_occupants", "Number of occupants", &occupants));
        }
        // XEP-0502 §3.1, §9: of persistent rooms that everybody may enter.
        let is_open = config.is_public && !config.members_only && config.password.is_none();
        let rate = self.activity.per_hour(now).filter(|_| is_open && config.is_persistent);
        if let Some(rate) = rate {
            fields.push(text(ACTIVITY, "Messages per hour", &format!("{rate:.2}")));
        }
        fields
    }

    /// The nickname that the sender has registered (§7.12). Nothing if there is none.
    fn reserved_nick(&self, actor: &Actor) -> Info {
        Info { identities: self.reserved_nick_info(actor).into_iter().collect(), ..Info::default() }
    }

    /// What a command is (XEP-0050 §2.3), or the list of all (§2.2).
    fn command_info(&self, actor: &Actor, node: &str) -> Option<Info> {
        let is_list = node == ns::COMMANDS;
        let mut commands = self.commands_for(actor).into_iter();
        let name = match is_list {
            true => "Commands",
            false => commands.find(|command| command.node() == node)?.name(),
        };
        let kind = if is_list { "command-list" } else { "command-node" };
        let identity = Identity { category: "automation", kind, name: Some(name.into()) };
        let features = if is_list { vec![] } else { vec![ns::COMMANDS, data_form::NS] };
        Some(Info { identities: vec![identity], features, ..Info::default() })
    }

    /// A command as an item (XEP-0050 §2.2).
    fn command_item(&self, command: Command) -> Item {
        let name = Some(SmolStr::new_static(command.name()));
        Item { name, node: Some(command.node().into()), ..Item::of(self.jid.clone().into_jid()) }
    }
}

fn identity(name: &str) -> Identity {
    Identity { category: "conference", kind: "text", name: Some(SmolStr::new(name)) }
}

fn text(var: &str, label: &str, value: &str) -> Field {
    Field::new(var, FieldKind::TextSingle).label(label).value(value)
}

fn switch(var: &str, label: &str, value: bool) -> Field {
    Field::new(var, FieldKind::Boolean).label(label).value(if value { "1" } else { "0" })
}

fn pm(allowed: AllowPm) -> &'static str {
    match allowed {
        AllowPm::Anyone => "anyone",
        AllowPm::Moderators => "moderators",
        AllowPm::None => "none",
        AllowPm::Participants => "participants",
    }
}

/// What each room can do.
const OF_ALL: [&str; 13] = [
    ns::COMMANDS,
    ns::DISCO_INFO,
    ns::DISCO_ITEMS,
    ns::MUC,
    ns::MUC_STABLE_ID,
    ns::PING,
    ns::RETRACT,
    SELF_PING,
    super::extra::HATS,
    super::invite_tokens::NS,
    super::affiliation_versions::NS,
    super::occupant_id::NS,
    photo::CARD_NS,
];

/// The form about a room (§16.5.4).
const ROOM_INFO: &str = "http://jabber.org/protocol/muc#roominfo";
/// The node at which a user learns the own reserved nickname (§7.12).
const RESERVED_NICK: &str = "x-roomuser-item";
/// The node that lists the payloads that may be sent (§18.1).
const TRAFFIC: &str = "http://jabber.org/protocol/muc#traffic";
/// The room answers pings of occupants to themselves (XEP-0410 §3.3).
const SELF_PING: &str = "http://jabber.org/protocol/muc#self-ping-optimization";
/// XEP-0502 §3.1.
const ACTIVITY: &str = "{urn:xmpp:muc-activity}message-activity";
const SUBJECT: &str = "Participants may change the subject";
/// Occupants that are listed, at most.
const MOST_ITEMS: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jid::{BareJid, Jid};
    use crate::muc::{RoomConfig, RoomLimits};

    fn actor(text: &str) -> Actor {
        Actor::new(Jid::parse(text).unwrap(), false)
    }

    fn room(config: RoomConfig) -> Room {
        let jid = |text| BareJid::parse(text).unwrap();
        let at = Timestamp::from_micros(0);
        let (room, creator) = (jid("coven@chat.example"), jid("crone1@shakespeare.lit"));
        Room::new(room, creator, config, RoomLimits::default(), [1; 32], at)
    }

    fn told(room: &Room, of: &Actor) -> String {
        let info = room.info(Timestamp::from_micros(0), of, None, true).unwrap().unwrap();
        info.to_node(None).to_xml()
    }

    #[test]
    fn a_room_tells_what_it_is() {
        let hag = actor("hag66@shakespeare.lit/pda");
        let open = told(&room(RoomConfig::default()), &hag);
        for var in ["muc_public", "muc_temporary", "muc_open", "muc_unmoderated", "muc_unsecured"] {
            assert!(open.contains(&format!("<feature var='{var}'/>")), "{var}: {open}");
        }
        assert!(open.contains("name='coven'") && open.contains("muc_semianonymous"), "{open}");
        assert!(open.contains("urn:xmpp:mam:2#extended"), "{open}");
        let closed = RoomConfig {
            name: "A Dark Cave".to_owned(),
            is_public: false,
            is_persistent: true,
            members_only: true,
            moderated: true,
            password: Some("cauldronburn".to_owned()),
            whois: Whois::Anyone,
            archive: false,
            ..RoomConfig::default()
        };
        let closed = told(&room(closed), &hag);
        for var in [
            "muc_hidden",
            "muc_persistent",
            "muc_membersonly",
            "muc_moderated",
            "muc_nonanonymous",
            "muc_passwordprotected",
        ] {
            assert!(closed.contains(&format!("<feature var='{var}'/>")), "{var}: {closed}");
        }
        assert!(closed.contains("name='A Dark Cave'"), "{closed}");
        assert!(!closed.contains("urn:xmpp:mam:2") && !closed.contains("cauldronburn"));
        // Strangers do not learn how many are in a hidden room.
        assert!(!closed.contains("muc#roominfo_occupants"), "{closed}");
    }

    #[test]
    fn without_an_archive_nothing_is_announced_that_needs_one() {
        let hag = actor("hag66@shakespeare.lit/pda");
        let with = |of_room, of_server| {
            let room = room(RoomConfig { archive: of_room, ..RoomConfig::default() });
            let info = room.info(Timestamp::from_micros(0), &hag, None, of_server);
            let features = info.unwrap().unwrap().features;
            let needing = [ns::MAM, archive::EXTENDED, ns::STANZA_ID, ns::RETRACT_TOMBSTONE];
            let mut needing = needing.into_iter().chain([super::super::moderation::NS]);
            (needing.clone().all(|f| features.contains(&f)), needing.any(|f| features.contains(&f)))
        };
        assert_eq!(with(true, true), (true, true));
        for (room, server) in [(true, false), (false, true)] {
            assert_eq!(with(room, server), (false, false), "room {room}, server {server}");
        }
    }

    #[test]
    fn a_room_in_the_making_is_there_for_its_owner_only() {
        let room = room(RoomConfig { locked: true, ..RoomConfig::default() });
        let at = Timestamp::from_micros(0);
        let (hag, crone) = (actor("hag66@shakespeare.lit/pda"), actor("crone1@shakespeare.lit/d"));
        assert!(room.info(at, &hag, None, true).unwrap().is_none());
        assert!(room.items(&hag, None).is_none());
        assert!(room.info(at, &crone, None, true).unwrap().is_some());
    }

    #[test]
    fn the_reserved_nickname_is_told_to_its_user() {
        let mut room = room(RoomConfig::default());
        let at = Timestamp::from_micros(0);
        let hag = actor("hag66@shakespeare.lit/pda");
        let nick = |room: &Room| {
            let info = room.info(at, &hag, Some("x-roomuser-item"), true).unwrap().unwrap();
            info.identities.first().and_then(|identity| identity.name.clone())
        };
        assert_eq!(nick(&room), None);
        room.members.set_nick(&hag.user, Some("thirdwitch"), at);
        assert_eq!(nick(&room).as_deref(), Some("thirdwitch"));
        assert!(room.info(at, &hag, Some("http://jabber.org/protocol/muc#traffic"), true).is_err());
        assert!(room.info(at, &hag, Some("x-roominfo"), true).unwrap().is_none());
    }
}
