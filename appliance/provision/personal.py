# SPDX-License-Identifier: Apache-2.0
"""Takes in what the dealer wrote onto the card, once.

Every step is repeated harmlessly: the card keeps all of it until everything is on the data partition and synced and
the journal says so. Then what is secret is wiped from the card, the box file last. So a power cut before the journal is
written means that the next start takes everything in again, to the same end, and one after it that the next start goes
on wiping.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Literal

import msgspec

from appliance.host.identity import load_or_create
from appliance.host.paths import Paths
from appliance.model import brand
from appliance.model import personalisation as pack
from appliance.model.errors import Fault, PersonalisationError
from appliance.provision import files
from appliance.provision.files import Firmware, Owner
from appliance.store import settings
from appliance.store.database import open_database

_JOURNAL_MOST = 4 * 1024


class Journal(msgspec.Struct, frozen=True):
    """The last personalisation taken in, and whether the card is being wiped of it."""

    pack: str
    box_id: str
    card: Literal["wiping", "wiped"]


class Content(msgspec.Struct, frozen=True):
    """All of a personalisation, checked. `keys` are files of Paths.keys by name."""

    box: pack.Box
    keys: dict[str, bytes]
    brand: dict[str, bytes]


class Places(msgspec.Struct, frozen=True):
    """Where it goes. `shared` owns what all services read, `uplink` what only the uplink does; None leaves what is
    written to whoever runs this."""

    paths: Paths
    data: Path
    shared: Owner | None = None
    uplink: Owner | None = None

    @property
    def journal(self) -> Path:
        return self.data / "provision" / "personalised.json"

    @property
    def brand(self) -> Path:
        return self.data / "brand"


def take_in(firmware: Firmware, places: Places) -> pack.Box | None:
    """The box it was, or None where there was nothing to do. PersonalisationError or BrandError: the card's is
    refused as a whole, and stays there."""
    folder = firmware.folder / pack.FOLDER
    journal = _journal(places.journal)
    data = files.read(folder / pack.BOX, pack.MOST[pack.BOX])
    known = journal is not None and _is_of(journal, data)
    if journal is not None and (data is None or known):
        _wipe(firmware, places, journal)
        return None
    if data is None:
        return None
    content = load(folder)
    _may(content.box, places, journal)
    _write(content, places)
    _wipe(firmware, places, _noted(places, content.box))
    return content.box


def load(folder: Path) -> Content:
    """What is on the card, checked."""
    box = pack.decode(files.read(folder / pack.BOX, pack.MOST[pack.BOX]) or b"")
    found = {}
    for name in (pack.CA, pack.CERTIFICATE, pack.KEY):
        data = files.read(folder / name, pack.MOST[name])
        if data is not None:
            if len(data) > pack.MOST[name]:
                raise PersonalisationError(f"{name} is larger than {pack.MOST[name] // 1024} KiB")
            found[name] = data
    _check_keys(folder, box, found)
    names = {pack.CA: "ca.crt", pack.CERTIFICATE: "operational.crt", pack.KEY: "operational.key"}
    keys = {names[n]: data for n, data in found.items()}
    if box.claim_code is not None:
        keys["claim-code"] = box.claim_code.encode() + b"\n"
    return Content(box, keys, _brand(folder / pack.BRAND))


def _check_keys(folder: Path, box: pack.Box, found: dict[str, bytes]) -> None:
    if box.fleet is not None and pack.CA not in found:
        raise PersonalisationError(
            f"{pack.CA} is missing: the box could not tell the dealer's server from another"
        )
    if (pack.CERTIFICATE in found) != (pack.KEY in found):
        raise PersonalisationError(f"{pack.CERTIFICATE} and {pack.KEY} go together; one is missing")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        name = pack.CA
        if name in found:
            context.load_verify_locations(cadata=found[name].decode("ascii"))
        name = pack.CERTIFICATE
        if name in found:
            # An empty password: without one OpenSSL would ask at the console for that of an encrypted key.
            context.load_cert_chain(folder / name, folder / pack.KEY, password="")
    except (ssl.SSLError, UnicodeDecodeError, ValueError, OSError):
        raise PersonalisationError(f"{name} is no certificate in PEM form, or its key is another's") from None


def _brand(folder: Path) -> dict[str, bytes]:
    if not folder.is_dir():
        return {}
    found = {n: d for n in brand.MOST if (d := files.read(folder / n, brand.MOST[n])) is not None}
    if found:
        brand.check(found)
    return found


def _may(box: pack.Box, places: Places, journal: Journal | None) -> None:
    """A box that has been somebody stays it: what it sent, and its certificate, carry that name."""
    present = files.read(places.paths.identity / "box-id", 64)
    if present is None or present.decode("ascii", "replace").strip() == box.box_id:
        return
    if journal is not None or (places.paths.keys / "operational.key").exists():
        # A cut between the identity and the journal of a first personalisation leaves neither.
        raise PersonalisationError(
            f"The card is made for {box.box_id}, and this box is already another",
            hint="Reset the box to factory settings and write the image anew, or use a card made for this box",
            code="already-personalised",
        )


def _write(content: Content, places: Places) -> None:
    box, paths = content.box, places.paths
    files.make_directory(places.journal.parent, 0o700)
    files.make_directory(paths.identity, 0o2750, places.shared)
    for name, text in (("box-id", box.box_id), ("setup-code", box.setup_code)):
        files.write(paths.identity / name, text.encode() + b"\n", 0o640, places.shared)
    if load_or_create(paths).box_id != box.box_id:
        raise Fault("The identity does not read back")
    files.make_directory(paths.keys, 0o700, places.uplink)
    for name, data in content.keys.items():
        files.write(paths.keys / name, data, 0o600, places.uplink)
    if content.brand:
        files.make_directory(places.brand, 0o755)
        for name in brand.MOST:
            if name in content.brand:
                files.write(places.brand / name, content.brand[name], 0o644)
            else:
                files.remove(places.brand / name)
    if box.fleet is not None:
        db = open_database(paths.database)
        try:
            for key, value in (
                ("tenant", box.fleet.tenant),
                ("port", box.fleet.port),
                ("host", box.fleet.host),
            ):
                settings.put(db, f"uplink.{key}", value, "dealer")
        finally:
            db.close()


def _wipe(firmware: Firmware, places: Places, journal: Journal) -> None:
    folder = firmware.folder / pack.FOLDER
    if not any((folder / name).exists() for name in pack.SECRETS):
        if journal.card == "wiping":
            files.write(
                places.journal, msgspec.json.encode(msgspec.structs.replace(journal, card="wiped")), 0o600
            )
        return
    with firmware.writable():
        files.write(folder / pack.DONE, pack.encode_done(journal.pack, journal.box_id), None)
        for name in pack.SECRETS:
            files.wipe(folder / name)
    files.write(places.journal, msgspec.json.encode(msgspec.structs.replace(journal, card="wiped")), 0o600)


def _noted(places: Places, box: pack.Box) -> Journal:
    journal = Journal(box.pack, box.box_id, "wiping")
    files.write(places.journal, msgspec.json.encode(journal), 0o600)
    return journal


def _journal(path: Path) -> Journal | None:
    data = files.read(path, _JOURNAL_MOST)
    try:
        return None if data is None else msgspec.json.decode(data, type=Journal)
    except msgspec.DecodeError:
        return None


def _is_of(journal: Journal, data: bytes | None) -> bool:
    """Whether the card's box file is the one taken in: by its name, or as what a wiping left of it."""
    if data is None:
        return False
    try:
        return pack.decode(data).pack == journal.pack
    except PersonalisationError:
        return journal.card == "wiping"
