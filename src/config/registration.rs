//! `[registration]`: what people may do to their accounts without the administrator.

use super::kind::{Count, Switch, Words};
use super::section::section;

section! {
    /// What people may do to accounts without the administrator (XEP-0077).
    pub struct RegistrationConfig = "registration";

    /// Whether strangers may make accounts, after TLS. An open server is found by spammers within
    /// days: watch it, and set `contact.abuse`.
    open: bool = false => Switch, Reload;

    /// Accounts made from one address (of IPv6: from one /64) within an hour.
    per_address: u32 = 3 => Count::between(1, 1_000_000)
        .not_less("somebody must be able to make an account"), Reload;

    /// Names that strangers cannot have.
    reserved: Vec<String> = RESERVED.iter().map(|&name| name.to_owned()).collect() => Words, Reload;

    /// Whether users may change their own passwords.
    change_password: bool = true => Switch, Reload;

    /// Whether users may remove their own accounts, with all that is kept for them.
    remove: bool = true => Switch, Reload;
}

/// Names by which one could pass for those who run the server (RFC 2142).
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
