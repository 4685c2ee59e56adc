#!/usr/bin/env python3
"""What the web transports of Waxwing cost beside TCP, and a large file beside the disk.

    LOAD=target/release/examples/load WAXWING=target/release/waxwing benches/peers/web.py [--rounds N] [--directory DIR]

Chat without an archive over TCP with STARTTLS and over WebSocket with TLS, idle connections over both and over BOSH
(each with one request that is held), and one file that is uploaded and downloaded again. Round by round, each from a
fresh server. The limit for the file is that of the same disk in the same run: as many bytes written and synced by a
program that does nothing else.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import socket
import statistics
import sys
import tempfile
import time

import run
from servers import Waxwing


class Web(Waxwing):
    """With a port for HTTPS."""

    def prepare(self):
        command, environment = super().prepare()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.https = free.getsockname()[1]
        text = self.config.read_text().replace("https = []", f'https = ["127.0.0.1:{self.https}"]')
        text += '[files]\nmax_size = "2 GiB"\nquota = "4 GiB"\nper_day = "8 GiB"\n'
        self.config.write_text(text)
        return command, environment


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--directory", help="where the server keeps its data: the disk to measure")
    parser.add_argument("--idle", type=int, default=2000, help="idle clients")
    parser.add_argument("--rest", type=int, default=90, help="seconds that idle clients are watched; a request is held for 60")
    parser.add_argument("--only", default="", help="only modes whose name contains this")
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--mebibytes", type=int, default=1024, help="size of the file")
    args = parser.parse_args()
    found = {}
    modes = {
        "chat over TCP": ("tcp", f"chat --messages {args.messages}", 200),
        "chat over WebSocket": ("websocket", f"chat --messages {args.messages}", 200),
        "idle over TCP": ("tcp", f"idle --count {args.idle} --settle {args.rest}", args.idle),
        "idle over WebSocket": ("websocket", f"idle --count {args.idle} --settle {args.rest}", args.idle),
        "idle over BOSH": ("bosh", f"idle --count {args.idle} --settle {args.rest}", args.idle),
        "file": ("tcp", f"files --mebibytes {args.mebibytes}", 1),
    }
    for number in range(args.rounds):
        for name, (transport, options, accounts) in modes.items():
            if args.only not in name:
                continue
            with tempfile.TemporaryDirectory(prefix="web-", dir=args.directory) as folder:
                figures = measure(pathlib.Path(folder), transport, options, accounts)
                if name == "file":
                    figures["disk_mib_per_second"] = disk_speed(folder, args.mebibytes)
            found.setdefault(name, []).append(figures)
            print(f"round {number + 1} of {args.rounds}: {name} done", file=sys.stderr)
    if args.only:
        print(json.dumps(found, indent=1))
    else:
        show(found, args)


def measure(folder, transport, options, accounts):
    server = Web(folder, accounts, run.SERVER_CORE)
    server.start()
    try:
        if options.startswith("files"):
            options += f" --https 127.0.0.1:{server.https}"
        if transport != "tcp":
            server.port = server.https
        return run.load(server, ["--transport", transport, *options.split()])
    finally:
        server.stop()


def disk_speed(folder, mebibytes):
    """MiB a second of a program that writes and syncs."""
    piece = os.urandom(1 << 20)
    begun = time.perf_counter()
    with open(pathlib.Path(folder) / "limit", "wb") as file:
        for _ in range(mebibytes):
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    return mebibytes / (time.perf_counter() - begun)


def show(found, args):
    def median(name, figure):
        return statistics.median(each[figure] for each in found[name])

    print(f"Measured {datetime.date.today()} on {run.cpu()}, Linux {platform.release()}; "
          f"medians of {args.rounds} round(s).\n")
    print("| | TCP | WebSocket | BOSH |\n|---|---:|---:|---:|")
    chats = ["chat over TCP", "chat over WebSocket"]
    cpu = [median(name, "server_cpu_seconds_per_10000") for name in chats]
    rate = [median(name, "messages_per_second") for name in chats]
    print(f"| 10,000 messages, s of server CPU | {cpu[0]:.3f} | {cpu[1]:.3f} ({cpu[1] / cpu[0]:.2f} times) | |")
    print(f"| messages per second | {rate[0]:.0f} | {rate[1]:.0f} | |")
    idle = [median(f"idle over {name}", "rss_kib_per_connection") for name in ("TCP", "WebSocket", "BOSH")]
    print(f"| idle client of {args.idle}, KiB (RSS) | " + " | ".join(f"{each:.1f}" for each in idle) + " |")
    rest = [
        median(f"idle over {name}", "server_cpu_seconds") * 60_000 / args.rest for name in ("TCP", "WebSocket", "BOSH")]
    print(f"| all {args.idle} idle clients, ms of server CPU in a minute | " + " | ".join(f"{each:.0f}" for each in rest) + " |\n")
    print(f"| a file of {args.mebibytes} MiB | MiB a second | s of server CPU |\n|---|---:|---:|")
    print(f"| written and synced by a program that does nothing else | {median('file', 'disk_mib_per_second'):.0f} | |")
    for what in ("upload", "download"):
        speed, used = median("file", f"{what}_mib_per_second"), median("file", f"{what}_server_cpu_seconds")
        print(f"| {what} over TLS | {speed:.0f} | {used:.1f} |")
    memory = [median("file", f"rss_kib_{when}") / 1024 for when in ("before", "uploaded", "downloaded")]
    print("\nMemory of the server (RSS) before, after the upload, after the download: "
          + ", ".join(f"{each:.1f}" for each in memory) + " MiB.")


if __name__ == "__main__":
    main()
