//! `[[component]]`: an external component (XEP-0114), such as a gateway to another network.

use super::domain::prepare_domain;
use super::error::Problems;
use super::host::HostConfig;
use super::privilege::{Delegation, MessageGrant, NamespaceGrant, PresenceGrant, RequestGrant};
use super::secret::Secret;
use super::section::{Fields, section};
use super::value::{
    Count, DelegationTable, Domain, NamespaceTable, OneOf, SecretFile, SecretText, Switch, Text,
};

section! {
    /// An external component (XEP-0114): a program, such as a gateway to another network, that has a domain of its own and
    /// connects to this server at `listen.components`.
    ///
    /// Repeat the section for each component. Without one, there is none.
    pub struct ComponentConfig = "component";

    /// The domain of the component, for example `irc.example.org`. It is none of a `[[host]]` or of a service.
    domain: String = "irc.example.org".to_owned() => Domain, Reload;

    /// The component has all domains below its own, too.
    subdomains: bool = false => Switch, Reload;

    /// What people see in the list of services.
    name: Option<String> = None => Text("\"IRC\""), Reload;

    /// The secret that the component shares with this server.
    secret: Option<Secret> = None => SecretText("\"${IRC_SECRET}\""), Reload;

    /// A file with this secret, in one line. It is read at the start, and anew by a reload.
    secret_file: Option<Secret> = None => SecretFile("\"/etc/waxwing/irc.secret\""), Reload;

    /// How many connections the component may have at the same time. What is sent to it is shared among them: two
    /// addresses always talk by the same one.
    connections: usize = 1 => Count::between(1, 64), Reload;

    /// Which requests for the rosters of users the component may send (privileged entity, XEP-0356). This and the next
    /// options apply to the host below which the domain of the component is, or to all hosts if it is below none.
    roster: RequestGrant = RequestGrant::None => OneOf(RequestGrant::WORDS), Reload;

    /// The component is told of each change of a roster, if it may get rosters.
    roster_push: bool = true => Switch, Reload;

    /// Which messages the component may send in the name of users and of the host. They are archived and copied to the
    /// devices of the user like messages that the user has sent.
    message: MessageGrant = MessageGrant::None => OneOf(MessageGrant::WORDS), Reload;

    /// Whose presence the component is sent. For the contacts of users it must be allowed to get rosters.
    presence: PresenceGrant = PresenceGrant::None => OneOf(PresenceGrant::WORDS), Reload;

    /// Which other requests the component may send in the name of users, by the namespace of the request:
    /// `{ "https://example.org/notes" = "both" }`.
    iq: Vec<NamespaceGrant> = Vec::new() => NamespaceTable, Reload;

    /// Requests that the component answers instead of the server, by namespace, if their payload has these attributes
    /// (namespace delegation, XEP-0355): `{ "https://example.org/notes" = [], "https://example.org/lists" = ["node"] }`.
    delegate: Vec<Delegation> = Vec::new() => DelegationTable, Reload;
}

impl ComponentConfig {
    /// The secret that the component shares with this server. There is one.
    #[must_use]
    pub fn shared_secret(&self) -> Option<&Secret> {
        self.secret.as_ref().or(self.secret_file.as_ref())
    }

    /// Which requests in this namespace it may send in the name of users.
    #[must_use]
    pub fn requests(&self, ns: &str) -> RequestGrant {
        let found = self.iq.iter().find(|each| each.ns == ns);
        found.map_or(RequestGrant::None, |each| each.requests)
    }

    /// Whether it is told of changes of rosters (XEP-0356 §4.4).
    #[must_use]
    pub fn is_pushed(&self) -> bool {
        self.roster_push && matches!(self.roster, RequestGrant::Get | RequestGrant::Both)
    }

    /// Whether this is the domain of the component, or one below it if it has those, too.
    #[must_use]
    pub fn has(&self, domain: &str) -> bool {
        let is_below = || {
            let above = domain.strip_suffix(self.domain.as_str());
            above.is_some_and(|above| above.len() > 1 && above.ends_with('.'))
        };
        domain == self.domain || self.subdomains && is_below()
    }
}

/// Refuses a component without a secret, or with two, and one that would learn of contacts whose rosters it may not get
/// (XEP-0356 §7.4).
pub(super) fn check(component: &ComponentConfig, fields: &Fields<'_>, problems: &mut Problems<'_>) {
    let reads = matches!(component.roster, RequestGrant::Get | RequestGrant::Both);
    if component.presence == PresenceGrant::Roster && !reads {
        let at = fields.value_of("presence").unwrap_or_else(|| fields.at.clone());
        let message = "`presence` is \"roster\", but the component may not get rosters";
        problems.add(&at, message, "add roster = \"get\"".to_owned());
    }
    let message = match (&component.secret, &component.secret_file) {
        (None, None) => "the component has no secret",
        (Some(_), Some(_)) => "`secret` and `secret_file` are set",
        _ => return,
    };
    let at = fields.key_of("secret").unwrap_or_else(|| fields.at.clone());
    problems.add(&at, message, "add one of `secret` and `secret_file`".to_owned());
}

/// Refuses a domain that is listed twice, or is a host.
pub(super) fn check_all(
    components: &[(ComponentConfig, Fields<'_>)],
    hosts: &[HostConfig],
    problems: &mut Problems<'_>,
) {
    let mut seen = Vec::new();
    for (_, fields) in components {
        // The text in the file is compared: if it is invalid, the component has the default domain.
        let Some(domain) = fields.text_of("domain").and_then(|text| prepare_domain(text).ok())
        else {
            continue;
        };
        let whose = if seen.contains(&domain) {
            "an earlier [[component]]"
        } else if hosts.iter().any(|host| host.domain == domain) {
            "a [[host]]"
        } else {
            seen.push(domain);
            continue;
        };
        problems.add(
            &fields.value_of("domain").unwrap_or_else(|| fields.at.clone()),
            format!("{domain} is the domain of {whose}"),
            "give the component a domain of its own".to_owned(),
        );
    }
}
