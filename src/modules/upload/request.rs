//! The request for a slot (XEP-0363 §4, §5), in the current namespace and in two older ones.

use crate::payload::datetime::Timestamp;
use crate::stanza::{Condition, StanzaError};
use crate::storage::Purpose;
use crate::upload::{MediaType, clean};
use crate::xml::ElementRef;

/// The namespaces of requests, the current one first.
pub(super) const NAMESPACES: [&str; 3] = [NS, "urn:xmpp:http:upload", CONVERSATIONS];
/// XEP-0363 since 0.3.
pub(super) const NS: &str = "urn:xmpp:http:upload:0";
/// The namespace of the draft from which XEP-0363 was made.
const CONVERSATIONS: &str = "eu:siacs:conversations:http:upload";
/// XEP-0363 §5.
const PURPOSE: &str = "urn:xmpp:http:upload:purpose:0";

/// What a client wants to upload.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct SlotRequest {
    /// Cleaned.
    pub(super) name: String,
    /// In bytes, above 0.
    pub(super) size: u64,
    pub(super) media_type: Option<MediaType>,
    pub(super) purpose: Purpose,
    /// When an ephemeral file must be removed at the latest.
    pub(super) expire_before: Option<Timestamp>,
}

/// The feature of a purpose.
pub(super) fn feature(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Ephemeral => "urn:xmpp:http:upload:purpose:0#ephemeral",
        Purpose::Message => "urn:xmpp:http:upload:purpose:0#message",
        Purpose::Permanent => "urn:xmpp:http:upload:purpose:0#permanent",
        Purpose::Profile => "urn:xmpp:http:upload:purpose:0#profile",
    }
}

/// Reads a request.
///
/// # Errors
/// `bad-request` if something is missing or malformed; `feature-not-implemented` for an unknown purpose.
pub(super) fn read(request: &ElementRef<'_>) -> Result<SlotRequest, StanzaError> {
    let value = |name: &str| match request.ns() {
        NS => request.attr(name).map(|value| value.into_owned()),
        ns => request.child(ns, name).map(|child| child.text().into_owned()),
    };
    let name = value("filename").filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| Condition::BadRequest.text("the name of the file is missing"))?;
    let size = value("size").and_then(|size| number(size.trim()));
    let size = size.ok_or_else(|| Condition::BadRequest.text("the size of the file is missing"))?;
    let told = value("content-type").filter(|told| !told.trim().is_empty());
    let media_type = told.map(|told| {
        let malformed = || Condition::BadRequest.text("the type of the file is malformed");
        MediaType::parse(&told).ok_or_else(malformed)
    });
    let (purpose, expire_before) = purpose(request)?;
    let media_type = media_type.transpose()?;
    Ok(SlotRequest { name: clean(&name), size, media_type, purpose, expire_before })
}

fn purpose(request: &ElementRef<'_>) -> Result<(Purpose, Option<Timestamp>), StanzaError> {
    let mut purposes = request.children().filter(|child| child.ns() == PURPOSE);
    let Some(element) = purposes.next() else { return Ok((Purpose::Message, None)) };
    if purposes.next().is_some() {
        return Err(Condition::BadRequest.text("a file has one purpose"));
    }
    let unknown = || Condition::FeatureNotImplemented.text("there is no such purpose");
    let purpose = Purpose::of(element.name()).ok_or_else(unknown)?;
    if purpose != Purpose::Ephemeral {
        return Ok((purpose, None));
    }
    let before = element.attr("expire-before").and_then(|at| Timestamp::parse(&at));
    let missing = || Condition::BadRequest.text("expire-before is missing or malformed");
    Ok((purpose, Some(before.ok_or_else(missing)?)))
}

/// Above 0 (XEP-0363 §12), in digits. One that is too large is the largest.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX)).filter(|number| *number > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::Frame;

    fn read(xml: &str) -> Result<SlotRequest, StanzaError> {
        super::read(&Frame::from_bytes(xml.to_owned()).unwrap().root())
    }

    #[test]
    fn requests_are_read_in_all_namespaces() {
        let new = "<request xmlns='urn:xmpp:http:upload:0' filename='très cool.jpg' size='23456' \
            content-type='image/jpeg'/>";
        let found = read(new).unwrap();
        assert_eq!((found.name.as_str(), found.size), ("très cool.jpg", 23_456));
        assert_eq!(found.media_type.as_ref().map(MediaType::as_str), Some("image/jpeg"));
        assert_eq!((found.purpose, found.expire_before), (Purpose::Message, None));
        for ns in &NAMESPACES[1..] {
            let old = format!(
                "<request xmlns='{ns}'><filename>très cool.jpg</filename><size>23456</size>\
                 <content-type>image/jpeg</content-type></request>"
            );
            assert_eq!(read(&old).unwrap(), found);
        }
    }

    #[test]
    fn a_purpose_is_one_that_is_known() {
        let with = |child: &str| {
            read(&format!("<request xmlns='{NS}' filename='a' size='1'>{child}</request>"))
        };
        for purpose in Purpose::ALL {
            let child = format!(
                "<{} xmlns='{PURPOSE}' expire-before='2025-09-10T23:08:25Z'/>",
                purpose.as_str()
            );
            let found = with(&child).unwrap();
            assert_eq!(found.purpose, purpose);
            assert_eq!(found.expire_before.is_some(), purpose == Purpose::Ephemeral);
            assert_eq!(feature(purpose), format!("{PURPOSE}#{}", purpose.as_str()));
            assert_eq!(with(&child.repeat(2)).unwrap_err().condition, Condition::BadRequest);
        }
        for (child, condition) in [
            ("<ephemeral xmlns='urn:xmpp:http:upload:purpose:0'/>", Condition::BadRequest),
            (
                "<ephemeral xmlns='urn:xmpp:http:upload:purpose:0' expire-before='soon'/>",
                Condition::BadRequest,
            ),
            ("<photo xmlns='urn:xmpp:http:upload:purpose:0'/>", Condition::FeatureNotImplemented),
        ] {
            assert_eq!(with(child).unwrap_err().condition, condition, "{child}");
        }
        assert_eq!(with("<photo xmlns='urn:example:a'/>").unwrap().purpose, Purpose::Message);
    }

    #[test]
    fn what_is_missing_or_malformed_is_refused() {
        for attributes in [
            "",
            "filename='a'",
            "size='1'",
            "filename='' size='1'",
            "filename='a' size=''",
            "filename='a' size='0'",
            "filename='a' size='-1'",
            "filename='a' size='+1'",
            "filename='a' size='1.5'",
            "filename='a' size='one'",
            "filename='a' size='1' content-type='jpeg'",
        ] {
            let error = read(&format!("<request xmlns='{NS}' {attributes}/>")).unwrap_err();
            assert_eq!(error.condition, Condition::BadRequest, "{attributes}");
        }
        let huge = read(&format!("<request xmlns='{NS}' filename='a' size='{}'/>", "9".repeat(30)));
        assert_eq!(huge.unwrap().size, u64::MAX);
    }
}
