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
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// Administrators of the server. Others: `forbidden`.
    Admins,
    /// The user, and contacts that may see the user's presence (RFC 6121 §3). Others:
    /// `service-unavailable`.
    Contacts,
    /// The same. Others: `forbidden`, as the specification of the request demands.
    ContactsElseForbidden,
    /// The user to whom the account belongs. Contacts that may see the user's presence: `forbidden`.
    /// Others: `service-unavailable`. To a host: its users. Others: `forbidden`.
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
