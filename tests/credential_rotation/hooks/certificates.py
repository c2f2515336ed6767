"""A certificate authority of our own, and a sandbox that serves https."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sandbox.tableau import TableauServer, TableauState


@dataclass(frozen=True)
class Issued:
    """A certificate and its key, as files."""

    certificate: Path
    key: Path


class Authority:
    """Issues certificates below a folder."""

    def __init__(self, folder: Path, name: str = "Acme CA") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        unlimited = x509.BasicConstraints(ca=True, path_length=None)
        certificate = self._builder(self._name, self._key).add_extension(unlimited, critical=True)
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(self._signed(certificate))

    def issue(self, name: str) -> Issued:
        """A certificate for this machine's loopback address, or for a client of this name."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        certificate = self._builder(subject, key).add_extension(names, critical=False)
        issued = Issued(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        issued.certificate.write_bytes(self._signed(certificate))
        issued.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return issued

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
        )

    def _signed(self, builder: x509.CertificateBuilder) -> bytes:
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


class HttpsTableau(TableauServer):
    """The sandbox behind TLS."""

    clients: list[Any]

    @property
    def url(self) -> str:
        return super().url.replace("http:", "https:")


@contextmanager
def serving_https(state: TableauState, issued: Issued, client_authority: Path | None = None) -> Iterator[HttpsTableau]:
    """Serve with this certificate; with an authority for clients, only those who show a certificate of it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.certificate, issued.key)
    if client_authority:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_authority)
    with HttpsTableau(state) as server:
        listener = server._listener
        assert listener is not None
        listener.socket = context.wrap_socket(listener.socket, server_side=True)
        server.clients = []
        process_request = listener.process_request

        def note(request: Any, client_address: Any) -> None:
            server.clients.append(request.getpeercert())
            process_request(request, client_address)

        listener.process_request = note  # type: ignore[method-assign]
        yield server
