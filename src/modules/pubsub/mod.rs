//! XEP-0060: Publish-Subscribe, at accounts (XEP-0163: Personal Eventing Protocol) and at the service
//! `pubsub.<host>`. Who may do what is decided in `src/pubsub/`. Each change passes `src/host/account_nodes.rs`, from
//! where all that follows from it begins.

mod access;
mod affiliations;
mod approval;
mod bounces;
mod collections;
mod configure;
mod create;
mod delivery;
mod disco;
mod dispatch;
mod features;
mod get_pending;
mod hearing;
mod items;
mod last_item_delivery;
mod last_item_sender;
mod last_item_walk;
mod last_items;
mod links;
mod node_events;
mod notify;
mod options;
mod owner_subscriptions;
mod ownerless;
mod place;
mod presences;
mod publish;
mod recipients;
mod remote_last_items;
mod request;
mod retract;
mod service;
mod sources;
mod subscribe;
mod subscriber_online;
mod subscription;

use std::sync::Arc;

use crate::host::lifecycle::EventKind;
use crate::host::{Access, AddressKind, Manifest, Module, Registry, ServerState, Status, Xep};
use crate::ns;
use crate::payload::disco::Identity;
use crate::stanza::IqKind;

pub use approval::decides;
pub use bounces::bounced;

/// Nodes of accounts, and the service.
pub struct PubSub;

impl Module for PubSub {
    fn manifest(&self) -> &'static Manifest {
        &Manifest {
            name: "pubsub",
            summary: "Keeps and publishes data of accounts and of a service, in nodes",
            xeps: &[
                Xep { number: 60, version: "1.30.0", status: Status::Partial },
                Xep { number: 131, version: "1.2", status: Status::Partial },
                Xep { number: 163, version: "1.2.2", status: Status::Complete },
                Xep { number: 222, version: "1.0", status: Status::Complete },
                Xep { number: 223, version: "1.1.1", status: Status::Complete },
                Xep { number: 248, version: "0.5.0", status: Status::Complete },
                Xep { number: 462, version: "0.1.1", status: Status::Complete },
            ],
        }
    }

    fn register(&self, on: &mut Registry) {
        // Of hosts, too: libpurple and Psi ask the server whether accounts have nodes, not the account (XEP-0163 §6.1).
        for address in [AddressKind::Account, AddressKind::Host] {
            on.identity(address, Identity { category: "pubsub", kind: "pep", name: None });
        }
        for feature in features::OF_ACCOUNTS.iter().chain(features::OF_ALL) {
            on.disco_feature_of_registered(feature);
        }
        for feature in features::OF_HOST {
            on.disco_feature(AddressKind::Host, feature);
        }
        for kind in [IqKind::Get, IqKind::Set] {
            for namespace in [ns::PUBSUB, ns::PUBSUB_OWNER] {
                let name = (namespace, "pubsub");
                on.iq(AddressKind::Account, kind, name, Access::Public, &dispatch::OfAccount);
            }
        }
        on.discovery(AddressKind::Account, &disco::OfAccount);
        on.account_command(&get_pending::OfAccount);
        on.listener(EventKind::AccountRemoved, &ownerless::Ownerless);
        on.listener(EventKind::ItemsChanged, &notify::Notifier);
        on.listener(EventKind::ContactChanged, &access::OfContacts);
        on.listener(EventKind::InterestsChanged, &last_item_sender::Sender);
        on.listener(EventKind::RemoteClientAvailable, &remote_last_items::ForRemotes);
        on.listener(EventKind::SessionAvailable, &subscriber_online::OfService);
        on.listener(EventKind::SubscriptionOpened, &last_item_sender::Sender);
        on.listener(EventKind::SessionUnavailable, &last_item_sender::Sender);
        on.shared(last_items::LastItems::default());
        on.shared(last_item_delivery::Deliveries::default());
        on.shared(presences::Presences::default());
        on.service(Arc::new(service::PubSubService));
    }

    fn start(&self, server: &Arc<ServerState>) {
        server.shared::<last_item_delivery::Deliveries>().start(server);
    }
}
