//! What the parts of the configuration do together.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;

use super::{Backend, Config, LogFormat, commented, explain, prepare_domain};
use crate::jid::Jid;

/// The reading of a text that has no mistakes.
fn read(text: &str) -> Config {
    Config::parse(text, "test.toml").unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn an_empty_file_gives_the_defaults() {
    assert_eq!(read(""), Config::default_for("localhost", PathBuf::from("waxwing-data")));
}

#[test]
fn the_commented_file_gives_the_defaults() {
    for domain in ["localhost", "example.org"] {
        let text = commented(domain);
        let data = PathBuf::from("waxwing-data");
        assert_eq!(read(&text), Config::default_for(domain, data), "{text}");
    }
}

#[test]
fn the_defaults_in_the_commented_file_read_as_what_they_are() {
    let is_option = |line: &&str| line.starts_with('#') && !line.starts_with("# ") && *line != "#";
    for domain in ["localhost", "example.org"] {
        let text = commented(domain);
        let options = text.lines().filter(is_option).count();
        assert!(options > 30, "{text}");
        // Those without a default show an example.
        let kept = |line: &str| {
            let examples = [
                "#backup",
                "#certificate",
                "#info",
                "#key",
                "#location",
                "#password",
                "#secret",
                "#socket",
                "#username",
                "#websocket",
            ];
            let example = examples.iter().any(|n| line.starts_with(n));
            if is_option(&line) && !example { line[1..].to_owned() } else { line.to_owned() }
        };
        let text: String = text.lines().map(|line| kept(line) + "\n").collect();
        let data = PathBuf::from("waxwing-data");
        assert_eq!(read(&text), Config::default_for(domain, data), "{text}");
    }
}

/// A text with one mistake: where, what, and what to write instead.
#[rustfmt::skip]
const MISTAKES: &[(&str, usize, usize, &str, &str)] = &[
    // The head, and names.
    ("[listen]\nlocation = 'a b'", 2, 12, "`location` is not a host or an address: \"a b\"",
        "write for example \"node1.example.org:5222\""),
    ("[listen]\nlocation = 'a:0'", 2, 12, "`location` is not a host or an address: \"a:0\"",
        "write for example \"node1.example.org:5222\""),
    ("dat = 'x'", 1, 1, "there is no option `dat`", "write `data`"),
    ("data = ''", 1, 8, "`data` is empty", "write a path in quotes, for example \"/var/lib/waxwing\""),
    ("port = 1", 1, 1, "there is no option `port`", "write `c2s`, below [listen]"),
    ("colour = 1", 1, 1, "there is no option `colour`", "only `data` may stand before the sections"),
    ("stanza = 1", 1, 1, "there is no option `stanza`", "`stanza` belongs below [limits]"),
    ("[limits]\ndata = 'x'", 2, 1, "[limits] has no option `data`",
        "`data` stands at the head of the file, before all sections"),
    ("[limit]\ndepth = 9", 1, 2, "there is no section `limit`", "write [limits]"),
    ("[[hosts]]", 1, 3, "there is no section `hosts`", "write [[host]]"),
    ("[zzz]", 1, 2, "there is no section `zzz`",
        "the sections are host, listen, auth, registration, archive, pubsub, storage, limits, budgets, admin, contact, data_policy, external_services, log"),
    ("limits = 5", 1, 1, "`limits` is a section", "write [limits]"),
    ("[[limits]]", 1, 3, "`limits` is a section", "write [limits]"),
    ("[limits]\nping_anser = 5", 2, 1, "[limits] has no option `ping_anser`", "write `ping_answer`"),
    ("[auth]\nping-answer = 5", 2, 1, "[auth] has no option `ping-answer`",
        "it has anonymous, plain, iterations, failures_per_connection, slow_addresses, certificate_authorities, devices, announce_devices, devices_age, derivations"),
    ("[limits]\nping-answer = 5", 2, 1, "[limits] has no option `ping-answer`", "write `ping_answer`"),
    // Lists.
    ("[contact]\nabuse = 'a@example.org'", 2, 9, "`abuse` has \"a@example.org\", which is no URI",
        "write \"mailto:a@example.org\" or \"xmpp:a@example.org\""),
    ("[contact]\nabuse = ['mailto:a', 7]", 2, 22, "`abuse` must be a list of URIs, not a number",
        "write for example \"mailto:abuse@example.org\""),
    ("[contact]\nstatus = 'https://a b'", 2, 10, "`status` has \"https://a b\", which is no URI",
        "write for example \"mailto:abuse@example.org\""),
    // Numbers, sizes, durations.
    ("[limits]\ndepth = 257", 2, 9, "`depth` is too large: 257",
        "write at most 256: deep elements are walked by recursion"),
    ("[limits]\n\tdepth = -1", 2, 10, "`depth` is too small: -1",
        "write at least 8: ordinary stanzas need this much"),
    ("[limits]\ndepth = '64'", 2, 9, "`depth` must be a number, not a text",
        "write a whole number, from 8 to 256"),
    ("[limits]\nroster_items = 0xFFFFFFFFFF", 2, 16, "`roster_items` is too large: 0xFFFFFFFFFF",
        "write at most 1000000"),
    ("[limits]\nstanza = 9999", 2, 10, "`stanza` is too small: 9999",
        "write at least 10 KB: RFC 6120 §13.12 demands that stanzas of 10000 bytes pass"),
    ("[limits]\nstanza = '2 GiB'", 2, 10, "`stanza` is too large: 2 GiB",
        "write at most 64 MiB: a stanza is held in memory as a whole"),
    ("[limits]\nstanza = '64k'", 2, 10, "`stanza` is not a size", "write \"64 KiB\""),
    ("[limits]\nstanza = [1]", 2, 10, "`stanza` must be a size, not a list",
        "write for example \"64 KiB\""),
    ("[limits]\nstanza_before_auth = '4095 B'", 2, 22, "`stanza_before_auth` is too small: 4095 B",
        "write at least 4 KiB: a login needs this much"),
    ("[limits]\nping_answer = 0", 2, 15, "`ping_answer` is too small: 0",
        "write at least 1 s: an answer needs time to travel"),
    ("[limits]\nsilence = '3m'", 2, 11, "`silence` is not a duration", "write \"3 min\""),
    ("[limits]\nsilence = 1.5", 2, 11, "`silence` must be a duration, not a fraction",
        "write for example \"30s\" or \"3 min\""),
    ("[limits]\nwrite = '99999 h'", 2, 9, "`write` is too large: 99999 h",
        "write at most 1 h"),
    ("[auth]\niterations = 4095", 2, 14, "`iterations` is too small: 4095",
        "write at least 4096: RFC 5802 §5.1 asks for at least this many"),
    ("[auth]\nplain = 'yes'", 2, 9, "`plain` must be `true` or `false`, not a text",
        "write true or false, without quotes"),
    // What concerns two options.
    ("[limits]\nstanza = '2 MiB'", 2, 10, "`stanza` is 2 MiB, more than `inbox_bytes`, which is 1 MiB",
        "lower `stanza` or raise `inbox_bytes`"),
    ("[limits]\nstanza = '15 KiB'", 2, 10,
        "`stanza_before_auth` is 16 KiB, more than `stanza`, which is 15 KiB",
        "lower `stanza_before_auth` or raise `stanza`"),
    ("[listen]\nc2s = 5223", 2, 7,
        "`c2s` has [::]:5223 and `c2s_tls` has 127.0.0.1:5223, but a port has one protocol",
        "choose another port for one of them"),
    ("[listen]\nc2s = '10.0.0.1:7'\nc2s_tls = '0.0.0.0:7'", 3, 11,
        "`c2s` has 10.0.0.1:7 and `c2s_tls` has 0.0.0.0:7, but a port has one protocol",
        "choose another port for one of them"),
    ("[listen]\nc2s_tls = 7443", 2, 11,
        "`c2s_tls` has [::]:7443 and `https` has 127.0.0.1:7443, but a port has one protocol",
        "choose another port for one of them"),
    ("[listen]\nhttp = 443\nhttps = 443", 3, 9,
        "`http` has [::]:443 and `https` has [::]:443, but a port has one protocol",
        "choose another port for one of them"),
    // The web.
    ("[listen]\nproxies = ['localhost']", 2, 12, "`proxies` has \"localhost\", which is no IP address",
        "write for example \"127.0.0.1\" or \"10.0.0.0/8\""),
    ("[listen]\nproxies = ['10.0.0.1/8']", 2, 12,
        "`proxies` has \"10.0.0.1/8\", which is in the middle of a network", "write \"10.0.0.0/8\""),
    ("[listen]\nproxies = '10.0.0.0/33'", 2, 11,
        "`proxies` has \"10.0.0.0/33\", which is no IP address",
        "write for example \"127.0.0.1\" or \"10.0.0.0/8\""),
    // What users are told.
    ("[contact]\noutage = 'mailto:a@example.org'", 2, 10, "`outage` has an address that is no web page",
        "write for example \"https://status.example.net/outage.json\""),
    ("[data_policy]\naccess = ['none', 'admins']", 2, 10, "`access` has \"none\" and others",
        "write [\"none\"], or leave \"none\" out"),
    ("[data_policy]\naccess = ['admins', 'admins']", 2, 10, "`access` has a word twice",
        "remove one of them"),
    ("[data_policy]\naccess = 'admin'", 2, 10, "`access` cannot be \"admin\"", "write \"admins\""),
    ("[data_policy]\nterms = ['https://a', 'https://b']", 2, 9, "`terms` has more than one address",
        "write one: clients show one"),
    ("[data_policy]\nbackup_every = '1'", 2, 16, "`backup_every` is not a duration",
        "write the unit, too: \"1 d\" means days, \"1 s\" seconds"),
    // Servers for calls.
    ("[external_services]\nuris = 'turn:a'", 2, 8, "`uris` has a TURN server without credentials",
        "add `secret`, which the TURN server knows, too (coturn: static-auth-secret)"),
    ("[external_services]\nuris = 'stun:a'\nsecret = 'abc'", 3, 1,
        "`secret` is set, but `uris` has no TURN server", "add one, as \"turn:turn.example.org\""),
    ("[external_services]\nuris = 'turn:a'\nusername = 'abc'", 3, 1,
        "`username` is set, but `password` is not", "add `password`"),
    ("[external_services]\nuris = 'turn:a'\npassword = 'abc'", 3, 1,
        "`password` is set, but `username` is not", "add `username`"),
    ("[external_services]\nuris = 'turn:a'\nsecret = 'abc'\nusername = 'abc'", 4, 1,
        "`secret` and `username` are set", "choose one: a shared secret is better"),
    ("[external_services]\nuris = ['turns:a', 'turn:b:x']\nsecret = 'abc'", 2, 20,
        "`uris` has \"turn:b:x\", whose port is not a number",
        "write for example \"turn:turn.example.org:3478?transport=udp\""),
    ("[external_services]\nuris = 'turn://a'", 2, 8,
        "`uris` has \"turn://a\", and these URIs have no `//`", "write \"turn:a\""),
    ("[external_services]\nuris = 'tirn:a'", 2, 8,
        "`uris` has \"tirn:a\", which is no STUN or TURN server", "write \"turn:a\""),
    ("[external_services]\nuris = ['stun:a', 'stun:A:3478']", 2, 8,
        "`uris` has stun:a:3478?transport=udp twice", "remove one of them"),
    ("[external_services]\nsecret_file = '/nowhere/x'", 2, 15,
        "`secret_file` has \"/nowhere/x\", which cannot be read: No such file or directory (os error 2)",
        "write the path of a file with the secret in its only line"),
    ("[external_services]\nlifetime = '5 min'", 2, 12, "`lifetime` is too small: 5 min",
        "write at least 10 min: a call ends when its credentials expire"),
    // Words of other servers.
    ("[listen]\nc2s_ports = [5222]", 2, 1, "[listen] has no option `c2s_ports`", "write `c2s`"),
    ("[listen]\nports = [5222]", 2, 1, "[listen] has no option `ports`", "write `c2s`"),
    ("[listen]\nlegacy_ssl_ports = [5223]", 2, 1, "[listen] has no option `legacy_ssl_ports`",
        "write `c2s_tls`"),
    ("c2s_ports = [5222]", 1, 1, "there is no option `c2s_ports`", "write `c2s`, below [listen]"),
    ("admins = ['a@a.example']", 1, 1, "there is no option `admins`",
        "write `accounts`, below [admin]"),
    ("data_path = '/srv'", 1, 1, "there is no option `data_path`", "write `data`"),
    ("[log]\ndata_path = '/srv'", 2, 1, "[log] has no option `data_path`",
        "write `data`, at the head of the file"),
    ("[[host]]\ndomain = 'a.example'\ncertfile = 'x'", 3, 1, "[[host]] has no option `certfile`",
        "write `certificate`"),
    ("[limits]\nmax_stanza_size = 1", 2, 1, "[limits] has no option `max_stanza_size`",
        "write `stanza`"),
    ("[[VirtualHost]]\nname = 'a.example'", 1, 3, "there is no section `VirtualHost`",
        "write [[host]]"),
    ("hosts = ['a.example']", 1, 1, "there is no option `hosts`", "write [[host]]"),
    ("[ssl]\nkey = 'x'", 1, 2, "there is no section `ssl`", "write [[host]]"),
    ("[sqlite]\npath = 'x'", 1, 2, "there is no section `sqlite`", "write [storage]"),
    ("[c2s]\nport = 5222", 1, 2, "there is no section `c2s`", "write [listen]"),
    ("[registration]\nenabled = true", 2, 1, "[registration] has no option `enabled`",
        "write `open`"),
    ("[storage]\ntype = 'sqlite'", 2, 1, "[storage] has no option `type`", "write `backend`"),
    ("[log]\nlog_file = 'x'", 2, 1, "[log] has no option `log_file`",
        "remove it: the log goes to the standard error, or to journald"),
    ("daemonize = true", 1, 1, "there is no option `daemonize`",
        "remove it: the service manager does this (packaging/systemd)"),
    ("modules_enabled = ['x']", 1, 1, "there is no option `modules_enabled`",
        "remove it: all features are there, and have their options in the sections"),
    ("[log]\nloglevel = 'info'", 2, 1, "[log] has no option `loglevel`", "write `level`"),
    // Files of other servers.
    ("-- x\nVirtualHost \"a.example\"\n\tenabled = true\n", 2, 1,
        "this is a configuration of Prosody (Lua)",
        "`waxwing init` writes a configuration to begin with"),
    ("hosts:\n  - a.example\nmodules:\n  mod_ping: {}\n", 1, 1,
        "this is a configuration of ejabberd (YAML)",
        "`waxwing init` writes a configuration to begin with"),
    ("<?xml version='1.0'?>\n<jive/>", 1, 1, "this is a configuration of Openfire (XML)",
        "`waxwing init` writes a configuration to begin with"),
    ("[general]\nhosts = ['a.example']\n[[listen.c2s]]\nport = 5222", 1, 1,
        "this is a configuration of MongooseIM (TOML)",
        "`waxwing init` writes a configuration to begin with"),
    // Variables.
    ("data = '${WAXWING_TEST_IS_NOT_SET}/x'", 1, 8,
        "the environment variable WAXWING_TEST_IS_NOT_SET is not set",
        "set WAXWING_TEST_IS_NOT_SET for the program, or write the value"),
    ("[contact]\nabuse = ['mailto:a', '${X:-y}']", 2, 22, "`${` begins no variable here",
        "write ${NAME}, with letters, digits and `_`; $${ stands for ${ itself"),
    ("data = '${HOME'", 1, 8, "`${` begins no variable here",
        "write ${NAME}, with letters, digits and `_`; $${ stands for ${ itself"),
    ("[listen]\norigins = 'example.org'", 2, 11, "`origins` has \"example.org\", which is not an origin",
        "write for example \"https://chat.example.org\""),
    ("[listen]\norigins = ['https://a.example/chat']", 2, 12,
        "`origins` has \"https://a.example/chat\", which is not an origin",
        "write for example \"https://chat.example.org\""),
    ("[listen]\nwebsocket = 'https://a.example/ws'", 2, 13,
        "`websocket` is not a WebSocket address: \"https://a.example/ws\"",
        "write for example \"wss://example.org/xmpp-websocket\""),
    ("[admin]\nsocket = '/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/\
      0123456789/0123456789/0123456789/12345678'", 2, 10, "`socket` is a path of 108 bytes",
        "choose one of at most 107 bytes, as unix(7) demands"),
    // Addresses.
    ("[listen]\nc2s = '127.0.0.1'", 2, 7, "`c2s` has \"127.0.0.1\", which is not an address",
        "write it with a port, for example \"127.0.0.1:5222\""),
    ("[listen]\nc2s = '::1'", 2, 7, "`c2s` has \"::1\", which is not an address",
        "write it with a port, for example \"[::1]:5222\""),
    ("[listen]\nc2s = ['[::]:1', '*:2']", 2, 18, "`c2s` has \"*:2\", which is not an address",
        "for all interfaces write \"[::]:2\""),
    ("[listen]\nc2s = [1, 1]", 2, 11, "`c2s` has [::]:1 twice", "remove one of them"),
    ("[listen]\nc2s = 65536", 2, 7, "`c2s` has a number that is not a port",
        "a port is a number from 0 to 65535"),
    ("[listen]\nc2s = true", 2, 7, "`c2s` must be a list of addresses, not true or false",
        "write for example [\"[::]:5222\"]"),
    // Hosts.
    ("[host]\ndomain = 'a.example'", 1, 2, "`host` is a section that may be repeated",
        "write [[host]], in double brackets"),
    ("host = ['a.example']", 1, 9, "`host` is a list of sections",
        "write [[host]], and below it domain = \"example.org\""),
    ("[[host]]\ncertificate = 'a'\nkey = 'b'", 1, 1, "`domain` is missing",
        "add domain = \"example.org\""),
    ("[[host]]\ndomain = 'a.example'\n\n[[host]]\ndomain = 'A.example'", 5, 10,
        "a.example is served already by an earlier [[host]]", "remove one of the two sections"),
    ("[[host]]\ndomain = 'a.example'\nkey = 'a'", 3, 1, "`key` is set, but `certificate` is not",
        "add `certificate`, or remove `key` to use a self-signed certificate"),
    ("[[host]]\ndomain = 'a.example.'", 2, 10, "`domain` is not a domain that can be served",
        "write it without the dot at the end: \"a.example\""),
    ("[[host]]\ndomain = 'me@a.example'", 2, 10, "`domain` is not a domain that can be served",
        "write only what is behind the `@`: \"a.example\""),
    ("[[host]]\ndomain = 'xmpp://a.example/'", 2, 10, "`domain` is not a domain that can be served",
        "write the name alone: \"a.example\""),
    ("[[host]]\ndomain = 'a.example:5222'", 2, 10, "`domain` is not a domain that can be served",
        "write the name alone, ports belong into [listen]: \"a.example\""),
    ("[[host]]\ndomain = ''", 2, 10, "`domain` is not a domain that can be served",
        "write a domain name, for example \"example.org\""),
    // Words.
    ("[storage]\nbackend = 'sqlight'", 2, 11, "`backend` cannot be \"sqlight\"", "write \"sqlite\""),
    ("[storage]\nbackend = 'postgres'", 2, 11, "`backend` cannot be \"postgres\"",
        "write one of \"memory\", \"sqlite\""),
    ("[log]\nlevel = 'info,waxwing=inf'", 2, 9, "`level` has no level \"inf\"", "write \"info\""),
    ("[log]\nlevel = '=info'", 2, 9, "`level` has no part of the program before `=`",
        "write for example \"info\" or \"info,waxwing::c2s=debug\""),
    // Syntax.
    ("data = \"x", 1, 10, "invalid TOML: invalid basic string, expected `\"`",
        "end the text with a double quote, in the same line"),
    ("[log]\nlevel = info", 2, 9, "invalid TOML: `info` is not a valid value",
        "write a text in double quotes, a number without"),
    ("[log]\nlevel = warn", 2, 9, "invalid TOML: `warn` is not a valid value",
        "write a text in double quotes, a number without"),
    ("[limits]\nwrite = 30s # x", 2, 9, "invalid TOML: `30s` is not a valid value",
        "write a text in double quotes, a number without"),
    ("[limits]\nstanza = 64 KiB", 2, 10, "invalid TOML: `64 KiB` is not a valid value",
        "write a text in double quotes, a number without"),
    ("[listen]\nc2s = 127.0.0.1:5222", 2, 7, "invalid TOML: `127.0.0.1:5222` is not a valid value",
        "write a text in double quotes, a number without"),
    ("[limits]\nstanza =", 2, 9, "invalid TOML: a value is missing",
        "write a text in double quotes, a number without"),
    ("[log]\nlevel = 'info' format = 'text'", 2, 16,
        "invalid TOML: unexpected key or value, expected newline, `#`",
        "write each option in a line of its own"),
    ("[auth]\nplain = True", 2, 9, "invalid TOML: `True` is not a valid value",
        "write a text in double quotes, a number without"),
    ("[log\n", 1, 5, "invalid TOML: unclosed table, expected `]`",
        "end the heading with a bracket"),
    ("[log]\n[log]", 2, 2, "invalid TOML: duplicate key",
        "it is there already further up: put both together, or remove one"),
];

#[test]
fn a_mistake_is_reported_with_its_place_and_what_to_write() {
    for (text, line, column, message, help) in MISTAKES {
        let errors = Config::parse(text, "test.toml").expect_err(text);
        let [error] = errors.0.as_slice() else { panic!("more than one mistake:\n{errors}") };
        let found = (error.line, error.column, error.message.as_str(), error.help.as_deref());
        assert_eq!(found, (*line, *column, *message, Some(*help)), "{text}");
        assert_eq!(error.file, "test.toml");
    }
}

#[test]
fn all_mistakes_of_a_file_are_reported_in_its_order() {
    let text = "dta = 1\n[log]\nlevel = 'loud'\nfrom = 1\n[limits]\ndepth = 0\nnodes = 'x'\n";
    let errors = Config::parse(text, "test.toml").unwrap_err();
    let lines: Vec<_> = errors.0.iter().map(|error| error.line).collect();
    assert_eq!(lines, [1, 3, 4, 6, 7], "{errors}");
}

#[test]
fn all_mistakes_of_syntax_are_reported() {
    let text = "[limits\ndepth = 5 nodes = 6\n[log]\nlevel = info\n";
    let errors = Config::parse(text, "test.toml").unwrap_err();
    let lines: Vec<_> = errors.0.iter().map(|error| error.line).collect();
    assert_eq!(lines, [1, 2, 4], "{errors}");
}

#[test]
fn a_wrong_domain_is_not_also_called_a_duplicate() {
    let text = "[[host]]\ndomain = 'a.'\n[[host]]\ndomain = 'b.'\n[[host]]\ndomain = 'localhost'";
    let errors = Config::parse(text, "test.toml").unwrap_err();
    assert_eq!(errors.0.len(), 2, "{errors}");
}

#[test]
fn a_wrong_value_is_not_also_compared_with_others() {
    let errors = Config::parse("[limits]\nstanza = '15 KiB'\ndepth = 0", "test.toml").unwrap_err();
    assert_eq!(errors.0.len(), 1, "{errors}");
}

#[test]
fn the_caret_stands_below_the_mistake() {
    let text = "[[host]]\r\n\tdomain = \"ü.example.\" # ü\r\n";
    let errors = Config::parse(text, "w.toml").unwrap_err();
    let shown = "w.toml:2:11: `domain` is not a domain that can be served
  |
2 | \tdomain = \"ü.example.\" # ü
  | \t         ^^^^^^^^^^^^
  help: write it without the dot at the end: \"ü.example\"";
    assert_eq!(errors.to_string(), shown);
}

#[test]
fn errors_are_written_as_json() {
    let errors = Config::parse("dat = 1", "w.toml").unwrap_err();
    let json = serde_json::json!([{
        "file": "w.toml", "line": 1, "column": 1,
        "message": "there is no option `dat`", "help": "write `data`",
    }]);
    assert_eq!(serde_json::to_value(&errors).unwrap(), json);
}

#[test]
fn a_file_that_is_not_there_is_an_error_of_the_whole_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("none.toml");
    let errors = Config::read(&path).unwrap_err();
    assert_eq!((errors.0.len(), errors.0[0].line), (1, 0));
    assert!(errors.to_string().starts_with(&format!("{}: cannot be read: ", path.display())));
    assert!(errors.to_string().contains("waxwing init"), "{errors}");
}

