//! Who may do what at a node (XEP-0060 §4.1, §4.5).

use super::error::Problem;
use crate::payload::node_config::{AccessModel, NodeConfig, PublishModel};
use crate::storage::Affiliation;

/// What is known of an entity and a node.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Entity {
    /// Its affiliation, if it has one.
    pub affiliation: Option<Affiliation>,
    /// Whether it has a subscription that is not pending.
    pub is_subscribed: bool,
    /// Whether it has a subscription that is pending.
    pub is_pending: bool,
    /// Whether it sees the presence of the owner.
    pub sees_presence: bool,
    /// Whether it is in one of the groups that the node names.
    pub is_in_group: bool,
}

/// What becomes of a request for a subscription.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Approval {
    /// It is subscribed at once.
    Subscribed,
    /// An owner decides.
    Pending,
}

impl Entity {
    /// Whether it may read items.
    ///
    /// DEPARTS: XEP-0060 §6.5.1 – of a node with a whitelist, whoever is on it reads without a subscription. §6.5.1
    /// wants subscribed entities only, §4.5 lets "only entities on a whitelist" subscribe and retrieve. Keys of OMEMO
    /// and bookmarks are in such nodes, and no client subscribes to them.
    ///
    /// # Errors
    /// Why not (§6.5.9).
    pub fn may_read(&self, config: &NodeConfig) -> Result<(), Problem> {
        self.may_enter(config)?;
        match (self.affiliation, config.access_model) {
            (None, AccessModel::Authorize) if !self.is_subscribed => {
                Err(Problem::ReaderNotSubscribed)
            }
            _ => Ok(()),
        }
    }

    /// Whether it may subscribe.
    ///
    /// # Errors
    /// Why not (§6.1.3).
    pub fn may_subscribe(&self, config: &NodeConfig) -> Result<Approval, Problem> {
        self.may_enter(config)?;
        if !config.subscribe && self.affiliation != Some(Affiliation::Owner) {
            return Err(Problem::Unsupported("subscribe"));
        }
        match (self.affiliation, config.access_model) {
            (None, AccessModel::Authorize) if self.is_pending => Err(Problem::PendingSubscription),
            (None, AccessModel::Authorize) if !self.is_subscribed => Ok(Approval::Pending),
            _ => Ok(Approval::Subscribed),
        }
    }

    /// What reading and subscribing have in common.
    fn may_enter(&self, config: &NodeConfig) -> Result<(), Problem> {
        match self.affiliation {
            Some(Affiliation::Owner | Affiliation::Publisher | Affiliation::Member) => Ok(()),
            Some(Affiliation::Outcast | Affiliation::PublishOnly) => Err(Problem::Forbidden),
            None => match config.access_model {
                AccessModel::Authorize | AccessModel::Open => Ok(()),
                AccessModel::Presence if self.sees_presence => Ok(()),
                AccessModel::Presence => Err(Problem::PresenceSubscriptionRequired),
                AccessModel::Roster if self.is_in_group => Ok(()),
                AccessModel::Roster => Err(Problem::NotInRosterGroup),
                AccessModel::Whitelist => Err(Problem::ClosedNode),
            },
        }
    }

    /// Whether it may publish.
    #[must_use]
    pub fn may_publish(&self, config: &NodeConfig) -> bool {
        match self.affiliation {
            Some(Affiliation::Owner | Affiliation::Publisher | Affiliation::PublishOnly) => true,
            Some(Affiliation::Outcast) => false,
            Some(Affiliation::Member) | None => match config.publish_model {
                PublishModel::Open => true,
                PublishModel::Publishers => false,
                PublishModel::Subscribers => self.is_subscribed,
            },
        }
    }

    /// Whether it owns the node.
    #[must_use]
    pub fn is_owner(&self) -> bool {
        self.affiliation == Some(Affiliation::Owner)
    }
}

/// The word for an affiliation; `none` if there is none.
#[must_use]
pub fn affiliation_word(affiliation: Option<Affiliation>) -> &'static str {
    match affiliation {
        None => "none",
        Some(Affiliation::Owner) => "owner",
        Some(Affiliation::Publisher) => "publisher",
        Some(Affiliation::PublishOnly) => "publish-only",
        Some(Affiliation::Member) => "member",
        Some(Affiliation::Outcast) => "outcast",
    }
}

