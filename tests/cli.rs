//! The program as an administrator calls it: the built binary, in directories of its own.

#![expect(clippy::unwrap_used, reason = "the helpers of a test stand outside of its functions")]

#[path = "support/program.rs"]
mod program;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use program::{Place, Server};
use serde_json::{Value, json};
use sqlx::Connection;

#[test]
fn help_tells_commands_and_exit_codes() {
    let ran = Place::new().run("help").ends_with(0);
    for wanted in ["serve", "user", "session", "status", "completions", "Exit codes:"] {
        assert!(ran.out.contains(wanted), "{wanted} is missing in {}", ran.out);
    }
}

#[test]
fn what_is_not_understood_ends_with_2() {
    let place = Place::new();
    for line in ["fly", "user", "user fly", "user add", "user list --limit few", "serve --fast"] {
        assert!(!place.run(line).ends_with(2).err.is_empty(), "{line}");
    }
}

#[test]
fn an_account_lives_from_add_to_del() {
    let place = Place::new();
    place.run_with("user add romeo --password-stdin", "secret\n").ends_with(0);
    let listed = place.run("user list --json").ends_with(0).json();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(listed[0]["account"], "romeo@localhost");
    assert_eq!(listed[0]["last_login"], Value::Null);
    let shown = place.run("user show romeo@localhost --json").ends_with(0).json();
    assert_eq!(shown["account"], "romeo@localhost");
    assert_eq!(shown["offline_messages"], 0);
    assert_eq!(shown["sessions"], Value::Null);
    place.run_with("user passwd romeo --password-stdin", "other\n").ends_with(0);
    assert!(place.run("user list").ends_with(0).out.contains("romeo@localhost"));
    assert!(place.run("user del romeo --yes").ends_with(0).out.contains("Removed"));
    assert_eq!(place.run("user list --json").ends_with(0).json(), json!([]));
}

#[test]
fn a_second_account_of_the_same_name_ends_with_4() {
    let place = Place::new();
    place.run_with("user add romeo --password-stdin", "secret\n").ends_with(0);
    let again = place.run_with("user add Romeo@localhost --password-stdin --json", "x\n");
    let again = again.ends_with(4);
    assert_eq!(again.json()["error"]["code"], "conflict");
    assert_eq!(again.err, "");
}

#[test]
fn an_account_that_is_not_there_ends_with_3() {
    let place = Place::new();
    place.run_with("user add romeo --password-stdin", "secret\n").ends_with(0);
    place.run("user show juliet").ends_with(3);
    place.run("user del juliet").ends_with(3);
    let ran = place.run_with("user passwd juliet --password-stdin", "x\n").ends_with(3);
    assert_eq!(ran.err, "waxwing: account juliet@localhost does not exist\n");
    assert_eq!(ran.out, "");
}

#[test]
fn wrong_names_domains_and_passwords_end_with_2() {
    let place = Place::new();
    for name in ["a@b@c", "@localhost", "romeo@localhost/orchard", "romeo@example.org"] {
        let line = format!("user add {name} --password-stdin");
        place.run_with(&line, "secret\n").ends_with(2);
    }
    place.run_with("user add romeo --password-stdin", "").ends_with(2);
    place.run_with("user add romeo --password-stdin", "\u{7}\n").ends_with(2);
    // There is no terminal to ask on.
    place.run("user add romeo").ends_with(2);
}

#[test]
fn a_random_password_is_shown_once() {
    let place = Place::new();
    let made = place.run("user add romeo --random --json").ends_with(0).json();
    assert_eq!(made["account"], "romeo@localhost");
    assert_eq!(made["password"].as_str().unwrap().len(), 20);
    let again = place.run("user passwd romeo --random").ends_with(0);
    assert!(again.out.contains("\nPassword: "), "{}", again.out);
}

