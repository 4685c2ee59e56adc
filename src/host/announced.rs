//! What is announced for the addresses of each kind, the same for everybody (XEP-0030 §3.1, XEP-0128).

use super::access::Scope;
use crate::payload::data_form::Form;
use crate::payload::disco::{Identity, Info};

/// What is announced for the addresses of each kind.
#[derive(Default)]
pub(super) struct Announced {
    features: Vec<Feature>,
    forms: Vec<(Scope, Form)>,
    identities: Vec<(Scope, Identity)>,
}

/// A feature of service discovery (XEP-0030 §3.1).
pub(super) struct Feature {
    pub(super) scope: Scope,
    /// Its name: a namespace.
    pub(super) var: &'static str,
    /// An anonymous user (XEP-0175), who has no account, does not have it.
    pub(super) needs_account: bool,
}

impl Announced {
    /// Adds a feature, if it is not there.
    pub(super) fn feature(&mut self, new: Feature) {
        if !self.features.iter().any(|old| (old.scope, old.var) == (new.scope, new.var)) {
            self.features.push(new);
        }
    }

    /// Adds a form.
    pub(super) fn form(&mut self, scope: Scope, form: Form) {
        self.forms.push((scope, form));
    }

    /// Adds an identity.
    pub(super) fn identity(&mut self, scope: Scope, identity: Identity) {
        self.identities.push((scope, identity));
    }

    /// What is announced for addresses of this kind, sorted.
    pub(super) fn info(&self, scope: Scope) -> Info {
        self.those(scope, |_| true)
    }

    /// What is announced for the account of an anonymous user (XEP-0175), sorted.
    pub(super) fn info_of_anonymous(&self) -> Info {
        let mut info = self.those(Scope::Account, |feature| !feature.needs_account);
        info.identities.iter_mut().for_each(|identity| identity.kind = "anonymous");
        info
    }

    fn those(&self, scope: Scope, which: impl Fn(&Feature) -> bool) -> Info {
        let features = self.features.iter().filter(|f| f.scope == scope && which(f));
        let identities = self.identities.iter().filter(|(of, _)| *of == scope);
        let forms = self.forms.iter().filter(|(of, _)| *of == scope);
        let mut info = Info::default();
        info.add(Info {
            identities: identities.map(|(_, identity)| identity.clone()).collect(),
            features: features.map(|feature| feature.var).collect(),
            forms: forms.map(|(_, form)| form.clone()).collect(),
        });
        info
    }
}
