//! The photo in a vCard (XEP-0054 §3.2), and the hash of it in presence (XEP-0153 §4.1).

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use sha1::{Digest, Sha1};

use crate::xml::{ElementRef, Frame, Node, element};

/// The namespace of a vCard.
pub const CARD_NS: &str = "vcard-temp";
/// The namespace of the hash in presence.
pub const UPDATE_NS: &str = "vcard-temp:x:update";

/// A photo.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Photo {
    /// Its type, for example `image/png`, as the client has written it: a hint (XEP-0153 §5).
    pub kind: Option<String>,
    /// The image. Not empty.
    pub data: Vec<u8>,
}

impl Photo {
    /// The first photo in a vCard that is there as a whole. White space in it means nothing (XEP-0153 §4.6). A
    /// photo at some other place, an empty one, and one that is no base64 are none.
    #[must_use]
    pub fn of(card: &ElementRef<'_>) -> Option<Self> {
        let photos = card.children().filter(|child| child.is(CARD_NS, "PHOTO"));
        photos.into_iter().find_map(|photo| {
            let data = decoded(&photo.child(CARD_NS, "BINVAL")?.text())?;
            let kind = photo.child(CARD_NS, "TYPE").map(|kind| kind.text().trim().to_owned());
            Some(Self { kind: kind.filter(|kind| !kind.is_empty()), data })
        })
    }

    /// SHA-1, in small hexadecimal digits (XEP-0153 §3.1, XEP-0084 §4.1).
    #[must_use]
    pub fn hash(&self) -> String {
        Sha1::digest(&self.data).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Photo {
    /// Its type: what the image says of itself, else what the client has written (XEP-0153 §5).
    #[must_use]
    pub fn mime(&self) -> &str {
        let begins = |bytes: &[u8]| self.data.starts_with(bytes);
        if begins(b"\x89PNG") {
            "image/png"
        } else if begins(b"\xff\xd8\xff") {
            "image/jpeg"
        } else if begins(b"GIF8") {
            "image/gif"
        } else {
            self.kind.as_deref().unwrap_or("image/png")
        }
    }

    /// The image in base64.
    #[must_use]
    pub fn encoded(&self) -> String {
        base64::engine::general_purpose::STANDARD.encode(&self.data)
    }

    /// `<PHOTO/>`, for a vCard.
    pub fn to_field(&self) -> Node {
        let kind = element("TYPE").text(self.mime());
        element("PHOTO").child(kind).child(element("BINVAL").text(&self.encoded()))
    }
}

/// A vCard with this field in place of all others of its name; `None`: without them. If there is no card,
/// one is made.
#[must_use]
pub fn with_field(card: Option<&Frame>, name: &str, field: Option<Node>) -> Option<Frame> {
    let mut new = element("vCard").ns(CARD_NS);
    if let Some(card) = card {
        for name in ["prodid", "version"] {
            new = new.maybe_attr(name, card.root().attr(name));
        }
        for kept in card.root().children().filter(|child| !child.is(CARD_NS, name)) {
            new = new.raw(&card.bytes()[kept.range()]);
        }
    }
    Frame::from_bytes(new.children(field).to_bytes()).ok()
}

/// What base64 stands for, without its white space. `None` if it stands for nothing.
#[must_use]
pub fn decoded(text: &str) -> Option<Vec<u8>> {
    let text: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let padding = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let data = GeneralPurpose::new(&STANDARD, padding).decode(text).ok()?;
    (!data.is_empty()).then_some(data)
}

/// `<x/>` with this hash; with `None` it says that there is no photo (XEP-0153 §4.1).
pub fn update(hash: Option<&str>) -> Node {
    let photo = element("photo");
    element("x").ns(UPDATE_NS).child(match hash {
        Some(hash) => photo.text(hash),
        None => photo,
    })
}

#[cfg(test)]
mod tests {
    use super::{Photo, update, with_field};
    use crate::xml::Frame;

    fn photo(children: &str) -> Option<Photo> {
        let card = format!("<vCard xmlns='vcard-temp'>{children}</vCard>");
        Photo::of(&Frame::from_bytes(card).unwrap().root())
    }

    #[test]
    fn the_first_photo_that_is_there_counts() {
        let card = "<FN>x</FN><PHOTO><EXTVAL>https://x.lit/</EXTVAL></PHOTO><PHOTO><BINVAL/></PHOTO>\
                    <PHOTO><TYPE> image/png </TYPE><BINVAL>\n  YW\n Jj\n</BINVAL></PHOTO>\
                    <PHOTO><BINVAL>ZGVm</BINVAL></PHOTO>";
        let found = photo(card).unwrap();
        assert_eq!((found.kind.as_deref(), &found.data[..]), (Some("image/png"), &b"abc"[..]));
        assert_eq!(found.hash(), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(photo("<PHOTO><BINVAL>YWI</BINVAL></PHOTO>").unwrap().data, b"ab", "no padding");
    }

    #[test]
    fn what_is_no_photo_is_none() {
        for card in [
            "",
            "<PHOTO/>",
            "<PHOTO><BINVAL> \n</BINVAL></PHOTO>",
            "<PHOTO><BINVAL>a*b=</BINVAL></PHOTO>",
            "<PHOTO><BINVAL>YWJj=YWJj</BINVAL></PHOTO>",
            "<PHOTO xmlns='urn:x'><BINVAL>YWJj</BINVAL></PHOTO>",
            "<PHOTO>YWJj</PHOTO>",
            "<LOGO><BINVAL>YWJj</BINVAL></LOGO>",
        ] {
            assert_eq!(photo(card), None, "{card}");
        }
    }

    #[test]
    fn a_field_takes_the_place_of_those_of_its_name() {
        let card = "<vCard xmlns='vcard-temp' version='2'><FN>x</FN><PHOTO/><PHOTO/><N><GIVEN>y</GIVEN></N></vCard>";
        let card = Frame::from_bytes(card).unwrap();
        let photo = Photo { kind: None, data: b"\x89PNG".to_vec() };
        let new = with_field(Some(&card), "PHOTO", Some(photo.to_field())).unwrap();
        let expected = "<vCard xmlns='vcard-temp' version='2'><FN>x</FN><N><GIVEN>y</GIVEN></N>\
            <PHOTO><TYPE>image/png</TYPE><BINVAL>iVBORw==</BINVAL></PHOTO></vCard>";
        assert_eq!(new.bytes(), expected);
        assert_eq!(Photo::of(&new.root()).unwrap().data, photo.data);
        let none = with_field(Some(&new), "PHOTO", None).unwrap();
        assert_eq!(Photo::of(&none.root()), None);
        let made = with_field(None, "FN", Some(super::element("FN").text("z"))).unwrap();
        assert_eq!(made.bytes(), "<vCard xmlns='vcard-temp'><FN>z</FN></vCard>");
    }

    #[test]
    fn an_update_names_the_hash_or_none() {
        let none = "<x xmlns='vcard-temp:x:update'><photo/></x>";
        assert_eq!(update(None).to_xml(), none);
        assert!(update(Some("ab")).to_xml().contains(">ab</photo>"));
    }
}
