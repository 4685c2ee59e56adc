//! `[data_policy]`: what users are told about how their data are handled (XEP-0504).

use super::error::Problems;
use super::section::{Fields, choice, section};
use super::value::{Hours, SomeOf, Switch, Text, Uris};

choice! {
    /// Who can see data of users, besides the user.
    pub enum DataAccess {
        /// The administrators, to run the server.
        Admins = "admins";
        /// Advertisers.
        Advertisers = "advertisers";
        /// Authorities, if the law demands it.
        Government = "government";
        /// Moderators, of what they moderate.
        Moderators = "moderators";
        /// Nobody. It stands alone.
        Nobody = "none";
        /// Members of the organization that runs the server.
        OrganizationMembers = "organization_member";
        /// Partners, by contract.
        Partners = "partners";
    }
}

section! {
    /// How this server handles the data of its users, in a form that clients can show (XEP-0504).
    ///
    /// The server announces what it knows itself: how long messages are archived (`archive.age`), whether it sees
    /// passwords (`auth.plain`), whether users can remove their accounts (`registration.remove`), and whether they have
    /// pages of their own where they get their data. Set here what only you know. What is not set is not announced.
    pub struct DataPolicyConfig = "data_policy";

    /// Who can see data of users.
    access: Vec<DataAccess> = Vec::new() => SomeOf(DataAccess::WORDS), Reload;

    /// Whether the disk with the data is encrypted.
    encrypted_at_rest: bool = false => Switch, Reload;

    /// Whether users can get a copy of all their data in another way than by their own page, of which the server knows.
    export: bool = false => Switch, Reload;

    /// The longest time between two backups.
    backup_every: Option<String> = None => Hours(&[("never", "0")]), Reload;

    /// How long backups are kept.
    backup_kept: Option<String> = None => Hours(&[("forever", "infinite"), ("unknown", "unknown")]), Reload;

    /// Terms of service.
    terms: Vec<String> = Vec::new() => Uris, Reload;

    /// The country where the data are: its law applies.
    country: Option<String> = None => Text("\"Switzerland\""), Reload;

    /// The region of the country, whose law may differ, too.
    region: Option<String> = None => Text("\"Ticino\""), Reload;

    /// The town.
    locality: Option<String> = None => Text("\"Lugano\""), Reload;

    /// More about the place, for users.
    location: Option<String> = None => Text("\"All data and their copies are in one computing centre.\""), Reload;

    /// A sentence for users.
    info: Option<String> = None => Text("\"The server stands in Iceland.\""), Reload;
}

/// Refuses "none" together with others (XEP-0504 §3.9), and more than one address of the terms.
pub(super) fn check(policy: &DataPolicyConfig, fields: &Fields<'_>, problems: &mut Problems<'_>) {
    let place = |name| fields.value_of(name).unwrap_or_else(|| fields.at.clone());
    if policy.access.len() > 1 && policy.access.contains(&DataAccess::Nobody) {
        let help = "write [\"none\"], or leave \"none\" out".to_owned();
        problems.add(&place("access"), "`access` has \"none\" and others", help);
    }
    if policy.terms.len() > 1 {
        let help = "write one: clients show one".to_owned();
        problems.add(&place("terms"), "`terms` has more than one address", help);
    }
}
