//! Why bytes were refused (RFC 6120 §4.9.3).
//!
//! Every variant is exactly one condition of a stream error. None can be answered by a stanza
//! error: after ill-formed XML there is no stanza.

use thiserror::Error;

/// Why bytes were refused; [`XmlError::condition`] is what the peer is told.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum XmlError {
    /// XML that has no place here: text between stanzas, a stream that ends with its own tag.
    #[error("xml where none of its kind may stand")]
    BadFormat,
    /// A prefix that nobody declared, or a misuse of `xml` or `xmlns`.
    #[error("namespace prefix not declared or misused")]
    BadNamespacePrefix,
    /// The beginning or the end of a stream in another namespace than theirs.
    #[error("a stream begins or ends in a wrong namespace")]
    InvalidNamespace,
    /// Against the rules of XML 1.0 or Namespaces in XML.
    #[error("xml is not well-formed")]
    NotWellFormed,
    /// A DTD, comment, processing instruction or entity beyond the five (RFC 6120 §11.1).
    #[error("restricted xml: dtd, comment, processing instruction or entity")]
    RestrictedXml,
    /// A limit of this server was passed; says which.
    #[error("too large: limit of {0:?} passed")]
    TooLarge(Limit),
    /// Bytes that are no UTF-8, or a declaration of another encoding (RFC 6120 §11.6).
    #[error("encoding is not UTF-8")]
    UnsupportedEncoding,
}

/// What there may be only so much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Attributes of one element, declarations of namespaces included.
    Attributes,
    /// Bytes of one child of the stream, or of the stream's header.
    Bytes,
    /// Elements inside each other.
    Depth,
    /// Bytes of one name or of one namespace.
    Name,
    /// Elements, attributes and texts of one child of the stream.
    Nodes,
    /// Prefixes in force at one place.
    Prefixes,
}

impl XmlError {
    /// The name of the stream error's condition (RFC 6120 §4.9.3).
    pub fn condition(self) -> &'static str {
        match self {
            Self::BadFormat => "bad-format",
            Self::BadNamespacePrefix => "bad-namespace-prefix",
            Self::InvalidNamespace => "invalid-namespace",
            Self::NotWellFormed => "not-well-formed",
            Self::RestrictedXml => "restricted-xml",
            Self::TooLarge(_) => "policy-violation",
            Self::UnsupportedEncoding => "unsupported-encoding",
        }
    }
}
