use std::collections::BTreeMap;

use proptest::prelude::*;

use super::Session;

proptest! {
    /// Requests come in an order that the window allows, some of them again, some connections are lost, and
    /// the stream speaks meanwhile: it hears everything once and in order, and so does a client that asks
    /// again for what it has missed.
    #[test]
    fn nothing_is_lost_or_doubled(
        steps in prop::collection::vec((0..6_u8, any::<prop::sample::Index>()), 1..80),
    ) {
        let mut session = Session::open("ver='1.6' hold='2'");
        let (mut next, mut spoken) = (101_u64, 0_u32);
        let (mut heard, mut open) = (Vec::new(), BTreeMap::<u64, u32>::new());
        let mut got = BTreeMap::<u64, String>::new();
        let read = |session: &Session, open: &mut BTreeMap<u64, u32>, got: &mut BTreeMap<u64, String>| {
            open.retain(|rid, ticket| match session.answers.get(ticket) {
                None => true,
                Some(answer) if answer.contains("type='error'") => false,
                Some(answer) => {
                    got.insert(*rid, answer.clone());
                    false
                }
            });
        };
        for (step, index) in steps {
            match step {
                // Some requests that may be sent, in any order.
                0 | 1 => {
                    let room = 3_usize.saturating_sub(open.len()) as u64;
                    let oldest = open.keys().next().copied().unwrap_or(next);
                    let mut rids: Vec<u64> = (next..next + room).filter(|rid| *rid < oldest + 3).collect();
                    let half = rids.len() / 2;
                    if index.index(2) == 1 {
                        rids.rotate_left(half);
                    }
                    for rid in &rids {
                        let ticket = session.send(&format!("rid='{rid}'"), &format!("<i n='{rid}'/>"));
                        open.insert(*rid, ticket);
                    }
                    next += rids.len() as u64;
                }
                2 => {
                    spoken += 1;
                    let text = format!("<o n='{spoken}'/>");
                    if session.engine.is_said() {
                        session.says(&text);
                    } else {
                        spoken -= 1;
                    }
                }
                // A connection is lost, and the request comes again.
                3 if !open.is_empty() => {
                    let at = index.index(open.len());
                    let (rid, ticket) = open.iter().nth(at).map(|(a, b)| (*a, *b)).unwrap();
                    session.engine.lost(u64::from(ticket), session.now);
                    let text = format!("<i n='{rid}'/>");
                    let again = session.send(&format!("rid='{rid}'"), &text);
                    open.insert(rid, again);
                }
                4 if !open.is_empty() => {
                    session.wait(60);
                    let ticket = *open.values().next().unwrap();
                    session.elapsed(ticket);
                }
                _ => heard.extend(session.heard()),
            }
            read(&session, &mut open, &mut got);
            prop_assert!(!session.engine.has_ended());
        }
        heard.extend(session.heard());
        read(&session, &mut open, &mut got);
        let expected: Vec<_> = (101..next).map(|rid| format!("<i n='{rid}'/>")).collect();
        prop_assert_eq!(&heard, &expected);
        let said: String = got.values().map(String::as_str).collect();
        let mut at = 0;
        let waiting = u32::from(!session.engine.is_said());
        for n in 1..=spoken - waiting {
            let text = format!("<o n='{n}'/>");
            let found = said[at..].find(&text);
            prop_assert!(found.is_some(), "{} is missing in {}", text, said);
            at += found.unwrap_or(0);
        }
        prop_assert!(session.begun <= session.now);
    }
}
