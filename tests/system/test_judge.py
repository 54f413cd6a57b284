# SPDX-License-Identifier: Apache-2.0
"""The judge finds what is wrong with a card: one fault of each kind, put into a log that is good without it."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.host.paths import Paths
from appliance.store.database import open_database
from image import disk, layout
from tests.system import blocklog, card, slots, survivors
from tests.system.blocklog import FLUSH, SECTOR
from tests.system.judge import Judge, Result
from tests.system.lab import TREE

TOOLS = ("sfdisk", "mcopy", "mkfs.vfat", "fsck.vfat", "veritysetup", "mkfs.ext4", "e2fsck", "debugfs")
needs_tools = pytest.mark.skipif(
    any(shutil.which(t, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None for t in TOOLS)
    or os.getuid() != 0,
    reason="its tools are only in the Debian 13 root, and it mounts",
)
Row = tuple[int, int, bytes]
ENV = layout.BY_NAME["env"].start // SECTOR
FLUSHED: Row = (0, FLUSH, b"")
CARD = layout.IMAGE_SIZE + 64 * layout.MIB
OFFICE = {"BOOT_ORDER": "A B", "BOOT_A_LEFT": "9", "BOOT_B_LEFT": "0", "BOOT_SEEN": "0"}
BOX, CODE, MACHINE = "PL-0TST-B0X1", "TEST-C0DE", "0123456789abcdef" * 2


def run(*command: str | Path, input: str | None = None) -> str:
    env = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin", "MTOOLS_SKIP_CHECK": "1"}
    done = subprocess.run(
        [str(c) for c in command], input=input, capture_output=True, text=True, env=env, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a card as the builder makes it, of small contents (`card`), a slot's two images (`boot`, `root`)
    and a data partition (`data`)."""
    at = tmp_path_factory.mktemp("made")
    (at / "root").write_bytes(bytes(range(256)) * 16 * 8)
    (at / "tree").touch()
    text = run(
        "veritysetup", "format", at / "root", at / "tree", "--no-superblock", "--salt=00", "--hash=sha256"
    )
    root_hash = text.split("Root hash:")[1].split()[0]
    with (at / "root").open("ab") as file:
        file.write((at / "tree").read_bytes())
    kernel = at / "Image"
    kernel.write_bytes(b"kernel" * 1000)
    run("gzip", kernel)
    (at / "initrd").write_bytes(b"initrd")
    (at / "slot.env").write_text(f"verity=8,8,{root_hash},00\n")
    run("mkfs.vfat", "-C", at / "boot", str(layout.BY_NAME["boot_a"].size // 1024))
    run("mcopy", "-i", at / "boot", at / "Image.gz", at / "initrd", at / "slot.env", "::/")
    (at / "firmware.txt").write_text("firmware")
    disk.write(at / "card", [at / "firmware.txt"], at / "boot", at / "root", "1.0.0", 0)
    os.truncate(at / "card", CARD)
    _data(at)
    return at


def _data(at: Path) -> None:
    folder = at / "files"
    for name, text in (
        ("etc/machine-id", MACHINE), ("platen/identity/box-id", BOX), ("platen/identity/setup-code", CODE),
        ("update/state.json", '{"format":1}'),
    ):  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{text}\n")
    open_database(Paths(folder / "platen", at).database).close()
    run("mkfs.ext4", "-q", "-d", folder, at / "data", "40m")


def rows(path: Path, start: int, *, end: int | None = None, whole: bool = False) -> Iterator[Row]:
    """Writes that put a file onto the card: with `whole`, its zeros too."""
    data = path.read_bytes()[:end]
    for at in range(0, len(data), 65536):
        piece = data[at : at + 65536].ljust(-(-len(data[at : at + 65536]) // SECTOR) * SECTOR, b"\0")
        if whole or piece.strip(b"\0"):
            yield start + at // SECTOR, 0, piece


def env(**changes: str) -> Row:
    return ENV, 0, disk.environment(**{**OFFICE, **changes})


def place(name: str) -> int:
    return layout.BY_NAME[name].start // SECTOR


def judged(made: Path, tmp_path: Path, log: list[Row], **how: int) -> Result:
    blocklog.write(tmp_path / "log", log)
    (tmp_path / "work").mkdir(exist_ok=True)
    return Judge(made / "card", tmp_path / "log", tmp_path / "work", **how).run()


def installed(made: Path) -> list[Row]:
    return [*rows(made / "boot", place("boot_b")), FLUSHED, *rows(made / "root", place("root_b")), FLUSHED]


def table(made: Path, tmp_path: Path) -> tuple[Row, list[Row]]:
    """The sectors of the first partition table with `data` in it; and the copy's."""
    copy = tmp_path / "grown"
    slots.copy(made / "card", copy)
    run("sfdisk", "--no-reread", "--no-tell-kernel", "--relocate", "gpt-bak-std", copy)
    start = layout.IMAGE_SIZE // SECTOR
    run("sfdisk", "--no-reread", "--no-tell-kernel", "--append", copy, input=f"start={start}, name=data\n")
    with copy.open("rb") as file:
        first = file.read(34 * SECTOR)
        file.seek(CARD - 33 * SECTOR)
        return (0, 0, first), [(CARD // SECTOR - 33, 0, file.read())]


def test_the_kernel_looks_for_the_copy_of_the_partition_table() -> None:
    """It does so with `gpt` alone (block/partitions/efi.c); U-Boot always does."""
    script = (TREE / "image/boot/boot.cmd").read_text()
    lines = [line for line in script.splitlines() if "setenv bootargs" in line]
    assert len(lines) == 2
    assert all(" gpt " in line for line in lines)


@given(st.binary(min_size=SECTOR, max_size=SECTOR))
def test_any_sector_is_an_environment_or_the_defaults(sector: bytes) -> None:
    assert card.environment(sector).slots


def test_an_environment_is_read_as_the_boot_script_does() -> None:
    found = card.environment(
        disk.environment(BOOT_ORDER="B A", BOOT_A_LEFT="9", BOOT_B_LEFT="2", BOOT_SEEN="1")
    )
    assert (found.order, found.left, found.seen, found.whole) == (("B", "A"), {"A": 9, "B": 2}, 1, True)
    assert card.environment(disk.environment(BOOT_ORDER="B A", BOOT_A_LEFT="9")).slots == ["A"]
    assert not card.environment(bytes(SECTOR)).whole


@needs_tools
def test_a_good_installation_is_good(made: Path, tmp_path: Path) -> None:
    log = [*installed(made), env(BOOT_B_LEFT="3"), FLUSHED, env(BOOT_B_LEFT="3", BOOT_ORDER="B A"), FLUSHED]
    found = judged(made, tmp_path, log)
    assert found.bad == []
    assert found.environment == {"1": 2}
    names = [c.name for c in found.classes]
    assert "boot B whole, root B whole, order B A, A=9 B=3" in names
    assert "boot B whole, root B untouched, order A B, A=9 B=0" in names


@needs_tools
def test_a_slot_that_is_named_before_it_is_on_the_medium_is_found(made: Path, tmp_path: Path) -> None:
    log = [*installed(made)[:-1], env(BOOT_B_LEFT="3"), FLUSHED]
    found = judged(made, tmp_path, log)
    assert {b.where for b in found.bad} == {"slot B"}
    assert "may be lost" in found.bad[0].why


@needs_tools
def test_a_slot_that_lacks_a_part_is_found(made: Path, tmp_path: Path) -> None:
    log = [*rows(made / "boot", place("boot_b")), *rows(made / "root", place("root_b"), end=4096), FLUSHED]
    found = judged(made, tmp_path, [*log, env(BOOT_B_LEFT="3"), FLUSHED])
    assert "its root does not match its hash tree" in found.bad[0].why


@needs_tools
def test_a_write_to_the_slot_that_runs_is_found(made: Path, tmp_path: Path) -> None:
    found = judged(made, tmp_path, [(place("root_a") + 5, 0, b"x" * SECTOR), FLUSHED, env(BOOT_SEEN="1")])
    assert {b.where for b in found.bad} == {"slot A"}


@needs_tools
def test_an_environment_that_leaves_nothing_is_found(made: Path, tmp_path: Path) -> None:
    found = judged(made, tmp_path, [env(BOOT_A_LEFT="0"), FLUSHED])
    assert found.bad[0].why == "no slot is left"
    found = judged(made, tmp_path, [(ENV, 0, b"\1" * SECTOR), FLUSHED])
    assert "it cannot be read" in {b.why for b in found.bad}


@needs_tools
def test_the_table_is_good_when_its_copy_is_written_first(made: Path, tmp_path: Path) -> None:
    first, copy = table(made, tmp_path)
    assert judged(made, tmp_path, [*copy, FLUSHED, first, FLUSHED]).bad == []
    # Without the copy, a write that is torn between header and entries leaves nothing.
    found = judged(made, tmp_path, [first, FLUSHED])
    assert {b.where for b in found.bad} == {"table"}


@needs_tools
def test_an_mbr_without_the_firmware_is_found(made: Path, tmp_path: Path) -> None:
    first, copy = table(made, tmp_path)
    _, _, data = first
    found = judged(made, tmp_path, [*copy, FLUSHED, (0, 0, bytes(446) + bytes(64) + data[510:])])
    assert "the ROM of a Pi 3 does not find the firmware" in {b.why for b in found.bad}


@needs_tools
def test_firmware_that_is_overwritten_is_found(made: Path, tmp_path: Path) -> None:
    fat = made / "firmware"
    with (made / "card").open("rb") as file:
        slots.extract(file.fileno(), fat, layout.BY_NAME["firmware"].start, layout.BY_NAME["firmware"].size)
    at = fat.read_bytes().index(b"firmware" + bytes(100)) // SECTOR
    found = judged(made, tmp_path, [(place("firmware") + at, 0, b"x" * SECTOR), FLUSHED])
    assert found.bad[0].where == "firmware"
    assert "firmware.txt" in found.bad[0].why


def with_data(made: Path, tmp_path: Path) -> list[Row]:
    first, copy = table(made, tmp_path)
    start = layout.IMAGE_SIZE // SECTOR
    return [*rows(made / "data", start, whole=True), FLUSHED, *copy, FLUSHED, first, FLUSHED]


def change(made: Path, tmp_path: Path, *commands: str) -> list[Row]:
    """The writes of a change that debugfs makes to the data partition, all of them in flight."""
    after = tmp_path / "after"
    slots.copy(made / "data", after)
    for command in commands:
        run("debugfs", "-w", "-R", command, after)
    old, new = (made / "data").read_bytes(), after.read_bytes()
    start = layout.IMAGE_SIZE // SECTOR
    places = [at for at in range(0, len(new), 4096) if old[at : at + 4096] != new[at : at + 4096]]
    return [(start + at // SECTOR, 0, new[at : at + 4096]) for at in places]


@needs_tools
def test_a_data_partition_is_read_as_the_box_reads_it(made: Path, tmp_path: Path) -> None:
    start = layout.IMAGE_SIZE // SECTOR
    again = [next(rows(made / "data", start))]
    found = judged(made, tmp_path, [*with_data(made, tmp_path), *again])
    assert found.bad == []
    assert found.facts["machine-id"] == MACHINE
    assert found.facts["box-id"] == BOX
    assert "database" in found.facts


@needs_tools
@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("rm etc/machine-id", "machine-id was"),
        ("rm platen/identity/box-id", "box-id was"),
        ("rm platen/platen.db", "the database is gone"),
    ],
)
def test_what_is_forgotten_is_found(made: Path, tmp_path: Path, command: str, why: str) -> None:
    again = [next(rows(made / "data", layout.IMAGE_SIZE // SECTOR)), FLUSHED]
    log = [*with_data(made, tmp_path), *again, *change(made, tmp_path, command), FLUSHED]
    assert why in " ".join(b.why for b in judged(made, tmp_path, log).bad)


@needs_tools
def test_damaged_contents_are_found(tmp_path: Path, made: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(made / "files", data)
    assert survivors.read(data)[1:] == ([], [])
    (data / "rauc").mkdir()
    (data / "rauc/central.raucs").write_bytes(bytes(100))
    assert survivors.read(data)[1:] == ([], ["central.raucs"])
    (data / "update/state.json").write_text('{"format":')
    (data / "platen/identity/setup-code").write_bytes(b"")
    with (data / "platen/platen.db").open("r+b") as file:
        file.seek(3000)
        file.write(b"\xff" * 5000)
    bad = " ".join(survivors.read(data)[1])
    for word in ("state.json", "setup-code", "platen.db"):
        assert word in bad


@needs_tools
def test_a_file_system_beyond_repair_is_found(made: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    slots.copy(made / "data", broken)
    with broken.open("r+b") as file:
        for at in (1024, 8388608 + 1024, 8388608, 32768 * 1024):
            file.seek(at)
            file.write(struct.pack("<H", 0) * 512)
        file.truncate(30 * layout.MIB)
    assert survivors.look(broken).bad
