# SPDX-License-Identifier: Apache-2.0
"""How a simulated device differs from a good one: slow, deaf, limited or lying. One table each; pure functions."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from appliance.collector.wire.message import GETBULK, Message, encode_varbind
from appliance.collector.wire.value import INTEGER, OCTET_STRING
from appliance.model.errors import UsageError
from appliance.simulate.mib import Mib


class Step(NamedTuple):
    """What follows an OID: its name and the varbind's octets."""

    name: str
    octets: bytes


class Reply(NamedTuple):
    """A reply before it is octets; `body` holds encoded varbinds."""

    community: bytes
    request_id: int
    error_status: int
    error_index: int
    body: list[bytes]


class Lie(NamedTuple):
    """One way of lying, at one of four places: what follows an OID, the reply's fields, its octets, its source."""

    help: str
    step: Callable[[Mib, str], Step | None] | None = None
    reply: Callable[[Message, Reply], Reply] | None = None
    octets: Callable[[bytes], bytes] | None = None
    source: bool = False


class Behaviour(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be said of a device behind its file name. Times in seconds."""

    delay: float = 0.0
    jitter: float = 0.0
    loss: float = 0.0
    sleep: float = 0.0
    down: bool = False
    v1: bool = False
    no_bulk: str = ""
    max_varbinds: int = 0
    beyond: str = "tooBig"
    max_size: int = 1472
    restart_on_burst: int = 0
    community: str = "public"
    lie: str = ""
    at: str = ""
    times: int = 1

    @property
    def lying(self) -> Lie | None:
        return LIES[self.lie] if self.lie else None

    @property
    def prompt(self) -> bool:
        """Whether every answer leaves at once."""
        return not (self.delay or self.jitter or self.loss or self.sleep)


HELP = {
    "at": ("ADDRESS", "stand at this address instead of the next one"),
    "times": ("N", "stand at N addresses in a row"),
    "community": ("NAME", "answer to this community only; to others never (public)"),
    "v1": ("", "know SNMPv1 only; v2c requests are never answered"),
    "delay": ("SECONDS", "answer this late"),
    "jitter": ("SECONDS", "answer up to this much later still, at random"),
    "loss": ("0..1", "never answer this share of the requests"),
    "sleep": ("SECONDS", "answer the first request this late, and again after a minute without one"),
    "down": ("", "never answer"),
    "no-bulk": ("silent|genErr", "do not know GETBULK: never answer it, or answer genErr (silent)"),
    "max-varbinds": ("N", "take N varbinds in a GET or GETNEXT; put N into the answer to a GETBULK at most"),
    "beyond": ("tooBig|silent", "what happens to more than max-varbinds (tooBig)"),
    "max-size": (
        "OCTETS",
        "the largest reply; a GET beyond it answers tooBig, a GETBULK is cut short (1472)",
    ),
    "restart-on-burst": (
        "N",
        "restart on more than N requests in a second: ten silent seconds, sysUpTime from 0",
    ),
}
"""Name → (what its value is, what it does). `lie` has its own table, LIES."""

RESTART_S = 10.0
SLEEPS_AGAIN_S = 60.0


def parse(text: str) -> tuple[str, Behaviour]:
    """ "FILE,name=value,..." → (FILE, behaviour). UsageError names the word that is wrong."""
    file, *words = text.split(",")
    given: dict[str, object] = {}
    for word in words:
        name, equals, value = word.strip().partition("=")
        if name not in HELP and name != "lie":
            raise UsageError(f"{name!r} in {text!r} is no behaviour", hint=_known())
        given[name.replace("-", "_")] = _value(name, value if equals else "", text)
    return file, Behaviour(**given)  # type: ignore[arg-type]  # _value gives each its type


def describe() -> str:
    """The two tables as the text of `--help`."""
    lines = ["behaviours, written behind a file as FILE,name=value,...:"]
    for name, (value, words) in HELP.items():
        lines.append(f"  {name + ('=' + value if value else ''):<26} {words}")
    lines.append(f"  {'lie=KIND':<26} lie, in one of these ways:")
    lines += [f"    {name:<24} {lie.help}" for name, lie in LIES.items()]
    return "\n".join(lines)


def _value(name: str, value: str, text: str) -> object:
    takes = HELP[name][0] if name != "lie" else "KIND"
    if name in ("v1", "down"):
        if value:
            raise UsageError(f"{name!r} in {text!r} takes no value")
        return True
    if name == "no-bulk" and not value:
        return "silent"
    if not value:
        raise UsageError(f"{name!r} in {text!r} needs a value: {takes}")
    choices = list(LIES) if name == "lie" else takes.split("|") if "|" in takes else None
    if choices:
        if value not in choices:
            raise UsageError(f"{name}={value} in {text!r} is not one of {', '.join(choices)}")
        return value
    if takes in ("NAME", "ADDRESS"):
        return value
    try:
        number: float = int(value) if takes in ("N", "OCTETS") else float(value)
    except ValueError:
        raise UsageError(f"{name}={value} in {text!r} is not a number") from None
    least, most = _LIMITS[takes]
    if not least <= number <= most:
        raise UsageError(f"{name}={value} in {text!r} is not between {least} and {most}")
    return number


_LIMITS = {"SECONDS": (0, 600), "0..1": (0, 1), "N": (1, 65_536), "OCTETS": (64, 65_507)}


def _known() -> str:
    return f"There are: {', '.join([*HELP, 'lie'])}"


# What follows an OID.


def _loop(mib: Mib, oid: str) -> Step | None:
    at = mib.after(oid)
    # Twenty objects back from every fortieth: inside most tables, and for ever.
    at = at - 20 if at % 40 == 39 else at
    return Step(mib.oids[at], mib.octets[at]) if at < len(mib.oids) else None


def _backwards(mib: Mib, oid: str) -> Step | None:
    at = mib.after(oid)
    if oid not in mib.index:
        return Step(mib.oids[at], mib.octets[at]) if at < len(mib.oids) else None
    return Step(mib.oids[at - 2], mib.octets[at - 2]) if at >= 2 else None


def _endless(mib: Mib, oid: str) -> Step | None:
    at = mib.after(oid)
    column, _, last = oid.rpartition(".")
    if at < len(mib.oids) and mib.oids[at].startswith(column + "."):
        return Step(mib.oids[at], mib.octets[at])
    name = f"{column}.{(int(last) + 1) % (1 << 32)}"
    return Step(name, encode_varbind(name, INTEGER, 0))


# The reply's fields.


def _wrong_id(_: Message, reply: Reply) -> Reply:
    return reply._replace(request_id=reply.request_id - 1 if reply.request_id > 0 else 1)


def _other_community(_: Message, reply: Reply) -> Reply:
    return reply._replace(community=b"private" if reply.community != b"private" else b"public")


def _bulk_differs(message: Message, reply: Reply) -> Reply:
    if message.pdu_type != GETBULK:
        return reply
    # The last octet of every value that has one: a MAC address, a serial number, a level.
    body = [v[:-1] + bytes((v[-1] ^ 0x01,)) if v[-2:] not in _EMPTY else v for v in reply.body]
    return reply._replace(body=body)


_EMPTY = {bytes((tag, 0)) for tag in (0x04, 0x05, 0x40, 0x80, 0x81, 0x82)}


# Its octets.


def _truncated(octets: bytes) -> bytes:
    return octets[: len(octets) // 2]


def _oversized(octets: bytes) -> bytes:
    """Announces what it holds, and holds as much as UDP can carry."""
    return octets + encode_varbind("1.3.6.1.2.1.1.1.0", OCTET_STRING, bytes(65_507 - len(octets) - 20))


def _garbage(octets: bytes) -> bytes:
    return random.Random(octets).randbytes(len(octets))


LIES: dict[str, Lie] = {
    "loop": Lie("every fortieth object is followed by one twenty back", step=_loop),
    "backwards": Lie("each object is followed by the one before it", step=_backwards),
    "endless": Lie("each column goes on for ever with rows that are not there", step=_endless),
    "wrong-id": Lie("reply with another request id", reply=_wrong_id),
    "other-community": Lie("reply with another community", reply=_other_community),
    "bulk-differs": Lie("GETBULK gives other values than GET", reply=_bulk_differs),
    "truncated": Lie("send the first half of each reply", octets=_truncated),
    "oversized": Lie("send each reply in a datagram of 65,507 octets", octets=_oversized),
    "garbage": Lie("send as many octets that mean nothing", octets=_garbage),
    "wrong-source": Lie("reply from the next address instead of its own", source=True),
}
