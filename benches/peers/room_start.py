#!/usr/bin/env python3
"""How long Waxwing takes to start with many rooms on the disk, beside an empty database.

    WAXWING=target/release/waxwing benches/peers/room_start.py [--rooms N] [--members N] [--rounds N]

The rooms are persistent and empty, each with an owner and members, written into the database while no server runs.
The time is that from the start of the process until the port for clients answers.
"""

import argparse
import pathlib
import sqlite3
import statistics
import subprocess
import tempfile
import time

from servers import DOMAIN, Waxwing


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rooms", type=int, default=100_000)
    parser.add_argument("--members", type=int, default=5, help="members of each room")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--directory", help="where the servers keep their data: the disk to measure")
    args = parser.parse_args()
    print("| rooms | start, ms (median; least to most) | RSS, MiB |\n|---:|---:|---:|")
    for rooms in (0, args.rooms):
        with tempfile.TemporaryDirectory(prefix="rooms-", dir=args.directory) as folder:
            server = Waxwing(folder, 1, "0", rooms=True)
            server.start()
            server.stop()
            write(pathlib.Path(folder) / "data", rooms, args.members)
            times = [started(server) for _ in range(args.rounds)]
        millis = [each * 1000 for each, _ in times]
        memory = statistics.median(rss for _, rss in times) / 1024
        print(f"| {rooms:,} | {statistics.median(millis):.0f} ({min(millis):.0f} to {max(millis):.0f}) | {memory:.1f} |")


def started(server):
    """Seconds until the server answers, and KiB of its memory then."""
    begun = time.perf_counter()
    process = subprocess.Popen(
        [server.program, "serve", "--config", str(server.config)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    while not server.is_listening():
        if process.poll() is not None:
            raise SystemExit("the server does not start")
        time.sleep(0.001)
    took = time.perf_counter() - begun
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    rss = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    process.terminate()
    process.wait(30)
    return took, int(rss.split()[1])


def write(data, rooms, members):
    """Writes rooms as the server does; see schema/sqlite/0015_rooms.sql."""
    database = sqlite3.connect(data / "waxwing.sqlite")
    domain, now = f"conference.{DOMAIN}", time.time_ns() // 1000
    (last,) = database.execute("SELECT coalesce(max(number), 0) FROM owner").fetchone()
    for number in range(last + 1, last + 1 + rooms):
        jid = f"room{number}@{domain}"
        database.execute("INSERT INTO owner (number, jid, domain) VALUES (?, ?, ?)", (number, jid, domain))
        database.execute(
            "INSERT INTO room (owner, jid, domain, creator, created, is_public, is_persistent, is_awake, language, "
            "name, description, searched, settings) VALUES (?, ?, ?, ?, ?, 1, 1, 0, '', ?, '', ?, '{\"is_persistent\":true}')",
            (number, jid, domain, f"load1@{DOMAIN}", now, f"Room {number}", f"room{number} room {number}"),
        )
        people = [(number, f"member{each}@{DOMAIN}", 3 if each else 1, now, each + 1) for each in range(members)]
        database.executemany(
            "INSERT INTO room_member (owner, jid, affiliation, since, version) VALUES (?, ?, ?, ?, ?)", people)
    database.commit()
    database.close()


if __name__ == "__main__":
    main()
