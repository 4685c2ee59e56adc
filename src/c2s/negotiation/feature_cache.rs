//! Stream features that were made before, under the same settings.
//!
//! Features depend on the settings and on a few facts of the connection. So they are made once for each combination
//! of these facts, and new settings begin with an empty cache.

use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use smol_str::SmolStr;

use crate::auth::{MechanismName, Offer};
use crate::xml::Node;

/// The features that were made under the same settings. See the module.
#[derive(Debug, Default)]
pub(crate) struct FeatureCache {
    /// Those before the login, at most [`MOST_OFFERS`].
    before_login: Mutex<Vec<BeforeLogin>>,
    /// Those after the login, by the domain of the stream and by [`SessionState`].
    after_login: Mutex<FxHashMap<String, [Option<Arc<Node>>; 3]>>,
}

/// What is offered before the login, and of what it is made.
#[derive(Debug)]
struct BeforeLogin {
    mechanisms: Vec<MechanismName>,
    /// Types of channel binding. The mechanisms for tokens follow from them.
    types: Vec<&'static str>,
    features: Arc<Node>,
    version: SmolStr,
}

/// Whether a client has a session when it is told the features after the login.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum SessionState {
    /// It has none: it must bind one.
    None,
    /// It has one without stream management.
    Unmanaged,
    /// It has one with stream management (XEP-0198).
    Managed,
}

impl FeatureCache {
    /// The features before the login with this offer, and their version. `make` makes them if they are not known.
    pub(super) fn before_login(
        &self,
        offer: &Offer,
        make: impl FnOnce() -> (Node, SmolStr),
    ) -> (Arc<Node>, SmolStr) {
        let (mechanisms, types) = (offer.mechanisms(), offer.channel_bindings());
        let mut known = self.before_login.lock();
        let found = known.iter().find(|of| of.mechanisms == mechanisms && of.types == types);
        if let Some(found) = found {
            return (Arc::clone(&found.features), found.version.clone());
        }
        let (features, version) = make();
        let features = Arc::new(features);
        if known.len() < MOST_OFFERS {
            known.push(BeforeLogin {
                mechanisms: mechanisms.to_vec(),
                types: types.to_vec(),
                features: Arc::clone(&features),
                version: version.clone(),
            });
        }
        (features, version)
    }

    /// The features after the login at this domain, which must be served. `make` makes them if they are not known.
    pub(super) fn after_login(
        &self,
        domain: &str,
        session: SessionState,
        make: impl FnOnce() -> Node,
    ) -> Arc<Node> {
        let mut known = self.after_login.lock();
        if let Some(found) = known.get(domain).and_then(|of| of[session as usize].as_ref()) {
            return Arc::clone(found);
        }
        let features = Arc::new(make());
        let of_domain = known.entry(domain.to_owned()).or_default();
        of_domain[session as usize] = Some(Arc::clone(&features));
        features
    }
}

/// Offers whose features are kept: more than there are under one configuration. They differ by the version of TLS, a
/// certificate of the client, and the hash functions of the account's keys.
const MOST_OFFERS: usize = 32;
