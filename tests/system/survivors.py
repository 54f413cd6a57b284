# SPDX-License-Identifier: Apache-2.0
"""What is left on a data partition after a power cut, seen as the box's next start sees it: checked by e2fsck as
`data-partition` does, mounted, and read by the services' own code.
"""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import msgspec

from appliance.host.paths import Paths
from appliance.model import codes
from appliance.model.errors import PlatenError
from appliance.provision.personal import Journal
from appliance.provision.service import LastGood
from appliance.store import migrate
from appliance.store.database import open_database
from appliance.update.state import State

FACTORY_RESET = "factory-reset"
LASTING = ("machine-id", "box-id", "setup-code")
"""Facts that never change again once a flush has brought them onto the card."""


class Left(msgspec.Struct, frozen=True):
    """`check`: what e2fsck had to do; `facts`: what the partition says, by name; `bad`: what a box cannot go on
    with; `spoilt`: files that it does not need, by name."""

    check: str = ""
    facts: dict[str, str] = {}
    bad: list[str] = []
    spoilt: list[str] = []


def look(device: Path) -> Left:
    """At an image of the partition, which is repaired in place."""
    check, problem = _repaired(device)
    if problem:
        return Left(check, bad=[problem])
    again = _run("e2fsck", "-fn", device)
    if again.returncode:
        return Left(check, bad=[f"e2fsck -fn after the repair: {_last(again)}"])
    with tempfile.TemporaryDirectory() as folder:
        done = _run("mount", "-t", "ext4", "-o", "loop,ro,noatime", device, folder)
        if done.returncode:
            return Left(check, bad=[f"it does not mount: {_last(done)}"])
        try:
            facts, bad, spoilt = read(Path(folder))
        finally:
            unmounted = _run("umount", folder)
    assert not unmounted.returncode, _last(unmounted)
    return Left(check, facts, bad, spoilt)


def _repaired(device: Path) -> tuple[str, str]:
    """What `data-partition` would do, and why that was not enough."""
    preen = _run("e2fsck", "-p", device)
    if preen.returncode < 4:
        return ("preen" if preen.returncode else "journal"), ""
    repair = _run("e2fsck", "-fy", device)
    return "repair", "" if repair.returncode < 4 else f"e2fsck -fy: {_last(repair)}"


def read(data: Path) -> tuple[dict[str, str], list[str], list[str]]:
    """Facts and faults of a mounted partition, and what is spoilt and not needed."""
    facts: dict[str, str] = {}
    bad: list[str] = []
    if (data / FACTORY_RESET).exists():
        facts[FACTORY_RESET] = "asked for"
    _word(data / "etc/machine-id", "machine-id", None, facts, bad)
    _word(data / "platen/identity/box-id", "box-id", codes.BOX_ID, facts, bad)
    _word(data / "platen/identity/setup-code", "setup-code", codes.SETUP_CODE, facts, bad)
    kinds: dict[str, type] = {
        "update/state.json": State,
        "provision/personalised.json": Journal,
        "provision/installer.json": LastGood,
    }
    for name, kind in kinds.items():
        _document(data / name, name, kind, facts, bad)
    for name in ("ca.crt", "operational.crt", "operational.key"):
        if (path := data / "platen/keys" / name).exists():
            facts[f"key {name}"] = str(len(path.read_bytes()))
            if not path.read_bytes().strip(b"\0"):
                bad.append(f"{name} is empty")
    _database(data / "platen", facts, bad)
    status = data / "rauc/central.raucs"
    return facts, bad, [status.name] if status.exists() and not _status(status) else []


def _word(path: Path, name: str, form: object, facts: dict[str, str], bad: list[str]) -> None:
    if not path.exists():
        return
    text = path.read_text(errors="replace").strip()
    ok = (
        form.match(text) if hasattr(form, "match") else len(text) == 32 and not text.strip("0123456789abcdef")
    )
    if ok:
        facts[name] = text
    else:
        bad.append(f"{name} holds {text!r}")


def _document(path: Path, name: str, kind: type, facts: dict[str, str], bad: list[str]) -> None:
    if path.with_suffix(".damaged").exists():
        bad.append(f"{name} was found damaged")
    if not path.exists():
        return
    try:
        msgspec.json.decode(path.read_bytes(), type=kind)
        facts[name] = path.read_text()
    except msgspec.DecodeError as error:
        bad.append(f"{name}: {error}")


def _status(path: Path) -> bool:
    """Whether RAUC's memory of what is in the slots can be read. Where it cannot, RAUC writes another the next time
    (tests/update/test_rauc.py)."""
    try:
        configparser.ConfigParser(interpolation=None).read_string(path.read_text())
    except (configparser.Error, UnicodeDecodeError):
        return False
    return True


def _database(state: Path, facts: dict[str, str], bad: list[str]) -> None:
    """Opened as the services do, on a copy, because that writes: SQLite takes in its log then."""
    if not (state / "platen.db").exists():
        if (wal := state / "platen.db-wal").exists() and wal.stat().st_size:
            bad.append("the database is gone and its log is there")
        return
    with tempfile.TemporaryDirectory() as folder:
        paths = Paths(Path(folder), Path(folder))
        for name in ("platen.db", "platen.db-wal"):
            if (state / name).exists():
                shutil.copyfile(state / name, paths.state / name)
        try:
            db = open_database(paths.database)
        except PlatenError as error:
            bad.append(f"platen.db: {error}")
            return
        try:
            for pragma in ("integrity_check", "foreign_key_check"):
                rows = [r[0] for r in db.execute(f"PRAGMA {pragma}")]
                if rows not in ([], ["ok"]):
                    bad.append(f"platen.db: {pragma}: {rows[:3]}")
            facts["database"] = str(migrate.version(db))
            for key, value in db.execute("SELECT key, value FROM setting"):
                facts[f"setting {key}"] = str(value)
        finally:
            db.close()


def _run(*command: object) -> subprocess.CompletedProcess[str]:
    words = [os.fspath(c) if isinstance(c, Path) else str(c) for c in command]
    env = {**os.environ, "LC_ALL": "C", "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}
    return subprocess.run(words, capture_output=True, text=True, errors="replace", env=env, check=False)


def _last(done: subprocess.CompletedProcess[str]) -> str:
    return " ".join((done.stdout + done.stderr).split())[-300:]
