"""The servers under test: each is started on free loopback ports in a directory of its own.

Waxwing is what we test; Prosody tells whether a failing scenario is the server's fault or ours.
"""

import datetime
import pathlib
import re
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import time

DOMAIN = "localhost"
START_SECONDS = 30
STOP_SECONDS = 30
# The runtime's own words, and the event by which Waxwing logs a panic.
PANIC = re.compile(r"panicked at|\bpanic\b.*\blocation\b")


class ServerError(Exception):
    """The server did not start, did not end well, or refused an order."""


def free_ports(count):
    """Ports nobody listens on. All are held until all are known, so no two are the same."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Server:
    """What the servers have in common: a process, its ports, its log, its end."""

    name = "?"
    # Sessions outlive a restart.
    keeps_sessions = False
    # It has SASL2, a PubSub service, and bookmarks and avatars in all their forms.
    has_all = False

    def __init__(self, folder, binary=None):
        self.folder = pathlib.Path(folder)
        self.binary = binary and str(pathlib.Path(binary).resolve())
        ports = free_ports(8)
        self.c2s, self.c2s_tls, self.http, self.https, self.turn, self.proxy65, *ports = ports
        self.components, self.monitoring = ports
        self.turn_secret = secrets.token_hex(16)
        self.component_domain, self.component_secret = f"irc.{DOMAIN}", secrets.token_hex(16)
        self.log = self.folder / "server.log"
        self.process = None
        self.ca = self.folder / "ca.pem"

    def start(self):
        self.configure()
        self.run()
        # The certificate may be one the server made itself. Clients get it as their only
        # authority: they check name and signature as ever, against this one certificate.
        self.ca.write_text(self._certificate())

    def restart(self):
        """Ends it as an operator does, and starts it on the same data and ports."""
        self.stop()
        self.run()

    def run(self):
        command = self.command()
        if not shutil.which(command[0]):
            raise ServerError(f"no program {command[0]}")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder
            )
        for port in (self.c2s, self.c2s_tls, self.http, self.https):
            self._await_port(port)

    def _certificate(self):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection(("127.0.0.1", self.c2s_tls), timeout=10) as plain:
            with context.wrap_socket(plain, server_hostname=DOMAIN) as tls:
                return ssl.DER_cert_to_PEM_cert(tls.getpeercert(binary_form=True))

    def _await_port(self, port):
        deadline = time.monotonic() + START_SECONDS
        while True:
            if self.process.poll() is not None:
                raise ServerError(f"ended at start with {self.process.returncode}:\n{self.tail()}")
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise ServerError(f"does not listen on {port}:\n{self.tail()}") from None
                time.sleep(0.05)

    def stop(self):
        """Ends the server by SIGTERM. Raises ServerError if that was not a good end."""
        if self.process is None:
            return
        if self.process.poll() is not None:
            raise ServerError(f"ended by itself with {self.process.returncode}")
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise ServerError(f"still ran {STOP_SECONDS} s after SIGTERM") from None
        if code != 0:
            raise ServerError(f"exit code {code} after SIGTERM")
        panics = [line for line in self.lines() if PANIC.search(line)]
        if panics:
            raise ServerError(f"{len(panics)} panics in the log, the first: {panics[0]}")

    def lines(self):
        """The log's lines, shortened: a backtrace is long."""
        return [line[:500] for line in self.log.read_text(errors="replace").splitlines()]

    def tail(self):
        return "\n".join(self.lines()[-20:])


