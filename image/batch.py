# SPDX-License-Identifier: Apache-2.0
"""Many boxes from one CSV. What was made stands in results.csv, codes included, before anything is made of it: a run
that is broken off goes on where it was, and no box ever has other codes than its label."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from appliance.model import codes
from appliance.model import personalisation as pack
from appliance.model.errors import CardError, PersonalisationError
from image import personalise
from image.personalise import Content

RESULTS = "results.csv"
COLUMNS = ("box_id", "client_cert", "client_key", "note")
"""Of the CSV that is given; none has to be there. `note` is carried over (a customer, a place)."""

MOST = 10_000
_MOST_OCTETS = 4 * 1024 * 1024


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One box of results.csv. `of`: by what a later run knows the row it was made from."""

    number: int
    of: str
    state: str
    box_id: str
    setup_code: str
    claim_code: str
    page: str
    file: str
    note: str

    def __repr__(self) -> str:
        return f"Row({self.number}, {self.box_id!r}, {self.state!r})"


def read_csv(path: Path) -> list[dict[str, str]]:
    """The rows of the CSV that is given, by column; comma, semicolon or tab between them, as Excel has it."""
    try:
        data = path.read_bytes()[: _MOST_OCTETS + 1]
    except OSError as e:
        raise PersonalisationError(f"{path} cannot be read: {e.strerror}", hint="Check the path") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252", "replace")
    first = text.partition("\n")[0]
    reader = csv.DictReader(io.StringIO(text), delimiter=max(",;\t", key=first.count))
    unknown = [c for c in reader.fieldnames or () if c not in COLUMNS]
    if unknown or not reader.fieldnames:
        raise PersonalisationError(
            f"{path.name} has the column {unknown[0] if unknown else ''!r}",
            hint=f"The first line names the columns; they are {', '.join(COLUMNS)}",
            code="bad-batch",
        )
    rows = [{c: (row.get(c) or "").strip() for c in COLUMNS} for row in reader]
    if not 0 < len(rows) <= MOST or len(data) > _MOST_OCTETS:
        raise PersonalisationError(f"{path.name} has no rows, or more than {MOST}", code="bad-batch")
    seen: set[str] = set()
    for number, row in enumerate(rows, 1):
        if row["box_id"] and (not codes.BOX_ID.match(row["box_id"]) or row["box_id"] in seen):
            raise PersonalisationError(
                f"Row {number} of {path.name} has no box id of its own: {row['box_id'][:20]!r}",
                hint="It looks like PL-7K3M-9Q2X; leave it empty for a new one",
                code="bad-batch",
            )
        seen.add(row["box_id"])
    return rows


class Batch:
    """A folder that is being filled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / RESULTS

    def planned(self, given: list[dict[str, str]], *, claim: bool, ending: str, force: bool) -> list[Row]:
        """A row for each box, with its codes; those of an earlier run where there was one."""
        rows = [] if force else self.rows()
        of = [hashlib.sha256(repr(sorted(g.items())).encode()).hexdigest()[:16] for g in given]
        if [r.of for r in rows] != of[: len(rows)]:
            raise PersonalisationError(
                f"{self.path} was made from another list",
                hint="Give another folder with -o, or --force to forget it",
                code="batch-changed",
            )
        for number, row in enumerate(given[len(rows) :], len(rows) + 1):
            box = personalise.new_box(fleet=None, claim=claim, box_id=row["box_id"] or None)
            rows.append(
                Row(
                    number=number,
                    of=of[number - 1],
                    state="planned",
                    box_id=box.box_id,
                    setup_code=box.setup_code,
                    claim_code=box.claim_code or "",
                    page=f"http://{codes.host_name(box.box_id)}.local/",
                    file=f"{box.box_id}{ending}",
                    note=row["note"],
                )
            )
        self.save(rows)
        return rows

    def rows(self) -> list[Row]:
        return read_results(self.path) if self.path.exists() else []

    def save(self, rows: list[Row]) -> None:
        """Whole or not at all, and for nobody else's eyes."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = self.path.with_name(RESULTS + ".new")
        with open(new, "w", encoding="utf-8-sig", newline="", opener=_private) as file:
            writer = csv.DictWriter(file, Row.__struct_fields__)
            writer.writeheader()
            writer.writerows(msgspec.structs.asdict(r) for r in rows)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path)

    def make(
        self, rows: list[Row], contents: Iterator[Content], image: Path | None, *, force: bool
    ) -> Iterator[Row]:
        """Makes what is not there yet, and yields each row when it is."""
        for at, what in enumerate(contents):
            row, out = rows[at], self.folder / rows[at].file
            if row.state != "made" or not out.exists():
                # A file without "made" beside it is the broken off run's own.
                if image is None:
                    write_pack(out, what)
                else:
                    personalise.copy(image, out, what, force=True)
                rows[at] = msgspec.structs.replace(row, state="made")
                self.save(rows)
            yield rows[at]


def read_results(path: Path) -> list[Row]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return [msgspec.convert(r, Row, strict=False) for r in csv.DictReader(file)]
    except (OSError, UnicodeDecodeError, csv.Error, msgspec.ValidationError):
        raise PersonalisationError(f"{path} is no result of a batch", code="bad-batch") from None


def write_pack(path: Path, what: Content) -> None:
    """The folder `platen/` as a ZIP: to be unpacked onto the card's firmware partition, or given to --pack."""
    new = path.with_name(path.name + ".part")
    with open(new, "wb", opener=_private) as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in sorted(what.files.items()):
                archive.writestr(zipfile.ZipInfo(f"{pack.FOLDER}/{name}"), data)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def read_pack(path: Path) -> Content:
    """What `write_pack` wrote; names and sizes are checked before anything is unpacked."""
    try:
        files = {}
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist()[:16]:
                folder, _, name = info.filename.partition("/")
                if folder != pack.FOLDER or info.file_size > 256 * 1024 or ".." in name:
                    raise PersonalisationError(
                        f"{path.name} holds {info.filename[:60]!r}, which is no part of a pack"
                    )
                files[name] = archive.read(info)
        return Content(pack.decode(files[pack.BOX]), files)
    except (OSError, zipfile.BadZipFile, KeyError, ValueError):
        raise CardError(
            f"{path} is no personalisation pack", hint="They are made with --batch", code="bad-pack"
        ) from None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
