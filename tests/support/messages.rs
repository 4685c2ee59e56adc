//! A conversation for each condition and each address of RFC 6121 §8.5.4, with a message of each
//! type: who gets it, what waits, what the sender hears.
//!
//! The table stands here a second time, in the letters of the RFC, and is read by nobody but the
//! tests. What the RFC leaves open is said beside it.

/// Each with its name.
pub(crate) fn conversations() -> Vec<(String, String)> {
    let mut all = Vec::new();
    for condition in CONDITIONS {
        for (address, outcomes) in condition.rows {
            let name = format!("rfc6121/messages/{}/{}", condition.name, address.0);
            all.push((name, conversation(condition, address.1, outcomes)));
        }
    }
    all.extend(NOT_FOR_A_CONTACT.iter().map(|(name, to, outcomes)| {
        let nobody = Condition { name: "", begin: "", reads: &[], wants: &[], rows: &[] };
        (format!("rfc6121/messages/{name}"), conversation(&nobody, to, outcomes))
    }));
    for (name, to, there, away) in TO_ONESELF {
        let name = format!("rfc6121/messages/to_oneself/{name}");
        all.push((format!("{name}/available"), to_oneself(true, to, there)));
        all.push((format!("{name}/unavailable"), to_oneself(false, to, away)));
    }
    all
}

/// What Juliet has, beside her account.
struct Condition {
    name: &'static str,
    /// How it comes about.
    begin: &'static str,
    /// Clients that can be asked what they got. The first one has the full JID that is meant.
    reads: &'static [&'static str],
    /// Those that want messages for the account.
    wants: &'static [&'static str],
    /// An address, and what becomes of each of [`TYPES`]; in the letters of [`CONDITIONS`].
    rows: &'static [(Address, &'static str)],
}

/// Its name, and the attribute.
type Address = (&'static str, &'static str);

const BARE: Address = ("bare", " to='juliet@localhost'");
const FULL: Address = ("full_match", " to='juliet@localhost/balcony'");
const GONE: Address = ("full_no_match", " to='juliet@localhost/tomb'");

/// In the order of the letters. No type, and one that nobody knows, are normal (RFC 6121 §5.2.2).
const TYPES: [&str; 7] = ["normal", "", "whisper", "chat", "groupchat", "headline", "error"];

/// D: to this session. M: to all sessions that want messages (the RFC allows one of them for normal
/// and chat). O: it waits (the RFC allows an error). E: an error (where it is normal, headline or
/// groupchat to a full JID, or normal or chat to nobody's account, the RFC allows silence). S: silence.
const CONDITIONS: &[Condition] = &[
    Condition {
        name: "no_session",
        begin: "",
        reads: &[],
        wants: &[],
        rows: &[(BARE, "OOOOESS"), (GONE, "EEEOEES")],
    },
    Condition {
        name: "connected",
        begin: "Balcony connects\n",
        reads: &["Balcony"],
        wants: &[],
        rows: &[(BARE, "OOOOESS"), (FULL, "DDDDDDD"), (GONE, "EEEOEES")],
    },
    Condition {
        name: "one_negative",
        begin: "Balcony connects\nBalcony sends:\n\t<presence><priority>-1</priority></presence>\n",
        reads: &["Balcony"],
        wants: &[],
        rows: &[(BARE, "OOOOESS"), (FULL, "DDDDDDD"), (GONE, "EEEOEES")],
    },
    Condition {
        name: "one",
        begin: "Balcony connects\nBalcony sends:\n\t<presence/>\n",
        reads: &["Balcony"],
        wants: &["Balcony"],
        rows: &[(BARE, "MMMMEMS"), (FULL, "DDDDDDD"), (GONE, "EEEMEES")],
    },
    Condition {
        name: "one_that_is_lost",
        begin: "Balcony connects\nBalcony sends:\n\t<presence/>\nBalcony discards what has come\n\
                Balcony enables stream management\nBalcony loses the network\n",
        reads: &["Balcony"],
        wants: &["Balcony"],
        rows: &[(BARE, "MMMMEMS"), (FULL, "DDDDDDD"), (GONE, "EEEMEES")],
    },
    Condition {
        name: "two",
        begin: "Balcony connects\nPhone connects\nBalcony sends:\n\t<presence/>\n\
                Phone sends:\n\t<presence><priority>5</priority></presence>\n",
        reads: &["Balcony", "Phone"],
        wants: &["Balcony", "Phone"],
        rows: &[(BARE, "MMMMEMS"), (FULL, "DDDDDDD"), (GONE, "EEEMEES")],
    },
    Condition {
        name: "negative_and_not",
        begin: "Balcony connects\nPhone connects\n\
                Balcony sends:\n\t<presence><priority>-1</priority></presence>\n\
                Phone sends:\n\t<presence/>\n",
        reads: &["Balcony", "Phone"],
        wants: &["Phone"],
        rows: &[(BARE, "MMMMEMS"), (FULL, "DDDDDDD"), (GONE, "EEEMEES")],
    },
    Condition {
        name: "connected_and_available",
        begin: "Balcony connects\nPhone connects\nPhone sends:\n\t<presence/>\n",
        reads: &["Balcony", "Phone"],
        wants: &["Phone"],
        rows: &[(BARE, "MMMMEMS"), (FULL, "DDDDDDD"), (GONE, "EEEMEES")],
    },
];

