//! XEP-0004: Data Forms. This file reads submitted forms, and writes forms that ask or inform.
//!
//! A submitted field may omit its type (XEP-0004 §3.2), since the maker of the form knows it. So the
//! reader asks for a value as a type, and ignores the type that was written.

use rustc_hash::FxHashSet;

use crate::jid::Jid;
use crate::xml::{ElementRef, Node, element};

/// The namespace.
pub const NS: &str = "jabber:x:data";

/// The namespace of what values are valid (XEP-0122).
pub const VALIDATE: &str = "http://jabber.org/protocol/xdata-validate";

/// The name of the field that names the kind of form (XEP-0068 §2).
pub const FORM_TYPE: &str = "FORM_TYPE";

/// The type of a form (XEP-0004 §3.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FormKind {
    /// The user has cancelled the form.
    Cancel,
    /// The form asks for data.
    Form,
    /// The form informs.
    Result,
    /// The form contains the answers.
    Submit,
}

/// The type of a field (XEP-0004 §3.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FieldKind {
    /// Yes or no.
    Boolean,
    /// A text for people. It takes no value.
    Fixed,
    /// Not shown to the user, and sent back unchanged.
    Hidden,
    /// Several addresses.
    JidMulti,
    /// One address.
    JidSingle,
    /// Several of the options.
    ListMulti,
    /// One of the options.
    ListSingle,
    /// Several lines of text.
    TextMulti,
    /// A line of text that is not shown while it is typed.
    TextPrivate,
    /// A line of text.
    TextSingle,
}

/// A field of a form that this server writes.
#[derive(Clone, Debug)]
#[must_use]
pub struct Field {
    var: Option<String>,
    kind: Option<FieldKind>,
    label: Option<String>,
    required: bool,
    /// The value is a whole number, at least this one.
    least: Option<u32>,
    values: Vec<String>,
    options: Vec<(String, String)>,
}

/// A form that this server writes.
#[derive(Clone, Debug)]
#[must_use]
pub struct Form {
    kind: FormKind,
    title: Option<String>,
    instructions: Option<String>,
    fields: Vec<Field>,
}

/// A form that was submitted.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Submitted {
    fields: Vec<(String, Vec<String>)>,
}

/// Why a form cannot be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FormError {
    /// The element is not an `<x/>`, its type is wrong, or a field has no name.
    #[error("not a submitted form")]
    Malformed,
    /// A field occurs twice (XEP-0004 §3.2).
    #[error("a field occurs twice")]
    Twice,
    /// A field has a value that it does not take.
    #[error("a field has an invalid value")]
    Value,
}

impl FormKind {
    /// The value in XML.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Form => "form",
            Self::Result => "result",
            Self::Submit => "submit",
        }
    }
}

impl FieldKind {
    /// The value in XML.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Fixed => "fixed",
            Self::Hidden => "hidden",
            Self::JidMulti => "jid-multi",
            Self::JidSingle => "jid-single",
            Self::ListMulti => "list-multi",
            Self::ListSingle => "list-single",
            Self::TextMulti => "text-multi",
            Self::TextPrivate => "text-private",
            Self::TextSingle => "text-single",
        }
    }
}

impl Field {
    /// A field of this name and type.
    pub fn new(var: &str, kind: FieldKind) -> Self {
        Self {
            var: Some(var.to_owned()),
            kind: Some(kind),
            label: None,
            required: false,
            least: None,
            values: Vec::new(),
            options: Vec::new(),
        }
    }

    /// A text for people.
    pub fn fixed(text: &str) -> Self {
        Self { var: None, ..Self::new("", FieldKind::Fixed) }.value(text)
    }

    /// A text that is shown to people.
    pub fn label(mut self, label: &str) -> Self {
        self.label = Some(label.to_owned());
        self
    }

    /// Makes this a field that the user must fill in.
    pub fn required(mut self, required: bool) -> Self {
        self.required = required;
        self
    }

