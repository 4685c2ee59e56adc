//! What others say of a certificate that no authority has signed.

/// What the signed DNS, or a web site, says of a certificate.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) enum Named {
    /// It names it for this domain.
    Known(String),
    /// It was not asked.
    #[default]
    NotAsked,
    /// It does not name it; why, in words.
    Unknown(&'static str),
}

impl Named {
    pub(super) fn knows(&self, domain: &str) -> bool {
        matches!(self, Self::Known(known) if known == domain)
    }

    /// What it says, in words. `None` if it was not asked.
    pub(super) fn words(&self) -> Option<&'static str> {
        match self {
            Self::Known(_) => Some("valid"),
            Self::NotAsked => None,
            Self::Unknown(why) => Some(why),
        }
    }
}
