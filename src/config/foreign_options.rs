//! Recognises configuration files of other servers, and the words that other servers use for our
//! options.

/// Which other server a file belongs to, and the line that shows it. The file is not a configuration
/// of this server.
pub(super) fn other_server(text: &str) -> Option<(&'static str, &str)> {
    let text = text.trim_start_matches('\u{feff}');
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty()).peekable();
    let first = *lines.peek()?;
    let plain = || text.lines().map(str::trim_end).filter(|line| !line.is_empty());
    let found =
        |start: &[&str]| plain().find(|l| start.iter().any(|s| l.trim_start().starts_with(s)));
    if first.starts_with('<') {
        let is_openfire = text.contains("<jive");
        return Some((
            if is_openfire { "Openfire (XML)" } else { "a program that reads XML" },
            first,
        ));
    }
    if let Some(line) =
        found(&["VirtualHost ", "VirtualHost\"", "VirtualHost(", "modules_enabled", "Component \""])
    {
        return Some(("Prosody (Lua)", line));
    }
    if first.starts_with("--") && !first.starts_with("---") {
        return Some(("a program that reads Lua, such as Prosody", first));
    }
    if let Some(line) = found(&["{hosts,", "{listen,", "{modules,"]) {
        return Some(("ejabberd (Erlang terms)", line));
    }
    if first.starts_with('{') {
        return Some(("a program that reads JSON", first));
    }
    // In YAML, the names of sections end with a colon.
    let is_part = |line: &&str| {
        let name = line.split_once(':').map(|(name, _)| name.trim_matches(['"', '\'']));
        let is_word =
            |name: &str| name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
        name.is_some_and(|name| !name.is_empty() && is_word(name)) && !line.contains('=')
    };
    let mut uncommented = plain().filter(|line| !line.starts_with('#'));
    let part = uncommented.find(|line| *line != "---" && !line.starts_with('%'))?;
    if is_part(&part) {
        let is_ejabberd = plain().any(|line| line.starts_with("hosts:") || line.contains("mod_"));
        let whose = if is_ejabberd { "ejabberd (YAML)" } else { "a program that reads YAML" };
        return Some((whose, part));
    }
    None
}

/// Tables that show that a TOML file belongs to another program.
pub(super) fn other_toml(tables: &[&str]) -> Option<&'static str> {
    let theirs = ["general", "outgoing_pools", "host_config", "modules", "internal_databases"];
    tables.iter().any(|name| theirs.contains(name)).then_some("MongooseIM (TOML)")
}

/// What to write instead of a word of another server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Meant {
    /// An option of a section. If it is empty: the section.
    Option(&'static str, &'static str),
    /// Nothing, with the reason.
    Nothing(&'static str),
}

/// What to write instead of a word of another server that was found in one of our sections, or before
/// all sections. [`super::nearest`] finds misspelt words.
pub(super) fn meant(section: &str, word: &str) -> Option<Meant> {
    let word = word.to_ascii_lowercase().replace('-', "_");
    let has = |words: &[&str]| words.contains(&word.as_str());
    let here = WORDS_HERE.iter().find(|(of, words, _)| *of == section && has(words));
    if let Some((of, _, option)) = here {
        return Some(Meant::Option(of, option));
    }
    if let Some((_, why)) = NOTHING.iter().find(|(words, _)| has(words)) {
        return Some(Meant::Nothing(why));
    }
    let found = WORDS.iter().find(|(words, ..)| has(words));
    found.map(|(_, section, option)| Meant::Option(section, option))
}

/// The name of our section for a section of another server.
pub(super) fn meant_section(word: &str) -> Option<&'static str> {
    let word = word.to_ascii_lowercase().replace('-', "_");
    let found = SECTIONS.iter().find(|(words, _)| words.contains(&word.as_str()));
    found.map(|(_, section)| *section).or(match meant("", &word) {
        Some(Meant::Option(section, _)) if !section.is_empty() => Some(section),
        _ => None,
    })
}

/// Names of sections.
const SECTIONS: &[(&[&str], &str)] = &[
    (&["tls", "ssl", "domain", "server", "certificate", "site"], "host"),
    (
        &["c2s", "client", "clients", "network", "ports", "http", "https", "websocket", "socket"],
        "listen",
    ),
    (&["sqlite", "sqlite3", "postgres", "postgresql", "mysql"], "storage"),
    (&["security", "sasl", "scram", "authentication"], "auth"),
];

