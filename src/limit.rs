//! Bounds on what comes from outside: rates, guesses of passwords, connections, open files.
//!
//! The thing one would get wrong: a throttle that can be turned against the owner of an account,
//! or reset by logging in to one's own. So there are only delays, never locks; they are
//! shorter than the time which a login may take; and a success speaks for its own pair of
//! address and account, nothing else. The maps use the standard hasher, since strangers
//! choose the keys.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::time::Instant;

/// So many per second, so many at once. Starts full.
#[derive(Clone, Debug)]
pub struct TokenBucket {
    rate: f64,
    burst: f64,
    tokens: f64,
    at: Instant,
}

impl TokenBucket {
    /// `rate` per second in the long run, `burst` at once. Both are above 0.
    #[must_use]
    pub fn new(rate: f64, burst: f64) -> Self {
        Self { rate, burst, tokens: burst, at: Instant::now() }
    }

    /// Takes `n` if there are so many.
    pub fn try_take(&mut self, n: f64) -> bool {
        self.fill();
        let enough = self.tokens >= n;
        if enough {
            self.tokens -= n;
        }
        enough
    }

    /// Takes `n` in any case and says how long the taker is to wait for what was missing. For
    /// bytes that have been read already: the debt is paid by reading later.
    pub fn take(&mut self, n: f64) -> Duration {
        self.fill();
        self.tokens -= n;
        // The bound keeps a rate of next to nothing from a panic.
        Duration::from_secs_f64((-self.tokens / self.rate).clamp(0.0, LONGEST_WAIT))
    }

    fn fill(&mut self) {
        let now = Instant::now();
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + since * self.rate).min(self.burst);
        self.at = now;
    }
}

/// So much from each address within an hour. Memory is bounded as that of [`Throttle`].
#[derive(Debug, Default)]
pub struct Quota {
    buckets: Mutex<HashMap<Origin, TokenBucket>>,
}

impl Quota {
    /// Takes `n` from what an address (of IPv6: its /64) may have, if so much is left of
    /// `per_hour`.
    pub fn try_take(&self, address: IpAddr, n: f64, per_hour: f64) -> bool {
        let mut buckets = self.buckets.lock();
        if buckets.len() >= MAX_ENTRIES {
            // Those that have been left in peace for an hour are as good as none.
            buckets.retain(|_, bucket| {
                bucket.fill();
                bucket.tokens < bucket.burst
            });
        }
        let origin = Origin::of(address);
        if buckets.len() >= MAX_ENTRIES && !buckets.contains_key(&origin) {
            return false;
        }
        let new = || TokenBucket::new(per_hour / HOUR, per_hour);
        buckets.entry(origin).or_insert_with(new).try_take(n)
    }
}

/// Slows logins that fail, per address and per account.
///
/// Two failures are free. The third costs a second before the next try, each further one twice
/// as much, up to 16 s for an address and 8 s for an account: less than the time for
/// authentication, so that the owner of an account under attack gets in, only later. One
/// failure is forgiven each minute.
///
/// From an address where a login to this account succeeded within a week, only the failures of
/// that pair count: the owner at home notices no attack from elsewhere. A success resets its
/// pair and nothing more, else an attacker with an account here would reset the address
/// with it. Unknown accounts count like others, so nothing can be learnt about who exists.
///
/// A delay bounds the tries of one connection; how many try at once is bounded by
/// [`ConnectionLimits`].
#[derive(Debug)]
pub struct Throttle {
    tables: Mutex<Tables>,
}

#[derive(Debug)]
struct Tables {
    addresses: Table<Origin>,
    accounts: Table<Box<str>>,
    /// Those that have succeeded; `at` of the record is moved by success and failure alike.
    pairs: Table<(Origin, Box<str>)>,
}

impl Default for Throttle {
    fn default() -> Self {
        Self::new()
    }
}

impl Throttle {
    /// Nobody has failed yet. Memory is bounded: 64 Ki entries of each kind, then the eighth that
    /// was touched longest ago is forgotten.
    #[must_use]
    pub fn new() -> Self {
        Self::with_entries(MAX_ENTRIES)
    }

