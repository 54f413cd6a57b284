# SPDX-License-Identifier: Apache-2.0
"""Every parser of what others wrote. A row added here is fuzzed by `make test` and `make fuzz`.

A parser may raise what it declares and nothing else. Where it accepts an input, `call` also checks that what it made
of it survives being written and read again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from appliance.collector.wire import ber, message, snmprec
from appliance.collector.wire.value import (
    COUNTER32,
    COUNTER64,
    END_OF_MIB_VIEW,
    GAUGE32,
    INTEGER,
    IP_ADDRESS,
    NO_SUCH_INSTANCE,
    NO_SUCH_OBJECT,
    NULL,
    OBJECT_IDENTIFIER,
    OCTET_STRING,
    OPAQUE,
    TIME_TICKS,
    Varbind,
)
from appliance.model import clock, messages, settings, targets
from appliance.model.errors import RecordingError, SettingError, TargetError


class Parser(NamedTuple):
    """`seeds` are good inputs to begin with; `most` octets is what the caller lets through to it."""

    name: str
    seeds: list[bytes]
    call: Callable[[bytes], object]
    allowed: tuple[type[Exception], ...]
    most: int = 4_096


VARBINDS = [
    Varbind("1.3.6.1.2.1.1.1.0", OCTET_STRING, b"Printer X 4.0"),
    Varbind("1.3.6.1.2.1.1.2.0", OBJECT_IDENTIFIER, "1.3.6.1.4.1.2435.2.3.9.1"),
    Varbind("1.3.6.1.2.1.1.3.0", TIME_TICKS, 4_294_967_295),
    Varbind("1.3.6.1.2.1.43.11.1.1.9.1.1", INTEGER, -3),
    Varbind("1.3.6.1.2.1.43.10.2.1.4.1.1", COUNTER32, 123_456),
    Varbind("1.3.6.1.2.1.2.2.1.5.1", GAUGE32, 100_000_000),
    Varbind("1.3.6.1.2.1.31.1.1.1.6.1", COUNTER64, 2**64 - 1),
    Varbind("1.3.6.1.2.1.4.20.1.1.10.0.0.1", IP_ADDRESS, bytes((10, 0, 0, 1))),
    Varbind("1.3.6.1.4.1.2021.10.1.6.1", OPAQUE, bytes.fromhex("9f78043f800000")),
    Varbind("1.3.6.1.2.1.43.16.5.1.2.1.1", OCTET_STRING, "Bereit – Tüm".encode()),
    Varbind("1.3.6.1.4.1.4294967295.0", OCTET_STRING, b"\x00" * 200),
    Varbind("1.3.6.1.1", NO_SUCH_OBJECT, None),
    Varbind("1.3.6.1.2", NO_SUCH_INSTANCE, None),
    Varbind("1.3.6.1.3", END_OF_MIB_VIEW, None),
    Varbind("1.3.6.1.4", NULL, None),
]


def _snmp_message(data: bytes) -> None:
    read = message.decode_message(data)
    again = message.patch_request(
        read.version,
        read.community,
        read.pdu_type,
        read.request_id,
        b"".join([message.encode_varbind(*v) for v in read.varbinds]),
        read.error_status,
        read.error_index,
    )
    if len(again) <= message.MOST_OCTETS and message.decode_message(again) != read:
        raise AssertionError("does not come back")


def _ber(data: bytes) -> None:
    text = ber.dotted(data)
    if data and ber.oid(text) != data:
        raise AssertionError("does not come back")


def _recording(data: bytes) -> None:
    found = snmprec.load(data.decode("utf-8", "surrogateescape"))
    for varbind in found:
        message.encode_varbind(*varbind)
    if snmprec.load("\n".join(snmprec.dump(found))) != found:
        raise AssertionError("does not come back")


def _target(data: bytes) -> None:
    read = targets.parse(data.decode("utf-8", "replace"))
    if isinstance(read, targets.Span):
        if not (targets.allowed(read.first) and targets.allowed(read.last) and 0 < len(read) <= targets.MOST):
            raise AssertionError("is not allowed")
        if targets.parse(str(read)) != read:
            raise AssertionError("does not come back")


def _setting(data: bytes) -> None:
    key, _, value = data.decode("utf-8", "replace").partition("=")
    checked = settings.check(key, value)
    if settings.check(key, checked) != checked:
        raise AssertionError("does not come back")


def _time(data: bytes) -> None:
    clock.unix(data.decode("utf-8", "replace"))


def _acknowledgement(data: bytes) -> None:
    msgspec.json.decode(data, type=messages.Acknowledgement)


def _requests() -> list[bytes]:
    oids = [v.oid for v in VARBINDS]
    return [
        message.encode_request(message.V2C, b"public", message.GET, 0x12345678, oids),
        message.encode_request(message.V1, b"public", message.GETNEXT, -1, oids[:1]),
        message.encode_request(
            message.V2C, b"", message.GETBULK, 1, oids[:3], non_repeaters=1, max_repetitions=50
        ),
    ]


def _responses() -> list[bytes]:
    return [
        message.encode_response(message.V2C, b"public", 0x12345678, 0, 0, VARBINDS),
        message.encode_response(message.V1, b"a longer community", 1, 2, 3, VARBINDS[:4]),
        message.encode_response(message.V2C, b"public", -7, 5, 1, []),
        message.encode_response(
            message.V2C, b"public", 9, 0, 0, [Varbind("1.3.6.1.2.1.1.5.0", OCTET_STRING, b"x" * 300)]
        ),
    ]


PARSERS = {
    p.name: p
    for p in (
        Parser("snmp-message", _requests() + _responses(), _snmp_message, (ber.DecodeError,)),
        Parser("ber-oid", [ber.oid(v.oid) for v in VARBINDS], _ber, (ber.DecodeError,)),
        Parser("recording", ["\n".join(snmprec.dump(VARBINDS)).encode()], _recording, (RecordingError,)),
        Parser(
            "target",
            [
                b"192.168.1.10",
                b"192.168.1.1-192.168.1.254",
                b"10.0.0.0/24",
                b"fe80::1",
                b"fd00::/120",
                b"printer-1.example",
            ],
            _target,
            (TargetError,),
            most=512,
        ),
        Parser(
            "setting",
            [
                b"discovery.rate=20",
                b"discovery.ranges=10.0.0.0/24, 10.0.1.5",
                b"uplink.paused=yes",
                b"page.language=de",
            ],
            _setting,
            (SettingError,),
        ),
        Parser(
            "time",
            [b"2026-11-21T11:10:30.250Z", b"2026-11-21T12:10:30+01:00"],
            _time,
            (ValueError,),
            most=128,
        ),
        Parser(
            "acknowledgement",
            [
                b'{"schema":"platen.acknowledgement/1","stream":"a","seqs":[1,2],"box":"PL-0000-0000","refused":{"3":"why"},"time":"2026-11-21T11:10:30Z"}'
            ],
            _acknowledgement,
            (msgspec.MsgspecError, UnicodeDecodeError),
        ),
    )
}
