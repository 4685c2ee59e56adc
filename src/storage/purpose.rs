//! What files are for (XEP-0363 §5).

/// What a file is for (XEP-0363 §5).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Purpose {
    /// A message that is to be forgotten early.
    Ephemeral,
    /// A message. The default.
    Message,
    /// Kept for long, as the picture of a blog.
    Permanent,
    /// An avatar, or a picture like it.
    Profile,
}

impl Purpose {
    /// All, in the order of XEP-0363 §5.
    pub const ALL: [Self; 4] = [Self::Message, Self::Profile, Self::Ephemeral, Self::Permanent];

    /// The name of its element.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ephemeral => "ephemeral",
            Self::Message => "message",
            Self::Permanent => "permanent",
            Self::Profile => "profile",
        }
    }

    /// The purpose with this name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.as_str() == name)
    }

    /// Two purposes that have one quota share it: ephemeral files are messages. A purpose with a quota for itself is
    /// here twice.
    #[must_use]
    pub fn sharing_quota(self) -> [Self; 2] {
        match self {
            Self::Ephemeral | Self::Message => [Self::Ephemeral, Self::Message],
            Self::Permanent | Self::Profile => [self, self],
        }
    }

    /// The number in the database.
    pub(super) fn code(self) -> i64 {
        match self {
            Self::Message => 0,
            Self::Profile => 1,
            Self::Ephemeral => 2,
            Self::Permanent => 3,
        }
    }

    pub(super) fn of_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.code() == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purpose_is_found_by_its_name_and_by_its_code() {
        for purpose in Purpose::ALL {
            assert_eq!(Purpose::of(purpose.as_str()), Some(purpose));
            assert_eq!(Purpose::of_code(purpose.code()), Some(purpose));
            assert!(purpose.sharing_quota().contains(&purpose));
        }
        assert_eq!(Purpose::of("photo"), None);
    }
}
