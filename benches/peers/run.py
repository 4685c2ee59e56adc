"""Measures servers side by side. Called by run.sh.

Each server runs alone, pinned to the first core; the load runs on the second. All speak
STARTTLS with the same kind of key (ECDSA P-256), the same key exchange and SCRAM-SHA-1.
"""

import argparse
import dataclasses
import datetime
import json
import math
import os
import pathlib
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from servers import SERVERS, PASSWORD, PREFIX

SERVER_CORE, LOAD_CORE = "0", "1"
OURS = "waxwing"

FULL = {"rounds": 3, "logins": 2000, "pairs": 100, "messages": 100_000, "seconds": 60,
        "online": 100, "contacts": 20, "updates": 20_000,
        "crowd": 300, "copied": 50_000, "items": 1000, "phone": 600, "woken": 10,
        # A hall of 5,000 takes a server that shows everybody to everybody a quarter of an hour to fill.
        "rooms": 10, "occupants": 50, "said": 20_000, "hall": 1000, "told": 100,
        "idle": 2000, "settle": 10,
        "archived": 200_000, "archived_seconds": 15, "archive": 4000, "read_seconds": 10,
        "offline": 50_000, "offline_seconds": 15, "rate": 300, "ack_seconds": 20}
QUICK = {"rounds": 1, "logins": 300, "pairs": 100, "messages": 20_000, "seconds": 20,
         "online": 100, "contacts": 20, "updates": 5000,
         "crowd": 300, "copied": 10_000, "items": 200, "phone": 60, "woken": 3,
         "rooms": 10, "occupants": 20, "said": 2000, "hall": 500, "told": 20,
         "idle": 300, "settle": 3,
         "archived": 20_000, "archived_seconds": 5, "archive": 1000, "read_seconds": 3,
         "offline": 4000, "offline_seconds": 5, "rate": 300, "ack_seconds": 5}


@dataclasses.dataclass
class Mode:
    """What is asked of the load."""

    options: str
    # Whether the server archives.
    archive: bool = False
    # Whether it is measured unless it is named: not all servers can do it.
    always: bool = True
    # Whether the server has rooms.
    rooms: bool = False
    # Whether bare TLS handshakes are measured beside it.
    handshakes: bool = False
    # Sizes whose product is the number of accounts; without them, as many as any other mode needs.
    accounts: tuple = ()


MODES = {
    "logins": Mode("logins --count {logins}", handshakes=True),
    "logins-sasl2": Mode("--mechanism sasl2-scram-sha-1 logins --count {logins}", always=False,
                         handshakes=True),
    "logins-token": Mode("--mechanism sasl2-token logins --count {logins}", always=False,
                         handshakes=True),
    "chat": Mode("chat --pairs {pairs} --messages {messages} --seconds {seconds}"),
    "presence": Mode("presence --accounts {online} --contacts {contacts} --updates {updates} "
                     "--seconds {seconds}"),
    "presence-pep": Mode("presence --pep --accounts {crowd} --contacts {contacts} --updates {updates} "
                         "--seconds {seconds}", always=False),
    "devices-1": Mode("devices --devices 1 --messages {copied}", always=False),
    "devices-3": Mode("devices --devices 3 --messages {copied}", always=False),
    "events": Mode("events --contacts {online} --items {items}", always=False),
    "events-messages": Mode("events --as-messages --contacts {online} --items {items}", always=False),
    "phone": Mode("phone --seconds {phone}", always=False),
    "phone-csi": Mode("phone --csi --seconds {phone}", always=False),
    "push": Mode("push --rounds {woken}", archive=True, always=False),
    "push-resumable": Mode("push --resumable --rounds {woken}", archive=True, always=False),
    "rooms": Mode(
        "rooms --rooms {rooms} --occupants {occupants} --messages {said} --seconds {seconds}",
        archive=True, always=False, rooms=True, accounts=("rooms", "occupants")),
    "room-large": Mode(
        "rooms --rooms 1 --occupants {hall} --messages {told} --window 1 --seconds {seconds}",
        archive=True, always=False, rooms=True, accounts=("hall",)),
    "room-join": Mode("room-join --occupants {hall}", archive=True, always=False, rooms=True,
                      accounts=("hall",)),
    "idle": Mode("idle --count {idle} --warm 5 --settle {settle}"),
    "idle-modern": Mode("idle --modern --count {idle} --warm 5 --settle {settle}", always=False),
    "archived": Mode("chat --pairs {pairs} --messages {archived} --seconds {archived_seconds}",
                     archive=True),
    "archived-sm": Mode(
        "chat --sm --pairs {pairs} --messages {archived} --seconds {archived_seconds}",
        archive=True),
    "pages": Mode("pages --clients 4 --messages {archive} --max 50 --seconds {read_seconds}",
                  archive=True),
    "offline": Mode("offline --pairs {pairs} --messages {offline} --seconds {offline_seconds}",
                    archive=True),
    "acks": Mode("acks --pairs {pairs} --rate {rate} --seconds {ack_seconds}", archive=True),
}


