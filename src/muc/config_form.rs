//! The form of the configuration (XEP-0045 §10.2, §16.5.3).
//!
//! A submitted form need not have all fields, and may have others: what it does not name stays as it is, and
//! what nobody knows is ignored (XEP-0004 §3.2).

use super::config_values::{Options, chosen, invalid, jids, number, roles, set, text};
use super::{AllowPm, RoomConfig, RoomLimits, Whois};
use crate::payload::data_form::{Field, FieldKind, FormError, Submitted};
use crate::stanza::{Condition, StanzaError};

/// The kind of form (XEP-0045 §16.5.3).
pub(super) const FORM: &str = crate::ns::MUC_ROOMCONFIG;
/// The field with all admins.
pub(super) const ADMINS: &str = "muc#roomconfig_roomadmins";
/// The field with all owners.
pub(super) const OWNERS: &str = "muc#roomconfig_roomowners";

const NAME: &str = "muc#roomconfig_roomname";
const DESCRIPTION: &str = "muc#roomconfig_roomdesc";
const LANGUAGE: &str = "muc#roomconfig_lang";
const PUBSUB: &str = "muc#roomconfig_pubsub";
const QUESTION: &str = "{urn:waxwing:muc}question";
const ANSWER: &str = "{urn:waxwing:muc}answer";
const CONTACTS: &str = "{urn:waxwing:muc}contacts";
const IS_PROTECTED: &str = "muc#roomconfig_passwordprotectedroom";
const PASSWORD: &str = "muc#roomconfig_roomsecret";
const WHOIS: &str = "muc#roomconfig_whois";
const ALLOW_PM: &str = "muc#roomconfig_allowpm";
const MEMBER_LIST: &str = "muc#roomconfig_getmemberlist";
const BROADCAST: &str = "muc#roomconfig_presencebroadcast";
const MAX_USERS: &str = "muc#roomconfig_maxusers";
const MAX_HISTORY: &str = "muc#maxhistoryfetch";
/// XEP-0500.
const SLOW_MODE: &str = "muc#roomconfig_slow_mode_duration";

/// A field that is yes or no.
struct Switch {
    /// The name in the form. Submitted forms may have another one of these instead.
    vars: &'static [&'static str],
    label: &'static str,
    of: fn(&mut RoomConfig) -> &mut bool,
}

const SWITCHES: &[Switch] = &[
    Switch {
        vars: &["muc#roomconfig_publicroom"],
        label: "The room is listed",
        of: |config| &mut config.is_public,
    },
    Switch {
        vars: &["muc#roomconfig_persistentroom"],
        label: "The room stays when nobody is in it",
        of: |config| &mut config.is_persistent,
    },
    Switch {
        vars: &["muc#roomconfig_membersonly"],
        label: "Only members may enter",
        of: |config| &mut config.members_only,
    },
    Switch {
        vars: &["muc#roomconfig_moderatedroom"],
        label: "Only those with a voice may write to all",
        of: |config| &mut config.moderated,
    },
    Switch {
        vars: &["muc#roomconfig_changesubject"],
        label: "Participants may change the subject",
        of: |config| &mut config.change_subject,
    },
    Switch {
        vars: &["muc#roomconfig_allowinvites"],
        label: "Members may invite others",
        of: |config| &mut config.allow_invites,
    },
    // COMPAT: the name that ejabberd gave it.
    Switch {
        vars: &["muc#roomconfig_allowvoicerequests"],
        label: "Visitors may ask for voice",
        of: |config| &mut config.voice_requests,
    },
    Switch {
        vars: &["{urn:waxwing:muc}registration"],
        label: "Users may register with the room",
        of: |config| &mut config.registration,
    },
    Switch {
        vars: &["{urn:waxwing:muc}registered_nicknames"],
        label: "Who has registered a nickname has no other one",
        of: |config| &mut config.registered_nicknames,
    },
    // COMPAT: the names of Prosody, ejabberd and MongooseIM; Conversations (2026) knows all of them.
    Switch {
        vars: &["muc#roomconfig_enablearchiving", "mam", "muc#roomconfig_mam"],
        label: "Messages are archived",
        of: |config| &mut config.archive,
    },
    Switch {
        vars: &["{urn:waxwing:muc}history_since_joined"],
        label: "Members read only what was written since they became members",
        of: |config| &mut config.history_since_joined,
    },
    Switch {
        vars: &["muc#roomconfig_enablelogging"],
        label: "Everybody can read the discussion elsewhere",
        of: |config| &mut config.public_logging,
    },
];

