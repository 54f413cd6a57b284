# SPDX-License-Identifier: Apache-2.0
"""`platen record`: a recording of one printer that its owner can give away.

What is not known to be harmless is left out: only the subtrees of `_RULES` are asked for at all, numbers of
the vendor's own tree are kept, texts there only where a profile reads them, and whatever names a person, a
place or a device is blanked wherever it turns up again.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from appliance import __version__
from appliance.cli import Commands, Progress, Run, plain
from appliance.cli_printers import KEYS
from appliance.collector.wire.value import IP_ADDRESS, OCTET_STRING, Varbind, oid_key, under
from appliance.model.errors import NoAnswer, NotAPrinter, RecordingError, UsageError

if TYPE_CHECKING:
    from appliance.collector.ask.asker import Asker
    from appliance.collector.read.profile import Profiles, Source

MOST_VARBINDS = 20_000

Action = Literal["keep", "blank", "tail", "mask"]
"""blank: the value becomes empty. tail: only its beginning stays. mask: letters become x and digits 0."""

_ENTERPRISES = "1.3.6.1.4.1"
_RULES: dict[str, Action] = {
    "1.3.6.1.2.1.1": "keep",
    "1.3.6.1.2.1.1.4": "blank",  # sysContact
    "1.3.6.1.2.1.1.5": "blank",  # sysName
    "1.3.6.1.2.1.1.6": "blank",  # sysLocation
    "1.3.6.1.2.1.2.2.1.1": "keep",  # ifIndex
    "1.3.6.1.2.1.2.2.1.2": "keep",  # ifDescr
    "1.3.6.1.2.1.2.2.1.3": "keep",  # ifType
    "1.3.6.1.2.1.2.2.1.6": "tail",  # ifPhysAddress: its first three octets name the maker
    "1.3.6.1.2.1.2.2.1.8": "keep",  # ifOperStatus
    "1.3.6.1.2.1.25.2": "keep",  # hrStorage
    "1.3.6.1.2.1.25.3": "keep",  # hrDevice, hrPrinter
    "1.3.6.1.2.1.43": "keep",  # Printer-MIB
    "1.3.6.1.2.1.43.5.1.1.4": "blank",  # prtGeneralCurrentOperator
    "1.3.6.1.2.1.43.5.1.1.5": "blank",  # prtGeneralServicePerson
    "1.3.6.1.2.1.43.5.1.1.16": "blank",  # prtGeneralPrinterName
    "1.3.6.1.2.1.43.5.1.1.17": "tail",  # prtGeneralSerialNumber
    "1.3.6.1.2.1.43.8.2.1.17": "tail",  # prtInputSerialNumber
    "1.3.6.1.2.1.43.9.2.1.11": "tail",  # prtOutputSerialNumber
    "1.3.6.1.2.1.43.14.1.1.9": "blank",  # prtChannelInformation: addresses, queues
    "1.3.6.1.2.1.43.16.5.1.2": "mask",  # prtConsoleDisplayBufferText: "printing letter.doc of Meier"
    "1.3.6.1.4.1.2699.1.2": "mask",  # PWG Port Monitor MIB; the Job Monitoring MIB beside it is left out
}
_IDENTIFYING = ("1.3.6.1.2.1.1.4", "1.3.6.1.2.1.1.5", "1.3.6.1.2.1.1.6")
_PRINTER_NAME = "1.3.6.1.2.1.43.5.1.1.16"
_DEVICE_DESCR = "1.3.6.1.2.1.25.3.2.1.3"
_SERIALS = ("1.3.6.1.2.1.43.5.1.1.17",)
_PHYS_ADDRESS = "1.3.6.1.2.1.2.2.1.6"
_SERIAL_STAYS = 3
_DEVICE_ID_SERIAL = re.compile(rb"\b(SN|SER|SERN|SERIALNUMBER):([^;]*)", re.IGNORECASE)
"""As it stands in an IEEE 1284 device id."""

_SHORTEST = 4
"""A shorter name ("HP") would be found, and blanked, in every other text."""


class Redacted(msgspec.Struct, frozen=True):
    """`varbinds` in MIB order; `changed` says what was done to which OID."""

    varbinds: list[Varbind]
    changed: dict[str, str]
    dropped: int


def redact(
    varbinds: Iterable[Varbind],
    *,
    vendor_tree: str | None,
    address: str = "",
    read: Mapping[str, Action] | None = None,
    patterns: Collection[tuple[str, str]] = (),
) -> Redacted:
    """Without what tells whose printer this is. `vendor_tree` is the enterprise's OID; below it texts are masked
    but for what `read` says of the OIDs that profiles read (`rules_of`). Group 1 of `patterns`, each for one
    OID, is a serial number or the like within a longer text (`patterns_of`)."""
    given = sorted(varbinds, key=lambda v: oid_key(v.oid))
    rules: dict[str, Action] = _RULES | dict(read or {})
    if vendor_tree:
        rules.setdefault(vendor_tree, "mask")
    rules |= {o: a for o, a in _RULES.items() if a != "keep"}  # a profile reads serial numbers too
    secret = _secrets(given, address, patterns)
    kept: list[Varbind] = []
    changed: dict[str, str] = {}
    dropped = 0
    for varbind in given:
        action = _action(varbind.oid, rules)
        if action is None:
            dropped += 1
            continue
        value = varbind.value
        if varbind.tag == IP_ADDRESS:
            new: object = bytes(4)
        elif isinstance(value, bytes):
            new = _DEVICE_ID_SERIAL.sub(_shortened, _without(_applied(action, varbind.oid, value), secret))
        else:
            new = value
        if new != value:
            changed[varbind.oid] = (
                "address" if varbind.tag == IP_ADDRESS else action if action != "keep" else "found again"
            )
        kept.append(Varbind(varbind.oid, varbind.tag, new))  # type: ignore[arg-type]
    return Redacted(kept, changed, dropped)


def _action(oid: str, rules: dict[str, Action]) -> Action | None:
    """That of the longest rule above it."""
    at = oid
    while at:
        if at in rules:
            return rules[at]
        at = at.rpartition(".")[0]
    return None


def _applied(action: Action, oid: str, value: bytes) -> bytes:
    if action == "blank":
        return b""
    if action == "tail":
        stays = value[:_SERIAL_STAYS]
        return stays + (
            bytes(len(value) - len(stays)) if under(oid, _PHYS_ADDRESS) else _masked(value[len(stays) :])
        )
    return _masked(value) if action == "mask" else value


def _masked(value: bytes) -> bytes:
    """Its length and look stay: 2026-11-21 becomes 0000-00-00. What is not ASCII text becomes zeros."""
    if not all(0x20 <= b < 0x7F or b in b"\r\n\t\0" for b in value):
        return bytes(len(value))
    return re.sub(rb"[0-9]", b"0", re.sub(rb"[A-Za-z]", b"x", value))


def _secrets(
    varbinds: Sequence[Varbind], address: str, patterns: Collection[tuple[str, str]]
) -> list[tuple[bytes, bytes]]:
    """(text, replacement) of everything that is blanked where it stands by itself, for where it is
    repeated."""
    found: dict[bytes, bytes] = {}

    def note(value: bytes, replacement: bytes) -> None:
        value = value.strip(b"\0 ")
        if len(value) >= _SHORTEST:
            found[value] = replacement

    models = [v for o, _, v in varbinds if under(o, _DEVICE_DESCR) and isinstance(v, bytes)]
    for oid, _, value in varbinds:
        if not isinstance(value, bytes):
            continue
        # Left as it was made, prtGeneralPrinterName is the model, which is no secret.
        named = under(oid, _PRINTER_NAME) and not any(value.strip(b"\0 ") in model for model in models)
        if named or any(under(oid, o) for o in _IDENTIFYING):
            note(value, _masked(value.strip(b"\0 ")))
        elif any(under(oid, o) for o in _SERIALS):
            text = value.strip(b"\0 ")
            note(text, text[:_SERIAL_STAYS] + _masked(text[_SERIAL_STAYS:]))
        elif under(oid, _PHYS_ADDRESS) and len(value) == 6 and any(value):
            note(value, value[:3] + bytes(3))
            for between in ("", ":", "-"):
                written = between.join(f"{b:02x}" for b in value).encode()
                note(written, between.join(f"{b:02x}" for b in value[:3] + bytes(3)).encode())
    texts = {oid: value.decode("latin-1") for oid, _, value in varbinds if isinstance(value, bytes)}
    for oid, pattern in patterns:
        if oid in texts and (match := re.search(pattern, texts[oid])) is not None:
            inside = (match[match.lastindex or 0] or "").encode("latin-1")
            note(inside, inside[:_SERIAL_STAYS] + _masked(inside[_SERIAL_STAYS:]))
    if address and "." in address:
        note(address.encode(), b"0.0.0.0")
    return sorted(found.items(), key=lambda pair: -len(pair[0]))


def _without(value: bytes, secret: list[tuple[bytes, bytes]]) -> bytes:
    for text, replacement in secret:
        value = re.sub(re.escape(text), lambda _, r=replacement: r, value, flags=re.IGNORECASE)  # type: ignore[misc]
    return value


def _shortened(match: re.Match[bytes]) -> bytes:
    value = match[2]
    return match[1] + b":" + value[:_SERIAL_STAYS] + _masked(value[_SERIAL_STAYS:])


# --- the command ---


def add(commands: Commands) -> None:
    commands.add(
        "record",
        _arguments,
        summary="make a recording of one printer that may be given away",
        text="""
            Walks what describes the printer and writes it as OID|TAG|VALUE lines, which 'platen query --walk'
            and 'platen simulate' take. Names, places, contacts, addresses, and the ends of serial numbers and
            MAC addresses are blanked, also where they are repeated in other texts; texts of the vendor's own
            tree are kept only where a profile reads them. Jobs, users, routes and ARP tables are not asked
            for.

            Read the file before you give it away: --preview shows every text in it.""",
        examples="""
            platen record 192.168.1.20 --preview
            platen record 192.168.1.20 -o kyocera-m5526.snmprec
            platen query --walk kyocera-m5526.snmprec
            """,
        more=KEYS,
        status="0  it was recorded\n1  no answer, not a printer, or access refused",
    )


def _arguments(parser: argparse.ArgumentParser) -> Run:
    from appliance.collector import query

    parser.add_argument("host", metavar="HOST[:PORT]", help="an address or a name")
    parser.add_argument("-o", "--output", metavar="FILE", help="write it here; - is stdout")
    parser.add_argument(
        "--preview", action="store_true", help="show each text that stays and what was blanked"
    )
    parser.add_argument("--force", action="store_true", help="replace FILE if it exists")
    query.add_access(parser)
    return _record


async def _record(args: argparse.Namespace) -> int:
    from appliance.collector import query
    from appliance.collector.read.profile import load_profiles
    from appliance.collector.wire import snmprec

    if not (args.output or args.preview):
        raise UsageError("Where to?", hint="Give -o FILE, or --preview to look first")
    if args.output not in (None, "-") and _exists(args.output) and not args.force:
        raise UsageError(f"{args.output} exists", hint="Choose another name, or give --force")
    host, port = query.split_port(args.host)
    address = await asyncio.to_thread(query.resolve, host, port)
    varbinds, vendor_tree = await _walk_first(query.askers(args, address, port))
    profiles = load_profiles()
    for refused in profiles.refused:
        print(f"platen: {plain(str(refused))}", file=sys.stderr)
    done = redact(
        varbinds,
        vendor_tree=vendor_tree,
        address=address,
        read=rules_of(profiles),
        patterns=patterns_of(profiles),
    )
    if args.preview:
        _show(done)
    if args.output:
        model = next((v.value for v in done.varbinds if v.oid == "1.3.6.1.2.1.25.3.2.1.3.1"), b"")
        text = model.decode("utf-8", "replace") if isinstance(model, bytes) else ""
        lines = [
            f"# {plain(text)}",
            f"# recorded by platen {__version__}, redacted",
            *snmprec.dump(done.varbinds),
        ]
        _write(args.output, "\n".join(lines) + "\n")
    how = Counter(done.changed.values())
    words = ", ".join(f"{n} {what}" for what, n in sorted(how.items()))
    print(f"{len(done.varbinds)} objects, of which redacted: {words or 'none'}", file=sys.stderr)
    return 0


async def _walk_first(askers: Sequence[Asker]) -> tuple[list[Varbind], str | None]:
    """By the first of them that is answered."""
    failed: NoAnswer | None = None
    for asker in askers:
        try:
            return await _walk(asker)
        except NoAnswer as e:
            failed = failed or e
    assert failed is not None
    raise failed


async def _walk(one: Asker) -> tuple[list[Varbind], str | None]:
    """What `_RULES` names and the vendor's own tree; and that tree's OID."""
    progress = Progress()
    roots = sorted(
        (o for o in _RULES if not any(under(o, other) and o != other for other in _RULES)), key=oid_key
    )
    try:
        [sys_object_id] = await one.get(["1.3.6.1.2.1.1.2.0"])
        vendor_tree = _enterprise(sys_object_id.value)
        if vendor_tree:
            roots = sorted({*roots, vendor_tree}, key=oid_key)
        varbinds: list[Varbind] = []
        for root in roots:
            progress.show(f"{one.address}: {len(varbinds)} objects, at {root}")
            varbinds += await one.walk([root], most=MOST_VARBINDS - len(varbinds))
            if len(varbinds) >= MOST_VARBINDS:
                print(f"Stopped at {MOST_VARBINDS} objects", file=sys.stderr)
                break
    finally:
        progress.clear()
        await one.close()
    if not any(under(v.oid, "1.3.6.1.2.1.43") for v in varbinds):
        raise NotAPrinter(f"{one.address} has nothing of the Printer-MIB")
    return varbinds, vendor_tree


def _enterprise(sys_object_id: object) -> str | None:
    """ "1.3.6.1.4.1.1347.41" → "1.3.6.1.4.1.1347"."""
    if not isinstance(sys_object_id, str) or not sys_object_id.startswith(_ENTERPRISES + "."):
        return None
    return ".".join(sys_object_id.split(".")[:7])


def rules_of(profiles: Profiles) -> dict[str, Action]:
    """What becomes of the private objects that profiles read: kept, but for those that tell one device from another."""
    from appliance.collector.read.profile import DEVICE_IDS

    rules: dict[str, Action] = dict.fromkeys(DEVICE_IDS, "keep")
    for profile in profiles.by_name.values():
        for section in ("status", "meters", "supplies", "printer"):
            rules |= dict.fromkeys((*profile.objects(section), *profile.columns(section)), "keep")
        who = profile.printer
        found: list[tuple[list[Source], Action]] = [
            (who.serial + who.fallback_serial + who.mac, "tail"),
            (who.hostname + who.location + who.asset_number, "blank"),
        ]
        # One inside another text is kept, or nothing of it could be read; `patterns_of` finds it there.
        for sources, action in found:
            rules |= {s.oid: action for s in sources if s.decode == "plain" and s.pattern is None}
        rules |= dict.fromkeys(profile.display, "mask")
    return rules


def patterns_of(profiles: Profiles) -> set[tuple[str, str]]:
    """(OID, regular expression) of identity that profiles find inside longer texts."""
    found = set()
    for profile in profiles.by_name.values():
        who = profile.printer
        for source in (
            *who.serial,
            *who.fallback_serial,
            *who.mac,
            *who.hostname,
            *who.location,
            *who.asset_number,
        ):
            if source.pattern is not None and source.decode == "plain":
                found.add((source.oid, source.pattern))
    return found


def _show(done: Redacted) -> None:
    for oid, tag, value in done.varbinds:
        how = done.changed.get(oid)
        if tag == OCTET_STRING and isinstance(value, bytes) and (value or how):
            text = value.decode("ascii", "backslashreplace")
            print(f"{oid:<36} {plain(text)[:100]!r}{f'  [{how}]' if how else ''}")


def _exists(name: str) -> bool:
    return os.path.exists(name)


def _write(name: str, text: str) -> None:
    if name == "-":
        sys.stdout.write(text)
        return
    path = Path(name)
    new = path.with_name(path.name + ".new")
    try:
        new.write_text(text, encoding="ascii", newline="\n")
        new.replace(path)
    except OSError as e:
        new.unlink(missing_ok=True)
        raise RecordingError(f"{name} cannot be written: {e.strerror}", hint="") from None
