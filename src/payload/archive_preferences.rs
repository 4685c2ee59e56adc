//! XEP-0441: archive preferences. A user chooses which contacts' messages are archived.

use crate::jid::Jid;
use crate::ns::MAM as NS;
use crate::stanza::{Condition, StanzaError};
use crate::xml::{ElementRef, Node, element};

/// The archive preferences of a user. By default everything is archived (XEP-0313 §6.1.1).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Preferences {
    /// The rule for addresses in neither list.
    pub default: Default,
    /// Messages to or from these addresses are always archived.
    pub always: Vec<Jid>,
    /// Messages to or from these addresses are never archived. This list takes precedence over `always`.
    pub never: Vec<Jid>,
}

/// The rule for addresses in neither list (XEP-0441 §2.1.1).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Default {
    /// All messages are archived.
    #[default]
    Always,
    /// No messages are archived.
    Never,
    /// Messages to or from contacts in the roster are archived.
    Roster,
}

impl Default {
    /// The value in XML.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Never => "never",
            Self::Roster => "roster",
        }
    }
}

impl Preferences {
    /// Reads a `<prefs/>`.
    ///
    /// # Errors
    /// `bad-request` without a known default; `jid-malformed`; `resource-constraint` for more than
    /// 1,000 addresses.
    pub fn read(prefs: &ElementRef<'_>) -> Result<Self, StanzaError> {
        let default = match prefs.attr("default").as_deref() {
            Some("always") => Default::Always,
            Some("never") => Default::Never,
            Some("roster") => Default::Roster,
            _ => {
                return Err(Condition::BadRequest.text("`default` must be always, never or roster"));
            }
        };
        let (always, never) = (list(prefs, "always")?, list(prefs, "never")?);
        if always.len() + never.len() > MOST {
            return Err(Condition::ResourceConstraint.text("too many addresses"));
        }
        Ok(Self { default, always, never })
    }

    /// The `<prefs/>` element, with both lists (XEP-0441 §2.1).
    pub fn to_node(&self) -> Node {
        let list = |name, jids: &[Jid]| {
            element(name).children(jids.iter().map(|jid| element("jid").text(jid.as_str())))
        };
        element("prefs")
            .ns(NS)
            .attr("default", self.default.as_str())
            .child(list("always", &self.always))
            .child(list("never", &self.never))
    }

    /// Whether messages to or from `with` are archived. `is_contact`: the roster has its bare address.
    #[must_use]
    pub fn allow(&self, with: &Jid, is_contact: bool) -> bool {
        let listed = |jids: &[Jid]| {
            // XEP-0441 §2.3.1: an address without resource means all of its resources.
            jids.iter().any(|jid| {
                if jid.is_bare() { jid.as_str() == with.bare_str() } else { jid == with }
            })
        };
        if listed(&self.never) {
            return false;
        }
        listed(&self.always)
            || match self.default {
                Default::Always => true,
                Default::Never => false,
                Default::Roster => is_contact,
            }
    }

    /// Whether the decision depends on the roster.
    #[must_use]
    pub fn needs_roster(&self) -> bool {
        self.default == Default::Roster
    }
}

fn list(prefs: &ElementRef<'_>, name: &str) -> Result<Vec<Jid>, StanzaError> {
    let Some(list) = prefs.child(NS, name) else { return Ok(Vec::new()) };
    let mut jids = Vec::new();
    for jid in list.children().filter(|child| child.is(NS, "jid")) {
        let jid = Jid::parse(jid.text().trim());
        let jid = jid.map_err(|_| StanzaError::from(Condition::JidMalformed))?;
        if !jids.contains(&jid) {
            jids.push(jid);
        }
        if jids.len() > MOST {
            return Err(Condition::ResourceConstraint.text("too many addresses"));
        }
    }
    Ok(jids)
}

/// At most so many addresses in both lists together.
const MOST: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::Frame;

    fn read(inner: &str) -> Result<Preferences, Condition> {
        let xml = format!("<prefs xmlns='urn:xmpp:mam:2' {inner}</prefs>");
        let frame = Frame::from_bytes(xml).unwrap();
        Preferences::read(&frame.root()).map_err(|e| e.condition)
    }

    #[test]
    fn what_is_read_is_written() {
        let prefs = read(
            "default='roster'><always><jid>Romeo@Montague.lit</jid><jid>romeo@montague.lit</jid>\
             </always><never><jid>a@b/c</jid></never>",
        )
        .unwrap();
        assert_eq!(prefs.always.len(), 1);
        let frame = Frame::from_bytes(prefs.to_node().to_bytes()).unwrap();
        assert_eq!(Preferences::read(&frame.root()).unwrap(), prefs);
        let empty = "<prefs xmlns='urn:xmpp:mam:2' default='always'><always/><never/></prefs>";
        let written = Preferences::default().to_node().to_bytes();
        assert_eq!(String::from_utf8(written).unwrap(), empty);
        // Monal sends no lists at all.
        assert_eq!(read("default='always'>").unwrap(), Preferences::default());
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(read(">"), Err(Condition::BadRequest));
        assert_eq!(read("default='sometimes'>"), Err(Condition::BadRequest));
        let bad = "default='never'><always><jid>@</jid></always>";
        assert_eq!(read(bad), Err(Condition::JidMalformed));
        let many: String = (0..=MOST).map(|n| format!("<jid>u{n}@b</jid>")).collect();
        let many = format!("default='never'><never>{many}</never>");
        assert_eq!(read(&many), Err(Condition::ResourceConstraint));
    }

    #[test]
    fn lists_come_before_the_default() {
        let jid = |text: &str| Jid::parse(text).unwrap();
        let prefs = read(
            "default='roster'><always><jid>a@b</jid><jid>c@d/x</jid></always>\
             <never><jid>a@b/bad</jid><jid>e@f</jid></never>",
        )
        .unwrap();
        let cases = [
            ("a@b", false, true),
            ("a@b/any", false, true),
            ("a@b/bad", true, false),
            ("c@d/x", false, true),
            ("c@d/y", false, false),
            ("c@d/y", true, true),
            ("e@f/1", true, false),
            ("g@h", true, true),
        ];
        for (with, is_contact, archived) in cases {
            assert_eq!(prefs.allow(&jid(with), is_contact), archived, "{with}");
        }
    }
}