const WHOIS_OPTIONS: Options<Whois> =
    &[(Whois::Moderators, "moderators", "Moderators only"), (Whois::Anyone, "anyone", "Everybody")];

const ALLOW_PM_OPTIONS: Options<AllowPm> = &[
    (AllowPm::Anyone, "anyone", "Everybody"),
    (AllowPm::Participants, "participants", "Those with a voice"),
    (AllowPm::Moderators, "moderators", "Moderators only"),
    (AllowPm::None, "none", "Nobody"),
];

const ROLE_OPTIONS: Options<()> = &[
    ((), "moderator", "Moderators"),
    ((), "participant", "Participants"),
    ((), "visitor", "Visitors"),
];

impl RoomConfig {
    /// The fields of the form, filled in.
    pub(super) fn fields(&self, limits: &RoomLimits) -> Vec<Field> {
        let mut fields = vec![
            line(NAME, "Name", &self.name),
            line(DESCRIPTION, "Description", &self.description),
            line(LANGUAGE, "Language of the discussion", &self.language),
            Field::new(CONTACTS, FieldKind::JidMulti)
                .label("Whom to ask about the room")
                .values(&self.contacts),
            line(PUBSUB, "Address of the associated node", &self.pubsub),
        ];
        let mut config = self.clone();
        fields.extend(SWITCHES.iter().map(|switch| {
            let is_on = *(switch.of)(&mut config);
            boolean(switch.vars[0], switch.label, is_on)
        }));
        fields.extend([
            boolean(IS_PROTECTED, "A password is needed to enter", self.password.is_some()),
            Field::new(PASSWORD, FieldKind::TextPrivate)
                .label("Password")
                .values(self.password.as_deref()),
            line(QUESTION, "What newcomers are asked", &self.question),
            line(ANSWER, "The answer that lets them in", &self.answer),
            one_of(WHOIS, "Who learns real addresses", WHOIS_OPTIONS, self.whois),
            one_of(ALLOW_PM, "Who may send private messages", ALLOW_PM_OPTIONS, self.allow_pm),
            some_of(MEMBER_LIST, "Who may read the list of members", &self.member_list),
            some_of(BROADCAST, "Whose presence is shown", &self.presence_broadcast),
            self.max_users_field(limits),
            line(MAX_HISTORY, "Messages that a newcomer gets", &self.max_history.to_string()),
            line(SLOW_MODE, "Seconds between two messages", &self.slow_mode.to_string())
                .at_least(0),
        ]);
        fields
    }

    fn max_users_field(&self, limits: &RoomLimits) -> Field {
        let none = "none".to_owned();
        let value = self.max_users.map_or_else(|| none.clone(), |most| most.to_string());
        let mut numbers: Vec<usize> = MAX_USERS_OPTIONS.to_vec();
        numbers.retain(|number| *number < limits.occupants);
        numbers.extend(self.max_users.map(|most| most as usize));
        numbers.sort_unstable();
        numbers.dedup();
        let field = Field::new(MAX_USERS, FieldKind::ListSingle).label("Occupants at most");
        let options = numbers.iter().map(ToString::to_string).chain([none]);
        options.fold(field.value(&value), |field, option| field.option(&option, &option))
    }

    /// Takes what a submitted form says.
    ///
    /// # Errors
    /// `not-acceptable` for an invalid value (XEP-0045 §10.1.3). Then part of the form was taken.
    pub(super) fn submit(
        &mut self,
        form: &Submitted,
        limits: &RoomLimits,
    ) -> Result<(), StanzaError> {
        self.submit_values(form, limits).map_err(invalid)?;
        let is_protected = form.boolean(IS_PROTECTED).map_err(invalid)?;
        let password = text(form, PASSWORD, SHORT).map_err(invalid)?;
        match is_protected.unwrap_or(self.password.is_some()) {
            false => self.password = None,
            true => self.password = password.or(self.password.take()),
        }
        match self.password.as_deref() {
            None if is_protected == Some(true) => Err(no_password()),
            Some("") => Err(no_password()),
            _ => Ok(()),
        }
    }