@dataclasses.dataclass
class Row:
    """A row of a table: what it is called, and which figure of which mode it shows."""

    label: str
    mode: str
    figure: str
    form: str
    # +1: more is better; -1: less is better; 0: neither.
    better: int = 0

    def show(self, value):
        return f"{value / 1024:.1f}" if self.form == "mib" else self.form.format(value)


PLAIN_ROWS = [
    Row("login, ms of server CPU", "logins", "server_cpu_ms_per_login", "{:.2f}", -1),
    Row("login by XEP-0388 and XEP-0386, ms of server CPU", "logins-sasl2",
        "server_cpu_ms_per_login", "{:.2f}", -1),
    Row("login by token (XEP-0484), ms of server CPU", "logins-token",
        "server_cpu_ms_per_login", "{:.2f}", -1),
    Row("a bare TLS handshake beside it, ms of server CPU", "logins", "handshake_cpu_ms", "{:.2f}"),
    Row("login, in such handshakes", "logins", "login_in_handshakes", "{:.2f}", -1),
    Row("login by XEP-0388 and XEP-0386, in handshakes", "logins-sasl2", "login_in_handshakes",
        "{:.2f}", -1),
    Row("login by token (XEP-0484), in handshakes", "logins-token", "login_in_handshakes", "{:.2f}", -1),
    Row("logins per second", "logins", "logins_per_second", "{:.0f}", 1),
    Row("login, load's share of its core", "logins", "own_cpu_share", "{:.0%}"),
    Row("10,000 messages, s of server CPU", "chat", "server_cpu_seconds_per_10000", "{:.2f}", -1),
    Row("messages per second", "chat", "messages_per_second", "{:.0f}", 1),
    Row("message, median ms", "chat", "latency_p50_ms", "{:.1f}", -1),
    Row("message, 99th percentile ms", "chat", "latency_p99_ms", "{:.1f}", -1),
    Row("chat, load's share of its core", "chat", "own_cpu_share", "{:.0%}"),
    Row("presence, updates per second", "presence", "updates_per_second", "{:.0f}", 1),
    Row("100,000 presences delivered, s of server CPU", "presence",
        "server_cpu_seconds_per_100000", "{:.2f}", -1),
    Row("presence, load's share of its core", "presence", "own_cpu_share", "{:.0%}"),
    Row("with PEP in use, presence updates per second", "presence-pep", "updates_per_second",
        "{:.0f}", 1),
    Row("with PEP in use, 100,000 presences delivered, s of server CPU", "presence-pep",
        "server_cpu_seconds_per_100000", "{:.2f}", -1),
    Row("10,000 messages to one device, s of server CPU", "devices-1",
        "server_cpu_seconds_per_10000", "{:.2f}", -1),
    Row("10,000 messages to three devices, s of server CPU", "devices-3",
        "server_cpu_seconds_per_10000", "{:.2f}", -1),
    Row("10,000 events delivered (XEP-0163), s of server CPU", "events",
        "server_cpu_seconds_per_10000", "{:.2f}", -1),
    Row("as many messages, s of server CPU", "events-messages", "server_cpu_seconds_per_10000",
        "{:.2f}", -1),
    Row("idle phone, KiB an hour", "phone", "bytes_per_hour", "mib", -1),
    Row("idle phone, radio awake", "phone", "awake_share", "{:.0%}", -1),
    Row("idle phone, wake-ups an hour", "phone", "wake_ups_per_hour", "{:.0f}", -1),
    Row("idle phone with XEP-0352, KiB an hour", "phone-csi", "bytes_per_hour", "mib", -1),
    Row("idle phone with XEP-0352, radio awake", "phone-csi", "awake_share", "{:.0%}", -1),
    Row("idle phone with XEP-0352, wake-ups an hour", "phone-csi", "wake_ups_per_hour", "{:.0f}",
        -1),
    Row("idle connection, KiB (RSS)", "idle", "rss_kib_per_connection", "{:.1f}", -1),
    Row("idle connection, KiB (PSS)", "idle", "pss_kib_per_connection", "{:.1f}", -1),
    Row("idle connection with XEP-0115, 0163, 0198, 0280, 0352, KiB (RSS)", "idle-modern",
        "rss_kib_per_connection", "{:.1f}", -1),
    Row("idle connection with XEP-0115, 0163, 0198, 0280, 0352, KiB (PSS)", "idle-modern",
        "pss_kib_per_connection", "{:.1f}", -1),
    Row("server before, MiB (RSS)", "idle", "server_rss_kib_before", "mib", -1),
    Row("server with idle connections, MiB (RSS)", "idle", "server_rss_kib", "mib", -1),
]