    fn with_entries(max: usize) -> Self {
        Self {
            tables: Mutex::new(Tables {
                addresses: Table::new(max),
                accounts: Table::new(max),
                pairs: Table::new(max),
            }),
        }
    }

    /// How long a login is to wait before it is looked at. `account` is the bare JID as text,
    /// normalized; `None` as long as it is not known.
    #[must_use]
    pub fn delay_for(&self, address: IpAddr, account: Option<&str>) -> Duration {
        let now = Instant::now();
        let origin = Origin::of(address);
        let tables = self.tables.lock();
        let Some(account) = account else {
            return delay(tables.addresses.failures(&origin, now), ADDRESS_CAP);
        };
        if let Some(pair) = tables.trusted(origin, account, now) {
            return delay(pair, ADDRESS_CAP);
        }
        let of_address = delay(tables.addresses.failures(&origin, now), ADDRESS_CAP);
        of_address.max(delay(tables.accounts.failures(account, now), ACCOUNT_CAP))
    }

    /// A login failed.
    ///
    /// `slow_address`: it counts against the address, too (`auth.slow_addresses`).
    pub fn note_failure(&self, address: IpAddr, account: Option<&str>, slow_address: bool) {
        let now = Instant::now();
        let origin = Origin::of(address);
        let mut tables = self.tables.lock();
        match account {
            // A phone with an old password slows itself down, not the house in which it is.
            Some(account) if tables.trusted(origin, account, now).is_some() => {
                tables.pairs.fail((origin, account.into()), now);
            }
            Some(account) => tables.accounts.fail(account.into(), now),
            None => {}
        }
        let is_trusted = account.is_some_and(|a| tables.trusted(origin, a, now).is_some());
        if slow_address && !is_trusted {
            tables.addresses.fail(origin, now);
        }
    }

    /// A login succeeded.
    pub fn note_success(&self, address: IpAddr, account: &str) {
        let now = Instant::now();
        let key = (Origin::of(address), account.into());
        self.tables.lock().pairs.set(key, Record { failures: 0, at: now, succeeded: now });
    }
}

impl Tables {
    /// The failures of a pair that is known from a success; `None` if it is not.
    fn trusted(&self, origin: Origin, account: &str, now: Instant) -> Option<u32> {
        let record = self.pairs.records.get(&(origin, Box::from(account)))?;
        let fresh = now.saturating_duration_since(record.succeeded) < TRUST;
        fresh.then(|| record.failures(now))
    }
}

/// Failures by key, at most `max` keys.
#[derive(Debug)]
struct Table<K> {
    max: usize,
    records: HashMap<K, Record>,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    failures: u32,
    at: Instant,
    succeeded: Instant,
}

impl Record {
    fn failures(&self, now: Instant) -> u32 {
        let forgiven = now.saturating_duration_since(self.at).as_secs() / FORGIVE.as_secs();
        self.failures.saturating_sub(u32::try_from(forgiven).unwrap_or(u32::MAX))
    }
}

impl<K: Clone + Eq + Hash> Table<K> {
    fn new(max: usize) -> Self {
        Self { max, records: HashMap::new() }
    }

    fn failures<Q: Eq + Hash + ?Sized>(&self, key: &Q, now: Instant) -> u32
    where
        K: Borrow<Q>,
    {
        self.records.get(key).map_or(0, |record| record.failures(now))
    }

    fn fail(&mut self, key: K, now: Instant) {
        let record = match self.records.get(&key) {
            Some(old) => {
                let failures = (old.failures(now) + 1).min(MAX_FAILURES);
                Record { failures, at: now, succeeded: old.succeeded }
            }
            None => Record { failures: 1, at: now, succeeded: now },
        };
        self.set(key, record);
    }

    fn set(&mut self, key: K, record: Record) {
        if self.records.len() >= self.max && !self.records.contains_key(&key) {
            self.forget_oldest();
        }
        self.records.insert(key, record);
    }

