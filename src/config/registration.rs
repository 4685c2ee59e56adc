//! `[registration]`: what users may do to their accounts without the administrator.

use super::section::section;
use super::value::{Count, Switch, Words};

section! {
    /// In-band registration: what users may do without the administrator (XEP-0077).
    pub struct RegistrationConfig = "registration";

    /// Let anybody create an account, after TLS. Spammers find an open server within days: watch it,
    /// and set `contact.abuse`.
    open: bool = false => Switch, Reload;

    /// Accounts that may be created from one address (IPv6: from one /64) in an hour.
    per_address: u32 = 3 => Count::between(1, 1_000_000)
        .not_less("somebody must be able to make an account"), Reload;

    /// Names that nobody can register.
    reserved: Vec<String> = RESERVED.iter().map(|&name| name.to_owned()).collect() => Words, Reload;

    /// Let users change their own passwords.
    change_password: bool = true => Switch, Reload;

    /// Let users remove their own accounts, with all their data.
    remove: bool = true => Switch, Reload;
}

/// Names that look like those of the people who run the server (RFC 2142).
const RESERVED: &[&str] = &[
    "abuse",
    "admin",
    "administrator",
    "anonymous",
    "help",
    "hostmaster",
    "info",
    "legal",
    "noc",
    "operator",
    "postmaster",
    "register",
    "root",
    "sales",
    "security",
    "server",
    "support",
    "system",
    "webmaster",
    "xmpp",
];
