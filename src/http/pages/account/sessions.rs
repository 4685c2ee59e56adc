//! The browsers in which users have logged in to their own pages.
//!
//! A session is known by a random cookie, of which a hash is kept, in memory only. It ends when it was not used for a
//! while, when the password changes or the account is removed (the key of the password is compared each time), when
//! others need the room, and when the server ends.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use crate::auth::PasswordKey;
use crate::jid::BareJid;
use crate::random::random_id;

/// The sessions.
#[derive(Default)]
pub(in crate::http::pages) struct Sessions(Mutex<HashMap<Key, Session>>);

/// The SHA-256 of a cookie.
type Key = [u8; 32];

struct Session {
    user: BareJid,
    /// The password with which the user has logged in.
    proven: PasswordKey,
    begun: Instant,
    used: Instant,
}

impl Session {
    fn is_over(&self, now: Instant) -> bool {
        now.duration_since(self.used) >= IDLE || now.duration_since(self.begun) >= LONGEST
    }
}

impl Sessions {
    /// Begins a session. Answers its cookie.
    pub(super) fn begin(&self, user: BareJid, proven: PasswordKey) -> String {
        let (cookie, now) = (random_id().to_string(), Instant::now());
        let mut all = self.0.lock();
        all.retain(|_, session| !session.is_over(now));
        make_room(&mut all, |session| session.user == user, OF_ACCOUNT);
        make_room(&mut all, |_| true, IN_ALL);
        all.insert(key(&cookie), Session { user, proven, begun: now, used: now });
        cookie
    }

    /// The user of a session, and the password with which the user has logged in. The session is in use from now on.
    pub(super) fn find(&self, cookie: &str) -> Option<(BareJid, PasswordKey)> {
        let (now, mut all) = (Instant::now(), self.0.lock());
        let session = all.get_mut(&key(cookie)).filter(|session| !session.is_over(now))?;
        session.used = now;
        Some((session.user.clone(), session.proven.clone()))
    }

    /// Ends a session.
    pub(super) fn end(&self, cookie: &str) {
        self.0.lock().remove(&key(cookie));
    }
}

/// Leaves room for one more of these: the one that was not used for longest ends.
fn make_room(all: &mut HashMap<Key, Session>, is_one: impl Fn(&Session) -> bool, most: usize) {
    let these = || all.iter().filter(|(_, session)| is_one(session));
    if these().count() >= most {
        let oldest = these().min_by_key(|(_, session)| session.used).map(|(key, _)| *key);
        oldest.and_then(|key| all.remove(&key));
    }
}

fn key(cookie: &str) -> Key {
    Sha256::digest(cookie.as_bytes()).into()
}

/// A session ends when it was not used for this time.
const IDLE: Duration = Duration::from_secs(30 * 60);
/// … and after so long in any case.
const LONGEST: Duration = Duration::from_secs(12 * 3600);
/// Sessions of one account.
const OF_ACCOUNT: usize = 10;
/// Sessions of all accounts: some 3 MB.
const IN_ALL: usize = 10_000;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::{IDLE, IN_ALL, LONGEST, OF_ACCOUNT, Sessions};
    use crate::auth::PasswordKey;
    use crate::jid::BareJid;
    use crate::storage::ScramHash;

    fn begin(sessions: &Sessions, user: &str) -> String {
        let proven = PasswordKey::for_tests(ScramHash::Sha256, vec![1]);
        sessions.begin(BareJid::parse(user).unwrap(), proven)
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_ends_when_nobody_uses_it() {
        let sessions = Sessions::default();
        let cookie = begin(&sessions, "romeo@localhost");
        let is_there = || sessions.find(&cookie).is_some();
        assert!(is_there() && sessions.find("other").is_none());
        advance(IDLE - Duration::from_secs(1)).await;
        assert!(is_there());
        advance(IDLE).await;
        assert!(!is_there());
        let cookie = begin(&sessions, "romeo@localhost");
        for _ in 0..=(LONGEST.as_secs() / 600) {
            advance(Duration::from_secs(600)).await;
            sessions.find(&cookie);
        }
        assert!(sessions.find(&cookie).is_none());
        let cookie = begin(&sessions, "romeo@localhost");
        sessions.end(&cookie);
        assert!(sessions.find(&cookie).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_sessions_are_there() {
        let sessions = Sessions::default();
        let first = begin(&sessions, "romeo@localhost");
        let second = begin(&sessions, "romeo@localhost");
        advance(Duration::from_secs(1)).await;
        for _ in 2..OF_ACCOUNT {
            begin(&sessions, "romeo@localhost");
        }
        advance(Duration::from_secs(1)).await;
        assert!(sessions.find(&first).is_some());
        advance(Duration::from_secs(1)).await;
        begin(&sessions, "romeo@localhost");
        assert!(sessions.find(&first).is_some() && sessions.find(&second).is_none());
        for n in 0..IN_ALL {
            begin(&sessions, &format!("{n}@localhost"));
        }
        assert_eq!(sessions.0.lock().len(), IN_ALL);
    }
}
