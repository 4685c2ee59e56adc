//! `[auth]`: logins.

use std::path::PathBuf;
use std::time::Duration;

use super::error::Problems;
use super::section::{Fields, section};
use super::units::days;
use super::value::{Count, Path, Retention, Switch};

section! {
    /// Logins.
    pub struct AuthConfig = "auth";

    /// Allow logins without an account. Such a user gets a random address that ends with the session
    /// (SASL ANONYMOUS, XEP-0175).
    anonymous: bool = false => Switch, Reload;

    /// Offer PLAIN, under TLS only. PLAIN sends the password to the server; SCRAM never does. Old
    /// clients may need it.
    plain: bool = true => Switch, Reload;

    /// PBKDF2 iterations for new passwords. More iterations make a stolen database harder to use, and
    /// each login slower for the client.
    iterations: u32 = 10_000 => Count::between(4096, 10_000_000)
        .not_less("RFC 5802 §5.1 asks for at least this many")
        .not_more("clients would need minutes to log in, or would refuse"), Reload;

    /// Failed logins on one connection before it is closed.
    failures_per_connection: u32 = 5 => Count::between(1, 100)
        .not_less("one attempt must be possible")
        .not_more("guessing must not be cheap"), Reload;

    /// Slow down logins from an address after failed logins from it. Switch it off if all clients
    /// come from one address, for example behind a TCP proxy. Logins to the account in question are
    /// slowed down in any case.
    slow_addresses: bool = true => Switch, Reload;

    /// PEM file with certificates of authorities. If it is set, clients are asked for a certificate of one of
    /// them, and may log in by it without a password (SASL EXTERNAL, XEP-0178), if it has the address of
    /// the account (`id-on-xmppAddr`).
    certificate_authorities: Option<PathBuf> = None
        => Path("\"/etc/waxwing/users-ca.pem\""), Reload;

    /// PEM file with the lists of certificates that these authorities have revoked (CRL, RFC 5280 §5). If it is
    /// set, a certificate is refused that is in a list, and also one whose authority has no list here, or only an
    /// expired one. Write each new list into the file and reload: nothing is fetched.
    certificate_revocation_lists: Option<PathBuf> = None
        => Path("\"/etc/waxwing/users-ca.crl.pem\""), Reload;

    /// Remember which clients have logged in to each account, with the names that they tell, and when
    /// (XEP-0494). Users then see who has access to their account. Of each account the 64 clients that were
    /// seen last are remembered, and as many that have told a resource alone.
    devices: bool = true => Switch, Reload;

    /// Tell users in a message when a client logs in to their account for the first time. It needs `auth.devices`.
    /// Users can choose otherwise for their own accounts, with a command of their client.
    announce_devices: bool = false => Switch, Reload;

    /// How long a client that does not log in is remembered. 0 = until others take its place.
    devices_age: Duration = days(180) => Retention::up_to(days(36_500)), Reload;

    /// How many keys are derived from passwords at the same time: for logins by PLAIN, new
    /// passwords, registrations, commands and imports together. Each keeps one processor busy.
    derivations: usize = 2 => Count::between(1, 1024), Restart;
}

/// Refuses revocation lists of no authority.
pub(super) fn check(auth: &AuthConfig, fields: &Fields<'_>, problems: &mut Problems<'_>) {
    if auth.certificate_revocation_lists.is_some() && auth.certificate_authorities.is_none() {
        let at = fields.value_of("certificate_revocation_lists");
        problems.add(
            &at.unwrap_or_else(|| fields.at.clone()),
            "`certificate_revocation_lists` is set, and `certificate_authorities` is not",
            "name the file with the certificates of the authorities, too".to_owned(),
        );
    }
}
