//! What an archive answers (XEP-0313), with messages put into it by hand: a client over TLS on a pipe,
//! a server in this process.

#![expect(clippy::unwrap_used, reason = "the helpers of a test stand outside of its functions")]

#[path = "support/peer.rs"]
mod peer;
#[path = "archive/test_server.rs"]
mod test_server;
#[path = "support/trust.rs"]
mod trust;

use std::time::Duration;

use test_server::{START, TestServer, bare};
use tokio::time::sleep;
use waxwing::payload::datetime::Timestamp;
use waxwing::storage::MessageId;

const ROMEO: &str = "romeo@localhost";
const JULIET: &str = "juliet@localhost";

/// What stands behind `before` and before the next quote, wherever it stands.
fn all<'a>(heard: &'a str, before: &str) -> Vec<&'a str> {
    heard.split(before).skip(1).map(|rest| rest.split(['\'', '<']).next().unwrap()).collect()
}

/// The numbers of the messages, in the order in which they came.
fn numbers(heard: &str) -> Vec<i64> {
    all(heard, " id='m").iter().map(|id| id.parse().unwrap()).collect()
}

fn form(fields: &[(&str, &str)]) -> String {
    let field = |(var, value): &(&str, &str)| {
        let values: String = value.split(',').map(|v| format!("<value>{v}</value>")).collect();
        format!("<field var='{var}'>{values}</field>")
    };
    let fields: String = fields.iter().map(field).collect();
    format!(
        "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'>\
         <value>urn:xmpp:mam:2</value></field>{fields}</x>"
    )
}

fn set(inner: &str) -> String {
    format!("<set xmlns='http://jabber.org/protocol/rsm'>{inner}</set>")
}

/// A query, the numbers of the messages that come, whether they are all, how many there are.
type Case = (String, Vec<i64>, bool, Option<usize>);

/// The page alone, in all ways.
fn of_pages() -> Vec<Case> {
    let whole = Some(10);
    vec![
        // Everything.
        ("".into(), (0..10).collect(), true, whole),
        ("<flip-page/>".into(), (0..10).rev().collect(), true, whole),
        (form(&[]), (0..10).collect(), true, whole),
        (form(&[("with", ""), ("start", ""), ("ids", "")]), (0..10).collect(), true, whole),
        // By pages, both ways.
        (set("<max>3</max>"), vec![0, 1, 2], false, None),
        (set("<max>3</max><after>ID2</after>"), vec![3, 4, 5], false, None),
        (set("<max>4</max><after>ID5</after>"), vec![6, 7, 8, 9], true, None),
        (set("<max>3</max><after>ID9</after>"), vec![], true, None),
        (set("<max>3</max><before/>"), vec![7, 8, 9], false, None),
        (set("<max>3</max><before/>") + "<flip-page/>", vec![9, 8, 7], false, None),
        (set("<max>3</max><before>ID7</before>"), vec![4, 5, 6], false, None),
        (set("<max>4</max><before>ID4</before>"), vec![0, 1, 2, 3], true, None),
        (set("<max>4</max><before>ID0</before>"), vec![], true, None),
        (set("<before/>"), (0..10).collect(), true, whole),
        (set("<max>10</max>"), (0..10).collect(), true, whole),
        (set("<max>99999999999999999999</max>"), (0..10).collect(), true, whole),
        // From a position on.
        (set("<max>3</max><index>0</index>"), vec![0, 1, 2], false, whole),
        (set("<max>3</max><index>4</index>"), vec![4, 5, 6], false, whole),
        (set("<max>3</max><index>7</index>") + "<flip-page/>", vec![9, 8, 7], true, whole),
        (set("<index>10</index>"), vec![], true, whole),
        (set("<index>99999999999999999999</index>"), vec![], true, whole),
        (form(&[("after-id", "ID6")]) + &set("<index>1</index>"), vec![8, 9], true, Some(3)),
        (
            form(&[("with", "nurse@capulet.lit"), ("start", "2026-07-01T12:00:02Z")])
                + &set("<max>2</max><index>2</index>"),
            vec![5, 7],
            false,
            Some(5),
        ),
        (
            form(&[("{urn:xmpp:fulltext:0}fulltext", "rose")])
                + &set("<max>1</max><index>8</index>"),
            vec![8],
            false,
            whole,
        ),
        // Nothing but the number.
        (set("<max>0</max>"), vec![], false, whole),
        (set("<max>0</max><before/>"), vec![], false, whole),
        (set("<max>0</max><after>ID3</after>"), vec![], false, whole),
        (form(&[("after-id", "ID6")]) + &set("<max>0</max>"), vec![], false, Some(3)),
        (form(&[("with", "tybalt@capulet.lit")]) + &set("<max>0</max>"), vec![], false, Some(4)),
    ]
}

