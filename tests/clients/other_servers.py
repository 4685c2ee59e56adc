"""Servers that talk to each other on loopback: Waxwing, Debian's Prosody and ejabberd, each with a domain of its own.

A small DNS server (names.py) says where the domains are. An authority that was made for the run signs the certificates; the
servers know it, or must call back, or find the certificates in the DNS (DANE). Between servers stands a proxy, so that their
links can be cut.
"""

import asyncio
import os
import pathlib
import shutil
import socket
import subprocess
import threading
import time

from proxy import Proxy
from server import ServerError, free_ports

START_SECONDS = 60
STOP_SECONDS = 30
PASSWORD = "secret"
# The other servers have no such bounds. All load comes from one address.
UNBOUNDED = """[log]
level = "warn"
[archive]
enabled = false
[limits]
connections_per_address = 10000
[budgets]
traffic_per_account = 0
traffic_per_address = 0
traffic_per_domain = 0
work_per_account = 0
work_per_address = 0
"""


class Links(threading.Thread):
    """The proxies before the servers, with a loop of their own: they outlive a scenario."""

    def __init__(self):
        super().__init__(daemon=True)
        self.loop = asyncio.new_event_loop()
        self.proxies = []
        self.start()

    def run(self):
        self.loop.run_forever()

    def to(self, port):
        """A port that leads to this one."""
        proxy = Proxy(port)
        asyncio.run_coroutine_threadsafe(proxy.__aenter__(), self.loop).result(START_SECONDS)
        self.proxies.append(proxy)
        return proxy.port

    def cut(self):
        """Resets all connections between servers. New ones wait until `admit`."""
        for proxy in self.proxies:
            self.loop.call_soon_threadsafe(proxy.cut)

    def admit(self):
        for proxy in self.proxies:
            self.loop.call_soon_threadsafe(proxy.admit)


class Server:
    """A process with ports for clients, servers and files."""

    name = "?"
    # It acknowledges what other servers send (XEP-0198), and takes acknowledgements: after a login by certificate; after
    # dialback.
    acknowledges, acknowledges_after_dialback = False, False
    # It logs all that it can, and archives what users write. Not when it is measured.
    is_watched = True

    def __init__(self, folder, domain, names, links, authority, binary=None):
        self.folder = pathlib.Path(folder) / domain
        self.folder.mkdir()
        self.domain, self.names, self.authority, self.binary = domain, names, authority, binary
        self.c2s, self.s2s, self.files = free_ports(3)
        (self.cert, self.key, self.both), self.tlsa = authority.issue(domain)
        self.log = self.folder / "server.log"
        self.process = None
        self.link = links.to(self.s2s) if links else self.s2s
        for name in (domain, f"conference.{domain}", f"pubsub.{domain}", f"upload.{domain}"):
            names.ports[name] = self.link

    def start(self):
        command, environment = self.command()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=self.folder, env={**os.environ, **environment},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        for port in (self.c2s, self.s2s, self.files):
            deadline = time.monotonic() + START_SECONDS
            while True:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise ServerError(f"{self.name} does not start:\n{self.tail()}")
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.05)

    def stop(self):
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def tail(self):
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(line[:300] for line in text.splitlines()[-25:])


