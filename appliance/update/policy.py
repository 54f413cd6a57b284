# SPDX-License-Identifier: Apache-2.0
"""What may be installed, what is done with an offer, and when the box restarts for it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from appliance.host.rauc import Bundle
from appliance.model.errors import (
    BundleBroken,
    BundleForeign,
    BundleFormat,
    BundleTooLarge,
    BundleTooOld,
    NothingToDo,
    UpdateError,
)
from appliance.model.reading import Clock
from appliance.model.settings import Value, number, text
from appliance.update import version

FORMAT = "verity"

RESERVE = 64 * 1024 * 1024
"""Octets of the data partition that a spooled bundle must leave for the readings."""

MOST_BUNDLE = 1024 * 1024 * 1024
"""No bundle of ours comes near; what is larger is refused before its first octet is written."""

LONGEST_WAIT_S = 24 * 3600
"""A box whose clock was never set cannot know when it is night; after so long it restarts anyway."""

Source = Literal["page", "usb", "address", "dealer", "command"]
Deed = Literal["install", "notify", "nothing"]


class Box(msgspec.Struct, frozen=True, kw_only=True):
    """What a bundle is judged by. `slot_sizes`: octets of the slot that would be written, by class."""

    compatible: str
    version: str
    floor: str | None
    slot_sizes: Mapping[str, int]


def judge(bundle: Bundle, box: Box, *, downgrade: bool = False, again: bool = False) -> None:
    """UpdateError unless `bundle` may be installed. Older versions only when asked for (`downgrade`), and never
    below the floor; the version that runs only when asked for (`again`)."""
    if bundle.compatible != box.compatible:
        raise BundleForeign(f"The bundle is for {bundle.compatible[:80]}, this box is {box.compatible}")
    if bundle.format != FORMAT:
        raise BundleFormat(f"A bundle in the format '{bundle.format[:20]}' is not taken")
    if not version.valid(bundle.version):
        raise BundleBroken(f"{bundle.version[:40]!r} is no version")
    below_floor(bundle.version, box.floor)
    for image in bundle.images:
        room = box.slot_sizes.get(image.slot_class)
        if room is None:
            raise BundleForeign(
                f"The bundle holds a part {image.slot_class[:40]!r} that this box has no slot for"
            )
        if image.size > room:
            raise BundleTooLarge(
                f"The part {image.slot_class!r} has {image.size} octets, its slot takes {room}"
            )
    if version.older(bundle.version, box.version) and not downgrade:
        raise BundleTooOld(
            f"Version {bundle.version} is older than {box.version}, which runs now",
            hint="Ask for a downgrade if that is what you want: 'platen update install --allow-downgrade'",
            code="bundle-downgrade",
        )
    if bundle.version == box.version and not (again or downgrade):
        raise NothingToDo(
            f"Version {box.version} runs already", hint="Nothing was changed", code="already-there"
        )


def below_floor(candidate: str, floor: str | None) -> None:
    """BundleTooOld where `candidate` is below the floor, or no version while there is one."""
    if floor is not None and version.older(candidate, floor):
        raise BundleTooOld(f"Version {candidate[:40]} is older than {floor}, the oldest this box still takes")


def raised(floor: str | None, confirmed: str, declared: str | None) -> str | None:
    """The floor once `confirmed` has proved itself: what it declares, never lower than before, and never above the
    version that declares it, which would lock out its own repair."""
    if declared is not None and version.valid(declared) and version.valid(confirmed):
        declared = declared if not version.older(confirmed, declared) else confirmed
    return version.highest(floor, declared)


def deed(source: Source, settings: Mapping[str, Value]) -> Deed:
    """What becomes of new software that arrives this way. What a person hands over is installed."""
    if source == "usb":
        return _DEEDS[text(settings, "update.usb")]
    if source == "dealer":
        return _DEEDS[text(settings, "update.mode")]
    return "install"


_DEEDS: dict[str, Deed] = {"automatic": "install", "notify": "notify", "off": "nothing"}


def restart_due(
    settings: Mapping[str, Value], *, asked: bool, hour: int, clock: Clock, waited_s: float
) -> bool:
    """Whether the box may restart into what is installed. `asked`: by a person, now; `hour` local."""
    if asked or text(settings, "update.restart") == "now" or waited_s >= LONGEST_WAIT_S:
        return True
    if clock != "synchronised":
        return False
    begin, end = number(settings, "update.night_from"), number(settings, "update.night_to")
    return begin <= hour < end if begin < end else hour >= begin or hour < end


def room(size: int, free: int) -> None:
    """UpdateError where `size` octets may not be spooled on a disk that has `free` left."""
    if size > MOST_BUNDLE:
        raise BundleTooLarge(f"The file has {size} octets; bundles have at most {MOST_BUNDLE}")
    if size + RESERVE > free:
        raise BundleTooLarge(
            f"The file has {size} octets, and the box has room for {max(0, free - RESERVE)}",
            hint="Keep readings for fewer days, or install from an https address, which needs no room",
            code="no-room",
        )


def told(error: UpdateError) -> str:
    """One line for the portal and the journal."""
    return f"{error.code}: {error.sentence}"
