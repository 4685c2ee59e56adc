//! Decides what a reload applies: only options that are marked `Reload`. All other options keep the value
//! with which the server runs, so that all parts of the server see the same value.

use std::fmt;
use std::path::PathBuf;

use super::section::Section;
use super::top_level::Head;
use super::{Config, HostConfig, RoomsConfig};

/// A change in the file that a reload does not apply.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Pending {
    /// A domain that is served only after a restart.
    Added(String),
    /// A service for group chat that is offered only after a restart, by its prefix.
    AddedRooms(String),
    /// The order of the domains: the first one is the default.
    Order,
    /// An option, by its name: `listen.c2s`.
    Option(&'static str),
    /// A domain that is served until the restart.
    Removed(String),
    /// A service for group chat that is offered until the restart, by its prefix.
    RemovedRooms(String),
}

impl fmt::Display for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added(domain) => write!(f, "{domain} is served only after a restart"),
            Self::AddedRooms(prefix) => {
                write!(f, "the rooms of `{prefix}` are offered only after a restart")
            }
            Self::Order => f.write_str("the order of the [[host]] sections changes by a restart"),
            Self::Option(name) => write!(f, "{name} changes by a restart"),
            Self::Removed(domain) => {
                write!(
                    f,
                    "{domain} is no longer in the configuration, and is served until a restart"
                )
            }
            Self::RemovedRooms(prefix) => {
                write!(
                    f,
                    "the rooms of `{prefix}` are no longer in the configuration, and are offered \
                     until a restart"
                )
            }
        }
    }
}

impl Config {
    /// The configuration that a server uses after a reload, and the changes that need a restart.
    ///
    /// `running` is the configuration that the server uses now, not the last file that it has read. So
    /// an option that was changed and changed back is not pending.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "some lines for each section")]
    pub fn reloaded(self, running: &Self) -> (Self, Vec<Pending>) {
        // All fields are named, so that a new section cannot be forgotten.
        let Self {
            data,
            hosts,
            mut listen,
            mut auth,
            mut registration,
            mut invitations,
            mut archive,
            mut files,
            mut s3,
            mut api,
            mut static_files,
            mut pubsub,
            mut client_state,
            rooms,
            components,
            mut s2s,
            mut strangers,
            mut storage,
            mut limits,
            mut budgets,
            mut admin,
            mut contact,
            mut data_policy,
            mut external_services,
            mut log,
        } = self;
        let mut names = Vec::new();
        let data = reloaded_data(data, running, &mut names);
        let (hosts, domains) = reloaded_hosts(hosts, &running.hosts, &mut names);
        listen.keep(&running.listen, &mut names);
        auth.keep(&running.auth, &mut names);
        registration.keep(&running.registration, &mut names);
        invitations.keep(&running.invitations, &mut names);
        archive.keep(&running.archive, &mut names);
        files.keep(&running.files, &mut names);
        s3.keep(&running.s3, &mut names);
        api.keep(&running.api, &mut names);
        static_files.keep(&running.static_files, &mut names);
        pubsub.keep(&running.pubsub, &mut names);
        client_state.keep(&running.client_state, &mut names);
        let (rooms, services) = reloaded_rooms(rooms, &running.rooms, &mut names);
        s2s.keep(&running.s2s, &mut names);
        strangers.keep(&running.strangers, &mut names);
        storage.keep(&running.storage, &mut names);
        limits.keep(&running.limits, &mut names);
        budgets.keep(&running.budgets, &mut names);
        admin.keep(&running.admin, &mut names);
        contact.keep(&running.contact, &mut names);
        data_policy.keep(&running.data_policy, &mut names);
        external_services.keep(&running.external_services, &mut names);
        log.keep(&running.log, &mut names);
        let config = Self {
            data,
            hosts,
            listen,
            auth,
            registration,
            invitations,
            archive,
            files,
            s3,
            api,
            static_files,
            pubsub,
            client_state,
            rooms,
            components,
            s2s,
            strangers,
            storage,
            limits,
            budgets,
            admin,
            contact,
            data_policy,
            external_services,
            log,
        };
        (config, domains.into_iter().chain(services).chain(options(names)).collect())
    }
}

