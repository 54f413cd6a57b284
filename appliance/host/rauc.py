# SPDX-License-Identifier: Apache-2.0
"""RAUC over D-Bus (de.pengutronix.rauc.Installer, as of RAUC 1.13): what a bundle says, installing it, the slots.

RAUC tells what went wrong in sentences only. `fault` knows them and gives each its class of model.errors; what it
does not know stays an InstallFailed with RAUC's own words.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from appliance.host.bus import Bus, texts
from appliance.model.errors import (
    BundleBroken,
    BundleForeign,
    BundleFormat,
    BundleTooLarge,
    BundleTooOld,
    BundleUntrusted,
    BusError,
    DownloadFailed,
    InstallFailed,
    PlatenError,
    ServiceDown,
    Stalled,
    UpdateBusy,
    UpdateError,
)

_NAME = "de.pengutronix.rauc"
_INTERFACE = f"{_NAME}.Installer"
_BLOCK = Path("/sys/block")

FLOOR_STATUS = 3
"""The exit status by which our pre-install handler says "below the floor"."""

INSPECT_S = 120.0
"""RAUC itself asks a server that does not answer five times over, and answers nobody else meanwhile."""

STALL_S = 240.0
"""So long without an octet or a step, and an installation gets nowhere: RAUC itself waits for a silent server for ever.
Less than the 300 s after which the kernel makes a read error of it, which would look like a damaged bundle."""

LOOK_S = 2.0


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """What a bundle writes into the slots of one class; octets."""

    slot_class: str
    size: int


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle's signed manifest. `floor`: [meta.platen] floor, the oldest version that may follow this one."""

    compatible: str
    version: str
    format: str
    images: list[Image] = []
    floor: str | None = None


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """One slot. `state` booted, active (a child of the booted one) or inactive; `bootname` only where the boot
    loader knows it; `good`: whether the boot loader would still start it; `version`: what was installed into it, None
    where it was never installed by RAUC."""

    name: str
    slot_class: str
    state: str
    device: str = ""
    bootname: str | None = None
    parent: str | None = None
    good: bool | None = None
    version: str | None = None
    installed: str | None = None


class Progress(msgspec.Struct, frozen=True):
    percent: int
    text: str


