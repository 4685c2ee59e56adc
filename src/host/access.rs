//! To which kinds of addresses a request is sent, and who may send it.

/// A kind of address.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum AddressKind {
    /// The bare address of an account. The server answers on its behalf (RFC 6121 §8.5.2.1.3).
    Account,
    /// A host.
    Host,
    /// The domain of every service. Requests that only one service answers go to
    /// [`Service::request`](super::Service::request).
    Service,
    /// A bare address at the domain of a service, for example a room.
    ServiceAddress,
}

/// Who may send a request. All others get the error that is named here, whether the account exists or not,
/// so that nobody can find out which accounts exist (RFC 6121 §8.5.1).
///
/// Each kind of address has its own words ([`Access::is_for`]).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// Administrators of the server. Others: `forbidden`.
    Admins,
    /// The user, and contacts that may see the user's presence (RFC 6121 §3). Others:
    /// `service-unavailable`.
    Contacts,
    /// The same. Others: `forbidden`, as the specification of the request demands.
    ContactsElseForbidden,
    /// To a host alone: its users. Others: `forbidden`.
    HostUsers,
    /// The user to whom the account belongs. Contacts that may see the user's presence: `forbidden`.
    /// Others: `service-unavailable`.
    Owner,
    /// The user to whom the account belongs. Others: `forbidden`, as the specification of the request
    /// demands.
    OwnerElseForbidden,
    /// The user to whom the account belongs. Others: `not-allowed`, as the specification of the request demands.
    OwnerElseNotAllowed,
    /// Everybody. To an account: except addresses that the user has blocked (XEP-0191 §3.3:
    /// `service-unavailable`), and the handler must give others the same answer whether the account
    /// exists or not.
    Public,
}

impl Access {
    /// Whether the word says something for addresses of this kind. An account has an owner and contacts, a host has
    /// users. All may ask a service: only its handler knows more.
    #[must_use]
    pub fn is_for(self, address: AddressKind) -> bool {
        match (self, address) {
            (Self::Public, _) => true,
            (_, AddressKind::Service | AddressKind::ServiceAddress) => false,
            (Self::Admins | Self::HostUsers, AddressKind::Host) => true,
            (_, AddressKind::Host) | (Self::HostUsers, AddressKind::Account) => false,
            (_, AddressKind::Account) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Access, AddressKind};

    #[test]
    fn a_word_is_for_the_kinds_of_addresses_that_have_such_people() {
        use AddressKind::{Account, Host, Service, ServiceAddress};
        for (access, kinds) in [
            (Access::Admins, &[Account, Host][..]),
            (Access::Contacts, &[Account]),
            (Access::ContactsElseForbidden, &[Account]),
            (Access::HostUsers, &[Host]),
            (Access::Owner, &[Account]),
            (Access::OwnerElseForbidden, &[Account]),
            (Access::OwnerElseNotAllowed, &[Account]),
            (Access::Public, &[Account, Host, Service, ServiceAddress]),
        ] {
            for address in [Account, Host, Service, ServiceAddress] {
                assert_eq!(access.is_for(address), kinds.contains(&address), "{access:?}");
            }
        }
    }
}
