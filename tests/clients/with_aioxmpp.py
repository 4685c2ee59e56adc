"""aioxmpp behind the interface of client.py."""

import asyncio
import contextlib
import logging

import aioxmpp
import aioxmpp.blocking
import aioxmpp.connector
import aioxmpp.forms
import aioxmpp.ibr
import aioxmpp.security_layer
import aioxmpp.vcard
import aiosasl
from aioxmpp import xso
from aioxmpp.rsm.xso import ResultSetMetadata
from lxml import etree

from client import PAGE, Client, Kept, Message, Presence, Push, Refused, within

MAM = "urn:xmpp:mam:2"


# The library knows no archives: what it lacks, in its own terms.


class Result(xso.XSO):
    TAG = (MAM, "result")
    id_ = xso.Attr("id")
    queryid = xso.Attr("queryid", default=None)
    forwarded = xso.Child([aioxmpp.misc.Forwarded])


@aioxmpp.IQ.as_payload_class
class Query(xso.XSO):
    TAG = (MAM, "query")
    form = xso.Child([aioxmpp.forms.Data])
    page = xso.Child([ResultSetMetadata])


@aioxmpp.IQ.as_payload_class
class Fin(xso.XSO):
    TAG = (MAM, "fin")
    complete = xso.Attr("complete", type_=xso.Bool(), default=False)
    page = xso.Child([ResultSetMetadata])


@aioxmpp.IQ.as_payload_class
class Preferences(xso.XSO):
    TAG = (MAM, "prefs")
    default = xso.Attr("default")


aioxmpp.Message.waxwing_result = xso.Child([Result])


class AioxmppClient(Client):
    library = "aioxmpp"
    resends_in_order = False

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
        if self.new:
            await self._register(connector, layer)
        self.xmpp = aioxmpp.Client(
            jid, layer, override_peer=[("127.0.0.1", self.port, connector)],
            max_initial_attempts=1,
        )
        self._roster = self.xmpp.summon(aioxmpp.RosterClient)
        self._disco = self.xmpp.summon(aioxmpp.DiscoClient)
        self._blocking = self.xmpp.summon(aioxmpp.BlockingClient)
        self._cards = self.xmpp.summon(aioxmpp.vcard.VCardService)
        self._registration = self.xmpp.summon(aioxmpp.ibr.RegistrationService)
        self._results = []
        self._presence_out = self.xmpp.summon(aioxmpp.PresenceServer)
        self._started = asyncio.get_running_loop().create_future()
        self._listen()
        self._presence_out.set_presence(aioxmpp.PresenceState(True))
        self.xmpp.start()
        await self._started
        self.full = str(self.xmpp.local_jid)

    async def _register(self, connector, layer):
        _, stream, _ = await connector.connect(
            asyncio.get_running_loop(), layer, self.domain, "127.0.0.1", self.port, 15,
            logging.getLogger("aioxmpp.registration"),
        )
        query = aioxmpp.ibr.Query(self.bare.split("@")[0], self.password)
        await aioxmpp.ibr.register(stream, query)
        stream.close()

    async def _password(self, _jid, _attempt):
        return self.password

    def _context(self):
        context = aioxmpp.security_layer.default_ssl_context()
        context.load_verify_locations(str(self.server.ca))
        return context

    def _listen(self):
        self.xmpp.on_stream_established.connect(self._established)
        self.xmpp.on_stream_resumed.connect(lambda: self.resumptions.put_nowait(None))
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
        if message.waxwing_result:
            self._results.append(message.waxwing_result)
        if message.body:
            delayed = bool(message.xep0203_delay)
            own = [each.id_ for each in message.xep0359_stanza_ids if str(each.by) == self.bare]
            self.messages.put_nowait(
                Message(str(message.from_), message.body.any(), delayed, *own)
            )
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
        # Does not wait for the server's acknowledgement, as send() does.
        self.xmpp.enqueue(message)

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

    async def history(self, contact):
        self._results = []
        page, complete = ResultSetMetadata.limit(PAGE), False
        while not complete:
            form = aioxmpp.forms.Data(type_=aioxmpp.forms.DataType.SUBMIT)
            for name, value in (("FORM_TYPE", MAM), ("with", contact)):
                form.fields.append(aioxmpp.forms.Field(var=name, values=[value]))
            query = Query()
            query.form, query.page = form, page
            iq = aioxmpp.IQ(type_=aioxmpp.IQType.SET, payload=query)
            fin = await self.xmpp.send(iq)
            complete = fin.complete
            page = fin.page.next_page(PAGE) if not complete else None
        kept = [(each.id_, each.forwarded.stanza) for each in self._results]
        return [Kept(id_, str(of.from_), of.body.any()) for id_, of in kept]

    async def preferences(self):
        iq = aioxmpp.IQ(type_=aioxmpp.IQType.GET, payload=Preferences())
        iq.payload.default = "always"
        return (await self.xmpp.send(iq)).default

    async def set_preferences(self, default):
        iq = aioxmpp.IQ(type_=aioxmpp.IQType.SET, payload=Preferences())
        iq.payload.default = default
        await self.xmpp.send(iq)

    async def block(self, jid):
        await self._blocking.block_jids([aioxmpp.JID.fromstr(jid)])

    async def unblock(self, jid):
        await self._blocking.unblock_jids([aioxmpp.JID.fromstr(jid)])

    async def blocked(self):
        iq = aioxmpp.IQ(type_=aioxmpp.IQType.GET, payload=aioxmpp.blocking.xso.BlockList())
        return {str(jid) for jid in (await self.xmpp.send(iq)).items}

    async def set_name(self, name):
        card = aioxmpp.vcard.xso.VCard()
        etree.SubElement(card.elements, "{vcard-temp}FN").text = name
        await self._cards.set_vcard(card)

    async def name_of(self, jid):
        card = await self._cards.get_vcard(aioxmpp.JID.fromstr(jid))
        return card.elements.findtext(".//{vcard-temp}FN")

    async def remove_account(self):
        # The stream may end before the library has seen the answer.
        with contextlib.suppress(ConnectionError):
            await self._registration.cancel_registration()
