# SPDX-License-Identifier: Apache-2.0
"""A development certificate authority: one for the demo and the tests, never for a customer.

`Authority(folder)` keeps its own key and certificate there and issues P-256 certificates: for a server with
the names it is reached by, for a client with the name it is known by (a box id, or the portal's).
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

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
        subject = _name(name)
        self._root = (
            _builder(
                subject,
                subject,
                self._key.public_key(),
                _now() - dt.timedelta(days=1),
                dt.timedelta(days=3650),
            )
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(sign_certificates=True), critical=True)
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
        length = (end - start) if end else dt.timedelta(days=90)
        made = (
            _builder(_name(name), self._root.subject, key.public_key(), start, length)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(sign_certificates=False), critical=True)
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


def install(authority: Authority, pair: Pair, keys: Path) -> None:
    """Lays a client's key and certificate and the root where a box looks for them (its `keys` folder)."""
    keys.mkdir(parents=True, exist_ok=True, mode=0o700)
    for source, name in (
        (authority.certificate, "ca.crt"),
        (pair.certificate, "operational.crt"),
        (pair.key, "operational.key"),
    ):
        _write(keys / name, source.read_bytes())


def write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    """PEM, readable by its owner alone."""
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(path, pem)


def _write(path: Path, data: bytes) -> None:
    # Made beside and renamed: a reader never meets half a key, and it never is readable by others for a moment.
    beside = path.with_name(path.name + ".new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
    beside.rename(path)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    start: dt.datetime,
    length: dt.timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + length)
    )


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