/// With fields.
fn of_fields() -> Vec<Case> {
    vec![
        // By address.
        (form(&[("with", "tybalt@capulet.lit")]), vec![0, 3, 6, 9], true, Some(4)),
        (form(&[("with", "Nurse@capulet.lit")]), vec![1, 2, 4, 5, 7, 8], true, Some(6)),
        (form(&[("with", "nurse@capulet.lit/house")]), vec![1, 4, 7], true, Some(3)),
        (form(&[("with", "nurse@capulet.lit/garden")]), vec![], true, Some(0)),
        (form(&[("with", "capulet.lit")]), vec![], true, Some(0)),
        (form(&[("with", ROMEO)]), vec![], true, Some(0)),
        // By time: both ends are in it, and fractions are those that we write.
        (form(&[("start", "2026-07-01T12:00:07Z")]), vec![7, 8, 9], true, Some(3)),
        (form(&[("start", "2026-07-01T12:00:07.001Z")]), vec![8, 9], true, Some(2)),
        (form(&[("end", "2026-07-01T14:00:01+02:00")]), vec![0, 1], true, Some(2)),
        (
            form(&[("start", "2026-07-01T12:00:02Z"), ("end", "2026-07-01T12:00:04.5Z")]),
            vec![2, 3, 4],
            true,
            Some(3),
        ),
        (
            form(&[("start", "2026-07-01T12:00:04Z"), ("end", "2026-07-01T12:00:02Z")]),
            vec![],
            true,
            Some(0),
        ),
        (form(&[("start", "2031-01-01T00:00:00Z")]), vec![], true, Some(0)),
        (form(&[("end", "0001-01-01T00:00:00Z")]), vec![], true, Some(0)),
        // By id.
        (form(&[("after-id", "ID6")]), vec![7, 8, 9], true, Some(3)),
        (form(&[("before-id", "ID2")]), vec![0, 1], true, Some(2)),
        (form(&[("after-id", "ID2"), ("before-id", "ID5")]), vec![3, 4], true, Some(2)),
        (form(&[("after-id", "ID5"), ("before-id", "ID2")]), vec![], true, Some(0)),
        (form(&[("ids", "ID7,ID2,ID2")]), vec![2, 7], true, Some(2)),
        (form(&[("before-id", "ID5")]) + &set("<max>2</max>"), vec![0, 1], false, None),
        (form(&[("before-id", "ID5")]) + &set("<max>2</max><before/>"), vec![3, 4], false, None),
        (
            form(&[("ids", "ID7,ID2,ID4")]) + &set("<max>1</max><after>ID3</after>"),
            vec![4],
            false,
            None,
        ),
        // Together.
        (
            form(&[("with", "nurse@capulet.lit"), ("start", "2026-07-01T12:00:04Z")])
                + &set("<max>2</max><after>ID4</after>"),
            vec![5, 7],
            false,
            None,
        ),
        (
            form(&[("with", "nurse@capulet.lit"), ("include-groupchat", "true")])
                + &set("<max>2</max><before>ID7</before>")
                + "<flip-page/>",
            vec![5, 4],
            false,
            None,
        ),
        // By words (XEP-0431).
        (form(&[("{urn:xmpp:fulltext:0}fulltext", "ROSE Any")]), vec![4], true, Some(1)),
        (form(&[("{urn:xmpp:fulltext:0}fulltext", "thorn")]), vec![], true, Some(0)),
        (form(&[("{urn:xmpp:fulltext:0}fulltext", "!")]), vec![], true, Some(0)),
    ]
}

