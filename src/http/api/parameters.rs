//! The parameters in the address of a request.

use axum::http::Uri;

use super::problem::Problem;
use crate::jid::Jid;
use crate::storage::{MessageId, WireIds};
use crate::upload::percent_decoded;

/// Names and values.
#[derive(Debug)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads them. Only these names are known.
    ///
    /// # Errors
    /// If one is unknown, comes twice, or cannot be read.
    pub(super) fn read(uri: &Uri, known: &[&str]) -> Result<Self, Problem> {
        let mut all: Vec<(String, String)> = Vec::new();
        let parts = uri.query().unwrap_or_default().split('&').filter(|part| !part.is_empty());
        for part in parts {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let decoded = |text: &str| percent_decoded(&text.replace('+', "%20"));
            let (Some(name), Some(value)) = (decoded(name), decoded(value)) else {
                return Err(Problem::BadRequest("The query cannot be read.".to_owned()));
            };
            if !known.contains(&name.as_str()) {
                let known = known.join(", ");
                let text = format!("There is no parameter `{name}`; there are {known}.");
                return Err(Problem::BadRequest(text));
            }
            if all.iter().any(|(other, _)| *other == name) {
                return Err(Problem::BadRequest(format!("The parameter `{name}` comes twice.")));
            }
            all.push((name, value));
        }
        Ok(Self(all))
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// An address.
    pub(super) fn jid(&self, name: &str) -> Result<Option<Jid>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let bad = |_| Problem::BadRequest(format!("`{name}` is no address."));
        Jid::parse(text).map(Some).map_err(bad)
    }

    /// The id of a message.
    pub(super) fn id(&self, name: &str, ids: &WireIds) -> Result<Option<MessageId>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let bad = || Problem::BadRequest(format!("`{name}` is no id of a message."));
        ids.read(text).map(Some).ok_or_else(bad)
    }

    /// A number.
    pub(super) fn number(&self, name: &str, most: usize) -> Result<Option<usize>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let number = text.parse().ok().filter(|number| (1..=most).contains(number));
        let bad = || Problem::BadRequest(format!("`{name}` is a number from 1 to {most}."));
        number.map(Some).ok_or_else(bad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Parameters, Problem> {
        Parameters::read(&format!("/x?{query}").parse().unwrap(), &["with", "limit"])
    }

    #[test]
    fn parameters_are_known_and_come_once() {
        let all = read("with=romeo%40localhost&limit=7&").unwrap();
        assert_eq!(all.jid("with").unwrap().unwrap().as_str(), "romeo@localhost");
        assert_eq!(all.number("limit", 10), Ok(Some(7)));
        assert_eq!(all.number("limit", 6).unwrap_err().kind(), "urn:waxwing:problem:bad-request");
        assert_eq!(read("").unwrap().jid("with"), Ok(None));
        assert_eq!(read("with=a+b%20c").unwrap().text("with"), Some("a b c"));
        for bad in ["when=1", "limit=1&limit=2", "with=%zz", "with=%ff", "=1"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        for bad in ["limit=0", "limit=-1", "limit=x", "limit=", "limit=99999999999999999999"] {
            assert!(read(bad).unwrap().number("limit", 100).is_err(), "{bad}");
        }
        assert!(read("with=@").unwrap().jid("with").is_err());
    }
}
