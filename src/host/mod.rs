//! What all tasks of the server share, and the contract between the server and its features.
//!
//! From bottom to top: [`ServerState`] is what all tasks share. [`Cx`] is what a handler gets with a stanza,
//! and [`Registry`] has the handlers of all features. [`Module`] is a feature.

mod access;
mod account_checks;
mod account_nodes;
mod account_removal;
mod admins;
mod announced;
mod api_tokens;
mod archive_watchers;
pub mod block_list;
pub mod bookmarks;
pub mod bytestreams;
mod cache;
pub mod card;
mod clients;
pub mod command;
pub mod components;
pub mod contact_list;
mod context;
pub mod delegations;
mod destination;
mod event;
mod halt;
mod invalidation;
pub mod invitations;
mod keeping;
pub mod lifecycle;
mod log_out;
mod manifest;
mod module;
mod node_change;
mod origin;
mod outbox;
pub mod privileged_presence;
pub mod privileges;
pub mod refusal_log;
pub mod registration;
mod registry;
mod remote_interests;
mod remote_servers;
mod reply;
pub mod reports;
mod requests;
pub mod room_readers;
pub mod rooms;
mod roster_lock;
mod route;
mod server_state;
mod shared_state;
pub mod stored_components;
pub mod strangers;
mod target_node;
pub mod uploads;

pub use access::{Access, AddressKind};
pub use account_nodes::AccountNodes;
pub use account_removal::remove_account;
pub use admins::Admins;
pub use api_tokens::{NewApiToken, Scope, api_token_hash, create_api_token};
pub use archive_watchers::{ArchiveWatch, ArchiveWatchers};
pub use cache::{AccountCache, Read};
pub use clients::{Client, clients_of, revoke_client};
pub use context::{
    AccountCommand, Asked, Cx, Discovery, Entry, HostCommand, IqHandler, IqReply, Registry, Service,
};
pub use destination::{Destination, DomainError, Host, OurDomain, ServiceDomain};
pub use halt::{Halt, not_stored, refuse_presence};
pub use invalidation::Invalidation;
pub use keeping::{Keeping, Kept};
pub use log_out::log_out_client;
pub use manifest::{Manifest, Status, Xep};
pub use module::Module;
pub use node_change::{Changed, NodeChange};
pub use origin::Origin;
pub use outbox::Outbox;
pub use remote_interests::RemoteInterests;
pub use remote_servers::{RemoteRule, RemoteServers, StreamRow};
pub use reply::Reply;
pub use requests::{Answer, CountsFor, RequestError, Requests};
pub use roster_lock::{RosterLock, RosterLocks};
pub use route::Route;
pub use server_state::{Parts, ServerState};
pub use shared_state::{SharedState, SharedStates};
pub use target_node::{PUBLISH_ATTEMPTS, TargetNode};
