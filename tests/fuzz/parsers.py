# SPDX-License-Identifier: Apache-2.0
"""Every parser of what others wrote. A row added here is fuzzed by `make test` and `make fuzz`.

A parser may raise what it declares and nothing else. Where it accepts an input, `call` also checks that what it made
of it survives being written and read again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from appliance import provision
from appliance.collector.read import colors, extract, identity, profile, text
from appliance.collector.read.decode import decode
from appliance.collector.read.plan import Plan, make
from appliance.collector.read.values import Values
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
from appliance.model import brand, clock, messages, personalisation, settings, targets
from appliance.model.errors import (
    BrandError,
    PersonalisationError,
    ProfileError,
    RecordingError,
    SettingError,
    TargetError,
)
from appliance.provision import installer


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


def _profile(data: bytes) -> None:
    profile.parse(data, "x.toml")


def _reading(data: bytes) -> None:
    """Whatever a printer says, a reading and a plan come of it, and both can be stored."""
    varbinds: list[Varbind] = []
    for line in data.decode("utf-8", "surrogateescape").split("\n"):
        with contextlib.suppress(RecordingError):
            varbinds += snmprec.load(line)  # line by line: one that is broken must not hide the others
    chosen = PROFILES.match(identity.facts(Values(varbinds)))
    found = decode(varbinds, chosen, address="192.0.2.1", time="2026-11-21T12:00:00Z", clock="synchronised")
    msgspec.json.decode(msgspec.json.encode(found), type=type(found))
    plan = make(varbinds, chosen, found, [])
    if Plan.decode(plan.encode()) != plan:
        raise AssertionError("does not come back")


def _octets(data: bytes) -> None:
    for charset in (None, 4, 17, 106, 2004):
        words, _ = text.decode(data, charset)
        colors.described(words)
    for decoder in extract.DECODERS.values():
        decoder(data)
    extract.device_id(data)


def _plan(data: bytes) -> None:
    Plan.decode(data)


PROFILES = profile.load_profiles()


def _printer() -> list[Varbind]:
    return [
        *VARBINDS[:5],
        Varbind("1.3.6.1.2.1.25.3.2.1.2.1", OBJECT_IDENTIFIER, "1.3.6.1.2.1.25.3.1.5"),
        Varbind("1.3.6.1.2.1.25.3.5.1.2.1", OCTET_STRING, b"\x24\x80"),
        Varbind("1.3.6.1.2.1.43.8.2.1.11.1.1", INTEGER, 19),
        Varbind("1.3.6.1.2.1.43.11.1.1.6.1.1", OCTET_STRING, b"Black Toner"),
        Varbind("1.3.6.1.2.1.43.18.1.1.7.1.1", INTEGER, 1104),
        Varbind("1.3.6.1.2.1.43.18.1.1.9.1.1", TIME_TICKS, 100),
        Varbind("1.3.6.1.4.1.2435.2.3.9.4.2.1.5.5.8.0", OCTET_STRING, bytes.fromhex("6f010400001c20ff")),
    ]


def _stored_plan() -> bytes:
    seen = decode(_printer(), profile.GENERIC, address="x", time="2026-11-21T12:00:00Z", clock="synchronised")
    return make(_printer(), profile.GENERIC, seen, ["no-bulk"]).encode()


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


def _personalisation(data: bytes) -> None:
    box = personalisation.decode(data)
    if personalisation.decode(personalisation.encode(box)) != box:
        raise AssertionError("does not come back")


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
        Parser(
            "profile",
            [(profile.BUILT_IN / f"{name}.toml").read_bytes() for name in ("hp", "ricoh", "samsung")],
            _profile,
            (ProfileError,),
        ),
        Parser(
            "platen.toml",
            [(Path(provision.__file__).parent / "platen.toml").read_bytes().replace(b"#", b"")],
            installer.read,
            (),
        ),
        Parser(
            "box.toml",
            [
                b'pack = "%s"\nbox_id = "PL-7K3M-9Q2X"\nsetup_code = "AAAA-BBBB"\n[fleet]\nhost = "f"\ntenant = "t"'
                % (b"0" * 32)
            ],
            _personalisation,
            (PersonalisationError,),
        ),
        Parser(
            "svg",
            [b'<svg xmlns="http://www.w3.org/2000/svg"><style>a{b:url(#x)}</style><path style="a:b"/></svg>'],
            brand.check_svg,
            (BrandError,),
        ),
        Parser("reading", ["\n".join(snmprec.dump(_printer())).encode()], _reading, ()),
        Parser(
            "octets",
            [
                b"MFG:Brother;CMD:PJL,PCL;MDL:HL-L8260CDW series;CLS:PRINTER;",
                bytes.fromhex("0001040000134b010104000006e2ff"),
                bytes.fromhex("0115564e4352433831313634"),
                "Tonerkassette, schwarz".encode("utf-16-be"),
            ],
            _octets,
            (),
        ),
        Parser("plan", [_stored_plan()], _plan, (ValueError,)),
    )
}
