//! XML payloads that several features share. These files parse and build, nothing else.

pub mod archive_preferences;
pub mod bookmarks;
pub mod caps;
pub mod chat_state;
pub mod data_form;
pub mod datetime;
pub mod delay;
pub mod disco;
pub mod forward;
pub mod hints;
pub mod node_config;
pub mod notification_settings;
pub mod photo;
pub mod result_set;
pub mod stanza_id;
pub mod type_filter;
pub mod vcard4;
