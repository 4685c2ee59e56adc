//! Requests of owners: the configuration, and the end of the room (XEP-0045 §10).

use std::collections::BTreeMap;

use super::cause::{Cause, bad};
use super::change_affiliation::AffiliationChange;
use super::config_form::{ADMINS, FORM, OWNERS};
use super::config_values::addresses;
use super::destroy::DestroyNotice;
use super::effect::{Effect, Publication};
use super::occupants::Occupant;
use super::presence_broadcast::{Details, status};
use super::{Actor, Affiliation, Effects, Moment, Room, RoomConfig, Whois};
use crate::jid::BareJid;
use crate::ns;
use crate::payload::data_form::{self, FORM_TYPE, Field, FieldKind, Form, FormKind, Submitted};
use crate::stanza::{Condition, Content, Head, IqKind, Message, MessageKind, StanzaError};
use crate::xml::{ElementRef, element};

impl Room {
    pub(super) fn owner(
        &mut self,
        now: &Moment,
        actor: &Actor,
        kind: IqKind,
        query: &ElementRef<'_>,
        fx: &mut Effects,
    ) -> Result<(), StanzaError> {
        if self.affiliation_of(actor) != Affiliation::Owner {
            return Err(Condition::Forbidden.text("only owners do this"));
        }
        match kind {
            IqKind::Get => {
                let form = self.configuration().to_node();
                fx.answer = Some(element("query").ns(ns::MUC_OWNER).child(form));
                Ok(())
            }
            IqKind::Set => {
                if let Some(destroy) = query.child(ns::MUC_OWNER, "destroy") {
                    self.end(&DestroyNotice::read(&destroy)?, fx);
                    return Ok(());
                }
                let x = query.child(data_form::NS, "x");
                let x = x.ok_or_else(|| bad("there is neither a form nor an end"))?;
                self.submitted(&self.cause(now.at, actor), &x, fx)
            }
            IqKind::Error | IqKind::Result => Err(Condition::BadRequest.into()),
        }
    }

    /// An owner submits the form, or cancels it (XEP-0045 §10.1.3, §10.2). An empty form accepts the defaults of
    /// a new room (§10.1.2).
    fn submitted(
        &mut self,
        by: &Cause,
        x: &ElementRef<'_>,
        fx: &mut Effects,
    ) -> Result<(), StanzaError> {
        if x.attr("type").as_deref() == Some(FormKind::Cancel.as_str()) {
            if self.config.locked {
                self.end(&DestroyNotice::default(), fx);
            }
            return Ok(());
        }
        let form = Submitted::read(x).map_err(|_| bad("this is not a submitted form"))?;
        // A form without a type can be no other one here.
        if form.values(FORM_TYPE).is_some() && form.form_type() != Some(FORM) {
            return Err(bad("this is another form"));
        }
        self.configure_by(by, &form, fx)
    }

    /// The form of the configuration, filled in.
    pub(super) fn configuration(&self) -> Form {
        let listed = |var, label, affiliation| {
            let users = self.members.with(affiliation).into_iter();
            let users = users.map(|member| member.jid.as_str());
            Field::new(var, FieldKind::JidMulti).label(label).values(users)
        };
        let mut form = Form::new(FormKind::Form)
            .form_type(FORM)
            .title(&format!("Configuration of {}", self.jid))
            .instructions("Complete this form to change the configuration of the room.");
        for field in self.config.fields(&self.limits) {
            form = form.field(field);
        }
        form.field(listed(ADMINS, "All admins of the room", Affiliation::Admin)).field(listed(
            OWNERS,
            "All owners of the room",
            Affiliation::Owner,
        ))
    }

    /// Changes the configuration, and unlocks the room. What the form does not name stays.
    ///
    /// # Errors
    /// `not-acceptable` if a value is invalid, `conflict` if no owner would be left. Then all is as before.
    pub(super) fn configure_by(
        &mut self,
        by: &Cause,
        form: &Submitted,
        fx: &mut Effects,
    ) -> Result<(), StanzaError> {
        let mut config = self.config.clone();
        config.submit(form, &self.limits)?;
        config.locked = false;
        let people = self.people(form, config.members_only)?;
        self.check_affiliations(by, &people)?;
        let old = std::mem::replace(&mut self.config, config);
        self.apply_affiliations(by, &people, fx);
        if self.config == old {
            return Ok(());
        }
        fx.change.settings = Some(self.config.to_settings());
        if self.config.members_only && !old.members_only {
            self.remove_non_members(fx);
        }
        if !self.config.moderated {
            self.forget_roles(fx);
        }
        if self.config.presence_broadcast != old.presence_broadcast {
            self.rebroadcast_presence(fx);
        }
        self.announce_configuration(&old, fx);
        Ok(())
    }

