//! Namespaces that more than one file uses. Other namespaces are defined as `NS` in the file of their
//! feature.

/// RFC 6120 §4.8.2: the content namespace of client streams.
pub const CLIENT: &str = "jabber:client";
/// XEP-0114 §3: the content namespace of streams of components. Stanzas are read as those of clients.
pub const COMPONENT: &str = "jabber:component:accept";
/// RFC 6120 §4.8.2: the content namespace of streams between servers. Stanzas are read as those of clients.
pub const SERVER: &str = "jabber:server";
/// XEP-0220.
pub const DIALBACK: &str = "jabber:server:dialback";
/// XEP-0288: the feature.
pub const BIDI_FEATURE: &str = "urn:xmpp:features:bidi";
/// XEP-0288: both servers send on one stream.
pub const BIDI: &str = "urn:xmpp:bidi";
/// RFC 6120 §4.8.1: the stream element.
pub const STREAM: &str = "http://etherx.jabber.org/streams";
/// RFC 6120 §4.9.2: conditions of stream errors.
pub const STREAM_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-streams";
/// RFC 6120 §8.3.2: conditions of stanza errors.
pub const STANZA_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
/// RFC 7395 §3.3.2: the beginning and the end of a stream over WebSocket.
pub const FRAMING: &str = "urn:ietf:params:xml:ns:xmpp-framing";
/// XEP-0124 §6: what is around the elements of a stream over HTTP.
pub const BOSH: &str = "http://jabber.org/protocol/httpbind";
/// XEP-0206: what XMPP adds to it.
pub const XBOSH: &str = "urn:xmpp:xbosh";
/// RFC 6120 §5.
pub const TLS: &str = "urn:ietf:params:xml:ns:xmpp-tls";
/// RFC 6120 §6.
pub const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
/// XEP-0388.
pub const SASL2: &str = "urn:xmpp:sasl:2";
/// XEP-0478.
pub const STREAM_LIMITS: &str = "urn:xmpp:stream-limits:0";
/// RFC 6120 §7.
pub const BIND: &str = "urn:ietf:params:xml:ns:xmpp-bind";
/// RFC 3921 §3: the session request, a no-op since RFC 6121.
pub const SESSION: &str = "urn:ietf:params:xml:ns:xmpp-session";
/// The `xml` prefix.
pub const XML: &str = "http://www.w3.org/XML/1998/namespace";
/// XEP-0355.
pub const DELEGATION: &str = "urn:xmpp:delegation:2";
/// RFC 6121 §2.
pub const ROSTER: &str = "jabber:iq:roster";
/// XEP-0030 §3.
pub const DISCO_INFO: &str = "http://jabber.org/protocol/disco#info";
/// XEP-0030 §4.
pub const DISCO_ITEMS: &str = "http://jabber.org/protocol/disco#items";
/// XEP-0115.
pub const CAPS: &str = "http://jabber.org/protocol/caps";
/// XEP-0390.
pub const CAPS_2: &str = "urn:xmpp:caps";
/// XEP-0084 §4.1: images of avatars.
pub const AVATAR_DATA: &str = "urn:xmpp:avatar:data";
/// XEP-0084 §4.2: descriptions of avatars.
pub const AVATAR_METADATA: &str = "urn:xmpp:avatar:metadata";
/// XEP-0172.
pub const NICK: &str = "http://jabber.org/protocol/nick";
/// XEP-0490: how far a user has read.
pub const READ_STATE: &str = "urn:xmpp:mds:displayed:0";
/// XEP-0085.
pub const CHAT_STATES: &str = "http://jabber.org/protocol/chatstates";
/// XEP-0198.
pub const SM: &str = "urn:xmpp:sm:3";
/// XEP-0352.
pub const CSI: &str = "urn:xmpp:csi:0";
/// XEP-0313.
pub const MAM: &str = "urn:xmpp:mam:2";
/// XEP-0359.
pub const STANZA_ID: &str = "urn:xmpp:sid:0";
/// XEP-0199.
pub const PING: &str = "urn:xmpp:ping";
/// XEP-0077.
pub const REGISTER: &str = "jabber:iq:register";
/// XEP-0379, XEP-0445: the token of an invitation.
pub const PARS: &str = "urn:xmpp:pars:0";
/// XEP-0045 §7.2: a client enters a room.
pub const MUC: &str = "http://jabber.org/protocol/muc";
/// XEP-0045 §7.8: invitations, and what a room says of an occupant.
pub const MUC_USER: &str = "http://jabber.org/protocol/muc#user";
/// XEP-0045 §8, §9: requests of moderators and admins.
pub const MUC_ADMIN: &str = "http://jabber.org/protocol/muc#admin";
/// XEP-0045 §10: requests of owners.
pub const MUC_OWNER: &str = "http://jabber.org/protocol/muc#owner";
/// XEP-0045 §16.5.3: the form of the configuration of a room.
pub const MUC_ROOMCONFIG: &str = "http://jabber.org/protocol/muc#roomconfig";
/// XEP-0045 §7.13: requests for voice.
pub const MUC_REQUEST: &str = "http://jabber.org/protocol/muc#request";
/// XEP-0045 §7.4: messages keep their ids.
pub const MUC_STABLE_ID: &str = "http://jabber.org/protocol/muc#stable_id";
/// XEP-0421: who an occupant of a room is, whatever the nickname.
pub const OCCUPANT_ID: &str = "urn:xmpp:occupant-id:0";
/// XEP-0249: an invitation from one user to another.
pub const DIRECT_INVITE: &str = "jabber:x:conference";
/// XEP-0184.
pub const RECEIPTS: &str = "urn:xmpp:receipts";
/// XEP-0333.
pub const CHAT_MARKERS: &str = "urn:xmpp:chat-markers:0";
/// XEP-0280.
pub const CARBONS: &str = "urn:xmpp:carbons:2";
/// The form with contact addresses of a server, and where it tells about itself (XEP-0157, XEP-0485).
pub const CONTACT_ADDRESSES: &str = "http://jabber.org/network/serverinfo";
/// XEP-0027.
pub const PGP: &str = "jabber:x:encrypted";
/// XEP-0373.
pub const OPENPGP: &str = "urn:xmpp:openpgp:0";
/// XEP-0384, version 0.3.0.
pub const OMEMO_0: &str = "eu.siacs.conversations.axolotl";
/// XEP-0384, version 0.4.0.
pub const OMEMO_1: &str = "urn:xmpp:omemo:1";
/// XEP-0384, since version 0.8.0.
pub const OMEMO_2: &str = "urn:xmpp:omemo:2";
/// XEP-0353, before version 0.4.0.
pub const CALLS_0: &str = "urn:xmpp:jingle-message:0";
/// XEP-0353.
pub const CALLS_1: &str = "urn:xmpp:jingle-message:1";
/// XEP-0482.
pub const CALL_INVITES: &str = "urn:xmpp:call-invites:0";
/// XEP-0447.
pub const FILES: &str = "urn:xmpp:sfs:0";
/// XEP-0066.
pub const OUT_OF_BAND: &str = "jabber:x:oob";
/// XEP-0461.
pub const REPLY: &str = "urn:xmpp:reply:0";
/// XEP-0060.
pub const PUBSUB: &str = "http://jabber.org/protocol/pubsub";
/// XEP-0060 §7.1.5: what a publisher wants of a node.
pub const PUBLISH_OPTIONS: &str = "http://jabber.org/protocol/pubsub#publish-options";
/// XEP-0060 §8: requests of owners.
pub const PUBSUB_OWNER: &str = "http://jabber.org/protocol/pubsub#owner";
/// XEP-0462: nodes by their types.
pub const TYPE_FILTER: &str = "urn:xmpp:pubsub-filter:0";
/// XEP-0292 §5: the node with the cards that a user has of contacts.
pub const CONTACT_CARDS: &str = "urn:xmpp:contacts";
/// XEP-0060: notifications.
pub const PUBSUB_EVENT: &str = "http://jabber.org/protocol/pubsub#event";
/// XEP-0357.
pub const PUSH: &str = "urn:xmpp:push:0";
/// XEP-0050.
pub const COMMANDS: &str = "http://jabber.org/protocol/commands";
/// XEP-0356.
pub const PRIVILEGE: &str = "urn:xmpp:privilege:2";
/// XEP-0377.
pub const REPORTING: &str = "urn:xmpp:reporting:1";
/// XEP-0049.
pub const PRIVATE: &str = "jabber:iq:private";
/// XEP-0422, around older retractions.
pub const FASTEN: &str = "urn:xmpp:fasten:0";
/// XEP-0424, before version 0.4.0.
pub const RETRACT_0: &str = "urn:xmpp:message-retract:0";
/// XEP-0424.
pub const RETRACT: &str = "urn:xmpp:message-retract:1";
/// XEP-0424 §2: what is retracted is replaced in the archive.
pub const RETRACT_TOMBSTONE: &str = "urn:xmpp:message-retract:1#tombstone";
/// XEP-0033.
pub const ADDRESSES: &str = "http://jabber.org/protocol/address";
