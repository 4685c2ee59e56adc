//! Push registrations (XEP-0357 §5): where an account wants notifications to be published while its devices
//! are away.

use async_trait::async_trait;

use super::Result;
use crate::jid::{BareJid, Jid};
use crate::payload::datetime::Timestamp;

/// Where notifications of an account are published, and for which device.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PushRegistration {
    /// The push service.
    pub service: Jid,
    /// The node at the service; empty: none was given (XEP-0357 §5 asks for one, but does not demand it).
    pub node: String,
    /// The form that goes with each notification, as XML, if the client gave one. It may hold a secret.
    pub options: Option<String>,
    /// The device that has registered.
    pub device: PushDevice,
    /// When the device registered last.
    pub registered: Timestamp,
}

/// How the device that has registered is recognized in its later sessions.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PushDevice {
    /// By the id of the client's installation (XEP-0388 §2.3).
    Installation(String),
    /// By the resource of its session: the client has told no id.
    Resource(String),
}

/// Push registrations of accounts. The service and the node are the key of a registration.
#[async_trait]
pub trait PushStore: Send + Sync {
    /// The registrations of an account, in the order of their services and nodes.
    async fn registrations(&self, owner: &BareJid) -> Result<Vec<PushRegistration>>;
    /// Stores a registration in place of the one with the same key. If the account has more than `max`
    /// then, the one that was not renewed for the longest time is removed. `max` is at least 1.
    ///
    /// # Errors
    /// `StorageError::Quota` if the account has no room left.
    async fn register(
        &self,
        owner: &BareJid,
        registration: &PushRegistration,
        max: usize,
    ) -> Result<()>;
    /// Removes the registrations at a service: that of one node, or all. Answers how many there were.
    async fn remove(&self, owner: &BareJid, service: &Jid, node: Option<&str>) -> Result<usize>;
    /// Removes a registration if it was not renewed since it was read. `false` if it was, or is not there.
    async fn remove_unless_renewed(
        &self,
        owner: &BareJid,
        registration: &PushRegistration,
    ) -> Result<bool>;
}

impl PushRegistration {
    /// The bytes that count for the quota of the account.
    pub(super) fn bytes(&self) -> u64 {
        let (PushDevice::Installation(device) | PushDevice::Resource(device)) = &self.device;
        let options = self.options.as_ref().map_or(0, String::len);
        (self.service.as_str().len() + self.node.len() + options + device.len()) as u64
    }

    pub(super) fn has_key(&self, service: &Jid, node: Option<&str>) -> bool {
        self.service == *service && node.is_none_or(|node| self.node == node)
    }
}

/// The position of the one that was not renewed for the longest time, leaving out `new`.
pub(super) fn stalest(all: &[PushRegistration], new: &PushRegistration) -> Option<usize> {
    let others = all.iter().enumerate();
    let others = others.filter(|(_, other)| !other.has_key(&new.service, Some(&new.node)));
    others.min_by_key(|(_, other)| other.registered.as_micros()).map(|(at, _)| at)
}
