# SPDX-License-Identifier: Apache-2.0
"""What a dealer writes onto a card for one box: the folder `platen/` of the firmware partition."""

from __future__ import annotations

import re
import tomllib
from typing import TypeVar

import msgspec

from appliance.model import codes
from appliance.model.errors import PersonalisationError

T = TypeVar("T")

FOLDER = "platen"
BOX = "box.toml"
CA = "ca.crt"
CERTIFICATE = "client.crt"
KEY = "client.key"
BRAND = "brand"
DONE = "done.toml"
"""Left by the box when it has taken everything in: who it is, and nothing secret."""

SECRETS = (KEY, BOX)
"""In the order they are wiped; the box file last, because it says what the others belong to."""

MOST = {BOX: 4 * 1024, CA: 64 * 1024, CERTIFICATE: 64 * 1024, KEY: 16 * 1024, DONE: 4 * 1024}
"""Octets of each file."""

HOST = re.compile(r"(?=.{1,253}\Z)(?!-)[A-Za-z0-9\-]{1,63}(?:\.[A-Za-z0-9\-]{1,63})*\Z|[0-9A-Fa-f:]{2,39}\Z")
TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,63}\Z")
"""One level of an MQTT topic, and nothing in it that means something there."""


class Fleet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The dealer's broker."""

    host: str
    tenant: str
    port: int = 8883


class Box(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One box. `pack` names this personalisation: a box takes each in once. The codes are secret and stay out of
    every repr."""

    pack: str
    box_id: str
    setup_code: str
    claim_code: str | None = None
    fleet: Fleet | None = None

    def __repr__(self) -> str:
        return f"Box(box_id={self.box_id!r}, pack={self.pack!r})"


class Done(msgspec.Struct, frozen=True):
    """What DONE says."""

    pack: str
    box_id: str


def decode(data: bytes) -> Box:
    """The box that the file describes, checked, or PersonalisationError."""
    box = _decoded(data, Box, BOX)
    for what, ok in (
        ("pack", re.fullmatch("[0-9a-f]{32}", box.pack)),
        ("box_id", codes.BOX_ID.match(box.box_id)),
        ("setup_code", codes.SETUP_CODE.match(box.setup_code)),
        ("claim_code", box.claim_code is None or codes.is_claim_code(box.claim_code)),
        ("fleet.host", box.fleet is None or HOST.match(box.fleet.host)),
        ("fleet.tenant", box.fleet is None or TENANT.match(box.fleet.tenant)),
        ("fleet.port", box.fleet is None or 0 < box.fleet.port < 65_536),
    ):
        if not ok:
            raise PersonalisationError(f"{BOX}: {what} does not have the form it should")
    return box


def decode_done(data: bytes) -> Done:
    return _decoded(data, Done, DONE)


def encode(box: Box) -> bytes:
    """The file; `decode` takes it back. What it refuses is not written either."""
    lines = [
        "# SPDX-License-Identifier: CC0-1.0",
        "# Written by 'platen-image personalise'. The box takes it in on its next start and then wipes it.",
        f'pack = "{box.pack}"',
        f'box_id = "{box.box_id}"',
        f'setup_code = "{box.setup_code}"',
    ]
    if box.claim_code is not None:
        lines.append(f'claim_code = "{box.claim_code}"')
    if box.fleet is not None:
        lines += ["", "[fleet]", f'host = "{box.fleet.host}"', f'tenant = "{box.fleet.tenant}"']
        lines.append(f"port = {box.fleet.port}")
    data = ("\r\n".join(lines) + "\r\n").encode()
    decode(data)
    return data


def encode_done(pack: str, box_id: str) -> bytes:
    return (
        "# This card's personalisation is on the box; what was secret was wiped here.\r\n"
        f'pack = "{pack}"\r\nbox_id = "{box_id}"\r\n'
    ).encode()


def _decoded(data: bytes, kind: type[T], name: str) -> T:
    if len(data) > MOST[name]:
        raise PersonalisationError(f"{name} is larger than {MOST[name]} octets")
    try:
        return msgspec.convert(tomllib.loads(data.decode("utf-8-sig")), kind)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError, RecursionError):
        # The parser's own words could quote a secret.
        raise PersonalisationError(f"{name} cannot be read") from None
