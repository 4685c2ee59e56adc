//! The words that may be values of the fields (XEP-0060 §16.4.4).

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$item:meta])* $variant:ident $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
        pub enum $name { $($(#[$item])* $variant,)* }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The value in forms.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// The one with this value.
            #[must_use]
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

words! {
    /// Who may subscribe and read (XEP-0060 §4.5).
    AccessModel {
        /// Those whom an owner has let in.
        Authorize "authorize",
        /// Everybody.
        Open "open",
        /// Those who see the presence of the owner.
        Presence "presence",
        /// Those in some groups of the owner's roster.
        Roster "roster",
        /// Members, publishers and owners.
        Whitelist "whitelist",
    }
}

words! {
    /// Who may publish.
    PublishModel {
        /// Everybody.
        Open "open",
        /// Publishers and owners.
        Publishers "publishers",
        /// Those, and subscribers.
        Subscribers "subscribers",
    }
}

words! {
    /// When a subscriber is sent the last item.
    SendLast {
        /// Never.
        Never "never",
        /// When it subscribes.
        OnSub "on_sub",
        /// Also when it comes online.
        OnSubAndPresence "on_sub_and_presence",
    }
}

words! {
    /// The type of the messages with events.
    NotificationType {
        /// `headline`: not kept for the absent.
        Headline "headline",
        /// `normal`.
        Normal "normal",
    }
}

words! {
    /// To whom replies to an item go.
    ItemReply {
        /// The owner.
        Owner "owner",
        /// The publisher.
        Publisher "publisher",
    }
}

words! {
    /// What happens when an item is published at a full node (XEP-0060 §7.1.3.4).
    NodeFull {
        /// The oldest item is dropped, and nobody is told.
        DiscardOldest "discard-oldest",
        /// The new item is refused.
        Reject "reject",
        /// The oldest item is dropped, and subscribers are told.
        RetractOldest "retract-oldest",
    }
}