/// RFC 6121 §8.5.1, RFC 6120 §10.4, §10.5: to nobody, to the server, and to another one, which nothing
/// reaches (R: the error that says so).
const NOT_FOR_A_CONTACT: &[(&str, &str, &str)] = &[
    ("no_account/bare", " to='nobody@localhost'", "EEEEESS"),
    ("no_account/full", " to='nobody@localhost/tomb'", "EEEEEES"),
    ("the_server/bare", " to='localhost'", "EEEEEES"),
    ("the_server/full", " to='localhost/tomb'", "EEEEEES"),
    ("elsewhere/server", " to='verona.invalid'", "RRRRRRS"),
    ("elsewhere/bare", " to='juliet@verona.invalid'", "RRRRRRS"),
    ("elsewhere/full", " to='juliet@verona.invalid/tomb'", "RRRRRRS"),
];

/// RFC 6120 §10.3.1: who names nobody means himself, his account. With what becomes of it when he is
/// available, and when he is not.
const TO_ONESELF: &[(&str, &str, &str, &str)] = &[
    ("no_address", "", "MMMMEMS", "OOOOESS"),
    ("bare", " to='romeo@localhost'", "MMMMEMS", "OOOOESS"),
    ("full_match", " to='romeo@localhost/orchard'", "DDDDDDD", "DDDDDDD"),
    ("full_no_match", " to='romeo@localhost/tomb'", "EEEMEES", "EEEOEES"),
];

fn conversation(condition: &Condition, to: &str, outcomes: &str) -> String {
    let mut script = format!("{HEAD}{CONTACT}-----\nRomeo connects\n{}", condition.begin);
    for name in condition.reads.iter().filter(|name| !is_lost(condition, name)) {
        script += &format!("{name} discards what has come\n");
    }
    script += "Romeo sends:\n";
    script += &messages(to);
    errors(&mut script, outcomes);
    for name in condition.reads {
        let gets = |letter| match letter {
            'D' => *name == "Balcony",
            'M' => condition.wants.contains(name),
            _ => false,
        };
        if is_lost(condition, name) {
            script += &format!("{name} resumes\n");
        }
        received(&mut script, name, to, outcomes, gets, "");
        script += &format!("{name} receives nothing\n");
    }
    // What waits comes to who is there next, once.
    script += "Desk connects\nDesk sends:\n\t<presence/>\n";
    let others = condition.begin.matches("<presence").count();
    script += "Desk receives in any order:\n";
    script += &"\t<presence scansion:strict='false'/>\n".repeat(1 + others);
    received(&mut script, "Desk", to, outcomes, |letter| letter == 'O', DELAY);
    script
        + "Desk receives nothing\nDesk disconnects\nDesk connects\nDesk sends:\n\t<presence/>\n\
              Desk receives in any order:\n"
        + &"\t<presence scansion:strict='false'/>\n".repeat(1 + others)
        + "Desk receives nothing\nRomeo receives nothing\n"
}

