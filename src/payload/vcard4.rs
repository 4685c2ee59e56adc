//! XEP-0292: vCard4 over XMPP, and how it maps to the older card (XEP-0054) and back (XEP-0292 §7). What has no
//! counterpart is not carried over; a photo never is (XEP-0398 says how that is done).

use super::photo::CARD_NS as OLD;
use crate::xml::{ElementRef, Frame, Node, element};

/// The namespace of a vCard4.
pub const NS: &str = "urn:ietf:params:xml:ns:vcard-4.0";
/// The node of a user's own vCard4 (XEP-0292 §4.1).
pub const NODE: &str = "urn:xmpp:vcard4";

/// Fields that are one text in both: the older name, the newer one, and the type of its value.
const TEXTS: &[(&str, &str, &str)] = &[
    ("NICKNAME", "nickname", "text"),
    ("BDAY", "bday", "date"),
    ("TITLE", "title", "text"),
    ("ROLE", "role", "text"),
    ("URL", "url", "uri"),
    ("NOTE", "note", "text"),
    ("TZ", "tz", "text"),
    ("UID", "uid", "text"),
    ("REV", "rev", "timestamp"),
    ("PRODID", "prodid", "text"),
];
/// Parts of a name.
const NAME: &[(&str, &str)] = &[
    ("FAMILY", "surname"),
    ("GIVEN", "given"),
    ("MIDDLE", "additional"),
    ("PREFIX", "prefix"),
    ("SUFFIX", "suffix"),
];
/// Parts of an address.
const ADDRESS: &[(&str, &str)] = &[
    ("POBOX", "pobox"),
    ("EXTADD", "ext"),
    ("STREET", "street"),
    ("LOCALITY", "locality"),
    ("REGION", "region"),
    ("PCODE", "code"),
    ("CTRY", "country"),
];
/// What an address, or a number, is for.
const USES: &[(&str, &str)] = &[
    ("HOME", "home"),
    ("WORK", "work"),
    ("VOICE", "voice"),
    ("FAX", "fax"),
    ("PAGER", "pager"),
    ("CELL", "cell"),
    ("VIDEO", "video"),
];

/// The vCard4 that says the same as this older card. What the vCard4 `kept` says beyond that stays.
pub fn from_old(card: &ElementRef<'_>, kept: Option<&ElementRef<'_>>) -> Node {
    let fields = card.children().filter(|child| child.ns() == OLD);
    let new = element("vcard").ns(NS).children(fields.filter_map(|field| new_field(&field)));
    let stays = |field: &ElementRef<'_>| field.ns() != NS || !is_mapped_back(field.name());
    with_kept(new, kept, stays)
}

/// Adds those fields of `kept` for which `stays` holds.
fn with_kept(
    card: Node,
    kept: Option<&ElementRef<'_>>,
    stays: impl Fn(&ElementRef<'_>) -> bool,
) -> Node {
    let kept = kept.into_iter().flat_map(ElementRef::children).filter(stays);
    let kept = kept.filter_map(|field| Frame::from_tree(&field.to_tree()).ok());
    kept.fold(card, |card, field| card.raw(field.bytes()))
}

/// Whether a field of a vCard4 has a counterpart.
fn is_mapped_back(name: &str) -> bool {
    const OTHERS: &[&str] = &["fn", "n", "adr", "email", "tel", "org", "impp", "geo", "categories"];
    OTHERS.contains(&name) || TEXTS.iter().any(|(_, new, _)| *new == name)
}

fn new_field(old: &ElementRef<'_>) -> Option<Node> {
    let part = |name: &str| text_of(old, OLD, name);
    let whole = Some(old.text().trim().to_owned()).filter(|text| !text.is_empty());
    if let Some((_, name, kind)) = TEXTS.iter().find(|(name, ..)| *name == old.name()) {
        return Some(element(name).child(element(kind).text(&whole?)));
    }
    let with_uses = |name| {
        let uses = USES.iter().filter(|(use_, _)| old.has_child(OLD, use_));
        let uses: Vec<_> = uses.map(|(_, use_)| element("text").text(use_)).collect();
        let types = (!uses.is_empty()).then(|| element("type").children(uses));
        element(name).children(types.map(|types| element("parameters").child(types)))
    };
    let parts = |names: &'static [(&str, &'static str)]| {
        names.iter().filter_map(|(name, new)| Some(element(new).text(&part(name)?)))
    };
    Some(match old.name() {
        "FN" => element("fn").child(element("text").text(&whole?)),
        "DESC" => element("note").child(element("text").text(&whole?)),
        "N" => element("n").children(parts(NAME)),
        "ADR" => with_uses("adr").children(parts(ADDRESS)),
        "EMAIL" => with_uses("email").child(element("text").text(&part("USERID")?)),
        "TEL" => {
            let uri = format!("tel:{}", part("NUMBER")?);
            with_uses("tel").child(element("uri").text(&uri))
        }
        "ORG" => {
            let units = old.children().filter(|child| child.is(OLD, "ORGUNIT"));
            let texts = part("ORGNAME").into_iter().chain(units.map(|unit| unit.text().into()));
            element("org").children(texts.map(|text| element("text").text(&text)))
        }
        "JABBERID" => element("impp").child(element("uri").text(&format!("xmpp:{}", whole?))),
        "GEO" => {
            let uri = format!("geo:{},{}", part("LAT")?, part("LON")?);
            element("geo").child(element("uri").text(&uri))
        }
        "CATEGORIES" => {
            let words = old.children().filter(|child| child.is(OLD, "KEYWORD"));
            let words = words.map(|word| element("text").text(word.text().trim()));
            element("categories").children(words.collect::<Vec<_>>())
        }
        _ => return None,
    })
}

