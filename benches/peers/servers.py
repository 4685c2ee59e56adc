"""The servers that are measured, each configured for the same work.

All: domain localhost, one listener on 127.0.0.1 with STARTTLS required, hashed passwords
(SCRAM-SHA-1 is what logs in), no limits on traffic, offline storage on, stream management,
carbons and client state offered, no server-to-server, no HTTP. Apart from that each has
the defaults of its Debian package. The peers have rooms only if `rooms` is given, at
`conference.localhost`, archived in the same place as everything else.

Prosody is set to two things that make it faster: generational garbage collection, and no Nagle's
algorithm, which made it wait for TCP's delayed acknowledgements.

With `archive`, every message is archived for both sides, and so many offline messages are kept as
come. Both go to a database that syncs before a message is acknowledged: SQLite with a write-ahead
log and `synchronous = FULL`, the fastest way that Prosody and ejabberd have to do that without a
second server. Without `archive` there is none, and each has its default storage.
"""

import hashlib
import hmac
import os
import pathlib
import signal
import socket
import sqlite3
import subprocess
import time

DOMAIN = "localhost"
PREFIX = "load"
PASSWORD = "secret"
START_SECONDS = 60
STOP_SECONDS = 30
OFFLINE_MESSAGES = 100_000


class Server:
    name = "?"
    # Whether it syncs the archive before it acknowledges (XEP-0198), and how far.
    syncs = True
    durable = "both copies"
    # How it keeps the archive.
    keeps = "?"
    # Whether to measure it where nothing is archived.
    is_plain = True

    def __init__(self, folder, accounts, core, archive=False, rooms=False):
        self.folder = pathlib.Path(folder)
        self.archive = archive
        self.rooms = rooms
        self.users = [f"{PREFIX}{number}" for number in range(1, accounts + 1)]
        self.core = core
        self.log = self.folder / "server.log"
        self.process = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def start(self):
        command, environment = self.prepare()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                ["taskset", "-c", self.core, *command], cwd=self.folder,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self.is_listening():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{self.name} does not start:\n{self.tail()}")
            time.sleep(0.1)

    def is_listening(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        except OSError:
            return False

    def stop(self):
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def tail(self):
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-20:])

    @classmethod
    def can_archive(cls):
        return True

    def database(self):
        """An empty SQLite database. That it has a write-ahead log is written in the file."""
        path = self.folder / "archive.sqlite"
        database = sqlite3.connect(path)
        database.execute("PRAGMA journal_mode = WAL")
        database.close()
        return path

    def prepare(self):
        """Configures, and makes the accounts in a process of their own: what that leaves in
        memory must not be there for connections to use. Returns command and environment."""
        raise NotImplementedError

    def certificate(self):
        """A self-signed certificate with an ECDSA P-256 key, as Waxwing makes its own."""
        cert, key = self.folder / "cert.pem", self.folder / "key.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "30", "-subj", f"/CN={DOMAIN}", "-addext",
             f"subjectAltName=DNS:{DOMAIN}", "-keyout", key, "-out", cert],
            check=True, capture_output=True,
        )
        return cert, key


class Waxwing(Server):
    """Without budgets, like the peers, which have none."""

    name = "waxwing"
    # The environment variable that names the program.
    variable = "WAXWING"
    keeps = "SQLite, WAL, FULL"
    budgets = (
        "[budgets]\ntraffic_per_account = 0\ntraffic_per_address = 0\n"
        "work_per_account = 0\nwork_per_address = 0\n"
    )

    @classmethod
    def knows(cls, section):
        return f"[{section}]" in cls.explains()

    @classmethod
    def explains(cls):
        done = subprocess.run(
            [os.environ[cls.variable], "config", "explain"], capture_output=True, text=True
        )
        return done.stdout

    @classmethod
    def can_archive(cls):
        return cls.knows("archive")

    def prepare(self):
        self.program = str(pathlib.Path(os.environ[self.variable]).resolve())
        archive = f"[archive]\nenabled = {str(self.archive).lower()}\n"
        self.config = self.folder / "waxwing.toml"
        self.config.write_text(
            f'data = "{self.folder / "data"}"\n'
            f'[[host]]\ndomain = "{DOMAIN}"\n'
            f'[listen]\nc2s = ["127.0.0.1:{self.port}"]\nc2s_tls = []\nhttp = []\nhttps = []\n'
            # Its default is a port on all addresses.
            + ("proxy65 = []\n" if "listen.proxy65" in self.explains() else "") +
            # All load comes from one address.
            "[limits]\nconnections_per_address = 10000\n"
            f"offline_messages = {OFFLINE_MESSAGES}\n"
            + (archive if self.can_archive() else "")
            + (self.budgets if self.knows("budgets") else "")
        )
        (self.folder / "data").mkdir(mode=0o700)
        lines = "".join(f"{user}@{DOMAIN} {PASSWORD}\n" for user in self.users)
        subprocess.run(
            [self.program, "--config", str(self.config), "user", "import"],
            stdout=subprocess.DEVNULL, input=lines, text=True, check=True, timeout=300,
        )
        return [self.program, "serve", "--config", str(self.config)], {}

    def version(self):
        done = subprocess.run([self.program, "--version"], capture_output=True, text=True)
        return done.stdout.split()[-1]