#[test]
fn import_makes_the_good_lines_and_tells_the_bad_ones() {
    let place = Place::new();
    place.run_with("user add romeo --password-stdin", "secret\n").ends_with(0);
    let lines = "# accounts\r\n\
                 juliet@localhost\tbeauteous night\r\n\
                 \n\
                 nurse a\n\
                 nobody\n\
                 far@example.org x\n\
                 romeo@localhost x\n\
                 nurse@localhost again\n\
                 a@b@c x\n";
    let ran = place.run_with("user import --json", lines).ends_with(2);
    let report = ran.json();
    assert_eq!(report["made"], 2);
    assert_eq!(report["exists"], json!(["romeo@localhost"]));
    let bad: Vec<_> = report["bad"].as_array().unwrap().iter().map(|bad| &bad["line"]).collect();
    assert_eq!(bad, [5, 6, 8, 9]);
    place.run("user show juliet").ends_with(0);
    place.run("user show nurse").ends_with(0);

    place.write("more", "benvolio x\njuliet y\n");
    let ran = place.run("user import more").ends_with(0);
    assert_eq!(ran.out, "Created 1, 1 already exist.\nexists: juliet@localhost\n");
    place.run("user import nothing").ends_with(3);
}

#[test]
fn many_accounts_are_listed_in_pages() {
    let place = Place::new();
    let lines: String = (0..25).map(|i| format!("user{i:02} password\n")).collect();
    place.write("waxwing.toml", "[[host]]\ndomain = \"localhost\"\n[auth]\niterations = 4096\n");
    place.run_with("user import", &lines).ends_with(0);
    let page = place.run("user list --after user09 --limit 3 --json").ends_with(0).json();
    let names: Vec<_> = page.as_array().unwrap().iter().map(|row| &row["account"]).collect();
    assert_eq!(names, ["user10@localhost", "user11@localhost", "user12@localhost"]);
    // A domain that is not served and has no accounts is a mistake, not an empty list.
    place.run("user list --host example.org --json").ends_with(2);
    let after = place.run("user list --after user19 --json").ends_with(0).json();
    assert_eq!(after.as_array().unwrap().len(), 5);
}

#[test]
fn archives_are_shown_limited_and_cleared() {
    let place = Place::new();
    place.write("waxwing.toml", "[[host]]\ndomain = \"localhost\"\n[archive]\nage = \"90 d\"\n");
    place.run_with("user add romeo --password-stdin", "secret\n").ends_with(0);
    let shown = place.run("archive show romeo --json").ends_with(0).json();
    let expected = json!({
        "account": "romeo@localhost", "enabled": true, "messages": 0, "oldest": null,
        "newest": null, "preference": "always", "always": [], "never": [], "keeps_age": "90 d",
        "keeps_messages": null, "has_own_limits": false,
    });
    assert_eq!(shown, expected);
    let limited = place.run("archive limit romeo --messages 1000").ends_with(0);
    assert_eq!(
        limited.out,
        "romeo@localhost has limits of its own: messages older than 90 d, and all but the newest \
         1000, are removed from its archive when the server runs.\n"
    );
    let limited = place.run("archive limit romeo --age 0 --json").ends_with(0).json();
    assert_eq!((&limited["keeps_age"], &limited["keeps_messages"]), (&Value::Null, &json!(1000)));
    let shown = place.run("archive show romeo --json").ends_with(0).json();
    assert_eq!((&shown["keeps_messages"], &shown["has_own_limits"]), (&json!(1000), &json!(true)));
    let usual = place.run("archive limit romeo --default --json").ends_with(0).json();
    assert_eq!((&usual["keeps_age"], &usual["has_own_limits"]), (&json!("90 d"), &json!(false)));

    let cleared = place.run("archive clear romeo --yes --json").ends_with(0).json();
    assert_eq!(cleared["removed"], 0);
    place.run("archive clear romeo --yes --before 2026-01-31").ends_with(0);
    place.run("archive clear romeo --yes --before 2026-01-31T12:00:00+01:00").ends_with(0);
    for wrong in [
        "archive limit romeo",
        "archive limit romeo --default --messages 1",
        "archive limit romeo --age soon",
        "archive limit romeo --age 30",
        "archive limit romeo --messages few",
        "archive clear romeo --before 31.1.2026",
        "archive clear romeo --before 90",
        "archive clear romeo --before 0",
    ] {
        place.run(wrong).ends_with(2);
    }
    for command in ["show", "clear", "limit --default"] {
        place.run(&format!("archive {command} juliet")).ends_with(3);
    }
}