/// The older card that says the same as this vCard4. What the older card `kept` says beyond that stays: its
/// photo, and all that has no counterpart.
pub fn to_old(card: &ElementRef<'_>, kept: Option<&ElementRef<'_>>) -> Node {
    let fields = card.children().filter(|child| child.ns() == NS);
    let stays = |field: &ElementRef<'_>| field.ns() != OLD || !is_mapped(field.name());
    let old = element("vCard").ns(OLD);
    with_kept(old.children(fields.filter_map(|field| old_field(&field))), kept, stays)
}

/// Whether a field of the older card has a counterpart.
fn is_mapped(name: &str) -> bool {
    const OTHERS: &[&str] =
        &["FN", "DESC", "N", "ADR", "EMAIL", "TEL", "ORG", "JABBERID", "GEO", "CATEGORIES"];
    OTHERS.contains(&name) || TEXTS.iter().any(|(old, ..)| *old == name)
}

fn old_field(new: &ElementRef<'_>) -> Option<Node> {
    let part = |name: &str| text_of(new, NS, name);
    if let Some((name, _, kind)) = TEXTS.iter().find(|(_, name, _)| *name == new.name()) {
        return Some(element(name).text(&part(kind)?));
    }
    let with_uses = |name| {
        let types = new.child(NS, "parameters").and_then(|p| p.child(NS, "type"));
        let texts: Vec<_> = types.iter().flat_map(ElementRef::children).collect();
        let has = |use_: &str| texts.iter().any(|text| text.text().trim() == use_);
        let uses = USES.iter().filter(|(_, use_)| has(use_)).map(|(use_, _)| element(use_));
        element(name).children(uses.collect::<Vec<_>>())
    };
    let parts = |names: &'static [(&'static str, &str)]| {
        names.iter().filter_map(|(old, name)| Some(element(old).text(&part(name)?)))
    };
    Some(match new.name() {
        "fn" => element("FN").text(&part("text")?),
        "n" => element("N").children(parts(NAME)),
        "adr" => with_uses("ADR").children(parts(ADDRESS)),
        "email" => with_uses("EMAIL")
            .child(element("INTERNET"))
            .child(element("USERID").text(&part("text")?)),
        "tel" => {
            let number = part("uri").or_else(|| part("text"))?;
            let number = number.strip_prefix("tel:").unwrap_or(&number);
            with_uses("TEL").child(element("NUMBER").text(number))
        }
        "org" => {
            let texts = new.children().filter(|child| child.is(NS, "text"));
            let names = std::iter::once("ORGNAME").chain(std::iter::repeat("ORGUNIT"));
            let named = names.zip(texts).map(|(name, text)| element(name).text(text.text().trim()));
            element("ORG").children(named.collect::<Vec<_>>())
        }
        "impp" => element("JABBERID").text(part("uri")?.strip_prefix("xmpp:")?),
        "geo" => {
            let uri = part("uri")?;
            // RFC 5870 §3.3: an altitude and parameters may follow.
            let (lat, rest) = uri.strip_prefix("geo:")?.split_once(',')?;
            let lon = rest.split([',', ';']).next()?;
            element("GEO").child(element("LAT").text(lat)).child(element("LON").text(lon))
        }
        "categories" => {
            let words = new.children().filter(|child| child.is(NS, "text"));
            let words = words.map(|word| element("KEYWORD").text(word.text().trim()));
            element("CATEGORIES").children(words.collect::<Vec<_>>())
        }
        _ => return None,
    })
}

