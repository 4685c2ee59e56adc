//! Conversations with more in them than one would write down.

/// Each with its name.
pub(crate) fn conversations() -> Vec<(&'static str, String)> {
    vec![
        ("xep-0198/old_connection_hangs", old_connection_hangs()),
        ("xep-0160/very_many", very_many("")),
        ("xep-0160/very_many_acknowledged", very_many("Juliet enables stream management\n")),
        ("xep-0160/asked_while_much_comes", asked_while_much_comes()),
        ("rfc6121/presence_directed_to_a_crowd", presence_directed_to_a_crowd()),
        ("rfc6121/roster_groups", roster_groups()),
        ("rfc6121/roster_many_changes", roster_many_changes()),
        ("rfc6120/servers_many_unknown", servers_many_unknown()),
        ("xep-0114/a_thousand_wrong_secrets", a_thousand_wrong_secrets()),
        ("xep-0045/very_many_members", very_many_members()),
        ("xep-0045/very_many_rooms", very_many_rooms()),
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

/// RFC 6120 §8.3.3.15: a user addresses 300 domains that nobody knows. Each message comes back, and those who write to a
/// domain that is there do not wait behind them.
fn servers_many_unknown() -> String {
    let send = |n| {
        format!("\t<message to='x@d{n}.example' type='chat' id='{n}'><body>hi</body></message>\n")
    };
    let back = |n| {
        format!(
            "\t<message type='error' id='{n}' from='x@d{n}.example'><error type='cancel'>\
             <remote-server-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>\n"
        )
    };
    let (sent, came): (String, String) = (0..300).map(|n| (send(n), back(n))).unzip();
    format!(
        "{HEAD}[Client] Juliet\n\tjid: juliet@localhost/balcony\n\tpassword: beauteous\n\
         [Client] There\n\tjid: c.example\n\ttransport: server\n\taccount: none\n\
         \tcertificate: c.example\n-----\nRomeo connects\nJuliet connects\nRomeo sends:\n{sent}\
         Juliet sends:\n\t<message to='x@c.example' type='chat'><body>hi</body></message>\n\
         There accepts a secured stream\nThere takes the server's certificate\nThere sends:\n\
         \t<stream:features/>\nThere receives:\n\t<message xmlns='jabber:server' type='chat'>\
         <body>hi</body></message>\nRomeo receives in any order:\n{came}Romeo receives nothing\n"
    )
}

/// XEP-0114 §3: who guesses the secret of a component is told no each time, and more and more slowly. One that knows it comes
/// in when the guesses have been a while ago.
fn a_thousand_wrong_secrets() -> String {
    let guess = "Guess connects raw as a component\n\
                 Guess opens the stream of a component with \"south\"\n\
                 Guess's stream ends with \"not-authorized\"\n";
    format!(
        "# server: component=[{{ domain = \"irc.localhost\", secret = \"north\" }}]\n\
         [Client] Guess\n\tjid: irc.localhost\n\ttransport: component\n\taccount: none\n\
         [Client] Irc\n\tjid: irc.localhost\n\ttransport: component\n\taccount: none\n-----\n{}\
         1 hour passes\nIrc connects raw as a component\n\
         Irc opens the stream of a component with \"north\"\nIrc receives:\n\
         \t<handshake xmlns='jabber:component:accept'/>\n",
        guess.repeat(1000)
    )
}

/// XEP-0198 §4: a client that answers an old question, when much has come since, is asked again: else
/// nobody would say that there is room for the rest.
fn asked_while_much_comes() -> String {
    let numbers = 0..200;
    let send =
        |n| format!("\t<message to='juliet@localhost' type='chat'><body>{n}</body></message>\n");
    let sent: String = numbers.map(send).collect();
    let receive =
        |n| format!("\t<message type='chat' scansion:strict='false'><body>{n}</body></message>\n");
    let ahead: String = (0..129).map(receive).collect();
    let rest: String = (129..200).map(receive).collect();
    format!(
        "{HEAD}[Client] Juliet\n\tjid: juliet@localhost/balcony\n\tpassword: beauteous\n-----\n\
         Romeo connects\nRomeo sends:\n{sent}\t<iq type='get' id='p' to='localhost'>\
         <ping xmlns='urn:xmpp:ping'/></iq>\nRomeo receives:\n\t<iq type='result' id='p'/>\n\
         Juliet connects\nJuliet sends:\n\t<enable xmlns='urn:xmpp:sm:3'/>\nJuliet receives:\n\
         \t<enabled xmlns='urn:xmpp:sm:3'/>\nJuliet sends:\n\t<presence/>\n\
         Juliet receives in any order:\n\t<presence/>\n\t<r xmlns='urn:xmpp:sm:3'/>\n{ahead}\
         Juliet receives nothing\nJuliet sends:\n\t<a xmlns='urn:xmpp:sm:3' h='1'/>\n\
         Juliet receives in any order:\n\t<r xmlns='urn:xmpp:sm:3'/>\nJuliet receives nothing\n\
         Juliet sends:\n\t<a xmlns='urn:xmpp:sm:3' h='130'/>\n\
         Juliet receives in any order:\n\t<r xmlns='urn:xmpp:sm:3'/>\n{rest}"
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

/// XEP-0198 §5: an old connection that takes nothing more does not keep its client from resuming, nor
/// from anything that was sent.
fn old_connection_hangs() -> String {
    let text = "x".repeat(200_000);
    let send = |n: usize| {
        format!(
            "\t<message to='juliet@localhost/balcony' type='chat' id='m{n}'><body>{text}</body></message>\n"
        )
    };
    let sent: String = (1..=8).map(send).collect();
    let message =
        |n: usize| format!("\t<message type='chat' id='m{n}' scansion:strict='false'/>\n");
    let received: String = (1..=8).map(message).collect();
    format!(
        "{HEAD}[Client] Juliet\n\tjid: juliet@localhost/balcony\n\tpassword: beauteous\n\
         [Client] Again\n\tjid: juliet@localhost/balcony\n\tpassword: beauteous\n\taccount: none\n\
         -----\nRomeo connects\nJuliet connects\nJuliet sends:\n\
         \t<enable xmlns='urn:xmpp:sm:3' resume='true'/>\nJuliet receives:\n\
         \t<enabled xmlns='urn:xmpp:sm:3' id='{{scansion:keep sm}}' scansion:strict='false'/>\n\
         Romeo sends:\n{sent}Romeo receives nothing\nAgain connects raw\n\
         Again opens a stream to \"localhost\"\nAgain starts TLS\n\
         Again opens a stream to \"localhost\"\nAgain authenticates\nAgain receives:\n\
         \t<stream:features scansion:strict='false'/>\nAgain sends:\n\
         \t<resume xmlns='urn:xmpp:sm:3' previd='${{sm}}' h='0'/>\nAgain receives:\n\
         \t<resumed xmlns='urn:xmpp:sm:3' previd='${{sm}}' h='0'/>\n{received}\
         \t<r xmlns='urn:xmpp:sm:3'/>\nAgain receives nothing\n"
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

/// XEP-0045 §9.3, §9.5: ten thousand members are added in a few requests, read in one answer, and still there after a
/// restart. One more is refused, until there is room. Nobody in the room is sent a message for each of them.
fn very_many_members() -> String {
    let room = "garden@conference.localhost";
    let ask = |id: &str, kind: &str, items: &str| {
        format!(
            "Romeo sends:\n\t<iq type='{kind}' id='{id}' to='{room}'>\
             <query xmlns='http://jabber.org/protocol/muc#admin'>{items}</query></iq>\n"
        )
    };
    let item = |n: usize, affiliation: &str| {
        format!("<item affiliation='{affiliation}' jid='w{n:05}@localhost'/>")
    };
    let done = |id: &str| format!("Romeo receives:\n\t<iq type='result' id='{id}'/>\n");
    let list = |id: &str, there: &[usize], none: &[usize]| {
        let item = |n: &usize| item(*n, "member");
        let there: String = there.iter().map(item).collect();
        let none: String = none.iter().map(item).collect();
        let none = none.replace("/>", " scansion:none='true'/>");
        let asked = ask(id, "get", "<item affiliation='member'/>");
        format!(
            "{asked}Romeo receives:\n\t<iq type='result' id='{id}'><query \
             xmlns='http://jabber.org/protocol/muc#admin' scansion:strict='false'>\
             {there}{none}</query></iq>\n"
        )
    };
    let enter = |who: &str| {
        format!(
            "{who} sends:\n\t<presence to='{room}/{who}'>\
             <x xmlns='http://jabber.org/protocol/muc'/></presence>\n"
        )
    };
    let mut script = format!(
        "# server: rooms=[{{ affiliations = 10001 }}]\n{HEAD}[Client] Juliet\n\
         \tjid: juliet@localhost/balcony\n\tpassword: beauteous\n-----\nRomeo connects\n\
         Juliet connects\n{}\t<iq type='set' id='make' to='{room}'>\
         <query xmlns='http://jabber.org/protocol/muc#owner'>\
         <x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>\
         <value>http://jabber.org/protocol/muc#roomconfig</value></field>\
         <field var='muc#roomconfig_persistentroom'><value>1</value></field>\
         <field var='muc#roomconfig_whois'><value>anyone</value></field></x></query></iq>\n\
         Romeo discards what has come\n{}Juliet discards what has come\n\
         Romeo discards what has come\n",
        enter("Romeo"),
        enter("Juliet")
    );
    for part in 0..4 {
        let items: String = (part * 2500..(part + 1) * 2500).map(|n| item(n, "member")).collect();
        let id = format!("set{part}");
        script += &format!("{}{}", ask(&id, "set", &items), done(&id));
    }
    script += "Juliet receives nothing\n";
    script += &list("list", &[0, 2499, 2500, 5000, 9999], &[10_000]);
    script += &ask("more", "set", &item(10_000, "member"));
    script += "Romeo receives:\n\t<iq type='error' id='more'><error type='wait'><resource-constraint \
         xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>\nThe server restarts\n\
         Romeo connects\n";
    script += &list("again", &[0, 2499, 2500, 5000, 9999], &[10_000]);
    script += &format!("{}{}", ask("less", "set", &item(0, "none")), done("less"));
    script += &format!("{}{}", ask("last", "set", &item(10_000, "member")), done("last"));
    script + &list("end", &[1, 10_000], &[0])
}

/// XEP-0045 §10.1: of a thousand new rooms a user has a hundred (`rooms_per_user`), and each of the others is refused by
/// itself. Another user makes rooms meanwhile.
fn very_many_rooms() -> String {
    let x = "<x xmlns='http://jabber.org/protocol/muc'/>";
    let enter = |n: usize| {
        format!("\t<presence to='r{n}@conference.localhost/Romeo' id='p{n}'>{x}</presence>\n")
    };
    let made = |n: usize, who: &str, nick: &str| {
        format!(
            "\t<presence from='{who}@conference.localhost/{nick}' id='p{n}'>\
             <occupant-id xmlns='urn:xmpp:occupant-id:0' id='{{scansion:any}}'/>\
             <x xmlns='http://jabber.org/protocol/muc#user' scansion:strict='false'>\
             <status code='201'/></x></presence>\n\
             \t<message from='{who}@conference.localhost' type='groupchat'><subject/></message>\n"
        )
    };
    let refused = |n: usize| {
        format!(
            "\t<presence type='error' from='r{n}@conference.localhost/Romeo' id='p{n}'>\
             <error type='wait'><resource-constraint xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
             </error></presence>\n"
        )
    };
    let asked: String = (0..1000).map(enter).collect();
    let all_made: String = (0..100).map(|n| made(n, &format!("r{n}"), "Romeo")).collect();
    let all_refused: String = (100..1000).map(refused).collect();
    format!(
        "{HEAD}[Client] Juliet\n\tjid: juliet@localhost/balcony\n\tpassword: beauteous\n-----\n\
         Romeo connects\nJuliet connects\nRomeo sends:\n{asked}Juliet sends:\n\
         \t<presence to='garden@conference.localhost/Juliet' id='p1'>{x}</presence>\n\
         Juliet receives:\n{}Romeo receives in any order:\n{all_made}{all_refused}\
         Romeo receives nothing\nJuliet receives nothing\n",
        made(1, "garden", "Juliet")
    )
}

const HEAD: &str = "[Client] Romeo\n\tjid: romeo@localhost/orchard\n\tpassword: soldierly\n";
