"""What clients with windows have in common: their home, their bus, whom they trust, their keyboard."""

import asyncio
import os
import pathlib
import shutil
import signal
import subprocess

from client import WAIT_SECONDS

AUTHORITIES = "/etc/ssl/certs"
# In a view of the file system in which the server's certificate is the only authority: most clients ask the
# system, and not their user. Gajim does not run as root.
AS_NOBODY = f"""
mount --bind "$1" {AUTHORITIES}; shift
exec setpriv --reuid=nobody --regid=nogroup --clear-groups "$@"
"""


class Desktop:
    """A client with a home, a message bus and a process of its own, on the display of the environment."""

    program = "?"
    # Debian's package, if its name is another one.
    package = None
    # It enters rooms.
    knows_rooms = True
    # It answers when occupants of a room ask what it is (XEP-0030).
    tells_its_name = True
    # It looks for bookmarks on the server (XEP-0402 or older); else its own files say which rooms it enters.
    reads_bookmarks = True
    # What a user says in a room is kept by the client, where `keeps` finds it.
    keeps_rooms = True
    # Its user is made to speak in a room, and in a chat; else it only listens.
    speaks = chats = True
    # Its user is made to upload a file, and to send its address (`sends_file`).
    uploads = False

    def __init__(self, account, home, room=None, nick="Desk"):
        """`account`: the client object of the account; it does not log in."""
        self.account, self.home, self.room, self.nick = account, pathlib.Path(home), room, nick
        self.server, self.bare, self.password = account.server, account.bare, account.password
        self._environment = {
            "HOME": str(home), "XDG_RUNTIME_DIR": str(home), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8",
            "DISPLAY": os.environ["DISPLAY"], "NO_AT_BRIDGE": "1",
        }
        self._children = []

    # The client's part.

    def prepare(self):
        """Writes the files by which the client knows the account."""
        raise NotImplementedError

    def command(self):
        return [self.program]

    async def says(self, to, body, in_room=False):
        raise NotImplementedError

    # What they have in common.

    async def __aenter__(self):
        self.prepare()
        self._trust()
        if cookies := os.environ.get("XAUTHORITY"):
            self._environment["XAUTHORITY"] = str(shutil.copy(cookies, self.home / ".Xauthority"))
        self._give_away()
        bus = await self._start("dbus-daemon", "--session", "--nofork", "--print-address=1",
                                stdout=asyncio.subprocess.PIPE)
        address = await asyncio.wait_for(bus.stdout.readline(), WAIT_SECONDS)
        self._environment["DBUS_SESSION_BUS_ADDRESS"] = address.decode().strip()
        try:
            await self.begin()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def begin(self):
        self.process = await self._start(*self.command())

    async def __aexit__(self, *_):
        for child in reversed(self._children):
            await self._end(child)

    async def _end(self, child):
        if child.returncode is None:
            os.killpg(child.pid, signal.SIGTERM)
        try:
            await asyncio.wait_for(child.wait(), 5)
        except asyncio.TimeoutError:
            os.killpg(child.pid, signal.SIGKILL)
            await child.wait()

    def _trust(self):
        """A folder of authorities, as one file for some libraries, and by the hash of the name for others."""
        folder = self.home / "authorities"
        folder.mkdir()
        shutil.copy(self.server.ca, folder / "ca-certificates.crt")
        asked = ("openssl", "x509", "-noout", "-subject_hash", "-in", str(self.server.ca))
        name = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
        (folder / f"{name}.0").symlink_to("ca-certificates.crt")

    def _give_away(self):
        if os.geteuid() == 0:
            for place in (self.home, *self.home.rglob("*")):
                shutil.chown(place, "nobody", "nogroup")

    def write(self, path, text):
        path = self.home / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def _wrapped(self, *command):
        if os.geteuid() != 0:
            return command
        return ("unshare", "--mount", "sh", "-ec", AS_NOBODY, "sh", str(self.home / "authorities"), *command)

    async def _start(self, *command, stdout=None):
        with (self.home / "output").open("ab") as log:
            child = await asyncio.create_subprocess_exec(
                *self._wrapped(*command), env=self._environment, cwd=self.home, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=stdout or log, stderr=log,
            )
        self._children.append(child)
        return child

    async def run(self, *command):
        """Runs a program beside the client, on its bus. Returns what it has written."""
        child = await asyncio.create_subprocess_exec(
            *self._wrapped(*command), env=self._environment, cwd=self.home,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        text = (await child.communicate())[0].decode(errors="replace")
        assert child.returncode == 0, f"{command}: {text}: {self.tail()}"
        return text

    async def call(self, service, path, method, *arguments):
        """Calls a method by D-Bus. Returns the answer as gdbus shows it."""
        return (await self.run(
            "gdbus", "call", "--session", "--dest", service, "--object-path", path, "--method", method,
            *arguments,
        )).strip()

    async def types(self, title, text):
        """Gives the client's window with this in its title the keyboard, and types a line there."""
        await self.until(f"the window {title}", lambda: self._window(title))
        found = await self._window(title)
        # Nothing tells when a program minds the keyboard that its window was given.
        await self.run("xdotool", "windowfocus", "--sync", found, "sleep", "1", "type", "--delay", "20", text)
        await self.run("xdotool", "key", "Return")

    async def _window(self, title):
        child = await asyncio.create_subprocess_exec(
            "xdotool", "search", "--all", "--onlyvisible", "--pid", str(self.process.pid), "--name", title,
            env=self._environment,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )
        found = (await child.communicate())[0].decode().split()
        return found[-1] if found else None

    async def keeps(self, text):
        """Waits until a file of the client has this text."""
        wanted = text.encode()
        def found():
            return any(wanted in path.read_bytes() for path in self.home.rglob("*")
                       if path.is_file() and path.name != "output")
        await self.until(f"{text!r} in the files of {self.program}", found)

    async def until(self, what, condition):
        async def true():
            while True:
                found = condition()
                if await found if asyncio.iscoroutine(found) else found:
                    return
                assert self.process.returncode is None, f"{self.program} has ended: {self.tail()}"
                await asyncio.sleep(0.1)
        try:
            await asyncio.wait_for(true(), 2 * WAIT_SECONDS)
        except asyncio.TimeoutError:
            raise AssertionError(f"waited for {what}: {self.tail()}") from None

    def tail(self):
        return (self.home / "output").read_text(errors="replace")[-2000:]

    async def picture(self, name):
        folder = os.environ.get("WAXWING_SCREENSHOTS")
        if folder:
            path = str(pathlib.Path(folder) / f"{self.program}-{name}.png")
            child = await asyncio.create_subprocess_exec(
                "import", "-window", "root", path, env=self._environment
            )
            await child.wait()