#[test]
fn a_file_that_is_no_utf_8_is_refused_at_the_byte() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("latin1.toml");
    fs::write(&path, b"# all is well\ndata = \"B\xFCcher\"\n").unwrap();
    let errors = Config::read(&path).unwrap_err();
    let [error] = errors.0.as_slice() else { panic!("{errors}") };
    assert_eq!((error.line, error.column), (2, 10), "{errors}");
}

#[test]
fn values_may_be_written_in_several_ways() {
    let config = read(
        "data = '/srv/x'\n[[host]]\ndomain = 'Example.ORG'\n[[host]]\ndomain = 'b.example'\n\
         certificate = 'c.pem'\nkey = 'k.pem'\n[listen]\nc2s = 5222\nc2s_tls = []\n\
         [limits]\nstanza = 20_000\nsilence = '90 s'\nwrite = '2 min'\nroster_items = 0x10\n\
         [storage]\nbackend = 'memory'\n[log]\nformat = 'json'\nlevel = 'warn, waxwing::c2s = trace'\n",
    );
    assert_eq!(config.default_domain(), "example.org");
    assert_eq!(config.host("b.example").unwrap().key, Some(PathBuf::from("k.pem")));
    assert_eq!(config.host("c.example"), None);
    assert_eq!(config.listen.c2s, ["[::]:5222".parse().unwrap()]);
    assert_eq!(config.listen.c2s_tls, []);
    assert_eq!(config.limits.stanza, 20_000);
    assert_eq!(config.limits.silence, Duration::from_secs(90));
    assert_eq!(config.limits.write, Duration::from_secs(120));
    assert_eq!(config.limits.roster_items, 16);
    assert_eq!(config.storage.backend, Backend::Memory);
    assert_eq!(config.log.format, LogFormat::Json);
    assert_eq!(config.log.level, "warn,waxwing::c2s=trace");
    assert_eq!(config.database_path(), PathBuf::from("/srv/x/waxwing.sqlite"));
    assert_eq!(config.admin_socket(), PathBuf::from("/srv/x/admin.sock"));
}

