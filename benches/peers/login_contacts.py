#!/usr/bin/env python3
"""What a login costs with many contacts whose nodes have items (XEP-0163), beside one without contacts.

    WAXWING=target/release/waxwing benches/peers/login_contacts.py [--contacts N] [--logins N] [--online]

Each contact has published an avatar's metadata, is offline (or online, with capabilities), and may be seen. A login is SASL
PLAIN over TLS, bind, the roster, and presence of a client that wants to hear of avatars: it ends when the last item of the last
contact has come, and its presence if it is online.
"""

import argparse
import base64
import os
import pathlib
import re
import socket
import sqlite3
import ssl
import statistics
import tempfile
import time

from servers import DOMAIN, PASSWORD, PREFIX, Waxwing

NODE = "urn:xmpp:avatar:metadata"
VER = "8F45SedAeGgjMY9+xBHkXbHaW9k="
PRESENCE = f"<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:example' ver='{VER}'/></presence>"


class Client:
    """As little of a client as is needed."""

    def __init__(self, port, user):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        raw = socket.create_connection(("127.0.0.1", port))
        self.socket, self.text = raw, ""
        self.open()
        self.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        self.until("<proceed[^>]*>")
        self.socket = context.wrap_socket(raw)
        self.open()
        secret = base64.b64encode(f"\0{user}\0{PASSWORD}".encode()).decode()
        self.send(f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{secret}</auth>")
        self.until("<success[^>]*>")
        self.open()
        self.send("<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
        self.until("</bind></iq>")

    def open(self):
        self.send(f"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='{DOMAIN}' version='1.0'>")
        self.until("</stream:features>")

    def send(self, text):
        self.socket.sendall(text.encode())

    def until(self, pattern, count=1):
        """Reads until the pattern has come so often. Returns what came up to then."""
        found, begin = 0, 0
        while True:
            # What was searched is not searched again: that would be most of the time that is measured.
            for match in re.finditer(pattern, self.text[begin:]):
                found, end = found + 1, begin + match.end()
            begin = end if found else 0
            if found >= count:
                break
            piece = self.socket.recv(1 << 16)
            if not piece:
                raise SystemExit(f"the server has closed the connection: {self.text[-300:]}")
            self.text += piece.decode()
        text, self.text = self.text, ""
        return text

    def close(self):
        self.send("</stream:stream>")
        self.socket.close()


class Befriended(Waxwing):
    """The first account has all others but the last one as contacts."""

    def prepare(self):
        prepared = super().prepare()
        befriend(self.folder / "data" / "waxwing.sqlite", len(self.users) - 2)
        return prepared


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contacts", type=int, default=1000)
    parser.add_argument("--logins", type=int, default=50)
    parser.add_argument("--online", action="store_true", help="the contacts are online")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="contacts-") as folder:
        server = Befriended(folder, args.contacts + 2, "0")
        server.start()
        try:
            online = []
            for number in range(2, args.contacts + 2):
                client = publish(server.port, f"{PREFIX}{number}")
                # What they are sent meanwhile fits into the buffers of their sockets.
                if args.online:
                    come_online(client)
                    online.append(client)
                else:
                    client.close()
            print("| contacts | items that come | ms until all is there (median) | ms of server CPU for a login |\n|---:|---:|---:|---:|")
            for user, contacts in ((f"{PREFIX}{args.contacts + 2}", 0), (f"{PREFIX}1", args.contacts)):
                presences = contacts if args.online else 0
                log_in(server.port, user, contacts, presences)
                before, times = cpu(server), []
                for _ in range(args.logins):
                    times.append(log_in(server.port, user, contacts, presences))
                used = (cpu(server) - before) / args.logins
                print(f"| {contacts:,} | {contacts:,} | {statistics.median(times) * 1000:.0f} | {used * 1000:.1f} |")
        finally:
            server.stop()


def befriend(path, contacts):
    """Writes rosters as the server does; see schema/sqlite/0001_init.sql."""
    database = sqlite3.connect(path)
    numbers = dict(database.execute("SELECT jid, number FROM owner"))
    one = f"{PREFIX}1@{DOMAIN}"
    pairs = [(one, f"{PREFIX}{number}@{DOMAIN}") for number in range(2, contacts + 2)]
    for owner in {one, *(other for _, other in pairs)}:
        database.execute("INSERT OR REPLACE INTO roster (owner, version) VALUES (?, 1)", (numbers[owner],))
    for owner, jid in pairs + [(b, a) for a, b in pairs]:
        columns = {"owner": numbers[owner], "jid": jid, "name": "", "groups": "[]", "subscription": 3,
                   "pending_out": 0, "approved": 0}
        for _, name, kind, is_needed, default, _ in database.execute("PRAGMA table_info(roster_item)"):
            if name not in columns and is_needed and default is None:
                columns[name] = 1 if kind in ("BIGINT", "BOOLEAN", "INTEGER") else ""
        names = ", ".join(f'"{name}"' for name in columns)
        database.execute(f"INSERT INTO roster_item ({names}) VALUES ({', '.join('?' * len(columns))})",
                         tuple(columns.values()))
    database.commit()
    database.close()


def publish(port, user):
    client = Client(port, user)
    client.send(f"<iq type='set' id='p'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='{NODE}'>"
                f"<item id='{'a' * 40}'><metadata xmlns='{NODE}'><info bytes='3' id='{'a' * 40}' type='image/png'/>"
                "</metadata></item></publish></pubsub></iq>")
    answer = client.until("<iq [^>]*id='p'[^>]*>")
    if "type='error'" in answer:
        raise SystemExit(answer)
    return client


def come_online(client):
    """Sends presence with capabilities, and says what they are if the server asks: so all of them are known afterwards."""
    client.send(PRESENCE + "<iq type='get' id='e'><ping xmlns='urn:xmpp:ping'/></iq>")
    tell_capabilities(client, client.until("<iq [^>]*id='e'[^>]*>"))


def tell_capabilities(client, came):
    """Answers the server's question in what came, if there is one. Whether there was."""
    asked = re.search("<iq [^>]*type='get'[^>]*>", came)
    if asked:
        number = re.search("id='([^']*)'", asked[0])[1]
        client.send(f"<iq type='result' id='{number}' to='{DOMAIN}'><query xmlns='http://jabber.org/protocol/disco#info' "
                    f"node='urn:example#{VER}'><feature var='{NODE}+notify'/></query></iq>")
    return asked is not None


def log_in(port, user, items, presences):
    """Seconds for a login."""
    begun = time.perf_counter()
    client = Client(port, user)
    client.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>" + PRESENCE)
    came = client.until("<presence [^>]*>")
    if not tell_capabilities(client, came) and items and "#event" not in came:
        more = client.until("<iq [^>]*type='get'[^>]*>|#event'")
        tell_capabilities(client, more)
        came += more
    for pattern, count in (("pubsub#event'", items), ("<presence [^>]*>", presences + 1)):
        left = count - len(re.findall(pattern, came))
        if left > 0:
            came += client.until(pattern, left)
    took = time.perf_counter() - begun
    client.close()
    return took


def cpu(server):
    fields = pathlib.Path(f"/proc/{server.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
