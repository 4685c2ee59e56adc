"""A gateway that people run: Debian's biboumi as a component (XEP-0114), which leads to a small IRC server of this test."""

import asyncio
import os
import pathlib
import random
import subprocess
import tempfile

from client import within

CHANNEL = "#garden"
# Debian's gateway connects to this port, whichever address the server has.
IRC_PORT = 6667


async def a_gateway_leads_to_irc(make, _):
    """Somebody enters a channel by the gateway, talks with people there, and leaves."""
    async with Irc() as irc, make() as romeo:
        with Biboumi(romeo.server):
            room = f"{CHANNEL}%{irc.address}@{romeo.server.component_domain}"
            await connected(romeo)
            await romeo.enters(room, "Romeo")
            irc.say("Puck", "JOIN", CHANNEL)
            await romeo.sees("available", "Puck")
            irc.say("Puck", "PRIVMSG", CHANNEL, "what fools these mortals be")
            assert await said(romeo) == ("Puck", "what fools these mortals be")
            romeo.says(room, "who is there")
            assert await within(irc.heard("PRIVMSG"), "a message in IRC") == [CHANNEL, "who is there"]
            assert await said(romeo) == ("Romeo", "who is there")
            irc.say("Puck", "PRIVMSG", "Romeo", "between us")
            # The gateway itself has told how it connects.
            while (await romeo.message()).body != "between us":
                pass
            romeo.muc.leave_muc(room, "Romeo")
            await within(irc.heard("PART"), "a departure in IRC")


async def connected(client):
    """Until the component answers for itself."""
    for _ in range(100):
        iq = client.xmpp.make_iq_get(
            ito=client.server.component_domain, queryxmlns="http://jabber.org/protocol/disco#info")
        try:
            await iq.send(timeout=10)
            return
        except Exception:  # not yet: the answer is an error
            await asyncio.sleep(0.1)
    raise AssertionError("the gateway does not come")


async def said(client):
    message = await within(client.said.get(), "a message in the room")
    return message.nick, message.body


class Biboumi:
    """The gateway's process within the block."""

    def __init__(self, server):
        self.folder = tempfile.TemporaryDirectory(prefix="waxwing-biboumi-")
        path = pathlib.Path(self.folder.name)
        (path / "biboumi.cfg").write_text(
            f"hostname={server.component_domain}\npassword={server.component_secret}\n"
            f"xmpp_server_ip=127.0.0.1\nport={server.components}\nidentd_port=0\n"
            f"db_name={path / 'biboumi.sqlite'}\nlog_level=2\nlog_file=\n")
        self.command = ["biboumi", str(path / "biboumi.cfg")]

    def __enter__(self):
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": self.folder.name})
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.folder.cleanup()


class Irc:
    """An IRC server (RFC 2812) for one client, at an address of loopback that nobody else has."""

    def __init__(self):
        self.address = "127." + ".".join(str(random.randint(1, 254)) for _ in range(3))
        self.words, self.news = [], asyncio.Condition()

    async def __aenter__(self):
        self.server = await asyncio.start_server(self._serve, self.address, IRC_PORT)
        return self

    async def __aexit__(self, *_):
        self.server.close()

    async def heard(self, command):
        """The arguments of the next message of this kind."""
        async with self.news:
            while True:
                for place, (kind, *arguments) in enumerate(self.words):
                    if kind == command:
                        del self.words[: place + 1]
                        return arguments
                await self.news.wait()

    def say(self, nick, command, *arguments):
        self._write(f":{nick}!{nick}@elsewhere {command} {' '.join(arguments[:-1])} :{arguments[-1]}".replace("  ", " "))

    def _write(self, line):
        self.writer.write(f"{line}\r\n".encode())

    async def _serve(self, reader, writer):
        self.writer, nick = writer, "*"
        while line := (await reader.readline()).decode().strip():
            head, _, last = line.partition(" :")
            command, *arguments = [*head.split(), *([last] if last else [])]
            command = command.upper()
            if command == "NICK":
                nick = arguments[0]
            elif command == "USER":
                self._write(f":irc.test 001 {nick} :welcome")
            elif command == "PING":
                self._write(f":irc.test PONG irc.test :{arguments[0]}")
            elif command == "CAP" and arguments[0] == "REQ":
                self._write(f":irc.test CAP {nick} NAK :{arguments[1]}")
            elif command == "JOIN":
                self._write(f":{nick}!{nick}@here JOIN :{arguments[0]}")
                self._write(f":irc.test 353 {nick} = {arguments[0]} :@{nick}")
                self._write(f":irc.test 366 {nick} {arguments[0]} :end")
            elif command == "PART":
                self._write(f":{nick}!{nick}@here PART {arguments[0]} :gone")
            async with self.news:
                self.words.append((command, *arguments))
                self.news.notify_all()
        writer.close()


SCENARIOS = (a_gateway_leads_to_irc,)
