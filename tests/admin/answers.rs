//! What commands answer to programs.

use serde_json::{Value, json};
use waxwing::admin::COMMANDS;

use super::program::Server;
use super::two_domains;

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

/// The table of `waxwing status --json` in docs/admin-socket.md names each field of the answer, and no other.
#[test]
fn the_documents_name_every_field_of_status() {
    let place = two_domains();
    let mut server = Server::start(&place);
    server.said_until("user passwd admin");
    let status = place.run("status --json").ends_with(0).json();
    assert_eq!(server.end().code(), Some(0));
    let fields: Vec<&str> = status.as_object().unwrap().keys().map(String::as_str).collect();
    let text = include_str!("../../docs/admin-socket.md");
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
