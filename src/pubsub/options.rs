//! The options of a subscription (XEP-0060 §6.3, §16.4.2), and those of one to a collection (XEP-0248 §6.1).

use serde::{Deserialize, Serialize};

use super::error::Problem;
use crate::payload::data_form::{Field, FieldKind, Form, FormKind, Submitted};

/// The `FORM_TYPE` of options.
pub const SUBSCRIBE_OPTIONS: &str = "http://jabber.org/protocol/pubsub#subscribe_options";

/// The events of which a subscriber to a collection hears (XEP-0248 §6.1).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub enum EventsOf {
    /// Both.
    All,
    /// Items: published, retracted, purged.
    Items,
    /// Nodes: created, deleted, configured, added to a collection, removed from it.
    #[default]
    Nodes,
}

/// The options of a subscription.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// Events are sent.
    pub deliver: bool,
    /// Only while the subscriber's presence is one of these; all, if there is none.
    pub show_values: Vec<String>,
    /// Of a collection: what its subscriber hears of.
    pub kind: EventsOf,
    /// Of a collection: how far below it, where 1 is its own children. `None`: however far.
    pub depth: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        let (show_values, kind) = Default::default();
        Self { deliver: true, show_values, kind, depth: Some(1) }
    }
}

impl Options {
    /// Reads what the store has kept.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }

    /// As the store keeps it.
    #[must_use]
    pub fn to_text(&self) -> String {
        match *self == Self::default() {
            true => String::new(),
            false => serde_json::to_string(self).unwrap_or_default(),
        }
    }

    /// Whether its subscriber hears of an event of a node so far below the node of the subscription. Whoever is
    /// subscribed to a node itself hears of all its events.
    #[must_use]
    pub fn reach(&self, what: EventsOf, distance: u32) -> bool {
        let is_near = self.depth.is_none_or(|depth| distance <= depth);
        distance == 0 || (is_near && (self.kind == EventsOf::All || self.kind == what))
    }

    /// Sets the fields of a form; the others stay.
    ///
    /// # Errors
    /// [`Problem::InvalidOptions`] if the form is of another kind, or has an invalid value.
    pub fn apply(&mut self, form: &Submitted) -> Result<(), Problem> {
        let invalid = |_| Problem::InvalidOptions;
        if form.form_type().is_some_and(|kind| kind != SUBSCRIBE_OPTIONS) {
            return Err(Problem::InvalidOptions);
        }
        if let Some(deliver) = form.boolean("pubsub#deliver").map_err(invalid)? {
            self.deliver = deliver;
        }
        if form.boolean("pubsub#digest").map_err(invalid)? == Some(true) {
            return Err(Problem::InvalidOptions);
        }
        if let Some(values) = form.values("pubsub#show-values") {
            if !values.iter().all(|value| SHOW_VALUES.contains(&value.as_str())) {
                return Err(Problem::InvalidOptions);
            }
            self.show_values = values.to_vec();
            self.show_values.sort_unstable();
            self.show_values.dedup();
        }
        let word = |var| form.text(var).map(|word| word.filter(|word| !word.is_empty()));
        if let Some(kind) = word("pubsub#subscription_type").map_err(invalid)? {
            let kind = KINDS.iter().find(|(word, _)| *word == kind);
            self.kind = kind.ok_or(Problem::InvalidOptions)?.1;
        }
        match word("pubsub#subscription_depth").map_err(invalid)? {
            None => {}
            Some("all") => self.depth = None,
            Some(depth) => {
                self.depth = Some(depth.parse().map_err(|_| Problem::InvalidOptions)?);
            }
        }
        Ok(())
    }

    /// The form with these values.
    pub fn to_form(&self, kind: FormKind, of_collection: bool) -> Form {
        let deliver = if self.deliver { "1" } else { "0" };
        let mut show = Field::new("pubsub#show-values", FieldKind::ListMulti)
            .label("Events come while your presence is one of these")
            .values(self.show_values.clone());
        for value in SHOW_VALUES {
            show = show.option(value, value);
        }
        let form = Form::new(kind)
            .form_type(SUBSCRIBE_OPTIONS)
            .field(
                Field::new("pubsub#deliver", FieldKind::Boolean)
                    .label("Events are sent")
                    .value(deliver),
            )
            .field(show);
        if of_collection { self.with_those_of_collections(form) } else { form }
    }

