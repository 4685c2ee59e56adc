//! Why a text is not an address.

/// Why a text is not an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum JidError {
    /// A part is present but empty, or the domain is missing.
    #[error("a part of the address is empty")]
    Empty,
    /// A part has more than 1023 bytes, or the domain is longer than the DNS allows.
    #[error("a part of the address is too long")]
    TooLong,
    /// A part contains a forbidden character.
    #[error("the address has a forbidden character")]
    Forbidden,
    /// A bare address is required.
    #[error("the address has a resource")]
    HasResource,
    /// A full address is required.
    #[error("the address has no resource")]
    NoResource,
}
