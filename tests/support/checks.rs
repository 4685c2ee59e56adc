//! The tests of the tests: that comparing and reading can fail.

use libtest_mimic::Trial;

use super::element::elements;
use super::matcher::difference;
use super::script::{Action, ClientAction, parse};
use super::substitute::substitute;

pub(crate) fn trials() -> Vec<Trial> {
    let checks: [(&str, fn()); 4] = [
        ("runner/a_difference_is_found", a_difference_is_found),
        ("runner/bytes_are_escaped_and_repeated", bytes_are_escaped_and_repeated),
        ("runner/names_are_put_in", names_are_put_in),
        ("runner/nonsense_is_refused_with_its_line", nonsense_is_refused_with_its_line),
    ];
    checks
        .into_iter()
        .map(|(name, check)| {
            Trial::test(name, move || {
                check();
                Ok(())
            })
        })
        .collect()
}

fn differs(expected: &str, got: &str) -> bool {
    let one = |xml: &str| elements(xml).unwrap().remove(0);
    difference(&one(expected), &one(got)).is_some()
}

fn a_difference_is_found() {
    // The usual head of a stanza may come unasked.
    assert!(!differs("<message/>", "<message id='1' from='a' to='b' xml:lang='en'/>"));
    assert!(differs("<message/>", "<message type='chat'/>"));
    assert!(differs("<message id='2'/>", "<message id='1'/>"));
    assert!(differs("<message id='{scansion:any}'/>", "<message/>"));
    assert!(!differs("<message id='{scansion:any}'/>", "<message id='7'/>"));
    assert!(differs("<message to='{scansion:none}'/>", "<message to='a'/>"));
    assert!(!differs("<message to='{scansion:none}'/>", "<message/>"));
    assert!(differs("<message/>", "<presence/>"));
    assert!(differs("<message xmlns='jabber:server'/>", "<message/>"));
    assert!(!differs("<m v='{scansion:maybe}'/>", "<m/>"));
    assert!(!differs("<m v='{scansion:maybe}'/>", "<m v='1'/>"));
    assert!(!differs("<m>{scansion:base64 a,*c}</m>", "<m>YSxiYw==</m>"));
    assert!(!differs("<m a='{scansion:like 12*Z}'/>", "<m a='12:00Z'/>"));
    assert!(differs("<m a='{scansion:like 12*Z}'/>", "<m a='12:00'/>"));
    assert!(differs("<m>{scansion:base64 b*}</m>", "<m>YSxiYw==</m>"));
    // Children in any order, none too many, none too few.
    assert!(!differs("<m><a/><b/></m>", "<m> <b/>\n<a/> </m>"));
    assert!(differs("<m><a/></m>", "<m><a/><a/></m>"));
    assert!(differs("<m><a/><a/></m>", "<m><a/></m>"));
    assert!(differs("<m><a x='1'/></m>", "<m><a x='2'/></m>"));
    assert!(differs("<m><a/></m>", "<m><a xmlns='urn:other'/></m>"));
    assert!(differs("<m><a>one</a></m>", "<m><a>two</a></m>"));
    assert!(!differs("<m><a>{scansion:any}</a></m>", "<m><a>two</a></m>"));
    // Ids of children matter.
    assert!(differs("<m><a/></m>", "<m><a id='1'/></m>"));
    assert!(!differs("<m scansion:strict='false'><a/></m>", "<m y='1'><a/><b/></m>"));
    assert!(differs("<m scansion:strict='false'><a/></m>", "<m y='1'><b/></m>"));
    // One id of an archive may come, if none is named.
    let id = |by: &str| format!("<stanza-id xmlns='urn:xmpp:sid:0' by='{by}'/>");
    assert!(!differs("<m/>", &format!("<m>{}</m>", id("a"))));
    assert!(differs("<m/>", &format!("<m>{}{}</m>", id("a"), id("b"))));
    assert!(differs(&format!("<m>{}</m>", id("a")), &format!("<m>{}{}</m>", id("a"), id("b"))));
    // What must not be there is told by its name, and by attributes if it has any.
    let none =
        |inner: &str| format!("<m scansion:strict='false'><a {inner} scansion:none='true'/></m>");
    assert!(differs(&none(""), "<m><a x='1'/></m>"));
    assert!(differs(&none("x='{scansion:like 1*}'"), "<m><a x='12'/></m>"));
    assert!(!differs(&none("x='1'"), "<m><a x='2'/><b x='1'/></m>"));
    // Errors may carry a text and what they answer.
    let error = "<error type='cancel'><gone/></error>";
    let long = "<q/><error type='cancel' by='x'><gone/><text>why</text></error>";
    assert!(!differs(
        &format!("<iq type='error'>{error}</iq>"),
        &format!("<iq type='error'>{long}</iq>")
    ));
    assert!(differs(
        &format!("<iq type='error'>{error}</iq>"),
        "<iq type='error'><error type='auth'><gone/></error></iq>"
    ));
}

fn script(steps: &str) -> String {
    format!("# A script.\n[Client] Romeo\n\tjid: romeo@localhost/a\n-----\n{steps}\n")
}

fn bytes_are_escaped_and_repeated() {
    let script = parse(&script("Romeo sends bytes \"<a\" + 3 x \" \\\"\" + \"\\x01\\n\""));
    let Action::Client(0, action) = script.unwrap().steps.remove(0).action else { panic!() };
    assert_eq!(action, ClientAction::SendsBytes(b"<a \" \" \"\x01\n".to_vec()));
}

fn names_are_put_in() {
    let name = |name: &str| (name == "Romeo's full JID").then(|| "r@l/a".to_owned());
    let put = substitute("<a to=\"${Romeo's full JID}\">${base64 \"\\0a\\0b\"}</a>", name);
    assert_eq!(put.unwrap(), "<a to=\"r@l/a\">AGEAYg==</a>");
    assert!(substitute("${Juliet's full JID}", name).is_err());
}

fn nonsense_is_refused_with_its_line() {
    let line = |steps: &str| parse(&script(steps)).unwrap_err();
    assert_eq!(line("Romeo connects\nRomeo flies"), "line 6: what is `flies`?");
    assert!(line("Juliet connects").starts_with("line 5: the line begins with no client's name"));
    assert!(line("\t<presence/>").starts_with("line 5: this is indented"));
    assert!(line("3 parsecs pass").starts_with("line 5: how long"));
}
