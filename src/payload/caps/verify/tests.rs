//! Tests of [`super::read`]: the examples of the specifications, answers that are ill-formed, and lies.

use super::{Description, MAX_BYTES, MAX_NODES, MAX_PARTS, read};
use crate::payload::caps::Advertised;
use crate::stanza::Content;
use crate::xml::Frame;

fn one(ver: &str) -> Advertised {
    let c =
        format!("<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='{ver}'/>");
    advertised(&c)
}

fn two(hash: &str) -> Advertised {
    let hash = format!("<hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>{hash}</hash>");
    advertised(&format!("<c xmlns='urn:xmpp:caps'>{hash}</c>"))
}

fn advertised(c: &str) -> Advertised {
    let presence = Frame::from_bytes(format!("<presence>{c}</presence>")).unwrap();
    Advertised::of(&Content::of(presence)).unwrap()
}

fn told(advertised: &Advertised, children: &str) -> Description {
    told_in(advertised, children, None)
}

fn told_in(advertised: &Advertised, children: &str, lang: Option<&str>) -> Description {
    let query = format!("<query xmlns='http://jabber.org/protocol/disco#info'>{children}</query>");
    read(advertised, &Frame::from_bytes(query).unwrap().root(), lang)
}

fn features(vars: &[&str]) -> String {
    vars.iter().map(|var| format!("<feature var='{var}'/>")).collect()
}

fn field(var: &str, kind: &str, values: &[&str]) -> String {
    let values: String = values.iter().map(|value| format!("<value>{value}</value>")).collect();
    format!("<field var='{var}' type='{kind}'>{values}</field>")
}

fn form(fields: &[String]) -> String {
    format!("<x xmlns='jabber:x:data' type='result'>{}</x>", fields.concat())
}

/// The hash of XEP-0115 of this text.
fn of_text(text: &str) -> Advertised {
    one(&super::super::Algorithm::Sha1.hash(text.as_bytes()))
}

fn is_verified(advertised: &Advertised, children: &str) -> bool {
    told(advertised, children).is_verified
}

/// XEP-0115 §5.3, in another order.
#[test]
fn the_example_of_version_1_is_verified() {
    let soft = [
        field("os", "", &["Mac"]),
        field("ip_version", "text-multi", &["ipv6", "ipv4"]),
        field("FORM_TYPE", "hidden", &["urn:xmpp:dataforms:softwareinfo"]),
        field("os_version", "", &["10.5.1"]),
        field("software_version", "", &["0.11"]),
        field("software", "", &["Psi"]),
    ];
    let rest = features(&[
        "http://jabber.org/protocol/muc",
        "http://jabber.org/protocol/caps",
        "http://jabber.org/protocol/disco#info",
        "http://jabber.org/protocol/disco#items",
    ]);
    let identity = |lang, name| {
        format!("<identity xml:lang='{lang}' category='client' name='{name}' type='pc'/>")
    };
    let answer = [identity("en", "Psi 0.11"), form(&soft), rest, identity("el", "Ψ 0.11")].concat();
    let expected = Description { is_verified: true, interests: Vec::new() };
    assert_eq!(told(&one("q07IKJEyjvHSyhy//CH0CxmKi8w="), &answer), expected);
    assert!(!is_verified(&one("q07IKJEyjvHSyhy//CH0CxmKi8x="), &answer));
    // What is no part of the algorithm changes nothing, and a form without a hidden type is ignored.
    let others = [
        "<other xmlns='urn:x'/>".to_owned(),
        form(&[field("FORM_TYPE", "text-single", &["urn:y"]), field("a", "", &["b"])]),
        form(&[field("a", "", &["b"])]),
    ];
    let answer = format!("{answer}{}", others.concat());
    assert_eq!(told(&one("q07IKJEyjvHSyhy//CH0CxmKi8w="), &answer), expected);
}

/// XEP-0390 §4.5.
#[test]
fn the_examples_of_version_2_are_verified() {
    let answer = "<identity category='client' name='BombusMod' type='mobile'/>".to_owned()
        + &features(&[
            "http://jabber.org/protocol/si",
            "http://jabber.org/protocol/bytestreams",
            "http://jabber.org/protocol/chatstates",
            "http://jabber.org/protocol/disco#info",
            "http://jabber.org/protocol/disco#items",
            "urn:xmpp:ping",
            "jabber:iq:time",
            "jabber:iq:privacy",
            "jabber:iq:version",
            "http://jabber.org/protocol/rosterx",
            "urn:xmpp:time",
            "jabber:x:oob",
            "http://jabber.org/protocol/ibb",
            "http://jabber.org/protocol/si/profile/file-transfer",
            "urn:xmpp:receipts",
            "jabber:iq:roster",
            "jabber:iq:last",
        ]);
    let simple = two("kzBZbkqJ3ADrj7v08reD1qcWUwNGHaidNUgD7nHpiw8=");
    assert!(is_verified(&simple, &answer));
    assert!(told_in(&simple, &answer, Some("en")).is_verified, "with and without the language");
    assert!(!is_verified(&simple, &format!("{answer}<feature var='urn:x'/>")));

    let told = told(&two("u79ZroNJbdSWhdSp311mddz44oHHPsEBntQ5b1jqBSY="), TKABBER);
    assert!(told.is_verified);
    assert_eq!(
        told.interests,
        [
            "http://jabber.org/protocol/activity",
            "http://jabber.org/protocol/geoloc",
            "http://jabber.org/protocol/mood",
            "http://www.xmpp.org/extensions/xep-0084.html#ns-metadata",
            "urn:xmpp:avatar:metadata",
        ]
    );
}