#[test]
fn variables_of_the_environment_stand_in_texts() {
    let lookup = |name: &str| match name {
        "DOMAIN" => Some("A.example".to_owned()),
        "PORT" => Some("5299".to_owned()),
        "EMPTY" => Some(String::new()),
        "TRICK" => Some("${DOMAIN}".to_owned()),
        _ => None,
    };
    let text = "# ${NOT_SET}\ndata = '/srv/${DOMAIN}/${EMPTY}x$${DOMAIN}$1${TRICK}'\n\
                [[host]]\ndomain = \"${DOMAIN}\"\n[listen]\nc2s = ['127.0.0.1:${PORT}']\n\
                [limits]\nsilence = '${PORT}s'\n";
    let config = super::read::parse(text, "x", &lookup).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(config.data, PathBuf::from("/srv/A.example/x${DOMAIN}$1${DOMAIN}"));
    assert_eq!(config.default_domain(), "a.example");
    assert_eq!(config.listen.c2s, ["127.0.0.1:5299".parse().unwrap()]);
    assert_eq!(config.limits.silence, Duration::from_secs(5299));
    // All that are not set are told, and keys are no values.
    let text = "data = '${A}'\n'${B}' = 1\n[[host]]\ndomain = '${C}'\n";
    let errors = super::read::parse(text, "x", &lookup).unwrap_err();
    let lines: Vec<_> = errors.0.iter().map(|error| error.line).collect();
    assert_eq!(lines, [1, 4], "{errors}");
    let errors = super::read::parse("'${DOMAIN}' = 1", "x", &lookup).unwrap_err();
    assert!(errors.to_string().contains("there is no option `${DOMAIN}`"), "{errors}");
}

