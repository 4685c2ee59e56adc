"""An external component (XEP-0114) made with slixmpp: a gateway in small."""

import asyncio

import slixmpp

from client import within
from with_slixmpp import SlixmppClient

SECONDS = 30


class Gateway(slixmpp.ComponentXMPP):
    """Answers what is said to it, approves subscriptions, and tells who it is."""

    def __init__(self, server):
        super().__init__(
            server.component_domain, server.component_secret, "127.0.0.1", server.components
        )
        for plugin in ("xep_0030", "xep_0199"):
            self.register_plugin(plugin)
        self["xep_0030"].add_identity(category="gateway", itype="irc", name="IRC")
        self.started = asyncio.get_running_loop().create_future()
        self.probes = asyncio.Queue()
        self.add_event_handler("session_start", lambda _: self._settle(True))
        self.add_event_handler("stream_error", lambda error: self._settle(error["condition"]))
        self.add_event_handler("message", self._message)
        self.add_event_handler("presence_subscribe", self._subscribe)
        self.add_event_handler("presence_probe", self.probes.put_nowait)

    def _settle(self, how):
        if not self.started.done():
            self.started.set_result(how)

    def _message(self, message):
        if message["type"] != "error":
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
    more = ("xep_0030", "xep_0199")


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


async def a_wrong_secret_is_refused(make, _):
    async with make() as romeo:
        wrong = Gateway(romeo.server)
        wrong.secret = "another secret"
        wrong.connect()
        how = await asyncio.wait_for(wrong.started, SECONDS)
        assert how == "not-authorized", how
        wrong.abort()


SCENARIOS = [a_gateway_talks_to_users, a_wrong_secret_is_refused]
