"""What users of two servers do: scenarios of federation.py, with slixmpp. Each takes the pair of servers."""

import asyncio
import io
import re
import ssl
import time
import urllib.request

import aiohttp
import slixmpp
from slixmpp.plugins.xep_0363 import http_upload

from names import Signer
from other_servers import PASSWORD

WAIT_SECONDS = 25


class Client:
    """A user. What comes is kept, so that it can be waited for in any order."""

    def __init__(self, server, user):
        self.server, self.jid = server, f"{user}@{server.domain}"
        self.stanzas, self.news = [], asyncio.Event()
        # All messages with a body that came, and all that came back.
        self.came, self.errors = [], []

    async def __aenter__(self):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.xmpp = slixmpp.ClientXMPP(f"{self.jid}/pc", PASSWORD, ssl_context=context)
        for plugin in ("xep_0030", "xep_0115", "xep_0163", "xep_0172", "xep_0199", "xep_0363"):
            self.xmpp.register_plugin(plugin)
        self.xmpp.plugin["xep_0163"].add_interest("http://jabber.org/protocol/nick")
        self.xmpp.roster.auto_authorize = True
        self.xmpp.roster.auto_subscribe = False
        self.xmpp.enable_direct_tls, self.xmpp.enable_plaintext = False, False
        started = asyncio.get_running_loop().create_future()
        self.xmpp.add_event_handler("session_start", lambda _: started.done() or started.set_result(None))
        self.xmpp.add_event_handler("failed_auth", lambda _: started.done() or started.set_exception(AssertionError("login")))
        self.xmpp.register_handler(slixmpp.xmlstream.handler.Callback(
            "all", slixmpp.xmlstream.matcher.MatchXPath("{jabber:client}message"), self._come))
        self.xmpp.add_event_handler("presence", self._come)
        self.xmpp.connect("127.0.0.1", self.server.c2s)
        await asyncio.wait_for(started, WAIT_SECONDS)
        await self.xmpp.get_roster()
        self.xmpp.send_presence()
        # The server has dealt with the presence.
        await self.xmpp["xep_0199"].ping(self.server.domain, timeout=WAIT_SECONDS)
        return self

    async def __aexit__(self, *_):
        await asyncio.wait_for(self.xmpp.disconnect(), WAIT_SECONDS)

    def _come(self, stanza):
        self.stanzas.append(stanza.xml)
        if stanza.xml.tag.endswith("message"):
            is_error = stanza.xml.get("type") == "error"
            (self.errors if is_error else self.came).append(stanza.xml)
        self.news.set()

    async def wait(self, what, holds, seconds=WAIT_SECONDS):
        """Waits for a stanza for which `holds`, takes it and all before it, and returns it."""
        deadline = time.monotonic() + seconds
        while True:
            for place, stanza in enumerate(self.stanzas):
                if holds(stanza):
                    del self.stanzas[: place + 1]
                    return stanza
            self.news.clear()
            left = deadline - time.monotonic()
            try:
                await asyncio.wait_for(self.news.wait(), max(left, 0.01))
            except asyncio.TimeoutError:
                raise AssertionError(f"{self.jid} waited for {what}") from None

    async def message(self, body, sender, **more):
        return await self.wait(f"message {body!r} from {sender}", lambda stanza: (
            stanza.tag.endswith("message") and stanza.get("type") != "error"
            and stanza.get("from", "").startswith(sender)
            and stanza.findtext("{jabber:client}body") == body), **more)

    async def presence(self, sender, kind=None):
        return await self.wait(f"presence {kind} from {sender}", lambda stanza: (
            stanza.tag.endswith("presence") and stanza.get("from", "").startswith(sender) and stanza.get("type") == kind))

    def say(self, to, body, kind="chat", name=None):
        """`name`: the id of the message."""
        message = self.xmpp.make_message(to, body, mtype=kind)
        if name:
            message["id"] = name
        message.send()


async def chat(one, other):
    """Messages in both directions arrive in order."""
    async with Client(one, "romeo") as romeo, Client(other, "juliet") as juliet:
        for number in range(20):
            romeo.say(juliet.jid, f"to {number}")
            juliet.say(romeo.jid, f"fro {number}")
        for number in range(20):
            await juliet.message(f"to {number}", romeo.jid)
            await romeo.message(f"fro {number}", juliet.jid)