    fn submit_values(&mut self, form: &Submitted, limits: &RoomLimits) -> Result<(), FormError> {
        for switch in SWITCHES {
            for var in switch.vars {
                if let Some(is_on) = form.boolean(var)? {
                    *(switch.of)(self) = is_on;
                }
            }
        }
        set(&mut self.name, text(form, NAME, SHORT)?);
        set(&mut self.description, text(form, DESCRIPTION, LONG)?);
        set(&mut self.pubsub, text(form, PUBSUB, SHORT)?);
        set(&mut self.question, trimmed(form, QUESTION)?);
        set(&mut self.answer, trimmed(form, ANSWER)?);
        let language = text(form, LANGUAGE, 64)?;
        let is_in_tag = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if language.as_deref().is_some_and(|language| !language.bytes().all(is_in_tag)) {
            return Err(FormError::Value);
        }
        set(&mut self.language, language);
        let contacts = jids(form, CONTACTS)?.map(|contacts| {
            contacts.iter().take(MAX_CONTACTS).map(|jid| jid.as_str().to_owned()).collect()
        });
        set(&mut self.contacts, contacts);
        set(&mut self.whois, chosen(form, WHOIS, WHOIS_OPTIONS)?);
        set(&mut self.allow_pm, chosen(form, ALLOW_PM, ALLOW_PM_OPTIONS)?);
        set(&mut self.member_list, roles(form, MEMBER_LIST, ROLE_OPTIONS)?);
        set(&mut self.presence_broadcast, roles(form, BROADCAST, ROLE_OPTIONS)?);
        if let Some(most) = form.text(MAX_USERS)? {
            self.max_users = match most.trim() {
                "" | "none" => None,
                number => {
                    Some(number.parse::<u32>().ok().filter(|n| *n > 0).ok_or(FormError::Value)?)
                }
            };
        }
        let most = u32::try_from(limits.history).unwrap_or(u32::MAX);
        let history = number(form, MAX_HISTORY)?;
        set(&mut self.max_history, history.map(|history| history.min(most)));
        // What is no number, or a number that is too large, does not count (XEP-0500 §8).
        set(&mut self.slow_mode, number(form, SLOW_MODE).unwrap_or_default());
        Ok(())
    }
}

fn trimmed(form: &Submitted, var: &str) -> Result<Option<String>, FormError> {
    Ok(text(form, var, SHORT)?.map(|text| text.trim().to_owned()))
}

fn line(var: &str, label: &str, value: &str) -> Field {
    Field::new(var, FieldKind::TextSingle).label(label).value(value)
}

fn boolean(var: &str, label: &str, is_on: bool) -> Field {
    Field::new(var, FieldKind::Boolean).label(label).value(if is_on { "1" } else { "0" })
}

fn one_of<T: Copy + PartialEq>(var: &str, label: &str, options: Options<T>, value: T) -> Field {
    let field = Field::new(var, FieldKind::ListSingle).label(label);
    let words = options.iter().filter(|(meaning, ..)| *meaning == value).map(|(_, word, _)| *word);
    options.iter().fold(field.values(words), |field, (_, word, label)| field.option(word, label))
}

fn some_of(var: &str, label: &str, values: &[String]) -> Field {
    let field = Field::new(var, FieldKind::ListMulti).label(label).values(values);
    ROLE_OPTIONS.iter().fold(field, |field, (_, word, label)| field.option(word, label))
}

fn no_password() -> StanzaError {
    Condition::NotAcceptable.text("the password is missing")
}