def chat_rows(what, mode):
    return [
        Row(f"{what}, messages per second", mode, "messages_per_second", "{:.0f}", 1),
        Row(f"{what}, s of server CPU for 10,000", mode, "server_cpu_seconds_per_10000",
            "{:.2f}", -1),
        Row(f"{what}, median ms", mode, "latency_p50_ms", "{:.1f}", -1),
        Row(f"{what}, 99th percentile ms", mode, "latency_p99_ms", "{:.1f}", -1),
        Row(f"{what}, server's share of its core", mode, "server_cpu_share", "{:.0%}"),
        Row(f"{what}, load's share of its core", mode, "own_cpu_share", "{:.0%}"),
    ]


ARCHIVE_ROWS = [
    *chat_rows("archived chat", "archived"),
    *chat_rows("with XEP-0198", "archived-sm"),
    Row("pages per second", "pages", "pages_per_second", "{:.0f}", 1),
    Row("page, ms of server CPU", "pages", "server_cpu_ms_per_page", "{:.2f}", -1),
    Row("page, median ms", "pages", "latency_p50_ms", "{:.1f}", -1),
    Row("page, KiB", "pages", "bytes_per_page", "mib"),
    Row("pages, load's share of its core", "pages", "own_cpu_share", "{:.0%}"),
    Row("offline, stored per second", "offline", "stored_per_second", "{:.0f}", 1),
    Row("offline, ms of server CPU to store one", "offline", "server_cpu_ms_per_stored",
        "{:.2f}", -1),
    Row("offline, delivered per second", "offline", "delivered_per_second", "{:.0f}", 1),
    Row("offline, ms of server CPU to deliver one", "offline", "server_cpu_ms_per_delivered",
        "{:.2f}", -1),
    Row("acknowledgement, median ms", "acks", "latency_p50_ms", "{:.1f}", -1),
    Row("acknowledgement, 99th percentile ms", "acks", "latency_p99_ms", "{:.1f}", -1),
    Row("acknowledgement, maximum ms", "acks", "latency_max_ms", "{:.1f}", -1),
    Row("at that rate, sender to recipient, median ms", "acks", "arrival_p50_ms", "{:.1f}", -1),
    Row("at that rate, sender to recipient, 99th percentile ms", "acks", "arrival_p99_ms", "{:.1f}",
        -1),
    Row("at that rate, us of server CPU for a message", "acks", "server_cpu_us_per_message",
        "{:.0f}", -1),
    Row("acknowledgement, server's share of its core", "acks", "server_cpu_share", "{:.0%}"),
    Row("message to its push, median ms", "push", "latency_p50_ms", "{:.2f}", -1),
    Row("message to its push, 99th percentile ms", "push", "latency_p99_ms", "{:.2f}", -1),
    Row("message to a session that waits, to its push, median ms", "push-resumable",
        "latency_p50_ms", "{:.2f}", -1),
    Row("message to a session that waits, to its push, 99th percentile ms", "push-resumable",
        "latency_p99_ms", "{:.2f}", -1),
    Row("rooms, messages delivered per second", "rooms", "delivered_per_second", "{:.0f}", 1),
    Row("rooms, s of server CPU for 100,000 delivered", "rooms", "server_cpu_seconds_per_100000",
        "{:.2f}", -1),
    Row("rooms, a delivery, median ms", "rooms", "latency_p50_ms", "{:.1f}", -1),
    Row("rooms, a delivery, 99th percentile ms", "rooms", "latency_p99_ms", "{:.1f}", -1),
    Row("rooms, load's share of its core", "rooms", "own_cpu_share", "{:.0%}"),
    Row("large room, until half have a message, median ms", "room-large", "half_p50_ms", "{:.1f}", -1),
    Row("large room, until all have it, median ms", "room-large", "slowest_p50_ms", "{:.1f}", -1),
    Row("large room, s of server CPU for 100,000 delivered", "room-large",
        "server_cpu_seconds_per_100000", "{:.2f}", -1),
    Row("large room, s until all are in", "room-join", "seconds_until_all_are_in", "{:.1f}", -1),
    Row("large room, KiB that each is sent on entry", "room-join", "received_kib_per_occupant",
        "{:.0f}", -1),
    Row("large room, ms of server CPU for one to enter", "room-join", "server_cpu_ms_per_entry",
        "{:.2f}", -1),
]


