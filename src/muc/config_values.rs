//! The values of a submitted configuration (XEP-0045 §10.2).

use crate::jid::{BareJid, Jid};
use crate::payload::data_form::{FormError, Submitted};
use crate::stanza::{Condition, StanzaError};

/// The options of a field: what each means, its value, and its label.
pub(super) type Options<T> = &'static [(T, &'static str, &'static str)];

/// The users whose addresses are in a field.
///
/// # Errors
/// `not-acceptable` for what is no address.
pub(super) fn addresses(form: &Submitted, var: &str) -> Result<Option<Vec<BareJid>>, StanzaError> {
    let found = jids(form, var).map_err(invalid)?;
    Ok(found.map(|found| found.iter().map(Jid::to_bare).collect()))
}

/// COMPAT: several clients (2026) send an empty value for no address.
pub(super) fn jids(form: &Submitted, var: &str) -> Result<Option<Vec<Jid>>, FormError> {
    let Some(values) = form.values(var) else { return Ok(None) };
    let values = values.iter().map(|value| value.trim()).filter(|value| !value.is_empty());
    let jids = values.map(|value| Jid::parse(value).map_err(|_| FormError::Value));
    jids.collect::<Result<_, _>>().map(Some)
}

/// The text of a field, with line feeds between several values. An empty field empties the text.
pub(super) fn text(form: &Submitted, var: &str, most: usize) -> Result<Option<String>, FormError> {
    let text = form.values(var).map(|lines| lines.join("\n"));
    match text.as_ref().is_some_and(|text| text.len() > most) {
        true => Err(FormError::Value),
        false => Ok(text),
    }
}

/// A whole number; `None` for an empty field.
pub(super) fn number(form: &Submitted, var: &str) -> Result<Option<u32>, FormError> {
    let text = form.text(var)?.map(str::trim).filter(|text| !text.is_empty());
    text.map(str::parse::<u32>).transpose().map_err(|_| FormError::Value)
}

/// What one of the options means.
pub(super) fn chosen<T: Copy>(
    form: &Submitted,
    var: &str,
    options: Options<T>,
) -> Result<Option<T>, FormError> {
    let Some(word) = form.text(var)? else { return Ok(None) };
    let found = options.iter().find(|(_, value, _)| *value == word);
    found.map(|(meaning, ..)| Some(*meaning)).ok_or(FormError::Value)
}

/// The roles that a field names, each once.
pub(super) fn roles(
    form: &Submitted,
    var: &str,
    options: Options<()>,
) -> Result<Option<Vec<String>>, FormError> {
    let Some(values) = form.values(var) else { return Ok(None) };
    let is_role = |word: &str| options.iter().any(|(_, role, _)| *role == word);
    if values.iter().any(|value| !value.is_empty() && !is_role(value)) {
        return Err(FormError::Value);
    }
    let roles = options.iter().map(|(_, role, _)| (*role).to_owned());
    Ok(Some(roles.filter(|role| values.contains(role)).collect()))
}

/// Sets what a form names.
pub(super) fn set<T>(to: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *to = value;
    }
}

/// The error for a value that a field does not take.
pub(super) fn invalid(_: FormError) -> StanzaError {
    Condition::NotAcceptable.text("a field has an invalid value")
}
