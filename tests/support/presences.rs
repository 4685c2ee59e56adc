//! A conversation for each condition and each address of RFC 6121 §8.5, with presence and requests
//! of each type: who gets them, and what the sender hears. Messages are in `messages.rs`,
//! subscriptions in `subscriptions.rs`.
//!
//! The sender is a stranger, and nobody answers: what is heard comes from the server.

/// Each with its name.
pub(crate) fn conversations() -> Vec<(String, String)> {
    let mut all = Vec::new();
    for condition in CONDITIONS {
        for ((address, to), outcomes) in condition.rows {
            let name = format!("rfc6121/presences/{}/{address}", condition.name);
            all.push((name, conversation(condition, to, outcomes)));
        }
    }
    all
}

/// What is there of the one who is meant.
struct Condition {
    name: &'static str,
    /// How it comes about.
    begin: &'static str,
    /// Clients that can be asked what they got. The first one has the full JID that is meant.
    reads: &'static [&'static str],
    /// Those that are available.
    available: &'static [&'static str],
    /// An address, and what becomes of each of [`STANZAS`]; in the letters of [`CONDITIONS`].
    rows: &'static [(Address, &'static str)],
}

/// Its name, and the JID.
type Address = (&'static str, &'static str);

const BARE: Address = ("bare", "juliet@localhost");
const FULL: Address = ("full_match", "juliet@localhost/balcony");
const GONE: Address = ("full_no_match", "juliet@localhost/tomb");

/// Name, type and content of a stanza, which is its id, too. In the order of the letters.
const STANZAS: [(&str, &str, &str); 8] = [
    ("presence", "", "<status>psst</status>"),
    ("presence", "unavailable", "<status>bye</status>"),
    ("presence", "error", GONE_ERROR),
    ("presence", "probe", ""),
    ("iq", "get", "<q xmlns='urn:example:q'/>"),
    ("iq", "set", "<q xmlns='urn:example:q'/>"),
    ("iq", "result", "<q xmlns='urn:example:q'/>"),
    ("iq", "error", GONE_ERROR),
];

const GONE_ERROR: &str =
    "<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";

/// A: to all sessions that are available. D: to this session. E: service-unavailable. R: there is no
/// such server. S: silence (for a probe, an answer that says nothing is allowed).
const CONDITIONS: &[Condition] = &[
    Condition {
        name: "no_account",
        begin: "",
        reads: &[],
        available: &[],
        rows: &[
            (("bare", "nobody@localhost"), "SSSSEESS"),
            (("full", "nobody@localhost/tomb"), "SSSSEESS"),
        ],
    },
    Condition {
        name: "the_server",
        begin: "",
        reads: &[],
        available: &[],
        // RFC 6120 §10.5.1, §10.5.2: a resource makes no difference.
        rows: &[(("bare", "localhost"), "SSSSEESS"), (("full", "localhost/tomb"), "SSSSEESS")],
    },
    Condition {
        name: "elsewhere",
        begin: "",
        reads: &[],
        available: &[],
        // RFC 6120 §10.4; a probe is no cause for an error (RFC 6121 §4.3).
        rows: &[
            (("server", "verona.invalid"), "RRSSRRSS"),
            (("bare", "juliet@verona.invalid"), "RRSSRRSS"),
            (("full", "juliet@verona.invalid/tomb"), "RRSSRRSS"),
        ],
    },
    Condition {
        name: "no_session",
        begin: "",
        reads: &[],
        available: &[],
        rows: &[(BARE, "SSSSEESS"), (GONE, "SSSSEESS")],
    },
    Condition {
        name: "connected",
        begin: "Balcony connects\n",
        reads: &["Balcony"],
        available: &[],
        rows: &[(BARE, "SSSSEESS"), (FULL, "DDDSEEDD"), (GONE, "SSSSEESS")],
    },
    Condition {
        name: "one_negative",
        begin: "Balcony connects\nBalcony sends:\n\t<presence><priority>-1</priority></presence>\n",
        reads: &["Balcony"],
        available: &["Balcony"],
        rows: &[(BARE, "AAASEESS"), (FULL, "DDDSEEDD"), (GONE, "SSSSEESS")],
    },
    Condition {
        name: "two",
        begin: "Balcony connects\nPhone connects\nBalcony sends:\n\t<presence/>\n\
                Phone sends:\n\t<presence><priority>5</priority></presence>\n",
        reads: &["Balcony", "Phone"],
        available: &["Balcony", "Phone"],
        rows: &[(BARE, "AAASEESS"), (FULL, "DDDSEEDD"), (GONE, "SSSSEESS")],
    },
    Condition {
        name: "connected_and_available",
        begin: "Balcony connects\nPhone connects\nPhone sends:\n\t<presence/>\n",
        reads: &["Balcony", "Phone"],
        available: &["Phone"],
        rows: &[(BARE, "AAASEESS"), (FULL, "DDDSEEDD"), (GONE, "SSSSEESS")],
    },
    Condition {
        name: "one_that_is_lost",
        begin: "Balcony connects\nBalcony sends:\n\t<presence/>\nBalcony discards what has come\n\
                Balcony enables stream management\nBalcony loses the network\n",
        reads: &["Balcony"],
        available: &["Balcony"],
        rows: &[(BARE, "AAASEESS"), (FULL, "DDDSEEDD"), (GONE, "SSSSEESS")],
    },
];

