"""Profanity and poezio as their users have them: in a terminal, by its screen and its keys.

The other people, and the other devices of the user, are slixmpp.
"""

import asyncio
import fcntl
import os
import pathlib
import shutil
import struct
import subprocess
import tempfile
import termios
import time
import xml.etree.ElementTree as ElementTree

import pyte

from client import WAIT_SECONDS, within
from devices import BOOKMARKS, Device
from rooms import room_of
from scenarios import subscription_handshake

ROWS, COLUMNS = 45, 150


class Terminal:
    """A program in a terminal of its own, with a home of its own."""

    def __init__(self, *command, home, **environment):
        self.command, self.home, self._environment = command, home, environment
        self.screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self.screen)
        self._changed = asyncio.Event()

    async def __aenter__(self):
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        environment = {
            "HOME": str(self.home), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "TERM": "linux",
            "PATH": os.environ["PATH"], **self._environment,
        }
        # poezio does not run as root.
        nobody = {"user": "nobody", "group": "nogroup", "extra_groups": []}
        is_root = os.geteuid() == 0
        if is_root:
            for place in (self.home, *pathlib.Path(self.home).rglob("*")):
                shutil.chown(place, "nobody", "nogroup")
        self.process = subprocess.Popen(
            self.command, stdin=slave, stdout=slave, stderr=slave, env=environment, cwd=self.home,
            start_new_session=True, **(nobody if is_root else {}),
        )
        os.close(slave)
        os.set_blocking(self._master, False)
        asyncio.get_running_loop().add_reader(self._master, self._read)
        return self

    async def __aexit__(self, *_):
        asyncio.get_running_loop().remove_reader(self._master)
        self.process.terminate()
        try:
            await asyncio.to_thread(self.process.wait, 5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self._master)

    def _read(self):
        try:
            self._stream.feed(os.read(self._master, 65536))
        except OSError:  # the program has ended
            asyncio.get_running_loop().remove_reader(self._master)
        self._changed.set()

    async def types(self, line, hidden=False):
        """A line, and Enter when the line is shown where one types, at the bottom: what comes at once is pasted, line
        ends and all."""
        for part, whole in ((line[:1], line[:1]), (line[1:], line)):
            os.write(self._master, part.encode())
            if not hidden:
                await self._waits_for(
                    lambda: self.screen.display[-1].rstrip().endswith(whole), f"{whole} to be typed"
                )
        os.write(self._master, b"\r")

    @property
    def text(self):
        return "\n".join(line.rstrip() for line in self.screen.display if line.strip())

    async def shows(self, *words):
        """Waits until one line of the screen has all these words."""
        await self._waits_for(
            lambda: any(all(word in line for word in words) for line in self.screen.display), words
        )

    async def _waits_for(self, found, what):
        async def until():
            while not found():
                self._changed.clear()
                await self._changed.wait()

        try:
            await asyncio.wait_for(until(), WAIT_SECONDS)
        except asyncio.TimeoutError:
            raise AssertionError(f"waited for {what} on the screen:\n{self.text}") from None


class Profanity(Terminal):
    """Logged in as this user, with carbons and archives."""

    def __init__(self, client, home):
        super().__init__("profanity", home=home)
        self.client = client

    async def __aenter__(self):
        await super().__aenter__()
        await self.shows("Type '/help' to show complete help")
        # The certificate is the server's own.
        await self.types(
            f"/connect {self.client.bare} server 127.0.0.1 port {self.client.server.c2s} tls trust"
        )
        await self.shows("Enter password")
        await self.types(self.client.password, hidden=True)
        await self.shows(f"{self.client.bare}/", "logged in")
        for command, answer in (("carbons", "carbons"), ("mam", "Archive Management")):
            await self.types(f"/{command} on")
            await self.shows(answer, "enabled")
        return self


class Poezio(Terminal):
    """Logged in as this user."""

    def __init__(self, client, home):
        config = pathlib.Path(home) / "poezio.cfg"
        config.write_text(
            f"[Poezio]\njid = {client.bare}\npassword = {client.password}\n"
            f"custom_host = 127.0.0.1\ncustom_port = {client.server.c2s}\n"
            "ignore_certificate = true\nuse_remote_bookmarks = true\nsave_status = false\n"
        )
        authority = shutil.copy(client.server.ca, home)
        super().__init__(
            "poezio", "-f", str(config), home=home, SSL_CERT_FILE=str(authority)
        )


async def second_is_over():
    """Waits for the next second of the clock.

    poezio asks an archive for what is older than the second in which it asks.
    """
    await asyncio.sleep(1 - time.time() % 1)


