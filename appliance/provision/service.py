# SPDX-License-Identifier: Apache-2.0
"""One start of the box, before its network: what is on the card comes to be in force.

Nothing here may keep the box from its network. Whatever cannot be read or written is logged, told on the card, and gone
around: without anything the cable asks its network for an address.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from appliance.host.identity import load_or_create
from appliance.model import brand, codes
from appliance.model import personalisation as pack
from appliance.model.errors import PlatenError
from appliance.provision import document, effect, files, installer, personal, words
from appliance.provision.files import Firmware
from appliance.provision.installer import Installer, Kept
from appliance.provision.personal import Places

log = logging.getLogger(__name__)

FILE = "platen.toml"
ERRORS = "platen-errors.txt"
_KEPT_MOST = 256 * 1024
_ROOTS_MOST = 1024 * 1024

Using = Literal["file", "kept", "automatic"]


class LastGood(msgspec.Struct, frozen=True):
    """What was in force last, with the secrets that the card no longer holds."""

    installer: Installer = Installer()
    secrets: dict[str, Kept] = {}


class Box(msgspec.Struct, frozen=True):
    """Where everything lies: the card's partition `firmware`, networkd's folder `network`, /run, and the authorities
    that the system trusts (`roots`)."""

    firmware: Firmware
    places: Places
    network: Path
    run: Path
    wifi: bool = False
    roots: Path = Path("/etc/ssl/certs/ca-certificates.crt")

    @property
    def last_good(self) -> Path:
        return self.places.data / "provision" / "installer.json"


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """For the page, in /run/platen/provision.json. `using`: what the network is configured by."""

    using: Using
    problems: list[document.Problem] = []
    personalisation: str = ""


def start(box: Box) -> Outcome:
    """All of it. Raises nothing that a person could cause."""
    refused = ""
    try:
        if box.firmware.there and (taken := personal.take_in(box.firmware, box.places)):
            log.info("This box is %s now, as its dealer wrote it onto the card", taken.box_id)
    except PlatenError as error:
        refused = str(error)
        log.error("The personalisation on the card was not taken in: %s", error)
    except OSError as error:
        log.error("The personalisation on the card could not be dealt with: %s", error)
    wanted, reading, using = _wanted(box)
    _in_force(box, wanted)
    outcome = Outcome(using=using, problems=reading.problems if reading else [], personalisation=refused)
    for problem in outcome.problems:
        log.warning("%s %s", FILE, problem.text())
    _tell(box, outcome)
    if reading is not None and reading.installer is not None and reading.wipe:
        with _going_on("The secrets could not be removed from the card"), box.firmware.writable():
            _wipe(box, reading)
    return outcome


def _wanted(box: Box) -> tuple[Installer, installer.Reading | None, Using]:
    """What is to be in force. A file with a mistake changes nothing: half of it could be worse than all or
    none, and what was in force before let the box reach its dealer."""
    kept = _last_good(box)
    if not box.firmware.there:
        log.warning("The card's firmware partition is not there; what was in force before stays")
        return (kept.installer, None, "kept") if kept else (Installer(), None, "automatic")
    data = files.read(box.firmware.folder / FILE, document.MOST)
    if data is None:
        with _going_on("The last settings could not be forgotten"):
            files.remove(box.last_good)
        return Installer(), None, "automatic"
    reading = installer.read(data, kept.secrets if kept else {}, wifi=box.wifi)
    if reading.installer is None:
        return (kept.installer, reading, "kept") if kept else (Installer(), reading, "automatic")
    good = LastGood(reading.installer, reading.secrets)
    if good != kept:
        try:
            files.make_directory(box.last_good.parent, 0o700)
            files.write(box.last_good, msgspec.json.encode(good), 0o600)
        except (PlatenError, OSError) as error:
            log.error("The settings of %s could not be kept: %s", FILE, error)
            # What is not safely on the box is not removed from the card.
            reading.wipe.clear()
    return reading.installer, reading, "file"


def _last_good(box: Box) -> LastGood | None:
    data = files.read(box.last_good, _KEPT_MOST)
    try:
        return None if data is None else msgspec.json.decode(data, type=LastGood)
    except msgspec.DecodeError:
        log.error("%s is damaged and counts as missing", box.last_good)
        return None


def _in_force(box: Box, wanted: Installer) -> None:
    _folder(box.network)
    wanted_files = effect.network_files(wanted)
    for old in [*box.network.glob("1?-platen-*")]:
        if old.name not in wanted_files:
            old.unlink()
    for name, file in wanted_files.items():
        _put(box, box.network / name, file)
    for name, file in effect.run_files(wanted).items():
        _put(box, box.run / name, file)
    _trust(box)
    _brand(box)
    with _going_on("The box has no name"):
        paths = box.places.paths
        files.make_directory(paths.identity, 0o2750, box.places.shared)
        box_id = load_or_create(paths).box_id
        _shared(box, paths.identity)
        host = wanted.hostname or codes.host_name(box_id)
        _put(box, box.run / "issue.d" / "50-platen.issue", effect.File(effect.issue(box_id, host)))
        if socket.gethostname() != host:
            socket.sethostname(host)


def _trust(box: Box) -> None:
    """Whom servers of updates may be certified by: whom the system trusts, and the dealer. RAUC takes one file, and
    reads it as the user that downloads; without a dealer's authority the system's file holds."""
    dealer = files.read(box.places.paths.keys / "ca.crt", pack.MOST[pack.CA])
    roots = files.read(box.roots, _ROOTS_MOST) if dealer else None
    text = ""
    if dealer and roots:
        text = "\n".join(part.decode("ascii", "ignore").strip() for part in (roots, dealer)) + "\n"
    _put(box, box.run / "platen-trust" / "ca.pem", effect.File(text))


def _brand(box: Box) -> None:
    """The dealer's brand for the page, which has no way to the data partition."""
    for name, most in brand.MOST.items():
        data = files.read(box.places.brand / name, most) or b""
        _put(box, box.run / "platen-brand" / name, effect.File(data))


