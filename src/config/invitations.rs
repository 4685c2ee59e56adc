//! `[invitations]`: links by which people make accounts here, or become contacts of users.

use std::time::Duration;

use super::section::{choice, section};
use super::units::{days, minutes};
use super::value::{Count, HttpsAddress, OneOf, Switch, Time};

choice! {
    /// Who may invite people to make an account.
    pub enum Inviters {
        /// Administrators of the server.
        Admins = "admins";
        /// Users with an account.
        Users = "users";
    }
}

section! {
    /// Invitations: links by which people make an account although `registration.open` is not set, or become contacts
    /// of a user (XEP-0401, XEP-0445, XEP-0379). `waxwing invite create` makes one, and so do chat clients.
    /// `docs/invitations.md` explains it.
    pub struct InvitationsConfig = "invitations";

    /// Offer them. If not, those that were made do not work.
    enabled: bool = true => Switch, Reload;

    /// Who may invite people to make an account. All users may invite people to become their contacts; with "users",
    /// people who are invited as contacts may also make an account here.
    accounts: Inviters = Inviters::Admins => OneOf(Inviters::WORDS), Reload;

    /// How long an invitation can be used, unless the administrator who makes it says otherwise.
    lifetime: Duration = days(7) => Time::between(minutes(10), days(365)), Reload;

    /// Invitations of one account that are open.
    per_account: usize = 20 => Count::between(1, 10_000), Reload;

    /// Address at which browsers reach our pages from outside, for example `https://chat.example.org`. What follows it in
    /// links is `/invite/…`, and it has no path itself. Set it if browsers come through a reverse proxy. If it is not
    /// set, it is that of the host at the port of the first address of `listen.https`; without one, it is `files.url`, if
    /// that has no path; without that, links are for chat clients only.
    url: Option<String> = None => HttpsAddress::Root, Reload;
}