/// The text of a child. `None` if there is none, or it is empty.
fn text_of(parent: &ElementRef<'_>, ns: &str, name: &str) -> Option<String> {
    let text = parent.child(ns, name)?.text().trim().to_owned();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::{from_old, to_old};
    use crate::xml::Frame;

    const OLD: &str = "<FN>Peter Saint-Andre</FN><N><FAMILY>Saint-Andre</FAMILY><GIVEN>Peter</GIVEN></N>\
        <NICKNAME>stpeter</NICKNAME><BDAY>1966-08-06</BDAY>\
        <ADR><WORK/><EXTADD>Suite 600</EXTADD><CTRY>USA</CTRY></ADR>\
        <TEL><WORK/><VOICE/><NUMBER>303-308-3282</NUMBER></TEL>\
        <EMAIL><HOME/><INTERNET/><USERID>stpeter@jabber.org</USERID></EMAIL>\
        <ORG><ORGNAME>XSF</ORGNAME><ORGUNIT>Board</ORGUNIT></ORG>\
        <JABBERID>stpeter@jabber.org</JABBERID><URL>https://stpeter.im/?a&amp;b</URL>\
        <NOTE>long</NOTE><TZ>-0700</TZ><UID>u1</UID><REV>2010-07-28T18:21:55Z</REV>\
        <GEO><LAT>39.59</LAT><LON>-105.01</LON></GEO>\
        <CATEGORIES><KEYWORD>xsf</KEYWORD><KEYWORD>ietf</KEYWORD></CATEGORIES>";
    const NEW: &str = "<fn><text>Peter Saint-Andre</text></fn>\
        <n><surname>Saint-Andre</surname><given>Peter</given></n>\
        <nickname><text>stpeter</text></nickname><bday><date>1966-08-06</date></bday>\
        <adr><parameters><type><text>work</text></type></parameters><ext>Suite 600</ext>\
        <country>USA</country></adr>\
        <tel><parameters><type><text>work</text><text>voice</text></type></parameters>\
        <uri>tel:303-308-3282</uri></tel>\
        <email><parameters><type><text>home</text></type></parameters>\
        <text>stpeter@jabber.org</text></email><org><text>XSF</text><text>Board</text></org>\
        <impp><uri>xmpp:stpeter@jabber.org</uri></impp><url><uri>https://stpeter.im/?a&amp;b</uri></url>\
        <note><text>long</text></note><tz><text>-0700</text></tz><uid><text>u1</text></uid>\
        <rev><timestamp>2010-07-28T18:21:55Z</timestamp></rev>\
        <geo><uri>geo:39.59,-105.01</uri></geo>\
        <categories><text>xsf</text><text>ietf</text></categories>";

    fn old(children: &str) -> Frame {
        Frame::from_bytes(format!("<vCard xmlns='vcard-temp'>{children}</vCard>")).unwrap()
    }

    fn new(children: &str) -> Frame {
        let ns = "urn:ietf:params:xml:ns:vcard-4.0";
        Frame::from_bytes(format!("<vcard xmlns='{ns}'>{children}</vcard>")).unwrap()
    }

    /// The card of XEP-0292 §4.1.1, shortened.
    #[test]
    fn a_card_says_the_same_in_both_forms() {
        assert_eq!(from_old(&old(OLD).root(), None).to_bytes(), new(NEW).bytes()[..]);
        assert_eq!(to_old(&new(NEW).root(), None).to_bytes(), old(OLD).bytes()[..]);
    }

    #[test]
    fn what_the_newer_card_cannot_say_stays() {
        let photo = "<PHOTO xmlns='vcard-temp'><BINVAL>YWJj</BINVAL></PHOTO>";
        let kept = old(&format!("<FN>old</FN><DESC>gone</DESC>{photo}<KEY><CRED>x</CRED></KEY>"));
        let card = to_old(&new("<fn><text>new</text></fn>").root(), Some(&kept.root())).to_xml();
        assert!(card.contains("<FN>new</FN>") && card.contains("<BINVAL>YWJj</BINVAL>"), "{card}");
        assert!(card.contains("<CRED>x</CRED>"), "{card}");
        assert!(!card.contains("old<") && !card.contains("DESC"), "{card}");
        let kept = new("<fn><text>old</text></fn><gender><sex><text>M</text></sex></gender>");
        let card = from_old(&old("<FN>new</FN>").root(), Some(&kept.root())).to_xml();
        assert!(card.contains("<fn><text>new</text></fn><gender "), "{card}");
        assert!(!card.contains("old"), "{card}");
    }

    #[test]
    fn what_says_nothing_is_left_out() {
        let empty =
            "<FN/><URL> </URL><TEL><HOME/></TEL><EMAIL/><JABBERID/><PHOTO/><x xmlns='urn:x'/>";
        let nothing = "<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'/>";
        assert_eq!(from_old(&old(empty).root(), None).to_xml(), nothing);
        let empty =
            "<fn/><fn><text/></fn><tel><text> </text></tel><impp><uri>sip:x</uri></impp><kind/>";
        assert_eq!(to_old(&new(empty).root(), None).to_xml(), "<vCard xmlns='vcard-temp'/>");
    }
}
