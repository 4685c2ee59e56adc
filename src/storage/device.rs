//! Devices: the clients that have logged in to an account (XEP-0494).

use async_trait::async_trait;

use super::Result;
use crate::jid::BareJid;
use crate::payload::datetime::Timestamp;

/// A client of an account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Device {
    /// The id of the installation (XEP-0388 §2.3); of a client that tells none, [`BY_RESOURCE`] and the resource that it
    /// wishes for; empty for all clients that have neither.
    pub id: String,
    /// The name of the software, as the client told it.
    pub software: Option<String>,
    /// The name of the machine, as the client told it.
    pub device: Option<String>,
    /// The first login.
    pub first_seen: Timestamp,
    /// The last login.
    pub last_seen: Timestamp,
    /// Whether it has proven the password that the account has now.
    pub knows_password: bool,
}

/// A login of a client.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeviceLogin {
    /// As in [`Device`].
    pub id: String,
    /// As in [`Device`]. A client that tells none keeps the name that it told before.
    pub software: Option<String>,
    /// The same.
    pub device: Option<String>,
    /// The client has proven the password.
    pub by_password: bool,
}

impl DeviceLogin {
    /// The login of a client that has told no id of its installation. `resource`: the one that it wishes for, or the one
    /// that was made of its tag (XEP-0386 §3.2.1).
    #[must_use]
    pub fn unnamed(resource: Option<&str>, by_password: bool) -> Self {
        let resource = resource.map(lasting_resource);
        let id = resource.map_or_else(String::new, |resource| format!("{BY_RESOURCE}{resource}"));
        let software = resource.map(|resource| resource.chars().take(LONGEST_NAME).collect());
        Self { id, software, device: None, by_password }
    }
}

/// What a resource has in common with those of the same client at its other logins. The server adds a random part to a tag,
/// after a `/` (XEP-0386 §3.2.1), and some clients add a number, as in `converse.js-30914258`.
#[must_use]
pub fn lasting_resource(resource: &str) -> &str {
    if let Some((tag, _)) = resource.rsplit_once('/').filter(|(tag, _)| !tag.is_empty()) {
        return tag;
    }
    let without = resource.trim_end_matches(|c: char| c.is_ascii_digit());
    let is_random = resource.len() - without.len() >= RANDOM_DIGITS;
    match without.strip_suffix('-').filter(|name| is_random && !name.is_empty()) {
        Some(name) => name,
        None => resource,
    }
}

/// The clients of accounts. An account has [`MOST_DEVICES`] at most that have told an id, and as many that have told a
/// resource alone: those that were not seen for longest are
/// forgotten. A new password takes `knows_password` from all of them.
#[async_trait]
pub trait DeviceStore: Send + Sync {
    /// Notes a login, of the account and of the client. It is written up to two seconds later, or lost in a crash;
    /// the answer comes when it is written. Whether the client is new and the account had others before. `false`
    /// if there is no such account.
    async fn note_device(&self, user: &BareJid, at: Timestamp, login: &DeviceLogin)
    -> Result<bool>;
    /// The clients of an account, in the order of their ids.
    async fn of(&self, user: &BareJid) -> Result<Vec<Device>>;
    /// Forgets a client. `false` if there is none with this id.
    async fn forget_device(&self, user: &BareJid, id: &str) -> Result<bool>;
    /// Forgets clients of all accounts that were last seen before this time, `limit` at most. Answers how many.
    async fn forget_unseen(&self, before: Timestamp, limit: usize) -> Result<u64>;
}

/// Digits at the end of a resource that a client chooses anew for each login: more than a version or a year has.
const RANDOM_DIGITS: usize = 5;
/// Characters of a resource that is shown as the name of the software.
const LONGEST_NAME: usize = 60;
/// The prefix before the resource, in the id of a client that has told no id of its installation.
pub const BY_RESOURCE: &str = "resource/";
/// The clients of an account that are remembered; those by resource are counted apart, since clients may choose a new
/// resource each time.
pub const MOST_DEVICES: usize = 64;

#[cfg(test)]
mod tests {
    use super::lasting_resource;

    #[test]
    fn a_client_is_known_without_what_is_random_in_its_resource() {
        let cases = [
            ("gajim.8UXHR1CW", "gajim.8UXHR1CW"),
            ("converse.js-30914258", "converse.js"),
            ("dino/4s8BfYk2", "dino"),
            ("/4s8BfYk2", "/4s8BfYk2"),
            ("office-2026", "office-2026"),
            ("-30914258", "-30914258"),
            ("30914258", "30914258"),
            ("", ""),
        ];
        for (resource, lasting) in cases {
            assert_eq!(lasting_resource(resource), lasting);
        }
    }
}