    /// Many at once, so that each insertion into a full table costs little on average.
    fn forget_oldest(&mut self) {
        let mut times: Vec<Instant> = self.records.values().map(|record| record.at).collect();
        let nth = times.len() / 8;
        let limit = *times.select_nth_unstable(nth).1;
        // Of those touched at the very moment of the last one, only as many as are to go.
        let older = times[..nth].iter().filter(|at| **at < limit).count();
        let mut left = nth + 1 - older;
        self.records.retain(|_, record| {
            let is_last = record.at == limit && left > 0;
            left -= usize::from(is_last);
            record.at >= limit && !is_last
        });
    }
}

fn delay(failures: u32, cap: Duration) -> Duration {
    match failures.checked_sub(FREE) {
        None => Duration::ZERO,
        Some(over) => Duration::from_secs(1 << over.min(8)).min(cap),
    }
}

/// Bounds the connections, in all and from each address. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ConnectionLimits(Arc<Connections>);

#[derive(Debug)]
struct Connections {
    all: AtomicUsize,
    per_address: AtomicUsize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_origin: HashMap<Origin, usize>,
}

/// Why a connection may not be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refused {
    /// There are too many from this address (of IPv6: from its /64).
    #[error("too many connections from this address")]
    Address,
    /// There are too many in all.
    #[error("too many connections")]
    All,
}

/// A connection that may be, and is counted until this is dropped.
#[derive(Debug)]
pub struct Permit {
    origin: Option<Origin>,
    of: Arc<Connections>,
}

impl ConnectionLimits {
    /// At most `all` together and `per_address` from each address.
    #[must_use]
    pub fn new(all: usize, per_address: usize) -> Self {
        Self(Arc::new(Connections {
            all: AtomicUsize::new(all),
            per_address: AtomicUsize::new(per_address),
            open: Mutex::default(),
        }))
    }

    /// Other bounds from now on. Connections that stand remain.
    pub fn change(&self, all: usize, per_address: usize) {
        self.0.all.store(all, Ordering::Relaxed);
        self.0.per_address.store(per_address, Ordering::Relaxed);
    }

    /// Counts one more connection from there. Without an address it counts in all only.
    ///
    /// # Errors
    /// If there are too many; then nothing is counted.
    pub fn permit(&self, address: Option<IpAddr>) -> Result<Permit, Refused> {
        let origin = address.map(Origin::of);
        let mut open = self.0.open.lock();
        if open.all >= self.0.all.load(Ordering::Relaxed) {
            return Err(Refused::All);
        }
        if let Some(origin) = origin {
            let from_there = open.by_origin.entry(origin).or_insert(0);
            if *from_there >= self.0.per_address.load(Ordering::Relaxed) {
                return Err(Refused::Address);
            }
            *from_there += 1;
        }
        open.all += 1;
        Ok(Permit { origin, of: Arc::clone(&self.0) })
    }

    /// How many there are now.
    #[must_use]
    pub fn open(&self) -> usize {
        self.0.open.lock().all
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut open = self.of.open.lock();
        open.all -= 1;
        let Some(origin) = self.origin else { return };
        if let Some(n) = open.by_origin.get_mut(&origin) {
            *n -= 1;
            if *n == 0 {
                open.by_origin.remove(&origin);
            }
        }
    }
}

/// Raises the number of files this process may open as far as the system lets it.
///
/// Returns how many that is. Never fails: what cannot be raised stays.
#[must_use]
pub fn raise_open_files() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let (Some(soft), wanted) = (current, maximum.unwrap_or(MANY_FILES)) else {
        return usize::MAX;
    };
    let raised = Rlimit { current: Some(wanted), maximum };
    let now =
        if soft < wanted && setrlimit(Resource::Nofile, raised).is_ok() { wanted } else { soft };
    usize::try_from(now).unwrap_or(usize::MAX)
}

/// How many connections there may be: as many as wished, but so that files are left for the
/// database, the administrator's door and the listeners.
#[must_use]
pub fn connections(wanted: usize, open_files: usize) -> usize {
    wanted.min(open_files.saturating_sub(RESERVED_FILES)).max(1)
}

/// Where something comes from: an IPv4 address, or a /64 of IPv6, which is the least that
/// one customer has.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Origin {
    V4(Ipv4Addr),
    V6([u8; 8]),
}

