"""TURN servers for calls (XEP-0215), with Debian's coturn: what Waxwing tells its users is tried there."""

import asyncio
import base64
import hashlib
import hmac
import socket
import subprocess
import time
import xml.etree.ElementTree as ElementTree

from client import within
from server import free_ports

NAMESPACE = "urn:xmpp:extdisco:2"
START_SECONDS = 10
# It sends for some seconds when it was let in.
CLIENT_SECONDS = 30


async def credentials_open_the_relay(server, make, _):
    """What a user gets is let in; what is expired, changed, or made with another secret is not."""
    async with make() as romeo:
        services = await within(services_of(romeo), "the services")
    relay, = (each for each in services if each["type"] == "turn")
    assert relay["port"] == str(server.turn), relay
    expires = int(relay["username"].split(":")[0])
    assert 23 * 3600 < expires - time.time() <= 24 * 3600, relay
    assert "romeo" not in relay["username"], relay
    with Coturn(server):
        user, password = relay["username"], relay["password"]
        assert await is_let_in(server, user, password), "coturn refuses the credentials"
        for what, user, password in [
            ("a changed password", user, password[::-1]),
            ("a later expiry", user.replace(str(expires), str(expires + 1)), password),
            ("an expired name", *made(server, int(time.time()) - 1)),
            ("a secret of somebody else", *made(server, expires, "another-secret")),
        ]:
            assert not await is_let_in(server, user, password), f"coturn takes {what}"


async def services_of(client):
    iq = client.xmpp.make_iq_get(ito=client.domain)
    iq.append(ElementTree.Element(f"{{{NAMESPACE}}}services"))
    answer = await iq.send()
    return [each.attrib for each in answer.xml.iter(f"{{{NAMESPACE}}}service")]


def made(server, expires, secret=None):
    user = f"{expires}:romeo"
    key = (secret or server.turn_secret).encode()
    return user, base64.b64encode(hmac.digest(key, user.encode(), hashlib.sha1)).decode()


async def is_let_in(server, user, password):
    """Whether the client of coturn gets two relays and sends from one to the other."""
    child = await asyncio.create_subprocess_exec(
        "turnutils_uclient", "-y", "-c", "-n", "1", "-m", "1", "-p", str(server.turn),
        "-u", user, "-w", password, "127.0.0.1",
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )
    try:
        output, _ = await asyncio.wait_for(child.communicate(), CLIENT_SECONDS)
    finally:
        if child.returncode is None:
            child.kill()
    if child.returncode == 0:
        return True
    assert b"Cannot complete Allocation" in output, output.decode(errors="replace")
    return False


class Coturn:
    """A TURN server on the loopback interface, with the secret of the server's configuration."""

    def __init__(self, server):
        self.folder, self.port = server.folder / "turn", server.turn
        self.folder.mkdir()
        low = free_ports(1)[0] // 100 * 100
        (self.folder / "turnserver.conf").write_text(
            "listening-ip=127.0.0.1\nrelay-ip=127.0.0.1\n"
            f"listening-port={self.port}\nmin-port={low}\nmax-port={low + 99}\n"
            "realm=localhost\nuse-auth-secret\n"
            f"static-auth-secret={server.turn_secret}\n"
            "allow-loopback-peers\nno-cli\nno-tls\nno-dtls\nlog-file=stdout\n"
            f"pidfile={self.folder}/pid\nuserdb={self.folder}/users\n"
        )

    def __enter__(self):
        self.log = self.folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                ["turnserver", "-c", str(self.folder / "turnserver.conf")], cwd=self.folder,
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )
        # It takes TCP at the same port as UDP, and begins with both at once.
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                break
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.process.kill()
                    log = self.log.read_text(errors="replace")
                    raise AssertionError(f"coturn does not listen:\n{log}") from None
                time.sleep(0.05)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
