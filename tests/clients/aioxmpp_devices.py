"""aioxmpp with what keeps devices in step and contacts informed, and with the PubSub service."""

import asyncio

import aioxmpp
import aioxmpp.avatar
import aioxmpp.bookmarks
import aioxmpp.carbons
import aioxmpp.misc.json
import aioxmpp.pep
import aioxmpp.pubsub.xso

from client import within
from scenarios import subscription_handshake
from with_aioxmpp import AioxmppClient

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(300)
# A node whose payload the library knows: XEP-0335 in a node of its own name.
JSON = "urn:xmpp:json:0"


class Device(AioxmppClient):
    """A client that hears of avatars and of a node of its own: it says so by its capabilities."""

    def _listen(self):
        super()._listen()
        self.items, self.retracted, self.deleted = asyncio.Queue(), asyncio.Queue(), asyncio.Queue()
        self.avatars, self.carbons, self.added = asyncio.Queue(), asyncio.Queue(), asyncio.Queue()
        summon = self.xmpp.summon
        self.pubsub = summon(aioxmpp.PubSubClient)
        self.pubsub.on_item_published.connect(
            lambda jid, node, item, message=None: self.items.put_nowait(
                (str(jid), node, item.id_, payload(item))
            )
        )
        self.pubsub.on_item_retracted.connect(
            lambda jid, node, item, message=None: self.retracted.put_nowait((str(jid), node, item))
        )
        self.pubsub.on_node_deleted.connect(
            lambda jid, node, message=None, **_: self.deleted.put_nowait((str(jid), node))
        )
        self.pep = summon(aioxmpp.pep.PEPClient)
        self.claim = self.pep.claim_pep_node(JSON, notify=True)
        self.avatar = summon(aioxmpp.avatar.AvatarService)
        self.avatar.on_metadata_changed.connect(
            lambda jid, metadata: self.avatars.put_nowait((str(jid), [each.id_ for each in metadata]))
        )
        self.bookmarks = summon(aioxmpp.bookmarks.BookmarkClient)
        self.bookmarks.on_bookmark_added.connect(self.added.put_nowait)
        self.carbon_client = summon(aioxmpp.carbons.CarbonsClient)
        caps = summon(aioxmpp.EntityCapsService)
        # The library sends presence before it knows its own capabilities.
        caps.on_ver_changed.connect(lambda: self._presence_out.resend_presence() and None)

    def _message(self, message):
        for kind in ("sent", "received"):
            copy = getattr(message, f"xep0280_{kind}")
            if copy is not None and str(message.from_) == self.bare:
                self.carbons.put_nowait((kind, copy.stanza.body.any()))
                return None
        return super()._message(message)

    async def item(self, sender, node):
        """The next item of this node of this account or service; others are passed over."""
        while True:
            found = await within(self.items.get(), f"an event of {node} of {sender}")
            if found[:2] == (sender, node):
                return found[2:]

    async def avatar_of(self, sender, ids):
        """Until the avatar of this account has these ids."""
        while True:
            found = await within(self.avatars.get(), f"the avatar {ids} of {sender}")
            if found == (sender, ids):
                return


def payload(item):
    found = item.registered_payload
    return found.json_data if isinstance(found, aioxmpp.misc.json.JSONContainer) else None


def boxed(text):
    return aioxmpp.misc.json.JSONContainer(text)


async def is_refused(request, *conditions):
    try:
        await within(request, "an error")
    except aioxmpp.errors.XMPPError as error:
        condition = error.condition.value[1]
        assert condition in conditions, condition
    else:
        raise AssertionError(f"not refused by {conditions}")


async def node_of_a_service_lives_and_dies(a, b):
    """XEP-0060: made, subscribed to, published to by owner and publisher, retracted from, removed."""
    service, node = aioxmpp.JID.fromstr("pubsub.localhost"), f"news of {a.user}"
    async with a() as romeo, b() as juliet:
        features = await within(romeo.pubsub.get_features(service), "the features")
        wanted = aioxmpp.pubsub.xso.Feature
        for feature in (wanted.CREATE_NODES, wanted.PUBLISH, wanted.SUBSCRIBE, wanted.RETRACT_ITEMS):
            assert feature in features, f"{feature} not in {features}"
        assert await within(romeo.pubsub.create(service, node), "the node") == node
        await is_refused(romeo.pubsub.create(service, node), "conflict")
        found = await within(juliet.pubsub.subscribe(service, node), "the subscription")
        assert found.payload.subscription == "subscribed", found.payload

        await within(romeo.pubsub.publish(service, node, boxed("one"), id_="1"), "the answer")
        assert await juliet.item(str(service), node) == ("1", "one")
        await is_refused(juliet.pubsub.publish(service, node, boxed("x")), "forbidden")
        await within(romeo.pubsub.change_node_affiliations(
            service, node, [(aioxmpp.JID.fromstr(juliet.bare), "publisher")]
        ), "the answer")
        await within(juliet.pubsub.publish(service, node, boxed("two"), id_="2"), "the answer")
        assert await juliet.item(str(service), node) == ("2", "two")
        nodes = [found async for found in iterate(romeo.pubsub.get_nodes(service))]
        assert node in nodes, nodes
        kept = await within(romeo.pubsub.get_items(service, node), "the items")
        kept = {item.id_: payload(item) for item in kept.payload.items}
        assert kept == {"1": "one", "2": "two"}, kept

        await within(romeo.pubsub.retract(service, node, "1", notify=True), "the answer")
        found = await within(juliet.retracted.get(), "the retraction")
        assert found == (str(service), node, "1"), found
        await within(romeo.pubsub.delete(service, node), "the answer")
        found = await within(juliet.deleted.get(), "the end of the node")
        assert found == (str(service), node), found
        await is_refused(romeo.pubsub.get_items(service, node), "item-not-found")