class Waxwing(Server):
    name = "waxwing"
    keeps_sessions = has_all = True

    def configure(self):
        self.config = self.folder / "waxwing.toml"
        self.config.write_text(
            f'data = "{self.folder / "data"}"\n'
            f'[[host]]\ndomain = "{DOMAIN}"\n'
            "[[component]]\n"
            f'domain = "{self.component_domain}"\nsecret = "{self.component_secret}"\n'
            'roster = "both"\nmessage = "outgoing"\n'
            'iq = { "http://jabber.org/protocol/pubsub" = "both" }\n'
            "[listen]\n"
            f'c2s = ["127.0.0.1:{self.c2s}"]\n'
            f'c2s_tls = ["127.0.0.1:{self.c2s_tls}"]\n'
            f'proxy65 = ["127.0.0.1:{self.proxy65}"]\n'
            f'components = ["127.0.0.1:{self.components}"]\n'
            f'http = ["127.0.0.1:{self.http}"]\n'
            f'https = ["127.0.0.1:{self.https}"]\n'
            f'monitoring = ["127.0.0.1:{self.monitoring}"]\n'
            # Every client, also those with a wrong password, comes from here.
            "[auth]\nslow_addresses = false\n"
            "[registration]\nopen = true\nper_address = 1000\n"
            "[external_services]\n"
            f'uris = ["stun:127.0.0.1:{self.turn}", "turn:127.0.0.1:{self.turn}"]\n'
            f'secret = "{self.turn_secret}"\n'
        )

    def command(self):
        return [self.binary, "serve", "--config", str(self.config)]

    def add_account(self, user, password):
        done = subprocess.run(
            [self.binary, "--config", str(self.config), "user", "add", f"{user}@{DOMAIN}",
             "--password-stdin"],
            input=password + "\n", text=True, capture_output=True, timeout=60,
        )
        if done.returncode != 0:
            raise ServerError(f"user add {user}: {done.returncode}: {done.stderr.strip()}")


class Prosody(Server):
    """Debian's Prosody with the modules that the scenarios need."""

    name = "prosody"

    def configure(self):
        cert, key = self_signed(self.folder)
        self.accounts = self.folder / "data" / DOMAIN / "accounts"
        self.accounts.mkdir(parents=True)
        (self.folder / "prosody.cfg.lua").write_text(f"""
run_as_root = true
daemonize = false
pidfile = "{self.folder}/prosody.pid"
data_path = "{self.folder}/data"
log = {{ info = "*console" }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {self.c2s} }}
c2s_direct_tls_ports = {{ {self.c2s_tls} }}
http_interfaces = {{ "127.0.0.1" }}
http_ports = {{ {self.http} }}
https_interfaces = {{ "127.0.0.1" }}
https_ports = {{ {self.https} }}
https_ssl = {{ certificate = "{cert}", key = "{key}" }}
consider_websocket_secure = true
modules_enabled = {{ "disco", "roster", "saslauth", "tls", "ping", "offline", "version", "time",
  "smacks", "carbons", "blocklist", "posix", "mam", "vcard", "register", "pep",
  "websocket" }}
modules_disabled = {{ "s2s" }}
c2s_require_encryption = true
allow_registration = true
default_archive_policy = true
authentication = "internal_hashed"
certificates = "{self.folder}"
ssl = {{ certificate = "{cert}", key = "{key}" }}
c2s_direct_tls_ssl = {{ certificate = "{cert}", key = "{key}" }}
VirtualHost "{DOMAIN}"
Component "conference.{DOMAIN}" "muc"
  modules_enabled = {{ "muc_mam" }}
""")

    def command(self):
        program = self.binary or shutil.which("prosody") or "/usr/bin/prosody"
        return [program, "-F", "--config", str(self.folder / "prosody.cfg.lua")]

    def add_account(self, user, password):
        # Prosody reads accounts when they are needed, and hashes a plain one by itself.
        name = user.replace("-", "%2d").replace("_", "%5f")
        (self.accounts / f"{name}.dat").write_text(
            f'return {{ ["password"] = "{password}"; }};\n'
        )


def self_signed(folder):
    """Writes a certificate for DOMAIN and its key. Returns their paths."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, DOMAIN)])
    now = datetime.datetime.now(datetime.timezone.utc)
    cert = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name)
        .public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(DOMAIN)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "server.crt", folder / "server.key"
    paths[0].write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ))
    return paths


SERVERS = {"waxwing": Waxwing, "prosody": Prosody}
