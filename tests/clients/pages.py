#!/usr/bin/env python3
"""The web pages in Chromium, at the widths of a computer and of a phone: an invitation, an account, its own page.

run.py runs this with the other clients. Alone, for pictures:

    tests/clients/pages.py target/debug/waxwing target/clients/browser/node_modules [folder]

node_modules has playwright-core, as tests/clients/run.sh installs it.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from server import Waxwing

# Width in pixels, and what prefers-color-scheme is.
WINDOWS = ((1280, "light"), (360, "light"), (360, "dark"))
INVITER = "escalus"


def check(server, chromium, modules, width, colors, pictures=None):
    """One visit. Raises what is wrong."""
    if not has_account(server, INVITER):
        order(server, "user", "add", INVITER, "--random")
    made = order(server, "invite", "create", "--inviter", INVITER)
    invitation = made["landing_url"].rsplit("/", 1)[1]
    environment = {**os.environ, "WAXWING_CHROMIUM": chromium, "WAXWING_NODE_MODULES": modules}
    if pictures:
        environment["WAXWING_SCREENSHOTS"] = str(pictures)
    command = [
        "node", str(pathlib.Path(__file__).with_name("pages.mjs")),
        f"https://localhost:{server.https}", str(width), colors, invitation, INVITER,
    ]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, f"exit code {done.returncode}: {done.stdout}{done.stderr}"


def has_account(server, name):
    command = [server.binary, "user", "show", name, "--config", str(server.config)]
    return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0


def order(server, *words):
    command = [server.binary, *words, "--json", "--config", str(server.config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
    return json.loads(done.stdout)


def main():
    binary, modules, *pictures = sys.argv[1:]
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    folder = pathlib.Path(pictures[0]).resolve() if pictures else None
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        server = Waxwing(place, binary)
        server.start()
        try:
            for width, colors in WINDOWS:
                check(server, chromium, str(pathlib.Path(modules).resolve()), width, colors, folder)
        finally:
            server.stop()
    print("ok")


if __name__ == "__main__":
    main()
