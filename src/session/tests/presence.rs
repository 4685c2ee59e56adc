//! Who has seen the presence of a session.

use super::{ROOMY, session};
use crate::jid::Jid;

/// RFC 6121 §4.6.3: what is not remembered cannot be told the end.
#[tokio::test(start_paused = true)]
async fn a_thousand_have_directed_presence_and_one_more_is_refused() {
    let session = session(ROOMY);
    let jid = |n: usize| Jid::parse(&format!("c{n}@capulet.lit")).unwrap();
    let add = |n| session.add_directed(&jid(n));
    assert!((0..1000).all(add));
    assert!(!add(1000));
    assert!(add(0), "it is one of them");
    session.end_directed(&jid(1000));
    session.end_directed(&jid(0));
    assert!(add(1000), "there is room again");
    assert_eq!(session.handle().directed().len(), 1000);
}

#[tokio::test(start_paused = true)]
async fn others_know_of_a_session_by_its_directed_presence_and_by_its_requests() {
    let session = session(ROOMY);
    let handle = session.handle();
    let [room, nurse] =
        ["room@capulet.lit/romeo", "nurse@capulet.lit"].map(|j| Jid::parse(j).unwrap());
    assert!(session.add_directed(&room));
    session.note_asked(nurse.to_bare());
    assert!(handle.is_known_at(&room) && handle.is_known_at(&nurse));
    assert!(
        handle.is_known_at(&Jid::parse("room@capulet.lit/nurse").unwrap()),
        "by the bare address"
    );
    assert!(handle.is_shown_to(&room) && !handle.is_shown_to(&nurse));
    handle.remove_directed(&room);
    assert!(!handle.is_known_at(&room) && handle.is_known_at(&nurse));
    assert!(handle.set_unavailable().is_empty() && !handle.is_known_at(&nurse));
}
