//! Escapes text and writes trees.
//!
//! The output is always well-formed: characters that XML does not allow are omitted.

use minidom::Element;

use super::chars::{has_nonchars, is_char, is_control};
use super::{XML, XMLNS};

/// Appends `text`, escaped for a place between tags.
pub fn escape_text(out: &mut Vec<u8>, text: &str) {
    escape(out, text, |c| match c {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        // A `>` must not follow `]]`.
        '>' => Some("&gt;"),
        // A parser would read it as `\n`.
        '\r' => Some("&#13;"),
        _ => None,
    });
}

/// Appends `value`, escaped for an attribute in quotes of either kind.
pub fn escape_attr(out: &mut Vec<u8>, value: &str) {
    escape(out, value, |c| match c {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        '\'' => Some("&apos;"),
        '"' => Some("&quot;"),
        // A parser would read them as spaces.
        '\t' => Some("&#9;"),
        '\n' => Some("&#10;"),
        '\r' => Some("&#13;"),
        _ => None,
    });
}

/// Appends the tree as a child of an element whose default namespace is `parent_ns`.
/// Namespaces are declared only where they change.
pub fn write_tree(out: &mut Vec<u8>, tree: &Element, parent_ns: &str) {
    let (name, ns) = (tree.name(), tree.ns());
    out.push(b'<');
    out.extend_from_slice(name.as_bytes());
    if ns != parent_ns {
        write_attr(out, "", "xmlns", &ns);
    }
    for (n, ((ns, name), value)) in tree.attrs().iter().enumerate() {
        match ns.as_str() {
            "" => write_attr(out, "", name, value),
            XML => write_attr(out, "xml:", name, value),
            // This namespace must not be declared.
            XMLNS => {}
            ns => {
                write_attr(out, "xmlns:", &format!("n{n}"), ns);
                write_attr(out, &format!("n{n}:"), name, value);
            }
        }
    }
    if tree.nodes().next().is_none() {
        out.extend_from_slice(b"/>");
        return;
    }
    out.push(b'>');
    for node in tree.nodes() {
        match node {
            minidom::Node::Element(child) => write_tree(out, child, &ns),
            minidom::Node::Text(text) => escape_text(out, text),
        }
    }
    out.extend_from_slice(b"</");
    out.extend_from_slice(name.as_bytes());
    out.push(b'>');
}

/// Appends ` name='value'`.
pub(super) fn write_attr(out: &mut Vec<u8>, prefix: &str, name: &str, value: &str) {
    out.push(b' ');
    out.extend_from_slice(prefix.as_bytes());
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"='");
    escape_attr(out, value);
    out.push(b'\'');
}

fn escape(out: &mut Vec<u8>, text: &str, replace: impl Fn(char) -> Option<&'static str>) {
    // Most text has nothing to escape. The loop has no early end, so that it becomes vector instructions.
    let (mut special, mut wide) = (false, false);
    for &byte in text.as_bytes() {
        special |= byte < b' ' || matches!(byte, b'"' | b'&' | b'\'' | b'<' | b'>');
        wide |= byte == 0xEF;
    }
    let is_plain = !special && (!wide || !has_nonchars(text.as_bytes()));
    if is_plain {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    let mut written = 0;
    for (at, c) in text.char_indices() {
        let replacement = replace(c).or_else(|| is_dropped(c).then_some(""));
        if let Some(replacement) = replacement {
            out.extend_from_slice(&text.as_bytes()[written..at]);
            out.extend_from_slice(replacement.as_bytes());
            written = at + c.len_utf8();
        }
    }
    out.extend_from_slice(&text.as_bytes()[written..]);
}

fn is_dropped(c: char) -> bool {
    debug_assert!(!c.is_ascii() || is_char(c) != is_control(c as u8), "two ways to say the same");
    !is_char(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(input: &str) -> String {
        let mut out = Vec::new();
        escape_text(&mut out, input);
        String::from_utf8(out).unwrap()
    }

    fn attr(input: &str) -> String {
        let mut out = Vec::new();
        escape_attr(&mut out, input);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_xml_reserves_is_escaped() {
        assert_eq!(text("a<b>&'\"\t\n\r"), "a&lt;b&gt;&amp;'\"\t\n&#13;");
        assert_eq!(attr("a<b>&'\"\t\n\r"), "a&lt;b&gt;&amp;&apos;&quot;&#9;&#10;&#13;");
        assert_eq!(text("plain été 🎈"), "plain été 🎈");
    }

    #[test]
    fn characters_that_xml_forbids_are_left_out() {
        assert_eq!(text("a\u{0}b\u{1F}c\u{FFFE}d\u{FFFF}e\u{FFFD}"), "abcde\u{FFFD}");
        assert_eq!(attr("\u{FFFF}"), "");
        assert_eq!(text("\u{7F}\u{85}"), "\u{7F}\u{85}");
    }

    #[test]
    fn a_tree_declares_a_namespace_only_where_it_changes() {
        let tree: Element =
            "<a xmlns='urn:a' xml:lang='en'><b k='&lt;'>t</b><c xmlns=''><d xmlns='urn:a'/></c></a>"
                .parse()
                .unwrap();
        let mut out = Vec::new();
        write_tree(&mut out, &tree, "urn:a");
        let expected = "<a xml:lang='en'><b k='&lt;'>t</b><c xmlns=''><d xmlns='urn:a'/></c></a>";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
