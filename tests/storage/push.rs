//! Push registrations.

use std::sync::Arc;

use waxwing::jid::Jid;
use waxwing::storage::{PushDevice, PushRegistration, Storage, StorageError};

use crate::cases::{at, user};

pub(crate) fn registration(service: &str, node: &str, registered: i64) -> PushRegistration {
    PushRegistration {
        service: Jid::parse(service).unwrap(),
        node: node.to_owned(),
        options: Some(format!("<x>{node}</x>")),
        device: PushDevice::Installation("d4565fa7".to_owned()),
        registered: at(registered),
    }
}

/// The nodes that are registered, with their services.
async fn nodes(s: &Arc<dyn Storage>, who: &str) -> Vec<String> {
    let all = s.push().registrations(&user(who)).await.unwrap();
    all.iter().map(|one| format!("{} {}", one.service, one.node)).collect()
}

pub(crate) async fn a_push_registration_comes_back_as_it_was_made(s: Arc<dyn Storage>) {
    let romeo = user("romeo@localhost");
    assert_eq!(s.push().registrations(&romeo).await.unwrap(), []);
    let phone = registration("push.example", "phone", 1);
    let tablet = PushRegistration {
        options: None,
        device: PushDevice::Resource("orchard".to_owned()),
        ..registration("push.example", "", 2)
    };
    s.push().register(&romeo, &phone, 9).await.unwrap();
    s.push().register(&romeo, &tablet, 9).await.unwrap();
    let all = s.push().registrations(&romeo).await.unwrap();
    assert_eq!(all, [tablet.clone(), phone]);
    let moved = registration("push.example", "phone", 3);
    let moved = PushRegistration { device: PushDevice::Resource("b".to_owned()), ..moved };
    s.push().register(&romeo, &moved, 9).await.unwrap();
    assert_eq!(s.push().registrations(&romeo).await.unwrap(), [tablet, moved]);
}

pub(crate) async fn push_registrations_go_by_node_or_by_service(s: Arc<dyn Storage>) {
    let romeo = user("romeo@localhost");
    let (a, b) = (Jid::parse("a.example").unwrap(), Jid::parse("b.example").unwrap());
    assert_eq!(s.push().remove(&romeo, &a, None).await.unwrap(), 0);
    for (service, node) in [("a.example", "1"), ("a.example", "2"), ("b.example", "1")] {
        s.push().register(&romeo, &registration(service, node, 1), 9).await.unwrap();
    }
    assert_eq!(s.push().remove(&romeo, &b, Some("2")).await.unwrap(), 0);
    assert_eq!(s.push().remove(&romeo, &a, Some("2")).await.unwrap(), 1);
    assert_eq!(nodes(&s, "romeo@localhost").await, ["a.example 1", "b.example 1"]);
    s.push().register(&romeo, &registration("a.example", "3", 1), 9).await.unwrap();
    assert_eq!(s.push().remove(&romeo, &a, None).await.unwrap(), 2);
    assert_eq!(nodes(&s, "romeo@localhost").await, ["b.example 1"]);
}

pub(crate) async fn a_renewed_push_registration_outlives_an_old_error(s: Arc<dyn Storage>) {
    let romeo = user("romeo@localhost");
    let old = registration("push.example", "phone", 1);
    let new = registration("push.example", "phone", 2);
    s.push().register(&romeo, &old, 9).await.unwrap();
    s.push().register(&romeo, &new, 9).await.unwrap();
    assert!(!s.push().remove_unless_renewed(&romeo, &old).await.unwrap());
    assert!(s.push().remove_unless_renewed(&romeo, &new).await.unwrap());
    assert!(!s.push().remove_unless_renewed(&romeo, &new).await.unwrap());
}

pub(crate) async fn too_many_push_registrations_remove_the_stalest(s: Arc<dyn Storage>) {
    let romeo = user("romeo@localhost");
    for (node, registered) in [("a", 2), ("b", 1), ("c", 3)] {
        let new = registration("push.example", node, registered);
        s.push().register(&romeo, &new, 3).await.unwrap();
    }
    s.push().register(&romeo, &registration("push.example", "b", 4), 3).await.unwrap();
    let expected = ["a", "b", "c"].map(|node| format!("push.example {node}"));
    assert_eq!(nodes(&s, "romeo@localhost").await, expected);
    // The new one stays, even if the clock went back.
    s.push().register(&romeo, &registration("push.example", "d", 0), 3).await.unwrap();
    let expected = ["b", "c", "d"].map(|node| format!("push.example {node}"));
    assert_eq!(nodes(&s, "romeo@localhost").await, expected);
    s.push().register(&romeo, &registration("push.example", "e", 5), 1).await.unwrap();
    assert_eq!(nodes(&s, "romeo@localhost").await, ["push.example e"]);
}

pub(crate) async fn push_registrations_count_for_the_quota(s: Arc<dyn Storage>) {
    let romeo = user("romeo@localhost");
    let phone = registration("push.example", "phone", 1);
    s.push().register(&romeo, &phone, 9).await.unwrap();
    let bytes = ("push.example".len() + "phone".len() + "<x>phone</x>".len() + 8) as u64;
    assert_eq!(s.usage().used(&romeo).await.unwrap().total(), bytes);
    s.usage().set_quota(&romeo, Some(bytes)).await.unwrap();
    s.push().register(&romeo, &phone, 9).await.unwrap();
    let other = registration("push.example", "other", 1);
    let refused = s.push().register(&romeo, &other, 9).await;
    assert!(matches!(refused, Err(StorageError::Quota)), "{refused:?}");
    s.push().remove(&romeo, &phone.service, None).await.unwrap();
    s.push().register(&romeo, &other, 9).await.unwrap();
}
