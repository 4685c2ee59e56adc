//! Invitations.

use std::sync::Arc;

use futures_util::future::join_all;
use waxwing::jid::BareJid;
use waxwing::storage::{
    INVITATIONS, Invitation, InvitationId, InvitationKind, REMEMBERED, Storage, StorageError,
};

use crate::cases::{at, make, user};

pub(crate) fn invitation(inviter: &BareJid, n: i64) -> Invitation {
    Invitation {
        id: InvitationId::of_token(&format!("{inviter} {n}")),
        inviter: inviter.clone(),
        kind: InvitationKind::Contact,
        also: false,
        name: None,
        uses: 1,
        created: at(n),
        expires: at(1000),
    }
}

pub(crate) async fn an_invitation_comes_back_as_it_was_made(s: Arc<dyn Storage>) {
    make(&s, &["romeo@localhost"]).await;
    let (romeo, host) = (user("romeo@localhost"), user("localhost"));
    let of_romeo = Invitation {
        kind: InvitationKind::Account,
        also: true,
        name: Some(user("juliet@localhost")),
        uses: 3,
        ..invitation(&romeo, 5)
    };
    let of_host = invitation(&host, 7);
    for new in [&of_romeo, &of_host] {
        s.invitations().add_invitation(new, 9).await.unwrap();
        let found = s.invitations().find_invitation(new.id).await.unwrap();
        assert_eq!(found.as_ref(), Some(new));
    }
    let all = s.invitations().invitations(None, 9).await.unwrap();
    assert_eq!(all, [of_host.clone(), of_romeo.clone()]);
    assert_eq!(s.invitations().invitations(None, 1).await.unwrap(), [of_host]);
    assert_eq!(s.invitations().invitations(Some(&romeo), 9).await.unwrap(), [of_romeo]);
    let unknown = InvitationId::of_token("unknown");
    assert_eq!(s.invitations().find_invitation(unknown).await.unwrap(), None);
    assert!(!s.invitations().use_invitation(unknown, None).await.unwrap());
    let nobody = user("nobody@localhost");
    assert_eq!(s.invitations().invitations(Some(&nobody), 9).await.unwrap(), []);
}

pub(crate) async fn an_invitation_is_used_so_often(s: Arc<dyn Storage>) {
    let romeo = user("romeo@localhost");
    make(&s, &["romeo@localhost"]).await;
    let new = Invitation { uses: 2, ..invitation(&romeo, 1) };
    s.invitations().add_invitation(&new, 9).await.unwrap();
    assert!(!s.invitations().use_invitation(new.id, Some(at(1000))).await.unwrap(), "expired");
    let uses = (0..5).map(|_| s.invitations().use_invitation(new.id, Some(at(999))));
    let used = join_all(uses).await.into_iter().filter(|used| *used.as_ref().unwrap()).count();
    assert_eq!(used, 2);
    s.invitations().return_invitation(new.id).await.unwrap();
    // The expiry was checked before.
    assert!(s.invitations().use_invitation(new.id, None).await.unwrap());
    assert!(!s.invitations().use_invitation(new.id, None).await.unwrap());
    let found = s.invitations().find_invitation(new.id).await.unwrap().unwrap();
    assert!(found.uses == 0 && !found.is_open(at(2)));
}

pub(crate) async fn so_many_invitations_are_open(s: Arc<dyn Storage>) {
    make(&s, &["romeo@localhost", "juliet@localhost"]).await;
    let (romeo, juliet) = (user("romeo@localhost"), user("juliet@localhost"));
    for n in 1..=3 {
        s.invitations().add_invitation(&invitation(&romeo, n), 3).await.unwrap();
    }
    let refused = s.invitations().add_invitation(&invitation(&romeo, 4), 3).await;
    assert!(matches!(refused, Err(StorageError::Limit(INVITATIONS))));
    s.invitations().add_invitation(&invitation(&juliet, 4), 3).await.unwrap();
    // One that is used makes room, and so does one that is taken back.
    let ids = [1, 2].map(|n| invitation(&romeo, n).id);
    assert!(s.invitations().use_invitation(ids[0], None).await.unwrap());
    s.invitations().add_invitation(&invitation(&romeo, 4), 3).await.unwrap();
    assert!(s.invitations().add_invitation(&invitation(&romeo, 5), 3).await.is_err());
    assert!(!s.invitations().remove_invitation(Some(&juliet), ids[1]).await.unwrap());
    assert!(s.invitations().remove_invitation(Some(&romeo), ids[1]).await.unwrap());
    assert!(!s.invitations().remove_invitation(None, ids[1]).await.unwrap());
    s.invitations().add_invitation(&invitation(&romeo, 5), 3).await.unwrap();
    let left = s.invitations().invitations(Some(&romeo), 9).await.unwrap();
    let expected = [5, 4, 3].map(|n| invitation(&romeo, n).id);
    assert_eq!(left.iter().map(|known| known.id).collect::<Vec<_>>(), expected);
}

pub(crate) async fn old_invitations_are_forgotten(s: Arc<dyn Storage>) {
    make(&s, &["romeo@localhost", "juliet@localhost"]).await;
    let (romeo, juliet) = (user("romeo@localhost"), user("juliet@localhost"));
    let old = invitation(&romeo, 1);
    s.invitations().add_invitation(&old, 9).await.unwrap();
    let later = |n: i64| {
        let created = at(1000 + REMEMBERED.as_micros() as i64 + n);
        Invitation { created, expires: at(i64::MAX / 2), ..invitation(&juliet, n) }
    };
    s.invitations().add_invitation(&later(0), 9).await.unwrap();
    assert!(s.invitations().find_invitation(old.id).await.unwrap().is_some());
    s.invitations().add_invitation(&later(1), 9).await.unwrap();
    assert_eq!(s.invitations().find_invitation(old.id).await.unwrap(), None);
}

pub(crate) async fn a_name_is_reserved_while_its_invitation_is_open(s: Arc<dyn Storage>) {
    make(&s, &["romeo@localhost"]).await;
    let (romeo, juliet) = (user("romeo@localhost"), user("juliet@localhost"));
    let new = Invitation { name: Some(juliet.clone()), ..invitation(&romeo, 1) };
    s.invitations().add_invitation(&new, 9).await.unwrap();
    s.invitations().add_invitation(&invitation(&romeo, 2), 9).await.unwrap();
    let reserved = async |name, now| s.invitations().reserved_for(name, at(now)).await.unwrap();
    assert_eq!(reserved(&juliet, 999).await, Some(new.id));
    assert_eq!(reserved(&romeo, 999).await, None);
    assert_eq!(reserved(&juliet, 1000).await, None);
    assert!(s.invitations().use_invitation(new.id, None).await.unwrap());
    assert_eq!(reserved(&juliet, 999).await, None);
}