#[test]
fn sessions_need_a_running_server() {
    let place = Place::new();
    place.run_with("user add romeo --password-stdin", "secret\n").ends_with(0);
    place.run("session list").ends_with(5);
    place.run("session close romeo").ends_with(5);
    let status = place.run("status --json").ends_with(5).json();
    assert_eq!((&status["running"], &status["domains"]), (&json!(false), &json!(["localhost"])));
}

#[test]
fn nothing_is_made_where_nothing_was() {
    let place = Place::new();
    place.run("user list").ends_with(5);
    place.run_with("user add romeo --password-stdin --data elsewhere", "x\n").ends_with(5);
    assert!(!place.path().join("elsewhere").exists());
    assert_eq!(fs::read_dir(place.path().join("waxwing-data")).unwrap().count(), 0);
}

#[test]
fn the_domain_is_said_once() {
    let place = Place::new();
    let line = "user add romeo --password-stdin --domain example.org";
    place.run_with(line, "secret\n").ends_with(0);
    place.run("user show romeo@example.org").ends_with(0);
    place.run("user show romeo").ends_with(0);
    let ran = place.run("serve --domain example.net").ends_with(2);
    assert!(ran.err.contains("are of the domain example.org"), "{}", ran.err);
}

#[test]
fn a_server_greets_once_and_takes_commands_until_it_is_told_to_end() {
    let place = Place::new();
    let ports = "[listen]\nc2s = [\"127.0.0.1:0\"]\nc2s_tls = [\"127.0.0.1:0\"]\nhttp = []\nhttps = []\nproxy65 = []\n";
    place.write("waxwing.toml", &format!("[[host]]\ndomain = \"localhost\"\n{ports}"));
    let mut server = Server::start(&place);
    let greeting = server.said_until("user passwd admin");
    assert!(greeting.contains("Address    admin@localhost"), "{greeting}");

    assert_eq!(place.run("status --json").ends_with(0).json()["accounts"], 1);
    place.run_with("user add romeo --password-stdin", "secret\n").ends_with(0);
    place.run_with("user add romeo --password-stdin", "secret\n").ends_with(4);
    place.run("user show juliet").ends_with(3);
    let second = place.run("serve").ends_with(1);
    assert!(second.err.contains("in use by `waxwing serve` (process "), "{}", second.err);
    let end = server.end();
    assert_eq!(end.code(), Some(0));
    assert!(!place.path().join("waxwing-data/admin.sock").exists());

    let listed = place.run("user list --json").ends_with(0).json();
    let names: Vec<_> = listed.as_array().unwrap().iter().map(|row| &row["account"]).collect();
    assert_eq!(names, ["admin@localhost", "romeo@localhost"]);
}

#[test]
fn a_server_out_of_files_accepts_again_when_there_are_some() {
    let place = Place::new();
    let ports = "[listen]\nc2s = [\"127.0.0.1:0\"]\nc2s_tls = [\"127.0.0.1:0\"]\nhttp = []\nhttps = []\nproxy65 = []\n";
    place.write("waxwing.toml", &format!("[[host]]\ndomain = \"localhost\"\n{ports}"));
    let mut server = Server::start(&place);
    server.said_until("user passwd admin");
    let status = place.run("status --json").ends_with(0).json();
    let address = status["starttls"].as_array().map_or(&status["starttls"], |all| &all[0]);
    let address = address.as_str().unwrap().to_owned();
    let limit = |current| {
        let pid = rustix::process::Pid::from_child(&server.child);
        let files = rustix::process::Resource::Nofile;
        let old = rustix::process::getrlimit(files);
        let limit = rustix::process::Rlimit { current, ..old };
        rustix::process::prlimit(Some(pid), files, limit).unwrap().current
    };
    let before = limit(Some(3));
    let mut client = TcpStream::connect(&address).unwrap();
    client
        .write_all(
            b"<stream:stream xmlns='jabber:client' to='localhost' version='1.0' \
        xmlns:stream='http://etherx.jabber.org/streams'>",
        )
        .unwrap();
    client.set_read_timeout(Some(Duration::from_millis(400))).unwrap();
    client.read(&mut [0]).expect_err("nobody can take the connection");
    limit(before);
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut answer = [0; 5];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"<?xml");
    assert_eq!(server.end().code(), Some(0));
}