class WaxwingBudgets(Waxwing):
    """With the budgets that are set by default. All load comes from few accounts at one address."""

    name = "waxwing-budgets"
    budgets = ""


class WaxwingBefore(Waxwing):
    """Another build of Waxwing, to compare with."""

    name = "waxwing-before"
    variable = "WAXWING_BEFORE"


class Prosody(Server):
    name = "prosody"
    keeps = "SQLite, WAL, FULL"
    storage = "sql"

    def prepare(self):
        cert, key = self.certificate()
        accounts = self.folder / "data" / DOMAIN / "accounts"
        accounts.mkdir(parents=True)
        for user in self.users:
            (accounts / f"{user}.dat").write_text(prosody_account(user))
        config = self.folder / "prosody.cfg.lua"
        # Debian's list of modules without those for invitations, registration and s2s.
        config.write_text(f"""
run_as_root = true
daemonize = false
pidfile = "{self.folder}/prosody.pid"
data_path = "{self.folder}/data"
log = {{ info = "{self.folder}/prosody.log" }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {self.port} }}
c2s_direct_tls_ports = {{ }}
gc = {{ mode = "generational" }}
network_settings = {{ nagle = false }}
modules_enabled = {{
  "disco", "roster", "saslauth", "tls", "blocklist", "bookmarks", "carbons", "pep", "private",
  "smacks", "vcard4", "vcard_legacy", "csi_simple", "ping", "time", "uptime", "version",
  "admin_adhoc", "posix", {'"mam"' if self.archive else ""}
}}
{self.archive_settings() if self.archive else ""}
modules_disabled = {{ "s2s" }}
c2s_require_encryption = true
authentication = "internal_hashed"
ssl = {{ certificate = "{cert}", key = "{key}" }}
VirtualHost "{DOMAIN}"
{self.room_settings() if self.rooms else ""}
""")
        return ["prosody", "-F", "--config", str(config)], {}

    def archive_settings(self):
        # Without expiry it does not count the archive for each page.
        return f"""
default_archive_policy = true
archive_expires_after = "never"
storage_archive_item_limit = 1000000
storage = {{
  archive = "{self.storage}", muc_log = "{self.storage}", offline = "{self.storage}"
}}
sql = {{ driver = "SQLite3", database = "{self.database()}" }}
"""

    def room_settings(self):
        archive = 'modules_enabled = { "muc_mam" }\n  muc_log_expires_after = "never"'
        return f"""
Component "conference.{DOMAIN}" "muc"
  {archive if self.archive else ""}
"""

    def version(self):
        return package_version("prosody")


class ProsodyInternal(Prosody):
    """Files, which are written and never synced."""

    name = "prosody-internal"
    syncs = False
    durable = "**nothing**"
    keeps = "files"
    storage = "internal"
    is_plain = False