class Waxwing(Server):
    name = "waxwing"
    # More of the configuration.
    more = ""
    acknowledges, acknowledges_after_dialback = True, True

    def prepare(self, users, how):
        self.config = self.folder / "waxwing.toml"
        belief = {
            "certificates": f'authorities = "{self.authority.path}"\n',
            "dialback": 'policy = "dialback"\n',
            "dane": f'trust_anchor = "{self.names.anchor}"\n',
        }[how]
        self.config.write_text(
            f'data = "{self.folder / "data"}"\n'
            f'[[host]]\ndomain = "{self.domain}"\ncertificate = "{self.cert}"\nkey = "{self.key}"\n'
            f'[listen]\nc2s = ["127.0.0.1:{self.c2s}"]\nc2s_tls = []\nhttp = []\nproxy65 = []\n'
            f'https = ["127.0.0.1:{self.files}"]\ns2s = ["127.0.0.1:{self.s2s}"]\ns2s_tls = []\n'
            f'[files]\nurl = "https://127.0.0.1:{self.files}"\n'
            f'[s2s]\nenabled = true\nresolver = "127.0.0.1:{self.names.port}"\n{belief}'
            + ('[log]\nlevel = "debug"\n' if self.is_watched else UNBOUNDED) + self.more)
        (self.folder / "data").mkdir(mode=0o700)
        done = subprocess.run(
            [self.binary, "--config", str(self.config), "user", "import"],
            input="".join(f"{user}@{self.domain} {PASSWORD}\n" for user in users), text=True, capture_output=True, timeout=300)
        if done.returncode != 0:
            raise ServerError(f"user import: {done.stderr.strip()}")

    def command(self):
        return [self.binary, "serve", "--config", str(self.config)], {}

    def start(self):
        super().start()
        # For commands.
        deadline = time.monotonic() + START_SECONDS
        while not (self.folder / "data" / "admin.sock").exists() and time.monotonic() < deadline:
            time.sleep(0.05)

    def test(self, domain):
        """What `waxwing s2s test` says of a domain."""
        done = subprocess.run(
            [self.binary, "--config", str(self.config), "s2s", "test", domain],
            text=True, capture_output=True, timeout=60)
        return done.stdout + done.stderr


class Prosody(Server):
    name = "prosody"
    acknowledges = True

    def prepare(self, users, _):
        trust = f'cafile = "{self.authority.path}";' if self.authority.trusted else ""
        secure = str(self.authority.trusted).lower()
        accounts = self.folder / "data" / self.domain.replace(".", "%2e") / "accounts"
        accounts.mkdir(parents=True)
        for user in users:
            (accounts / f"{user}.dat").write_text(f'return {{ ["password"] = "{PASSWORD}"; }};\n')
        (self.folder / "prosody.cfg.lua").write_text(f"""
run_as_root = true
daemonize = false
pidfile = "{self.folder}/prosody.pid"
data_path = "{self.folder}/data"
log = {{ {"debug" if self.is_watched else "warn"} = "*console" }}
gc = {{ mode = "generational" }}
network_settings = {{ tcp_nodelay = true }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {self.c2s} }}
s2s_ports = {{ {self.s2s} }}
unbound = {{ forward = "127.0.0.1@{self.names.port}"; resolvconf = false; hoststxt = false;
  options = {{ ["do-not-query-localhost:"] = "no"; ["module-config:"] = "iterator" }} }}
modules_enabled = {{ "disco", "roster", "saslauth", "tls", "dialback", "ping", "offline", "smacks", "carbons", "posix",
  {'"mam",' if self.is_watched else ""} "pep", "presence", "message", "iq", "s2s_bidi" }}
http_interfaces = {{ "127.0.0.1" }}
http_ports = {{ }}
https_interfaces = {{ "127.0.0.1" }}
https_ports = {{ {self.files} }}
https_ssl = {{ certificate = "{self.cert}"; key = "{self.key}"; }}
http_default_host = "upload.{self.domain}"
c2s_require_encryption = true
s2s_require_encryption = true
s2s_secure_auth = {secure}
authentication = "internal_hashed"
ssl = {{ certificate = "{self.cert}"; key = "{self.key}"; {trust} }}
VirtualHost "{self.domain}"
Component "conference.{self.domain}" "muc"
Component "upload.{self.domain}" "http_file_share"
  http_external_url = "https://127.0.0.1:{self.files}/"
""")

    def command(self):
        program = shutil.which("prosody") or "/usr/bin/prosody"
        return [program, "-F", "--config", str(self.folder / "prosody.cfg.lua")], {}


