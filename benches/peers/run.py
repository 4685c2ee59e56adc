"""Measures servers side by side. Called by run.sh.

Each server runs alone, pinned to the first core; the load runs on the second. All speak
STARTTLS with the same kind of key (ECDSA P-256), the same key exchange and SCRAM-SHA-1.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import signal
import statistics
import subprocess
import sys
import tempfile

from servers import SERVERS, PASSWORD, PREFIX

SERVER_CORE, LOAD_CORE = "0", "1"

FULL = {"rounds": 3, "logins": 2000, "pairs": 100, "messages": 100_000, "seconds": 60,
        "idle": 2000, "settle": 10}
QUICK = {"rounds": 1, "logins": 300, "pairs": 100, "messages": 20_000, "seconds": 20,
         "idle": 300, "settle": 3}

# Row of the table, mode, figure, format.
ROWS = [
    ("login, ms of server CPU", "logins", "server_cpu_ms_per_login", "{:.2f}"),
    ("logins per second", "logins", "logins_per_second", "{:.0f}"),
    ("login, load's share of its core", "logins", "own_cpu_share", "{:.0%}"),
    ("10,000 messages, s of server CPU", "chat", "server_cpu_seconds_per_10000", "{:.2f}"),
    ("messages per second", "chat", "messages_per_second", "{:.0f}"),
    ("message, median ms", "chat", "latency_p50_ms", "{:.1f}"),
    ("message, 99th percentile ms", "chat", "latency_p99_ms", "{:.1f}"),
    ("chat, load's share of its core", "chat", "own_cpu_share", "{:.0%}"),
    ("idle connection, KiB (RSS)", "idle", "rss_kib_per_connection", "{:.1f}"),
    ("idle connection, KiB (PSS)", "idle", "pss_kib_per_connection", "{:.1f}"),
    ("server before, MiB (RSS)", "idle", "server_rss_kib_before", "mib"),
    ("server with idle connections, MiB (RSS)", "idle", "server_rss_kib", "mib"),
]


def main():
    args = arguments()
    # Ends by SIGTERM as by Ctrl-C: the server is stopped on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sizes = dict(QUICK if args.quick else FULL)
    sizes["rounds"] = args.rounds or sizes["rounds"]
    accounts = max(sizes["idle"], 2 * sizes["pairs"])
    found = {name: {"chat": [], "idle": [], "logins": []} for name in args.servers}
    versions = {}
    for number in range(1, sizes["rounds"] + 1):
        # Round by round, so that a noisy neighbour does not hit one server only.
        for name in args.servers:
            with tempfile.TemporaryDirectory(prefix=f"peers-{name}-") as folder:
                measure(name, pathlib.Path(folder), accounts, sizes, found[name], versions)
            print(f"round {number} of {sizes['rounds']}: {name} done", file=sys.stderr)
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(found, indent=1) + "\n")
    text = table(found, versions, sizes)
    if args.output:
        pathlib.Path(args.output).write_text(text)
    print(text, end="")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one small round")
    parser.add_argument("--rounds", type=int, help="how often to measure each server")
    parser.add_argument("--servers", default="waxwing,prosody,ejabberd",
                        type=lambda text: text.split(","))
    parser.add_argument("--output", help="write the table to this file, too")
    parser.add_argument("--json", help="write all figures to this file")
    return parser.parse_args()


def measure(name, folder, accounts, sizes, found, versions):
    """Starts a fresh server for each mode, so that none inherits another's memory."""
    modes = {
        "logins": ["logins", "--count", str(sizes["logins"])],
        "chat": ["chat", "--pairs", str(sizes["pairs"]), "--messages", str(sizes["messages"]),
                 "--seconds", str(sizes["seconds"])],
        "idle": ["idle", "--count", str(sizes["idle"]), "--warm", "5", "--settle",
                 str(sizes["settle"])],
    }
    for mode, options in modes.items():
        place = folder / mode
        place.mkdir()
        server = SERVERS[name](place, accounts, SERVER_CORE)
        try:
            server.start()
            versions[name] = server.version()
            found[mode].append(load(server, options))
        finally:
            server.stop()


def load(server, options):
    command = [
        "taskset", "-c", LOAD_CORE, os.environ["LOAD"], "--json",
        "--server", f"127.0.0.1:{server.port}", "--pid", str(server.process.pid),
        "--prefix", PREFIX, "--password", PASSWORD, *options,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        sys.exit(f"{server.name}: load failed: {done.stderr}\n{server.tail()}")
    return json.loads(done.stdout)


def table(found, versions, sizes):
    names = list(found)
    lines = [
        f"Measured {datetime.date.today()} on {cpu()}, Linux {platform.release()}; "
        f"medians of {sizes['rounds']} round(s): {sizes['logins']} logins (8 at once), "
        f"{sizes['messages']} messages of 100 bytes in {sizes['pairs']} pairs (window 8), "
        f"{sizes['idle']} idle connections.",
        "",
        "| | " + " | ".join(f"{name} {versions[name]}" for name in names) + " |",
        "|---|" + "---:|" * len(names),
    ]
    for label, mode, figure, form in ROWS:
        cells = []
        for name in names:
            value = statistics.median(each[figure] for each in found[name][mode])
            cells.append(f"{value / 1024:.1f}" if form == "mib" else form.format(value))
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def cpu():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


if __name__ == "__main__":
    main()
