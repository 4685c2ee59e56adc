//! What is announced for the addresses of each kind, the same for everybody (XEP-0030 §3.1, XEP-0128).

use super::access::AddressKind;
use crate::config::Config;
use crate::payload::data_form::Form;
use crate::payload::disco::{Identity, Info};

/// What is announced for the addresses of each kind.
#[derive(Default)]
pub(super) struct Announced {
    features: Vec<DiscoFeature>,
    forms: Vec<(AddressKind, ConfiguredForm)>,
    identities: Vec<(AddressKind, Identity)>,
}

/// Makes a form from the configuration, for a domain. `None`: there is nothing to tell.
pub(super) type ConfiguredForm = fn(&Config, &str) -> Option<Form>;

/// A feature of service discovery (XEP-0030 §3.1).
pub(super) struct DiscoFeature {
    pub(super) address: AddressKind,
    /// Its name: a namespace.
    pub(super) var: &'static str,
    /// Whether only accounts have it: anonymous users (XEP-0175) have none.
    pub(super) needs_account: bool,
}

impl Announced {
    /// Adds a feature, if it is not there.
    pub(super) fn feature(&mut self, new: DiscoFeature) {
        if !self.features.iter().any(|old| (old.address, old.var) == (new.address, new.var)) {
            self.features.push(new);
        }
    }

    /// Adds a form that a reload may change.
    pub(super) fn form(&mut self, address: AddressKind, form: ConfiguredForm) {
        self.forms.push((address, form));
    }

    /// Adds an identity.
    pub(super) fn identity(&mut self, address: AddressKind, identity: Identity) {
        self.identities.push((address, identity));
    }

    /// What is announced for addresses of this kind, sorted, without what follows from the configuration.
    pub(super) fn info(&self, address: AddressKind) -> Info {
        self.those(address, |_| true)
    }

    /// What is announced for a domain of ours that is an address of this kind.
    pub(super) fn info_of_domain(
        &self,
        address: AddressKind,
        config: &Config,
        domain: &str,
    ) -> Info {
        let forms = self.forms.iter().filter(|(of, _)| *of == address);
        let forms = forms.filter_map(|(_, form)| form(config, domain)).collect();
        let mut info = self.info(address);
        info.add(Info { forms, ..Info::default() });
        info
    }

    /// What is announced for the account of an anonymous user (XEP-0175), sorted.
    pub(super) fn info_of_anonymous(&self) -> Info {
        let mut info = self.those(AddressKind::Account, |feature| !feature.needs_account);
        info.identities.retain(|identity| identity.category == "account");
        info.identities.iter_mut().for_each(|identity| identity.kind = "anonymous");
        info
    }

    fn those(&self, address: AddressKind, which: impl Fn(&DiscoFeature) -> bool) -> Info {
        let features = self.features.iter().filter(|f| f.address == address && which(f));
        let identities = self.identities.iter().filter(|(of, _)| *of == address);
        let mut info = Info::default();
        info.add(Info {
            identities: identities.map(|(_, identity)| identity.clone()).collect(),
            features: features.map(|feature| feature.var).collect(),
            forms: Vec::new(),
        });
        info
    }
}
