//! The form with which one searches for rooms (XEP-0433 §6.1), and what is wrong with one that was submitted.

use crate::payload::data_form::{self, Field, FieldKind, Form, FormError, FormKind, Submitted};
use crate::payload::result_set::SetRequest;
use crate::stanza::{Condition, ErrorKind, StanzaError};
use crate::storage::RoomSummary;
use crate::xml::{ElementRef, Node, element};

/// What is searched for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Wish {
    /// Words that all occur; `None`: all rooms.
    pub(super) words: Option<String>,
    in_name: bool,
    in_description: bool,
    in_address: bool,
    pub(super) least_occupants: usize,
    /// Rooms are among the kinds of channels that are wanted.
    pub(super) wants_rooms: bool,
    pub(super) order: Order,
    /// The page.
    pub(super) set: SetRequest,
}

/// The order of results.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Order {
    /// By address.
    Address,
    /// The fullest first.
    Occupants,
}

impl Wish {
    /// Reads a `<search/>`. `None`: the form is wanted. A field that nobody knows is ignored, one that is missing has
    /// the value that [`form`] gives it (XEP-0433 §5).
    ///
    /// # Errors
    /// As XEP-0433 §4.2.2 demands for each mistake.
    pub(super) fn read(search: &ElementRef<'_>) -> Result<Option<Self>, StanzaError> {
        let Some(x) = search.child(data_form::NS, "x") else { return Ok(None) };
        let form = Submitted::read(&x).map_err(malformed)?;
        if form.form_type() != Some(PARAMETERS) {
            return Err(Condition::BadRequest.text("this is not the form for searching"));
        }
        let set = SetRequest::in_query(search).map_err(|_| Condition::BadRequest)?;
        let flag =
            |var: &str| form.boolean(var).map_err(malformed).map(|flag| flag.unwrap_or(true));
        let words = form.text("q").map_err(malformed)?.map(str::to_owned);
        let all = form.boolean("all").map_err(malformed)?.unwrap_or(false);
        let least = form.text("min_users").map_err(malformed)?.filter(|text| !text.is_empty());
        let wish = Self {
            words: words.filter(|words| !words.is_empty()),
            in_name: flag("sinname")?,
            in_description: flag("sindescription")?,
            // The example of XEP-0433 §4.2.1 and its table in §6.1 name it differently.
            in_address: flag("sinaddr")? && flag("sinaddress")?,
            least_occupants: match least {
                Some(text) => text.trim().parse().map_err(|_| Condition::BadRequest)?,
                None => 0,
            },
            wants_rooms: form
                .values("types")
                .is_none_or(|types| types.is_empty() || types.iter().any(|of| of == SERVICE)),
            order: match form.text("key").map_err(malformed)? {
                None | Some(BY_OCCUPANTS | "") => Order::Occupants,
                Some(BY_ADDRESS) => Order::Address,
                Some(_) => return Err(invalid_key()),
            },
            set: set.unwrap_or_default(),
        };
        wish.checked(all).map(Some)
    }

    fn checked(self, all: bool) -> Result<Self, StanzaError> {
        let Some(words) = &self.words else {
            // §4.2.2.7: nothing says what is wanted.
            return if all { Ok(self) } else { Err(no_conditions()) };
        };
        if all {
            return Err(conflicting());
        }
        let has_place = self.in_name || self.in_description || self.in_address;
        if words.trim().is_empty() || !has_place {
            return Err(invalid_words());
        }
        Ok(self)
    }

    /// Whether not all public rooms are wanted.
    pub(super) fn is_narrow(&self) -> bool {
        self.words.is_some() || self.least_occupants > 0
    }

    /// Whether a room that the store has found fits: the words occur where they are to be looked for.
    pub(super) fn fits(&self, room: &RoomSummary) -> bool {
        let is_everywhere = self.in_name && self.in_description && self.in_address;
        is_everywhere || self.has_words(room)
    }

    /// Whether the words occur in a room, where they are to be looked for.
    pub(super) fn has_words(&self, room: &RoomSummary) -> bool {
        let Some(words) = &self.words else { return true };
        let address = room.room.local().unwrap_or_default();
        let places = [
            (self.in_name, room.name.as_str()),
            (self.in_description, room.description.as_str()),
            (self.in_address, address),
        ];
        let texts = places.iter().filter(|(is_searched, _)| *is_searched);
        let text: Vec<_> = texts.map(|(_, text)| text.to_lowercase()).collect();
        let text = text.join("\n");
        words.to_lowercase().split_whitespace().all(|word| text.contains(word))
    }
}

/// The form, with the values of fields that are left out.
pub(super) fn form() -> Node {
    let switch = |var, label| Field::new(var, FieldKind::Boolean).label(label).value("true");
    Form::new(FormKind::Form)
        .form_type(PARAMETERS)
        .field(Field::new("q", FieldKind::TextSingle).label("Search for"))
        .field(
            Field::new("all", FieldKind::Boolean)
                .label("Return all entries (ignore search terms)")
                .value("false"),
        )
        .field(switch("sinname", "Search in name"))
        .field(switch("sindescription", "Search in description"))
        .field(switch("sinaddress", "Search in address"))
        .field(
            Field::new("min_users", FieldKind::TextSingle)
                .label("Minimum number of users")
                .value("0"),
        )
        .field(
            Field::new("types", FieldKind::ListMulti)
                .label("Service types")
                .value(SERVICE)
                .option(SERVICE, "XEP-0045 Multi-User Chats"),
        )
        .field(
            Field::new("key", FieldKind::ListSingle)
                .label("Sort results by")
                .value(BY_OCCUPANTS)
                .option(BY_OCCUPANTS, "Number of online users")
                .option(BY_ADDRESS, "Address"),
        )
        .to_node()
}

