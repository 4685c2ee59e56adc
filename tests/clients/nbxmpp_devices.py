"""nbxmpp (Gajim's library) with what keeps devices in step and contacts informed.

Arguments: the name of a scenario, then those of with_nbxmpp.py.
"""

import collections
import sys

from nbxmpp.errors import StanzaError
from nbxmpp.modules.user_avatar import Avatar
from nbxmpp.modules.vcard4 import VCard
from nbxmpp.namespaces import Namespace
from nbxmpp.protocol import JID, Iq, Presence
from nbxmpp.structs import BookmarkData, DiscoIdentity, OMEMOBundle, StanzaHandler

from with_nbxmpp import Person, wait_for

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(200)
WATCHED = (
    Namespace.AVATAR_METADATA, Namespace.BOOKMARKS_1, Namespace.MDS, Namespace.NICK,
    Namespace.OMEMO_TEMP_DL, Namespace.VCARD4_PUBSUB,
)
Happening = collections.namedtuple("Happening", "sender node id data retracted")


class Device(Person):
    """A client that hears of nodes: it says so by its capabilities (XEP-0115)."""

    def __init__(self, *arguments, resource):
        super().__init__(*arguments, resource=resource)
        self.events = []
        self.carbons = collections.deque()
        self.presences = []
        self.pushes = []
        listen = self.client.register_handler
        listen(StanzaHandler(name="presence", callback=self._presence))
        listen(StanzaHandler(name="iq", callback=self._push, typ="set", ns=Namespace.ROSTER))
        self.client.get_module("EntityCaps").set_caps(
            [DiscoIdentity(category="client", type="pc", name="Test")],
            [Namespace.DISCO_INFO, Namespace.CAPS, *(f"{node}+notify" for node in WATCHED)],
            "https://example.org/nbxmpp",
        )

    def _message(self, client, stanza, properties):
        event = properties.pubsub_event
        if event is not None:
            self.events.append(Happening(
                str(properties.jid), event.node, event.id, event.data, event.retracted
            ))
        elif properties.is_carbon_message:
            self.carbons.append((properties.carbon.type, stanza.getBody()))
        else:
            super()._message(client, stanza, properties)

    def _presence(self, _client, stanza, properties):
        kind = properties.type.value or "available"
        self.presences.append((str(stanza.getFrom()), kind, properties.avatar_sha))

    def _push(self, _client, _stanza, properties):
        self.pushes.append(properties.roster.item)

    def comes_in(self):
        super().comes_in()
        assert self.client._sasl.is_sasl2(), "not by XEP-0388"
        self.roster = self.ask("Roster", "request_roster", None)
        # As Gajim does; the library has no module for it.
        answers = []
        request = Iq("set")
        request.setTag("enable", namespace=Namespace.CARBONS)
        self.client.send_stanza(request, callback=lambda _client, answer: answers.append(answer))
        wait_for(lambda: answers, "carbons")
        assert answers[0].getType() == "result", answers[0]
        self.is_here()
        return self

    def is_here(self):
        presence = Presence()
        caps = self.client.get_module("EntityCaps").caps
        presence.setTag("c", namespace=Namespace.CAPS, attrs=caps._asdict())
        self.client.send_stanza(presence)

    def sees(self, node, sender, **wanted):
        """An event of this node of this account with these values, whenever it came."""
        def fits(event):
            values = event._asdict()
            return all(values[name] == value for name, value in wanted.items())

        def found():
            return [each for each in self.events if each[:2] == (sender, node) and fits(each)]

        wait_for(found, f"an event of {node} of {sender} to {self.full}, not {self.events}")
        return found()[-1]

    def is_refused(self, conditions, *request):
        try:
            self.ask(*request)
        except StanzaError as error:
            assert error.condition in conditions, error
        else:
            raise AssertionError(f"{request} was not refused")


class House:
    """Who lives there: two devices of romeo and one of juliet, to be let in by their names."""

    def __init__(self, way, port, domain, certificate, *accounts):
        self._arguments = (way, port, domain, certificate)
        self._accounts = {"romeo": accounts[:2], "juliet": accounts[2:]}

    def lets_in(self, name, resource="one"):
        return Device(*self._arguments, *self._accounts[name], resource=resource).comes_in()


def befriend(one, other):
    """RFC 6121 §3.1, both directions, until both have heard of it."""
    for a, b in ((one, other), (other, one)):
        a.client.send_stanza(Presence(to=b.bare, typ="subscribe"))
        wait_for(lambda: has_presence(b, a.bare, "subscribe"), f"the request of {a.user}")
        b.client.send_stanza(Presence(to=a.bare, typ="subscribed"))
    for a, b in ((one, other), (other, one)):
        wait_for(
            lambda: any(str(push.jid) == b.bare and push.subscription == "both" for push in a.pushes),
            f"the roster of {a.user}",
        )


