"""What keeps the devices of a user in step, and contacts informed: carbons (XEP-0280), and nodes of accounts
(XEP-0163) with nicknames, avatars and bookmarks. With slixmpp, whose plugins know all of them."""

import asyncio
import xml.etree.ElementTree as ElementTree

from client import within
from scenarios import subscription_handshake
from with_slixmpp import SlixmppClient

BOOKMARKS = "urn:xmpp:bookmarks:1"
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(200)


class Device(SlixmppClient):
    """A client that hears of nicknames, avatars and bookmarks: it says so by its capabilities (XEP-0115)."""

    more = ("xep_0004", "xep_0060", "xep_0084", "xep_0115", "xep_0163", "xep_0172", "xep_0280")

    def _listen(self):
        super()._listen()
        self.events = asyncio.Queue()
        self.carbons = asyncio.Queue()
        self.xmpp.add_event_handler(
            "session_bind", lambda _: self.xmpp["xep_0163"].add_interest(BOOKMARKS)
        )
        self.xmpp.add_event_handler("pubsub_publish", self._event)
        for kind in ("sent", "received"):
            self.xmpp.add_event_handler(f"carbon_{kind}", self._carbon)

    def _event(self, message):
        items = message["pubsub_event"]["items"]
        for item in items["substanzas"]:
            self.events.put_nowait((str(message["from"]), items["node"], item["id"], item["payload"]))

    def _carbon(self, message):
        for kind in ("carbon_sent", "carbon_received"):
            if message.get_plugin(kind, check=True):
                self.carbons.put_nowait((kind, message[kind]["body"]))

    async def event(self, sender, node):
        """The next event of this node of this account; others are passed over."""
        while True:
            found = await within(self.events.get(), f"an event of {node} of {sender}")
            if found[:2] == (sender, node):
                return found[2:]

    async def carbon(self):
        """The next copy of something that was said; those of chat states are passed over."""
        while True:
            found = await within(self.carbons.get(), "a carbon")
            if found[1]:
                return found

    async def publish(self, node, item, payload, options=None):
        pubsub = self.xmpp["xep_0060"]
        form = None
        if options:
            form = self.xmpp["xep_0004"].make_form(ftype="submit")
            form.add_field(
                var="FORM_TYPE", ftype="hidden",
                value="http://jabber.org/protocol/pubsub#publish-options",
            )
            for name, value in options.items():
                form.add_field(var=f"pubsub#{name}", value=value)
        await pubsub.publish(None, node, id=item, payload=payload, options=form)

    async def items(self, jid, node):
        answer = await self.xmpp["xep_0060"].get_items(jid, node)
        return {item["id"]: item["payload"] for item in answer["pubsub"]["items"]}


async def nickname_and_avatar_reach_contacts_and_own_devices(a, b):
    """XEP-0163 §4.3, §4.4: also who logs in later is told the last one."""
    await subscription_handshake(a, b)
    async with a() as one, a() as two, b() as juliet:
        await within(one.xmpp["xep_0172"].publish_nick("Romeo"), "the answer")
        await within(one.xmpp["xep_0084"].publish_avatar(PICTURE), "the answer")
        name = one.xmpp["xep_0084"].generate_id(PICTURE)
        metadata = {"id": name, "type": "image/png", "bytes": len(PICTURE)}
        await within(one.xmpp["xep_0084"].publish_avatar_metadata([metadata]), "the answer")
        for client in (one, two, juliet):
            await hears(client, one.bare, name)
        found = await juliet.xmpp["xep_0084"].retrieve_avatar(one.bare, name)
        item = found["pubsub"]["items"]["item"]
        assert item["avatar_data"]["value"] == PICTURE, "the picture is another one"
    async with b() as juliet:
        await hears(juliet, one.bare, name)


async def hears(client, sender, avatar):
    _, nick = await client.event(sender, "http://jabber.org/protocol/nick")
    assert nick.text == "Romeo", nick.text
    found, _ = await client.event(sender, "urn:xmpp:avatar:metadata")
    assert found == avatar, found


async def bookmarks_are_the_users_own(a, b):
    """XEP-0402: other devices hear of them, contacts neither hear of them nor read them."""
    await subscription_handshake(a, b)
    async with a() as one, a() as two, b() as juliet:
        conference = ElementTree.Element(
            f"{{{BOOKMARKS}}}conference", {"name": "The Orchard", "autojoin": "true"}
        )
        options = {
            "persist_items": "true", "max_items": "max", "send_last_published_item": "never",
            "access_model": "whitelist",
        }
        for room in ("orchard@rooms.localhost", "balcony@rooms.localhost"):
            await within(one.publish(BOOKMARKS, room, conference, options), "the answer")
            item, payload = await two.event(one.bare, BOOKMARKS)
            assert (item, payload.get("name")) == (room, "The Orchard"), item
        kept = await within(two.items(None, BOOKMARKS), "the bookmarks")
        assert set(kept) == {"orchard@rooms.localhost", "balcony@rooms.localhost"}, kept
        try:
            await within(juliet.items(one.bare, BOOKMARKS), "an error")
        except juliet.library_error as error:
            assert error.condition in ("forbidden", "not-allowed"), error.condition
        else:
            raise AssertionError("a contact reads the bookmarks")
        assert juliet.events.empty(), await juliet.events.get()


async def carbons_show_both_sides(a, b):
    """XEP-0280: what one device sends and gets, the other one sees."""
    await subscription_handshake(a, b)
    async with a() as one, a() as two, b() as juliet:
        for client in (one, two):
            await within(client.xmpp["xep_0280"].enable(), "the answer")
        await one.say(juliet.full, "wherefore art thou")
        assert (await juliet.message()).body == "wherefore art thou"
        found = await within(two.carbons.get(), "a carbon")
        assert found == ("carbon_sent", "wherefore art thou"), found
        await juliet.say(one.full, "here")
        assert (await one.message()).body == "here"
        found = await within(two.carbons.get(), "a carbon")
        assert found == ("carbon_received", "here"), found


SCENARIOS = [
    nickname_and_avatar_reach_contacts_and_own_devices,
    bookmarks_are_the_users_own,
    carbons_show_both_sides,
]
