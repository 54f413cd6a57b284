# SPDX-License-Identifier: Apache-2.0
"""The box's own certificate: what it says, whether it serves, and the TLS context made with it."""

from __future__ import annotations

import ssl
import time
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.x509.oid import NameOID

from appliance.model.clock import rfc3339, unix
from appliance.model.errors import CertificateMismatch

_MOST = 64 * 1024


class Keys(msgspec.Struct, frozen=True):
    """Paths of PEM files: private key, certificate (chain), and the authorities that the broker is checked by."""

    key: Path
    certificate: Path
    authorities: Path

    def marks(self) -> tuple[tuple[int, int, int] | None, ...]:
        """Changes whenever one of the files does."""
        return tuple(_mark(p) for p in (self.key, self.certificate, self.authorities))


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """Common names, and RFC 3339 in UTC."""

    subject: str
    issuer: str
    not_before: str
    not_after: str


def read(path: Path) -> Certificate | None:
    """The certificate in `path`, or None where there is none that can be read."""
    try:
        with path.open("rb") as file:
            found = x509.load_pem_x509_certificate(file.read(_MOST))
    except (OSError, ValueError):
        return None
    return Certificate(
        subject=_common_name(found.subject),
        issuer=_common_name(found.issuer),
        not_before=rfc3339(found.not_valid_before_utc.timestamp()),
        not_after=rfc3339(found.not_valid_after_utc.timestamp()),
    )


def check(keys: Keys, box: str, *, synchronised: bool, now: float | None = None) -> Certificate:
    """The certificate, if it is one that `box` may show. CertificateMismatch otherwise, before anything is sent.

    `synchronised`: a box that does not know the time leaves judging the dates to the broker."""
    ask = "Ask the dealer for a certificate of this box"
    if not any(keys.marks()):
        raise CertificateMismatch("This box has no certificate yet", hint=ask, code="certificate-missing")
    found = read(keys.certificate)
    if found is None:
        raise CertificateMismatch("This box's certificate cannot be read", hint=ask)
    if found.subject != box:
        raise CertificateMismatch(
            f"The certificate here belongs to {found.subject!r}, not to {box}", hint=ask
        )
    if synchronised and unix(found.not_after) < (time.time() if now is None else now):
        raise CertificateMismatch(f"This box's certificate expired on {found.not_after[:10]}", hint=ask)
    return found


def context(keys: Keys, failures: list[ssl.SSLError]) -> ssl.SSLContext:
    """TLS 1.2 or newer, the broker checked by `keys.authorities` and its name. CertificateMismatch where a file
    does not serve. What TLS says after the handshake is added to `failures`: with TLS 1.3 a server turns a client's
    certificate down only then, and paho reports no more than that the connection ended."""

    class Socket(ssl.SSLSocket):
        def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
            try:
                return super().recv(buflen, flags)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                raise
            except ssl.SSLError as error:
                failures.append(error)
                raise

    try:
        made = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(keys.authorities))
    except (OSError, ValueError):
        raise CertificateMismatch(
            "The dealer's certificate authority (ca.crt) is missing or cannot be read"
        ) from None
    try:
        made.load_cert_chain(str(keys.certificate), str(keys.key))
    except (OSError, ValueError):
        raise CertificateMismatch("This box's certificate and its key do not fit each other") from None
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.set_alpn_protocols(["mqtt"])
    made.sslsocket_class = Socket
    return made


def _common_name(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else name.rfc4514_string()


def _mark(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
