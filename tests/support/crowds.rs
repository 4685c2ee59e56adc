//! Conversations with more in them than one would write down.

/// Each with its name.
pub(crate) fn conversations() -> Vec<(&'static str, String)> {
    vec![
        ("xep-0160/very_many", very_many("")),
        ("xep-0160/very_many_acknowledged", very_many("Juliet enables stream management\n")),
        ("rfc6121/presence_directed_to_a_crowd", presence_directed_to_a_crowd()),
        ("rfc6121/roster_groups", roster_groups()),
        ("rfc6121/roster_many_changes", roster_many_changes()),
    ]
}

/// RFC 6121 §4.6.3: a thousand are told the end; one more is not told the beginning.
fn presence_directed_to_a_crowd() -> String {
    let to = |n: usize| format!("\t<presence to='c{n}@localhost' id='p{n}'/>\n");
    let crowd: String = (0..1001).map(to).collect();
    format!(
        "{HEAD}[Client] Juliet\n\tjid: c7@localhost/balcony\n\tpassword: beauteous\n-----\n\
         Romeo connects\nJuliet connects\nJuliet sends:\n\t<presence/>\n\
         Juliet receives:\n\t<presence/>\nRomeo sends:\n{crowd}\
         Romeo receives:\n\t<presence type='error' id='p1000'><error type='wait'>\
         <resource-constraint xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>\n\
         Juliet receives:\n\t<presence id='p7'/>\nRomeo sends:\n\
         \t<presence to='c0@localhost' type='unavailable'/>\n{}Romeo receives nothing\n\
         Romeo disconnects\nJuliet receives:\n\
         \t<presence type='unavailable' from='romeo@localhost/orchard' to='c7@localhost'/>\n\
         Juliet receives nothing\n",
        to(1000)
    )
}

/// XEP-0160 §2, XEP-0198 §4: more than a client may leave unacknowledged, and more than a mailbox
/// holds, comes at its pace, in order and once, with what is newer behind it.
fn very_many(before_presence: &str) -> String {
    let numbers = 0..2500;
    let send =
        |n| format!("\t<message to='juliet@localhost' type='chat'><body>{n}</body></message>\n");
    let sent: String = numbers.clone().map(send).collect();
    let receive =
        |n| format!("\t<message type='chat' scansion:strict='false'><body>{n}</body></message>\n");
    let received: String = numbers.map(receive).collect();
    format!(
        "# server: limits.offline_messages=3000\n# server: limits.silence=24 h\n{HEAD}[Client] Juliet\n\
         \tjid: juliet@localhost/balcony\n\tpassword: beauteous\n-----\nRomeo connects\n\
         Romeo sends:\n{sent}Romeo receives nothing\nJuliet connects\n{before_presence}Juliet sends:\n\
         \t<presence/>\nRomeo sends:\n{newer}Juliet receives:\n\t<presence/>\n{received}\
         \t<message type='chat' scansion:strict='false'><body>newer</body></message>\n\
         Juliet receives nothing\nJuliet disconnects\nJuliet connects\nJuliet sends:\n\
         \t<presence/>\nJuliet receives:\n\t<presence/>\nJuliet receives nothing\n",
        newer =
            "\t<message to='juliet@localhost/balcony' type='chat'><body>newer</body></message>\n",
    )
}

/// RFC 6121 §2.3.3: a hundred groups are enough for one contact.
fn roster_groups() -> String {
    let set = |id: &str, count: usize| {
        let groups: String = (0..count).map(|n| format!("<group>{n}</group>")).collect();
        format!(
            "Romeo sends:\n\t<iq type='set' id='{id}'><query xmlns='jabber:iq:roster'>\
             <item jid='juliet@localhost'>{groups}</item></query></iq>\n"
        )
    };
    let refused = |id: &str| {
        format!(
            "Romeo receives:\n\t<iq type='error' id='{id}'><error type='modify'>\
             <not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>\n"
        )
    };
    let mut script = format!("{HEAD}-----\nRomeo connects\n{}", set("a", 100));
    script += "Romeo receives:\n\t<iq type='result' id='a'/>\n";
    script += &format!("{}{}", set("b", 101), refused("b"));
    script + &format!("{}{}", set("c", 1000), refused("c"))
}

/// RFC 6121 §2.6.3: more changes than are worth a push each are sent as the whole roster.
fn roster_many_changes() -> String {
    let mut script = format!("{HEAD}-----\nRomeo connects\n");
    let add = |n: usize| {
        format!(
            "Romeo sends:\n\t<iq type='set' id='s{n}'><query xmlns='jabber:iq:roster'>\
             <item jid='c{n}@localhost'/></query></iq>\nRomeo receives:\n\t\
             <iq type='result' id='s{n}'/>\n"
        )
    };
    let item = |n: usize| format!("<item jid='c{n}@localhost' subscription='none'/>");
    let whole = |id: &str, ver: &str, count: usize, keep: &str| {
        let items: String = (0..count).map(item).collect();
        format!(
            "Romeo sends:\n\t<iq type='get' id='{id}'><query xmlns='jabber:iq:roster' \
             ver='{ver}'/></iq>\nRomeo receives:\n\t<iq type='result' id='{id}'>\
             <query xmlns='jabber:iq:roster' ver='{{scansion:keep {keep}}}'>{items}</query></iq>\n"
        )
    };
    script += &add(0);
    script += &whole("g1", "", 1, "old");
    script += "Romeo disconnects\nRomeo connects\n";
    script += &(1..52).map(add).collect::<String>();
    script += &whole("g2", "${old}", 52, "new");
    script + "Romeo receives nothing\n"
}

const HEAD: &str = "[Client] Romeo\n\tjid: romeo@localhost/orchard\n\tpassword: soldierly\n";
