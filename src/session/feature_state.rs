//! State of a session that features own: each feature keeps a type of its own, which it alone knows.
//!
//! It belongs to the owner of the session, and moves with the session from connection to connection. It
//! is lost when the server ends. What must outlive the server, or must be known to other tasks, is a
//! flag (`client_flags.rs`), or is stored.

use std::any::Any;
use std::fmt;

/// Values of different types, at most one of each. An empty one holds no memory on the heap.
#[derive(Default)]
pub(super) struct FeatureState(Vec<Box<dyn Any + Send>>);

impl FeatureState {
    pub(super) fn get_or_default<T: Any + Default + Send>(&mut self) -> &mut T {
        let at = self.0.iter().position(|value| value.is::<T>());
        let at = at.unwrap_or_else(|| {
            self.0.push(Box::new(T::default()));
            self.0.len() - 1
        });
        self.0[at].downcast_mut().expect("this is where a `T` stands")
    }
}

impl FeatureState {
    pub(super) fn get<T: Any>(&mut self) -> Option<&mut T> {
        self.0.iter_mut().find_map(|value| value.downcast_mut())
    }
}

impl fmt::Debug for FeatureState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FeatureState({})", self.0.len())
    }
}
