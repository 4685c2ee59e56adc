"""What it costs to talk to other servers: Waxwing, Prosody and ejabberd, each with a second one of its kind.

    benches/peers/federation.sh [--quick] [--rounds N] [--servers NAME,...] [--only MODE,...] [--json FILE]

Modes:
  pairs    100 pairs of users of two servers talk over one link with TLS, in both directions: messages per CPU second of each
           server. Certificates, no archives.
  domains  One user writes to somebody at each of 1,000 domains, all of which a small server of this program plays: memory for
           each idle link, and the time to reach all, also after a restart.
  echo     Waxwing alone: an external component passes messages on. Stanzas per CPU second.

The load is made by `examples/load` on one core; the servers are on the other one. ($LOAD and $WAXWING name the programs.)
"""

import argparse
import asyncio
import base64
import json
import os
import pathlib
import re
import ssl
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "tests" / "clients"))

from names import Authority, Names  # noqa: E402
from other_servers import PASSWORD, SERVERS  # noqa: E402
from server import free_ports  # noqa: E402

ONE, OTHER, MANY = "montague.example", "capulet.example", "many.example"
SERVER_CORE, LOAD_CORE = "0", "1"
DOMAIN_SECONDS = 300


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the load, to see whether it works")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--servers", default="waxwing,prosody,ejabberd")
    parser.add_argument("--only", default="pairs,domains,echo")
    parser.add_argument("--json", help="write the figures here, too")
    args = parser.parse_args()
    args.waxwing, args.load = os.environ["WAXWING"], os.environ["LOAD"]
    figures = {}
    for number in range(args.rounds):
        for mode in args.only.split(","):
            for name in args.servers.split(","):
                if mode == "echo" and name != "waxwing":
                    continue
                found = MODES[mode](args, name)
                print(f"round {number + 1}, {mode}, {name}: " + ", ".join(f"{k} {v:,.2f}" for k, v in found.items()), flush=True)
                for what, value in found.items():
                    figures.setdefault(mode, {}).setdefault(what, {}).setdefault(name, []).append(value)
    for mode, rows in figures.items():
        names = list(dict.fromkeys(name for row in rows.values() for name in row))
        print(f"\n| {mode} (median of {args.rounds}) | {' | '.join(names)} |\n|{'---|' * (len(names) + 1)}")
        for what, row in rows.items():
            values = [f"{statistics.median(row[name]):,.2f}" if name in row else "" for name in names]
            print(f"| {what} | {' | '.join(values)} |")
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(figures, indent=1))


def servers(args, folder, name, domains, users, names, more=""):
    """Makes these servers, of one kind, which trust one authority."""
    authority = Authority(folder, True)
    made = []
    for domain in domains:
        server = SERVERS[name](folder, domain, names, None, authority, args.waxwing)
        server.is_watched = False
        if name == "waxwing":
            server.more = more
        server.prepare(users, "certificates")
        made.append(server)
    return authority, made


def start(server):
    server.start()
    for task in pathlib.Path(f"/proc/{server.process.pid}/task").iterdir():
        subprocess.run(["taskset", "-cp", SERVER_CORE, task.name], check=True, stdout=subprocess.DEVNULL)


def load(args, server, *options):
    command = ["taskset", "-c", LOAD_CORE, args.load, "--json", "--server", f"127.0.0.1:{server.c2s}", "--domain", server.domain,
               "--pid", str(server.process.pid), *options]
    done = subprocess.run(command, text=True, capture_output=True, timeout=600)
    if done.returncode != 0:
        raise SystemExit(f"{server.name}: {' '.join(options)}: {done.stderr.strip()}\n{server.tail()}")
    return json.loads(done.stdout)


def pairs(args, name):
    messages = 10_000 if args.quick else 100_000
    with tempfile.TemporaryDirectory(prefix="waxwing-federation-") as folder:
        users = [f"load{number}" for number in range(1, 101)]
        _, (one, other) = servers(args, folder, name, (ONE, OTHER), users, Names())
        try:
            start(one)
            start(other)
            found = load(
                args, one, "across", "--other", f"127.0.0.1:{other.c2s}", "--other-domain", OTHER,
                "--other-pid", str(other.process.pid), "--messages", str(messages))
        finally:
            one.stop()
            other.stop()
    cpu = found["server_cpu_seconds"] + found["other_cpu_seconds"]
    return {
        "messages per CPU second of a server": 2 * found["messages"] / cpu,
        "messages per second": found["messages_per_second"],
        "median latency, ms": found["latency_p50_ms"],
        "CPU share of the load": found["own_cpu_share"],
    }


def echo(args, name):
    messages = 20_000 if args.quick else 200_000
    port, = free_ports(1)
    more = f'[[component]]\ndomain = "echo.{ONE}"\nsecret = "secret"\n[listen]\ncomponents = ["127.0.0.1:{port}"]\n'
    with tempfile.TemporaryDirectory(prefix="waxwing-federation-") as folder:
        users = [f"load{number}" for number in range(1, 41)]
        _, (server,) = servers(args, folder, name, (ONE,), users, Names())
        # One section of a name: the ports are there already.
        text = server.config.read_text().replace("[listen]\n", f'[listen]\ncomponents = ["127.0.0.1:{port}"]\n')
        server.config.write_text(text + more.split("[listen]")[0])
        try:
            start(server)
            found = load(
                args, server, "component", "--component", f"127.0.0.1:{port}", "--component-domain", f"echo.{ONE}",
                "--messages", str(messages))
        finally:
            server.stop()
    return {
        "stanzas per CPU second": found["stanzas_per_cpu_second"],
        "stanzas per second": found["stanzas_per_second"],
        "CPU share of the load": found["own_cpu_share"],
    }