#[tokio::test(start_paused = true)]
async fn each_page_is_the_one_that_was_asked_for() {
    let server = TestServer::new("").await;
    let mut ids = Vec::new();
    for n in 0..10 {
        let with = ["tybalt@capulet.lit", "nurse@capulet.lit/house", "nurse@capulet.lit/street"];
        let text = if n == 4 { "A rose, by any other name" } else { "rose" };
        ids.push(server.put(ROMEO, with[n as usize % 3], n, text).await);
    }
    server.put(JULIET, "nurse@capulet.lit", 3, "not his").await;
    let id = |n: usize| server.id(ids[n]);
    let named =
        |text: &str| (0..10).fold(text.to_owned(), |t, n| t.replace(&format!("ID{n}"), &id(n)));
    let mut romeo = server.login("romeo").await;
    for (query, expected, complete, count) in of_pages().into_iter().chain(of_fields()) {
        let heard = romeo.asks(&named(&query)).await;
        assert_eq!(numbers(&heard), expected, "{query}: {heard}");
        assert_eq!(
            heard.contains("<fin xmlns='urn:xmpp:mam:2' complete='true'>"),
            complete,
            "{query}"
        );
        let counted: Vec<usize> =
            all(&heard, "<count>").iter().map(|c| c.parse().unwrap()).collect();
        assert_eq!(counted.first().copied(), count, "{query}: {heard}");
        // First and last are there if anything is, and the page is named as if it was not flipped.
        let tags = heard.split("<first").skip(1).filter_map(|rest| rest.split_once('>'));
        let first: Vec<&str> = tags.filter_map(|(_, id)| id.split('<').next()).collect();
        let last = all(&heard, "<last>");
        let ends = |n: Option<&i64>| n.map(|n| id(*n as usize)).into_iter().collect::<Vec<_>>();
        assert_eq!(first, ends(expected.iter().min()), "{query}: {heard}");
        assert_eq!(last, ends(expected.iter().max()), "{query}: {heard}");
        // Where one asks for a position, or all are there, it is said again.
        let is_whole = complete && count == Some(expected.len());
        let position = all(&query, "<index>").first().copied().or(is_whole.then_some("0"));
        if let Some(position) = position.filter(|_| !expected.is_empty()) {
            assert!(heard.contains(&format!("<first index='{position}'>")), "{query}: {heard}");
        }
        // Each message once, with the id of the archive, before the answer.
        let results = all(&heard, "<result xmlns='urn:xmpp:mam:2' id='");
        assert_eq!(results, expected.iter().map(|n| id(*n as usize)).collect::<Vec<_>>());
        assert_eq!(heard.matches(" queryid='f27'>").count(), expected.len());
    }
    server.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_result_is_the_message_as_it_was() {
    let server = TestServer::new("").await;
    let id = server.put(ROMEO, "juliet@capulet.lit/balcony", 2, "it's &lt; &amp; \u{1F339}").await;
    let mut romeo = server.login("romeo").await;
    let heard = romeo.asks(&set("<max>1</max>")).await;
    let id = server.id(id);
    let expected = format!(
        "<message from='romeo@localhost' to='romeo@localhost/phone'>\
         <result xmlns='urn:xmpp:mam:2' id='{id}' queryid='f27'>\
         <forwarded xmlns='urn:xmpp:forward:0'>\
         <delay xmlns='urn:xmpp:delay' stamp='2026-07-01T12:00:02.000Z'/>\
         <message xmlns='jabber:client' from='juliet@capulet.lit/balcony' to='romeo@localhost' \
         id='m2' type='chat' xml:lang='en'><body>it's &lt; &amp; \u{1F339}</body></message>\
         </forwarded></result></message>\
         <iq from='romeo@localhost' to='romeo@localhost/phone' id='q' type='result'>\
         <fin xmlns='urn:xmpp:mam:2' complete='true'>\
         <set xmlns='http://jabber.org/protocol/rsm'><first index='0'>{id}</first>\
         <last>{id}</last><count>1</count></set></fin></iq>"
    );
    assert_eq!(heard, expected);
    let metadata = "<iq type='get' id='e'><metadata xmlns='urn:xmpp:mam:2'/></iq>";
    romeo.say(metadata).await;
    let heard = romeo.hears("</iq>").await;
    for end in ["start", "end"] {
        let end = format!("<{end} id='{id}' timestamp='2026-07-01T12:00:02.000Z'/>");
        assert!(heard.contains(&end), "{heard}");
    }
    server.close().await;
}

#[tokio::test(start_paused = true)]
async fn an_id_of_another_archive_or_of_none_is_not_found() {
    let server = TestServer::new("").await;
    let hers = server.id(server.put(JULIET, "nurse@capulet.lit", 1, "hers").await);
    let both = server.put(ROMEO, "nurse@capulet.lit", 2, "his").await;
    let no_number = server.id(MessageId::new(7).unwrap());
    let mut romeo = server.login("romeo").await;
    for id in [&hers, &no_number, &hers.to_uppercase(), &String::from("x")] {
        for query in [
            set(&format!("<after>{id}</after>")),
            set(&format!("<max>5</max><before>{id}</before>")),
            form(&[("after-id", id)]),
            form(&[("before-id", id)]),
            form(&[("ids", &format!("{},{id}", server.id(both)))]),
        ] {
            let heard = romeo.asks(&query).await;
            assert!(heard.contains("<item-not-found "), "{query}: {heard}");
            assert!(!heard.contains("<result "), "{query}: {heard}");
        }
    }
    server.close().await;
}

#[tokio::test(start_paused = true)]
async fn large_and_long_pages_come_at_the_pace_of_the_client() {
    let server = TestServer::new("[limits]\ninbox_stanzas = 16").await;
    for n in 0..300 {
        server.put(ROMEO, "juliet@capulet.lit", n, &"x".repeat(2_000)).await;
    }
    let mut romeo = server.login("romeo").await;
    let heard = romeo.asks("").await;
    assert_eq!(numbers(&heard), (0..250).collect::<Vec<_>>());
    assert!(!heard.contains("complete="));
    let last = all(&heard, "<last>")[0].to_owned();
    let rest = romeo.asks(&set(&format!("<after>{last}</after>"))).await;
    assert_eq!(numbers(&rest), (250..300).collect::<Vec<_>>());
    assert!(rest.contains("complete='true'"));

    // A page with much in it has fewer messages.
    for n in 300..310 {
        server.put(ROMEO, "nurse@capulet.lit", n, &"x".repeat(200 << 10)).await;
    }
    let with = form(&[("with", "nurse@capulet.lit")]);
    let heard = romeo.asks(&with).await;
    assert_eq!(numbers(&heard), (300..306).collect::<Vec<_>>());
    assert!(!heard.contains("complete="));
    let heard = romeo.asks(&(with + &set("<before/>"))).await;
    assert_eq!(numbers(&heard), (304..310).collect::<Vec<_>>());
    server.close().await;
}

#[tokio::test(start_paused = true)]
async fn half_a_page_is_not_taken_for_a_whole_one() {
    let server = TestServer::new("").await;
    for n in 0..250 {
        server.put(ROMEO, "juliet@capulet.lit", n, &"x".repeat(4_000)).await;
    }
    let mut romeo = server.login("romeo").await;
    romeo.say("<enable xmlns='urn:xmpp:sm:3' resume='true'/>").await;
    let enabled = romeo.hears("/>").await;
    let id = all(&enabled, " id='")[0].to_owned();
    // It asks, reads nothing, and is gone.
    romeo.say("<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'/></iq>").await;
    sleep(Duration::from_secs(1)).await;
    drop(romeo);
    sleep(Duration::from_secs(1)).await;
    let mut again = server.authenticated("romeo").await;
    again.say(&format!("<resume xmlns='urn:xmpp:sm:3' previd='{id}' h='0'/>")).await;
    let heard = again.hears("</iq>").await;
    let came = numbers(&heard);
    assert!(came.len() < 250, "{}", came.len());
    assert_eq!(came, (0..came.len() as i64).collect::<Vec<_>>());
    assert!(heard.contains("<resource-constraint ") && !heard.contains("<fin "), "{heard}");
    let heard = again.asks(&set("<max>3</max>")).await;
    assert_eq!(numbers(&heard), [0, 1, 2]);
    server.close().await;
}

#[tokio::test(start_paused = true)]
async fn no_question_is_too_large() {
    let server = TestServer::new("").await;
    server.put(ROMEO, "juliet@capulet.lit", 1, "x").await;
    let mut romeo = server.login("romeo").await;
    let values = |n: usize| vec!["0123456789abcdef"; n].join(",");
    let long = "a".repeat(100_000);
    let cases = [
        (form(&[("ids", &values(3_000))]), "<policy-violation "),
        (form(&[("with", &long)]), "<jid-malformed "),
        (form(&[("with", &format!("a@b/{long}"))]), "<jid-malformed "),
        (form(&[("start", &long)]), "<bad-request "),
        (form(&[(&long, "x")]), "<feature-not-implemented "),
        (set(&format!("<after>{long}</after>")), "<item-not-found "),
        (set(&format!("<max>{}</max>", "9".repeat(100_000))), "<fin "),
        (set("<after/>"), "<fin "),
        ("<flip-page/>".repeat(500), "<fin "),
    ];
    for (query, wanted) in cases {
        let heard = romeo.asks(&query).await;
        assert!(heard.contains(wanted), "{wanted}: {}", &heard[..heard.len().min(2_000)]);
    }
    romeo
        .say(&format!(
            "<iq type='set' id='l'><query xmlns='urn:xmpp:mam:2' queryid='{long}'/></iq>"
        ))
        .await;
    assert!(romeo.hears("</iq>").await.contains("<policy-violation "));
    server.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_is_answered_once() {
    let server = TestServer::new("").await;
    let mut romeo = server.login("romeo").await;
    server.storage.close().await;
    let heard = romeo.asks("").await;
    assert!(heard.contains("<internal-server-error "), "{heard}");
    for get in ["metadata", "prefs"] {
        romeo.say(&format!("<iq type='get' id='g'><{get} xmlns='urn:xmpp:mam:2'/></iq>")).await;
        let heard = romeo.hears("</iq>").await;
        assert!(heard.contains("<internal-server-error "), "{heard}");
    }
    server.close().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_too_old_or_too_much_is_forgotten() {
    let server = TestServer::new("[archive]\nage = \"30 d\"\nmessages = 700").await;
    let limit = |age: u64, messages| {
        waxwing::archive::retention::Limits::new(Duration::from_secs(age * 24 * 3600), messages)
    };
    for n in 0..1_000 {
        server.put(ROMEO, "juliet@capulet.lit", n, "x").await;
        if n < 20 {
            server.put(JULIET, ROMEO, n, "x").await;
        }
    }
    let own = Some(limit(0, 5));
    let set_limits = waxwing::modules::mam::expiry::set_limits;
    set_limits(&*server.storage, &bare(JULIET), own).await.unwrap();
    let (number, _) =
        server.storage.resumption().begin(&bare(ROMEO), "phone", "key").await.unwrap();
    server.storage.resumption().end(number, Timestamp::from_micros(START)).await.unwrap();
    let oldest = async |owner| {
        let ends = server.storage.archive().ends(&bare(owner)).await.unwrap();
        ends.map(|(oldest, _)| (oldest.1.as_micros() - START) / 1_000_000)
    };
    assert_eq!(oldest(ROMEO).await, Some(0));
    sleep(Duration::from_secs(120)).await;
    assert_eq!((oldest(ROMEO).await, oldest(JULIET).await), (Some(300), Some(15)));
    assert!(server.storage.resumption().find("key").await.unwrap().is_some());

    server.clock.advance(Duration::from_secs(30 * 24 * 3600 + 600));
    sleep(Duration::from_secs(3600)).await;
    assert_eq!((oldest(ROMEO).await, oldest(JULIET).await), (Some(600), Some(15)));
    assert!(server.storage.resumption().find("key").await.unwrap().is_none());

    // The ids of what is gone are unknown; the rest is there.
    let mut romeo = server.login("romeo").await;
    let gone = server.id(MessageId::new(START + 5_000_000).unwrap());
    let heard = romeo.asks(&set(&format!("<after>{gone}</after>"))).await;
    assert!(heard.contains("<item-not-found "), "{heard}");
    let heard = romeo.asks(&set("<max>1</max>")).await;
    assert_eq!(numbers(&heard), [600]);

    set_limits(&*server.storage, &bare(JULIET), None).await.unwrap();
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(oldest(JULIET).await, None);
    server.close().await;
}
