//! The options of a subscription (XEP-0060 §6.3, §16.4.2).

use serde::{Deserialize, Serialize};

use super::error::Problem;
use crate::payload::data_form::{Field, FieldKind, Form, FormKind, Submitted};

/// The `FORM_TYPE` of options.
pub const SUBSCRIBE_OPTIONS: &str = "http://jabber.org/protocol/pubsub#subscribe_options";

/// The options of a subscription.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// Events are sent.
    pub deliver: bool,
    /// Only while the subscriber's presence is one of these; all, if there is none.
    pub show_values: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { deliver: true, show_values: Vec::new() }
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
        Ok(())
    }

    /// The form with these values.
    pub fn to_form(&self, kind: FormKind) -> Form {
        let deliver = if self.deliver { "1" } else { "0" };
        let mut show = Field::new("pubsub#show-values", FieldKind::ListMulti)
            .label("Events come while your presence is one of these")
            .values(self.show_values.clone());
        for value in SHOW_VALUES {
            show = show.option(value, value);
        }
        Form::new(kind)
            .form_type(SUBSCRIBE_OPTIONS)
            .field(
                Field::new("pubsub#deliver", FieldKind::Boolean)
                    .label("Events are sent")
                    .value(deliver),
            )
            .field(show)
    }
}

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
             <field var='pubsub#show-values'><value>chat</value><value>online</value></field>",
        )
        .unwrap();
        assert_eq!((options.deliver, options.show_values.len()), (false, 2));
        assert_eq!(Options::from_text(&options.to_text()), options);
        let frame = Frame::from_bytes(options.to_form(FormKind::Submit).to_node().to_bytes());
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
            "<field var='FORM_TYPE'><value>urn:other</value></field>",
        ] {
            assert_eq!(apply(fields), Err(Problem::InvalidOptions), "{fields}");
        }
    }
}
