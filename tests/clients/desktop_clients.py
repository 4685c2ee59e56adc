"""Clients with windows: how an account gets into each of them, and how its user speaks."""

import base64
import json
import shutil
import sqlite3
from xml.sax.saxutils import escape

from desktop_client import Desktop
from proxy import Proxy


class Pidgin(Desktop):
    """libpurple 2: rooms stand in its own list of contacts. By D-Bus its user does everything."""

    program = "pidgin"
    reads_bookmarks = False

    def command(self):
        return ["pidgin", "--config", str(self.home / "purple")]

    def prepare(self):
        peers = self.home / "purple/certificates/x509/tls_peers"
        peers.mkdir(parents=True)
        shutil.copy(self.server.ca, peers / "localhost")
        self.write("purple/accounts.xml", f"""<?xml version='1.0' encoding='UTF-8' ?>
<account version='1.0'><account>
<protocol>prpl-jabber</protocol><name>{self.bare}/Desk</name><password>{self.password}</password>
<settings>
<setting name='connect_server' type='string'>localhost</setting>
<setting name='port' type='int'>{self.server.c2s}</setting>
<setting name='connection_security' type='string'>require_tls</setting>
</settings>
<settings ui='gtk-gaim'><setting name='auto-login' type='bool'>1</setting></settings>
</account></account>""")
        room, service = self.room.split("@")
        self.write("purple/blist.xml", f"""<?xml version='1.0' encoding='UTF-8' ?>
<purple version='1.0'><blist><group name='Chats'>
<chat proto='prpl-jabber' account='{self.bare}/Desk'>
<component name='handle'>{self.nick}</component><component name='room'>{room}</component>
<component name='server'>{service}</component>
<setting name='gtk-autojoin' type='bool'>1</setting>
</chat></group></blist></purple>""")
        self.write("purple/prefs.xml", """<?xml version='1.0' encoding='UTF-8' ?>
<pref version='1' name='/'><pref name='purple'>
<pref name='logging'><pref name='log_ims' type='bool' value='1'/><pref name='log_chats' type='bool' value='1'/>
</pref></pref></pref>""")

    async def purple(self, method, *arguments):
        """The first number of the answer, or 0."""
        answer = await self.call(
            "im.pidgin.purple.PurpleService", "/im/pidgin/purple/PurpleObject",
            f"im.pidgin.purple.PurpleInterface.{method}", *arguments,
        )
        return answer.strip("(),")

    async def says(self, to, body, in_room=False):
        account = (await self.purple("PurpleAccountsGetAllActive")).strip("[]")
        kind = "2" if in_room else "1"
        talk = await self.purple("PurpleConversationNew", kind, account, to) if not in_room else (
            await self.purple("PurpleFindConversationWithAccount", kind, to, account))
        word = "Chat" if in_room else "Im"
        data = await self.purple(f"PurpleConversationGet{word}Data", talk)
        await self.purple(f"PurpleConv{word}Send", data, body)


class Gajim(Desktop):
    program = "gajim"
    uploads = True

    def prepare(self):
        store = self.home / ".local/share/gajim/cert_store"
        store.mkdir(parents=True)
        shutil.copy(self.server.ca, store / "server")
        config = self.home / ".config/gajim"
        config.mkdir(parents=True)
        account = {
            "name": self.bare.split("@")[0], "hostname": "localhost", "password": self.password,
            "active": True, "use_custom_host": True, "custom_host": "127.0.0.1",
            "custom_port": self.server.c2s, "custom_type": "START TLS",
        }
        settings = {
            "app": {"use_keyring": False, "remote_control": True, "check_for_update": False},
            "soundevents": {}, "status_presets": {}, "proxies": {}, "plugins": {},
            "workspaces": {"1": {"name": "", "color": "rgb(191,34,26)", "avatar_sha": "", "chats": []}},
        }
        with sqlite3.connect(config / "settings.sqlite") as database:
            database.executescript("""
CREATE TABLE settings (name TEXT UNIQUE, settings TEXT);
CREATE TABLE account_settings (account TEXT UNIQUE, settings TEXT);
PRAGMA user_version=5;""")
            database.executemany(
                "INSERT INTO settings VALUES (?, ?)",
                [(name, json.dumps(value)) for name, value in settings.items()],
            )
            database.execute(
                "INSERT INTO account_settings VALUES (?, ?)",
                ("Main", json.dumps({"account": account, "contact": {}, "group_chat": {}})),
            )

    async def says(self, to, body, in_room=False):
        # Some seconds after the start.
        await self.until("the remote control", self._is_controlled)
        kind = "groupchat" if in_room else "chat"
        answer = await self.call(
            "org.gajim.Gajim", "/org/gajim/dbus/RemoteObject", f"org.gajim.dbus.RemoteInterface.send_{kind}_message",
            to, body, "Main",
        )
        assert "true" in answer, answer

    async def sends_file(self, to, path):
        """Opens the chat, then the page that sends files there with this one, and confirms it."""
        chat = f"{{'account': <'Main'>, 'jid': <'{to}'>, 'type': <'contact'>, 'select': <true>}}"
        await self._activate("add-chat", chat)
        await self.until("a chat that can send files", self._can_send_files)
        await self._activate("send-file-httpupload", f"['{path.as_uri()}']")
        window = await self._window("Gajim")
        # Nothing tells when the page is there.
        await self.run("xdotool", "windowfocus", "--sync", window, "sleep", "2", "key", "Return")

    async def _activate(self, action, value):
        await self.call(*self._actions("Activate"), action, f"[<{value}>]", "{}")

    async def _can_send_files(self):
        answer = await self.call(*self._actions("Describe"), "send-file-httpupload")
        return answer.startswith("((true,")

    def _actions(self, method):
        return "org.gajim.Gajim", "/org/gajim/Gajim/window/1", f"org.gtk.Actions.{method}"

    async def _is_controlled(self):
        return "send_chat_message" in await self.run(
            "gdbus", "introspect", "--session", "--dest", "org.gajim.Gajim", "--object-path",
            "/org/gajim/dbus/RemoteObject",
        )


