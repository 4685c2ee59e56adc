//! The files in `packaging/` fit the program and each other.

#![expect(clippy::unwrap_used, reason = "the helpers of a test stand outside of its functions")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The values of a setting, in a file of lines `name=value`.
fn values<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once('='));
    pairs.filter(|(found, _)| found.trim() == name).map(|(_, value)| value.trim()).collect()
}

fn waxwing(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_waxwing")).args(arguments).output().unwrap()
}

/// The program takes these arguments: then it explains them, else it says what is wrong.
#[track_caller]
fn takes(arguments: &[&str]) {
    let output = waxwing(&[arguments, &["--help"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_unit_calls_the_program_as_it_wants_to_be_called() {
    let unit = file("packaging/systemd/waxwing.service");
    let [line] = values(&unit, "ExecStart")[..] else { panic!("{unit}") };
    let mut words = line.split_whitespace();
    assert!(words.next().unwrap().ends_with("/waxwing"));
    takes(&words.collect::<Vec<_>>());
    assert!(!waxwing(&["serve", "--daemon", "--help"]).status.success(), "help hides nothing");
    // SIGHUP makes the server read the configuration again; the server itself notifies systemd.
    assert_eq!(values(&unit, "ExecReload"), ["/bin/kill -HUP $MAINPID"]);
    assert_eq!(values(&unit, "Type"), ["notify"]);
    // Who runs it, where its data are, and with which mode.
    assert_eq!((values(&unit, "User"), values(&unit, "Group")), (vec!["waxwing"], vec!["waxwing"]));
    assert_eq!(values(&unit, "StateDirectory"), ["waxwing"]);
    assert_eq!(values(&unit, "StateDirectoryMode"), ["0700"]);
}

#[test]
fn user_and_directories_are_those_of_the_unit() {
    let columns = |text: &str, kind: &str| -> Vec<Vec<String>> {
        let lines = text.lines().filter(|line| line.split_whitespace().next() == Some(kind));
        lines.map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
    };
    let users = columns(&file("packaging/systemd/sysusers.conf"), "u");
    assert_eq!((users.len(), users[0][1].as_str()), (1, "waxwing"));
    assert_eq!(users[0].last().unwrap(), "/var/lib/waxwing");
    let directories = columns(&file("packaging/systemd/tmpfiles.conf"), "d");
    assert_eq!(directories[0][1..5], ["/var/lib/waxwing", "0700", "waxwing", "waxwing"]);
}

#[test]
fn the_container_calls_the_program_as_it_wants_to_be_called() {
    let container = file("packaging/Containerfile");
    let words_of = |name: &str| -> Vec<String> {
        let start = format!("{name} [");
        let line = container.lines().find(|line| line.starts_with(&start)).expect(name);
        serde_json::from_str(&line[name.len()..]).unwrap()
    };
    let (entry, command) = (words_of("ENTRYPOINT"), words_of("CMD"));
    assert_eq!(entry, ["waxwing"]);
    takes(&command.iter().map(String::as_str).collect::<Vec<_>>());
    let health = words_of("HEALTHCHECK CMD");
    takes(&health[1..].iter().map(String::as_str).collect::<Vec<_>>());
    // The toolchain that the program asks for.
    let manifest = file("Cargo.toml");
    let [version] = values(&manifest, "rust-version")[..] else { panic!("{manifest}") };
    let image = format!("docker.io/library/rust:{}-", version.trim_matches('"'));
    assert!(container.contains(&image), "{image}");
    for port in ["5222", "5223", "7443"] {
        assert!(container.lines().any(|l| l.starts_with("EXPOSE") && l.contains(port)), "{port}");
    }
    assert!(container.contains("ENV WAXWING_DATA=/var/lib/waxwing"));
}

#[test]
fn the_jail_guards_the_ports_on_which_clients_log_in() {
    let jail = file("packaging/fail2ban/jail.d/waxwing.conf");
    assert!(jail.contains("\n[waxwing]\n"), "{jail}");
    assert_eq!(values(&jail, "port"), ["5222,5223,7443"]);
    let filter = file("packaging/fail2ban/filter.d/waxwing.conf");
    assert_eq!(values(&filter, "journalmatch"), ["SYSLOG_IDENTIFIER=waxwing"]);
}

#[test]
fn the_documents_name_files_that_are_there() {
    for document in ["docs/operations.md", "packaging/README.md", "README.md"] {
        let text = file(document);
        let words = text.split(|c: char| c.is_whitespace() || "`()[]".contains(c));
        for path in words.filter(|word| word.starts_with("packaging/")) {
            assert!(
                Path::new(env!("CARGO_MANIFEST_DIR")).join(path).exists(),
                "{document}: {path}"
            );
        }
    }
    assert!(file("LICENSE-MIT").contains("The Waxwing developers"));
    assert!(file("LICENSE-APACHE").contains("Version 2.0, January 2004"));
    assert_eq!(values(&file("Cargo.toml"), "license"), ["\"MIT OR Apache-2.0\""]);
}
