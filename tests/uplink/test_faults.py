# SPDX-License-Identifier: Apache-2.0
"""Every failure is one sentence, with a code of the tree and a hint."""

from __future__ import annotations

import socket
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.model.errors import BrokerUnreachable, CertificateMismatch, DiskFull, LinkError
from appliance.uplink import faults


def _alert(name: str) -> ssl.SSLError:
    error = ssl.SSLError(1, f"[SSL: {name}]")
    error.reason = name
    return error


@pytest.mark.parametrize(
    ("error", "kind", "word"),
    [
        (_alert("TLSV13_ALERT_CERTIFICATE_REQUIRED"), CertificateMismatch, "none was presented"),
        (_alert("SSLV3_ALERT_CERTIFICATE_EXPIRED"), CertificateMismatch, "has expired"),
        (_alert("TLSV1_ALERT_UNKNOWN_CA"), CertificateMismatch, "another authority"),
        (_alert("WRONG_VERSION_NUMBER"), BrokerUnreachable, "TLS 1.2"),
        (socket.gaierror(-2, "Name or service not known"), BrokerUnreachable, "does not resolve"),
        (UnicodeError("label too long"), BrokerUnreachable, "does not resolve"),
        (ConnectionRefusedError(111, "refused"), BrokerUnreachable, "refuses connections"),
        (TimeoutError("timed out"), BrokerUnreachable, "does not answer"),
        (ConnectionResetError(104, "reset"), BrokerUnreachable, "closed the connection"),
        (OSError(101, "Network is unreachable"), BrokerUnreachable, "Network is unreachable"),
        (ValueError("odd"), BrokerUnreachable, "cannot be reached"),
        (DiskFull("The disk is full"), BrokerUnreachable, "could not be noted"),
    ],
)
def test_each_failure_has_its_sentence(error: Exception, kind: type[LinkError], word: str) -> None:
    told = faults.explain(error, "broker.example", 8883)
    assert type(told) is kind
    assert word in told.sentence
    assert told.hint


def test_what_is_told_already_stays() -> None:
    error = CertificateMismatch("Mine")
    assert faults.explain(error, "h", 1) is error


@given(st.integers(0x80, 0xFF), st.booleans())
def test_every_reason_code_is_a_sentence(code: int, publishing: bool) -> None:
    told = faults.reason(code, "broker.example", publishing=publishing)
    assert told.sentence.startswith("broker.example ")
    assert told.code in ("broker-unreachable", "broker-refused")
    assert told.hint