#[test]
fn a_file_size_limit_does_not_end_the_server() {
    let place = Place::new();
    let ports = "[listen]\nc2s = [\"127.0.0.1:0\"]\nc2s_tls = [\"127.0.0.1:0\"]\nhttp = []\nhttps = []\nproxy65 = []\n";
    place.write("waxwing.toml", &format!("[[host]]\ndomain = \"localhost\"\n{ports}"));
    let mut server = Server::start(&place);
    server.said_until("user passwd admin");
    let limit = |current| {
        let pid = rustix::process::Pid::from_child(&server.child);
        let limit = rustix::process::Rlimit { current, maximum: None };
        rustix::process::prlimit(Some(pid), rustix::process::Resource::Fsize, limit).unwrap();
    };
    limit(Some(4096));
    place.run_with("user add romeo --password-stdin", "secret\n").ends_with(1);
    place.run("status").ends_with(0);
    limit(None);
    place.run_with("user add romeo --password-stdin", "secret\n").ends_with(0);
    assert_eq!(server.end().code(), Some(0));
}

/// The usual ones may be those of a server on this machine.
fn free_ports(place: &Place, file: &str) {
    let path = place.path().join(file);
    let text = fs::read_to_string(&path).unwrap();
    let ports = "[listen]\nc2s = 0\nc2s_tls = 0\nhttp = 0\nhttps = 0\nproxy65 = 0\n";
    fs::write(path, text.replacen("[listen]\n", ports, 1)).unwrap();
}

#[test]
fn a_written_configuration_is_right() {
    let place = Place::new();
    place.run("init --domain example.org").ends_with(0);
    free_ports(&place, "waxwing.toml");
    let ran = place.run("config check").ends_with(0);
    assert!(ran.out.contains("waxwing.toml is OK (serves example.org)"), "{}", ran.out);
    place.run("init").ends_with(4);
    place.run("init --force").ends_with(0);
    place.run("init --config other.toml").ends_with(0);
    free_ports(&place, "other.toml");
    let checked = place.run("config check --config other.toml --json").ends_with(0).json();
    assert_eq!(checked["ok"], true);
}

#[test]
fn every_error_of_a_configuration_is_reported_with_6() {
    let place = Place::new();
    place.write("waxwing.toml", "[[host]]\ndomain = \"localhost\"\n[auth]\nplian = 1\nplain = 7\n");
    let ran = place.run("config check").ends_with(6);
    for wanted in ["waxwing.toml:4:1", "waxwing.toml:5:", "plain"] {
        assert!(ran.err.contains(wanted), "{wanted} is missing in {}", ran.err);
    }
    let problem = place.run("config check --json").ends_with(6).json();
    assert_eq!(problem["error"]["code"], "configuration");
    assert_eq!(problem["error"]["details"].as_array().unwrap().len(), 2);
    place.run("user list").ends_with(6);
    place.run("serve").ends_with(6);
    place.run("config check --config missing.toml").ends_with(6);
}

#[test]
fn options_are_explained() {
    let place = Place::new();
    assert!(place.run("config explain").ends_with(0).out.contains("c2s_tls"));
    assert!(!place.run("config explain limits").ends_with(0).out.contains("c2s_tls"));
    place.run("config explain colours").ends_with(3);
}

#[test]
fn completions_know_the_commands() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish"] {
        let ran = place.run(&format!("completions {shell}")).ends_with(0);
        assert!(ran.out.contains("passwd"), "{shell}: {}", ran.out);
    }
}

#[test]
fn the_manual_is_printed_and_written() {
    let place = Place::new();
    let page = place.run("man").ends_with(0).out;
    assert!(page.contains(".TH waxwing 1"));
    for section in ["EXIT STATUS", "ENVIRONMENT", "FILES", "SIGNALS", "EXAMPLES"] {
        assert!(page.contains(&format!(".SH \"{section}\"\n.TP\n")), "{section}");
    }
    assert!(page.contains("\\fB6\\fR\ninvalid configuration\n"), "{page}");
    place.run("man --out pages").ends_with(0);
    assert!(place.path().join("pages/waxwing-user-add.1").exists());
    assert_eq!(fs::read_to_string(place.path().join("pages/waxwing.1")).unwrap(), page);
}