#[test]
fn an_inherited_language_takes_part_in_version_2() {
    let text = b"a\x1f\x1cclient\x1fpc\x1fel\x1fPsi\x1f\x1e\x1c\x1c";
    let hash = two(&super::super::Algorithm::Sha256.hash(text));
    let answer = |lang| {
        format!("<identity category='client' type='pc' name='Psi' {lang}/><feature var='a'/>")
    };
    assert!(is_verified(&hash, &answer("xml:lang='el'")));
    assert!(told_in(&hash, &answer(""), Some("el")).is_verified);
    assert!(!is_verified(&hash, &answer("")));
    assert!(!told_in(&hash, &answer("xml:lang='en'"), Some("el")).is_verified);
}

/// XEP-0115 §5.4, step 3: the hash is right each time, but the answer is not well-formed.
#[test]
fn an_ill_formed_answer_of_version_1_is_not_verified() {
    let identity = "<identity category='client' type='pc' name='X'/>";
    let typed = |value: &str| form(&[field("FORM_TYPE", "hidden", &[value])]);
    let cases = [
        ("client/pc//X<client/pc//X<a<", format!("{identity}{identity}{}", features(&["a"]))),
        ("client/pc//X<a<a<", format!("{identity}{}", features(&["a", "a"]))),
        ("client/pc//X<t<t<", format!("{identity}{}{}", typed("t"), typed("t"))),
        (
            "client/pc//X<t<",
            format!("{identity}{}", form(&[field("FORM_TYPE", "hidden", &["t", "u"])])),
        ),
        ("client/pc//X<", format!("{identity}<feature/>")),
        ("/pc//X<", "<identity type='pc' name='X'/>".to_owned()),
    ];
    for (text, answer) in cases {
        assert!(!is_verified(&of_text(text), &answer), "{answer}");
    }
    // The same value twice is one value, and two names of one kind are two identities.
    let same = form(&[field("FORM_TYPE", "hidden", &["t", "t"])]);
    assert!(is_verified(&of_text("client/pc//X<t<"), &format!("{identity}{same}")));
    let other = "<identity category='client' type='pc' name='Y'/>";
    assert!(is_verified(&of_text("client/pc//X<client/pc//Y<"), &format!("{other}{identity}")));
}

#[test]
fn an_answer_of_version_2_with_other_elements_is_not_verified() {
    let hash = two(&super::super::Algorithm::Sha256.hash(b"a\x1f\x1c\x1c\x1c"));
    let a = features(&["a"]);
    assert!(is_verified(&hash, &a));
    let rows = "<x xmlns='jabber:x:data' type='result'><reported/></x>";
    for more in
        ["<other xmlns='urn:x'/>", "<item/>", rows, &form(&[]), &form(&[field("b", "", &[])])]
    {
        assert!(!is_verified(&hash, &format!("{a}{more}")), "{more}");
    }
}

/// XEP-0115 §8.3: a feature is hidden in a form, or made of one, and the hash is the same.
#[test]
fn two_answers_with_one_hash_mean_the_same() {
    let hash = of_text("client/pc//X<a+notify<b+notify<c<");
    let identity = "<identity category='client' type='pc' name='X'/>";
    let honest = told(&hash, &format!("{identity}{}", features(&["a+notify", "b+notify", "c"])));
    assert_eq!(honest.interests, ["a", "b"]);
    let hidden = form(&[field("FORM_TYPE", "hidden", &["b+notify"]), field("c", "", &[])]);
    let lie = told(&hash, &format!("{identity}{}{hidden}", features(&["a+notify"])));
    assert!(lie.is_verified);
    assert_eq!(lie, honest);
    let in_name = told(
        &hash,
        &format!("<identity category='client' type='pc' name='X&lt;a+notify'/>{hidden}"),
    );
    assert_eq!(in_name, honest);
}