class Dino(Desktop):
    """It asks for port 5222 of the domain, since `localhost` has no records in the DNS."""

    program = "dino-im"
    _proxy = None

    def prepare(self):
        (self.home / ".local/share/dino").mkdir(parents=True)

    async def begin(self):
        """Dino makes its database, and is started anew with an account in it."""
        path = self.home / ".local/share/dino/dino.db"
        def is_made():
            with sqlite3.connect(path) as database:
                names = database.execute("SELECT name FROM sqlite_master").fetchall()
                return ("conversation_settings",) in names
        first = self.process = await self._start(self.program)
        await self.until("the database", lambda: path.exists() and is_made())
        await self._end(first)
        with sqlite3.connect(path) as database:
            database.execute(
                "INSERT INTO account (bare_jid, resourcepart, password, alias, enabled, mam_earliest_synced)"
                " VALUES (?, 'Desk', ?, '', 1, 0)", (self.bare, self.password),
            )
        self._give_away()
        self._proxy = await Proxy(self.server.c2s, 5222).__aenter__()
        await super().begin()

    async def __aexit__(self, *reason):
        await super().__aexit__(*reason)
        if self._proxy:
            await self._proxy.__aexit__(*reason)

    async def says(self, to, body, in_room=False):
        # The room is shown first. A chat is chosen by its address.
        if not in_room:
            await self.run("dino-im", f"xmpp:{to}?message")
        await self.types("Dino", body)


class PsiPlus(Desktop):
    program = "psi-plus"
    keeps_rooms = False
    chats = False

    async def says(self, to, body, in_room=False):
        await self.types("The Orchard", body)

    def prepare(self):
        keys = self.bare * 10
        hidden = "".join(f"{ord(one) ^ ord(key):04x}" for one, key in zip(self.password, keys))
        values = {
            "enabled": ("bool", "true"), "auto": ("bool", "true"), "keep-alive": ("bool", "true"),
            "id": ("QString", "{00000000-0000-4000-8000-000000000001}"),
            "name": ("QString", "localhost"), "jid": ("QString", self.bare),
            "custom-auth": None, "password": ("QString", hidden), "use-host": ("bool", "true"),
            "host": ("QString", "127.0.0.1"), "port": ("int", self.server.c2s), "ssl": ("QString", "auto"),
            "ignore-SSL-warnings": ("bool", "false"), "resource": ("QString", "Desk"),
            "automatic-resource": ("bool", "false"), "enable-message-carbons": ("bool", "true"),
            "enable-sm": ("bool", "true"), "reconn": ("bool", "true"),
        }
        lines = "\n".join(
            f'<{name} type="{value[0]}">{escape(str(value[1]))}</{name}>' for name, value in values.items() if value
        )
        self.write(".config/psi+/profiles/default/accounts.xml", f"""<!DOCTYPE accounts>
<accounts version="1.4.554" xmlns="http://psi-im.org/options"><accounts><a0>
{lines}
</a0></accounts></accounts>""")
        self.write(".config/psi+/profiles/default/options.xml", """<!DOCTYPE options>
<options version="1.4.554" xmlns="http://psi-im.org/options"><options>
<p2p><bytestreams><listen-port type="int">0</listen-port></bytestreams></p2p>
<keychain><enabled type="bool">false</enabled></keychain>
<ui><tip><show type="bool">false</show></tip></ui>
</options></options>""")


class Kaidan(Desktop):
    """It has no rooms."""

    program = "kaidan"
    knows_rooms = False
    chats = False

    def prepare(self):
        password = base64.b64encode(self.password.encode()).decode()
        self.write(".config/kaidan/kaidan.conf", f"""[auth]
online=true
jid={self.bare}
password={password}
host=127.0.0.1
port={self.server.c2s}
""")


CLIENTS = [Pidgin, Gajim, Dino, PsiPlus, Kaidan]
