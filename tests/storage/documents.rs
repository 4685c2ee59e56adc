//! Documents of many owners at once.

use std::sync::Arc;

use waxwing::storage::Storage;

use crate::cases::user;

pub(crate) async fn documents_of_many_owners_are_found(s: Arc<dyn Storage>) {
    let owners: Vec<_> = (0..7).map(|n| user(&format!("user{n}@localhost"))).collect();
    let documents = s.documents();
    assert!(documents.owners_with(&owners, "blocked").await.unwrap().is_empty());
    assert_eq!(documents.of_each(&owners, "last", "").await.unwrap(), []);
    for (owner, kind, key) in [
        (5, "blocked", "a@localhost"),
        (5, "blocked", "b@localhost"),
        (1, "blocked", "a@localhost"),
        (2, "other", "a@localhost"),
        (1, "last", ""),
        (6, "last", ""),
        (3, "last", "another key"),
        (4, "other", ""),
    ] {
        documents.put(&owners[owner], kind, key, &format!("<x{owner}/>")).await.unwrap();
    }
    let mut with = documents.owners_with(&owners, "blocked").await.unwrap();
    with.sort();
    assert_eq!(with, [owners[1].clone(), owners[5].clone()]);
    let mut last = documents.of_each(&owners, "last", "").await.unwrap();
    last.sort();
    let expected = [1, 6].map(|n: usize| (owners[n].clone(), format!("<x{n}/>")));
    assert_eq!(last, expected);
    assert!(documents.owners_with(&owners[2..5], "blocked").await.unwrap().is_empty());
    assert_eq!(documents.of_each(&[], "last", "").await.unwrap(), []);
}