def main():
    args = arguments()
    # Ends by SIGTERM as by Ctrl-C: the server is stopped on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sizes = dict(QUICK if args.quick else FULL)
    sizes["rounds"] = args.rounds or sizes["rounds"]
    results = Results(args.servers, sizes)
    for number in range(1, sizes["rounds"] + 1):
        # Round by round, so that a noisy neighbour does not hit one server only.
        for name in args.servers:
            with tempfile.TemporaryDirectory(prefix=f"peers-{name}-", dir=args.directory) as folder:
                measure(name, pathlib.Path(folder), args.only, results)
            print(f"round {number} of {sizes['rounds']}: {name} done", file=sys.stderr)
            if args.json:
                pathlib.Path(args.json).write_text(json.dumps(results.all(), indent=1) + "\n")
    text = results.text()
    if args.output:
        pathlib.Path(args.output).write_text(text)
    print(text, end="")
    if results.failed:
        sys.exit(f"failed: {', '.join(results.failed)}")


def arguments():
    def names(known):
        def check(text):
            for name in text.split(","):
                if name not in known:
                    raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(known)}")
            return text.split(",")
        return check

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one small round")
    parser.add_argument("--rounds", type=int, help="how often to measure each server")
    parser.add_argument("--servers", default=",".join(SERVERS), type=names(SERVERS),
                        help=f"some of {','.join(SERVERS)}")
    parser.add_argument("--only", default=",".join(m for m in MODES if MODES[m].always), type=names(MODES),
                        help=f"some of {','.join(MODES)}")
    parser.add_argument("--directory", help="where the servers keep their data: the disk to measure")
    parser.add_argument("--output", help="write the tables to this file, too")
    parser.add_argument("--json", help="write all figures to this file")
    return parser.parse_args()


def measure(name, folder, only, results):
    """Starts a fresh server for each mode, so that none inherits another's memory."""
    kind, sizes = SERVERS[name], results.sizes
    accounts = max(sizes["idle"], 2 * sizes["pairs"])
    for mode, what in MODES.items():
        if mode not in only or not (kind.can_archive() if what.archive else kind.is_plain):
            continue
        if what.archive:
            results.syncs.extend(sync_times(folder))
        place = folder / mode
        place.mkdir()
        needed = 2 * sizes["pairs"] if what.archive else accounts
        if what.accounts:
            needed = math.prod(sizes[size] for size in what.accounts)
        server = kind(place, needed, SERVER_CORE, archive=what.archive, rooms=what.rooms)
        try:
            server.start()
            results.versions[name] = server.version()
            bare = handshake(sizes["logins"]) if what.handshakes else {}
            found = load(server, what.options.format(**sizes).split()) | bare
            if bare:
                found["login_in_handshakes"] = found["server_cpu_ms_per_login"] / bare["handshake_cpu_ms"]
            found["disk_kib"] = occupied_kib(place)
            results.found[name][mode].append(found)
        except LoadFailed as failed:
            # An hour of measuring must not be lost for it.
            print(f"{name}, {mode}: {failed}", file=sys.stderr)
            results.failed.append(f"{name} {mode}")
        finally:
            server.stop()


class LoadFailed(Exception):
    """The load has not got to its end; the text says why."""


