//! Accounts: which one is meant, what is asked before one is removed, and the role of an administrator.

use std::fs::File;
use std::io::{Read, Write};
use std::process::Stdio;

use serde_json::json;

use super::program::{Place, Ran, Server};
use super::{accounts, two_domains, wait_for, with_and_without_a_server};

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