impl Origin {
    fn of(address: IpAddr) -> Self {
        // A socket for both families shows IPv4 as ::ffff:192.0.2.1.
        match address.to_canonical() {
            IpAddr::V4(v4) => Self::V4(v4),
            IpAddr::V6(v6) => {
                let [a, b, c, d, e, f, g, h, ..] = v6.octets();
                Self::V6([a, b, c, d, e, f, g, h])
            }
        }
    }
}

const ACCOUNT_CAP: Duration = Duration::from_secs(8);
const ADDRESS_CAP: Duration = Duration::from_secs(16);
const HOUR: f64 = 3600.0;
const FORGIVE: Duration = Duration::from_secs(60);
/// Failures from which on there is a delay.
const FREE: u32 = 3;
/// Seconds.
const LONGEST_WAIT: f64 = 3600.0;
/// Where the system names no bound.
const MANY_FILES: u64 = 1 << 20;
const MAX_ENTRIES: usize = 1 << 16;
/// More are not counted, so that everything is forgiven after half an hour.
const MAX_FAILURES: u32 = 30;
const RESERVED_FILES: usize = 64;
const TRUST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::{
        ConnectionLimits, Quota, Refused, Throttle, TokenBucket, connections, raise_open_files,
    };

    const ATTACKER: &str = "192.0.2.66";
    const HOME: &str = "198.51.100.1";
    const JULIET: Option<&str> = Some("juliet@capulet.lit");

    fn seconds(throttle: &Throttle, address: &str, account: Option<&str>) -> u64 {
        throttle.delay_for(address.parse().unwrap(), account).as_secs()
    }

    fn fail(throttle: &Throttle, address: &str, account: Option<&str>, times: u32) {
        for _ in 0..times {
            throttle.note_failure(address.parse().unwrap(), account, true);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn delays_double_up_to_a_cap_and_decay() {
        let throttle = Throttle::new();
        let mut seen = Vec::new();
        for _ in 0..9 {
            seen.push(seconds(&throttle, ATTACKER, None));
            fail(&throttle, ATTACKER, None, 1);
        }
        assert_eq!(seen, [0, 0, 0, 1, 2, 4, 8, 16, 16]);
        assert_eq!(seconds(&throttle, HOME, None), 0);
        advance(Duration::from_secs(6 * 60)).await;
        assert_eq!(seconds(&throttle, ATTACKER, None), 1);
        advance(Duration::from_secs(60)).await;
        assert_eq!(seconds(&throttle, ATTACKER, None), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn guesses_from_many_addresses_slow_the_account() {
        let throttle = Throttle::new();
        for i in 0..50 {
            fail(&throttle, &format!("192.0.2.{i}"), JULIET, 1);
        }
        assert_eq!(seconds(&throttle, "203.0.113.9", JULIET), 8);
        assert_eq!(seconds(&throttle, "203.0.113.9", Some("romeo@montague.lit")), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_owner_at_home_notices_no_attack_from_elsewhere() {
        let throttle = Throttle::new();
        throttle.note_success(HOME.parse().unwrap(), "juliet@capulet.lit");
        fail(&throttle, ATTACKER, JULIET, 50);
        assert_eq!(seconds(&throttle, HOME, JULIET), 0);
        assert_eq!(seconds(&throttle, ATTACKER, JULIET), 16);
        fail(&throttle, HOME, JULIET, 5);
        assert_eq!(seconds(&throttle, HOME, JULIET), 4, "their own failures count");
        assert_eq!(seconds(&throttle, HOME, Some("nurse@capulet.lit")), 0, "for them alone");
        advance(Duration::from_secs(8 * 24 * 60 * 60)).await;
        fail(&throttle, ATTACKER, JULIET, 50);
        assert_eq!(seconds(&throttle, HOME, JULIET), 8, "a week later they are strangers");
    }

    #[tokio::test(start_paused = true)]
    async fn an_account_of_ones_own_does_not_buy_guesses() {
        let throttle = Throttle::new();
        fail(&throttle, ATTACKER, JULIET, 5);
        throttle.note_success(ATTACKER.parse().unwrap(), "tybalt@capulet.lit");
        assert_eq!(seconds(&throttle, ATTACKER, JULIET), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_of_ipv6_is_its_network_and_a_mapped_one_is_ipv4() {
        let throttle = Throttle::new();
        fail(&throttle, "2001:db8::1", None, 5);
        assert_eq!(seconds(&throttle, "2001:db8::ffff:2", None), 4);
        assert_eq!(seconds(&throttle, "2001:db8:0:1::1", None), 0);
        fail(&throttle, "::ffff:192.0.2.66", None, 5);
        assert_eq!(seconds(&throttle, ATTACKER, None), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded_and_the_oldest_is_forgotten() {
        let throttle = Throttle::with_entries(16);
        fail(&throttle, ATTACKER, JULIET, 5);
        advance(Duration::from_secs(1)).await;
        for i in 0..1000 {
            fail(&throttle, HOME, Some(&format!("nobody{i}@capulet.lit")), 1);
            assert!(throttle.tables.lock().accounts.records.len() <= 16);
        }
        assert_eq!(seconds(&throttle, "203.0.113.9", JULIET), 0, "forgotten");
        assert_eq!(seconds(&throttle, ATTACKER, None), 4, "another table");
    }

    #[tokio::test(start_paused = true)]
    async fn a_bucket_gives_its_burst_and_then_its_rate() {
        let mut bucket = TokenBucket::new(10.0, 5.0);
        assert!(bucket.try_take(5.0));
        assert!(!bucket.try_take(1.0));
        advance(Duration::from_millis(100)).await;
        assert!(bucket.try_take(1.0));
        assert_eq!(bucket.take(20.0), Duration::from_secs(2));
        advance(Duration::from_secs(2)).await;
        assert!(!bucket.try_take(1.0), "the debt is paid, no more");
        advance(Duration::from_secs(3600)).await;
        assert!(bucket.try_take(5.0));
        assert!(!bucket.try_take(1.0), "never more than the burst");
        assert_eq!(TokenBucket::new(1e-300, 1.0).take(9.0), Duration::from_secs(3600));
    }

    #[tokio::test(start_paused = true)]
    async fn a_quota_is_for_each_address_and_comes_back_within_an_hour() {
        let quota = Quota::default();
        let (home, other) = (HOME.parse().unwrap(), ATTACKER.parse().unwrap());
        assert!(quota.try_take(home, 1.0, 2.0) && quota.try_take(home, 1.0, 2.0));
        assert!(!quota.try_take(home, 1.0, 2.0));
        assert!(quota.try_take(other, 1.0, 2.0));
        advance(Duration::from_secs(1801)).await;
        assert!(quota.try_take(home, 1.0, 2.0));
        assert!(!quota.try_take(home, 1.0, 2.0));
    }

    #[test]
    fn connections_are_counted_in_all_and_per_address() {
        let limits = ConnectionLimits::new(3, 2);
        let home = HOME.parse().unwrap();
        let other = ATTACKER.parse().unwrap();
        let first = limits.permit(Some(home)).unwrap();
        let _second = limits.permit(Some(home)).unwrap();
        assert_eq!(limits.permit(Some(home)).unwrap_err(), Refused::Address);
        let _third = limits.permit(Some(other)).unwrap();
        assert_eq!(limits.permit(Some(other)).unwrap_err(), Refused::All);
        drop(first);
        assert_eq!(limits.open(), 2);
        drop(limits.permit(Some(home)).unwrap());
        limits.change(2, 2);
        assert_eq!(limits.permit(Some(home)).unwrap_err(), Refused::All);
        drop((_second, _third));
        assert!(limits.0.open.lock().by_origin.is_empty(), "nothing is left behind");
    }

    #[test]
    fn files_are_kept_for_the_database() {
        let files = raise_open_files();
        assert!(files >= 64);
        assert_eq!(raise_open_files(), files, "raised once");
        assert_eq!(connections(100_000, 1024), 960);
        assert_eq!(connections(100, 1024), 100);
        assert_eq!(connections(100, 10), 1);
    }
}