def _shared(box: Box, folder: Path) -> None:
    """The identity that this start made is for the services to read."""
    owner = box.places.shared
    for path in folder.iterdir():
        if owner is not None:
            os.chown(path, owner.uid, owner.gid, follow_symlinks=False)
        path.chmod(0o640)


def _put(box: Box, path: Path, file: effect.File) -> None:
    with _going_on(f"{path.name} could not be written"):
        if not file.text:
            path.unlink(missing_ok=True)
            return
        _folder(path.parent)
        owner = box.places.shared if file.group else None
        octets = file.text if isinstance(file.text, bytes) else file.text.encode()
        files.write(path, octets, file.mode, owner, temporary=True)


def _folder(path: Path) -> None:
    """For all to look into, whatever our umask: networkd, timesyncd and RAUC's downloads have users of their own."""
    if not path.is_dir():
        _folder(path.parent)
        path.mkdir()
        path.chmod(0o755)


def _tell(box: Box, outcome: Outcome) -> None:
    """On the card, where the installer looks next, and for the page."""
    shown = effect.File(msgspec.json.encode(outcome).decode())
    _put(box, box.run / "platen" / "provision.json", shown)
    if not box.firmware.there:
        return
    path = box.firmware.folder / ERRORS
    text = words.told(outcome.problems, outcome.using, outcome.personalisation)
    with _going_on(f"{ERRORS} could not be written"):
        if text is None:
            if path.exists():
                with box.firmware.writable():
                    files.remove(path)
        elif files.read(path, len(text)) != text:
            with box.firmware.writable():
                files.write(path, text, None)


def _wipe(box: Box, reading: installer.Reading) -> None:
    """Asterisks over each secret that is on the box now. In place and of the same length: the file system is not
    touched, and a power cut in the middle is seen by what is left."""
    for key in reading.wipe:
        span = reading.document.spans[key]
        data = ("*" * len(span.raw)).encode(reading.document.encoding)
        files.overwrite(box.firmware.folder / FILE, reading.document.offset(span), data)


@contextlib.contextmanager
def _going_on(what: str) -> Iterator[None]:
    try:
        yield
    except (PlatenError, OSError) as error:
        log.error("%s: %s", what, error)
