# SPDX-License-Identifier: Apache-2.0
"""What makes an image the image of one box: the folder `platen/` of its firmware partition."""

from __future__ import annotations

import os
import secrets
import ssl
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

from appliance.model import brand, codes
from appliance.model import personalisation as pack
from appliance.model.errors import BrandError, CardError, PersonalisationError
from image import card
from image.fat import Fat

_ZEROS = bytes(128 * 1024)
NAMES = (pack.BOX, pack.CA, pack.CERTIFICATE, pack.KEY, pack.DONE)


class Content(msgspec.Struct, frozen=True):
    """One box: the box, and its files by their name in the folder. Holds secrets; its repr does not."""

    box: pack.Box
    files: dict[str, bytes]

    def __repr__(self) -> str:
        return f"Content({self.box!r}, {sorted(self.files)})"


class Shown(msgspec.Struct, frozen=True):
    """What a card says of itself, without secrets."""

    state: str
    box_id: str = ""
    fleet: str = ""
    tenant: str = ""
    dealer: str = ""
    claim: bool = False
    client_certificate: bool = False


def new_box(*, fleet: pack.Fleet | None, claim: bool, box_id: str | None = None) -> pack.Box:
    """A box with codes of its own; the id is a new one unless given."""
    return pack.Box(
        pack=secrets.token_hex(16),
        box_id=box_id or codes.new_box_id(),
        setup_code=codes.new_setup_code(),
        claim_code=codes.new_claim_code() if claim else None,
        fleet=fleet,
    )


def content(
    box: pack.Box,
    *,
    ca: Path | None = None,
    certificate: Path | None = None,
    key: Path | None = None,
    brand_folder: Path | None = None,
) -> Content:
    """All of it, checked as the box will check it."""
    if (certificate is None) != (key is None):
        raise PersonalisationError("--client-cert and --client-key go together", hint="Give both, or neither")
    if box.fleet is not None and ca is None:
        raise PersonalisationError(
            "A fleet address needs the authority that its server is checked by", hint="Give --ca"
        )
    files = {pack.BOX: pack.encode(box)}
    for name, path in ((pack.CA, ca), (pack.CERTIFICATE, certificate), (pack.KEY, key)):
        if path is not None:
            files[name] = _read(path, pack.MOST[name])
    _check_keys(box, files)
    if brand_folder is not None:
        files.update((f"{pack.BRAND}/{n}", d) for n, d in read_brand(brand_folder).items())
    return Content(box, files)


def read_brand(folder: Path) -> dict[str, bytes]:
    """The files of a brand folder, checked."""
    if not folder.is_dir():
        raise BrandError(f"{folder} is no folder")
    found = {
        p.name: _read(p, brand.MOST.get(p.name, 0))
        for p in sorted(folder.iterdir())
        if not p.name.startswith(".")
    }
    brand.check(found)
    return found