#[test]
fn what_is_not_verified_holds_as_it_was_told() {
    let answer = features(&["b+notify", "a+notify", "a+notify", "+notify", "c"]);
    let told = told(&one("wrong="), &answer);
    assert!(!told.is_verified);
    assert_eq!(told.interests, ["a", "b"]);
    let odd = "<c xmlns='http://jabber.org/protocol/caps' hash='md5' node='n' ver='abc='/>";
    assert_eq!(read(&advertised(odd), &query(&answer).root(), None), told);
    let no_answer = Frame::from_bytes(format!("<query xmlns='urn:x'>{answer}</query>")).unwrap();
    let nothing = Description { is_verified: false, interests: Vec::new() };
    assert_eq!(read(&one("wrong="), &no_answer.root(), None), nothing);
}

fn query(children: &str) -> Frame {
    let query = format!("<query xmlns='http://jabber.org/protocol/disco#info'>{children}</query>");
    Frame::from_bytes(query).unwrap()
}

#[test]
fn interests_and_answers_are_bounded() {
    let many: Vec<String> = (0..MAX_PARTS).map(|n| format!("node{n}+notify")).collect();
    let mut vars: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(told(&one("wrong="), &features(&vars)).interests.len(), MAX_NODES);
    vars.push("one more");
    assert_eq!(told(&one("wrong="), &features(&vars)).interests.len(), 0);
    let long: Vec<String> = (0..9).map(|n| format!("{n}{}+notify", "x".repeat(999))).collect();
    let long: Vec<&str> = long.iter().map(String::as_str).collect();
    let kept = told(&one("wrong="), &features(&long)).interests;
    let bytes = kept.iter().map(|node| node.len()).sum::<usize>();
    assert!((MAX_BYTES - 1000..=MAX_BYTES).contains(&bytes), "{bytes}");
}

/// XEP-0390 §4.5.2.
const TKABBER: &str = "\
    <identity category='client' name='Tkabber' type='pc' xml:lang='en'/>\
    <identity category='client' name='Ткаббер' type='pc' xml:lang='ru'/><feature var='games:board'/>\
    <feature var='http://jabber.org/protocol/activity'/>\
    <feature var='http://jabber.org/protocol/activity+notify'/>\
    <feature var='http://jabber.org/protocol/bytestreams'/>\
    <feature var='http://jabber.org/protocol/chatstates'/>\
    <feature var='http://jabber.org/protocol/commands'/>\
    <feature var='http://jabber.org/protocol/disco#info'/>\
    <feature var='http://jabber.org/protocol/disco#items'/>\
    <feature var='http://jabber.org/protocol/evil'/>\
    <feature var='http://jabber.org/protocol/feature-neg'/>\
    <feature var='http://jabber.org/protocol/geoloc'/>\
    <feature var='http://jabber.org/protocol/geoloc+notify'/>\
    <feature var='http://jabber.org/protocol/ibb'/><feature var='http://jabber.org/protocol/iqibb'/>\
    <feature var='http://jabber.org/protocol/mood'/>\
    <feature var='http://jabber.org/protocol/mood+notify'/>\
    <feature var='http://jabber.org/protocol/rosterx'/>\
    <feature var='http://jabber.org/protocol/si'/>\
    <feature var='http://jabber.org/protocol/si/profile/file-transfer'/>\
    <feature var='http://jabber.org/protocol/tune'/>\
    <feature var='http://www.facebook.com/xmpp/messages'/>\
    <feature var='http://www.xmpp.org/extensions/xep-0084.html#ns-metadata+notify'/>\
    <feature var='jabber:iq:avatar'/><feature var='jabber:iq:browse'/>\
    <feature var='jabber:iq:dtcp'/><feature var='jabber:iq:filexfer'/><feature var='jabber:iq:ibb'/>\
    <feature var='jabber:iq:inband'/><feature var='jabber:iq:jidlink'/>\
    <feature var='jabber:iq:last'/><feature var='jabber:iq:oob'/><feature var='jabber:iq:privacy'/>\
    <feature var='jabber:iq:roster'/><feature var='jabber:iq:time'/>\
    <feature var='jabber:iq:version'/><feature var='jabber:x:data'/><feature var='jabber:x:event'/>\
    <feature var='jabber:x:oob'/><feature var='urn:xmpp:avatar:metadata+notify'/>\
    <feature var='urn:xmpp:ping'/><feature var='urn:xmpp:receipts'/><feature var='urn:xmpp:time'/>\
    <x xmlns='jabber:x:data' type='result'><field type='hidden' var='FORM_TYPE'>\
    <value>urn:xmpp:dataforms:softwareinfo</value></field><field var='software'><value>Tkabber\
    </value></field><field var='software_version'><value>0.11.1-svn-20111216-mod (Tcl/Tk 8.6b2)\
    </value></field><field var='os'><value>Windows</value></field><field var='os_version'><value>XP\
    </value></field></x>";