fn reloaded_data(data: PathBuf, running: &Config, names: &mut Vec<&'static str>) -> PathBuf {
    let mut head = Head { data };
    head.keep(&Head { data: running.data.clone() }, names);
    head.data
}

fn options(names: Vec<&'static str>) -> impl Iterator<Item = Pending> {
    names.into_iter().map(Pending::Option)
}

/// The served domains and their order stay the same. Their other options are compared domain by
/// domain.
fn reloaded_hosts(
    mut new: Vec<HostConfig>,
    running: &[HostConfig],
    names: &mut Vec<&'static str>,
) -> (Vec<HostConfig>, Vec<Pending>) {
    let is_in = |hosts: &[HostConfig], domain: &str| hosts.iter().any(|h| h.domain == domain);
    let mut pending = Vec::new();
    for host in new.iter().filter(|host| !is_in(running, &host.domain)) {
        pending.push(Pending::Added(host.domain.clone()));
    }
    for host in running.iter().filter(|host| !is_in(&new, &host.domain)) {
        pending.push(Pending::Removed(host.domain.clone()));
    }
    let domains = |hosts: &[HostConfig]| -> Vec<String> {
        hosts.iter().map(|host| host.domain.clone()).collect()
    };
    if pending.is_empty() && domains(&new) != domains(running) {
        pending.push(Pending::Order);
    }
    let mut differing = Vec::new();
    let hosts = running.iter().map(|running| {
        let Some(at) = new.iter().position(|host| host.domain == running.domain) else {
            return running.clone();
        };
        let mut host = new.swap_remove(at);
        host.keep(running, &mut differing);
        host
    });
    let hosts = hosts.collect();
    differing.sort_unstable();
    differing.dedup();
    names.extend(differing);
    (hosts, pending)
}

/// The services for group chat stay the same. Their other options are compared service by service.
fn reloaded_rooms(
    mut new: Vec<RoomsConfig>,
    running: &[RoomsConfig],
    names: &mut Vec<&'static str>,
) -> (Vec<RoomsConfig>, Vec<Pending>) {
    let is_in = |rooms: &[RoomsConfig], prefix: &str| rooms.iter().any(|r| r.prefix == prefix);
    let mut pending = Vec::new();
    for rooms in new.iter().filter(|rooms| rooms.enabled && !is_in(running, &rooms.prefix)) {
        pending.push(Pending::AddedRooms(rooms.prefix.clone()));
    }
    for rooms in running.iter().filter(|rooms| rooms.enabled && !is_in(&new, &rooms.prefix)) {
        pending.push(Pending::RemovedRooms(rooms.prefix.clone()));
    }
    let mut differing = Vec::new();
    let rooms = running.iter().map(|running| {
        let Some(at) = new.iter().position(|rooms| rooms.prefix == running.prefix) else {
            return running.clone();
        };
        let mut rooms = new.swap_remove(at);
        rooms.keep(running, &mut differing);
        rooms
    });
    let rooms = rooms.collect();
    differing.sort_unstable();
    differing.dedup();
    names.extend(differing);
    (rooms, pending)
}

#[cfg(test)]
mod tests {
    use super::super::print::sections;
    use super::super::section::Applies;
    use super::{Config, Pending};

    fn read(text: &str) -> Config {
        Config::parse(text, "test.toml").unwrap_or_else(|errors| panic!("{errors}"))
    }

    /// Values of every kind: each option is given the first one that it takes and that is not its
    /// default. A new kind of value needs a new line.
    const VALUES: &[&str] = &[
        "true",
        "false",
        "7",
        "77",
        "777",
        "7777",
        "'7 s'",
        "'2 min'",
        "'3 min'",
        "'400 d'",
        "'2 d'",
        "'12 KiB'",
        "'700 KiB'",
        "['192.0.2.1']",
        "['romeo@a.example']",
        "['mailto:a@a.example']",
        "['https://chat.example']",
        "'b.example'",
        "'wss://chat.example/ws'",
        "'https://chat.example/http-bind'",
        "'https://chat.example'",
        "'b.example:5222'",
        "'memory'",
        "'json'",
        "'warn'",
        "'/srv/other'",
        "'turn:b.example'",
        "'dialback'",
        "'192.0.2.7'",
        "{ 'c.example' = '192.0.2.7:5269' }",
        "'admins'",
        "'users'",
        "'anyone'",
        "'refuse'",
        "'/proc/self/comm'",
        "['https']",
        "{ '/chat' = '/srv/chat' }",
        "'both'",
        "'outgoing'",
        "'managed_entity'",
        "{ 'urn:example:things' = ['node'] }",
        "{ 'urn:example:things' = 'both' }",
    ];