def load(server, options):
    command = [
        "taskset", "-c", LOAD_CORE, os.environ["LOAD"], "--json",
        "--server", f"127.0.0.1:{server.port}", "--pid", str(server.process.pid),
        "--prefix", PREFIX, "--password", PASSWORD, *options,
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    except subprocess.TimeoutExpired as late:
        raise LoadFailed("the load does not end") from late
    if done.returncode != 0:
        raise LoadFailed(f"load failed: {done.stderr}\n{server.tail()}")
    return json.loads(done.stdout)


def handshake(count):
    """What a bare TLS handshake costs a server without XMPP, on the same cores and in the same moment."""
    command = ["taskset", "-c", LOAD_CORE, os.environ["LIMITS"], "--json", "--handshakes-only",
               "--handshakes", str(count), "--server-core", SERVER_CORE]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    except subprocess.TimeoutExpired as late:
        raise LoadFailed("the bare handshakes do not end") from late
    if done.returncode != 0:
        raise LoadFailed(f"bare handshakes failed: {done.stderr}")
    return json.loads(done.stdout)


def sync_times(folder):
    """Seconds that it takes to append 4 KiB to a file and have them on the disk, many times."""
    path, times = folder / "sync", []
    file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    for _ in range(100):
        os.write(file, os.urandom(4096))
        begun = time.perf_counter()
        os.fsync(file)
        times.append(time.perf_counter() - begun)
    os.close(file)
    path.unlink()
    return times


def occupied_kib(folder):
    done = subprocess.run(["du", "-sk", folder], capture_output=True, text=True)
    return int(done.stdout.split()[0]) if done.stdout else 0


class Results:
    """All figures of all rounds, and the tables made of them."""

    def __init__(self, servers, sizes):
        self.sizes = sizes
        self.found = {name: {mode: [] for mode in MODES} for name in servers}
        self.versions = {}
        # Seconds of one fsync each.
        self.syncs = []
        # Servers and modes that the load failed with; their rounds are missing in the medians.
        self.failed = []

    def all(self):
        return {"sizes": self.sizes, "failed": self.failed, "versions": self.versions, "fsync_seconds": self.syncs,
                "found": self.found}

    def text(self):
        sizes = self.sizes
        parts = [
            f"Measured {datetime.date.today()} on {cpu()}, Linux {platform.release()}; "
            f"medians of {sizes['rounds']} round(s).\n",
        ]
        if self.failed:
            parts.append(f"**Failed, and not in the medians:** {', '.join(self.failed)}.\n")
        if self.has(PLAIN_ROWS):
            parts.append(
                "**Without an archive**: {logins} logins (8 at once), {messages} messages of 100 "
                "bytes in {pairs} pairs (window 8), {updates} changes of presence, each to {contacts} "
                "contacts, {idle} idle connections.\n".format(**sizes))
            parts.append(self.table(PLAIN_ROWS))
        if self.has(ARCHIVE_ROWS):
            parts.append(
                "**With an archive**: chat of {archived_seconds} s in {pairs} pairs (window 8, "
                "messages of 100 bytes, {archived} at most); pages of 50 of {archive} messages, 4 "
                "clients, {read_seconds} s; {offline} messages to {pairs} absent accounts "
                "({offline_seconds} s at most); {rate} messages a second in {pairs} pairs for "
                "{ack_seconds} s.\n".format(**sizes) + self.disk())
            parts.append(self.table(ARCHIVE_ROWS))
        return "\n".join(parts)

    def has(self, rows):
        return any(self.found[name][row.mode] for name in self.found for row in rows)

    def disk(self):
        times = sorted(each * 1000 for each in self.syncs)
        if not times:
            return ""
        median, high = statistics.median(times), times[len(times) * 99 // 100]
        warning = " **That is no disk: fsync is not honoured here.**" if median < 0.02 else ""
        return (f"An fsync of 4 KiB in the same directory: median {median:.2f} ms, 99th "
                f"percentile {high:.2f} ms ({len(times)} times).{warning}\n")

    def table(self, rows):
        modes = {row.mode for row in rows}
        names = [name for name in self.found if any(self.found[name][mode] for mode in modes)]
        archive = any(MODES[mode].archive for mode in modes)
        peers = [name for name in names if not name.startswith(OURS) and (SERVERS[name].syncs or not archive)]
        compares = OURS in names and bool(peers)
        last = [f"{OURS} is better by"] if compares else []
        heads = [f"{name} {self.versions[name]}" for name in names]
        lines = ["| | " + " | ".join(heads + last) + " |",
                 "|---|" + "---:|" * len(heads + last)]
        if archive:
            kinds = [SERVERS[name] for name in names]
            for label, cells in [
                ("archive is kept in", [kind.keeps for kind in kinds]),
                ("on the disk when acknowledged", [kind.durable for kind in kinds]),
            ]:
                lines.append(f"| {label} | " + " | ".join(cells + [""] * len(last)) + " |")
        for row in rows:
            values = {name: self.median(name, row) for name in names}
            if all(value is None for value in values.values()):
                continue
            cells = ["–" if value is None else row.show(value) for value in values.values()]
            if compares:
                cells.append(ratio(row, values[OURS], [values[name] for name in peers]))
            lines.append(f"| {row.label} | " + " | ".join(cells) + " |")
        return "\n".join(lines) + "\n"

    def median(self, name, row):
        values = [each[row.figure] for each in self.found[name][row.mode] if row.figure in each]
        return statistics.median(values) if values else None


def ratio(row, ours, peers):
    """How many times better ours is than the best of the peers; below 1: worse."""
    peers = [value for value in peers if value]
    if row.better == 0 or not ours or not peers:
        return ""
    times = ours / max(peers) if row.better > 0 else min(peers) / ours
    return f"{times:.1f}" if times < 10 else f"{times:.0f}"


def cpu():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


if __name__ == "__main__":
    main()
