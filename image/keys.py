# SPDX-License-Identifier: Apache-2.0
"""Who may sign updates. Each box trusts two roots: the one in use, and the next one, whose key lies in a safe.
Development keys are made on the machine that builds and never leave it."""

from __future__ import annotations

import datetime
import os
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ROOTS = ("root-1", "root-2")
_FOREVER = datetime.datetime(2056, 1, 1, tzinfo=datetime.UTC)
_START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def make(folder: Path, names: tuple[str, ...] = ROOTS) -> None:
    """`NAME.crt` and `NAME.key` of each root, `NAME-signer.crt` and `.key` below it, and `keyring.pem` of all roots.
    What is there stays. Dates are fixed: a box that lay in a drawer with a wrong clock must still be updated."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in names:
        if not (folder / f"{name}-signer.crt").exists():
            _pair(folder, name)
    ring = b"".join((folder / f"{name}.crt").read_bytes() for name in names)
    (folder / "keyring.pem").write_bytes(ring)


def _pair(folder: Path, name: str) -> None:
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_name = common_name(f"Platen update {name}")
    root = (
        certificate(root_name, root_name, root_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage(signs_certificates=True), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    signer = (
        certificate(common_name(f"Platen update signer of {name}"), root_name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    for stem, signed, secret in ((name, root, root_key), (f"{name}-signer", signer, key)):
        write(folder / f"{stem}.key", pem(secret), 0o600)
        write(folder / f"{stem}.crt", signed.public_bytes(serialization.Encoding.PEM), 0o644)


def certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    start: datetime.datetime = _START,
    end: datetime.datetime = _FOREVER,
) -> x509.CertificateBuilder:
    """What every certificate begins with."""
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )


def common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    """An authority's, or that of whoever signs with it (RFC 5280 4.2.1.3)."""
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """PKCS #8, not encrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def write(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Made beside and renamed: a reader never meets half a key, and it never is readable by others for a moment."""
    beside = path.with_name(path.name + ".new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
    beside.rename(path)