class Ejabberd(Server):
    name = "ejabberd"

    def prepare(self, users, _):
        trust = f'ca_file: "{self.authority.path}"\n' if self.authority.trusted else ""
        (self.folder / "inetrc").write_text(
            "{resolv_conf, \"\"}.\n{hosts_file, \"\"}.\n{lookup, [dns]}.\n{nameserver, {127,0,0,1}, %d}.\n{edns, 0}.\n" % self.names.port)
        (self.folder / "ejabberd.yml").write_text(f"""
loglevel: {"debug" if self.is_watched else "warning"}
hosts: ["{self.domain}"]
certfiles: ["{self.both}"]
{trust}s2s_use_starttls: required
s2s_max_retry_delay: 1
s2s_timeout: 60
listen:
  - {{port: {self.c2s}, ip: "127.0.0.1", module: ejabberd_c2s, starttls_required: true}}
  - {{port: {self.s2s}, ip: "127.0.0.1", module: ejabberd_s2s_in}}
  - {{port: {self.files}, ip: "127.0.0.1", module: ejabberd_http, tls: true, request_handlers: {{/upload: mod_http_upload}}}}
acl: {{local: {{user_regexp: ""}}}}
access_rules: {{pubsub_createnode: {{allow: local}}}}
shaper_rules: {{max_user_offline_messages: 1000}}
modules:
  mod_adhoc: {{}}
  mod_caps: {{}}
  mod_carboncopy: {{}}
  mod_disco: {{}}
  mod_http_upload: {{access: all, put_url: "https://127.0.0.1:{self.files}/upload", docroot: "{self.folder}/uploads"}}
{"  mod_mam: {default: always}" if self.is_watched else ""}
  mod_muc: {{access: all, access_create: all}}
  mod_offline: {{}}
  mod_ping: {{}}
  mod_pubsub: {{access_createnode: pubsub_createnode, plugins: [flat, pep]}}
  mod_roster: {{}}
  mod_s2s_dialback: {{}}
  mod_stream_mgmt: {{}}
""")
        people = "".join(f"<user name='{user}' password='{PASSWORD}'/>" for user in users)
        (self.folder / "accounts.xml").write_text(
            "<?xml version='1.0'?><server-data xmlns='urn:xmpp:pie:0'>"
            f"<host jid='{self.domain}'>{people}</host></server-data>")
        command, environment = self.command()
        imports = f'ok = ejabberd_piefxis:import_file("{self.folder}/accounts.xml"), init:stop().'
        with self.log.open("ab") as log:
            subprocess.run(
                [*command, "-eval", imports], env={**os.environ, **environment}, cwd=self.folder,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True, timeout=300)

    def command(self):
        # What ejabberdctl would run, but for distribution: a node without a name needs no epmd.
        spool = self.folder / "spool"
        spool.mkdir(exist_ok=True)
        command = ["erl", "+K", "true", "-mnesia", "dir", f'"{spool}"',
                   "-ejabberd", "log_rotate_count", "0", "-noinput", "-s", "ejabberd"]
        libraries = next(iter(pathlib.Path("/usr/lib").glob("*/ejabberd-*")), pathlib.Path("/usr/lib/x86_64-linux-gnu/x"))
        return command, {
            "EJABBERD_CONFIG_PATH": str(self.folder / "ejabberd.yml"),
            "EJABBERD_LOG_PATH": str(self.folder / "ejabberd.log"),
            "ERL_LIBS": str(libraries.parent),
            "ERL_INETRC": str(self.folder / "inetrc"),
            "ERL_CRASH_DUMP_SECONDS": "0",
            "HOME": str(self.folder),
        }

    def tail(self):
        path = self.folder / "ejabberd.log"
        text = path.read_text(errors="replace") if path.exists() else ""
        return super().tail() + "\n" + "\n".join(line[:300] for line in text.splitlines()[-25:])


SERVERS = {each.name: each for each in (Waxwing, Prosody, Ejabberd)}
