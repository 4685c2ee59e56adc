"""Servers that talk to each other on loopback: Waxwing, Debian's Prosody and ejabberd, each with a domain of its own.

A small DNS server says where the domains are, to Prosody and ejabberd; Waxwing is told by its configuration. An authority
that was made for the run signs the certificates, or each server signs its own, so that the peers must call back.
"""

import datetime
import os
import pathlib
import shutil
import socket
import subprocess
import threading
import time

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from server import ServerError, free_ports

START_SECONDS = 60
STOP_SECONDS = 30
PASSWORD = "secret"


class Names(threading.Thread):
    """Answers questions for SRV and A of the domains that it knows, on loopback. All other names do not exist."""

    def __init__(self):
        super().__init__(daemon=True)
        self.ports = {}
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.start()

    def run(self):
        while True:
            data, asker = self.socket.recvfrom(4096)
            try:
                self.socket.sendto(self.answer(dns.message.from_wire(data)).to_wire(), asker)
            except Exception:
                continue

    def answer(self, question):
        answer = dns.message.make_response(question)
        answer.flags |= dns.flags.RA | dns.flags.AA
        asked = question.question[0]
        name = asked.name.to_text().rstrip(".").lower()
        kind = dns.rdatatype.to_text(asked.rdtype)
        service = name.removeprefix("_xmpp-server._tcp.")
        if service != name and service in self.ports:
            if kind == "SRV":
                text = f"0 5 {self.ports[service]} {service}."
                answer.answer.append(dns.rrset.from_text(asked.name, 60, "IN", "SRV", text))
        elif name in self.ports:
            if kind == "A":
                answer.answer.append(dns.rrset.from_text(asked.name, 60, "IN", "A", "127.0.0.1"))
        else:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        return answer


class Authority:
    """Signs certificates. `trusted` says whether the servers know it."""

    def __init__(self, folder, trusted):
        self.folder, self.trusted = pathlib.Path(folder), trusted
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Authority of a test")])
        builder = self._builder(self.name, self.key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self.cert = builder.sign(self.key, hashes.SHA256())
        self.path = self.folder / "authority.pem"
        self.path.write_bytes(self.cert.public_bytes(serialization.Encoding.PEM))

    def _builder(self, name, public_key):
        now = datetime.datetime.now(datetime.timezone.utc)
        return (
            x509.CertificateBuilder().subject_name(name).issuer_name(self.name).public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=30))
        )

    def issue(self, domain):
        """A certificate for a domain and all below it. Returns the paths of chain, key, and both."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, domain)])
        names = x509.SubjectAlternativeName([x509.DNSName(domain), x509.DNSName(f"*.{domain}")])
        cert = self._builder(name, key.public_key()).add_extension(names, critical=False)
        cert = cert.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        paths = [self.folder / f"{domain}.{end}" for end in ("crt", "key", "pem")]
        for path, content in zip(paths, (cert, private, cert + private)):
            path.write_bytes(content)
            path.chmod(0o600)
        return paths


class Server:
    """A process with a port for clients and one for servers."""

    name = "?"

    def __init__(self, folder, domain, names, authority, binary=None):
        self.folder = pathlib.Path(folder) / domain
        self.folder.mkdir()
        self.domain, self.names, self.authority, self.binary = domain, names, authority, binary
        self.c2s, self.s2s = free_ports(2)
        self.cert, self.key, self.both = authority.issue(domain)
        self.log = self.folder / "server.log"
        self.process = None
        for name in (domain, f"conference.{domain}", f"pubsub.{domain}"):
            names.ports[name] = self.s2s

    def start(self):
        command, environment = self.command()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=self.folder, env={**os.environ, **environment},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        for port in (self.c2s, self.s2s):
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

    def prepare(self, users, peers):
        self.config = self.folder / "waxwing.toml"
        hosts = "".join(
            f'"{name}" = "127.0.0.1:{peer.s2s}"\n'
            for peer in peers for name in (peer.domain, f"conference.{peer.domain}", f"pubsub.{peer.domain}"))
        trust = f'authorities = "{self.authority.path}"\n' if self.authority.trusted else 'policy = "dialback"\n'
        self.config.write_text(
            f'data = "{self.folder / "data"}"\n'
            f'[[host]]\ndomain = "{self.domain}"\ncertificate = "{self.cert}"\nkey = "{self.key}"\n'
            f'[listen]\nc2s = ["127.0.0.1:{self.c2s}"]\nc2s_tls = []\nhttp = []\nhttps = []\nproxy65 = []\n'
            f's2s = ["127.0.0.1:{self.s2s}"]\ns2s_tls = []\n'
            f'[s2s]\nenabled = true\n{trust}[s2s.hosts]\n{hosts}'
            '[log]\nlevel = "debug"\n')
        (self.folder / "data").mkdir(mode=0o700)
        for user in users:
            done = subprocess.run(
                [self.binary, "--config", str(self.config), "user", "add", f"{user}@{self.domain}", "--password-stdin"],
                input=PASSWORD + "\n", text=True, capture_output=True, timeout=60)
            if done.returncode != 0:
                raise ServerError(f"user add: {done.stderr.strip()}")

    def command(self):
        return [self.binary, "serve", "--config", str(self.config)], {}


class Prosody(Server):
    name = "prosody"

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
log = {{ debug = "*console" }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {self.c2s} }}
s2s_ports = {{ {self.s2s} }}
unbound = {{ forward = "127.0.0.1@{self.names.port}"; resolvconf = false; hoststxt = false;
  options = {{ ["do-not-query-localhost:"] = "no"; ["module-config:"] = "iterator" }} }}
modules_enabled = {{ "disco", "roster", "saslauth", "tls", "dialback", "ping", "offline", "smacks", "carbons", "posix",
  "mam", "pep", "presence", "message", "iq", "s2s_bidi" }}
c2s_require_encryption = true
s2s_require_encryption = true
s2s_secure_auth = {secure}
authentication = "internal_hashed"
ssl = {{ certificate = "{self.cert}"; key = "{self.key}"; {trust} }}
VirtualHost "{self.domain}"
Component "conference.{self.domain}" "muc"
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
loglevel: debug
hosts: ["{self.domain}"]
certfiles: ["{self.both}"]
{trust}s2s_use_starttls: required
listen:
  - {{port: {self.c2s}, ip: "127.0.0.1", module: ejabberd_c2s, starttls_required: true}}
  - {{port: {self.s2s}, ip: "127.0.0.1", module: ejabberd_s2s_in}}
acl: {{local: {{user_regexp: ""}}}}
access_rules: {{pubsub_createnode: {{allow: local}}}}
modules:
  mod_adhoc: {{}}
  mod_caps: {{}}
  mod_carboncopy: {{}}
  mod_disco: {{}}
  mod_mam: {{default: always}}
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