/// Words whose meaning depends on their section.
const WORDS_HERE: &[(&str, &[&str], &str)] = &[
    ("registration", &["enabled", "allow", "allowed", "public"], "open"),
    ("archive", &["days", "time", "duration", "max_age"], "age"),
    ("archive", &["max", "limit", "count"], "messages"),
    ("storage", &["type", "engine", "driver", "kind", "path"], "backend"),
    ("admin", &["jids", "jid", "users", "user"], "accounts"),
    ("admin", &["path", "file", "listen"], "socket"),
    ("auth", &["rounds", "scram"], "iterations"),
    ("auth", &["mechanisms", "mechanism"], "plain"),
    ("limits", &["max_stanza", "stanza_bytes", "message", "message_size"], "stanza"),
    ("limits", &["per_address", "per_ip"], "connections_per_address"),
];

/// Words without a counterpart here.
const NOTHING: &[(&[&str], &str)] = &[
    (
        &["pidfile", "pid_file", "daemonize", "daemon", "user", "group", "prosody_user", "run_as"],
        "remove it: the service manager does this (packaging/systemd)",
    ),
    (
        &["modules", "modules_enabled", "plugins", "plugin_paths", "modules_disabled"],
        "remove it: all features are there, and have their options in the sections",
    ),
    (
        &["log_file", "logfile", "error_log"],
        "remove it: the log goes to the standard error, or to journald",
    ),
];

/// Words of Prosody, ejabberd and Openfire, and likely guesses, with our option for each.
const WORDS: &[(&[&str], &str, &str)] = &[
    (
        &[
            "c2s_ports",
            "c2s_port",
            "port",
            "ports",
            "client_port",
            "interfaces",
            "interface",
            "c2s_interfaces",
            "listen_addr",
            "ip",
            "bind",
            "address",
            "addresses",
            "starttls",
        ],
        "listen",
        "c2s",
    ),
    (
        &[
            "c2s_direct_tls_ports",
            "direct_tls_ports",
            "legacy_ssl_ports",
            "c2s_ssl_ports",
            "c2s_tls_ports",
            "c2s_tls_port",
            "direct_tls",
            "c2s_direct_tls",
            "ssl_port",
            "tls_port",
        ],
        "listen",
        "c2s_tls",
    ),
    (&["http_ports", "http_port", "http_interfaces"], "listen", "http"),
    (&["https_ports", "https_port", "https_interfaces", "wss"], "listen", "https"),
    (&["trusted_proxies", "proxy", "trusted_proxy"], "listen", "proxies"),
    (&["proxy_protocol_ports", "use_proxy_protocol"], "listen", "proxy_protocol"),
    (&["websocket_url", "http_external_url", "ws", "public_url"], "listen", "websocket"),
    (
        &["cross_domain_websocket", "websocket_origin", "origin", "allowed_origins"],
        "listen",
        "origins",
    ),
    (
        &[
            "virtualhost",
            "virtualhosts",
            "virtual_host",
            "vhost",
            "vhosts",
            "hosts",
            "domains",
            "hostname",
            "xmpp_domain",
            "server_name",
            "servername",
        ],
        "host",
        "",
    ),
    (&["name", "host", "fqdn"], "host", "domain"),
    (
        &[
            "certfile",
            "certfiles",
            "certificates",
            "certificate_file",
            "cert",
            "cert_file",
            "fullchain",
            "ssl",
            "tls_certificate",
            "ssl_certificate",
            "crt",
        ],
        "host",
        "certificate",
    ),
    (&["keyfile", "key_file", "private_key", "privkey", "tls_key", "ssl_key"], "host", "key"),
    (
        &[
            "data_path",
            "data_dir",
            "data_directory",
            "datadir",
            "spool",
            "spool_dir",
            "database_path",
            "storage_path",
        ],
        "",
        "data",
    ),
    (&["sql", "database", "db", "default_storage", "default_db", "sql_type"], "storage", "backend"),
    (&["admins", "admin_jids", "administrators", "acl"], "admin", "accounts"),
    (&["admin_socket", "ctl_socket"], "admin", "socket"),
    (
        &["allow_registration", "registration_enabled", "mod_register", "register", "ibr"],
        "registration",
        "open",
    ),
    (
        &["min_seconds_between_registrations", "registration_timeout", "registration_throttle_max"],
        "registration",
        "per_address",
    ),
    (&["loglevel", "log_level", "minimum_level", "verbosity"], "log", "level"),
    (&["log_format"], "log", "format"),
    (
        &["archive_expires_after", "mam_expire", "retention", "archive_age", "expire_after"],
        "archive",
        "age",
    ),
    (
        &["mam", "mod_mam", "default_archive_policy", "message_archive", "archive_enabled"],
        "archive",
        "enabled",
    ),
    (&["max_archive_query_results", "max_messages", "archive_limit"], "archive", "messages"),
    (&["max_connections", "max_fsm_queue", "connection_limit"], "limits", "connections"),
    (
        &["max_connections_per_ip", "max_connections_per_address", "connections_per_ip"],
        "limits",
        "connections_per_address",
    ),
    (&["max_user_sessions", "max_resources", "resource_limit"], "limits", "sessions_per_account"),
    (
        &["max_stanza_size", "c2s_stanza_size_limit", "stanza_size_limit", "stanza_size", "shaper"],
        "limits",
        "stanza",
    ),
    (
        &["smacks_hibernation_time", "resume_timeout", "resumption_timeout", "resume_time"],
        "limits",
        "resume",
    ),
    (&["smacks_max_unacked_stanzas", "max_ack_queue", "ack_queue"], "limits", "unacknowledged"),
    (
        &["max_user_offline_messages", "max_offline_messages", "offline_limit"],
        "limits",
        "offline_messages",
    ),
    (&["max_roster_items", "roster_limit", "max_items_per_roster"], "limits", "roster_items"),
    (&["c2s_timeout", "idle_timeout", "ping_interval", "timeout"], "limits", "silence"),
    (
        &[
            "scram_iterations",
            "iteration_count",
            "scram_iteration_count",
            "default_iteration_count",
        ],
        "auth",
        "iterations",
    ),
    (&["allow_unencrypted_plain_auth", "sasl_plain", "allow_plain"], "auth", "plain"),
    (&["allow_anonymous", "anonymous_login", "sasl_anonymous"], "auth", "anonymous"),
    (&["contact_info", "server_contact_info", "contacts"], "contact", ""),
];

