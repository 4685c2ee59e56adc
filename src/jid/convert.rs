//! Conversions of addresses: from and to texts, between the three types, and for serde.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{BareJid, FullJid, Jid, JidError};

impl TryFrom<Jid> for BareJid {
    type Error = JidError;
    fn try_from(jid: Jid) -> Result<Self, JidError> {
        if jid.is_bare() { Ok(Self(jid)) } else { Err(JidError::HasResource) }
    }
}

impl TryFrom<Jid> for FullJid {
    type Error = JidError;
    fn try_from(jid: Jid) -> Result<Self, JidError> {
        if jid.is_full() { Ok(Self(jid)) } else { Err(JidError::NoResource) }
    }
}

impl PartialEq<BareJid> for Jid {
    fn eq(&self, other: &BareJid) -> bool {
        *self == other.0
    }
}

impl PartialEq<FullJid> for Jid {
    fn eq(&self, other: &FullJid) -> bool {
        *self == other.0
    }
}

/// The implementations that all three types share.
macro_rules! text_type {
    ($name:ident) => {
        impl FromStr for $name {
            type Err = JidError;
            fn from_str(text: &str) -> Result<Self, JidError> {
                Self::parse(text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        /// Compares the texts: the other side is not prepared first.
        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.as_str() == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.as_str() == *other
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl Visitor<'_> for Text {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("an address")
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        $name::parse(text).map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }
    };
}

/// The implementations for the two types that wrap a [`Jid`].
macro_rules! narrow_type {
    ($name:ident) => {
        impl From<$name> for Jid {
            fn from(jid: $name) -> Self {
                jid.0
            }
        }

        impl PartialEq<Jid> for $name {
            fn eq(&self, other: &Jid) -> bool {
                self.0 == *other
            }
        }

        impl Borrow<Jid> for $name {
            fn borrow(&self) -> &Jid {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                self.as_str()
            }
        }

        impl AsRef<Jid> for $name {
            fn as_ref(&self) -> &Jid {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), self.as_str())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

text_type!(Jid);
text_type!(BareJid);
text_type!(FullJid);
narrow_type!(BareJid);
narrow_type!(FullJid);