#[test]
fn only_localhost_listens_on_the_loopback_interface_alone() {
    let listen = |text: &str| read(text).listen.c2s;
    let loopback = ["127.0.0.1:5222".parse().unwrap(), "[::1]:5222".parse().unwrap()];
    assert_eq!(listen(""), loopback);
    assert_eq!(listen("[[host]]\ndomain = 'localhost'\n[listen]\nc2s_tls = 1"), loopback);
    assert_eq!(listen("[[host]]\ndomain = 'a.example'"), ["[::]:5222".parse().unwrap()]);
    let both = "[[host]]\ndomain = 'localhost'\n[[host]]\ndomain = 'a.example'";
    assert_eq!(listen(both), ["[::]:5222".parse().unwrap()]);
    // Any free port, twice, and the same port of two addresses.
    assert_eq!(listen("[listen]\nc2s = [0, 0]\nc2s_tls = 0").len(), 2);
    assert_eq!(listen("[listen]\nc2s = '10.0.0.1:7'\nc2s_tls = '10.0.0.2:7'").len(), 1);
}

#[test]
fn one_section_or_one_option_can_be_explained() {
    assert!(explain(None).contains("limits.stanza\n") && explain(None).contains("[log]\n"));
    let section = explain(Some("limits"));
    assert!(section.starts_with("[limits]\n") && !section.contains("log.level"), "{section}");
    assert_eq!(explain(Some("[limits]")), section);
    let option = explain(Some("limits.stanza"));
    assert!(option.contains("256 KiB") && !option.contains("limits.depth"), "{option}");
    assert!(explain(Some("data")).contains("waxwing-data"));
    assert!(explain(Some("limit")).contains("did you mean `limits`?"));
}

