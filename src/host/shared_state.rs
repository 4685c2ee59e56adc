//! State that a feature keeps in memory for all sessions: a cache, or a table of locks. The feature owns
//! the type and registers the value; [`super::ServerState`] does not know what it is.

use std::any::{Any, type_name};

use super::{Invalidation, ServerState};

/// A value of a feature, which all tasks share.
pub trait SharedState: Any + Send + Sync {
    /// The store has changed: a cache must forget its old value. The default does nothing.
    fn invalidate(&self, _what: &Invalidation) {}
}

/// The values of all features, at most one of each type.
#[derive(Default)]
pub(super) struct SharedStates(Vec<Box<dyn SharedState>>);

impl SharedStates {
    /// Adds the value of a feature.
    ///
    /// # Panics
    /// At start-up, if there is a value of this type already.
    pub(super) fn add<T: SharedState>(&mut self, value: T) {
        assert!(self.get::<T>().is_none(), "{} is registered twice", type_name::<T>());
        self.0.push(Box::new(value));
    }

    /// The value of this type. There are few, so a walk through all of them costs less than a hash.
    pub(super) fn get<T: SharedState>(&self) -> Option<&T> {
        self.0.iter().find_map(|value| (&**value as &dyn Any).downcast_ref())
    }

    pub(super) fn invalidate(&self, what: &Invalidation) {
        self.0.iter().for_each(|value| value.invalidate(what));
    }
}

impl ServerState {
    /// The shared state of a feature.
    ///
    /// # Panics
    /// If no registered feature has it. Only the feature itself knows the type, and registers it.
    #[must_use]
    pub fn shared<T: SharedState>(&self) -> &T {
        let value = self.registry.shared_states().get();
        value.unwrap_or_else(|| panic!("no feature has registered {}", type_name::<T>()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::host::Registry;
    use crate::jid::BareJid;

    #[derive(Default)]
    struct Forgets(AtomicUsize);

    impl SharedState for Forgets {
        fn invalidate(&self, what: &Invalidation) {
            let is_account = matches!(what, Invalidation::Account(_));
            self.0.fetch_add(usize::from(is_account), Ordering::Relaxed);
        }
    }

    struct Other;

    impl SharedState for Other {}

    #[test]
    fn a_feature_finds_its_own_value_and_is_told_of_changes() {
        let mut registry = Registry::default();
        registry.shared(Other).shared(Forgets::default());
        let server = ServerState::for_tests(&["a.example"], registry);
        let user = BareJid::parse("romeo@a.example").unwrap();
        server.invalidate(&Invalidation::BlockList(user.clone()));
        assert_eq!(server.shared::<Forgets>().0.load(Ordering::Relaxed), 0);
        server.invalidate(&Invalidation::Account(user));
        assert_eq!(server.shared::<Forgets>().0.load(Ordering::Relaxed), 1);
    }

    #[test]
    #[should_panic(expected = "registered twice")]
    fn two_values_of_one_type_are_refused() {
        Registry::default().shared(Other).shared(Other);
    }
}
