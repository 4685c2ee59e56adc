//! How large one child of a stream may be.

/// Limits for parsing. They are checked while the bytes come, not afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest number of bytes of one child of the stream, from `<` to `>`. It also limits a child
    /// that is rewritten without the prefixes of its stream.
    pub bytes: usize,
    /// The largest depth of nested elements; the child of the stream has depth 1. At most 1000.
    pub depth: usize,
    /// The largest number of attributes of one element, including namespace declarations.
    pub attributes: usize,
    /// The largest number of elements, attributes and texts of one child of the stream together.
    pub nodes: usize,
}

impl Limits {
    /// For XML that this server wrote or checked before: the largest stanza that the configuration allows
    /// (`config/limits.rs`), plus children that the server may have added.
    pub const STORED: Self =
        Self { bytes: 72 * 1024 * 1024, depth: 264, attributes: 1200, nodes: (2 << 20) + 1024 };
}

impl Default for Limits {
    /// For authenticated clients.
    fn default() -> Self {
        Self { bytes: 256 * 1024, depth: 64, attributes: 64, nodes: 16 * 1024 }
    }
}