#[test]
fn a_domain_is_prepared_only_once() {
    for domain in ["localhost", "Example.ORG", "bücher.example", "a-b.example", "192.0.2.7"] {
        let prepared = prepare_domain(domain).unwrap();
        assert_eq!(prepare_domain(&prepared), Ok(prepared.clone()));
        assert_eq!(Jid::parse(&prepared).unwrap().domain(), prepared);
    }
}

proptest! {
    #[test]
    fn any_text_gives_a_configuration_or_errors_that_can_be_shown(text: String) {
        shown(&text)?;
    }

    #[test]
    fn a_text_like_ours_gives_a_configuration_or_errors_that_can_be_shown(
        lines in prop::collection::vec(
            prop::sample::select(vec![
                "[limits]", "[[host]]", "[host]", "[log]", "[listen]", "stanza = ", "depth = 0",
                "domain = 'ü.'", "\tc2s = [1, '", "']", "host.x = {", "}", "\"\"\"", "level = 'x'",
                "# ü", "a.b.c = 1", "\r", "host = [[], {}, 1]", "limits = [{}]", "data.x = 1", "",
            ]),
            0..12,
        ),
        end in prop::sample::select(vec!["\n", "\r\n", " ", ""]),
    ) {
        shown(&lines.join(end))?;
    }
}

