//! `docs/waxwing.doap`: the project for directories of software (XEP-0453), with the specifications that the
//! manifests name.

use super::specifications::{RFCS, address, push, xeps};
use crate::host::Status;

/// The description of this project in RDF (XEP-0453).
#[must_use]
pub fn doap() -> String {
    let mut out = DOAP_HEAD.to_owned();
    for (number, ..) in RFCS {
        let link = format!("https://www.rfc-editor.org/info/rfc{number}");
        push(&mut out, format_args!("    <implements rdf:resource='{link}'/>\n"));
    }
    for (xep, _) in xeps() {
        let status = match xep.status {
            Status::Complete => "complete",
            Status::Partial => "partial",
        };
        push(
            &mut out,
            format_args!(
                "    <implements>\n      <xmpp:SupportedXep>\n        \
                 <xmpp:xep rdf:resource='{}'/>\n        <xmpp:status>{status}</xmpp:status>\n        \
                 <xmpp:version>{}</xmpp:version>\n      </xmpp:SupportedXep>\n    </implements>\n",
                address(xep.number),
                xep.version,
            ),
        );
    }
    out.push_str("  </Project>\n</rdf:RDF>\n");
    out
}

const DOAP_HEAD: &str = "\
<?xml version='1.0' encoding='UTF-8'?>
<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'
         xmlns='http://usefulinc.com/ns/doap#'
         xmlns:xmpp='https://linkmauve.fr/ns/xmpp-doap#'>
  <Project>
    <name>Waxwing</name>
    <shortdesc xml:lang='en'>XMPP server that works on bad mobile networks</shortdesc>
    <description xml:lang='en'>An XMPP server for instant messaging: one binary, a database inside, \
everything by commands</description>
    <language>en</language>
    <programming-language>Rust</programming-language>
    <os>Linux</os>
    <license rdf:resource='https://spdx.org/licenses/MIT.html'/>
    <license rdf:resource='https://spdx.org/licenses/Apache-2.0.html'/>
    <category rdf:resource='https://linkmauve.fr/ns/xmpp-doap#category-server'/>
";

#[cfg(test)]
mod tests {
    use super::{doap, xeps};

    #[test]
    fn the_description_is_well_formed_and_names_all() {
        let root: minidom::Element = doap().parse().unwrap();
        let project = root.children().next().unwrap();
        let named = project.children().filter(|c| c.children().next().is_some()).count();
        assert_eq!(named, xeps().len());
    }
}
