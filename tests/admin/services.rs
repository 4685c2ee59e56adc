//! Components and rooms, from their beginning to their end.

use serde_json::json;

use super::program::Server;
use super::two_domains;

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
