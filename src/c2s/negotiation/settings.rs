//! What does not change during a negotiation: the settings, which all negotiations under one configuration share.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use super::feature_cache::FeatureCache;
use crate::config::Config;
use crate::xml::Node;

/// What clients are told of limits (XEP-0478).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The largest stanza, in bytes.
    pub(crate) bytes: usize,
    /// The silence after which a connection is given up.
    pub(crate) idle: Duration,
}

/// What does not change during a negotiation.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The served domains. The first one is the default.
    pub(crate) domains: Vec<String>,
    /// The limits that are told before authentication.
    pub(crate) limits_before_auth: Limits,
    /// The limits that are told after authentication.
    pub(crate) limits: Limits,
    /// The capabilities of the domains (XEP-0115 §6.3, XEP-0390 §5.2).
    pub(crate) caps: Arc<FxHashMap<String, Vec<Node>>>,
    /// Clients may register accounts (XEP-0077), under TLS: all, or those with an invitation.
    pub(crate) registration: bool,
    /// Clients may show the token of an invitation (XEP-0445), under TLS.
    pub(crate) invitations: bool,
    /// How many failed logins close the stream (RFC 6120 §6.4.5).
    pub(crate) failures: u32,
    /// Sessions can be resumed (XEP-0198 §5).
    pub(crate) resumption: bool,
    /// The features that a client can enable when it binds a session (XEP-0386 §3.1).
    pub(crate) bind_features: Vec<&'static str>,
    /// The stream features that were made of these settings.
    pub(crate) features: FeatureCache,
}

/// The settings for the configuration that was used last.
#[derive(Debug, Default)]
pub(crate) struct SettingsCache(Mutex<Option<(Arc<Config>, Arc<Settings>)>>);

impl SettingsCache {
    /// The settings for this configuration. `make` makes them if it is another one than the last time.
    pub(crate) fn of(
        &self,
        config: &Arc<Config>,
        make: impl FnOnce() -> Settings,
    ) -> Arc<Settings> {
        let mut last = self.0.lock();
        if let Some((_, settings)) = last.as_ref().filter(|(of, _)| Arc::ptr_eq(of, config)) {
            return Arc::clone(settings);
        }
        let settings = Arc::new(make());
        *last = Some((Arc::clone(config), Arc::clone(&settings)));
        settings
    }
}
