//! What is put into requests, and what rooms and friends answer.

use waxwing::stanza::IqKind;

/// What a room answers.
pub(super) const OF_ROOMS: &[(IqKind, &str, &str)] = &[
    (IqKind::Get, "http://jabber.org/protocol/disco#info", "query"),
    (IqKind::Get, "http://jabber.org/protocol/disco#items", "query"),
    (IqKind::Get, "http://jabber.org/protocol/muc#admin", "query"),
    (IqKind::Set, "http://jabber.org/protocol/muc#admin", "query"),
    (IqKind::Get, "http://jabber.org/protocol/muc#owner", "query"),
    (IqKind::Set, "http://jabber.org/protocol/muc#owner", "query"),
    (IqKind::Get, "jabber:iq:register", "query"),
    (IqKind::Set, "jabber:iq:register", "query"),
    (IqKind::Get, "urn:xmpp:mam:2", "query"),
    (IqKind::Set, "urn:xmpp:mam:2", "query"),
    (IqKind::Get, "urn:xmpp:mam:2", "metadata"),
    (IqKind::Set, "urn:xmpp:message-moderate:1", "moderate"),
    (IqKind::Get, "urn:xmpp:ping", "ping"),
    (IqKind::Get, "vcard-temp", "vCard"),
    (IqKind::Set, "vcard-temp", "vCard"),
    (IqKind::Set, "http://jabber.org/protocol/commands", "command"),
];

/// What an account answers to contacts that may see its presence.
pub(super) const OPEN_TO_FRIENDS: &[(IqKind, &str, &str)] = &[
    (IqKind::Get, "http://jabber.org/protocol/disco#info", "query"),
    (IqKind::Get, "http://jabber.org/protocol/disco#items", "query"),
    (IqKind::Get, "jabber:iq:last", "query"),
    (IqKind::Get, "urn:xmpp:ping", "ping"),
    (IqKind::Get, "vcard-temp", "vCard"),
];

/// XEP-0059, as nobody should write it.
pub(super) const SETS: &[&str] = &[
    "",
    "<max/>",
    "<max>-1</max>",
    "<max>0</max>",
    "<max>ten</max>",
    "<max>1e3</max>",
    "<max>9007199254740992</max>",
    "<max>1000000000000000000000000000000</max>",
    "<max>1</max><max>2</max>",
    "<max>\u{0661}</max>",
    "<index>-1</index>",
    "<index>9007199254740993</index>",
    "<before/><after/>",
    "<before>\u{1F600}</before>",
    "<after>' OR 1=1 --</after>",
    "<after>-1</after>",
    "<after><max>1</max></after>",
    "<set xmlns='http://jabber.org/protocol/rsm'/>",
];

/// XEP-0004, as nobody should write it.
pub(super) const FORMS: &[&str] = &[
    "",
    "text",
    "<field/>",
    "<field var=''/>",
    "<field type='text-single'><value>a</value></field>",
    "<field var='a'/><field var='a'/>",
    "<field var='a' type='dance'><value>1</value></field>",
    "<field var='FORM_TYPE'><value>urn:x:other</value></field>",
    "<field var='FORM_TYPE'><value>urn:a</value><value>urn:b</value></field>",
    "<field var='FORM_TYPE'/>",
    "<field var='username'><value>a</value><value>b</value></field>",
    "<field var='password'><value><b/></value></field>",
    "<field var='limit'><value>-1</value></field>",
    "<field var='with'><value>@</value></field>",
    "<field var='start'><value>yesterday</value></field>",
    "<reported/><item/><item><field var='a'/></item>",
];
