//! `[external_services]`: servers for audio and video calls, which clients are told (XEP-0215).

use std::time::Duration;

use super::error::Problems;
use super::secret::Secret;
use super::section::{Fields, section};
use super::service_uri::ServiceUri;
use super::units::minutes;
use super::value::{SecretFile, SecretText, ServiceUris, Text, Time};

section! {
    /// STUN and TURN servers, which help clients to reach each other for audio and video calls
    /// (XEP-0215). Users of this server are told them; nobody else is.
    ///
    /// A TURN server relays data, so it wants to know who may use it. Let it share a secret with this server
    /// (coturn: `use-auth-secret` and `static-auth-secret`): then each user gets credentials that are
    /// valid for a while. They do not contain the name of the user.
    pub struct ExternalServicesConfig = "external_services";

    /// The servers, as URIs (RFC 7064, RFC 7065): `stun:`, `stuns:`, `turn:` or `turns:`, the host, the port if
    /// it is not 3478 (5349 with TLS), and `?transport=tcp` or `?transport=udp` if it is not the usual one.
    uris: Vec<ServiceUri> = Vec::new() => ServiceUris, Reload;

    /// The secret that the TURN servers share with this server.
    secret: Option<Secret> = None => SecretText("\"${TURN_SECRET}\""), Reload;

    /// A file with this secret, in one line. It is read at the start, and anew by a reload.
    secret_file: Option<Secret> = None => SecretFile("\"/etc/waxwing/turn.secret\""), Reload;

    /// How long the credentials of a user are valid. A TURN server ends a call when they expire.
    lifetime: Duration = minutes(24 * 60) => Time::between(minutes(10), minutes(7 * 24 * 60))
        .not_less("a call ends when its credentials expire")
        .not_more("who has them can use the TURN servers so long"), Reload;

    /// The name of all users at the TURN servers, if they have no shared secret.
    username: Option<String> = None => Text("\"guest\""), Reload;

    /// The password of all users at the TURN servers, if they have no shared secret.
    password: Option<Secret> = None => SecretText("\"${TURN_PASSWORD}\""), Reload;
}

impl ExternalServicesConfig {
    /// The secret that the TURN servers share with this server.
    #[must_use]
    pub fn shared_secret(&self) -> Option<&Secret> {
        self.secret.as_ref().or(self.secret_file.as_ref())
    }

    /// The name and the password that are the same for all users.
    #[must_use]
    pub fn fixed_credentials(&self) -> Option<(&str, &Secret)> {
        self.username.as_deref().zip(self.password.as_ref())
    }
}

/// Refuses credentials without a TURN server, a TURN server without credentials, and more than one kind of
/// credentials.
pub(super) fn check(
    services: &ExternalServicesConfig,
    fields: &Fields<'_>,
    problems: &mut Problems<'_>,
) {
    let is_set = |name: &&str| fields.table.contains_key(*name);
    let set: Vec<_> = CREDENTIALS.iter().copied().filter(is_set).collect();
    let Some(&last) = set.last() else {
        if services.uris.iter().any(ServiceUri::is_relay) {
            let at = fields.value_of("uris").unwrap_or_else(|| fields.at.clone());
            let help =
                "add `secret`, which the TURN server knows, too (coturn: static-auth-secret)";
            problems.add(&at, "`uris` has a TURN server without credentials", help.to_owned());
        }
        return;
    };
    let at = fields.key_of(last).unwrap_or_else(|| fields.at.clone());
    let (message, help) = match set.as_slice() {
        ["username"] => ("`username` is set, but `password` is not".to_owned(), "add `password`"),
        ["password"] => ("`password` is set, but `username` is not".to_owned(), "add `username`"),
        [_] | ["username", "password"] => {
            if services.uris.iter().any(ServiceUri::is_relay) {
                return;
            }
            let message = format!("`{last}` is set, but `uris` has no TURN server");
            (message, "add one, as \"turn:turn.example.org\"")
        }
        [first, ..] => {
            (format!("`{first}` and `{last}` are set"), "choose one: a shared secret is better")
        }
        [] => return,
    };
    problems.add(&at, message, help.to_owned());
}

/// The options that make credentials.
const CREDENTIALS: &[&str] = &["secret", "secret_file", "username", "password"];
