//! State that a feature keeps in memory for all sessions: a cache, or a table of locks. The feature
//! registers the value; [`super::ServerState`] does not know what it is.
//!
//! Most types are the feature's own. A type that other features or the router need, too, stands in `host/`:
//! block lists, contact lists, and the locks on rosters.

use std::any::{Any, TypeId, type_name};

use super::Invalidation;

/// A value of a feature, which all tasks share.
pub trait SharedState: Any + Send + Sync {
    /// The store has changed: a cache must forget its old value. The default does nothing.
    fn invalidate(&self, _what: &Invalidation) {}
}

/// The values of all features, at most one of each type. Each stanza asks for several of them.
#[derive(Default)]
pub struct SharedStates(Vec<(TypeId, Box<dyn SharedState>)>);

impl SharedStates {
    /// Adds the value of a feature.
    ///
    /// # Panics
    /// At start-up, if there is a value of this type already.
    pub(super) fn add<T: SharedState>(&mut self, value: T) {
        assert!(self.get::<T>().is_none(), "{} is registered twice", type_name::<T>());
        self.0.push((TypeId::of::<T>(), Box::new(value)));
    }

    /// The value of this type.
    ///
    /// # Panics
    /// If no registered feature has it.
    pub(super) fn expect<T: SharedState>(&self) -> &T {
        self.get().unwrap_or_else(|| panic!("no feature has registered {}", type_name::<T>()))
    }

    /// The value of this type, if a feature has registered one. There are few, so a walk through their types costs less than a hash.
    pub(super) fn get<T: SharedState>(&self) -> Option<&T> {
        let (_, value) = self.0.iter().find(|(of, _)| *of == TypeId::of::<T>())?;
        (&**value as &dyn Any).downcast_ref()
    }

    /// Tells all of them that something has changed in the store.
    pub(super) fn invalidate(&self, what: &Invalidation) {
        self.0.iter().for_each(|(_, value)| value.invalidate(what));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Value;

    impl SharedState for Value {}

    #[test]
    #[should_panic(expected = "registered twice")]
    fn two_values_of_one_type_are_refused() {
        let mut shared = SharedStates::default();
        shared.add(Value);
        shared.add(Value);
    }
}