fn malformed(_: FormError) -> StanzaError {
    Condition::BadRequest.text("this form cannot be read")
}

/// XEP-0433 §4.2.2.7.
fn no_conditions() -> StanzaError {
    let detail = element("no-search-conditions").ns(ERRORS);
    let error = StanzaError::from(Condition::BadRequest).kind(ErrorKind::Cancel);
    StanzaError { detail: Some(detail), ..error }
}

/// XEP-0433 §4.2.2.6.
fn conflicting() -> StanzaError {
    let vars = ["all", "q"].map(|var| element("var").text(var));
    let detail = element("conflicting-fields").ns(ERRORS).children(vars);
    let text = "cannot both return all results and search by words";
    StanzaError { detail: Some(detail), ..Condition::BadRequest.text(text) }
}

/// XEP-0433 §4.2.2.3.
fn invalid_words() -> StanzaError {
    let detail = element("invalid-search-terms").ns(ERRORS);
    let text = "there must be a word, and a place in which it is looked for";
    StanzaError { detail: Some(detail), ..Condition::BadRequest.text(text) }
}

/// XEP-0433 §4.2.2.2.
fn invalid_key() -> StanzaError {
    let detail = element("invalid-sort-key").ns(ERRORS);
    let error = StanzaError::from(Condition::FeatureNotImplemented).kind(ErrorKind::Modify);
    StanzaError { detail: Some(detail), ..error }
}

/// The kind of channels that there are.
pub(super) const SERVICE: &str = "xep-0045";
const PARAMETERS: &str = "urn:xmpp:channel-search:0:search-params";
const ERRORS: &str = "urn:xmpp:channel-search:0:error";
const BY_ADDRESS: &str = "{urn:xmpp:channel-search:0:order}address";
const BY_OCCUPANTS: &str = "{urn:xmpp:channel-search:0:order}nusers";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jid::BareJid;
    use crate::payload::datetime::Timestamp;
    use crate::xml::Frame;

    /// Submits these fields: names and values.
    fn read(fields: &[(&str, &str)]) -> Result<Wish, &'static str> {
        let fields: String = fields
            .iter()
            .map(|(var, value)| format!("<field var='{var}'><value>{value}</value></field>"))
            .collect();
        let xml = format!(
            "<search xmlns='{}'><x xmlns='jabber:x:data' type='submit'>\
             <field var='FORM_TYPE'><value>{PARAMETERS}</value></field>{fields}</x></search>",
            super::super::search::NS
        );
        let wish = Wish::read(&Frame::from_bytes(xml).unwrap().root());
        wish.map(Option::unwrap).map_err(|error| error.condition.as_str())
    }

    #[test]
    fn a_form_says_what_is_wanted() {
        let wish = read(&[("q", "witch brew")]).unwrap();
        assert_eq!((wish.order, wish.least_occupants), (Order::Occupants, 0));
        assert!(wish.is_narrow() && wish.wants_rooms);
        let wish = read(&[("all", "1"), ("key", BY_ADDRESS), ("min_users", "3")]).unwrap();
        assert_eq!((wish.order, wish.least_occupants), (Order::Address, 3));
        assert!(!read(&[("q", "a"), ("types", "xep-0369")]).unwrap().wants_rooms);
        assert!(read(&[("q", "a"), ("unknown", "b")]).is_ok());
    }

    #[test]
    fn each_mistake_has_its_error() {
        let cases: [(&[(&str, &str)], &str); 8] = [
            (&[], "bad-request"),
            (&[("q", "")], "bad-request"),
            (&[("q", " ")], "bad-request"),
            (&[("q", "a"), ("all", "true")], "bad-request"),
            (&[("all", "maybe")], "bad-request"),
            (&[("all", "true"), ("min_users", "few")], "bad-request"),
            (&[("all", "true"), ("key", "{urn:a}size")], "feature-not-implemented"),
            (
                &[("q", "a"), ("sinname", "0"), ("sindescription", "0"), ("sinaddr", "0")],
                "bad-request",
            ),
        ];
        for (fields, condition) in cases {
            assert_eq!(read(fields), Err(condition), "{fields:?}");
        }
    }

    #[test]
    fn words_are_looked_for_where_the_form_says() {
        let room = RoomSummary {
            room: BareJid::parse("coven@chat.example").unwrap(),
            name: "A Dark Cave".to_owned(),
            description: "The place for all good witches!".to_owned(),
            language: "en".to_owned(),
            is_public: true,
            is_persistent: true,
            created: Timestamp::from_micros(0),
            creator: BareJid::parse("crone1@shakespeare.lit").unwrap(),
        };
        let fits = |fields: &[(&str, &str)]| read(fields).unwrap().fits(&room);
        assert!(fits(&[("q", "DARK witch"), ("sinaddr", "0")]));
        assert!(!fits(&[("q", "coven"), ("sinaddr", "0")]));
        assert!(!fits(&[("q", "witch"), ("sindescription", "0")]));
        assert!(fits(&[("q", "cave"), ("sindescription", "0")]));
    }
}