    /// The value is a whole number, at least this one (XEP-0122 §3.2.2).
    pub fn at_least(mut self, least: u32) -> Self {
        self.least = Some(least);
        self
    }

    /// Adds a value.
    pub fn value(mut self, value: &str) -> Self {
        self.values.push(value.to_owned());
        self
    }

    /// Adds values.
    pub fn values<S: Into<String>>(mut self, values: impl IntoIterator<Item = S>) -> Self {
        self.values.extend(values.into_iter().map(Into::into));
        self
    }

    /// Adds an option: the value that is sent, and the label that is shown.
    pub fn option(mut self, value: &str, label: &str) -> Self {
        self.options.push((value.to_owned(), label.to_owned()));
        self
    }

    /// The name, if the field has one.
    #[must_use]
    pub fn var(&self) -> Option<&str> {
        self.var.as_deref()
    }

    /// The values, in their order.
    #[must_use]
    pub fn as_values(&self) -> &[String] {
        &self.values
    }

    fn to_node(&self) -> Node {
        let mut node = element("field")
            .maybe_attr("var", self.var.as_deref())
            .maybe_attr("type", self.kind.map(FieldKind::as_str))
            .maybe_attr("label", self.label.as_deref());
        if self.required {
            node = node.child(element("required"));
        }
        if let Some(least) = self.least {
            let range = element("range").attr("min", least.to_string());
            let validate = element("validate").ns(VALIDATE).attr("datatype", "xs:integer");
            node = node.child(validate.child(range));
        }
        let options = self.options.iter().map(|(value, label)| {
            element("option").attr("label", label).child(element("value").text(value))
        });
        node.children(self.values.iter().map(|value| element("value").text(value)))
            .children(options)
    }
}

impl Form {
    /// An empty form.
    pub fn new(kind: FormKind) -> Self {
        Self { kind, title: None, instructions: None, fields: Vec::new() }
    }

    /// Sets the kind of form (XEP-0068 §2).
    pub fn form_type(self, ns: &str) -> Self {
        self.field(Field::new(FORM_TYPE, FieldKind::Hidden).value(ns))
    }

    /// A text that is shown to people.
    pub fn title(mut self, title: &str) -> Self {
        self.title = Some(title.to_owned());
        self
    }

    /// A text that is shown to people.
    pub fn instructions(mut self, text: &str) -> Self {
        self.instructions = Some(text.to_owned());
        self
    }

    /// Adds a field.
    pub fn field(mut self, field: Field) -> Self {
        self.fields.push(field);
        self
    }

    /// The kind that was set by [`Form::form_type`].
    #[must_use]
    pub fn as_form_type(&self) -> Option<&str> {
        let field = self.fields.iter().find(|field| field.var() == Some(FORM_TYPE))?;
        field.values.first().map(String::as_str)
    }

    /// The fields, in their order.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The `<x/>` element.
    pub fn to_node(&self) -> Node {
        let mut node = element("x").ns(NS).attr("type", self.kind.as_str());
        if let Some(title) = &self.title {
            node = node.child(element("title").text(title));
        }
        if let Some(text) = &self.instructions {
            node = node.child(element("instructions").text(text));
        }
        node.children(self.fields.iter().map(Field::to_node))
    }
}

