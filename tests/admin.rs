//! The commands of the administrator on a server of two domains: over the socket of a running server,
//! and on the data directory when none runs.

#![expect(clippy::unwrap_used, reason = "the helpers of a test stand outside of its functions")]

#[path = "support/program.rs"]
mod program;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::process::Stdio;
use std::time::Duration;

use program::{Place, Ran, Server};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::time::Instant;
use waxwing::admin::COMMANDS;

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
fn a_bare_name_is_of_the_domain_that_is_given_or_of_the_first() {
    with_and_without_a_server(|place| {
        for domain in ["", " --domain b.example"] {
            let line = format!("user add joe --password-stdin{domain}");
            place.run_with(&line, "secret\n").ends_with(0);
        }
        assert_eq!(accounts(place, "user list --json"), ["joe@a.example", "joe@b.example"]);
        assert_eq!(accounts(place, "user list --json --domain b.example"), ["joe@b.example"]);
        let status = place.run("status --json --domain b.example").json();
        assert!(status["running"] == false || status["accounts"] == 1, "{status}");
        for (domain, address) in [("", "joe@a.example"), (" --domain b.example", "joe@b.example")] {
            for command in ["user show joe", "archive show joe", "archive limit joe --messages 7"] {
                let shown = place.run(&format!("{command} --json{domain}")).ends_with(0).json();
                assert_eq!(shown["account"], address, "{command}{domain}");
            }
            for command in ["user passwd joe --random", "archive clear joe --yes"] {
                let ran = place.run(&format!("{command}{domain}")).ends_with(0);
                assert!(ran.out.contains(address), "{command}{domain}: {}", ran.out);
            }
        }
        let lines = "ann secret\nben@a.example secret\n";
        let made = place.run_with("user import --json --domain b.example", lines).ends_with(0);
        assert_eq!(made.json()["made"], 2);
        let ran = place.run("user del joe --yes --domain b.example").ends_with(0);
        assert!(ran.out.contains("joe@b.example"), "{}", ran.out);
        let left = ["ann@b.example", "ben@a.example", "joe@a.example"];
        assert_eq!(accounts(place, "user list --json"), left);
        place.run("user del joe --yes --domain b.example").ends_with(3);
        assert_eq!(accounts(place, "user list --json"), left);
    });
}

#[test]
fn a_domain_that_is_not_served_is_refused_with_those_that_are() {
    with_and_without_a_server(|place| {
        for line in [
            "user add joe --random --domain c.example",
            "user add joe@c.example --random",
            "user list --domain c.example",
            "user list --host c.example",
            "user del joe --yes --domain c.example",
            "session list --domain c.example",
        ] {
            let ran = place.run(line).ends_with(2);
            for wanted in ["c.example", "a.example, b.example"] {
                assert!(ran.err.contains(wanted), "{line}: {}", ran.err);
            }
        }
        let ran = place.run("user show joe@c.example").ends_with(3);
        assert!(ran.err.contains("does not serve c.example"), "{}", ran.err);
    });
}

#[test]
fn what_is_removed_for_good_wants_a_yes() {
    with_and_without_a_server(|place| {
        place.run("user add joe --random --domain b.example").ends_with(0);
        for line in [
            "user del joe@b.example",
            "archive clear joe@b.example",
            "archive clear joe@b.example --before 90d",
            "archive limit joe@b.example --age 30min",
        ] {
            let ran = place.run(line).ends_with(7);
            assert!(ran.err.contains("joe@b.example"), "{line}: {}", ran.err);
            assert!(ran.err.contains("use --yes"), "{line}: {}", ran.err);
            let ran = place.run(&format!("{line} --json")).ends_with(7);
            assert_eq!(ran.json()["error"]["code"], "unconfirmed", "{line}");
            assert_eq!(ran.err, "", "{line}");
        }
        assert_eq!(accounts(place, "user list --json"), ["joe@b.example"]);
        place.run("archive limit joe@b.example --age 30min --yes").ends_with(0);
        place.run("archive clear joe@b.example --before 2w --yes").ends_with(0);
        place.run("user del joe@b.example --yes").ends_with(0);
        assert_eq!(accounts(place, "user list --json"), [""; 0]);
    });
}