/// Bytes of a name, a password and such, at most.
const SHORT: usize = 1024;
/// Bytes of a description, at most.
const LONG: usize = 8 * 1024;
const MAX_CONTACTS: usize = 16;
const MAX_USERS_OPTIONS: &[usize] = &[10, 20, 50, 100, 200, 500, 1000, 2000, 5000];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::data_form::{Form, FormKind};
    use crate::xml::Frame;

    fn submitted(fields: &str) -> Submitted {
        let x = format!("<x xmlns='jabber:x:data' type='submit'>{fields}</x>");
        Submitted::read(&Frame::from_bytes(x.into_bytes()).unwrap().root()).unwrap()
    }

    fn field(var: &str, values: &[&str]) -> String {
        let values: String = values.iter().map(|v| format!("<value>{v}</value>")).collect();
        format!("<field var='{var}'>{values}</field>")
    }

    #[test]
    fn what_a_form_shows_can_be_sent_back() {
        let limits = RoomLimits::default();
        let config = RoomConfig {
            name: "The <Coven>".to_owned(),
            question: "What is foul?".to_owned(),
            answer: "Fair".to_owned(),
            contacts: vec!["crone1@witches".to_owned()],
            password: Some("cauldronburn".to_owned()),
            whois: Whois::Anyone,
            allow_pm: AllowPm::Participants,
            presence_broadcast: vec!["moderator".to_owned()],
            max_users: Some(33),
            slow_mode: 7,
            members_only: true,
            archive: false,
            ..RoomConfig::default()
        };
        let form =
            config.fields(&limits).into_iter().fold(Form::new(FormKind::Submit), Form::field);
        let x = Frame::from_bytes(form.to_node().to_bytes()).unwrap();
        let mut other = RoomConfig::default();
        other.submit(&Submitted::read(&x.root()).unwrap(), &limits).unwrap();
        assert_eq!(other, config);
    }

    #[test]
    fn fields_change_what_they_name() {
        let limits = RoomLimits::default();
        let mut config = RoomConfig::default();
        let fields = [
            field("mam", &["0"]),
            field("muc#roomconfig_roomdesc", &["one", "two"]),
            field("muc#roomconfig_maxusers", &["none"]),
            field("muc#maxhistoryfetch", &["100000"]),
            field("muc#roomconfig_slow_mode_duration", &["-5"]),
            field("muc#roomconfig_presencebroadcast", &[]),
            field("muc#roomconfig_passwordprotectedroom", &["1"]),
            field("muc#roomconfig_roomsecret", &["secret"]),
            field("whatever", &["1"]),
        ];
        config.submit(&submitted(&fields.concat()), &limits).unwrap();
        let expected = RoomConfig {
            archive: false,
            description: "one\ntwo".to_owned(),
            max_history: 100,
            presence_broadcast: Vec::new(),
            password: Some("secret".to_owned()),
            ..RoomConfig::default()
        };
        assert_eq!(config, expected);
        // The password stays until the field says that there is none.
        config.submit(&submitted(&field("muc#roomconfig_roomname", &["x"])), &limits).unwrap();
        assert_eq!(config.password.as_deref(), Some("secret"));
        let open = field("muc#roomconfig_passwordprotectedroom", &["0"]);
        config.submit(&submitted(&open), &limits).unwrap();
        assert_eq!(config.password, None);
    }

    #[test]
    fn invalid_values_are_refused() {
        let cases: [(&str, &[&str]); 11] = [
            ("muc#roomconfig_whois", &["none"]),
            ("muc#roomconfig_allowpm", &["some"]),
            ("muc#roomconfig_publicroom", &["perhaps"]),
            ("muc#roomconfig_presencebroadcast", &["king"]),
            ("muc#roomconfig_maxusers", &["many"]),
            ("muc#roomconfig_maxusers", &["0"]),
            ("muc#maxhistoryfetch", &["-1"]),
            ("muc#roomconfig_lang", &["no tag"]),
            ("muc#roomconfig_whois", &["anyone", "moderators"]),
            ("{urn:waxwing:muc}contacts", &["@"]),
            ("muc#roomconfig_passwordprotectedroom", &["1"]),
        ];
        for (var, values) in cases {
            let mut config = RoomConfig::default();
            let told = config.submit(&submitted(&field(var, values)), &RoomLimits::default());
            assert_eq!(told.unwrap_err().condition.as_str(), "not-acceptable", "{var} {values:?}");
        }
    }
}