/// What an account keeps, by kind, and how much it may keep.
#[test]
fn a_quota_is_shown_and_set_for_one_account() {
    let place = Place::new();
    place.run_with("user add romeo --password-stdin", "soldierly\n").ends_with(0);
    let shown = place.run("user show romeo --json").ends_with(0).json();
    for kind in ["archive", "waiting", "vcard", "private", "roster", "other", "used"] {
        assert_eq!(shown[format!("{kind}_bytes")], 0, "{kind}");
    }
    assert_eq!(shown["quota_bytes"], 4_u64 << 30);
    let set = place.run("user quota romeo --set 10MiB --json").ends_with(0).json();
    assert_eq!((&set["quota_bytes"], &set["has_own_quota"]), (&json!(10 << 20), &json!(true)));
    let text = place.run("user quota romeo").ends_with(0).out;
    assert_eq!(text, "romeo@localhost may keep 10 MiB and keeps 0 B.\n");
    let free = place.run("user quota romeo --set none --json").ends_with(0).json();
    assert_eq!((&free["quota_bytes"], &free["has_own_quota"]), (&Value::Null, &json!(true)));
    let back = place.run("user quota romeo --default --json").ends_with(0).json();
    assert_eq!(
        (&back["quota_bytes"], &back["has_own_quota"]),
        (&json!(4_u64 << 30), &json!(false))
    );
    for wrong in ["--set 30", "--set 0B", "--set much", "--set 1GiB --default"] {
        place.run(&format!("user quota romeo {wrong}")).ends_with(2);
    }
    place.run("user quota nobody").ends_with(3);
}

#[test]
fn what_an_account_does_with_strangers_is_shown_and_set() {
    let place = Place::new();
    place.run_with("user add romeo --password-stdin", "soldierly\n").ends_with(0);
    let shown = |json: &Value| {
        ["messages", "subscriptions", "calls", "invitations"].map(|name| json[name].clone())
    };
    let all = place.run("user strangers romeo --json").ends_with(0).json();
    assert_eq!(shown(&all), ["allow", "allow", "allow", "allow"]);
    assert_eq!(all["chosen"], json!(false));
    place.run("user strangers romeo --messages refuse --calls refuse").ends_with(0);
    let some = place.run("user strangers romeo --messages allow --json").ends_with(0).json();
    assert_eq!(shown(&some), ["allow", "allow", "refuse", "allow"]);
    let text = place.run("user strangers romeo").ends_with(0).out;
    assert!(text.contains("calls: refuse"), "{text}");
    place.run("user strangers romeo --calls allow --default").ends_with(2);
    let text = place.run("user strangers romeo --default").ends_with(0).out;
    assert!(text.contains("by the configuration") && text.contains("calls: allow"), "{text}");
    place.run("user strangers romeo --messages perhaps").ends_with(2);
    place.run("user strangers nobody").ends_with(3);
}

/// The first program that opens a damaged log repairs it, so a command must report the damage, too.
#[test]
fn a_command_tells_of_a_damaged_log() {
    let place = Place::new();
    place.run_with("user add romeo --password-stdin", "soldierly\n").ends_with(0);
    let data = place.path().join("waxwing-data");
    let names = ["waxwing.sqlite", "waxwing.sqlite-wal", "waxwing.sqlite-shm"];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // As a server leaves them that is killed.
    let left = tempfile::tempdir().unwrap();
    runtime.block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(data.join(names[0]));
        let mut raw = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
        for n in 0..20_u8 {
            let value = vec![n; 6_000];
            let put = sqlx::query("INSERT INTO setting VALUES ($1, $2)").bind(i64::from(n));
            put.bind(value).execute(&mut raw).await.unwrap();
        }
        for name in names {
            fs::copy(data.join(name), left.path().join(name)).unwrap();
        }
        raw.close().await.unwrap();
    });
    for name in names {
        fs::copy(left.path().join(name), data.join(name)).unwrap();
    }
    let log = data.join(names[1]);
    let mut bytes = fs::read(&log).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    fs::write(&log, bytes).unwrap();
    let ran = place.run("user list").ends_with(0);
    for wanted in ["waxwing.sqlite-wal is damaged", "may be missing", "A copy of the log"] {
        assert!(ran.err.contains(wanted), "{wanted}: {}", ran.err);
    }
    assert_eq!(place.run("user list").ends_with(0).err, "");
}
