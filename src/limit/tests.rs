//! The mechanism, and the line of guesses.

use std::net::IpAddr;
use std::time::Duration;

use tokio::time::advance;

use super::{
    ALL, About, Action, Bounds, BudgetScope, Guesses, Level, Pace, Paces, Rate, Rule, TooMany,
};
use crate::metrics::Metrics;

static TRIED: About = About {
    name: "tried",
    unit: "units",
    text: "For the tests.",
    rules: &[Rule { scope: BudgetScope::Account, option: "none", actions: &[Action::Delay] }],
};

const ATTACKER: &str = "10.0.0.0";
const HOME: &str = "198.51.100.1";
const NEW: &str = "203.0.113.9";
const JULIET: &str = "juliet@capulet.lit";
const LONGEST: Duration = Duration::from_secs(20);

fn ip(address: &str) -> IpAddr {
    address.parse().unwrap()
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn rate(account: f64, address: f64) -> Rate {
    let rate = Rate::new(&TRIED, &Metrics::new());
    let pace = |per_second| Some(Pace { per_second, burst: Duration::from_secs(10) });
    rate.set(Paces { account: pace(account), address: pace(address), ..Paces::default() });
    rate
}

fn waits(share: &super::Share, amount: u64) -> f64 {
    share.take(amount).map_or(0.0, |wait| wait.time.as_secs_f64())
}

#[tokio::test(start_paused = true)]
async fn a_share_gives_its_burst_and_then_its_pace() {
    let rate = rate(10.0, 1000.0);
    let share = rate.share(Some(JULIET), Some(ip(HOME)));
    assert!(waits(&share, 100) == 0.0 && waits(&share, 10) == 1.0 && waits(&share, 10) == 2.0);
    advance(Duration::from_secs(12)).await;
    assert_eq!(waits(&share, 100), 0.0, "the debt is paid, and the burst is there again");
    assert_eq!(waits(&share, 1), 0.1);
    advance(Duration::from_secs(3600)).await;
    assert!(waits(&share, 100) == 0.0 && waits(&share, 1) > 0.0, "never more than the burst");
}

#[tokio::test(start_paused = true)]
async fn sessions_of_an_account_share_what_it_may_use_and_so_do_those_of_an_address() {
    let rate = rate(10.0, 20.0);
    let romeo = rate.share(Some("romeo@montague.lit"), Some(ip(HOME)));
    let again = rate.share(Some("romeo@montague.lit"), Some(ip(NEW)));
    assert!(waits(&romeo, 60) == 0.0 && waits(&again, 60) == 2.0);
    let others = ["a@x.lit", "b@x.lit"].map(|user| rate.share(Some(user), Some(ip(HOME))));
    assert!(waits(&others[0], 100) == 0.0);
    let wait = others[1].take(100).unwrap();
    assert_eq!((wait.scope, wait.time), (BudgetScope::Address, Duration::from_secs(3)));
    drop((romeo, again));
    let back = rate.share(Some("romeo@montague.lit"), None);
    assert_eq!(waits(&back, 10), 3.0, "who comes back finds the debt");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_taken_of_what_is_refused() {
    let rate = rate(10.0, 5.0);
    let share = rate.share(Some(JULIET), Some(ip(HOME)));
    assert_eq!(share.try_take(60), Err(BudgetScope::Address));
    assert_eq!(share.try_take(50), Ok(()));
    assert_eq!(share.try_take(1), Err(BudgetScope::Address));
    assert_eq!(rate.share(Some(JULIET), None).try_take(50), Ok(()));
    assert_eq!(rate.share(Some(JULIET), None).try_take(1), Err(BudgetScope::Account));
}

#[tokio::test(start_paused = true)]
async fn bounds_change_under_those_who_share() {
    let rate = rate(10.0, 10.0);
    let (share, exempt) = (rate.share(Some(JULIET), None), rate.exempt());
    assert_eq!(waits(&share, 200), 10.0);
    rate.set(Paces::default());
    assert_eq!(waits(&share, u64::MAX), 0.0);
    let nearly_none = Pace { per_second: 1e-300, burst: Duration::from_secs(1) };
    rate.set(Paces { account: Some(nearly_none), ..Paces::default() });
    assert!(waits(&share, u64::MAX) > 0.0 && exempt.take(u64::MAX).is_none());
}

#[test]
fn what_is_held_is_given_back() {
    let level = Level::new(&TRIED, &Metrics::new());
    level.set(Bounds { account: Some(100), address: None, all: Some(150) });
    let first = level.holder(Some(JULIET), None);
    let second = first.sibling();
    let other = level.holder(Some("romeo@montague.lit"), None);
    first.set(60);
    second.set(40);
    assert_eq!((first.of_account(), second.own(), level.all(), first.over()), (100, 40, 100, None));
    second.set(41);
    assert_eq!((first.over(), other.over()), (Some(BudgetScope::Account), None));
    other.set(50);
    assert_eq!((other.over(), other.far_over()), (Some(BudgetScope::All), None));
    assert_eq!(second.far_over(), None, "not by more than a quarter");
    second.set(1);
    drop(first);
    assert_eq!((second.of_account(), level.all(), other.over()), (1, 51, None));
    assert_eq!(other.try_add(100), Err(BudgetScope::All));
    assert_eq!(second.try_add(100), Err(BudgetScope::All));
    level.set(Bounds { account: Some(100), ..Bounds::default() });
    assert_eq!(second.try_add(100), Err(BudgetScope::Account));
    assert_eq!(second.try_add(99), Ok(()));
    drop((second, other));
    assert_eq!(level.all(), 0);
}

#[tokio::test]
async fn who_watches_a_level_hears_when_a_sum_is_far_over() {
    let level = Level::new(&TRIED, &Metrics::new());
    level.set(Bounds { account: Some(100), ..Bounds::default() });
    let held = level.holder(Some(JULIET), None);
    let overdrawn = level.overdrawn();
    tokio::pin!(overdrawn);
    held.set(125);
    assert!(futures_util::poll!(&mut overdrawn).is_pending());
    held.set(126);
    assert_eq!(held.far_over(), Some(BudgetScope::Account));
    overdrawn.await;
}

#[test]
fn budgets_are_named_once_and_listed_all() {
    let names: Vec<_> = ALL.iter().map(|about| about.name).collect();
    assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/limit");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let texts = files.filter(|path| !path.ends_with("tests.rs"));
    let made = texts.map(|path| std::fs::read_to_string(path).unwrap());
    let made: usize = made.map(|text| text.matches(": About = About {").count()).sum();
    assert_eq!(made, ALL.len(), "one of them is not in ALL");
}

// ── guesses ──

fn guesses() -> Guesses {
    let guesses = Guesses::new(&Metrics::new());
    guesses.set(30, 5);
    guesses
}

fn wrong(guesses: &Guesses, address: &str, account: &str) -> Result<Duration, TooMany> {
    guesses.answer(ip(address), Some(account), false, true, LONGEST)
}

/// So many guesses from each of so many addresses; how many got an answer.
fn attack(guesses: &Guesses, addresses: u32, each: u32) -> usize {
    let from = |n: u32| format!("10.0.{}.{}", n / 250, n % 250);
    let guess = |n: u32| wrong(guesses, &from(n % addresses), JULIET).is_ok();
    (0..addresses * each).filter(|n| guess(*n)).count()
}

fn right(guesses: &Guesses, address: &str, account: &str) -> Result<Duration, TooMany> {
    guesses.answer(ip(address), Some(account), true, true, LONGEST)
}

#[tokio::test(start_paused = true)]
async fn guesses_from_one_address_stand_in_one_line() {
    let guesses = guesses();
    let answers: Vec<_> = (0..900).map(|_| wrong(&guesses, ATTACKER, JULIET)).collect();
    let told: Vec<_> = answers.iter().filter_map(|answer| answer.ok()).collect();
    assert_eq!(told, [0.0, 0.0, 0.0, 0.0, 0.0, 12.0].map(seconds));
    assert!(guesses.is_full(ip(ATTACKER), LONGEST) && !guesses.is_full(ip(NEW), LONGEST));
    // Whatever comes in the minutes after that: five a minute.
    let mut more = 0;
    for _ in 0..600 {
        advance(Duration::from_secs(1)).await;
        more += (0..10).filter(|_| wrong(&guesses, ATTACKER, "nurse@capulet.lit").is_ok()).count();
    }
    assert_eq!(more, 50);
}

#[tokio::test(start_paused = true)]
async fn guesses_from_many_addresses_stand_in_the_line_of_the_account() {
    let guesses = guesses();
    assert_eq!(attack(&guesses, 5000, 1), 5 + 10, "at once, and those that get an answer in time");
    assert_eq!(wrong(&guesses, NEW, "romeo@montague.lit"), Ok(Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_right_password_waits_as_long_as_a_wrong_one_and_takes_no_place() {
    let guesses = guesses();
    assert_eq!(attack(&guesses, 1, 5), 5);
    assert_eq!(right(&guesses, ATTACKER, "tybalt@capulet.lit"), Ok(seconds(12.0)));
    assert_eq!(right(&guesses, ATTACKER, "tybalt@capulet.lit"), Ok(seconds(12.0)));
    assert_eq!(wrong(&guesses, ATTACKER, "tybalt@capulet.lit"), Ok(seconds(12.0)));
    assert_eq!(right(&guesses, ATTACKER, "tybalt@capulet.lit"), Err(TooMany));
    let crowd = (0..900).filter(|_| right(&guesses, NEW, "tybalt@capulet.lit") == Ok(seconds(0.0)));
    assert_eq!(crowd.count(), 900, "many may log in at once");
}

#[tokio::test(start_paused = true)]
async fn the_owner_at_home_notices_no_attack_from_elsewhere() {
    let guesses = guesses();
    guesses.note_success(ip(HOME), JULIET);
    assert!(attack(&guesses, 1, 900) < 10 && attack(&guesses, 5000, 1) < 20);
    assert_eq!(right(&guesses, HOME, JULIET), Ok(Duration::ZERO));
    (0..5).for_each(|_| assert_eq!(wrong(&guesses, HOME, JULIET), Ok(Duration::ZERO)));
    assert_eq!(right(&guesses, HOME, JULIET), Ok(seconds(12.0)), "their own failures count");
    assert_eq!(right(&guesses, HOME, "nurse@capulet.lit"), Ok(Duration::ZERO), "for them alone");
    guesses.note_success(ip(HOME), JULIET);
    assert_eq!(right(&guesses, HOME, JULIET), Ok(Duration::ZERO));
    advance(Duration::from_secs(8 * 24 * 60 * 60)).await;
    assert_eq!(attack(&guesses, 5, 1), 5);
    assert_eq!(right(&guesses, HOME, JULIET), Ok(seconds(2.0)), "a week later they are strangers");
}

#[tokio::test(start_paused = true)]
async fn the_owner_at_a_new_address_does_not_stand_behind_those_who_guess_all_the_time() {
    let guesses = guesses();
    // Until each of their addresses has failed a few times.
    for _ in 0..1500 {
        attack(&guesses, 200, 5);
        advance(Duration::from_secs(1)).await;
    }
    attack(&guesses, 200, 5);
    let answer = right(&guesses, NEW, JULIET);
    assert!(answer.is_ok_and(|wait| wait <= seconds(2.0)), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn an_account_of_ones_own_does_not_buy_guesses() {
    let guesses = guesses();
    assert_eq!(attack(&guesses, 1, 5), 5);
    guesses.note_success(ip(ATTACKER), "tybalt@capulet.lit");
    assert_eq!(right(&guesses, ATTACKER, JULIET), Ok(seconds(12.0)));
}

#[tokio::test(start_paused = true)]
async fn who_is_not_known_yet_waits_for_the_address_and_without_bounds_nobody_waits() {
    let guesses = guesses();
    let unknown = |guesses: &Guesses, by_address| {
        guesses.answer(ip(ATTACKER), None, false, by_address, LONGEST)
    };
    (0..5).for_each(|_| assert_eq!(unknown(&guesses, true), Ok(Duration::ZERO)));
    assert_eq!(unknown(&guesses, true), Ok(seconds(12.0)));
    assert_eq!(unknown(&guesses, false), Ok(Duration::ZERO));
    guesses.set(0, 0);
    assert!((0..100).all(|_| wrong(&guesses, ATTACKER, JULIET) == Ok(Duration::ZERO)));
}