/// The affiliation with this word. The outer `None`: there is no such word.
#[must_use]
pub fn parse_affiliation(word: &str) -> Option<Option<Affiliation>> {
    Some(match word {
        "none" => None,
        "owner" => Some(Affiliation::Owner),
        "publisher" => Some(Affiliation::Publisher),
        "publish-only" => Some(Affiliation::PublishOnly),
        "member" => Some(Affiliation::Member),
        "outcast" => Some(Affiliation::Outcast),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(access_model: AccessModel, publish_model: PublishModel) -> NodeConfig {
        NodeConfig { access_model, publish_model, ..NodeConfig::default() }
    }

    fn with(affiliation: Affiliation) -> Entity {
        Entity { affiliation: Some(affiliation), ..Entity::default() }
    }

    #[test]
    fn the_access_model_decides_for_those_without_affiliation() {
        use AccessModel::{Authorize, Open, Presence, Roster, Whitelist};
        let nobody = Entity::default();
        let sees = Entity { sees_presence: true, ..nobody };
        let group = Entity { is_in_group: true, ..nobody };
        let subscribed = Entity { is_subscribed: true, ..nobody };
        let pending = Entity { is_pending: true, ..nobody };
        let (yes, wait) = (Ok(Approval::Subscribed), Ok(Approval::Pending));
        let cases = [
            (Open, nobody, Ok(()), yes),
            (Presence, nobody, Err(Problem::PresenceSubscriptionRequired), yes),
            (Presence, sees, Ok(()), yes),
            (Roster, sees, Err(Problem::NotInRosterGroup), yes),
            (Roster, group, Ok(()), yes),
            (Whitelist, sees, Err(Problem::ClosedNode), yes),
            (Authorize, sees, Err(Problem::ReaderNotSubscribed), wait),
            (Authorize, subscribed, Ok(()), yes),
            (
                Authorize,
                pending,
                Err(Problem::ReaderNotSubscribed),
                Err(Problem::PendingSubscription),
            ),
        ];
        for (model, entity, read, subscribe) in cases {
            let config = config(model, PublishModel::Publishers);
            assert_eq!(entity.may_read(&config), read, "{model:?} {entity:?}");
            let subscribe = match read {
                Err(problem) if model != Authorize => Err(problem),
                _ => subscribe,
            };
            assert_eq!(entity.may_subscribe(&config), subscribe, "{model:?} {entity:?}");
        }
    }

    #[test]
    fn an_affiliation_decides_before_the_access_model() {
        for model in AccessModel::ALL {
            let config = config(*model, PublishModel::Publishers);
            for affiliation in [Affiliation::Owner, Affiliation::Publisher, Affiliation::Member] {
                assert_eq!(with(affiliation).may_read(&config), Ok(()));
                assert_eq!(with(affiliation).may_subscribe(&config), Ok(Approval::Subscribed));
            }
            for affiliation in [Affiliation::Outcast, Affiliation::PublishOnly] {
                assert_eq!(with(affiliation).may_read(&config), Err(Problem::Forbidden));
                assert_eq!(with(affiliation).may_subscribe(&config), Err(Problem::Forbidden));
            }
        }
        let closed = NodeConfig { subscribe: false, ..NodeConfig::default() };
        let refused = with(Affiliation::Member).may_subscribe(&closed);
        assert_eq!(refused, Err(Problem::Unsupported("subscribe")));
        assert!(with(Affiliation::Owner).may_subscribe(&closed).is_ok());
    }

    #[test]
    fn who_may_publish() {
        use Affiliation::{Member, Outcast, Owner, PublishOnly, Publisher};
        let subscribed = Entity { is_subscribed: true, ..Entity::default() };
        let cases = [
            (with(Owner), [true, true, true]),
            (with(Publisher), [true, true, true]),
            (with(PublishOnly), [true, true, true]),
            (with(Member), [false, false, true]),
            (with(Outcast), [false, false, false]),
            (Entity::default(), [false, false, true]),
            (subscribed, [false, true, true]),
            (Entity { is_subscribed: true, ..with(Outcast) }, [false, false, false]),
        ];
        for (entity, expected) in cases {
            let models = [PublishModel::Publishers, PublishModel::Subscribers, PublishModel::Open];
            let may = models.map(|model| entity.may_publish(&config(AccessModel::Open, model)));
            assert_eq!(may, expected, "{entity:?}");
        }
    }

    #[test]
    fn words_of_affiliations_are_read_as_they_are_written() {
        for word in ["none", "owner", "publisher", "publish-only", "member", "outcast"] {
            assert_eq!(parse_affiliation(word).map(affiliation_word), Some(word));
        }
        assert_eq!(parse_affiliation("boss"), None);
    }
}