async def iterate(nodes):
    for name, _ in await within(nodes, "the nodes"):
        yield name


async def own_node_is_heard_by_devices_and_contacts(a, b):
    """XEP-0163: a node that is made by publishing, and the last item for who comes later."""
    await subscription_handshake(a, b)
    async with a() as one, a() as two, b() as juliet:
        assert await within(one.pep.available(), "the identity"), "no PEP"
        await within(one.pep.publish(JSON, boxed("wherefore"), id_="w"), "the answer")
        for client in (one, two, juliet):
            assert await client.item(one.bare, JSON) == ("w", "wherefore")
    async with b() as juliet, a() as one:
        for client in (one, juliet):
            assert await client.item(one.bare, JSON) == ("w", "wherefore")
        await within(one.pep.publish(JSON, boxed("art"), access_model="presence"), "the answer")
        _, text = await juliet.item(one.bare, JSON)
        assert text == "art", text
        await is_refused(one.pep.publish(JSON, boxed("x"), access_model="open"), "conflict")


async def avatar_is_seen_and_taken_back(a, b):
    """XEP-0084 with the picture from the node, and from the card (XEP-0153) if nodes are not used."""
    await subscription_handshake(a, b)
    async with a() as romeo, b() as juliet:
        picture = aioxmpp.avatar.AvatarSet()
        picture.add_avatar_image("image/png", image_bytes=PICTURE, width=1, height=1)
        romeo.avatar.synchronize_vcard = True
        await within(romeo.avatar.publish_avatar_set(picture), "the answer")
        await juliet.avatar_of(romeo.bare, [picture.png_id])
        owner = aioxmpp.JID.fromstr(romeo.bare)
        for from_card in (False, True):
            found = await within(juliet.avatar.get_avatar_metadata(
                owner, require_fresh=True, disable_pep=from_card
            ), "the description")
            assert [each.id_ for each in found] == [picture.png_id], found
            assert await within(found[0].get_image_bytes(), "the picture") == PICTURE
            # Else it takes no picture from cards of those who have a node.
            juliet.avatar._has_pep_avatar.clear()
        await within(romeo.avatar.disable_avatar(), "the answer")
        await juliet.avatar_of(romeo.bare, [])
        found = await within(juliet.avatar.get_avatar_metadata(
            owner, require_fresh=True, disable_pep=True
        ), "the description")
        assert found == [], found


async def bookmarks_of_older_clients(a, b):
    """XEP-0048 in private XML (XEP-0049): the other device finds them, and what has no room stays."""
    async with a() as one, a() as two:
        room = aioxmpp.JID.fromstr("orchard@rooms.localhost")
        wanted = aioxmpp.bookmarks.Conference("The Orchard", room, autojoin=True, nick="Romeo")
        link = aioxmpp.bookmarks.URL("A play", "https://example.org/play")
        for each in (wanted, link):
            await within(one.bookmarks.add_bookmark(each), "the answer")
        await within(two.bookmarks.sync(), "the bookmarks")
        found = [await within(two.added.get(), "a bookmark") for _ in (wanted, link)]
        assert wanted in found and link in found, found
        await within(two.bookmarks.discard_bookmark(wanted), "the answer")
        left = await within(one.bookmarks.get_bookmarks(), "the bookmarks")
        assert left == [link], left


async def carbons_show_both_sides(a, b):
    """XEP-0280: what one device sends and gets, the other one sees."""
    async with a() as one, a() as two, b() as juliet:
        for client in (one, two):
            await within(client.carbon_client.enable(), "the answer")
        await one.say(juliet.full, "wherefore art thou")
        assert (await juliet.message()).body == "wherefore art thou"
        assert await within(two.carbons.get(), "a carbon") == ("sent", "wherefore art thou")
        await juliet.say(one.full, "here")
        assert (await one.message()).body == "here"
        assert await within(two.carbons.get(), "a carbon") == ("received", "here")
        await within(two.carbon_client.disable(), "the answer")
        await juliet.say(one.full, "for one alone")
        await juliet.say(two.full, "for the other alone")
        assert (await two.message()).body == "for the other alone"
        assert two.carbons.empty(), await two.carbons.get()


SCENARIOS = [
    node_of_a_service_lives_and_dies,
    own_node_is_heard_by_devices_and_contacts,
    avatar_is_seen_and_taken_back,
    bookmarks_of_older_clients,
    carbons_show_both_sides,
]
