//! What nicknames look like: two with the same look can be taken for each other (Unicode UTS 39 §4).

use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use smol_str::SmolStr;
use unicode_security::skeleton;

/// The look of a nickname.
pub(super) fn look(nick: &str) -> String {
    skeleton(nick.trim()).collect()
}

/// Nicknames by their looks, so that a search for one that looks the same costs one look.
#[derive(Clone, Debug, Default)]
pub(super) struct Looks(FxHashMap<String, SmallVec<[SmolStr; 1]>>);

impl Looks {
    pub(super) fn add(&mut self, nick: &str) {
        let nicks = self.0.entry(look(nick)).or_default();
        if !nicks.iter().any(|known| known == nick) {
            nicks.push(SmolStr::new(nick));
        }
    }

    pub(super) fn remove(&mut self, nick: &str) {
        let look = look(nick);
        let Some(nicks) = self.0.get_mut(&look) else { return };
        nicks.retain(|known| known != nick);
        if nicks.is_empty() {
            self.0.remove(&look);
        }
    }

    /// The nicknames with this look.
    pub(super) fn with(&self, look: &str) -> impl Iterator<Item = &SmolStr> {
        self.0.get(look).into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nicknames_that_look_the_same_are_the_same() {
        assert_eq!(look("paypal"), look("p\u{430}yp\u{430}l"));
        assert_eq!(look("witch "), look("witch"));
        assert_ne!(look("firstwitch"), look("thirdwitch"));
        assert_ne!(look("Hag"), look("hag"));
    }

    #[test]
    fn nicknames_are_found_by_their_looks_until_they_are_removed() {
        let mut looks = Looks::default();
        for nick in ["paypal", "p\u{430}ypal", "paypal", "hag"] {
            looks.add(nick);
        }
        let found = |looks: &Looks| looks.with(&look("payp\u{430}l")).count();
        assert_eq!(found(&looks), 2);
        looks.remove("paypal");
        assert_eq!(found(&looks), 1);
        looks.remove("p\u{430}ypal");
        assert_eq!((found(&looks), looks.0.len()), (0, 1));
    }
}
