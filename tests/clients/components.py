"""An external component (XEP-0114) made with slixmpp: a gateway in small."""

import asyncio
from xml.etree import ElementTree as ET

import slixmpp
from slixmpp.plugins.xep_0060.stanza.pubsub import Item

from client import within
from with_slixmpp import SlixmppClient

SECONDS = 30


class Gateway(slixmpp.ComponentXMPP):
    """Answers what is said to it, approves subscriptions, and tells who it is."""

    def __init__(self, server):
        super().__init__(
            server.component_domain, server.component_secret, "127.0.0.1", server.components
        )
        for plugin in ("xep_0030", "xep_0199", "xep_0356"):
            self.register_plugin(plugin)
        self["xep_0030"].add_identity(category="gateway", itype="irc", name="IRC")
        self.started = asyncio.get_running_loop().create_future()
        self.probes = asyncio.Queue()
        self.pushes = asyncio.Queue()
        self.privileged = asyncio.Event()
        self.add_event_handler("privileges_advertised", lambda _: self.privileged.set())
        self.add_event_handler("roster_update", self.pushes.put_nowait)
        self.add_event_handler("session_start", lambda _: self._settle(True))
        self.add_event_handler("stream_error", lambda error: self._settle(error["condition"]))
        self.add_event_handler("message", self._message)
        self.add_event_handler("presence_subscribe", self._subscribe)
        self.add_event_handler("presence_probe", self.probes.put_nowait)

    def _settle(self, how):
        if not self.started.done():
            self.started.set_result(how)

    def _message(self, message):
        if message["type"] != "error" and message["body"]:
            message.reply(f"{message['to'].user} has read {message['body']}").send()

    def _subscribe(self, presence):
        self.send_presence(pto=presence["from"].bare, pfrom=presence["to"].bare, ptype="subscribed")


class Connected:
    """A gateway that is connected within the block."""

    def __init__(self, server):
        self.gateway = Gateway(server)

    async def __aenter__(self):
        self.gateway.connect()
        how = await asyncio.wait_for(self.gateway.started, SECONDS)
        assert how is True, how
        return self.gateway

    async def __aexit__(self, *_):
        await self.gateway.disconnect()


class Guest(SlixmppClient):
    more = ("xep_0030", "xep_0060", "xep_0199")


async def a_gateway_talks_to_users(make, _):
    async with make() as romeo:
        server = romeo.server
        irc = f"someone@{server.component_domain}"
        async with Connected(server) as gateway:
            items = await romeo.xmpp["xep_0030"].get_items(romeo.domain)
            found = {str(item[0]) for item in items["disco_items"]["items"]}
            assert server.component_domain in found, found
            info = await romeo.xmpp["xep_0030"].get_info(server.component_domain)
            assert ("gateway", "irc") in {each[:2] for each in info["disco_info"]["identities"]}
            romeo.xmpp.send_message(mto=irc, mbody="hello", mtype="chat")
            message = await romeo.message()
            assert message.body == "someone has read hello", message
            assert await gateway["xep_0199"].ping(romeo.domain, ifrom=irc, timeout=SECONDS)
            romeo.xmpp.send_presence_subscription(pto=irc)
            await romeo.push(irc, "to")
        # Away, and back: the contact is asked for its presence again.
        async with Connected(server) as gateway:
            probe = await within(gateway.probes.get(), "a probe")
            assert probe["to"].bare == irc and probe["from"].bare == romeo.bare, probe


async def a_gateway_acts_for_its_users(make, other):
    """What gateways such as slidge do: contacts, messages that were written elsewhere, bookmarks (XEP-0356)."""
    async with make() as romeo, other() as juliet:
        irc = f"nurse@{romeo.server.component_domain}"
        async with Connected(romeo.server) as gateway:
            await within(gateway.privileged.wait(), "the privileges")
            privileges = gateway["xep_0356"]
            granted = privileges.granted_privileges[romeo.domain]
            assert (granted.roster, granted.message) == ("both", "outgoing"), granted
            await privileges.set_roster(
                romeo.bare, {irc: {"name": "Nurse", "subscription": "both", "groups": ["IRC"]}}
            )
            await romeo.push(irc, "none")
            roster = await privileges.get_roster(romeo.bare)
            assert roster["roster"]["items"][slixmpp.JID(irc)]["name"] == "Nurse", roster
            # Written by romeo on the other network.
            message = gateway.make_message(
                mto=juliet.bare, mfrom=romeo.bare, mbody="from elsewhere", mtype="chat"
            )
            privileges.send_privileged_message(message)
            got = await juliet.message()
            assert (got.body, got.sender) == ("from elsewhere", romeo.bare), got
            # A bookmark.
            iq = romeo.xmpp.make_iq_set(ifrom=romeo.bare)
            iq["pubsub"]["publish"]["node"] = "urn:xmpp:bookmarks:1"
            item = Item()
            item["id"] = f"room@{romeo.server.component_domain}"
            item["payload"] = ET.fromstring("<conference xmlns='urn:xmpp:bookmarks:1' name='A'/>")
            iq["pubsub"]["publish"].append(item)
            answer = await privileges.send_privileged_iq(iq)
            assert answer["type"] == "result", answer
            # Not granted.
            foreign = gateway.make_message(mto=juliet.bare, mfrom=romeo.full, mbody="no", mtype="chat")
            errors = asyncio.Queue()
            gateway.add_event_handler("message_error", errors.put_nowait)
            privileges.send_privileged_message(foreign)
            error = await within(errors.get(), "an error")
            # slixmpp looks for errors in the namespace of clients, also in components.
            assert "<forbidden " in str(error), error


async def a_wrong_secret_is_refused(make, _):
    async with make() as romeo:
        wrong = Gateway(romeo.server)
        wrong.secret = "another secret"
        wrong.connect()
        how = await asyncio.wait_for(wrong.started, SECONDS)
        assert how == "not-authorized", how
        wrong.abort()


SCENARIOS = [a_gateway_talks_to_users, a_gateway_acts_for_its_users, a_wrong_secret_is_refused]
