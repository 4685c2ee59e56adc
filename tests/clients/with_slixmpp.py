"""slixmpp behind the interface of client.py."""

import asyncio
import ssl

import slixmpp

from client import PAGE, Client, Kept, Message, Presence, Push, Refused, within


class SlixmppClient(Client):
    library = "slixmpp"
    library_error = slixmpp.exceptions.IqError
    # Plugins of a scenario, besides those that all have.
    more = ()

    async def login(self):
        jid = f"{self.bare}/{self.resource}" if self.resource else self.bare
        context = ssl.create_default_context(cafile=str(self.server.ca))
        self.xmpp = slixmpp.ClientXMPP(jid, self.password, ssl_context=context)
        self.xmpp.enable_direct_tls = self.direct_tls
        self.xmpp.enable_starttls = not self.direct_tls
        for plugin in PLUGINS + self.more:
            self.xmpp.register_plugin(plugin)
        if self.new:
            self.xmpp.register_plugin("xep_0077", {"force_registration": True})
            self.xmpp.add_event_handler("register", self._register)
        else:
            self.xmpp.register_plugin("xep_0077", {"create_account": False})
        # We answer requests ourselves.
        self.xmpp.roster.auto_authorize = None
        self.xmpp.roster.auto_subscribe = False
        self._started = asyncio.get_running_loop().create_future()
        self._condition = None
        self._is_leaving = False
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
        on("session_resumed", self.resumptions.put_nowait)
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

    async def _register(self, _):
        iq = self.xmpp.make_iq_set()
        iq["register"]["username"] = self.bare.split("@")[0]
        iq["register"]["password"] = self.password
        await iq.send()

    def _disconnected(self, _):
        if self._started.done() and not self._is_leaving and self._condition is None:
            # The library has kept the session.
            self.xmpp.connect("127.0.0.1", self.port)
            return
        self._settle(Refused(self._condition or "disconnected"))
        if not self.closed.done():
            self.closed.set_result(self._condition)

    def _message(self, message):
        delayed = bool(message.get_plugin("delay", check=True))
        ids = message.xml.findall("{urn:xmpp:sid:0}stanza-id")
        own = [each.get("id") for each in ids if each.get("by") == self.bare]
        self.messages.put_nowait(Message(str(message["from"]), message["body"], delayed, *own))

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
        self._is_leaving = True
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

    async def history(self, contact):
        pages = self.xmpp["xep_0313"].iterate(with_jid=contact, rsm={"max": PAGE})
        kept = []
        async for each in pages:
            result = each["mam_result"]
            message = result["forwarded"]["stanza"]
            kept.append(Kept(result["id"], str(message["from"]), message["body"]))
        return kept

    async def preferences(self):
        return (await self.xmpp["xep_0441"].get_preferences())[0]

    async def set_preferences(self, default):
        await self.xmpp["xep_0441"].set_preferences(default, [], [])

    async def block(self, jid):
        await self.xmpp["xep_0191"].block(jid)

    async def unblock(self, jid):
        await self.xmpp["xep_0191"].unblock(jid)

    async def blocked(self):
        return {str(jid) for jid in await self.xmpp["xep_0191"].get_blocked_jids()}

    async def set_name(self, name):
        card = self.xmpp["xep_0054"].make_vcard()
        card["FN"] = name
        await self.xmpp["xep_0054"].publish_vcard(card)

    async def name_of(self, jid):
        answer = await self.xmpp["xep_0054"].get_vcard(jid, cached=False)
        return answer["vcard_temp"]["FN"]

    async def remove_account(self):
        self._is_leaving = True
        await self.xmpp["xep_0077"].cancel_registration()


PLUGINS = (
    "xep_0030", "xep_0054", "xep_0191", "xep_0198", "xep_0199", "xep_0203", "xep_0313", "xep_0359",
    "xep_0441",
)
