//! XEP-0492: Chat notification settings: which messages of a chat notify its user. The setting is in the bookmark of the
//! chat (XEP-0402).
//!
//! Settings may differ by the kind of client. Here is read the one for a phone.

use crate::xml::{ElementRef, Frame};

/// Which messages of a chat notify its user.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Notify {
    /// None.
    Never,
    /// Those that mention the user.
    OnMention,
    /// All.
    Always,
}

impl Notify {
    /// What a bookmark says, by its elements that are not of XEP-0402 itself, as XML: `<extensions/>` and others.
    /// `None` if it says nothing, or nothing that counts for a phone.
    #[must_use]
    pub fn in_bookmark(extensions: &str) -> Option<Self> {
        if !extensions.contains(NS) {
            return None;
        }
        let frame = Frame::from_bytes(format!("<all>{extensions}</all>")).ok()?;
        let root = frame.root();
        let places = root.children().filter(|child| child.name() == "extensions");
        let mut settings = places.filter_map(|place| place.child(NS, "notify"));
        settings.find_map(|notify| Self::read(&notify))
    }

    /// Reads `<notify/>`: the setting that is most specific to a phone (XEP-0492 §3). Of two that are equally
    /// specific, which must not be, the one that notifies of more.
    #[must_use]
    pub fn read(notify: &ElementRef<'_>) -> Option<Self> {
        let children = notify.children().filter(|child| child.ns() == NS);
        let settings = children.filter_map(|child| {
            let setting = match child.name() {
                "always" => Self::Always,
                "on-mention" => Self::OnMention,
                "never" => Self::Never,
                _ => return None,
            };
            let (category, kind) = (child.attr("identity-category"), child.attr("identity-type"));
            let specificity = match (category.as_deref(), kind.as_deref()) {
                (Some("client"), Some("phone")) => 2,
                (Some("client"), None) => 1,
                (None, None) => 0,
                _ => return None,
            };
            Some((specificity, setting))
        });
        settings.max().map(|(_, setting)| setting)
    }
}

/// The namespace of `<notify/>`.
pub const NS: &str = "urn:xmpp:notification-settings:1";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(children: &str) -> Option<Notify> {
        let notify = format!("<notify xmlns='{NS}'>{children}</notify>");
        Notify::read(&Frame::from_bytes(notify).unwrap().root())
    }

    #[test]
    fn the_setting_that_is_most_specific_to_a_phone_counts() {
        let (always, mention, never) =
            (Some(Notify::Always), Some(Notify::OnMention), Some(Notify::Never));
        for (children, expected) in [
            ("", None),
            ("<never/>", never),
            ("<on-mention/>", mention),
            ("<always/>", always),
            ("<sometimes/>", None),
            ("<never xmlns='urn:example:other'/>", None),
            // XEP-0492 §2.2.
            (
                "<never identity-category='client' identity-type='pc'/>\
                 <on-mention identity-category='client' identity-type='phone'/>\
                 <on-mention identity-category='gateway'/><always/>",
                mention,
            ),
            ("<never identity-category='client' identity-type='pc'/><always/>", always),
            ("<never identity-category='client'/><always/>", never),
            (
                "<always/><on-mention identity-category='client'/>\
                 <never identity-category='client' identity-type='phone'/>",
                never,
            ),
            ("<never identity-category='gateway'/>", None),
            ("<never identity-category='gateway' identity-type='phone'/><on-mention/>", mention),
            // Without a category there must be no type.
            ("<never identity-type='phone'/>", None),
            ("<never identity-type='phone'/><on-mention/>", mention),
            ("<never identity-category='' identity-type=''/><on-mention/>", mention),
            (
                "<never><advanced><when xmlns='urn:example:own' day='monday'/></advanced></never>",
                never,
            ),
            ("<never/><always/>", always),
        ] {
            assert_eq!(read(children), expected, "{children}");
        }
    }

    #[test]
    fn a_bookmark_says_it_in_its_extensions() {
        let notify = format!("<notify xmlns='{NS}'><never/></notify>");
        let in_extensions =
            |inner: &str| format!("<extensions xmlns='urn:xmpp:bookmarks:1'>{inner}</extensions>");
        for (extensions, expected) in [
            (String::new(), None),
            (in_extensions("<state xmlns='urn:example:own'/>"), None),
            (in_extensions(&notify), Some(Notify::Never)),
            (
                format!("<x xmlns='urn:example:own'/>{}", in_extensions(&notify)),
                Some(Notify::Never),
            ),
            (notify.clone(), None),
            (in_extensions(&format!("<other xmlns='urn:example:own'>{notify}</other>")), None),
            (in_extensions(&notify.replace(":1'", ":9'")), None),
        ] {
            assert_eq!(Notify::in_bookmark(&extensions), expected, "{extensions}");
        }
    }
}
