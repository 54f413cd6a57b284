# SPDX-License-Identifier: Apache-2.0
"""A development certificate authority: one for the demo and the tests, never for a customer.

`Authority(folder)` keeps its own key and certificate there and issues P-256 certificates: for a server with
the names it is reached by, for a client with the name it is known by (a box id, or the portal's).
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from image import keys

LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Pair(msgspec.Struct, frozen=True):
    """Paths of a private key (PEM, PKCS #8, mode 0600) and its certificate (PEM)."""

    key: Path
    certificate: Path


class Authority:
    """A root whose certificates all share one folder: `ca.crt`, `ca.key`, `NAME.crt`, `NAME.key`."""

    def __init__(self, folder: Path, *, name: str = "Platen development CA") -> None:
        self.folder = folder
        self.certificate = folder / "ca.crt"
        folder.mkdir(parents=True, exist_ok=True)
        if self.certificate.exists():
            key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), password=None)
            assert isinstance(key, ec.EllipticCurvePrivateKey)
            self._key = key
            self._root = x509.load_pem_x509_certificate(self.certificate.read_bytes())
            return
        self._key = ec.generate_private_key(ec.SECP256R1())
        subject, start = keys.common_name(name), _now() - dt.timedelta(days=1)
        self._root = (
            keys.certificate(subject, subject, self._key.public_key(), start, start + dt.timedelta(days=3650))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(keys.key_usage(signs_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        write_key(folder / "ca.key", self._key)
        self.certificate.write_bytes(self._root.public_bytes(serialization.Encoding.PEM))

    def server(
        self, name: str = "broker", *, hosts: tuple[str, ...] = LOOPBACK, **dates: dt.datetime
    ) -> Pair:
        """A server certificate for `hosts` (names and addresses)."""
        names = x509.SubjectAlternativeName([_host(h) for h in hosts])
        return self._issue(name, ExtendedKeyUsageOID.SERVER_AUTH, names, **dates)

    def client(self, name: str, **dates: dt.datetime) -> Pair:
        """A client certificate whose common name is `name`. `start` and `end` bound its validity (90 days)."""
        return self._issue(name, ExtendedKeyUsageOID.CLIENT_AUTH, None, **dates)

    def _issue(
        self,
        name: str,
        purpose: x509.ObjectIdentifier,
        hosts: x509.SubjectAlternativeName | None,
        *,
        start: dt.datetime | None = None,
        end: dt.datetime | None = None,
    ) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        start = start or _now() - dt.timedelta(hours=1)
        end = end or start + dt.timedelta(days=90)
        made = (
            keys.certificate(keys.common_name(name), self._root.subject, key.public_key(), start, end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(keys.key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
        )
        if hosts is not None:
            made = made.add_extension(hosts, critical=False)
        pair = Pair(self.folder / f"{name}.key", self.folder / f"{name}.crt")
        write_key(pair.key, key)
        signed = made.sign(self._key, hashes.SHA256())
        pair.certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        return pair


def install(authority: Authority, pair: Pair, folder: Path) -> None:
    """Lays a client's key and certificate and the root where a box looks for them (its `keys` folder)."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for source, name in (
        (authority.certificate, "ca.crt"),
        (pair.certificate, "operational.crt"),
        (pair.key, "operational.key"),
    ):
        keys.write(folder / name, source.read_bytes())


def write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    """PEM, readable by its owner alone."""
    keys.write(path, keys.pem(key))


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
