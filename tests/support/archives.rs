//! A conversation for each address that a message may go to: of each kind of message, which archives
//! have it afterwards, the sender's and the recipient's, and that both have it under the same id
//! (XEP-0313 §6.1.1, docs/delivery.md).

/// Each with its name.
pub(crate) fn conversations() -> Vec<(String, String)> {
    let rows = ROWS.iter().map(|row| (format!("xep-0313/who_archives/{}", row.name), script(row)));
    rows.collect()
}

/// Kinds of messages, in the order of the letters.
const KINDS: &[(&str, &str, &str)] = &[
    ("normal", "", "<body>a</body>"),
    ("chat", "chat", "<body>b</body>"),
    ("room", "groupchat", "<body>c</body>"),
    ("news", "headline", "<body>d</body>"),
    (
        "error",
        "error",
        "<body>e</body><error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>",
    ),
    ("stored", "headline", "<body>f</body><store xmlns='urn:xmpp:hints'/>"),
    ("state", "chat", "<composing xmlns='http://jabber.org/protocol/chatstates'/>"),
    ("receipt", "chat", "<received xmlns='urn:xmpp:receipts' id='x'/>"),
    ("marker", "chat", "<displayed xmlns='urn:xmpp:chat-markers:0' id='x'/>"),
    ("nowhere", "chat", "<body>g</body><no-store xmlns='urn:xmpp:hints'/>"),
    ("once", "chat", "<body>h</body><no-permanent-store xmlns='urn:xmpp:hints'/>"),
];

struct Row {
    name: &'static str,
    to: &'static str,
    /// What Juliet does before.
    begin: &'static str,
    /// B: in both archives. S: in the sender's alone. `-`: in none.
    archived: &'static str,
}

const ROWS: &[Row] = &[
    Row { name: "account", to: "juliet@localhost", begin: AVAILABLE, archived: "BB---B-BB--" },
    Row { name: "session", to: "juliet@localhost/desk", begin: AVAILABLE, archived: "BB---B-BB--" },
    // Nobody has this resource: what is not a chat is refused (RFC 6121 §8.5.3.2.1).
    Row { name: "gone", to: "juliet@localhost/tomb", begin: AVAILABLE, archived: "-B-----BB--" },
    Row { name: "offline", to: "juliet@localhost", begin: "", archived: "BB---B-BB--" },
    Row { name: "offline_gone", to: "juliet@localhost/tomb", begin: "", archived: "-B-----BB--" },
    Row { name: "blocked", to: "juliet@localhost", begin: BLOCKS, archived: "-----------" },
    Row { name: "no_account", to: "nobody@localhost", begin: "", archived: "-----------" },
    Row { name: "server", to: "localhost", begin: "", archived: "-----------" },
    Row { name: "elsewhere", to: "juliet@verona.invalid", begin: "", archived: "-----------" },
    // One entry: the sender is the recipient.
    Row { name: "oneself", to: "romeo@localhost", begin: "", archived: "SS---S-SS--" },
    Row { name: "own_session", to: "romeo@localhost/orchard", begin: "", archived: "SS---S-SS--" },
    Row { name: "own_gone", to: "romeo@localhost/tomb", begin: "", archived: "-S-----SS--" },
];

const AVAILABLE: &str = "Desk connects\nDesk sends:\n\t<presence/>\n";
const BLOCKS: &str = "Desk connects\nDesk sends:\n\t<iq type='set' id='b'>\
    <block xmlns='urn:xmpp:blocking'><item jid='romeo@localhost'/></block></iq>\n";

fn script(row: &Row) -> String {
    assert_eq!(row.archived.len(), KINDS.len(), "{}", row.name);
    let mut script = format!("{HEAD}Romeo connects\n{}Romeo sends:\n", row.begin);
    for (id, kind, inner) in KINDS {
        let kind = if kind.is_empty() { String::new() } else { format!(" type='{kind}'") };
        script += &format!("\t<message to='{}'{kind} id='{id}'>{inner}</message>\n", row.to);
    }
    script += "Romeo discards what has come\n";
    // The first to ask keeps the ids, the second one finds the same.
    script += &archive("Romeo", row, "BS", "{scansion:keep ID}");
    script +=
        if row.begin.is_empty() { "Desk connects\n" } else { "Desk discards what has come\n" };
    script + &archive("Desk", row, "B", "${ID}")
}

/// Asks for an archive: it has the messages with these letters.
fn archive(name: &str, row: &Row, letters: &str, id: &str) -> String {
    let mut script = format!(
        "{name} sends:\n\t<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'/></iq>\n\
         {name} receives:\n"
    );
    let archived = KINDS.iter().zip(row.archived.chars());
    let archived = archived.filter(|(_, letter)| letters.contains(*letter));
    for ((kind, ..), _) in archived {
        script += &format!(
            "\t<message><result xmlns='urn:xmpp:mam:2' id='{}'><forwarded \
             xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='{{scansion:any}}'/>\
             <message xmlns='jabber:client' id='{kind}' scansion:strict='false'/>\
             </forwarded></result></message>\n",
            id.replace("ID", kind)
        );
    }
    script += "\t<iq type='result' id='q' scansion:strict='false'/>\n";
    script + &format!("{name} receives nothing\n")
}

const HEAD: &str = "# Who archives which kind of message.
# covers: XEP-0313 §6.1.1, XEP-0313 §6.1, XEP-0334 §4, XEP-0359 §2.1
[Client] Romeo
	jid: romeo@localhost/orchard
	password: soldierly
[Client] Desk
	jid: juliet@localhost/desk
	password: beauteous
-----
";
