"""All clients of these tests are in one room together: slixmpp, aioxmpp, Profanity, poezio and Converse.js. Each says a
line, and each gets the lines of all."""

import asyncio
import contextlib
import os
import pathlib
import tempfile

import aioxmpp_rooms
import rooms
from client import within
from scenarios import subscription_handshake
from server import DOMAIN
from terminals import Poezio, Profanity

NICKS = ("Slix", "Aio", "Profane", "Poet", "Converse")
HERE = pathlib.Path(__file__).parent


def line_of(nick):
    return f"I am {nick} & here"


async def clients_are_in_one_room(chromium, modules, a, b):
    """XEP-0045 §7: they enter, each is seen by the one who made the room, and each hears all."""
    server, password = a.server, "soldierly"
    names = [f"{a.user}-{nick.lower()}" for nick in NICKS]
    for name in names:
        server.add_account(name, password)
    slix, aio, profane, poet, _ = (
        lambda name=name, library=library: library(server, name, password)
        for name, library in zip(
            names, (rooms.Guest, aioxmpp_rooms.Guest, rooms.Guest, rooms.Guest, None)
        )
    )
    # Until its roster is there, poezio takes no commands: it shows a contact then.
    await subscription_handshake(slix, poet)
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        host, guest = await enter(slix()), await enter(aio())
        room = rooms.room_of(host)
        await host.makes(room, "Slix")
        his = await guest.enters(room, "Aio")
        profanity = await enter(Profanity(profane(), stack.enter_context(tempfile.TemporaryDirectory())))
        await profanity.types(f"/join {room} nick Profane")
        poezio = await enter(Poezio(poet(), stack.enter_context(tempfile.TemporaryDirectory())))
        await poezio.shows("Your JID is", poet().bare)
        await poezio.shows(host.bare.split("@")[0])
        await poezio.types(f"/join {room}/Poet")
        browser = await enter(Browser(chromium, modules, server, names[-1], password, room))
        for nick in NICKS[1:]:
            await host.sees("available", nick, role="participant")

        host.says(room, line_of("Slix"))
        await guest.says(his, line_of("Aio"))
        await profanity.types(line_of("Profane"))
        await poezio.types(line_of("Poet"))
        await browser.says()

        for client in (host, guest):
            said = [await within(client.said.get(), "a line of each") for _ in NICKS]
            assert {(each.nick, each.body) for each in said} == {
                (nick, line_of(nick)) for nick in NICKS
            }, said
        for terminal in (profanity, poezio):
            for nick in NICKS:
                await terminal.shows(line_of(nick))
        await browser.has_seen_all()
        # The archive has each once.
        kept = [each.body for each in await host.history_of(room)]
        assert sorted(kept) == sorted(map(line_of, NICKS)), kept


class Browser:
    """Converse.js, in a process of its own."""

    def __init__(self, chromium, modules, server, name, password, room):
        self._command = (
            "node", str(HERE / "converse_guest.mjs"), "wss", str(server.https), DOMAIN, name,
            password, room, "Converse", line_of("Converse"),
            *(line_of(nick) for nick in NICKS if nick != "Converse"),
        )
        self._environment = {
            **os.environ, "WAXWING_NODE_MODULES": modules, "WAXWING_CHROMIUM": chromium,
            "NODE_EXTRA_CA_CERTS": str(server.ca),
        }

    async def __aenter__(self):
        pipe = asyncio.subprocess.PIPE
        self._child = await asyncio.create_subprocess_exec(
            *self._command, env=self._environment, stdin=pipe, stdout=pipe, stderr=pipe
        )
        self._errors = asyncio.ensure_future(self._child.stderr.read())
        word = await asyncio.wait_for(self._child.stdout.readline(), 45)
        assert word == b"in\n", (word, await self._why())
        return self

    async def __aexit__(self, *_):
        if self._child.returncode is None:
            self._child.kill()
            await self._child.wait()

    async def says(self):
        self._child.stdin.write(b"done\n")
        await self._child.stdin.drain()

    async def has_seen_all(self):
        code = await asyncio.wait_for(self._child.wait(), 45)
        assert code == 0, await self._why()

    async def _why(self):
        return (await self._errors).decode(errors="replace")
