//! What a client says of itself when it logs in (XEP-0388 §2.3). Nothing of it is proven.

use std::sync::Arc;

use crate::storage::DeviceLogin;

/// What a client says of itself. A client that logs in by RFC 6120 §6 says nothing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct UserAgent {
    /// The id of its installation: a UUID; see also [`super::certificate_client`].
    pub id: Option<Arc<str>>,
    /// The name of the software.
    pub software: Option<String>,
    /// The name of the machine.
    pub device: Option<String>,
}

impl UserAgent {
    /// What the client says, as far as it can be used: an id that is a UUID (RFC 9562 §4), and names without line
    /// breaks, cut after 60 characters.
    #[must_use]
    pub fn new(id: Option<&str>, software: Option<&str>, device: Option<&str>) -> Self {
        Self {
            id: id.filter(|id| is_uuid(id)).map(Arc::from),
            software: software.and_then(name),
            device: device.and_then(name),
        }
    }

    /// Its login, for the list of clients. `None` if it has told no id.
    pub(super) fn login(self, by_password: bool) -> Option<DeviceLogin> {
        let Self { id, software, device } = self;
        Some(DeviceLogin { id: id?.to_string(), software, device, by_password })
    }
}

fn is_uuid(id: &str) -> bool {
    id.len() == 36
        && id.bytes().enumerate().all(|(i, byte)| match i {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn name(text: &str) -> Option<String> {
    let words: Vec<_> = text.split_whitespace().collect();
    let name: String = words.join(" ").chars().take(LONGEST).collect();
    (!name.is_empty()).then_some(name)
}

/// Characters of a name.
const LONGEST: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_uuid() {
        for (id, is_one) in [
            ("d4565fa7-4d72-4749-b3d3-740edbf87770", true),
            ("D4565FA7-4D72-4749-B3D3-740EDBF87770", true),
            ("d4565fa7-4d72-4749-b3d3-740edbf8777", false),
            ("d4565fa7-4d72-4749-b3d3-740edbf8777g", false),
            ("d4565fa7d4d72-4749-b3d3-740edbf87770", false),
            ("d4565fa7-4d72-4749-b3d3-740edbf87é70", false),
            ("", false),
        ] {
            assert_eq!(UserAgent::new(Some(id), None, None).id.is_some(), is_one, "{id}");
        }
    }

    #[test]
    fn names_are_short_and_on_one_line() {
        let long = format!(" Gajim \n\t1.7 {}", "é".repeat(100));
        let agent = UserAgent::new(None, Some(&long), Some(" \n"));
        let software = agent.software.unwrap();
        assert!(software.starts_with("Gajim 1.7 é"), "{software}");
        assert_eq!(software.chars().count(), LONGEST);
        assert_eq!(agent.device, None);
    }
}