def has_presence(person, bare, kind):
    return any(sender.split("/")[0] == bare and type_ == kind
               for sender, type_, _ in person.presences)


def devices_agree(house):
    """Carbons (XEP-0280), read state (XEP-0490) and bookmarks (XEP-0402) between own devices."""
    one, two = house.lets_in("romeo"), house.lets_in("romeo", "two")
    juliet = house.lets_in("juliet")
    befriend(one, juliet)

    juliet.say(one.full, "wherefore art thou")
    archived = one.hears(juliet.full, "wherefore art thou")
    one.say(juliet.full, "here")
    juliet.hears(one.full, "here")
    wait_for(lambda: len(two.carbons) >= 2, "carbons")
    assert list(two.carbons) == [("received", "wherefore art thou"), ("sent", "here")], two.carbons

    two.ask("MDS", "set_mds", JID.from_string(juliet.bare), archived)
    event = one.sees(Namespace.MDS, one.bare, id=juliet.bare)
    assert event.data.stanza_id == archived, event
    assert str(event.data.stanza_id_by) == one.bare, event
    read = one.ask("MDS", "get_mds")
    assert [(str(each.jid), each.stanza_id) for each in read] == [(juliet.bare, archived)], read

    rooms = [
        BookmarkData(JID.from_string(f"{name}@rooms.localhost"), name=name, nick="Romeo",
                     autojoin=name == "orchard")
        for name in ("balcony", "orchard")
    ]
    one.ask("NativeBookmarks", "store_bookmarks", rooms)
    for room in rooms:
        event = two.sees(Namespace.BOOKMARKS_1, one.bare, id=str(room.jid), retracted=False)
        assert event.data._replace(extensions=None) == room, event
    kept = two.ask("NativeBookmarks", "request_bookmarks")
    assert sorted(str(each.jid) for each in kept) == [str(room.jid) for room in rooms], kept
    # Older clients have them in private XML (XEP-0048, XEP-0402 §5.3).
    older = two.ask("PrivateBookmarks", "request_bookmarks")
    assert sorted(str(each.jid) for each in older) == [str(room.jid) for room in rooms], older
    two.ask("NativeBookmarks", "retract_bookmark", rooms[0].jid)
    one.sees(Namespace.BOOKMARKS_1, one.bare, id=str(rooms[0].jid), retracted=True)
    kept = one.ask("NativeBookmarks", "request_bookmarks")
    assert [str(each.jid) for each in kept] == [str(rooms[1].jid)], kept
    assert not [each for each in juliet.events if each.sender == one.bare], juliet.events
    juliet.is_refused(
        ("forbidden", "not-allowed"), "PubSub", "request_items", Namespace.BOOKMARKS_1, None,
        JID.from_string(one.bare),
    )


def contacts_see_who_it_is(house):
    """Avatar (XEP-0084, 0153, 0398), nick (XEP-0172) and card (XEP-0292), open or for contacts."""
    one, juliet = house.lets_in("romeo"), house.lets_in("juliet")
    befriend(one, juliet)
    avatar = Avatar()
    avatar.add_image_source(PICTURE, "image/png", 1, 1)
    name = avatar.metadata.default
    card = VCard()
    card.add_property("fn", "Romeo Montague")
    one.ask("UserAvatar", "set_avatar", avatar, True)
    one.ask("Nickname", "set_nickname", "Romeo", True)
    one.ask("VCard4", "set_vcard", card, True)

    event = juliet.sees(Namespace.AVATAR_METADATA, one.bare, id=name)
    assert event.data.avatar_shas == [name], event
    juliet.sees(Namespace.NICK, one.bare, data="Romeo")
    event = juliet.sees(Namespace.VCARD4_PUBSUB, one.bare)
    assert [each.value for each in event.data.get_properties()] == ["Romeo Montague"], event
    found = juliet.ask("UserAvatar", "request_avatar_data", name, JID.from_string(one.bare))
    assert found.data == PICTURE, "the picture is another one"
    # The same for older clients: the hash in presence from now on, the picture on the card.
    one.is_here()
    wait_for(
        lambda: (one.full, "available", name) in juliet.presences,
        f"the hash in presence, not {juliet.presences}",
    )
    found = juliet.ask("VCardTemp", "request_vcard", JID.from_string(one.bare))
    assert found.get_avatar() == (PICTURE, name), "the picture on the card is another one"

    # The user thinks better of it: a stranger no longer sees what a contact still sees.
    one.ask("UserAvatar", "set_access_model", False)
    one.ask("Nickname", "set_access_model", False)
    found = juliet.ask("UserAvatar", "request_avatar_metadata", JID.from_string(one.bare))
    assert found.avatar_shas == [name], found
    one.client.send_stanza(Presence(to=juliet.bare, typ="unsubscribed"))
    wait_for(lambda: has_presence(juliet, one.bare, "unsubscribed"), "the end of the subscription")
    for module, request in (
        ("UserAvatar", ("request_avatar_metadata",)), ("UserAvatar", ("request_avatar_data", name)),
    ):
        juliet.is_refused(("not-authorized", "forbidden"), module, *request, JID.from_string(one.bare))
    found = juliet.ask("VCard4", "request_vcard", JID.from_string(one.bare))
    assert [each.value for each in found.get_properties()] == ["Romeo Montague"], found