fn conversation(condition: &Condition, to: &str, outcomes: &str) -> String {
    let mut script = format!("{HEAD}Romeo connects\n{}", condition.begin);
    let lost = |name: &str| condition.begin.contains(&format!("{name} loses"));
    for name in condition.reads.iter().filter(|name| !lost(name)) {
        script += &format!("{name} discards what has come\n");
    }
    let all = || STANZAS.iter().zip(outcomes.chars());
    script += "Romeo sends:\n";
    script += &all().map(|(stanza, _)| element(stanza, to)).collect::<String>();
    let told: String = all()
        .filter_map(|(stanza, letter)| match letter {
            'E' => Some(error(stanza, to, "service-unavailable")),
            'R' => Some(error(stanza, to, "remote-server-not-found")),
            _ => None,
        })
        .collect();
    receives(&mut script, "Romeo", &told);
    for name in condition.reads {
        let gets = |letter| match letter {
            'A' => condition.available.contains(name),
            'D' => *name == "Balcony",
            _ => false,
        };
        if lost(name) {
            script += &format!("{name} resumes\n");
        }
        let got: String = all()
            .filter(|(_, letter)| gets(*letter))
            .map(|(stanza, _)| element(stanza, to))
            .collect();
        receives(&mut script, name, &got);
    }
    // Nothing waits for the next session (RFC 6121 §8.5.2.2.2), and nobody is told the end again.
    script += "Romeo disconnects\nDesk connects\nDesk sends:\n\t<presence/>\n";
    let there = "\t<presence scansion:strict='false'/>\n".repeat(1 + condition.available.len());
    script += &format!("Desk receives in any order:\n{there}Desk receives nothing\n");
    for name in condition.reads {
        script += &format!(
            "{name} receives{}\n",
            if condition.available.contains(name) {
                ":\n\t<presence from='juliet@localhost/desk'/>"
            } else {
                " nothing"
            }
        );
    }
    script
}

/// As it is sent, and as it is got: the address stays as it was (RFC 6121 §8.5.2.1.2).
fn element((name, kind, content): &(&str, &str, &str), to: &str) -> String {
    let of_kind = if kind.is_empty() { String::new() } else { format!(" type='{kind}'") };
    format!("\t<{name} to='{to}'{of_kind} id='{name}-{kind}'>{content}</{name}>\n")
}

fn error((name, kind, _): &(&str, &str, &str), to: &str, condition: &str) -> String {
    format!(
        "\t<{name} type='error' from='{to}' id='{name}-{kind}'><error type='cancel'>\
         <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></{name}>\n"
    )
}

fn receives(script: &mut String, name: &str, what: &str) {
    if !what.is_empty() {
        *script += &format!("{name} receives:\n{what}");
    }
    *script += &format!("{name} receives nothing\n");
}

const HEAD: &str = "# An address, and presence and requests of all types.
# covers: RFC 6121 §8.5
[Client] Romeo
	jid: romeo@localhost/orchard
	password: soldierly
[Client] Balcony
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
-----
";