    fn with_those_of_collections(&self, form: Form) -> Form {
        let word = KINDS.iter().find(|(_, kind)| *kind == self.kind).map_or("", |(word, _)| *word);
        let mut events = Field::new("pubsub#subscription_type", FieldKind::ListSingle)
            .label("You hear of items, of nodes, or of both")
            .value(word);
        for (word, _) in KINDS {
            events = events.option(word, word);
        }
        let depth = self.depth.map_or_else(|| "all".to_owned(), |depth| depth.to_string());
        let depth = Field::new("pubsub#subscription_depth", FieldKind::TextSingle)
            .label("How far below the collection: a number, or all")
            .value(&depth);
        form.field(events).field(depth)
    }
}

/// The values of the field that says what a subscriber hears of.
const KINDS: [(&str, EventsOf); 3] =
    [("all", EventsOf::All), ("items", EventsOf::Items), ("nodes", EventsOf::Nodes)];

/// Values of `<show/>`, and `online` for none.
const SHOW_VALUES: [&str; 5] = ["away", "chat", "dnd", "online", "xa"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::Frame;

    fn apply(fields: &str) -> Result<Options, Problem> {
        let xml = format!("<x xmlns='jabber:x:data' type='submit'>{fields}</x>");
        let frame = Frame::from_bytes(xml.into_bytes()).unwrap();
        let mut options = Options::default();
        options.apply(&Submitted::read(&frame.root()).unwrap()).map(|()| options)
    }

    #[test]
    fn options_are_read_written_and_kept() {
        let options = apply(
            "<field var='pubsub#deliver'><value>false</value></field>\
             <field var='pubsub#digest'><value>0</value></field>\
             <field var='pubsub#show-values'><value>chat</value><value>online</value></field>\
             <field var='pubsub#subscription_type'><value>items</value></field>\
             <field var='pubsub#subscription_depth'><value>all</value></field>",
        )
        .unwrap();
        assert_eq!((options.deliver, options.show_values.len()), (false, 2));
        assert_eq!((options.kind, options.depth), (EventsOf::Items, None));
        assert_eq!(Options::from_text(&options.to_text()), options);
        let form = options.to_form(FormKind::Submit, true).to_node();
        let frame = Frame::from_bytes(form.to_bytes());
        let mut again = Options::default();
        again.apply(&Submitted::read(&frame.unwrap().root()).unwrap()).unwrap();
        assert_eq!(again, options);
        assert_eq!(Options::from_text(""), Options::default());
        assert_eq!(Options::default().to_text(), "");
    }

    #[test]
    fn invalid_options_are_refused() {
        for fields in [
            "<field var='pubsub#deliver'><value>perhaps</value></field>",
            "<field var='pubsub#digest'><value>1</value></field>",
            "<field var='pubsub#show-values'><value>asleep</value></field>",
            "<field var='pubsub#subscription_type'><value>both</value></field>",
            "<field var='pubsub#subscription_depth'><value>-1</value></field>",
            "<field var='pubsub#subscription_depth'><value>deep</value></field>",
            "<field var='FORM_TYPE'><value>urn:other</value></field>",
        ] {
            assert_eq!(apply(fields), Err(Problem::InvalidOptions), "{fields}");
        }
    }

    #[test]
    fn how_far_down_a_collection_is_heard_of() {
        use EventsOf::{All, Items, Nodes};
        let with = |kind, depth| Options { kind, depth, ..Options::default() };
        let cases = [
            (Options::default(), Nodes, 1, true),
            (Options::default(), Nodes, 2, false),
            (Options::default(), Items, 1, false),
            (Options::default(), Items, 0, true),
            (with(Items, None), Items, 9, true),
            (with(Items, None), Nodes, 1, false),
            (with(All, Some(2)), Nodes, 2, true),
            (with(All, Some(2)), Items, 3, false),
            (with(All, Some(0)), Items, 1, false),
        ];
        for (options, what, distance, hears) in cases {
            assert_eq!(options.reach(what, distance), hears, "{options:?} {what:?} {distance}");
        }
    }
}