fn is_lost(condition: &Condition, name: &str) -> bool {
    condition.begin.contains(&format!("{name} loses"))
}

/// RFC 6120 §10.3.1: who names nobody means himself, his account; as if he named it (§8.5.2).
fn to_oneself(is_there: bool, to: &str, outcomes: &str) -> String {
    let mut script = format!("{HEAD}-----\nRomeo connects\n");
    if is_there {
        script += "Romeo sends:\n\t<presence/>\nRomeo receives:\n\t<presence/>\n";
    }
    script += "Romeo sends:\n";
    script += &messages(to);
    let either = |letter| matches!(letter, 'D' | 'M' | 'E');
    script += "Romeo receives in any order:\n";
    for (kind, letter) in TYPES.iter().zip(outcomes.chars()).filter(|(_, l)| either(*l)) {
        script +=
            &if letter == 'E' { error(kind, "service-unavailable") } else { message(kind, to, "") };
    }
    script += "Romeo receives nothing\n";
    if !is_there {
        script += "Romeo sends:\n\t<presence/>\nRomeo receives:\n\t<presence/>\n";
        received(&mut script, "Romeo", to, outcomes, |letter| letter == 'O', DELAY);
    }
    script + "Romeo receives nothing\n"
}

fn messages(to: &str) -> String {
    let message = |kind: &&str| {
        let inner = match *kind {
            "error" => {
                "<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
            }
            _ => "<body>Hi</body>",
        };
        format!("\t<message{to}{} id='m-{kind}'>{inner}</message>\n", attribute(kind))
    };
    TYPES.iter().map(message).collect()
}

fn attribute(kind: &str) -> String {
    if kind.is_empty() { String::new() } else { format!(" type='{kind}'") }
}

fn errors(script: &mut String, outcomes: &str) {
    let told: String = TYPES
        .iter()
        .zip(outcomes.chars())
        .filter_map(|(kind, letter)| match letter {
            'E' => Some(error(kind, "service-unavailable")),
            'R' => Some(error(kind, "remote-server-not-found")),
            _ => None,
        })
        .collect();
    if !told.is_empty() {
        *script += &format!("Romeo receives:\n{told}");
    }
    *script += "Romeo receives nothing\n";
}

fn error(kind: &str, condition: &str) -> String {
    format!(
        "\t<message type='error' id='m-{kind}'><error type='cancel'>\
         <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>\n"
    )
}

fn received(
    script: &mut String,
    name: &str,
    to: &str,
    outcomes: &str,
    gets: impl Fn(char) -> bool,
    more: &str,
) {
    let got: String = TYPES
        .iter()
        .zip(outcomes.chars())
        .filter(|(_, letter)| gets(*letter))
        .map(|(kind, _)| message(kind, to, more))
        .collect();
    if !got.is_empty() {
        *script += &format!("{name} receives:\n{got}");
    }
}

/// The address stays as it was (RFC 6121 §8.5.2.1.1).
fn message(kind: &str, to: &str, more: &str) -> String {
    let strictness = if kind == "error" { " scansion:strict='false'" } else { "" };
    let inner = if kind == "error" { "" } else { "<body>Hi</body>" };
    let kind_of = if ["normal", "whisper"].contains(&kind) {
        " type='{scansion:maybe}'".to_owned()
    } else {
        attribute(kind)
    };
    format!("\t<message{to}{kind_of} id='m-{kind}'{strictness}>{inner}{more}</message>\n")
}

const HEAD: &str = "# A row of the table, and all types.
# covers: RFC 6121 §8.5, RFC 6121 §5.2.2
[Client] Romeo
	jid: romeo@localhost/orchard
	password: soldierly
";
const CONTACT: &str = "[Client] Balcony
	jid: juliet@localhost/balcony
	password: beauteous
[Client] Phone
	jid: juliet@localhost/phone
	password: beauteous
	account: none
[Client] Desk
	jid: juliet@localhost/desk
	password: beauteous
	account: none
";
const DELAY: &str = "<delay xmlns='urn:xmpp:delay' from='localhost' stamp='{scansion:any}'/>";
