//! The commands of the administrator on a server of two domains: over the socket of a running server,
//! and on the data directory when none runs.

#![expect(clippy::unwrap_used, reason = "the helpers of a test stand outside of its functions")]

#[path = "admin/accounts.rs"]
mod accounts;
#[path = "admin/answers.rs"]
mod answers;
#[path = "support/program.rs"]
mod program;
#[path = "admin/services.rs"]
mod services;

use std::fs;
use std::time::Duration;

use program::{Place, Server};
use rustix::process::Signal;
use serde_json::Value;
use tokio::time::Instant;

const TWO_DOMAINS: &str = "[[host]]\ndomain = \"a.example\"\n[[host]]\ndomain = \"b.example\"\n\
    [auth]\niterations = 4096\n\
    [listen]\nc2s = [\"127.0.0.1:0\"]\nc2s_tls = []\nhttp = []\nhttps = []\nproxy65 = []\n";

fn two_domains() -> Place {
    let place = Place::new();
    place.write("waxwing.toml", TWO_DOMAINS);
    place
}

/// Tries the same with a running server, and without one.
fn with_and_without_a_server(test: impl Fn(&Place)) {
    test(&two_domains());
    let place = two_domains();
    let mut server = Server::start(&place);
    server.said_until("user passwd admin");
    place.run("user del admin@a.example --yes").ends_with(0);
    test(&place);
    assert_eq!(server.end().code(), Some(0));
}

#[track_caller]
fn accounts(place: &Place, line: &str) -> Vec<String> {
    let rows = place.run(line).ends_with(0).json();
    let rows = rows.as_array().unwrap().iter();
    rows.map(|row| row["account"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_retention_without_a_unit_is_refused_and_a_short_one_warned_of() {
    let place = Place::new();
    for bare in ["30", "\"30\"", "86400"] {
        place.write("waxwing.toml", &format!("{TWO_DOMAINS}[archive]\nage = {bare}\n"));
        let ran = place.run("config check").ends_with(6);
        assert!(ran.err.contains("help: write the unit, too"), "{bare}: {}", ran.err);
    }
    for (age, warned) in [("0", false), ("\"23 h\"", true), ("\"1 d\"", false), ("\"2w\"", false)] {
        place.write("waxwing.toml", &format!("{TWO_DOMAINS}[archive]\nage = {age}\n"));
        let ran = place.run("config check").ends_with(0);
        assert_eq!(
            ran.out.contains("warning: `archive.age` is 23 h"),
            warned,
            "{age}: {}",
            ran.out
        );
        let checked = place.run("config check --json").ends_with(0).json();
        assert_eq!(checked["warnings"].as_array().unwrap().len(), usize::from(warned), "{age}");
    }
}

#[test]
fn commands_over_the_socket_know_what_was_reloaded() {
    let place = two_domains();
    let mut server = Server::start(&place);
    server.said_until("user passwd admin");
    let kept = || place.run("archive show admin --json").ends_with(0).json()["keeps_age"].clone();
    assert_eq!(kept(), Value::Null);
    place.write("waxwing.toml", &format!("{TWO_DOMAINS}[archive]\nage = \"12w\"\n"));
    server.signal(Signal::HUP);
    let begun = Instant::now();
    while kept() != "84 d" {
        assert!(begun.elapsed() < Duration::from_secs(20), "it is not applied");
    }
    let limited = place.run("archive limit admin --default").ends_with(0);
    assert_eq!(
        limited.out,
        "admin@a.example has the limits of the configuration: messages older than 84 d are removed \
         from its archive within an hour, and then every hour.\n"
    );
    assert_eq!(server.end().code(), Some(0));
}

#[test]
fn the_log_tells_start_end_and_who_gave_which_command() {
    let place = two_domains();
    let mut server = Server::start(&place);
    server.said_until("user passwd admin");
    place.run_with("user add joe --password-stdin --domain b.example", "hush\n").ends_with(0);
    place.run_with("user add joe --password-stdin --domain b.example", "hush\n").ends_with(4);
    place.run("status").ends_with(0);
    place.run("user del joe@b.example").ends_with(7);
    place.run("user del joe@b.example --yes").ends_with(0);
    place.run("user del joe --yes --domain c.example").ends_with(2);
    assert_eq!(server.end().code(), Some(0));
    let log = fs::read_to_string(place.path().join("log")).unwrap();
    let lines = |word: &str| -> Vec<_> { log.lines().filter(|line| line.contains(word)).collect() };
    let uid = rustix::process::getuid().as_raw();

    let started = lines("server started");
    assert_eq!(started.len(), 1, "{log}");
    for wanted in [
        "INFO",
        concat!("version=", env!("CARGO_PKG_VERSION")),
        "domains=\"a.example, b.example\"",
        "config=waxwing.toml",
        "data=waxwing-data",
        "listeners=\"starttls 127.0.0.1:",
    ] {
        assert!(started[0].contains(wanted), "{wanted} is missing in {}", started[0]);
    }
    let stopped = lines("server stopped");
    assert_eq!(stopped.len(), 1, "{log}");
    assert!(stopped[0].contains("reason=SIGTERM uptime_seconds="), "{}", stopped[0]);
    assert_eq!(log.lines().last().unwrap(), stopped[0]);

    let commands = lines("admin command ");
    let told: Vec<_> =
        commands.iter().filter_map(|line| line.split("admin command ").nth(1)).collect();
    let add = format!("uid={uid} command=\"user add\" arguments=\"account=joe@b.example\"");
    let del = format!("uid={uid} command=\"user del\" arguments=\"account=joe@b.example\"");
    let expected = [
        format!("{add} outcome=done"),
        format!("{add} outcome=failed error=\"account joe@b.example already exists\""),
        format!("{del} outcome=done"),
    ];
    assert_eq!(told, expected, "{log}");
    assert!(!log.contains("hush"), "{log}");
}

/// Waits until a command succeeds.
#[track_caller]
fn wait_for(place: &Place, command: &str) {
    let begun = Instant::now();
    while place.run(command).code != 0 {
        assert!(begun.elapsed() < Duration::from_secs(20), "{command} does not succeed");
    }
}
