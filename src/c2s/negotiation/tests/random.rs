//! Whatever a client does: stages come in their order, and the end is the end.

use proptest::prelude::{Strategy, prop, prop_assert, prop_oneof, proptest};
use proptest::sample::select;

use super::*;

fn event() -> impl Strategy<Value = Event> {
    let done = prop_oneof![
        select(vec![
            OPEN,
            sasl2::NAMED,
            Header("to='capulet.lit' version='1.0'"),
            Header("version='1.0'")
        ]),
        select(vec![Secured, Success(None), Success(Some(b"v=y")), Challenge(b"r=x")]),
        select(vec![Bound(Ok("romeo@montague.lit/orchard")), Bound(Err(Condition::Conflict))]),
        select(vec![Resumed(Ok(3)), Resumed(Err(None)), Refused(SaslError::NotAuthorized)]),
        select(vec![
            BoundInline,
            Token(None),
            Found,
            Ended,
            Failed(StreamCondition::NotWellFormed)
        ]),
        select(vec![Upgrades(&[]), Upgrades(&[ScramHash::Sha512]), Upgraded(Ok(()))]),
    ];
    let said = select(vec![
        STARTTLS,
        PLAIN,
        SCRAM,
        RESPONSE,
        ABORT,
        BIND,
        RESUME,
        MESSAGE,
        UNKNOWN,
        Element("<iq type='error'/>"),
        Element("<iq type='set'/>"),
        Element("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>%</auth>"),
        sasl2::INITIAL,
        sasl2::BOTH,
        upgrade::BOTH,
        upgrade::NEXT_256,
        upgrade::NEXT_512,
        upgrade::SALTED,
    ]);
    prop_oneof![3 => done, 4 => said]
}

/// What a good client and a good driver do next, so that random paths get somewhere.
fn next(state: State) -> Option<Event> {
    Some(match state {
        State::Binding => Bound(Ok("romeo@montague.lit/orchard")),
        State::Challenged => RESPONSE,
        State::Features(Stage::Authenticated) => BIND,
        State::Features(Stage::Plain) => STARTTLS,
        State::Features(Stage::Secured) => SCRAM,
        State::Header(_) => OPEN,
        State::FindingMechanisms => Found,
        State::FindingTasks => Upgrades(&[ScramHash::Sha256, ScramHash::Sha512]),
        State::TaskOffered => upgrade::NEXT_512,
        State::TaskBegun => upgrade::SALTED,
        State::AddingKeys => Upgraded(Ok(())),
        State::Issuing => Token(None),
        State::Over => return None,
        State::Securing => Secured,
        State::Verifying => Success(None),
    })
}

proptest! {
    /// `None` is the step of a good client, so that each stage is reached.
    #[test]
    fn whatever_happens_stages_are_in_order_and_the_end_is_the_end(
        events in prop::collection::vec(
            prop_oneof![4 => proptest::strategy::Just(None), 1 => event().prop_map(Some)],
            0..40,
        ),
    ) {
        let mut machine = begun();
        let (mut is_secure, mut is_user, mut is_over, mut is_open) = (false, false, false, false);
        for wished in events {
            let Some(event) = wished.or_else(|| next(machine.state)) else { continue };
            for action in feed(&mut machine, event) {
                if is_over {
                    prop_assert!(matches!(action, Action::Close(_)), "{action:?}");
                }
                match &action {
                    Action::Begin(..) | Action::Register(_) => prop_assert!(is_secure && !is_user),
                    Action::Bind(_)
                    | Action::BindInline(_)
                    | Action::IssueToken(_)
                    | Action::Resume(..) => {
                        prop_assert!(is_user);
                    }
                    Action::FindUpgrades(_) | Action::Upgrade(..) => prop_assert!(!is_user),
                    Action::Authenticated => {
                        prop_assert!(is_secure && !is_user);
                        is_user = true;
                    }
                    Action::Close(error) => {
                        // An error is never told on a stream without header.
                        prop_assert!(is_open || is_over || error.is_none());
                        is_over = true;
                    }
                    Action::Restart(stage) => {
                        prop_assert!(!is_user);
                        is_secure = true;
                        is_user = *stage == Stage::Authenticated;
                        is_open = false;
                    }
                    Action::Run => {
                        prop_assert!(is_user);
                        is_over = true;
                    }
                    Action::Open(_) => {
                        prop_assert!(!is_open, "one header a stream");
                        is_open = true;
                    }
                    Action::Features(_) | Action::Send(_) => {
                        prop_assert!(is_open, "nothing before the header");
                    }
                    Action::Continue(_)
                    | Action::FindMechanisms(_)
                    | Action::Forget
                    | Action::Secure => {}
                }
            }
        }
    }
}