class Ejabberd(Server):
    name = "ejabberd"
    # The recipient's copy is written by the recipient's process, if there is one.
    durable = "the sender's copy"
    keeps = "SQLite, WAL, FULL"
    storage = "sql"

    def prepare(self):
        cert, key = self.certificate()
        (self.folder / "both.pem").write_text(cert.read_text() + key.read_text())
        spool, config = self.folder / "spool", self.folder / "ejabberd.yml"
        spool.mkdir()
        config.write_text(self.settings())
        users = "".join(f"<user name='{user}' password='{PASSWORD}'/>" for user in self.users)
        (self.folder / "accounts.xml").write_text(
            "<?xml version='1.0'?><server-data xmlns='urn:xmpp:pie:0'>"
            f"<host jid='{DOMAIN}'>{users}</host></server-data>"
        )
        # What ejabberdctl would run, but for distribution: a node without a name needs no epmd.
        command = [
            "erl", "+K", "true", "+P", "250000", "-mnesia", "dir", f'"{spool}"',
            "-ejabberd", "log_rotate_count", "0", "-noinput", "-s", "ejabberd",
        ]
        environment = {
            "EJABBERD_CONFIG_PATH": str(config),
            "EJABBERD_LOG_PATH": str(self.folder / "ejabberd.log"),
            "ERL_LIBS": "/usr/lib/x86_64-linux-gnu",
            "ERL_MAX_PORTS": "32000",
            "ERL_MAX_ETS_TABLES": "1400",
            "ERL_CRASH_DUMP_SECONDS": "0",
            "HOME": str(self.folder),
        }
        imports = f'ok = ejabberd_piefxis:import_file("{self.folder}/accounts.xml"), init:stop().'
        with self.log.open("ab") as log:
            subprocess.run(
                [*command, "-eval", imports], env={**os.environ, **environment}, cwd=self.folder,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True, timeout=300,
            )
        return command, environment

    def settings(self):
        waiting, database, mam, offline, muc = 100, "", "", "", ""
        if self.archive:
            waiting = OFFLINE_MESSAGES
            database = f'sql_type: sqlite\nsql_database: "{self.database()}"'
            mam = f"  mod_mam: {{default: always, db_type: {self.storage}}}"
            offline = f", db_type: {self.storage}"
        if self.rooms:
            # By default, 200 occupants are the most.
            muc = (
                "  mod_muc: {access: all, access_create: all, access_mam: all, max_users: 10000, "
                f"default_room_options: {{mam: {str(self.archive).lower()}, max_users: 10000}}}}"
            )
        # Debian's configuration without HTTP, MQTT, STUN and s2s, and without shapers.
        # mod_pres_counter and mod_fail2ban would slow many logins down, so they are off.
        return f"""
loglevel: info
hosts: ["{DOMAIN}"]
certfiles: ["{self.folder}/both.pem"]
c2s_protocol_options: [no_sslv3, no_tlsv1, no_tlsv1_1, cipher_server_preference, no_compression]
c2s_ciphers: "HIGH:!aNULL:!eNULL:!3DES:@STRENGTH"
listen:
  - port: {self.port}
    ip: "127.0.0.1"
    module: ejabberd_c2s
    max_stanza_size: 262144
    shaper: none
    access: all
    backlog: 1000
    starttls_required: true
disable_sasl_mechanisms: [digest-md5, X-OAUTH2]
auth_password_format: scram
acl: {{local: {{user_regexp: ""}}}}
shaper_rules: {{max_user_sessions: 10, max_user_offline_messages: {{{waiting}: all}}}}
{database}
access_rules: {{pubsub_createnode: {{allow: local}}}}
modules:
  mod_adhoc: {{}}
  mod_admin_extra: {{}}
  mod_avatar: {{}}
  mod_blocking: {{}}
  mod_caps: {{}}
  mod_carboncopy: {{}}
  mod_client_state: {{}}
  mod_configure: {{}}
  mod_disco: {{}}
  mod_last: {{}}
{mam}
{muc}
  mod_offline: {{access_max_user_messages: max_user_offline_messages{offline}}}
  mod_ping: {{}}
  mod_privacy: {{}}
  mod_private: {{}}
  mod_pubsub: {{access_createnode: pubsub_createnode, plugins: [flat, pep]}}
  mod_push: {{}}
  mod_push_keepalive: {{}}
  mod_roster: {{versioning: true}}
  mod_shared_roster: {{}}
  mod_sic: {{}}
  mod_stream_mgmt: {{resend_on_timeout: if_offline}}
  mod_vcard: {{search: false}}
  mod_vcard_xupdate: {{}}
  mod_version: {{}}
"""

    def version(self):
        return package_version("ejabberd")


class EjabberdMnesia(Ejabberd):
    """Its default. A table on the disk that is synced now and then, not before an answer."""

    name = "ejabberd-mnesia"
    syncs = False
    durable = "**nothing**"
    keeps = "Mnesia"
    storage = "mnesia"
    is_plain = False


def prosody_account(user):
    """Hashed in advance: Prosody would do it at the first login, in the measured time."""
    salt, iterations = hashlib.sha256(user.encode()).hexdigest()[:16], 10000
    salted = hashlib.pbkdf2_hmac("sha1", PASSWORD.encode(), salt.encode(), iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha1")
    return (
        f'return {{ ["iteration_count"] = {iterations}; ["salt"] = "{salt}"; '
        f'["stored_key"] = "{hashlib.sha1(client_key).hexdigest()}"; '
        f'["server_key"] = "{hmac.digest(salted, b"Server Key", "sha1").hex()}"; }};\n'
    )


def package_version(package):
    done = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True
    )
    return done.stdout or "?"


SERVERS = {
    each.name: each for each in (
        Waxwing, WaxwingBudgets, WaxwingBefore, Prosody, Ejabberd, ProsodyInternal, EjabberdMnesia,
    )
}