    /// What runs, and the same with another value of one option.
    fn pair(section: &str, option: &str) -> (Config, Config) {
        let with = |value: Option<&str>| {
            let line = value.map_or(String::new(), |value| format!("{option} = {value}\n"));
            let host = |domain| format!("[[host]]\ndomain = '{domain}'\n");
            let text = match (section, option) {
                ("", _) => format!("{line}{}", host("a.example")),
                ("host", "domain") => value.map_or_else(
                    || host("a.example"),
                    |value| format!("[[host]]\ndomain = {value}\n"),
                ),
                // A key wants its certificate.
                ("host", "key") => {
                    let line = if line.is_empty() { "key = 'old.pem'\n" } else { &line };
                    format!("{}certificate = 'old.pem'\n{line}", host("a.example"))
                }
                // A TURN server wants credentials of one kind.
                ("external_services", _) => {
                    let is_pair = matches!(option, "username" | "password");
                    let rest: &[(&str, &str)] = match option {
                        _ if is_pair => {
                            &[("uris", "'turn:a'"), ("username", "'a'"), ("password", "'a'")]
                        }
                        "secret_file" => &[("uris", "'turn:a'"), (option, "'/proc/version'")],
                        _ => &[("uris", "'turn:a'"), ("secret", "'a'")],
                    };
                    let rest = rest.iter().filter(|(name, _)| *name != option || line.is_empty());
                    let rest: String =
                        rest.map(|(name, value)| format!("{name} = {value}\n")).collect();
                    format!("{}[{section}]\n{line}{rest}", host("a.example"))
                }
                // Lists of what authorities have revoked want the authorities.
                ("auth", "certificate_revocation_lists") => {
                    let authorities = "certificate_authorities = 'ca.pem'";
                    format!("{}[auth]\n{authorities}\n{line}", host("a.example"))
                }
                // A component has a domain, and one secret.
                ("component", _) => {
                    let rest: &[(&str, &str)] = match option {
                        "secret_file" => &[("domain", "'c.example'"), (option, "'/proc/version'")],
                        _ => &[("domain", "'c.example'"), ("secret", "'a'")],
                    };
                    let rest = rest.iter().filter(|(name, _)| *name != option || line.is_empty());
                    let rest: String =
                        rest.map(|(name, value)| format!("{name} = {value}\n")).collect();
                    format!("{}[[component]]\n{line}{rest}", host("a.example"))
                }
                // A bucket wants an address and a key.
                ("s3", "bucket") => {
                    let rest = "endpoint = 'https://a'\naccess_key = 'a'\nsecret = 'a'\n";
                    format!("{}[s3]\n{line}{rest}", host("a.example"))
                }
                ("host", _) => format!("{}{line}", host("a.example")),
                ("rooms", _) => format!("{}[[rooms]]\n{line}", host("a.example")),
                _ => format!("{}[{section}]\n{line}", host("a.example")),
            };
            Config::parse(&text, "test.toml").ok()
        };
        let running = with(None).expect("this file is right");
        let new = VALUES.iter().filter_map(|value| with(Some(value))).find(|new| *new != running);
        let new = new.unwrap_or_else(|| panic!("no value in VALUES is one of {section}.{option}"));
        (running, new)
    }

