//! The choices of an account.

use crate::config::{OfStrangers, StrangersConfig};
use crate::xml::{Frame, Node, element};

/// What happens to a stanza of a stranger, in the order of strictness.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Choice {
    /// It is let through.
    #[default]
    Allow,
    /// It waits until the user accepts its sender.
    Wait,
    /// It is refused, as if the account did not exist.
    Refuse,
}

/// What a stranger may want.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Approach {
    /// To call (XEP-0353, XEP-0482).
    Call,
    /// To invite the user to a room (XEP-0045 §7.8, XEP-0249).
    Invitation,
    /// To say something.
    Message,
    /// To see the user's presence (RFC 6121 §3.1).
    Subscription,
}

/// What an account does with strangers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Policy([Choice; 4]);

impl Choice {
    /// All, in the order in which they are shown.
    pub const ALL: [Self; 3] = [Self::Allow, Self::Wait, Self::Refuse];

    /// Its word, for people and in the store.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Wait => "wait",
            Self::Refuse => "refuse",
        }
    }

    /// The choice with this word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|choice| choice.word() == word)
    }
}

impl Approach {
    /// All, in the order in which they are shown.
    pub const ALL: [Self; 4] = [Self::Message, Self::Subscription, Self::Call, Self::Invitation];

    /// Its word, for people and in the store.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Call => "calls",
            Self::Invitation => "invitations",
            Self::Message => "messages",
            Self::Subscription => "subscriptions",
        }
    }

    /// What it is, for people.
    #[must_use]
    pub fn about(self) -> &'static str {
        match self {
            Self::Call => "Their calls",
            Self::Invitation => "Their invitations to rooms",
            Self::Message => "Their messages",
            Self::Subscription => "Their requests to see the user's presence",
        }
    }

    /// The one with this word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|approach| approach.word() == word)
    }
}

impl From<OfStrangers> for Choice {
    fn from(word: OfStrangers) -> Self {
        match word {
            OfStrangers::Allow => Self::Allow,
            OfStrangers::Refuse => Self::Refuse,
            OfStrangers::Wait => Self::Wait,
        }
    }
}

/// What the operator chose for accounts whose users have not chosen.
impl From<&StrangersConfig> for Policy {
    fn from(config: &StrangersConfig) -> Self {
        let StrangersConfig { messages, subscriptions, calls, invitations } = config;
        let mut policy = Self::default();
        policy.set(Approach::Message, (*messages).into());
        policy.set(Approach::Subscription, (*subscriptions).into());
        policy.set(Approach::Call, (*calls).into());
        policy.set(Approach::Invitation, (*invitations).into());
        policy
    }
}

impl Policy {
    /// The same choice for all.
    #[must_use]
    pub fn all(choice: Choice) -> Self {
        Self([choice; 4])
    }

    /// What happens to a stanza with which a stranger wants this.
    #[must_use]
    pub fn on(&self, approach: Approach) -> Choice {
        self.0[approach as usize]
    }

    /// Sets what happens.
    pub fn set(&mut self, approach: Approach, choice: Choice) {
        self.0[approach as usize] = choice;
    }

    pub(super) fn to_node(self) -> Node {
        Approach::ALL.into_iter().fold(element("strangers"), |node, approach| {
            node.attr(approach.word(), self.on(approach).word())
        })
    }

    pub(super) fn read(xml: String) -> Option<Self> {
        let frame = Frame::from_bytes(xml).ok()?;
        let mut policy = Self::default();
        for approach in Approach::ALL {
            // What was not known when this was written is let through.
            if let Some(word) = frame.root().attr(approach.word()) {
                policy.set(approach, Choice::of(&word)?);
            }
        }
        Some(policy)
    }
}

#[cfg(test)]
mod tests {
    use super::{Approach, Choice, Policy};
    use crate::config::{Config, OfStrangers};

    #[test]
    fn the_operator_chooses_for_each_approach() {
        let policy = |text: &str| {
            let config = Config::parse(text, "the test").unwrap();
            Policy::from(&config.strangers)
        };
        assert_eq!(policy(""), Policy::default());
        for approach in Approach::ALL {
            for word in [OfStrangers::Allow, OfStrangers::Refuse, OfStrangers::Wait] {
                let found =
                    policy(&format!("[strangers]\n{} = \"{}\"", approach.word(), word.word()));
                let mut expected = Policy::default();
                expected.set(approach, Choice::of(word.word()).unwrap());
                assert_eq!(found, expected);
            }
        }
    }

    #[test]
    fn what_is_stored_is_read_again() {
        for approach in Approach::ALL {
            for choice in Choice::ALL {
                let mut policy = Policy::default();
                policy.set(approach, choice);
                assert_eq!(Policy::read(policy.to_node().to_xml()), Some(policy));
                assert_eq!(policy.on(approach), choice);
            }
        }
        assert_eq!(Policy::read("<strangers/>".to_owned()), Some(Policy::default()));
        for damaged in ["", "<strangers", "<strangers messages='perhaps'/>"] {
            assert_eq!(Policy::read(damaged.to_owned()), None, "{damaged}");
        }
    }
}