/// A table for people and programs: columns, and rows of values in their order (XEP-0004 §3.4).
pub fn table(title: &str, columns: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Node {
    let column = |name: &&str| {
        let kind = FieldKind::TextSingle.as_str();
        element("field").attr("var", *name).attr("type", kind).attr("label", *name)
    };
    let row = |values: Vec<String>| {
        let cell = |(var, value): (&&str, String)| {
            element("field").attr("var", *var).child(element("value").text(&value))
        };
        element("item").children(columns.iter().zip(values).map(cell))
    };
    element("x")
        .ns(NS)
        .attr("type", FormKind::Result.as_str())
        .child(element("title").text(title))
        .child(element("reported").children(columns.iter().map(column)))
        .children(rows.into_iter().map(row))
}

impl Submitted {
    /// Reads an `<x type='submit'/>`.
    ///
    /// # Errors
    /// If it is not a submitted form, or a field occurs twice.
    pub fn read(x: &ElementRef<'_>) -> Result<Self, FormError> {
        Self::read_as(x, &[FormKind::Submit])
    }

    /// Reads an `<x/>` of one of these types.
    ///
    /// # Errors
    /// As [`Submitted::read`].
    pub fn read_as(x: &ElementRef<'_>, kinds: &[FormKind]) -> Result<Self, FormError> {
        let kind = x.attr("type").unwrap_or_default();
        if !x.is(NS, "x") || !kinds.iter().any(|known| *known.as_str() == *kind) {
            return Err(FormError::Malformed);
        }
        let mut fields: Vec<(String, Vec<String>)> = Vec::new();
        for field in x.children().filter(|child| child.is(NS, "field")) {
            let kind = field.attr("type");
            let Some(var) = field.attr("var").filter(|var| !var.is_empty()) else {
                // XEP-0004 §3.3: only a text for people needs no name.
                match kind.as_deref() {
                    Some("fixed") => continue,
                    _ => return Err(FormError::Malformed),
                }
            };
            let values = field.children().filter(|child| child.is(NS, "value"));
            fields.push((var.into_owned(), values.map(|v| v.text().into_owned()).collect()));
        }
        let mut vars: Vec<&str> = fields.iter().map(|(var, _)| var.as_str()).collect();
        vars.sort_unstable();
        if vars.windows(2).any(|two| two[0] == two[1]) {
            return Err(FormError::Twice);
        }
        Ok(Self { fields })
    }

    /// The kind of form (XEP-0068 §2).
    #[must_use]
    pub fn form_type(&self) -> Option<&str> {
        self.text(FORM_TYPE).ok().flatten()
    }

    /// The names of the fields, without that of [`Submitted::form_type`].
    pub fn vars(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|(var, _)| var.as_str()).filter(|var| *var != FORM_TYPE)
    }

    /// All values of a field; `None` if the field is missing.
    #[must_use]
    pub fn values(&self, var: &str) -> Option<&[String]> {
        self.fields.iter().find(|(name, _)| name == var).map(|(_, values)| values.as_slice())
    }

    /// The only value of a field; `None` if the field is missing or has no value.
    ///
    /// # Errors
    /// If the field has several values.
    pub fn text(&self, var: &str) -> Result<Option<&str>, FormError> {
        match self.values(var) {
            None | Some([]) => Ok(None),
            Some([one]) => Ok(Some(one)),
            Some(_) => Err(FormError::Value),
        }
    }

    /// A boolean value (XEP-0004 §3.3); `None` if the field is missing.
    ///
    /// # Errors
    /// If the value is not a boolean.
    pub fn boolean(&self, var: &str) -> Result<Option<bool>, FormError> {
        match self.text(var)? {
            None => Ok(None),
            Some("1" | "true") => Ok(Some(true)),
            Some("0" | "false") => Ok(Some(false)),
            Some(_) => Err(FormError::Value),
        }
    }

    /// An address; `None` if the field is missing.
    ///
    /// # Errors
    /// If the value is not an address.
    pub fn jid(&self, var: &str) -> Result<Option<Jid>, FormError> {
        self.text(var)?.map(Jid::parse).transpose().map_err(|_| FormError::Value)
    }

    /// Several addresses, without duplicates (XEP-0004 §3.3), in their order; `None` if the field is
    /// missing.
    ///
    /// # Errors
    /// If one of the values is not an address.
    pub fn jids(&self, var: &str) -> Result<Option<Vec<Jid>>, FormError> {
        let Some(values) = self.values(var) else { return Ok(None) };
        let mut known = FxHashSet::default();
        let read = values.iter().map(|value| Jid::parse(value).map_err(|_| FormError::Value));
        let jids: Result<Vec<_>, _> = read.collect();
        Ok(Some(jids?.into_iter().filter(|jid| known.insert(jid.clone())).collect()))
    }
}

#[cfg(test)]
mod tests;
