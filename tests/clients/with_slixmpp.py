"""slixmpp behind the interface of client.py."""

import asyncio
import ssl

import slixmpp

from client import Client, Message, Presence, Push, Refused, within


class SlixmppClient(Client):
    library = "slixmpp"

    async def login(self):
        jid = f"{self.bare}/{self.resource}" if self.resource else self.bare
        context = ssl.create_default_context(cafile=str(self.server.ca))
        self.xmpp = slixmpp.ClientXMPP(jid, self.password, ssl_context=context)
        self.xmpp.enable_direct_tls = self.direct_tls
        self.xmpp.enable_starttls = not self.direct_tls
        for plugin in ("xep_0030", "xep_0199", "xep_0203"):
            self.xmpp.register_plugin(plugin)
        # We answer requests ourselves.
        self.xmpp.roster.auto_authorize = None
        self.xmpp.roster.auto_subscribe = False
        self._started = asyncio.get_running_loop().create_future()
        self._condition = None
        self._listen()
        self.xmpp.connect("127.0.0.1", self.port)
        await self._started
        self.full = self.xmpp.boundjid.full
        await self.roster()
        self.xmpp.send_presence()

    def _listen(self):
        on = self.xmpp.add_event_handler
        on("session_start", lambda _: self._settle(None))
        on("failed_auth", lambda failure: self._settle(Refused(failure["condition"])))
        on("connection_failed", lambda why: self._settle(Refused(f"connection: {why}")))
        on("ssl_invalid_chain", lambda why: self._settle(Refused(f"certificate: {why}")))
        on("stream_error", self._stream_error)
        on("disconnected", self._disconnected)
        on("message", self._message)
        on("roster_update", self._roster_update)
        for kind in ("subscribe", "subscribed", "unsubscribe", "unsubscribed", "unavailable"):
            on(f"presence_{kind}", self._presence)
        on("presence_available", self._presence)

    def _settle(self, error):
        if self._started.done():
            return
        if error is None:
            self._started.set_result(None)
        else:
            self._started.set_exception(error)

    def _stream_error(self, error):
        self._condition = error["condition"]

    def _disconnected(self, _):
        self._settle(Refused(self._condition or "disconnected"))
        if not self.closed.done():
            self.closed.set_result(self._condition)

    def _message(self, message):
        delayed = bool(message.get_plugin("delay", check=True))
        self.messages.put_nowait(Message(str(message["from"]), message["body"], delayed))

    def _presence(self, presence):
        kind = presence.xml.get("type") or "available"
        self.presences.put_nowait(Presence(kind, str(presence["from"])))

    def _roster_update(self, iq):
        if iq["type"] != "set":
            return
        for jid, item in iq["roster"]["items"].items():
            self.pushes.put_nowait(
                Push(str(jid), item["subscription"], item["ask"] == "subscribe")
            )

    async def logout(self):
        if not hasattr(self, "xmpp"):
            return
        self.xmpp.cancel_connection_attempt()
        await within(self.xmpp.disconnect(), "the end of the stream")

    async def say(self, to, body):
        self.xmpp.send_message(to, body, mtype="chat")

    async def roster(self):
        # Without a version: get_roster() would be told that nothing is new.
        iq = self.xmpp.make_iq_get()
        iq.enable("roster")
        answer = await iq.send()
        return {
            str(jid): (item["name"], item["subscription"])
            for jid, item in answer["roster"]["items"].items()
        }

    async def add_contact(self, jid, name):
        iq = self.xmpp.make_iq_set()
        iq["roster"]["items"] = {jid: {"name": name, "groups": ["Verona"]}}
        await iq.send()

    async def remove_contact(self, jid):
        iq = self.xmpp.make_iq_set()
        iq["roster"]["items"] = {jid: {"subscription": "remove"}}
        await iq.send()

    async def subscribe(self, jid):
        self.xmpp.send_presence(pto=jid, ptype="subscribe")

    async def approve(self, jid):
        self.xmpp.send_presence(pto=jid, ptype="subscribed")

    async def ping(self):
        await self.xmpp["xep_0199"].send_ping(self.domain)

    async def disco(self):
        answer = await self.xmpp["xep_0030"].get_info(jid=self.domain)
        info = answer["disco_info"]
        return {(each[0], each[1]) for each in info["identities"]}, set(info["features"])