async def subscription(one, other):
    """Subscriptions in both directions, presence, and its end."""
    async with Client(one, "romeo") as romeo:
        async with Client(other, "juliet") as juliet:
            romeo.xmpp.send_presence_subscription(juliet.jid, ptype="subscribe")
            await romeo.presence(juliet.jid, "subscribed")
            await romeo.presence(juliet.jid)
            juliet.xmpp.send_presence_subscription(romeo.jid, ptype="subscribe")
            await juliet.presence(romeo.jid, "subscribed")
            await juliet.presence(romeo.jid)
            juliet.xmpp.send_presence(pstatus="on the balcony")
            found = await romeo.wait("a status", lambda each: each.findtext("{jabber:client}status") == "on the balcony")
            assert found.get("from").startswith(juliet.jid)
        await romeo.presence(juliet.jid, "unavailable")


async def events(one, other):
    """A contact hears what a user publishes (XEP-0163)."""
    async with Client(one, "romeo") as romeo, Client(other, "juliet") as juliet:
        await romeo.presence(juliet.jid)
        await juliet.presence(romeo.jid)
        for publisher, reader in ((romeo, juliet), (juliet, romeo)):
            # What a reader wants is known when its hash was asked for: a client that is not known yet is told later.
            for number in range(5):
                await publisher.xmpp.plugin["xep_0172"].publish_nick(f"{publisher.jid} {number}")
                try:
                    await reader.wait("a nickname", lambda each: any(
                        f"{publisher.jid} " in (nick.text or "")
                        for nick in each.iter("{http://jabber.org/protocol/nick}nick")))
                    break
                except AssertionError:
                    if number == 4:
                        raise


async def offline(one, other):
    """A message to somebody who is away waits there."""
    async with Client(one, "romeo") as romeo:
        romeo.say(f"juliet@{other.domain}", "while you were away")
        # The other server has stored it. ejabberd would not deliver what it stores while somebody comes online.
        await romeo.xmpp["xep_0199"].ping(other.domain, timeout=WAIT_SECONDS)
        async with Client(other, "juliet") as juliet:
            await juliet.message("while you were away", romeo.jid)


async def room(one, other):
    """People of both servers talk in a room of one."""
    place = f"garden@conference.{one.domain}"
    async with Client(one, "romeo") as romeo, Client(other, "juliet") as juliet:
        muc = slixmpp.xmlstream.ET.Element("{http://jabber.org/protocol/muc}x")
        for client, nick in ((romeo, "Romeo"), (juliet, "Juliet")):
            presence = client.xmpp.make_presence(pto=f"{place}/{nick}")
            presence.append(muc)
            presence.send()
            await client.presence(f"{place}/{nick}")
            if client is romeo:
                iq = client.xmpp.make_iq_set(ito=place)
                query = slixmpp.xmlstream.ET.SubElement(iq.xml, "{http://jabber.org/protocol/muc#owner}query")
                slixmpp.xmlstream.ET.SubElement(query, "{jabber:x:data}x", {"type": "submit"})
                await iq.send()
        await romeo.presence(f"{place}/Juliet")
        romeo.say(place, "who is there", "groupchat")
        juliet.say(place, "I am", "groupchat")
        for client in (romeo, juliet):
            for _ in range(2):
                await client.wait("both messages", lambda each: each.findtext("{jabber:client}body") in ("who is there", "I am"))
        juliet.xmpp.make_presence(pto=f"{place}/Juliet", ptype="unavailable").send()
        await romeo.presence(f"{place}/Juliet", "unavailable")


async def nobody(one, other):
    """What cannot be delivered comes back."""
    async with Client(one, "romeo") as romeo:
        for to in (f"nobody@{other.domain}", "somebody@does-not-exist.example"):
            iq = romeo.xmpp.make_iq_get(ito=to, queryxmlns="jabber:iq:version")
            try:
                await iq.send(timeout=WAIT_SECONDS)
            except slixmpp.exceptions.IqError:
                continue
            raise AssertionError(f"no error from {to}")


async def restart(one, other):
    """After a restart of either side, presence is known again, and chat goes on."""
    for ends, stays, leaves_as, stays_as in ((one, other, "romeo", "juliet"), (other, one, "juliet", "romeo")):
        async with Client(stays, stays_as) as here:
            gone = Client(ends, leaves_as)
            await gone.__aenter__()
            await here.presence(gone.jid)
            # Ends without a word.
            gone.xmpp.abort()
            await asyncio.to_thread(ends.stop)
            await asyncio.to_thread(ends.start)
            async with Client(ends, leaves_as) as back:
                await back.presence(here.jid)
                await here.presence(back.jid)
                here.say(back.jid, "welcome back")
                await back.message("welcome back", here.jid)
                back.say(here.jid, "here I am")
                await here.message("here I am", back.jid)