class Installer:
    """RAUC's service. `trust`: a PEM file of the authorities that a download server may be certified by, instead of
    the system's; while there is no such file, the system's hold. RAUC's downloading user has to be able to read it."""

    def __init__(self, bus: Bus, trust: Path | None = None) -> None:
        self._bus = bus
        self._trust = trust
        self._finished: asyncio.Future[int] | None = None
        self._progress: Callable[[Progress], None] | None = None
        self._last: Progress | None = None
        self._listening = False

    async def compatible(self) -> str:
        """What a bundle has to be made for."""
        return str((await self._properties()).get("Compatible", ""))

    async def busy(self) -> bool:
        """Whether it is installing something, whoever asked."""
        return (await self._properties()).get("Operation") != "idle"

    async def inspect(self, source: str) -> Bundle:
        """The manifest of a file or address, its signature verified. UpdateError."""
        try:
            answer = await self._call(
                "InspectBundle", "sa{sv}", source, self._options(source), timeout_s=INSPECT_S
            )
        except ServiceDown as e:
            if e.code != "service-slow" or not source.startswith("https:"):
                raise
            raise Stalled("The server does not answer") from None
        return bundle(answer[0])

    async def install(self, source: str, progress: Callable[[Progress], None]) -> None:
        """Write it to the other slots and make them the next to boot; returns when that is done. UpdateError; after
        Stalled, RAUC still waits."""
        loop = asyncio.get_running_loop()
        self._finished, self._progress = loop.create_future(), progress
        try:
            if not self._listening:
                self._listening = True
                await self._bus.listen("/", _INTERFACE, self._heard)
                await self._bus.watch(_NAME, self._gone)
            await self._call("InstallBundle", "sa{sv}", source, self._options(source))
            result = await self._ended(self._finished, source)
        finally:
            self._finished = self._progress = None
        if result < 0:
            raise InstallFailed("RAUC ended in the middle of the installation", code="install-interrupted")
        if result:
            raise fault(str((await self._properties()).get("LastError", "")))

    async def _ended(self, finished: asyncio.Future[int], source: str) -> int:
        """RAUC's result, as long as it gets anywhere."""
        before, since = None, 0.0
        while True:
            done, _ = await asyncio.wait([finished], timeout=LOOK_S)
            if done:
                return finished.result()
            now = (self._last, await asyncio.to_thread(_received))
            if now != before:
                before, since = now, time.monotonic()
            elif time.monotonic() - since > STALL_S:
                if source.startswith("https:"):
                    raise Stalled("The server stopped sending")
                raise InstallFailed(f"The installation got nowhere for {STALL_S / 60:.0f} minutes")

    async def slots(self) -> list[Slot]:
        """All of them, in the order of their names."""
        answer = await self._call("GetSlotStatus")
        return sorted((slot(name, facts) for name, facts in answer[0]), key=lambda s: s.name)

    async def primary(self) -> str | None:
        """The slot that boots next; None where none would."""
        try:
            return str((await self._call("GetPrimary"))[0])
        except InstallFailed:
            return None

    async def mark(self, state: str, slot: str) -> None:
        """`state` good or bad; `slot` booted, other, or a slot's name."""
        await self._call("Mark", "ss", state, slot)

    def _options(self, source: str) -> dict[str, Any]:
        if self._trust is None or not source.startswith("https:") or not self._trust.is_file():
            return {}
        return texts({"tls-ca": str(self._trust)})

    async def _properties(self) -> dict[str, Any]:
        return await self._bus.properties(_NAME, "/", _INTERFACE)

    async def _call(
        self, method: str, signature: str = "", *arguments: Any, timeout_s: float = 25.0
    ) -> list[Any]:
        try:
            return await self._bus.call(
                _NAME, "/", f"{_INTERFACE}.{method}", signature, *arguments, timeout_s=timeout_s
            )
        except BusError as e:
            raise fault(e.sentence) from None

    def _heard(self, member: str, arguments: list[Any]) -> None:
        if member == "Completed" and self._finished is not None and not self._finished.done():
            self._finished.set_result(int(arguments[0]))
        elif member == "PropertiesChanged" and self._progress is not None and "Progress" in arguments[0]:
            percent, text, _ = arguments[0]["Progress"]
            self._last = Progress(max(0, min(100, int(percent))), str(text)[:200])
            self._progress(self._last)

    def _gone(self) -> None:
        if self._finished is not None and not self._finished.done():
            self._finished.set_result(-1)