def _read(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as e:
        raise PersonalisationError(f"{path} cannot be read: {e.strerror}", hint="Check the path") from None
    if most and len(data) > most:
        raise PersonalisationError(f"{path} is larger than {most // 1024} KiB", hint="Is it the right file?")
    return data


def _check_keys(box: pack.Box, files: dict[str, bytes]) -> None:
    hint = "PEM files are needed, the key without a password"
    try:
        name = pack.CA
        if name in files:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=files[name].decode("ascii"))
        name = pack.CERTIFICATE
        if name not in files:
            return
        certificate = x509.load_pem_x509_certificate(files[name])
        name = pack.KEY
        public = load_pem_private_key(files[name], None).public_key()
    except (ssl.SSLError, ValueError, TypeError):
        raise PersonalisationError(f"{name} cannot be used", hint=hint) from None
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if certificate.public_key().public_bytes(*form) != public.public_bytes(*form):
        raise PersonalisationError("The client key is another certificate's", hint="Give the pair of one box")
    names = [str(a.value) for a in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if names != [box.box_id]:
        raise PersonalisationError(
            f"The client certificate is of {', '.join(names) or 'nobody'}, and the box is {box.box_id}",
            hint="Its common name has to be the box id; --box-id sets that",
        )


def write(path: Path, what: Content, *, force: bool = False) -> None:
    """Onto the image or card. Without `force` one that is already a box's stays it."""
    with card.opened(path, write=True) as fat:
        found = shown(fat)
        if found.state != "blank" and not force:
            raise CardError(
                f"{path} is already personalised, for {found.box_id}",
                hint="--force makes it another's",
                code="card-personalised",
            )
        _remove(fat)
        # The box file last: without it the box takes nothing in.
        for name in sorted(what.files, key=lambda n: n == pack.BOX):
            fat.write(f"{pack.FOLDER}/{name}", what.files[name])


def _copy(image: Path, to: Path) -> None:
    """Sparse: most of an image is the slot that is still empty, and there may be hundreds of copies."""
    with image.open("rb") as source, to.open("wb") as target:
        while block := source.read(len(_ZEROS)):
            if block != _ZEROS[: len(block)]:
                target.write(block)
            else:
                target.seek(len(block), os.SEEK_CUR)
        target.truncate(target.tell())


def copy(image: Path, out: Path, what: Content, *, force: bool = False) -> None:
    """A personalised copy; `out` is there whole or not at all."""
    if out.exists() and not force:
        raise CardError(f"{out} is already there", hint="--force replaces it", code="file-exists")
    part = out.with_name(out.name + ".part")
    try:
        # Nobody else's to read: it holds the codes.
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        part.chmod(0o600)
        _copy(image, part)
        write(part, what, force=True)
        part.replace(out)
    except OSError as e:
        raise CardError(
            f"{out} cannot be written: {e.strerror}", hint="Is there room?", code="card-unreadable"
        ) from None
    finally:
        part.unlink(missing_ok=True)


def undo(path: Path) -> None:
    """The image or card as it was before."""
    with card.opened(path, write=True) as fat:
        _remove(fat)


def show(path: Path) -> Shown:
    with card.opened(path, write=False) as fat:
        return shown(fat)


def _remove(fat: Fat) -> None:
    # The box file first: half a personalisation is none.
    for name in (*NAMES, pack.BRAND):
        fat.remove(f"{pack.FOLDER}/{name}")


def shown(fat: Fat) -> Shown:
    """What is on it. `state`: blank, waiting (for the box's first start), taken (by the box), damaged."""
    if not fat.entries(pack.FOLDER) and not fat.exists(pack.FOLDER):
        raise CardError(f"The firmware partition has no folder {pack.FOLDER}, so it is none of ours")
    text = fat.read(f"{pack.FOLDER}/{pack.BRAND}/{brand.TEXT}")
    certificate = fat.exists(f"{pack.FOLDER}/{pack.CERTIFICATE}")
    dealer = ""
    try:
        dealer = brand.check({brand.TEXT: text}).name if text is not None else ""
        if (data := fat.read(f"{pack.FOLDER}/{pack.BOX}")) is not None:
            box = pack.decode(data)
            fleet = box.fleet or pack.Fleet("", "")
            at = f"{fleet.host}:{fleet.port}" if fleet.host else ""
            return Shown(
                "waiting", box.box_id, at, fleet.tenant, dealer, box.claim_code is not None, certificate
            )
        if (data := fat.read(f"{pack.FOLDER}/{pack.DONE}")) is not None:
            return Shown(
                "taken", pack.decode_done(data).box_id, dealer=dealer, client_certificate=certificate
            )
    except (PersonalisationError, BrandError):
        return Shown("damaged")
    return Shown("blank")


def waiting(path: Path) -> pack.Box:
    """The box whose personalisation waits on the image or card; its codes are in it."""
    with card.opened(path, write=False) as fat:
        data = fat.read(f"{pack.FOLDER}/{pack.BOX}")
    if data is None:
        raise CardError(
            f"{path} holds no codes", hint="The box wipes them on its first start", code="card-blank"
        )
    return pack.decode(data)
