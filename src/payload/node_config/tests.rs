//! Configurations from forms, and comparisons.

use super::*;
use crate::jid::BareJid;
use crate::payload::data_form::{FormKind, Submitted};
use crate::xml::Frame;

fn form(fields: &[(&str, &[&str])]) -> Submitted {
    let mut xml = "<x xmlns='jabber:x:data' type='submit'>".to_owned();
    for (var, values) in fields {
        let values: String = values.iter().map(|value| format!("<value>{value}</value>")).collect();
        xml += &format!("<field var='pubsub#{var}'>{values}</field>");
    }
    let frame = Frame::from_bytes((xml + "</x>").into_bytes()).unwrap();
    Submitted::read(&frame.root()).unwrap()
}

#[test]
fn what_a_form_says_is_read_back_from_the_form_it_makes() {
    let mut config = NodeConfig::default();
    config
        .apply(&form(&[
            ("access_model", &["roster"]),
            ("roster_groups_allowed", &["Friends", "Family"]),
            ("contact", &["nurse@localhost"]),
            ("deliver_payloads", &["false"]),
            ("description", &["A text"]),
            ("item_expire", &["60"]),
            ("itemreply", &["publisher"]),
            ("max_items", &["max"]),
            ("max_payload_size", &["1000"]),
            ("notification_type", &["normal"]),
            ("publish_model", &["open"]),
            ("publish_node_full", &["reject"]),
            ("send_last_published_item", &["never"]),
            ("type", &["urn:x"]),
            ("node_type", &["leaf"]),
            ("purge_offline", &["0"]),
            ("something_new", &["x"]),
        ]))
        .unwrap();
    assert_eq!((config.max_items, config.item_expire), (None, Some(60)));
    assert_eq!(config.keep(), MAX_ITEMS);
    assert!(!config.deliver_payloads && config.deliver_notifications);
    let bytes = config.to_form(FormKind::Submit, &Links::default()).to_node().to_bytes();
    let frame = Frame::from_bytes(bytes).unwrap();
    let mut again = NodeConfig::of_service();
    again.apply(&Submitted::read(&frame.root()).unwrap()).unwrap();
    assert_eq!(again, config);
    assert_eq!(NodeConfig::from_text(&config.to_text()), config);
    assert_eq!(NodeConfig::from_text("{}"), NodeConfig::default());
}

#[test]
fn invalid_values_are_refused() {
    let cases: &[(&str, &[&str], ConfigError)] = &[
        ("access_model", &["secret"], ConfigError::AccessModel),
        ("access_model", &["open", "presence"], ConfigError::Value),
        ("publish_model", &["nobody"], ConfigError::Value),
        ("max_items", &["-1"], ConfigError::Value),
        ("max_items", &["many"], ConfigError::Value),
        ("item_expire", &["soon"], ConfigError::Value),
        ("persist_items", &["maybe"], ConfigError::Value),
        ("contact", &["@"], ConfigError::Value),
        ("node_type", &["tree"], ConfigError::Value),
        ("purge_offline", &["1"], ConfigError::Value),
        ("children_association_policy", &["friends"], ConfigError::Value),
        ("children_association_whitelist", &["@"], ConfigError::Value),
        ("children_max", &["-1"], ConfigError::Value),
    ];
    for (var, values, error) in cases {
        let refused = NodeConfig::default().apply(&form(&[(var, values)]));
        assert_eq!(refused, Err(*error), "{var} {values:?}");
    }
    let moved = NodeConfig::default().with_options(&form(&[("collection", &["parent"])]));
    assert_eq!(moved, Err(ConfigError::Value));
    let unknown = NodeConfig::default().with_options(&form(&[("something_new", &["1"])]));
    assert_eq!(unknown, Err(ConfigError::Unknown));
    let unknown = NodeConfig::default().with_options(&form(&[("something_new", &[])]));
    assert_eq!(unknown, Err(ConfigError::Unknown));
}

#[test]
fn preconditions_are_compared_by_their_values() {
    let config = NodeConfig {
        max_items: None,
        roster_groups_allowed: vec!["a".into(), "b".into()],
        ..NodeConfig::default()
    };
    let cases: &[(&str, &[&str], bool)] = &[
        ("persist_items", &["1"], true),
        ("persist_items", &["true"], true),
        ("persist_items", &["false"], false),
        ("max_items", &["max"], true),
        ("max_items", &["99999999"], true),
        ("max_items", &["010000"], true),
        ("max_items", &["1"], false),
        ("roster_groups_allowed", &["b", "a"], true),
        ("roster_groups_allowed", &["b"], false),
        ("access_model", &["presence"], true),
        ("access_model", &["open"], false),
        ("title", &[""], true),
    ];
    for (var, values, is_met) in cases {
        let wanted = config.with_options(&form(&[(var, values)])).unwrap();
        assert_eq!(config.meets(&wanted), *is_met, "{var} {values:?}");
    }
}

#[test]
fn a_collection_has_its_own_fields_and_stays_one() {
    let mut config = NodeConfig::of_service();
    let leaf = config.to_text();
    assert!(!leaf.contains("collection"), "{leaf}");
    config
        .apply(&form(&[
            ("children_max", &["7"]),
            ("children_association_policy", &["whitelist"]),
            ("children_association_whitelist", &["nurse@localhost"]),
            ("node_type", &["collection"]),
            ("collection", &["parent"]),
        ]))
        .unwrap();
    let of = config.collection.clone().unwrap();
    assert_eq!((of.max_children(), config.keep()), (7, 0));
    let may = |jid: &str| of.may_associate(&BareJid::parse(jid).unwrap(), false);
    assert!(may("nurse@localhost") && !may("romeo@localhost"));
    assert_eq!(NodeConfig::from_text(&config.to_text()), config);
    assert_eq!(config.apply(&form(&[("node_type", &["leaf"])])), Err(ConfigError::Leaf));
    let links = Links { parents: Some(Vec::new()), children: Some(vec!["a".into()]) };
    let bytes = config.to_form(FormKind::Submit, &links).to_node().to_bytes();
    let frame = Frame::from_bytes(bytes).unwrap();
    let submitted = Submitted::read(&frame.root()).unwrap();
    assert_eq!(Links::of(&submitted), links);
    assert_eq!(submitted.values("pubsub#max_items"), None);
}