def _received() -> int:
    """Sectors that came over the network block device RAUC streams through (Documentation/block/stat.rst); 0 while
    there is none."""
    sectors = 0
    for stat in _BLOCK.glob("nbd*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):  # it goes when RAUC is through
            sectors += int(stat.read_text().split()[2])
    return sectors


def bundle(info: dict[str, Any]) -> Bundle:
    """InspectBundle's answer. BundleBroken where the manifest lacks what every one of ours has."""
    update, how, meta = (info.get(k) or {} for k in ("update", "bundle", "meta"))
    try:
        return Bundle(
            compatible=str(update["compatible"]),
            version=str(update["version"]),
            format=str(how.get("format", "plain")),
            images=[
                Image(slot_class=str(i["slot-class"]), size=int(i["size"])) for i in info.get("images", [])
            ],
            floor=(meta.get("platen") or {}).get("floor"),
        )
    except (KeyError, TypeError, ValueError):
        raise BundleBroken("The bundle does not say for what it is and which version it holds") from None


def slot(name: str, facts: dict[str, Any]) -> Slot:
    """One entry of GetSlotStatus."""
    status = facts.get("boot-status")
    return Slot(
        name=name,
        slot_class=str(facts.get("class", "")),
        state=str(facts.get("state", "")),
        device=str(facts.get("device", "")),
        bootname=facts.get("bootname"),
        parent=facts.get("parent"),
        good=None if status is None else status == "good",
        version=facts.get("bundle.version"),
        installed=facts.get("installed.timestamp"),
    )


# (what RAUC or its streaming helper says, which error that is, our sentence, a finer code). The first that fits.
_FAULTS: tuple[tuple[str, type[UpdateError], str, str | None], ...] = (
    ("[Aa]lready processing", UpdateBusy, "Something is being installed already", None),
    (
        r"signature verification failed: .*certificate (has expired|is not yet valid)",
        BundleUntrusted,
        "The bundle's signature is not valid at this time",
        None,
    ),
    (
        "signature verification failed",
        BundleUntrusted,
        "The bundle is not signed by anybody this box trusts",
        None,
    ),
    (
        "key usage does not allow",
        BundleUntrusted,
        "The bundle is signed with a certificate that is not for signing",
        None,
    ),
    (
        r"Bundle format '(\w+)' not (allowed|supported)",
        BundleFormat,
        "A bundle in the format '{1}' is not taken",
        None,
    ),
    (
        "Refusing to install unencrypted crypt|Encrypted bundle detected|no decryption key",
        BundleFormat,
        "A bundle in the format 'crypt' is not taken",
        None,
    ),
    (
        r"Compatible mismatch: Expected '(.*)' but bundle manifest has '(.*)'",
        BundleForeign,
        "The bundle is for {2}, this box is {1}",
        None,
    ),
    (
        r"Version mismatch: Expected at least '(.*)' but bundle manifest has (?:'(.*)'|no version)",
        BundleTooOld,
        "Version {2} is older than {1}, the oldest this box still takes",
        None,
    ),
    (
        rf"Pre-install handler error: .*exited with code {FLOOR_STATUS}\b",
        BundleTooOld,
        "The bundle is older than what this box still takes",
        None,
    ),
    (
        r"Slot \((\d+) bytes\) is too small for image \((\d+) bytes\)",
        BundleTooLarge,
        "The bundle needs {2} octets in a slot of {1}",
        None,
    ),
    (
        r"Size of image \((\d+)\) does not fit to slot size (\d+)|No space left on device",
        BundleTooLarge,
        "The bundle is larger than the slot it goes to",
        None,
    ),
    (
        "range requests not supported",
        DownloadFailed,
        "The server does not hand out parts of a file",
        "download-no-ranges",
    ),
    (
        r"request failed \(not found\)|not found|HTTP error(?: code)? 4\d\d|http error 4\d\d",
        DownloadFailed,
        "The server does not have this bundle",
        "download-missing",
    ),
    (
        "SSL|certificate|TLS|handshake",
        DownloadFailed,
        "The server could not prove that it is the right one",
        "download-untrusted",
    ),
    (
        "timed? ?out|too slow|Operation too slow|no more retries",
        DownloadFailed,
        "The server stopped sending",
        "download-stalled",
    ),
    (
        "server not responding|[Cc]ould(n't| not) (connect|resolve)",
        DownloadFailed,
        "The server cannot be reached",
        "download-gone",
    ),
    (
        "failed to read data from remote",  # whatever it was: RAUC's helper gives up after five tries
        DownloadFailed,
        "The server broke off, or sent something other than what was asked for",
        "download-failed",
    ),
    (
        "server did not send bundle size|content-range|incomplete HTTP|(HTTP|http) (error|response)",
        DownloadFailed,
        "The server sent something other than what was asked for",
        "download-failed",
    ),
    (
        r"Failed to open bundle for reading: .*No such file",
        BundleBroken,
        "The file is not there any more",
        None,
    ),
    (
        "Invalid bundle format|no valid CMS|parse CMS|parse signature|signature content type|Bundle size .* too small"
        "|manifest|Bundle is not a regular file",
        BundleBroken,
        "This is not a whole bundle",
        None,
    ),
    (
        "corrupted|dm-verity device failed|Check read from dm|Input/output error|checksum",
        BundleBroken,
        "The bundle is damaged: it does not hold what was signed",
        None,
    ),
    ("Failed to stream bundle", DownloadFailed, "The bundle cannot be downloaded", "download-failed"),
)


def fault(text: str) -> PlatenError:
    """RAUC's sentence as an error of ours."""
    text = " ".join(text.split())[:500]
    for pattern, kind, sentence, code in _FAULTS:
        if found := re.search(pattern, text):
            groups = [g or "?" for g in found.groups()]
            return kind(sentence.format(found[0], *groups), code=code)
    return InstallFailed(f"The installation failed: {text or 'RAUC did not say why'}")