def strangers_find_keys(house):
    """OMEMO (XEP-0384): devices and bundles, open by publish-options, changed by a second device."""
    one, juliet = house.lets_in("romeo"), house.lets_in("juliet")
    one.ask("OMEMO", "set_devicelist", {1001})
    bundle = OMEMOBundle(
        spk={"key": b"signed prekey", "id": 1}, spk_signature=b"signature", ik=b"identity",
        otpks=[{"key": b"prekey", "id": 1}], device_id=1001,
    )
    one.ask("OMEMO", "set_bundle", bundle, 1001)
    owner = JID.from_string(one.bare)
    assert juliet.ask("OMEMO", "request_devicelist", owner) == [1001]
    assert juliet.ask("OMEMO", "request_bundle", owner, 1001).ik == b"identity"
    two = house.lets_in("romeo", "two")
    two.sees(Namespace.OMEMO_TEMP_DL, one.bare, data=[1001])
    # The node is there: its configuration is what the options ask for, or is made so.
    two.ask("OMEMO", "set_devicelist", {1001, 2002}, False)
    one.sees(Namespace.OMEMO_TEMP_DL, one.bare, data=[1001, 2002])
    juliet.is_refused(("not-authorized", "forbidden"), "OMEMO", "request_devicelist", owner)
    two.ask("OMEMO", "set_devicelist", {1001, 2002})
    assert sorted(juliet.ask("OMEMO", "request_devicelist", owner)) == [1001, 2002]


def what_was_missed_is_in_the_archive(house):
    """XEP-0313: a client that begins anew asks for what came after the last it has."""
    romeo, juliet = house.lets_in("romeo"), house.lets_in("juliet")
    juliet.say(romeo.bare, "before")
    last = romeo.hears(juliet.full, "before")
    romeo.leave()
    bodies = [f"while you are away {line}" for line in range(5)]
    for body in bodies:
        juliet.say(romeo.bare, body)
    juliet.ask("Ping", "ping", JID.from_string("localhost"))
    romeo = house.lets_in("romeo")
    delivered = [romeo.hears(juliet.full, body) for body in bodies]
    after, complete = last, False
    while not complete:
        found = romeo.ask(
            "MAM", "make_query", JID.from_string(romeo.bare), queryid="missed", after=after, max_=2
        )
        after, complete = found.rsm.last, found.complete
    assert romeo.history == list(zip(delivered, bodies)), (romeo.history, delivered)


def contacts_come_and_go(house):
    """Rosters (RFC 6121 §2) and blocking (XEP-0191), told to both devices."""
    one, two = house.lets_in("romeo"), house.lets_in("romeo", "two")
    nurse = JID.from_string("nurse@localhost")
    one.ask("Roster", "set_item", nurse, "Nurse", {"Verona"})
    for device in (one, two):
        wait_for(lambda: any(push.jid == nurse for push in device.pushes), "the push")
        push = next(push for push in device.pushes if push.jid == nurse)
        assert (push.name, push.groups) == ("Nurse", {"Verona"}), push
    two.ask("Roster", "delete_item", nurse)
    wait_for(lambda: one.pushes[-1].subscription == "remove", "the removal")
    juliet = house.lets_in("juliet")
    two.ask("Blocking", "block", [JID.from_string(juliet.bare)])
    assert one.ask("Blocking", "request_blocking_list") == {JID.from_string(juliet.bare)}
    juliet.say(one.full, "unheard")
    juliet.ask("Ping", "ping", JID.from_string("localhost"))
    one.ask("Blocking", "unblock", [JID.from_string(juliet.bare)])
    juliet.say(one.full, "heard")
    one.hears(juliet.full, "heard")


SCENARIOS = {
    function.__name__.replace("_", " "): function
    for function in (
        devices_agree, contacts_see_who_it_is, strangers_find_keys,
        what_was_missed_is_in_the_archive, contacts_come_and_go,
    )
}

if __name__ == "__main__":
    SCENARIOS[sys.argv[1]](House(*sys.argv[2:]))