/// Errors stand within the text.
fn shown(text: &str) -> Result<(), TestCaseError> {
    if let Err(errors) = Config::parse(text, "x") {
        prop_assert!(!errors.0.is_empty());
        for error in &errors.0 {
            prop_assert!((1..=text.split('\n').count()).contains(&error.line));
            prop_assert!(error.column >= 1);
            prop_assert!(error.to_string().contains('^'));
        }
    }
    Ok(())
}

#[test]
fn no_error_shows_a_secret() {
    for text in [
        "[external_services]\nsecret = sesame-open",
        "[external_services]\nuris = 'x'\nsecret = 'sesame-open",
        "[external_services]\nsecret = ['sesame-open']",
        "[external_services]\npassword = 'sesame-open'",
        "external_services = { uris = 'turn:a', password = 'sesame-open' }",
    ] {
        let errors = Config::parse(text, "test.toml").unwrap_err();
        let shown = format!("{errors} {errors:?} {}", serde_json::to_string(&errors).unwrap());
        assert!(!shown.contains("sesame"), "{shown}");
    }
    let text = "[external_services]\nuris = 'turn:a'\nsecret = 'sesame-open'";
    let config = read(text);
    assert!(!format!("{config:?}").contains("sesame"));
    let [warning] = &config.warnings()[..] else { panic!("{:?}", config.warnings()) };
    assert!(warning.starts_with("`external_services.secret` is short"), "{warning}");
}

#[test]
fn a_secret_in_a_file_is_one_line() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let text =
        format!("[external_services]\nuris = 'turn:a'\nsecret_file = '{}'", file.path().display());
    for (content, wanted) in [
        ("sesame-open-sesame\n", Some("sesame-open-sesame")),
        ("sesame", Some("sesame")),
        ("sesame\r\n", Some("sesame")),
        ("", None),
        ("\n", None),
        ("sesame\nopen\n", None),
    ] {
        fs::write(file.path(), content).unwrap();
        let secret =
            Config::parse(&text, "test.toml").map(|config| config.external_services.secret_file);
        assert_eq!(secret.ok().flatten().as_ref().map(super::Secret::text), wanted, "{content:?}");
    }
}
