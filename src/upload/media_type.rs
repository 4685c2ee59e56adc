//! Types of files (RFC 9110 §8.3.1): what a browser may show, and what it must not even know.

/// A type in lower case, `image/jpeg`, without parameters but for the characters of a plain text.
#[derive(Clone, Debug)]
pub struct MediaType(String, Option<String>);

/// Two types are the same, whatever their parameters are.
impl PartialEq for MediaType {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for MediaType {}

impl MediaType {
    /// Reads a type. Parameters are left out, but not the `charset` of `text/plain`. `None` if it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';');
        let essence = parts.next()?.trim().to_ascii_lowercase();
        let (kind, subtype) = essence.split_once('/')?;
        let is_token = |part: &str| {
            let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b);
            !part.is_empty() && part.len() <= 127 && part.bytes().all(is_allowed)
        };
        let charset = parts.find_map(|part| {
            let (name, value) = part.split_once('=')?;
            let value = value.trim().trim_matches('"').to_ascii_lowercase();
            let is_it = name.trim().eq_ignore_ascii_case("charset") && is_token(&value);
            (is_it && essence == PLAIN).then_some(value)
        });
        (is_token(kind) && is_token(subtype)).then_some(Self(essence, charset))
    }

    /// As it is written with the characters of a plain text. Nearly all texts are in UTF-8, and browsers take them for
    /// something else if they are not told.
    #[must_use]
    pub fn with_charset(&self) -> String {
        match &self.1 {
            _ if self.0 != PLAIN => self.0.clone(),
            Some(charset) => format!("{PLAIN}; charset={charset}"),
            None => format!("{PLAIN}; charset=utf-8"),
        }
    }

    /// As it is written, without parameters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a pattern of the configuration means it: `image/jpeg`, `image/*`, `*/*`.
    #[must_use]
    pub fn matches(&self, pattern: &str) -> bool {
        match pattern.strip_suffix("/*") {
            Some("*") => true,
            Some(kind) => self.0.split('/').next().is_some_and(|own| own == kind),
            None => self.0 == pattern,
        }
    }

    /// Whether a browser may show it in place: it contains no program.
    #[must_use]
    pub fn is_shown(&self) -> bool {
        let is_media = ["image/", "audio/", "video/"].iter().any(|kind| self.0.starts_with(kind));
        is_media && !self.is_active() || self.0 == "text/plain"
    }

    /// A browser would run it, or read it as a page. It is served as a type that says nothing.
    #[must_use]
    pub fn is_active(&self) -> bool {
        let subtype = self.0.split('/').nth(1).unwrap_or_default();
        let is_text = self.0.starts_with("text/") && self.0 != "text/plain";
        let is_xml = subtype == "xml" || subtype.ends_with("+xml");
        let words = ["html", "script", "svg", "flash", "wasm"];
        let is_named = is_xml || words.iter().any(|word| subtype.contains(word));
        is_text || is_named || self.0.starts_with("multipart/") || self.0.starts_with("message/")
    }
}

const PLAIN: &str = "text/plain";

#[cfg(test)]
mod tests {
    use super::MediaType;

    fn read(text: &str) -> MediaType {
        MediaType::parse(text).unwrap_or_else(|| panic!("{text} is a type"))
    }

    #[test]
    fn types_are_read_without_parameters() {
        assert_eq!(read("image/JPEG").as_str(), "image/jpeg");
        assert_eq!(read(" text/plain; charset=utf-8").as_str(), "text/plain");
        assert_eq!(read("application/vnd.a+b").as_str(), "application/vnd.a+b");
        for (text, served) in [
            ("text/plain", "text/plain; charset=utf-8"),
            ("text/plain; charset=\"ISO-8859-1\"", "text/plain; charset=iso-8859-1"),
            ("text/plain; format=flowed; Charset=KOI8-R", "text/plain; charset=koi8-r"),
            ("text/plain; charset=a\r\nX: y", "text/plain; charset=utf-8"),
            ("image/png; charset=utf-8", "image/png"),
        ] {
            assert_eq!(read(text).with_charset(), served, "{text}");
            assert_eq!(read(text).as_str(), text.split(';').next().unwrap());
        }
        for wrong in ["", "image", "image/", "/jpeg", "a/b/c", "a b/c", "a/b\r\nX: y", "é/b", "*/*"]
        {
            assert_eq!(MediaType::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_pattern_means_one_type_or_a_kind() {
        for (pattern, matches) in [
            ("image/jpeg", true),
            ("image/*", true),
            ("*/*", true),
            ("image/png", false),
            ("video/*", false),
            ("imag/*", false),
            ("image", false),
        ] {
            assert_eq!(read("image/jpeg").matches(pattern), matches, "{pattern}");
        }
    }

    #[test]
    fn no_program_is_shown() {
        for shown in ["image/jpeg", "video/mp4", "audio/ogg", "text/plain", "image/heic"] {
            assert!(read(shown).is_shown() && !read(shown).is_active(), "{shown}");
        }
        for active in [
            "text/html",
            "image/svg+xml",
            "application/xhtml+xml",
            "text/xml",
            "application/xml",
            "text/javascript",
            "application/ecmascript",
            "text/css",
            "application/x-shockwave-flash",
            "multipart/x-mixed-replace",
            "message/rfc822",
            "application/wasm",
        ] {
            assert!(!read(active).is_shown() && read(active).is_active(), "{active}");
        }
        for stored in [
            "application/pdf",
            "application/zip",
            "application/vnd.openxmlformats-officedocument.presentationml.slide",
        ] {
            assert!(!read(stored).is_shown() && !read(stored).is_active(), "{stored}");
        }
    }
}
