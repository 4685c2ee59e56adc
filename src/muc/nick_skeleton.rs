//! Skeletons of nicknames: two nicknames with the same skeleton are confusable (Unicode UTS 39 §4).

use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use smol_str::SmolStr;
use unicode_security::skeleton;

/// The skeleton of a nickname. Spaces around it do not count.
pub(super) fn skeleton_of(nick: &str) -> String {
    skeleton(nick.trim()).collect()
}

/// Nicknames by their skeletons, so that confusable ones are found in one step.
#[derive(Clone, Debug, Default)]
pub(super) struct NicksBySkeleton(FxHashMap<String, SmallVec<[SmolStr; 1]>>);

impl NicksBySkeleton {
    pub(super) fn add(&mut self, nick: &str) {
        let nicks = self.0.entry(skeleton_of(nick)).or_default();
        if !nicks.iter().any(|known| known == nick) {
            nicks.push(SmolStr::new(nick));
        }
    }

    pub(super) fn remove(&mut self, nick: &str) {
        let skeleton = skeleton_of(nick);
        let Some(nicks) = self.0.get_mut(&skeleton) else { return };
        nicks.retain(|known| known != nick);
        if nicks.is_empty() {
            self.0.remove(&skeleton);
        }
    }

    /// The nicknames with this skeleton.
    pub(super) fn with(&self, skeleton: &str) -> impl Iterator<Item = &SmolStr> {
        self.0.get(skeleton).into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confusable_nicknames_have_one_skeleton() {
        assert_eq!(skeleton_of("paypal"), skeleton_of("p\u{430}yp\u{430}l"));
        assert_eq!(skeleton_of("witch "), skeleton_of("witch"));
        assert_ne!(skeleton_of("firstwitch"), skeleton_of("thirdwitch"));
        assert_ne!(skeleton_of("Hag"), skeleton_of("hag"));
    }

    #[test]
    fn nicknames_are_found_by_their_skeletons_until_they_are_removed() {
        let mut nicks = NicksBySkeleton::default();
        for nick in ["paypal", "p\u{430}ypal", "paypal", "hag"] {
            nicks.add(nick);
        }
        let found = |nicks: &NicksBySkeleton| nicks.with(&skeleton_of("payp\u{430}l")).count();
        assert_eq!(found(&nicks), 2);
        nicks.remove("paypal");
        assert_eq!(found(&nicks), 1);
        nicks.remove("p\u{430}ypal");
        assert_eq!((found(&nicks), nicks.0.len()), (0, 1));
    }
}
