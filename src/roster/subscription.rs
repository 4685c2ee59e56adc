//! RFC 6121 appendix A: what a subscription stanza does to a contact's state, as data.
//!
//! Outbound: our user sends it to the contact. Inbound: the contact sends it to our user. The
//! tables are to be compared with the RFC line by line; the code below only looks things up.

use State::{
    Both, From, FromPendingOut, None, NonePendingIn, NonePendingInOut, NonePendingOut, To,
    ToPendingIn,
};

use crate::stanza::PresenceKind;
use crate::storage::{RosterItem, Subscription};

/// The nine states of RFC 6121 §A.1, from the user's point of view.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// Nobody sees anybody.
    None,
    /// The user has asked.
    NonePendingOut,
    /// The contact has asked.
    NonePendingIn,
    /// Both have asked.
    NonePendingInOut,
    /// The user sees the contact.
    To,
    /// The user sees the contact, who has asked.
    ToPendingIn,
    /// The contact sees the user.
    From,
    /// The contact sees the user, who has asked.
    FromPendingOut,
    /// Both see each other.
    Both,
}

/// Which way a stanza goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Way {
    /// From the contact to our user.
    Inbound,
    /// From our user to the contact.
    Outbound,
}

/// What is to be done with a subscription stanza.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Step {
    /// Outbound: it is routed to the contact. Inbound: it is delivered to the user.
    pub pass: bool,
    /// The new state.
    pub state: State,
    /// Inbound `subscribe` of one who is subscribed already: answered at once with `subscribed`
    /// on the user's behalf (RFC 6121 §3.1.3).
    pub approve: bool,
}

impl State {
    /// All nine, in the order of the tables.
    pub const ALL: [Self; 9] = [
        None,
        NonePendingOut,
        NonePendingIn,
        NonePendingInOut,
        To,
        ToPendingIn,
        From,
        FromPendingOut,
        Both,
    ];

    /// That of a stored item.
    #[must_use]
    pub fn of(item: &RosterItem) -> Self {
        match (item.subscription, item.pending_in.is_some(), item.pending_out) {
            (Subscription::None, false, false) => None,
            (Subscription::None, false, true) => NonePendingOut,
            (Subscription::None, true, false) => NonePendingIn,
            (Subscription::None, true, true) => NonePendingInOut,
            (Subscription::To, false, _) => To,
            (Subscription::To, true, _) => ToPendingIn,
            (Subscription::From, _, false) => From,
            (Subscription::From, _, true) => FromPendingOut,
            (Subscription::Both, _, _) => Both,
        }
    }

    /// Who sees whom.
    #[must_use]
    pub fn subscription(self) -> Subscription {
        match self {
            None | NonePendingOut | NonePendingIn | NonePendingInOut => Subscription::None,
            To | ToPendingIn => Subscription::To,
            From | FromPendingOut => Subscription::From,
            Both => Subscription::Both,
        }
    }

    /// The user has asked and waits.
    #[must_use]
    pub fn is_pending_out(self) -> bool {
        matches!(self, NonePendingOut | NonePendingInOut | FromPendingOut)
    }

    /// The contact has asked and waits.
    #[must_use]
    pub fn is_pending_in(self) -> bool {
        matches!(self, NonePendingIn | NonePendingInOut | ToPendingIn)
    }

    /// What a subscription stanza does in this state; `None` if `kind` is no such stanza.
    #[must_use]
    pub fn step(self, way: Way, kind: PresenceKind) -> Option<Step> {
        let table = match (way, kind) {
            (Way::Outbound, PresenceKind::Subscribe) => &OUT_SUBSCRIBE,
            (Way::Outbound, PresenceKind::Unsubscribe) => &OUT_UNSUBSCRIBE,
            (Way::Outbound, PresenceKind::Subscribed) => &OUT_SUBSCRIBED,
            (Way::Outbound, PresenceKind::Unsubscribed) => &OUT_UNSUBSCRIBED,
            (Way::Inbound, PresenceKind::Subscribe) => &IN_SUBSCRIBE,
            (Way::Inbound, PresenceKind::Unsubscribe) => &IN_UNSUBSCRIBE,
            (Way::Inbound, PresenceKind::Subscribed) => &IN_SUBSCRIBED,
            (Way::Inbound, PresenceKind::Unsubscribed) => &IN_UNSUBSCRIBED,
            _ => return Option::None,
        };
        let (pass, state) = table[self as usize];
        let approve = way == Way::Inbound
            && kind == PresenceKind::Subscribe
            && matches!(self, From | FromPendingOut | Both);
        Some(Step { pass, state, approve })
    }
}

