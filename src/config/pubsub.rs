//! `[pubsub]`: the service `pubsub.<host>` (XEP-0060).

use super::section::{choice, section};
use super::value::{Count, OneOf, Switch};

choice! {
    /// Who may create nodes at the service.
    pub enum NodeCreators {
        /// Administrators of the server.
        Admins = "admins";
        /// Nobody. Nodes that exist stay.
        Nobody = "nobody";
        /// Users with an account at the host.
        Users = "users";
    }
}

section! {
    /// The service `pubsub.<host>` (XEP-0060).
    pub struct PubSubConfig = "pubsub";

    /// Who may create nodes at the service: administrators, users of the host, or nobody.
    create: NodeCreators = NodeCreators::Users => OneOf(NodeCreators::WORDS), Reload;

    /// Subscriptions that the owners of nodes may make for others, who have not asked for them, by one account in an
    /// hour. 0: no limit.
    subscriptions_for_others: u32 = 60 => Count::between(0, 1_000_000), Reload;

    /// Publish the name of each host in the node `serverinfo` of its service, for programs that draw maps of the
    /// network (XEP-0485). Other servers that do so may then name the host, too, when they are connected to it.
    server_info: bool = false => Switch, Restart;
}
