"""A small DNS server for domains that exist in a test alone, signed if that is wanted (DNSSEC), and an authority for certificates."""

import base64
import datetime
import hashlib
import pathlib
import socket
import struct
import threading

import dns.dnssec
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdatatype
import dns.rrset
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

DAYS = datetime.timedelta(days=30)
# Of answers, in seconds.
TTL = 60


class Names(threading.Thread):
    """Answers questions about the domains that it knows, on loopback. All other names do not exist.

    Each server is at `localhost`: ejabberd asks the system for addresses, whatever it asks the DNS. If answers are signed, it is at
    `xmpp.<domain>`, too, and before: resolvers do not ask the DNS for `localhost`, nor for its keys.
    """

    def __init__(self):
        super().__init__(daemon=True)
        # The port for servers by domain, and the text of the TLSA record by port.
        self.ports, self.keys = {}, {}
        self.signer = self.anchor = None
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

    def records(self):
        """(name, type, text) of all that is known."""
        for domain, port in self.ports.items():
            yield domain, "A", "127.0.0.1"
            if self.signer:
                yield f"xmpp.{domain}", "A", "127.0.0.1"
                yield f"_xmpp-server._tcp.{domain}", "SRV", f"0 5 {port} xmpp.{domain}."
                yield f"_{port}._tcp.xmpp.{domain}", "TLSA", self.keys[port]
            yield f"_xmpp-server._tcp.{domain}", "SRV", f"5 5 {port} localhost."
        yield "localhost", "A", "127.0.0.1"
        if self.signer:
            yield "", "DNSKEY", self.signer.public

    def sign(self, anchor):
        """From now on all answers are signed, as of one zone: the root. Its key goes into the file `anchor`."""
        self.signer = Signer()
        pathlib.Path(anchor).write_text(f". 3600 IN DNSKEY {self.signer.public}\n")

    def answer(self, question):
        answer = dns.message.make_response(question)
        answer.flags |= dns.flags.RA | dns.flags.AA
        asked = question.question[0]
        name, kind = asked.name.to_text().rstrip(".").lower(), dns.rdatatype.to_text(asked.rdtype)
        all_records = list(self.records())
        texts = [text for found, its_kind, text in all_records if (found, its_kind) == (name, kind)]
        if texts:
            section, rrset = answer.answer, dns.rrset.from_text(asked.name, TTL, "IN", kind, *texts)
        elif self.signer:
            # There is nothing of this type at this name, nor a name below it (RFC 4470).
            kinds = [its_kind for found, its_kind, _ in all_records if found == name]
            text = " ".join((f"\\000.{asked.name}", *kinds, "RRSIG", "NSEC"))
            section, rrset = answer.authority, dns.rrset.from_text(asked.name, TTL, "IN", "NSEC", text)
            soa = dns.rrset.from_text(dns.name.root, TTL, "IN", "SOA", "ns. root. 1 60 60 60 60")
            section += [soa, self.signer.signature(soa)]
        else:
            if not any(found == name or found.endswith(f".{name}") for found, _, _ in all_records):
                answer.set_rcode(dns.rcode.NXDOMAIN)
            return answer
        section.append(rrset)
        if self.signer:
            section.append(self.signer.signature(rrset))
        return answer


class Signer:
    """The key of the root zone of a test. dnspython signs only with a newer cryptography than other clients can have."""

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        numbers = self.key.public_key().public_numbers()
        point = numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")
        self.public = f"257 3 13 {base64.b64encode(point).decode()}"
        self.tag = dns.dnssec.key_id(dns.rdata.from_text("IN", "DNSKEY", self.public))

    def signature(self, rrset):
        """RFC 4034 §3."""
        now = datetime.datetime.now(datetime.timezone.utc)
        begin, end = ((now + days).strftime("%Y%m%d%H%M%S") for days in (-DAYS, DAYS))
        labels = len(rrset.name) - 1
        kind = dns.rdatatype.to_text(rrset.rdtype)
        start = f"{kind} 13 {labels} {rrset.ttl} {end} {begin} {self.tag} ."
        unsigned = dns.rdata.from_text("IN", "RRSIG", f"{start} AAAA")
        signed = unsigned.to_wire()[:18] + b"\0"
        for data in sorted(each.to_digestable() for each in rrset):
            signed += rrset.name.to_digestable()
            signed += struct.pack("!HHIH", rrset.rdtype, rrset.rdclass, rrset.ttl, len(data)) + data
        r, s = utils.decode_dss_signature(self.key.sign(signed, ec.ECDSA(hashes.SHA256())))
        text = base64.b64encode(r.to_bytes(32, "big") + s.to_bytes(32, "big")).decode()
        return dns.rrset.from_text(rrset.name, rrset.ttl, "IN", "RRSIG", f"{start} {text}")


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
            .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + DAYS)
        )

    def issue(self, domain):
        """A certificate for a domain and all below it: the paths of chain, key, and both; and the text of a TLSA record for
        it (DANE-EE, its public key, SHA-256: RFC 7671 §5.1)."""
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
        public = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return paths, f"3 1 1 {hashlib.sha256(public).hexdigest()}"