class ManyNames(Names):
    """Knows each domain below `many.example`, too."""

    def answer(self, question):
        name = question.question[0].name.to_text().rstrip(".").lower()
        domain = name.removeprefix("_xmpp-server._tcp.")
        if domain.endswith(f".{MANY}"):
            self.ports[domain] = self.many
            try:
                return super().answer(question)
            finally:
                del self.ports[domain]
        return super().answer(question)


class Peers:
    """Plays the servers of many domains: takes streams and logins by certificate, and counts the messages."""

    def __init__(self, paths):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(paths[0], paths[1])
        # The name in it is not looked at.
        self.context.verify_mode = ssl.CERT_NONE
        self.reached, self.wanted, self.all = set(), 0, asyncio.Event()

    async def listen(self):
        self.listener = await asyncio.start_server(self.serve, "127.0.0.1", 0, backlog=2000)
        return self.listener.sockets[0].getsockname()[1]

    def want(self, count):
        self.reached, self.wanted = set(), count
        self.all.clear()

    async def serve(self, reader, writer):
        try:
            await self.talk(reader, writer)
        except (OSError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.close()

    async def talk(self, reader, writer):
        text, to, stage = "", "", 0
        features = (
            "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>",
            "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms>"
            "<dialback xmlns='urn:xmpp:features:dialback'/>",
            "")
        while True:
            part = await reader.read(65536)
            if not part:
                return
            text += part.decode(errors="replace")
            if found := re.search(r"<stream:stream[^>]*>", text):
                to = re.search(r"""\bto=["']([^"']*)""", found[0])[1]
                text = text[found.end():]
                writer.write((
                    "<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' "
                    f"xmlns:stream='http://etherx.jabber.org/streams' id='{id(reader)}' from='{to}' to='{ONE}' version='1.0'>"
                    f"<stream:features>{features[stage]}</stream:features>").encode())
            if "<starttls" in text:
                text, stage = "", 1
                writer.write(b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
                await writer.start_tls(self.context)
            elif re.search(r"<auth\b.*?(</auth>|/>)", text):
                text, stage = "", 2
                writer.write(b"<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
            while found := re.search(r"<message\b.*?</message>", text, re.DOTALL):
                text = text[found.end():]
                self.reached.add(to)
                if len(self.reached) >= self.wanted:
                    self.all.set()


class User:
    """A client that logs in by PLAIN, and writes."""

    async def __aenter__(self):
        return self

    async def login(self, server):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", server.c2s)
        header = (
            f"<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
            f"to='{server.domain}' version='1.0'>").encode()
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        await self.ask(header, "</stream:features>")
        await self.ask(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "<proceed")
        await self.writer.start_tls(context)
        await self.ask(header, "</stream:features>")
        plain = base64.b64encode(f"\0load1\0{PASSWORD}".encode()).decode()
        await self.ask(f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain}</auth>".encode(), "<success")
        await self.ask(header, "</stream:features>")
        await self.ask(b"<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>", "</iq>")

    async def ask(self, said, wanted):
        self.writer.write(said)
        heard = ""
        while wanted not in heard:
            part = await asyncio.wait_for(self.reader.read(65536), 30)
            if not part:
                raise SystemExit(f"no {wanted}: {heard}")
            heard += part.decode(errors="replace")

    async def __aexit__(self, *_):
        self.writer.transport.abort()


def domains(args, name):
    return asyncio.run(many_domains(args, name))


async def many_domains(args, name):
    count = 100 if args.quick else 1000
    with tempfile.TemporaryDirectory(prefix="waxwing-federation-") as folder:
        names = ManyNames()
        authority, (server,) = servers(args, folder, name, (ONE,), ["load1"], names)
        paths, _ = authority.issue(MANY)
        peers = Peers(paths)
        names.many = await peers.listen()
        found = {}
        try:
            for what in ("seconds to reach all", "seconds to reach all after a restart"):
                await asyncio.to_thread(start, server)
                await asyncio.sleep(2)
                before = memory(server.process.pid)
                async with User() as user:
                    await user.login(server)
                    began = time.monotonic()
                    peers.want(count)
                    for number in range(count):
                        to = f"somebody@d{number}.{MANY}"
                        user.writer.write(f"<message to='{to}' type='chat'><body>hi</body></message>".encode())
                    try:
                        await asyncio.wait_for(peers.all.wait(), DOMAIN_SECONDS)
                    except asyncio.TimeoutError:
                        print(f"{name}: only {len(peers.reached)} of {count} were reached in {DOMAIN_SECONDS} s", flush=True)
                    found[what] = time.monotonic() - began
                    await asyncio.sleep(5)
                    found.setdefault("KiB for each idle link", (memory(server.process.pid) - before) / count)
                await asyncio.to_thread(server.stop)
        finally:
            server.stop()
            peers.listener.close()
    return found


def memory(pid):
    """KiB, shared pages by their share, of a process and its children."""
    children = subprocess.run(["pgrep", "-P", str(pid)], text=True, capture_output=True).stdout.split()
    rollups = (pathlib.Path(f"/proc/{one}/smaps_rollup").read_text() for one in (str(pid), *children))
    return sum(int(re.search(r"^Pss: +(\d+)", rollup, re.MULTILINE)[1]) for rollup in rollups)


MODES = {"pairs": pairs, "domains": domains, "echo": echo}

if __name__ == "__main__":
    main()
