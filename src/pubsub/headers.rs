//! Headers of events (XEP-0131): which subscriptions, and which collections, an event comes from
//! (XEP-0060 §12.16, XEP-0248 §5.3.1).

use crate::xml::{ElementRef, Node, element};

/// The namespace of headers, which is also a feature and a node of service discovery (XEP-0131 §3).
pub const NS: &str = "http://jabber.org/protocol/shim";

/// Features of service discovery: the headers that there are (XEP-0131 §3.2).
pub const NAMES: [&str; 2] =
    ["http://jabber.org/protocol/shim#Collection", "http://jabber.org/protocol/shim#SubID"];

/// The headers of an event, in this order. `None`, if there is nothing to say.
#[must_use]
pub fn headers(collections: &[&str], subids: &[&str]) -> Option<Node> {
    let header = |name, value: &&str| element("header").attr("name", name).text(value);
    let collections = collections.iter().map(|value| header("Collection", value));
    let all: Vec<_> =
        collections.chain(subids.iter().map(|value| header("SubID", value))).collect();
    (!all.is_empty()).then(|| element("headers").ns(NS).children(all))
}

/// The collections that headers name.
pub fn collections(headers: &ElementRef<'_>) -> Vec<String> {
    let is_one = |header: &ElementRef<'_>| header.attr("name").as_deref() == Some("Collection");
    let found = headers.children().filter(|header| header.ns() == NS && is_one(header));
    found.map(|header| header.text().into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_written_if_there_are_any() {
        assert!(headers(&[], &[]).is_none());
        let written = headers(&["blogs"], &["1", "2"]).unwrap().to_bytes();
        let written = String::from_utf8(written).unwrap();
        assert!(written.contains("<header name='Collection'>blogs</header>"), "{written}");
        assert!(written.contains("<header name='SubID'>2</header>"), "{written}");
    }
}