    /// The affiliations that follow from the form, which has the full lists of admins and owners. A user who is no longer
    /// an owner becomes an admin (XEP-0045 §10.2). One who is no longer an admin stays a member in a members-only room.
    fn people(
        &self,
        form: &Submitted,
        members_only: bool,
    ) -> Result<Vec<AffiliationChange>, StanzaError> {
        let (admins, owners) = (addresses(form, ADMINS)?, addresses(form, OWNERS)?);
        let mut wanted = BTreeMap::<BareJid, Affiliation>::new();
        if owners.is_some() {
            let all = self.members.with(Affiliation::Owner).into_iter();
            wanted.extend(all.map(|member| (member.jid.clone(), Affiliation::Admin)));
        }
        if let Some(admins) = admins {
            let lower = if members_only { Affiliation::Member } else { Affiliation::None };
            let all = self.members.with(Affiliation::Admin).into_iter();
            wanted.extend(all.map(|member| (member.jid.clone(), lower)));
            // If the owners stay as they are, none of them becomes an admin.
            let stays = |user: &BareJid| {
                owners.is_none() && self.listed_affiliation(user) == Affiliation::Owner
            };
            let admins = admins.into_iter().filter(|user| !stays(user));
            wanted.extend(admins.map(|user| (user, Affiliation::Admin)));
        }
        wanted.extend(owners.into_iter().flatten().map(|user| (user, Affiliation::Owner)));
        wanted.retain(|user, affiliation| self.listed_affiliation(user) != *affiliation);
        let change =
            |(user, affiliation)| AffiliationChange { user, affiliation, nick: None, reason: None };
        Ok(wanted.into_iter().map(change).collect())
    }

    /// Removes all but members, because the room has become members-only (XEP-0045 §10.2). Admins of the service stay.
    fn remove_non_members(&mut self, fx: &mut Effects) {
        let others = self.occupants.iter();
        let may_stay =
            |o: &Occupant| o.is_service_admin || self.affiliation_of_occupant(o).is_member();
        let others = others.filter(|occupant| !may_stay(occupant));
        let nicks: Vec<_> = others.map(|occupant| occupant.nick.clone()).collect();
        let gone: Vec<Occupant> =
            nicks.iter().filter_map(|nick| self.occupants.remove(nick)).collect();
        let details = Details { codes: &[322], ..Details::default() };
        for occupant in &gone {
            self.broadcast_removal(occupant, &details, fx);
        }
    }

    /// Tells all occupants what has changed: what concerns their privacy, or that anything else has
    /// (XEP-0045 §10.2.1).
    fn announce_configuration(&mut self, old: &RoomConfig, fx: &mut Effects) {
        let new = &self.config;
        let mut codes = Vec::new();
        if new.public_logging != old.public_logging {
            codes.push(if new.public_logging { 170 } else { 171 });
        }
        if new.whois != old.whois {
            codes.push(if new.whois == Whois::Anyone { 172 } else { 173 });
        }
        let private = RoomConfig {
            public_logging: new.public_logging,
            whois: new.whois,
            locked: new.locked,
            ..old.clone()
        };
        if private != *new {
            codes.push(104);
        }
        for code in codes {
            self.announce_status(code, fx);
        }
    }

    /// Tells all occupants a status code, each in a message of its own (XEP-0045 §10.2.1).
    pub(super) fn announce_status(&mut self, code: u16, fx: &mut Effects) {
        let to = self.occupants.sessions();
        if to.is_empty() {
            return;
        }
        let message = Message {
            head: Head { from: Some(self.jid.clone().into_jid()), ..Head::default() },
            kind: MessageKind::Groupchat,
            content: Content::from(element("x").ns(ns::MUC_USER).child(status(code))),
        };
        fx.list.push(Effect::Publish(Box::new(Publication {
            message,
            to,
            archive: false,
            in_history: false,
            author: None,
            retracts: None,
        })));
    }
}

#[cfg(test)]
mod tests {
    use crate::muc::tests::{Coven, entering, told};

    fn submit(fields: &[(&str, &[&str])]) -> String {
        let fields: String = fields
            .iter()
            .map(|(var, values)| {
                let values: String = values.iter().map(|v| format!("<value>{v}</value>")).collect();
                format!("<field var='{var}'>{values}</field>")
            })
            .collect();
        format!(
            "<query xmlns='http://jabber.org/protocol/muc#owner'>\
             <x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>\
             http://jabber.org/protocol/muc#roomconfig</value></field>{fields}</x></query>"
        )
    }

    fn asked(coven: &mut Coven, by: &str, fields: &[(&str, &[&str])]) -> Vec<String> {
        match coven.set(by, &submit(fields)) {
            Ok(fx) => told(&fx),
            Err(error) => vec![error.condition.as_str().to_owned()],
        }
    }