/// Runs it on a terminal, and types this.
fn on_a_terminal(place: &Place, line: &str, typed: &str) -> (Ran, String) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let open = || File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    let mut terminal = File::from(master);
    let mut command = place.command(line);
    let mut child = command.stdin(open()).stderr(open()).stdout(Stdio::piped()).spawn().unwrap();
    // The program alone holds the other side: when it ends, reading ends.
    drop(command);
    let mut shown = String::new();
    let mut buffer = [0; 1024];
    while !shown.contains("[y/N]") {
        let read = terminal.read(&mut buffer).expect("it asks before it ends");
        shown.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    terminal.write_all(typed.as_bytes()).unwrap();
    while let Ok(read @ 1..) = terminal.read(&mut buffer) {
        shown.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    child.stdin = None;
    (Ran::new(line, child.wait_with_output().unwrap()), shown)
}

#[test]
fn on_a_terminal_it_asks() {
    let place = two_domains();
    place.run("user add joe --random --domain b.example").ends_with(0);
    for no in ["n", "\r"] {
        let (ran, shown) = on_a_terminal(&place, "user del joe --domain b.example", no);
        ran.ends_with(7);
        assert!(shown.contains("Remove the account joe@b.example"), "{shown}");
        assert!(shown.contains("nothing was done"), "{shown}");
    }
    assert_eq!(accounts(&place, "user list --json"), ["joe@b.example"]);
    let (ran, _) = on_a_terminal(&place, "user del joe --domain b.example", "y");
    assert!(ran.ends_with(0).out.contains("Removed account joe@b.example"));
    assert_eq!(accounts(&place, "user list --json"), [""; 0]);
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

#[test]
fn the_role_of_an_administrator_is_given_taken_and_shown() {
    with_and_without_a_server(|place| {
        let shown = |name: &str| {
            let shown = place.run(&format!("user show {name} --json")).ends_with(0).json();
            let listed = place.run("user list --json").ends_with(0).json();
            let row =
                listed.as_array().unwrap().iter().find(|row| row["account"] == shown["account"]);
            assert_eq!(row.unwrap()["admin"], shown["admin"]);
            shown["admin"].as_bool().unwrap()
        };
        place.run("user add joe --random").ends_with(0);
        place.run("user add joe@b.example --random --admin").ends_with(0);
        assert_eq!((shown("joe"), shown("joe@b.example")), (false, true));
        place.run("user admin joe on").ends_with(0);
        let ran = place.run("user admin joe off --domain b.example").ends_with(0);
        assert_eq!(ran.out, "joe@b.example is not an administrator.\n");
        assert_eq!((shown("joe"), shown("joe@b.example")), (true, false));
        place.run("user admin ann on").ends_with(3);
        place.run("user admin joe perhaps").ends_with(2);
        // The role goes with the account.
        place.run("user del joe --yes").ends_with(0);
        place.run("user add joe --random").ends_with(0);
        assert!(!shown("joe"));
        for name in ["joe", "joe@b.example"] {
            place.run(&format!("user del {name} --yes")).ends_with(0);
        }
    });
}

#[test]
fn the_first_account_is_an_administrator() {
    let place = two_domains();
    for _ in 0..2 {
        let mut server = Server::start(&place);
        wait_for(&place, "user show admin");
        let shown = place.run("user show admin --json").ends_with(0).json();
        assert_eq!((&shown["account"], &shown["admin"]), (&json!("admin@a.example"), &json!(true)));
        assert_eq!(server.end().code(), Some(0));
    }
}

/// What each command answers, for programs: the keys of all objects.
#[test]
#[expect(clippy::too_many_lines, reason = "a list of all commands")]
fn every_key_is_in_snake_case() {
    let place = two_domains();
    let mut server = Server::start(&place);
    server.said_until("user passwd admin");
    let lines = [
        "user add joe --random",
        "user passwd joe --random --keep-sessions",
        "user list",
        "user admin joe on",
        "user quota joe --set 10GiB",
        "user strangers joe --messages refuse",
        "user show joe",
        "user import accounts",
        "archive show joe",
        "archive limit joe --age 90d",
        "archive clear joe --yes",
        "device list joe",
        "device remove joe other",
        "file list joe",
        "file remove joe none",
        "file usage",
        "invite create",
        "invite list",
        "invite revoke none",
        "component add irc.a.example --random --roster both",
        "component list",
        "component show irc.a.example",
        "component remove irc.a.example",
        "token create joe bot --scopes read --days 7",
        "token list joe",
        "token revoke joe none",
        "push list joe",
        "push content joe --set body",
        "push remove joe push.example",
        "session list",
        "session close joe",
        "room create garden --owner joe",
        "room list --all",
        "room show garden",
        "room set garden roomname Garden",
        "room member garden ann member",
        "room members garden",
        "room occupants garden",
        "room kick garden nobody",
        "room destroy garden --yes",
        "s2s list",
        "s2s show c.example",
        "s2s close c.example",
        "s2s allow c.example",
        "s2s deny *.c.example",
        "s2s reset c.example",
        "s2s test c.example",
        "report list",
        "report show none",
        "report remove none",
        "status",
        "user del joe --yes",
    ];
    place.write("accounts", "ann secret\nnobody\nadmin x\n");
    for command in COMMANDS {
        let path = command.name();
        assert!(lines.iter().any(|line| line.starts_with(&path)), "nobody calls {path}");
    }
    let others =
        ["config check", "config explain limits", "init", "man --out pages", "fly", "user show"];
    for line in lines.iter().chain(&others) {
        let json = place.run(&format!("{line} --json")).json();
        check_keys(line, &json);
    }
    place.write("waxwing.toml", "[[host]]\ndomian = 1\n");
    check_keys("config check", &place.run("config check --json").ends_with(6).json());
    assert_eq!(server.end().code(), Some(0));
}

/// A component from its beginning to its end. Its secret is shown once.
#[test]
fn a_component_is_added_shown_and_removed() {
    let place = two_domains();
    let mut server = Server::start(&place);
    server.said_until("user passwd admin");
    let add = "component add irc.a.example --name IRC --roster both --messages --iq urn:x=get";
    let made = place.run(&format!("{add} --random --json")).ends_with(0).json();
    let secret = made["password"].as_str().unwrap().to_owned();
    assert!(secret.len() > 10);
    let shown = place.run("component show irc.a.example --json").ends_with(0);
    let json = shown.json();
    assert_eq!((&json["roster"], &json["message"]), (&json!("both"), &json!("outgoing")));
    assert_eq!((&json["name"], &json["iq"]), (&json!("IRC"), &json!(["urn:x (get)"])));
    for line in ["component show irc.a.example", "component list", "component list --json"] {
        let ran = place.run(line).ends_with(0);
        assert!(ran.out.contains("irc.a.example"), "{line}: {}", ran.out);
        assert!(!ran.out.contains(&secret), "{line}: {}", ran.out);
    }
    assert!(!shown.out.contains(&secret));
    // Again, with domains of ours, and with nonsense.
    place.run(&format!("{add} --random")).ends_with(4);
    for domain in ["b.example", "conference.a.example"] {
        place.run(&format!("component add {domain} --random")).ends_with(4);
    }
    place.run("component add sms.a.example --random --iq urn:x=all").ends_with(2);
    place.run("component remove sms.a.example").ends_with(3);
    place.run("component remove irc.a.example").ends_with(0);
    place.run("component show irc.a.example").ends_with(3);
    assert_eq!(server.end().code(), Some(0));
}

/// A room from its beginning to its end, at the second of two hosts.
#[test]
fn a_room_is_made_shown_changed_and_destroyed() {
    let place = two_domains();
    place.run("room list").ends_with(5);
    let mut server = Server::start(&place);
    server.said_until("user passwd admin");
    let of_b = |line: &str| place.run(&format!("{line} --domain b.example"));
    let garden = "garden@conference.b.example";
    let made = of_b("room create garden --owner joe --json").ends_with(0).json();
    assert_eq!((&made["room"], &made["owner"]), (&json!(garden), &json!("joe@b.example")));
    of_b("room create garden --owner joe").ends_with(4);
    place.run("room create garden@elsewhere.example --owner joe").ends_with(2);
    of_b("room set garden roomname Garden").ends_with(0);
    of_b("room set garden publicroom 0").ends_with(0);
    of_b("room set garden colour green").ends_with(2);
    of_b("room member garden ann member").ends_with(0);
    let shown = of_b("room show garden --json").ends_with(0).json();
    assert_eq!((&shown["name"], &shown["public"]), (&json!("Garden"), &json!(false)));
    assert_eq!((&shown["owners"], &shown["members"]), (&json!(1), &json!(1)));
    let rooms = |line: &str| place.run(line).ends_with(0).json().as_array().unwrap().len();
    assert_eq!(rooms("room list --json"), 0, "it is hidden");
    assert_eq!(rooms("room list --all --json"), 1);
    assert_eq!(rooms("room list --all --json --domain a.example"), 0);
    let members = of_b("room members garden --affiliation member --json").ends_with(0).json();
    assert_eq!(members[0]["jid"], "ann@b.example");
    let ran = of_b("room destroy garden").ends_with(7);
    assert!(ran.err.contains(garden), "{}", ran.err);
    of_b("room destroy garden --yes").ends_with(0);
    of_b("room show garden").ends_with(3);
    assert_eq!(server.end().code(), Some(0));
}

/// The table of `waxwing status --json` in docs/admin-socket.md names each field of the answer, and no other.
#[test]
fn the_documents_name_every_field_of_status() {
    let place = two_domains();
    let mut server = Server::start(&place);
    server.said_until("user passwd admin");
    let status = place.run("status --json").ends_with(0).json();
    assert_eq!(server.end().code(), Some(0));
    let fields: Vec<&str> = status.as_object().unwrap().keys().map(String::as_str).collect();
    let text = include_str!("../docs/admin-socket.md");
    let (_, table) = text.split_once("| field of `status` |").unwrap();
    let mut named: Vec<&str> =
        table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    named.sort_unstable();
    assert_eq!(named, fields);
}

#[track_caller]
fn check_keys(line: &str, json: &Value) {
    match json {
        Value::Array(items) => items.iter().for_each(|item| check_keys(line, item)),
        Value::Object(fields) => {
            for (key, value) in fields {
                let odd = |c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit() && c != '_';
                assert!(!key.contains(odd), "waxwing {line}: {key}");
                check_keys(line, value);
            }
        }
        _ => {}
    }
}

#[test]
fn what_the_program_does_not_understand_is_json_too() {
    let ran = two_domains().run("user list --limit few --json").ends_with(2);
    assert_eq!(ran.err, "");
    assert_eq!(ran.json()["error"]["code"], json!("invalid"));
}

/// Waits until a command succeeds.
#[track_caller]
fn wait_for(place: &Place, command: &str) {
    let begun = Instant::now();
    while place.run(command).code != 0 {
        assert!(begun.elapsed() < Duration::from_secs(20), "{command} does not succeed");
    }
}