async def file(one, other):
    """Somebody of the other server downloads what was uploaded here (XEP-0363, XEP-0066)."""
    content = bytes(range(256)) * 400

    def insecure():
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

    # The library has no option for the certificates of its HTTP client.
    http_upload.ClientSession = lambda **more: aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=insecure()), **more)
    async with Client(one, "romeo") as romeo, Client(other, "juliet") as juliet:
        url = await asyncio.wait_for(romeo.xmpp["xep_0363"].upload_file(
            "a picture.png", domain=slixmpp.JID(f"upload.{one.domain}"), input_file=io.BytesIO(content)), WAIT_SECONDS)
        message = romeo.xmpp.make_message(juliet.jid, url, mtype="chat")
        oob = slixmpp.xmlstream.ET.SubElement(message.xml, "{jabber:x:oob}x")
        slixmpp.xmlstream.ET.SubElement(oob, "{jabber:x:oob}url").text = url
        message.send()
        found = await juliet.message(url, romeo.jid)
        url = found.findtext("{jabber:x:oob}x/{jabber:x:oob}url")
        read = lambda: urllib.request.urlopen(url, context=insecure(), timeout=WAIT_SECONDS).read()
        assert await asyncio.to_thread(read) == content


async def cut(one, other):
    """The link is cut while messages flow: nothing comes twice or in another order, and what servers acknowledge to each
    other is not lost. Else the other server may have taken it, or not."""
    async with Client(one, "romeo") as romeo, Client(other, "juliet") as juliet:
        # Links are there before.
        for client, to in ((romeo, juliet), (juliet, romeo)):
            client.say(to.jid, "begin")
            await to.message("begin", client.jid)

        async def talk(client, to):
            for number in range(CUT_MESSAGES):
                client.say(to.jid, f"number {number}", name=f"number-{number}")
                await asyncio.sleep(0.01)

        async def cuts():
            for _ in range(3):
                await asyncio.sleep(0.4)
                one.links.cut()
                await asyncio.sleep(0.2)
                one.links.admit()

        await asyncio.gather(talk(romeo, juliet), talk(juliet, romeo), cuts())
        # Whatever waits goes before these.
        for client, to in ((romeo, juliet), (juliet, romeo)):
            await ends(client, to)
        said = []
        for client, to in ((romeo, juliet), (juliet, romeo)):
            names = [each.get("id") or "" for each in to.came]
            came = [int(name.removeprefix("number-")) for name in names if name.startswith("number-")]
            back = {each.get("id") for each in client.errors}
            back = {name for name in back if name and name.startswith("number-")}
            lost = [number for number in range(CUT_MESSAGES) if number not in came and f"number-{number}" not in back]
            ways = f"{client.server.name} to {to.server.name}"
            said.append(f"{ways}: {len(came)} came, {len(back)} bounced, {len(lost)} lost")
            assert len(came) == len(set(came)), f"{ways}: doubled {came}"
            # Prosody spreads what it sends over two links while one of them is being opened.
            assert came == sorted(came) or client.server.name == "prosody", f"{ways}: order {came}"
            assert not lost or not acknowledge(client.server, to.server), f"{ways}: lost {lost}"
        return "; ".join(said)


async def ends(client, to):
    """Until a last message has come. One that comes back is said again."""
    for number in range(20):
        name = f"end-{number}"
        client.say(to.jid, name, name=name)
        try:
            await to.message(name, client.jid, seconds=WAIT_SECONDS / 20 * (number + 1))
            return
        except AssertionError:
            if number == 19 or not any(each.get("id") == name for each in client.errors) and number > 3:
                raise


def acknowledge(*servers):
    """Whether these acknowledge to each other what they send."""
    after_dialback = servers[0].how != "certificates"
    return all(each.acknowledges_after_dialback if after_dialback else each.acknowledges for each in servers)


async def test(one, other):
    """The command for administrators says how it would go."""
    said = await asyncio.to_thread(one.test, other.domain)
    wanted = {"certificates": r"^certificate +valid$", "dialback": "would be called back|would log in", "dane": r"^dane +valid$"}
    assert re.search(wanted[one.how], said, re.MULTILINE), said


async def forged(one, other):
    """A key that the DNS does not name is not believed, nor one that it names without the right signature."""
    for keys, signer, wanted in (
        ({port: f"3 1 1 {'ab' * 32}" for port in one.names.keys}, one.names.signer, "name another certificate"),
        (one.names.keys, Signer(), "signatures are wrong"),
    ):
        one.names.keys, one.names.signer = keys, signer
        # It forgets what the DNS has said before.
        await asyncio.to_thread(one.stop)
        await asyncio.to_thread(one.start)
        said = await asyncio.to_thread(one.test, other.domain)
        assert wanted in said and "is not believed" in said, said


# In each direction, when the link is cut.
CUT_MESSAGES = 200