    /// A field with its values.
    type Entry = (&'static str, &'static [&'static str]);

    #[test]
    fn invalid_forms_change_nothing() {
        let name: Entry = ("muc#roomconfig_roomname", &["Heath"]);
        let cases: [(&str, Entry, &str); 8] = [
            ("hag66", name, "forbidden"),
            ("wiccarocks", name, "forbidden"),
            ("crone1", ("muc#roomconfig_whois", &["nobody"]), "not-acceptable"),
            ("crone1", ("muc#roomconfig_membersonly", &["perhaps"]), "not-acceptable"),
            ("crone1", ("muc#roomconfig_maxusers", &["0"]), "not-acceptable"),
            ("crone1", ("muc#roomconfig_passwordprotectedroom", &["1"]), "not-acceptable"),
            ("crone1", ("muc#roomconfig_roomadmins", &["@"]), "not-acceptable"),
            ("crone1", ("muc#roomconfig_roomowners", &[]), "conflict"),
        ];
        for (by, field, error) in cases {
            // A field that is changed twice would be another fault.
            let fields = if field == name { vec![name] } else { vec![name, field] };
            let mut coven = Coven::new();
            let before = coven.room.config().clone();
            assert_eq!(asked(&mut coven, by, &fields), [error], "{field:?}");
            assert_eq!(*coven.room.config(), before, "{field:?}");
        }
    }

    #[test]
    fn occupants_are_told_what_has_changed() {
        for (var, value, code) in [
            ("muc#roomconfig_roomname", "Heath", "104"),
            ("muc#roomconfig_whois", "anyone", "172"),
            ("muc#roomconfig_enablelogging", "1", "170"),
            ("muc#roomconfig_whois", "moderators", ""),
            ("unknown", "1", ""),
        ] {
            let mut coven = Coven::new();
            let told = asked(&mut coven, "crone1", &[(var, &[value])]);
            let all = ["crone1", "hag66", "wiccarocks"].iter().filter(|_| !code.is_empty());
            let expected: Vec<_> = all.map(|who| format!("{who}: groupchat {code}")).collect();
            assert_eq!(told, expected, "{var}={value}");
        }
    }

    #[test]
    fn a_room_that_becomes_members_only_removes_the_others() {
        let mut coven = Coven::new();
        let told = asked(&mut coven, "crone1", &[("muc#roomconfig_membersonly", &["1"])]);
        assert_eq!(
            told,
            [
                "crone1: hag unavailable none/none jid 322",
                "wiccarocks: hag unavailable none/none jid 322",
                "hag66: hag unavailable none/none jid 322 110",
                "crone1: groupchat 104",
                "wiccarocks: groupchat 104",
            ]
        );
    }

    #[test]
    fn an_admin_of_the_service_stays_in_a_room_for_members() {
        use crate::jid::Jid;
        use crate::muc::{Actor, Input, Moment};
        use crate::stanza::{Presence, PresenceKind};
        let mut coven = Coven::new();
        let jid = Jid::parse("hecate@witches/pda").unwrap();
        let to = Jid::parse("coven@chat.example/hecate").unwrap();
        let mut presence = Presence::bare(PresenceKind::Available, jid.clone(), to);
        presence.content = entering();
        let now = Moment { at: coven.at(), token: "token".into() };
        coven.room.apply(&now, &Actor::new(jid.clone(), true), Input::Presence(presence)).unwrap();
        asked(&mut coven, "crone1", &[("muc#roomconfig_membersonly", &["1"])]);
        assert!(coven.room.has_session(&jid));
        assert_eq!(coven.room.occupants(), 3);
        let member = "<query xmlns='http://jabber.org/protocol/muc#admin'>\
                      <item jid='hecate@witches' affiliation='member'/></query>";
        coven.set("crone1", member).unwrap();
        coven.set("crone1", &member.replace("'member'", "'none'")).unwrap();
        assert!(coven.room.has_session(&jid));
    }

    #[test]
    fn the_lists_of_the_form_are_full_lists() {
        let mut coven = Coven::new();
        let told = asked(
            &mut coven,
            "crone1",
            &[
                ("muc#roomconfig_roomadmins", &["hag66@witches"]),
                ("muc#roomconfig_roomowners", &["crone1@witches", "hecate@witches"]),
            ],
        );
        for expected in [
            "crone1: owner/none hecate@witches",
            "crone1: hag available admin/moderator jid by=crone",
            "crone1: wicca available none/participant jid by=crone",
        ] {
            assert!(told.contains(&expected.to_owned()), "{told:?}");
        }
    }

    #[test]
    fn a_new_room_is_unlocked_or_cancelled() {
        let empty = "<query xmlns='http://jabber.org/protocol/muc#owner'>\
                     <x xmlns='jabber:x:data' type='submit'/></query>";
        let mut coven = Coven::locked();
        let fx = coven.set("crone1", empty).unwrap();
        assert!(!coven.room.config().locked && fx.change.settings.is_some() && fx.list.is_empty());
        let cancel = empty.replace("submit", "cancel");
        let fx = coven.set("crone1", &cancel).unwrap();
        assert!(!fx.is_destroyed && fx.list.is_empty());
        let mut coven = Coven::locked();
        let fx = coven.set("crone1", &cancel).unwrap();
        assert!(fx.is_destroyed);
        assert_eq!(told(&fx), ["crone1: crone unavailable none/none destroy"]);
    }
}
