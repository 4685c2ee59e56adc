//! The clients that have logged in to an account.

use std::sync::Arc;

use futures_util::future::join_all;
use waxwing::storage::{Device, DeviceLogin, MOST_DEVICES, Storage};

use crate::cases::{account, at, make, user};

fn login(id: &str) -> DeviceLogin {
    DeviceLogin { id: id.into(), software: None, device: None, by_password: true }
}

fn ids(devices: &[Device]) -> Vec<&str> {
    devices.iter().map(|device| device.id.as_str()).collect()
}

pub(crate) async fn a_client_is_known_from_its_first_login_to_its_last(s: Arc<dyn Storage>) {
    make(&s, &["romeo@localhost", "juliet@localhost"]).await;
    let romeo = user("romeo@localhost");
    let named = DeviceLogin { software: Some("Gajim".into()), by_password: false, ..login("a") };
    assert!(!s.devices().note_device(&romeo, at(5), &named).await.unwrap(), "the first of all");
    let on = DeviceLogin { device: Some("laptop".into()), ..login("a") };
    assert!(!s.devices().note_device(&romeo, at(7), &on).await.unwrap(), "it is known");
    let devices = s.devices().of(&romeo).await.unwrap();
    let expected = Device {
        id: "a".into(),
        software: Some("Gajim".into()),
        device: Some("laptop".into()),
        first_seen: at(5),
        last_seen: at(7),
        knows_password: true,
    };
    assert_eq!(devices, [expected]);
    assert_eq!(s.accounts().find(&romeo).await.unwrap().unwrap().last_login, Some(at(7)));
    assert_eq!(s.devices().of(&user("juliet@localhost")).await.unwrap(), []);
}

pub(crate) async fn a_new_client_is_told_once(s: Arc<dyn Storage>) {
    make(&s, &["romeo@localhost"]).await;
    let romeo = user("romeo@localhost");
    assert!(!s.devices().note_device(&romeo, at(1), &login("")).await.unwrap());
    // At the same time, so that they are written together.
    let (a, b) = (login("a"), login("b"));
    let logins = [&a, &b, &a].map(|login| s.devices().note_device(&romeo, at(2), login));
    let told: Vec<_> = join_all(logins).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(told, [true, true, false]);
    assert_eq!(ids(&s.devices().of(&romeo).await.unwrap()), ["", "a", "b"]);
    assert!(s.devices().forget_device(&romeo, "a").await.unwrap());
    assert!(!s.devices().forget_device(&romeo, "a").await.unwrap());
    assert!(s.devices().note_device(&romeo, at(3), &login("a")).await.unwrap());
}

pub(crate) async fn no_client_of_nobody_is_known(s: Arc<dyn Storage>) {
    let nobody = user("nobody@localhost");
    assert!(!s.devices().note_device(&nobody, at(1), &login("a")).await.unwrap());
    // Something is stored, but there is no account.
    s.documents().put(&nobody, "k", "", "<x/>").await.unwrap();
    assert!(!s.devices().note_device(&nobody, at(1), &login("b")).await.unwrap());
    assert_eq!(s.devices().of(&nobody).await.unwrap(), []);
    assert!(!s.devices().forget_device(&nobody, "a").await.unwrap());
}

/// Clients may choose a new resource each time.
pub(crate) async fn clients_by_resource_take_no_place_of_others(s: Arc<dyn Storage>) {
    make(&s, &["romeo@localhost"]).await;
    let romeo = user("romeo@localhost");
    s.devices().note_device(&romeo, at(1), &login("phone")).await.unwrap();
    let unnamed = |n| DeviceLogin::unnamed(Some(&format!("r{n:03}")), true);
    let logins: Vec<_> = (0..=MOST_DEVICES).map(unnamed).collect();
    let note = |n: usize| s.devices().note_device(&romeo, at(2 + n as i64), &logins[n]);
    // What comes together is written together: one after the other takes minutes.
    for noted in join_all((0..MOST_DEVICES).map(note)).await {
        assert!(noted.unwrap());
    }
    assert!(note(MOST_DEVICES).await.unwrap());
    let known = s.devices().of(&romeo).await.unwrap();
    assert_eq!(known.len(), MOST_DEVICES + 1);
    assert!(ids(&known).contains(&"phone") && !ids(&known).contains(&"resource/r000"));
    assert_eq!(
        known.iter().find(|one| one.id == "resource/r001").unwrap().software.as_deref(),
        Some("r001")
    );
}

pub(crate) async fn so_many_clients_are_known(s: Arc<dyn Storage>) {
    make(&s, &["romeo@localhost"]).await;
    let romeo = user("romeo@localhost");
    let number = i64::try_from(MOST_DEVICES).unwrap();
    let names: Vec<_> = (0..=number).map(|n| format!("{n:03}")).collect();
    let logins: Vec<_> = names.iter().map(|name| login(name)).collect();
    let mut at_once = Vec::new();
    for (n, login) in logins[..MOST_DEVICES].iter().enumerate() {
        // The first one was seen last.
        at_once.push(s.devices().note_device(&romeo, at(1_000 - n as i64), login));
    }
    join_all(at_once).await.into_iter().for_each(|noted| assert!(noted.is_ok()));
    assert_eq!(s.devices().of(&romeo).await.unwrap().len(), MOST_DEVICES);
    // The new one stays, whatever the clock says.
    let last = &logins[MOST_DEVICES];
    assert!(s.devices().note_device(&romeo, at(1), last).await.unwrap());
    let known = s.devices().of(&romeo).await.unwrap();
    let mut expected: Vec<_> = names.iter().map(String::as_str).collect();
    expected.remove(MOST_DEVICES - 1);
    assert_eq!(ids(&known), expected);
}

pub(crate) async fn clients_that_were_not_seen_for_long_are_forgotten(s: Arc<dyn Storage>) {
    make(&s, &["romeo@localhost", "juliet@localhost"]).await;
    let (romeo, juliet) = (user("romeo@localhost"), user("juliet@localhost"));
    for (n, name) in ["a", "b", "c"].into_iter().enumerate() {
        s.devices().note_device(&romeo, at(n as i64), &login(name)).await.unwrap();
        s.devices().note_device(&juliet, at(n as i64), &login(name)).await.unwrap();
    }
    assert_eq!(s.devices().forget_unseen(at(2), 3).await.unwrap(), 3);
    assert_eq!(s.devices().forget_unseen(at(2), 3).await.unwrap(), 1);
    assert_eq!(s.devices().forget_unseen(at(2), 3).await.unwrap(), 0);
    for who in [&romeo, &juliet] {
        assert_eq!(ids(&s.devices().of(who).await.unwrap()), ["c"]);
    }
}

pub(crate) async fn no_client_knows_a_new_password(s: Arc<dyn Storage>) {
    make(&s, &["romeo@localhost"]).await;
    let romeo = user("romeo@localhost");
    for name in ["a", "b"] {
        s.devices().note_device(&romeo, at(1), &login(name)).await.unwrap();
    }
    s.accounts().set_keys(&romeo, &account("x@localhost").keys).await.unwrap();
    s.devices().note_device(&romeo, at(2), &login("b")).await.unwrap();
    let devices = s.devices().of(&romeo).await.unwrap();
    let known: Vec<_> = devices.iter().map(|device| device.knows_password).collect();
    assert_eq!(known, [false, true]);
}
