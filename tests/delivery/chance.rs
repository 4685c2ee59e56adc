//! All chance comes from one seed, `WAXWING_SEED`, and all sizes from `WAXWING_PROOF`.
//!
//! The seed repeats all decisions: which connection is cut after how many bytes, and which client sends when. The
//! system decides which task runs first, so a rare fault may need several runs with one seed.

use std::time::Duration;

/// How much is tried.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Connections that the proxy cuts.
    pub(crate) cuts: usize,
    /// How often a server is ended and started again.
    pub(crate) rounds: usize,
    /// Messages of a round, at least.
    pub(crate) messages: usize,
}

impl Size {
    /// For CI, or `WAXWING_PROOF=large`.
    pub(crate) fn from_environment() -> Self {
        match std::env::var("WAXWING_PROOF").as_deref() {
            Ok("large") => Self { cuts: 200, rounds: 25, messages: 1_000 },
            Ok(other) => panic!("WAXWING_PROOF is {other}: large, or not set"),
            Err(_) => Self { cuts: 15, rounds: 2, messages: 150 },
        }
    }
}

/// A source of numbers (splitmix64): small, and the same on every machine.
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    /// The same numbers for one seed and name. Says the seed.
    pub(crate) fn from_environment(name: &str) -> Self {
        let seed = match std::env::var("WAXWING_SEED") {
            Ok(seed) => seed.parse().expect("WAXWING_SEED is a number"),
            Err(_) => {
                let mut bytes = [0; 4];
                getrandom::fill(&mut bytes).expect("the system has random numbers");
                u64::from(u32::from_ne_bytes(bytes))
            }
        };
        say(&format!("{name}: WAXWING_SEED={seed}"));
        Self::new(seed, name)
    }

    pub(crate) fn new(seed: u64, name: &str) -> Self {
        let name = name.bytes().fold(0, |hash: u64, b| hash.wrapping_mul(31) + u64::from(b));
        Self(seed ^ name.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    /// Numbers of their own for somebody else.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.number())
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut n = self.0;
        n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        n ^ (n >> 31)
    }

    /// 0 to `bound` - 1.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.number() % bound.max(1)
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// A time up to so many milliseconds, by microseconds.
    pub(crate) fn millis(&mut self, up_to: u64) -> Duration {
        Duration::from_micros(self.below(up_to * 1000))
    }

    pub(crate) fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len() as u64) as usize]
    }
}

/// For people: seeds and summaries.
#[expect(clippy::print_stdout, reason = "this is what it is for")]
pub(crate) fn say(text: &str) {
    println!("{text}");
}
