//! Why XML was refused (RFC 6120 §4.9.3).
//!
//! Each variant is exactly one condition of a stream error. There is no stanza error for them: ill-formed
//! XML contains no stanza.

use thiserror::Error;

/// Why XML was refused. The peer gets [`XmlError::condition`].
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum XmlError {
    /// The XML is not allowed here, for example text between stanzas, or a stream header that closes
    /// itself.
    #[error("xml where none of its kind may stand")]
    BadFormat,
    /// A prefix is not declared, or `xml` or `xmlns` is misused.
    #[error("namespace prefix not declared or misused")]
    BadNamespacePrefix,
    /// The tag that opens or closes a stream has the wrong namespace.
    #[error("a stream begins or ends in a wrong namespace")]
    InvalidNamespace,
    /// The XML breaks a rule of XML 1.0 or of Namespaces in XML.
    #[error("xml is not well-formed")]
    NotWellFormed,
    /// A DTD, comment, processing instruction or entity beyond the five (RFC 6120 §11.1).
    #[error("restricted xml: dtd, comment, processing instruction or entity")]
    RestrictedXml,
    /// The XML exceeds this limit of the server.
    #[error("too large: limit of {0:?} passed")]
    TooLarge(Limit),
    /// The bytes are not UTF-8, or another encoding is declared (RFC 6120 §11.6).
    #[error("encoding is not UTF-8")]
    UnsupportedEncoding,
}

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Attributes of one element, including namespace declarations.
    Attributes,
    /// Bytes of one child of the stream, or of its header.
    Bytes,
    /// The depth of nested elements.
    Depth,
    /// Bytes of one name or of one namespace.
    Name,
    /// Elements, attributes and texts of one child of the stream.
    Nodes,
    /// Namespace declarations in force at one place.
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
