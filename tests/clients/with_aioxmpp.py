"""aioxmpp behind the interface of client.py."""

import asyncio

import aioxmpp
import aioxmpp.connector
import aioxmpp.security_layer
import aiosasl

from client import Client, Message, Presence, Push, Refused, within


class AioxmppClient(Client):
    library = "aioxmpp"

    async def login(self):
        jid = aioxmpp.JID.fromstr(f"{self.bare}/{self.resource}" if self.resource else self.bare)
        connector = (
            aioxmpp.connector.XMPPOverTLSConnector() if self.direct_tls
            else aioxmpp.connector.STARTTLSConnector()
        )
        layer = aioxmpp.security_layer.make(self.password, ssl_context_factory=self._context)
        # One attempt only: after more, the library no longer tells the first answer.
        layer = layer._replace(sasl_providers=(
            aioxmpp.security_layer.PasswordSASLProvider(self._password, max_auth_attempts=1),
        ))
        self.xmpp = aioxmpp.Client(
            jid, layer, override_peer=[("127.0.0.1", self.port, connector)],
            max_initial_attempts=1,
        )
        self._roster = self.xmpp.summon(aioxmpp.RosterClient)
        self._disco = self.xmpp.summon(aioxmpp.DiscoClient)
        self._presence_out = self.xmpp.summon(aioxmpp.PresenceServer)
        self._started = asyncio.get_running_loop().create_future()
        self._listen()
        self._presence_out.set_presence(aioxmpp.PresenceState(True))
        self.xmpp.start()
        await self._started
        self.full = str(self.xmpp.local_jid)

    async def _password(self, _jid, _attempt):
        return self.password

    def _context(self):
        context = aioxmpp.security_layer.default_ssl_context()
        context.load_verify_locations(str(self.server.ca))
        return context

    def _listen(self):
        self.xmpp.on_stream_established.connect(self._established)
        self.xmpp.on_failure.connect(self._failed)
        self.xmpp.on_stopped.connect(lambda: self._end(None))
        self.xmpp.stream.app_inbound_message_filter.register(self._message, 1)
        self.xmpp.stream.app_inbound_presence_filter.register(self._presence, 1)
        for change in (
            self._roster.on_entry_added,
            self._roster.on_entry_subscription_state_changed,
        ):
            change.connect(self._entry)
        self._roster.on_entry_removed.connect(
            lambda entry: self.pushes.put_nowait(Push(str(entry.jid), "remove", False))
        )

    def _established(self):
        if not self._started.done():
            self._started.set_result(None)

    def _failed(self, error):
        if isinstance(error, aioxmpp.errors.StreamError):
            condition = error.condition.value[1]
        elif isinstance(error, aiosasl.AuthenticationFailure):
            condition = error.opaque_error.split("}")[-1]
        else:
            condition = f"{type(error).__name__}: {error}"
        if not self._started.done():
            self._started.set_exception(Refused(condition))
        self._end(condition)

    def _end(self, condition):
        if not self.closed.done():
            self.closed.set_result(condition)

    def _message(self, message):
        if message.body:
            delayed = bool(message.xep0203_delay)
            self.messages.put_nowait(Message(str(message.from_), message.body.any(), delayed))
        return message

    def _presence(self, presence):
        kind = presence.type_.value or "available"
        self.presences.put_nowait(Presence(kind, str(presence.from_)))
        return presence

    def _entry(self, entry):
        self.pushes.put_nowait(Push(str(entry.jid), entry.subscription, bool(entry.ask)))

    async def logout(self):
        if not hasattr(self, "xmpp"):
            return
        self.xmpp.stop()
        if self.xmpp.running:
            await within(self.closed, "the end of the stream")

    async def say(self, to, body):
        message = aioxmpp.Message(type_=aioxmpp.MessageType.CHAT, to=aioxmpp.JID.fromstr(to))
        message.body[None] = body
        await self.xmpp.send(message)

    async def roster(self):
        iq = aioxmpp.IQ(type_=aioxmpp.IQType.GET, payload=aioxmpp.roster.xso.Query())
        answer = await self.xmpp.send(iq)
        return {str(item.jid): (item.name, item.subscription) for item in answer.items}

    async def add_contact(self, jid, name):
        await self._roster.set_entry(
            aioxmpp.JID.fromstr(jid), name=name, add_to_groups={"Verona"}
        )

    async def remove_contact(self, jid):
        await self._roster.remove_entry(aioxmpp.JID.fromstr(jid))

    async def subscribe(self, jid):
        self._roster.subscribe(aioxmpp.JID.fromstr(jid))

    async def approve(self, jid):
        self._roster.approve(aioxmpp.JID.fromstr(jid))

    async def ping(self):
        await aioxmpp.ping.ping(self.xmpp, aioxmpp.JID.fromstr(self.domain))

    async def disco(self):
        info = await self._disco.query_info(aioxmpp.JID.fromstr(self.domain))
        return {(each.category, each.type_) for each in info.identities}, set(info.features)
