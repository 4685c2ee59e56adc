"""Users of two servers talk: Waxwing with Waxwing, and with Prosody. Called by federation.sh.

Each pair of servers is tried twice: with certificates that both trust, and with dialback (XEP-0220), because neither
knows who has signed the other's certificate.
"""

import argparse
import asyncio
import logging
import os
import pathlib
import ssl
import sys
import tempfile
import time
import traceback

import slixmpp

from other_servers import PASSWORD, SERVERS, Authority, Names

WAIT_SECONDS = 25
SCENARIO_SECONDS = 120


class Client:
    """A user. What comes is kept, so that it can be waited for in any order."""

    def __init__(self, server, user):
        self.server, self.jid = server, f"{user}@{server.domain}"
        self.stanzas, self.news = [], asyncio.Event()

    async def __aenter__(self):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.xmpp = slixmpp.ClientXMPP(f"{self.jid}/pc", PASSWORD, ssl_context=context)
        for plugin in ("xep_0030", "xep_0115", "xep_0163", "xep_0172", "xep_0199"):
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
        return self

    async def __aexit__(self, *_):
        await asyncio.wait_for(self.xmpp.disconnect(), WAIT_SECONDS)

    def _come(self, stanza):
        self.stanzas.append(stanza.xml)
        self.news.set()

    async def wait(self, what, holds):
        """Waits for a stanza for which `holds`, takes it and all before it, and returns it."""
        deadline = time.monotonic() + WAIT_SECONDS
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

    async def message(self, body, sender):
        return await self.wait(f"message {body!r} from {sender}", lambda stanza: (
            stanza.tag.endswith("message") and stanza.get("type") != "error"
            and stanza.get("from", "").startswith(sender)
            and stanza.findtext("{jabber:client}body") == body))

    async def presence(self, sender, kind=None):
        return await self.wait(f"presence {kind} from {sender}", lambda stanza: (
            stanza.tag.endswith("presence") and stanza.get("from", "").startswith(sender) and stanza.get("type") == kind))

    def say(self, to, body, kind="chat"):
        self.xmpp.send_message(to, body, mtype=kind)


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


SCENARIOS = (chat, subscription, events, offline, room, nobody, restart)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("binary", help="Waxwing's program")
    parser.add_argument("--peer", action="append", choices=SERVERS, help="only these peers")
    parser.add_argument("--only", action="append", help="only these scenarios")
    parser.add_argument("--log", help="keep the logs of the servers in this directory")
    args = parser.parse_args()
    logging.basicConfig(level=logging.CRITICAL)
    args.binary = str(pathlib.Path(args.binary).resolve())
    results = []
    # ejabberd does not find our names yet (Erlang's resolver): only by --peer.
    for peer in args.peer or ("waxwing", "prosody"):
        for trusted in (True, False):
            results.extend(pair(args, peer, trusted))
    print(f"{results.count(True)} passed, {results.count(False)} failed")
    return 0 if all(results) and results else 1


def pair(args, peer, trusted):
    how = "certificates" if trusted else "dialback"
    with tempfile.TemporaryDirectory(prefix="waxwing-federation-") as folder:
        names, authority = Names(), Authority(folder, trusted)
        one = SERVERS["waxwing"](folder, "montague.example", names, authority, args.binary)
        other = SERVERS[peer](folder, "capulet.example", names, authority, args.binary)
        results = []
        try:
            one.prepare(["romeo", "juliet"], [other])
            other.prepare(["romeo", "juliet"], [one])
            one.start()
            other.start()
            for scenario in SCENARIOS:
                if args.only and scenario.__name__ not in args.only:
                    continue
                for first, second, users in ((one, other, "there"), (other, one, "back")):
                    if scenario in (chat, subscription, events, restart) and first is other:
                        continue
                    results.append(attempt(f"{peer} {how}: {scenario.__name__} {users}", scenario, first, second))
        except Exception:
            traceback.print_exc()
            results.append(False)
        finally:
            one.stop()
            other.stop()
            if not all(results) or args.log:
                for server in (one, other):
                    print(f"--- {server.domain} ({server.name})\n{server.tail()}\n---")
                    if args.log:
                        place = pathlib.Path(args.log)
                        place.mkdir(exist_ok=True)
                        for log in server.folder.glob("*.log"):
                            (place / f"{peer}-{how}-{server.name}-{log.name}").write_bytes(log.read_bytes())
    return results


def attempt(name, scenario, one, other):
    began = time.monotonic()
    try:
        asyncio.run(asyncio.wait_for(scenario(one, other), SCENARIO_SECONDS))
    except Exception as error:
        print(f"FAILED {name}: {type(error).__name__}: {error}")
        if os.environ.get("TRACE"):
            traceback.print_exc()
        return False
    print(f"ok     {name} ({time.monotonic() - began:.1f} s)")
    return True


if __name__ == "__main__":
    sys.exit(main())
