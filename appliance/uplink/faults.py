# SPDX-License-Identifier: Apache-2.0
"""What went wrong on the way to the broker, in one sentence a person can act on. Pure."""

from __future__ import annotations

import socket
import ssl

from appliance.model.errors import BrokerUnreachable, CertificateMismatch, LinkError, PlatenError

# X509_V_ERR_* of OpenSSL's x509_vfy.h.
_VERIFY = {
    9: "is not valid yet",
    10: "has expired",
    18: "is signed by itself",
    19: "was issued by an authority this box does not trust",
    20: "was issued by an authority this box does not trust",
    21: "was issued by an authority this box does not trust",
    62: "is for another name",
    64: "is for another address",
}
# TLS alerts by which a server turns down a client's certificate (RFC 8446 section 6.2), as OpenSSL names them.
_TURNED_DOWN = {
    "BAD_CERTIFICATE": "it is not sound",
    "UNSUPPORTED_CERTIFICATE": "it is of an unknown kind",
    "CERTIFICATE_REVOKED": "it was revoked",
    "CERTIFICATE_EXPIRED": "it has expired",
    "CERTIFICATE_UNKNOWN": "it is not known there",
    "UNKNOWN_CA": "it was issued by another authority",
    "ACCESS_DENIED": "access was denied",
    "DECRYPT_ERROR": "its signature does not hold",
    "CERTIFICATE_REQUIRED": "none was presented",
    "HANDSHAKE_FAILURE": "no common terms were found",
}
# Reason codes of CONNACK, PUBACK, SUBACK and DISCONNECT (MQTT 5, section 2.4).
_REASONS = {
    133: "does not accept this box's id",
    134: "does not accept this box's certificate as a user",
    135: "does not let this box in under this account",
    136: "is not available now",
    137: "is busy",
    138: "has banned this box",
    139: "is shutting down",
    140: "wants another way of proving who this is",
    141: "heard nothing for too long",
    142: "has this box connected from somewhere else too",
    143: "does not let this box hear the dealer's answers",
    144: "does not let this box send to this account",
    149: "takes only smaller messages",
    151: "says the box has used up its quota",
    152: "closed the connection on its operator's request",
    156: "says to use another server",
    157: "has moved",
    159: "says the box connects too often",
}
_ACCOUNT = "Check the account (uplink.tenant) with the dealer; what was read waits on the box"


def explain(error: BaseException, host: str, port: int) -> LinkError:
    """The failed attempt to reach `host`:`port` as CertificateMismatch or BrokerUnreachable."""
    if isinstance(error, LinkError):
        return error
    if isinstance(error, PlatenError):
        # What cannot be noted in the ledger is not sent.
        return BrokerUnreachable(
            f"Nothing is sent, because it could not be noted: {error.sentence}", code=error.code
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        what = _VERIFY.get(error.verify_code, "does not hold: " + error.verify_message)
        hint = "Check this box's clock, then ask the dealer" if error.verify_code in (9, 10) else None
        return CertificateMismatch(f"The certificate of {host} {what}", hint=hint)
    if isinstance(error, ssl.SSLError):
        alert = next((a for a in _TURNED_DOWN if f"ALERT_{a}" in (error.reason or "")), None)
        if alert is not None:
            return CertificateMismatch(
                f"{host} refuses this box's certificate: {_TURNED_DOWN[alert]}",
                hint="No reading was sent; the dealer has to issue a new certificate",
            )
        return BrokerUnreachable(f"{host}:{port} does not speak TLS 1.2 or newer")
    if isinstance(error, socket.gaierror | UnicodeError):
        return BrokerUnreachable(f"The name {host!r} does not resolve")
    if isinstance(error, ConnectionRefusedError):
        return BrokerUnreachable(f"{host} refuses connections on port {port}")
    if isinstance(error, TimeoutError):
        return BrokerUnreachable(f"{host}:{port} does not answer")
    if isinstance(error, ConnectionError):
        return closed(host)
    why = f": {error.strerror}" if isinstance(error, OSError) and error.strerror else ""
    return BrokerUnreachable(f"{host}:{port} cannot be reached{why}")


def closed(host: str) -> LinkError:
    """The other end hung up and did not say why."""
    return BrokerUnreachable(f"{host} closed the connection")


def silent(host: str) -> LinkError:
    """The connection stands and nothing comes over it."""
    return BrokerUnreachable(f"{host} stopped answering")


def reason(code: int, host: str, *, publishing: bool = False) -> LinkError:
    """A reason code of MQTT 5 that means failure (0x80 and above)."""
    if code == 135 and publishing:
        code = 144
    what = _REASONS.get(code, f"refused with MQTT reason {code}")
    hint = _ACCOUNT if code in (133, 134, 135, 138, 143, 144) else None
    refused = code in (133, 134, 135, 138, 140, 143, 144)
    return BrokerUnreachable(f"{host} {what}", hint=hint, code="broker-refused" if refused else None)