type Table = [(bool, State); 9];

const YES: bool = true;
const NO: bool = false;

/// RFC 6121 §A.2.1.
const OUT_SUBSCRIBE: Table = [
    /* None             */ (YES, NonePendingOut),
    /* NonePendingOut   */ (YES, NonePendingOut),
    /* NonePendingIn    */ (YES, NonePendingInOut),
    /* NonePendingInOut */ (YES, NonePendingInOut),
    /* To               */ (YES, To),
    /* ToPendingIn      */ (YES, ToPendingIn),
    /* From             */ (YES, FromPendingOut),
    /* FromPendingOut   */ (YES, FromPendingOut),
    /* Both             */ (YES, Both),
];

/// RFC 6121 §A.2.2.
const OUT_UNSUBSCRIBE: Table = [
    /* None             */ (YES, None),
    /* NonePendingOut   */ (YES, None),
    /* NonePendingIn    */ (YES, NonePendingIn),
    /* NonePendingInOut */ (YES, NonePendingIn),
    /* To               */ (YES, None),
    /* ToPendingIn      */ (YES, NonePendingIn),
    /* From             */ (YES, From),
    /* FromPendingOut   */ (YES, From),
    /* Both             */ (YES, From),
];

/// RFC 6121 §A.2.3.
const OUT_SUBSCRIBED: Table = [
    /* None             */ (NO, None),
    /* NonePendingOut   */ (NO, NonePendingOut),
    /* NonePendingIn    */ (YES, From),
    /* NonePendingInOut */ (YES, FromPendingOut),
    /* To               */ (NO, To),
    /* ToPendingIn      */ (YES, Both),
    /* From             */ (NO, From),
    /* FromPendingOut   */ (NO, FromPendingOut),
    /* Both             */ (NO, Both),
];

/// RFC 6121 §A.2.4.
const OUT_UNSUBSCRIBED: Table = [
    /* None             */ (NO, None),
    /* NonePendingOut   */ (NO, NonePendingOut),
    /* NonePendingIn    */ (YES, None),
    /* NonePendingInOut */ (YES, NonePendingOut),
    /* To               */ (NO, To),
    /* ToPendingIn      */ (YES, To),
    /* From             */ (YES, None),
    /* FromPendingOut   */ (YES, NonePendingOut),
    /* Both             */ (YES, To),
];

/// RFC 6121 §A.3.1.
const IN_SUBSCRIBE: Table = [
    /* None             */ (YES, NonePendingIn),
    /* NonePendingOut   */ (YES, NonePendingInOut),
    /* NonePendingIn    */ (NO, NonePendingIn),
    /* NonePendingInOut */ (NO, NonePendingInOut),
    /* To               */ (YES, ToPendingIn),
    /* ToPendingIn      */ (NO, ToPendingIn),
    /* From             */ (NO, From),
    /* FromPendingOut   */ (NO, FromPendingOut),
    /* Both             */ (NO, Both),
];

/// RFC 6121 §A.3.2.
const IN_UNSUBSCRIBE: Table = [
    /* None             */ (NO, None),
    /* NonePendingOut   */ (NO, NonePendingOut),
    /* NonePendingIn    */ (YES, None),
    /* NonePendingInOut */ (YES, NonePendingOut),
    /* To               */ (NO, To),
    /* ToPendingIn      */ (YES, To),
    /* From             */ (YES, None),
    /* FromPendingOut   */ (YES, NonePendingOut),
    /* Both             */ (YES, To),
];

