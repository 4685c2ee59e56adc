#!/usr/bin/env python3
"""The chat in the browser of a fresh server: `waxwing web-chat` puts Converse.js there with npm, `[static_files]` serves it,
and two users log in through it in Chromium and chat.

    tests/clients/web_chat.py target/debug/waxwing target/clients/browser/node_modules [picture.png]

node_modules has playwright-core, as tests/clients/run.sh installs them.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import server

ACCOUNTS = {"juliet": "beauteous", "romeo": "soldierly"}


class WithPage(server.Waxwing):
    """Waxwing that serves the page at /chat."""

    def configure(self):
        super().configure()
        site = self.folder / "site"
        command = [self.binary, "web-chat", str(site), "--config", str(self.config)]
        subprocess.run(command, check=True)
        with self.config.open("a") as config:
            config.write(f'[static_files]\npaths = {{ "/chat" = "{site}" }}\n')


def main():
    binary, modules, *picture = sys.argv[1:]
    modules = pathlib.Path(modules).resolve()
    with tempfile.TemporaryDirectory() as folder:
        waxwing = WithPage(folder, binary)
        waxwing.start()
        try:
            for user, password in ACCOUNTS.items():
                waxwing.add_account(user, password)
            environment = {
                **os.environ,
                "WAXWING_NODE_MODULES": str(modules),
                "WAXWING_CHROMIUM": shutil.which("chromium") or shutil.which("chromium-browser"),
            }
            script = pathlib.Path(__file__).with_name("web_chat.mjs")
            address = f"https://{server.DOMAIN}:{waxwing.https}/chat/"
            accounts = [word for account in ACCOUNTS.items() for word in account]
            command = ["node", str(script), address, server.DOMAIN, *accounts, *picture]
            subprocess.run(command, env=environment, check=True, timeout=300)
        finally:
            waxwing.stop()
    print("ok")


if __name__ == "__main__":
    main()