async def profanity_is_one_of_the_devices(a, b):
    """Chat, carbons, an avatar, a bookmark, keys of OMEMO; then, on a new machine, the archive."""
    await subscription_handshake(a, b)
    async with a() as phone, b() as juliet:
        await within(phone.xmpp["xep_0280"].enable(), "the answer")
        with tempfile.TemporaryDirectory() as home:
            async with Profanity(phone, home) as profanity:
                await profanity.types(f"/msg {juliet.bare} from the desk")
                assert (await juliet.message()).body == "from the desk"
                found = await phone.carbon()
                assert found == ("carbon_sent", "from the desk"), found
                await juliet.say(phone.bare, "here & now")
                await profanity.shows(juliet.bare.split("@")[0], "here & now")
                await phone.say(juliet.bare, "from the phone")
                await profanity.shows("me", "from the phone")

                room = "orchard@rooms.localhost"
                await profanity.types(f"/bookmark add {room} name Orchard autojoin off")
                item, payload = await phone.event(phone.bare, BOOKMARKS)
                assert (item, payload.get("name")) == (room, "Orchard"), (item, payload.attrib)
                await profanity.types("/omemo gen")
                await within(has_device(juliet, phone.bare), "a device with keys")
        with tempfile.TemporaryDirectory() as home:
            async with Profanity(phone, home) as profanity:
                await profanity.types("/bookmark list")
                await profanity.shows("Orchard", room)
                await profanity.types(f"/msg {juliet.bare} I am back")
                for line in ("from the desk", "here & now", "from the phone"):
                    await profanity.shows(line)


async def has_device(client, owner):
    """Waits until the owner has published a device with its keys, which strangers find."""
    node = "eu.siacs.conversations.axolotl"
    while True:
        try:
            ((device,),) = (await client.items(owner, f"{node}.devicelist")).values()
            keys = await client.items(owner, f"{node}.bundles:{device.get('id')}")
            assert len(keys) == 1, keys
            return
        except client.library_error as error:
            assert error.condition == "item-not-found", error.condition
        await asyncio.sleep(0.2)


async def poezio_is_one_of_the_devices(a, b):
    """Chat, carbons, a bookmark; then, on a new machine, the archive."""
    await subscription_handshake(a, b)
    async with a() as phone, b() as juliet:
        await within(phone.xmpp["xep_0280"].enable(), "the answer")
        room = ElementTree.Element(f"{{{BOOKMARKS}}}conference", {"name": "The Orchard"})
        await within(phone.publish(BOOKMARKS, "orchard@rooms.localhost", room), "the answer")
        contact = juliet.bare.split("@")[0]
        with tempfile.TemporaryDirectory() as home:
            async with Poezio(phone, home) as poezio:
                await poezio.shows("Your JID is", phone.bare)
                await poezio.shows(contact)
                await poezio.types(f"/message {juliet.bare} from the desk")
                assert (await juliet.message()).body == "from the desk"
                found = await phone.carbon()
                assert found == ("carbon_sent", "from the desk"), found
                await juliet.say(phone.bare, "here & now")
                await poezio.shows(contact, "here & now")
                await phone.say(juliet.bare, "from the phone")
                await poezio.shows("from the phone")
                await poezio.types("/bookmarks")
                await poezio.shows("orchard@rooms.localhost")
        await second_is_over()
        with tempfile.TemporaryDirectory() as home:
            async with Poezio(phone, home) as poezio:
                await poezio.shows("Your JID is", phone.bare)
                await poezio.shows(contact)
                await poezio.types(f"/message {juliet.bare} I am back")
                for line in ("from the desk", "here & now", "from the phone"):
                    await poezio.shows(line)


async def profanity_is_in_a_room(a, b):
    """XEP-0045: enters a room of somebody else, talks, hears, changes its name, is kicked."""
    async with a() as romeo:
        juliet, room = b(), room_of(romeo)
        await romeo.makes(room, "Romeo", persistentroom=True)
        romeo.says(room, "before you came")
        await romeo.hears("Romeo", "before you came")
        with tempfile.TemporaryDirectory() as home:
            async with Profanity(juliet, home) as profanity:
                await profanity.types(f"/join {room} nick Desk")
                await romeo.sees("available", "Desk", role="participant")
                await profanity.shows("before you came")
                await profanity.types("from the desk")
                await romeo.hears("Desk", "from the desk")
                romeo.says(room, "here & now")
                await profanity.shows("Romeo", "here & now")
                romeo.muc.set_subject(room, "Love in Verona")
                await profanity.shows("Love in Verona")
                await profanity.types("/nick Capulet")
                await romeo.sees("available", "Capulet")
                await profanity.types("by another name")
                await romeo.hears("Romeo", "here & now")
                await romeo.hears("Capulet", "by another name")
                await within(romeo.muc.set_role(room, "Capulet", "none", reason="hush"), "the kick")
                await romeo.sees("unavailable", "Capulet", codes={307})
                await profanity.shows("hush")


async def poezio_is_in_a_room(a, b):
    """XEP-0045: enters a room of somebody else, talks, hears, changes its name, and leaves."""
    await subscription_handshake(a, b)
    async with a() as romeo:
        juliet, room = b(), room_of(romeo)
        await romeo.makes(room, "Romeo", persistentroom=True)
        romeo.says(room, "before you came")
        await romeo.hears("Romeo", "before you came")
        with tempfile.TemporaryDirectory() as home:
            async with Poezio(juliet, home) as poezio:
                await poezio.shows("Your JID is", juliet.bare)
                # Until the roster is there, poezio takes no commands.
                await poezio.shows(romeo.bare.split("@")[0])
                await second_is_over()
                await poezio.types(f"/join {room}/Desk")
                await romeo.sees("available", "Desk", role="participant")
                await poezio.shows("Romeo", "before you came")
                await poezio.types("from the desk")
                await romeo.hears("Desk", "from the desk")
                romeo.says(room, "here & now")
                await poezio.shows("Romeo", "here & now")
                await poezio.types("/nick Capulet")
                await romeo.sees("available", "Capulet")
                await poezio.types("/part")
                await romeo.sees("unavailable", "Capulet")