#[cfg(test)]
mod tests {
    use super::{SECTIONS, WORDS, WORDS_HERE, other_server};
    use crate::config::print::sections;

    #[test]
    fn what_is_meant_is_there_and_the_word_is_not_ours() {
        let all = sections(&[]);
        let here = WORDS_HERE.iter().map(|(section, words, option)| (*words, *section, *option));
        for (words, section, option) in WORDS.iter().copied().chain(here) {
            let section = all.iter().find(|docs| docs.name == section).expect(section);
            let has = |name: &str| section.entries.iter().any(|entry| entry.name == name);
            assert!(option.is_empty() || has(option), "{option}");
            for word in words {
                assert!(!has(word), "{word} is an option of [{}]", section.name);
            }
        }
        for (words, section) in SECTIONS {
            assert!(all.iter().any(|docs| docs.name == *section), "{section}");
            assert!(all.iter().all(|docs| !words.contains(&docs.name)), "{words:?}");
        }
    }

    #[test]
    fn files_of_other_servers_are_known() {
        for (text, whose) in [
            ("-- Prosody\nadmins = { }\nmodules_enabled = {\n\t\"roster\";\n}\n", "Prosody (Lua)"),
            ("plugin_paths = { }\nVirtualHost \"a.example\"\n", "Prosody (Lua)"),
            ("-- a comment\nx = 1\n", "a program that reads Lua, such as Prosody"),
            ("###\nhosts:\n  - a.example\nloglevel: info\n", "ejabberd (YAML)"),
            ("---\nmodules:\n  mod_ping: {}\n", "ejabberd (YAML)"),
            ("version: 3\nservices:\n  xmpp: {}\n", "a program that reads YAML"),
            ("{hosts, [\"localhost\"]}.\n", "ejabberd (Erlang terms)"),
            ("\u{feff}<jive/>", "Openfire (XML)"),
            ("", ""),
            ("<?xml version='1.0'?>\n<jive>\n</jive>\n", "Openfire (XML)"),
            ("\n<plist/>", "a program that reads XML"),
            ("{\"hosts\": []}", "a program that reads JSON"),
            ("data = \"x\"\n[limits\n", ""),
            ("[log]\nlevel = info # see: the docs\n", ""),
            ("# hosts: a.example\ndata = x\n", ""),
        ] {
            assert_eq!(other_server(text).map_or("", |(whose, _)| whose), whose, "{text}");
        }
    }
}