    #[test]
    fn each_option_is_applied_by_a_reload_or_keeps_the_value_that_runs() {
        let domains = ["a.example".to_owned()];
        for section in sections(&domains) {
            for entry in &section.entries {
                let option = match section.name {
                    "" => entry.name.to_owned(),
                    name => format!("{name}.{}", entry.name),
                };
                let (running, new) = pair(section.name, entry.name);
                let (after, pending) = new.clone().reloaded(&running);
                match entry.applies {
                    Applies::Reload => {
                        assert_eq!((after, pending), (new, vec![]), "{option}");
                    }
                    Applies::Restart if option == "host.domain" => {
                        assert_eq!(after, running);
                        let domains = ["b.example", "a.example"].map(str::to_owned);
                        let [added, removed] = domains;
                        let told = [Pending::Added(added), Pending::Removed(removed)];
                        assert_eq!(pending, told);
                    }
                    Applies::Restart if option == "rooms.prefix" => {
                        assert_eq!(after, running);
                        let [added] = &*new.rooms else { panic!("one section, one service") };
                        let added = Pending::AddedRooms(added.prefix.clone());
                        let removed = Pending::RemovedRooms("conference".to_owned());
                        assert_eq!(pending, [added, removed]);
                    }
                    Applies::Restart => {
                        assert_eq!(after, running, "{option}");
                        let [Pending::Option(name)] = pending.as_slice() else {
                            panic!("{option}: {pending:?}");
                        };
                        assert_eq!(*name, option);
                    }
                }
            }
        }
    }

    #[test]
    fn changes_are_compared_with_what_runs_and_not_with_the_last_file() {
        let running = read("[listen]\nhttps = 7001");
        let (after, pending) = read("[listen]\nhttps = 7002").reloaded(&running);
        assert_eq!(pending, [Pending::Option("listen.https")]);
        // Again the same file, then the old one.
        let (after, pending) = read("[listen]\nhttps = 7002").reloaded(&after);
        assert_eq!(pending, [Pending::Option("listen.https")]);
        let (after, pending) = read("[listen]\nhttps = 7001").reloaded(&after);
        assert_eq!((after, pending), (running, vec![]));
    }

    #[test]
    fn domains_that_come_or_go_leave_the_others_their_changes() {
        let a = "[[host]]\ndomain = 'a.example'\n";
        let b = "[[host]]\ndomain = 'b.example'\n";
        let c = "[[host]]\ndomain = 'c.example'\n";
        let files = "certificate = 'new.pem'\nkey = 'new.key'\n";
        let running = read(&format!("{a}{b}"));
        let (after, pending) = read(&format!("{c}{b}{files}")).reloaded(&running);
        let domains: Vec<_> = after.hosts.iter().map(|host| host.domain.as_str()).collect();
        assert_eq!(domains, ["a.example", "b.example"]);
        assert_eq!(after.hosts[0], running.hosts[0]);
        assert_eq!(after.hosts[1].certificate, Some("new.pem".into()));
        let [c, a] = ["c.example", "a.example"].map(str::to_owned);
        assert_eq!(pending, [Pending::Added(c), Pending::Removed(a)]);

        let (after, pending) =
            read("[[host]]\ndomain = 'b.example'\n[[host]]\ndomain = 'a.example'")
                .reloaded(&running);
        assert_eq!((after, pending), (running, vec![Pending::Order]));
    }

    #[test]
    fn services_for_rooms_that_come_or_go_leave_the_others_their_changes() {
        let running = read("[[rooms]]\n[[rooms]]\nprefix = 'work'\nhistory = 5");
        let (after, pending) =
            read("[[rooms]]\nprefix = 'play'\n[[rooms]]\nhistory = 7").reloaded(&running);
        let kept: Vec<_> = after.rooms.iter().map(|r| (r.prefix.as_str(), r.history)).collect();
        assert_eq!(kept, [("conference", 7), ("work", 5)]);
        let [added, removed] = ["play", "work"].map(str::to_owned);
        assert_eq!(pending, [Pending::AddedRooms(added), Pending::RemovedRooms(removed)]);
        // Their order means nothing.
        let other = read("[[rooms]]\nprefix = 'work'\nhistory = 5\n[[rooms]]");
        assert_eq!(other.reloaded(&running), (running.clone(), vec![]));
    }
}