/// RFC 6121 §A.3.3.
const IN_SUBSCRIBED: Table = [
    /* None             */ (NO, None),
    /* NonePendingOut   */ (YES, To),
    /* NonePendingIn    */ (NO, NonePendingIn),
    /* NonePendingInOut */ (YES, ToPendingIn),
    /* To               */ (NO, To),
    /* ToPendingIn      */ (NO, ToPendingIn),
    /* From             */ (NO, From),
    /* FromPendingOut   */ (YES, Both),
    /* Both             */ (NO, Both),
];

/// RFC 6121 §A.3.4.
const IN_UNSUBSCRIBED: Table = [
    /* None             */ (NO, None),
    /* NonePendingOut   */ (YES, None),
    /* NonePendingIn    */ (NO, NonePendingIn),
    /* NonePendingInOut */ (YES, NonePendingIn),
    /* To               */ (YES, None),
    /* ToPendingIn      */ (YES, NonePendingIn),
    /* From             */ (NO, From),
    /* FromPendingOut   */ (YES, From),
    /* Both             */ (YES, From),
];

#[cfg(test)]
mod tests {
    use super::{State, Way};
    use crate::stanza::PresenceKind;
    use crate::storage::Subscription;

    const KINDS: [PresenceKind; 4] = [
        PresenceKind::Subscribe,
        PresenceKind::Subscribed,
        PresenceKind::Unsubscribe,
        PresenceKind::Unsubscribed,
    ];

    fn sees(state: State) -> (bool, bool) {
        match state.subscription() {
            Subscription::Both => (true, true),
            Subscription::From => (false, true),
            Subscription::None => (false, false),
            Subscription::To => (true, false),
        }
    }

    #[test]
    fn a_state_that_changes_always_passes_the_stanza_on() {
        for state in State::ALL {
            for kind in KINDS {
                for way in [Way::Inbound, Way::Outbound] {
                    let step = state.step(way, kind).unwrap();
                    assert!(step.pass || step.state == state, "{state:?} {way:?} {kind:?}");
                }
            }
        }
    }

    /// A contact can never give himself the right to see the user, nor take it from others.
    #[test]
    fn only_the_user_opens_her_presence_to_a_contact() {
        for state in State::ALL {
            for kind in KINDS {
                let step = state.step(Way::Inbound, kind).unwrap();
                assert!(!sees(step.state).1 || sees(state).1, "{state:?} {kind:?}");
                let step = state.step(Way::Outbound, kind).unwrap();
                assert!(!sees(step.state).0 || sees(state).0, "{state:?} {kind:?}");
            }
        }
    }

    /// Two servers that apply the tables to the same stanzas agree on who sees whom.
    #[test]
    fn both_ends_agree_after_any_conversation_of_six_stanzas() {
        fn talk(romeo: State, juliet: State, left: u32) {
            let agree = sees(romeo).0 == sees(juliet).1 && sees(romeo).1 == sees(juliet).0;
            assert!(agree, "{romeo:?} {juliet:?}");
            if left == 0 {
                return;
            }
            for kind in KINDS {
                let out = romeo.step(Way::Outbound, kind).unwrap();
                let next =
                    if out.pass { juliet.step(Way::Inbound, kind).unwrap().state } else { juliet };
                talk(next, out.state, left - 1);
            }
        }
        talk(State::None, State::None, 6);
    }

    #[test]
    fn a_handshake_ends_with_both() {
        let asked = State::None.step(Way::Outbound, PresenceKind::Subscribe).unwrap().state;
        let to = asked.step(Way::Inbound, PresenceKind::Subscribed).unwrap().state;
        let asked_back = to.step(Way::Inbound, PresenceKind::Subscribe).unwrap().state;
        let both = asked_back.step(Way::Outbound, PresenceKind::Subscribed).unwrap().state;
        assert_eq!(
            [asked, to, asked_back, both],
            [State::NonePendingOut, State::To, State::ToPendingIn, State::Both]
        );
    }

    #[test]
    fn a_request_of_one_who_sees_us_already_is_approved_at_once() {
        for state in State::ALL {
            let step = state.step(Way::Inbound, PresenceKind::Subscribe).unwrap();
            assert_eq!(step.approve, sees(state).1, "{state:?}");
        }
    }
}
