# SPDX-License-Identifier: Apache-2.0
"""Opening, and everything that may be wrong with a file."""

from __future__ import annotations

import contextlib
import hashlib
import os
import resource
import shutil
import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import msgspec
import pytest

from appliance.model.errors import DatabaseBusy, DatabaseDamaged, DatabaseNewer, DiskFull, StoreError
from appliance.model.messages import Acknowledgement, Record
from appliance.model.reading import difference
from appliance.store import (
    database,
    events,
    ledger,
    migrate,
    outbox,
    printers,
    readings,
    sessions,
    settings,
)
from appliance.store.database import open_database, transaction

from .conftest import add_printer, full, moment, stamp


def hashes(path: Path) -> dict[str, str]:
    """What the database and its log hold now; an empty log holds nothing."""
    files = [
        f for f in path.parent.glob(f"{path.name}*") if f.suffix in (".db", ".db-wal") and f.stat().st_size
    ]
    return {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def refused(path: Path, *, write: bool = True) -> StoreError:
    """The error of opening it, after which the files are as they were."""
    before = hashes(path)
    with pytest.raises(StoreError) as caught:
        open_database(path, write=write)
    assert hashes(path) == before
    assert caught.value.hint
    return caught.value


@pytest.fixture
def filled(path: Path) -> Path:
    """Closed, several hundred pages long."""
    db = open_database(path)
    with transaction(db):
        for n in range(20):
            printer = add_printer(db, n)
            for at in range(20):
                readings.save_full(db, printer, stamp(at), full(at, at))
            readings.save_raw(db, printer, moment(0), [(f"1.3.{i}", 4, os.urandom(9)) for i in range(200)])
    db.close()
    return path


def test_a_new_database_is_whole_and_ours_alone(path: Path) -> None:
    db = open_database(path)
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert db.execute("PRAGMA foreign_keys").fetchone() == (1,)
    assert db.execute("PRAGMA page_size").fetchone() == (database.PAGE_SIZE,)
    assert migrate.version(db) == migrate.STEPS[-1].number
    settings.put(db, "snmp.retries", 3, "you")
    db.close()


@pytest.mark.parametrize("umask", [0o077, 0o022, 0])
def test_the_services_share_it_with_nobody_else(path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        db = open_database(path)
        settings.put(db, "snmp.retries", 3, "you")
        found = {f.name: stat.S_IMODE(f.stat().st_mode) for f in path.parent.iterdir()}
        db.close()
    finally:
        os.umask(before)
    assert found == dict.fromkeys(("platen.db", "platen.db-wal", "platen.db-shm", "platen.db.lock"), 0o660)


def test_what_a_power_cut_left_of_creating_is_swept_up(path: Path) -> None:
    for ending in (".new", ".new-journal", ".new-wal"):
        path.with_name(path.name + ending).write_bytes(b"half")
    open_database(path).close()
    assert sorted(f.name for f in path.parent.iterdir()) == ["platen.db", "platen.db.lock"]


def test_many_processes_may_open_first(path: Path) -> None:
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        streams = set(pool.map(_first, [path] * 8))
    assert len(streams) == 1


def _first(path: Path) -> str:
    db = open_database(path)
    try:
        return str(db.execute("SELECT value FROM meta WHERE key = 'stream'").fetchone()[0])
    finally:
        db.close()


def test_a_reader_neither_makes_nor_writes(path: Path) -> None:
    assert refused(path, write=False).code == "database-missing"
    writer = open_database(path)
    reader = open_database(path, write=False)
    with pytest.raises(StoreError) as caught:
        settings.put(reader, "snmp.retries", 3, "you")
    assert caught.value.code == "database-read-only"
    settings.put(writer, "snmp.retries", 4, "you")
    assert settings.load(reader)["snmp.retries"] == 4
    reader.close()
    writer.close()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        open_database(tmp_path / "no" / "platen.db")
    assert caught.value.code == "database-missing"


@pytest.mark.parametrize(
    "content",
    [b"", b"\0" * 50, b"\0" * 8192, b"SQLite format 3\0", b"not a database at all " * 400, os.urandom(9000)],
    ids=["empty", "short", "zeros", "magic only", "text", "noise"],
)
def test_not_a_database(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert isinstance(refused(path), DatabaseDamaged)
    assert isinstance(refused(path, write=False), DatabaseDamaged)


def test_a_database_of_another_program(path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE t (a)")
    other.commit()
    other.close()
    assert "another program" in refused(path).sentence


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_truncated(filled: Path, share: float) -> None:
    os.truncate(filled, int(filled.stat().st_size * share))
    assert isinstance(refused(filled), DatabaseDamaged)


@pytest.mark.parametrize("fill", [b"\0", b"\xff", None], ids=["zeros", "ones", "another page"])
def test_flipped_pages(filled: Path, fill: bytes | None) -> None:
    size = database.PAGE_SIZE
    data = bytearray(filled.read_bytes())
    # Inner and leaf pages of a b-tree: the type is the first octet (fileformat2.html, 1.6).
    trees = [at for at in range(size, len(data), size) if data[at] in (2, 5, 10, 13)]
    for at in trees[:: max(1, len(trees) // 8)]:
        data[at : at + size] = data[0:size] if fill is None else fill * size
    filled.write_bytes(data)
    assert isinstance(refused(filled), DatabaseDamaged)


def test_damage_met_later_has_the_same_name(filled: Path) -> None:
    db = open_database(filled)
    db.execute("PRAGMA mmap_size = 0")
    data = bytearray(filled.read_bytes())
    data[database.PAGE_SIZE :] = b"\xaa" * (len(data) - database.PAGE_SIZE)
    with filled.open("r+b") as file:
        file.write(data)
    db.execute("PRAGMA shrink_memory")
    with pytest.raises(DatabaseDamaged), transaction(db):
        settings.put(db, "snmp.retries", 3, "you")
    db.close()


def unfolded(path: Path) -> Path:
    """A copy of an open database, as a power cut leaves it: what was committed last is in the log only."""
    db = open_database(path)
    settings.put(db, "snmp.retries", 5, "you")
    copy = path.with_name("copy.db")
    shutil.copy(path, copy)
    shutil.copy(f"{path}-wal", f"{copy}-wal")
    db.close()
    return copy


def test_what_is_only_in_the_log_is_found(path: Path) -> None:
    db = open_database(unfolded(path))
    assert settings.load(db)["snmp.retries"] == 5
    db.close()


@pytest.mark.parametrize("kind", ["noise", "header"])
def test_a_log_of_garbage(path: Path, kind: str) -> None:
    copy = unfolded(path)
    log = Path(f"{copy}-wal")
    data = bytearray(log.read_bytes())
    if kind == "noise":
        data[:] = os.urandom(len(data))
    else:
        data[16] ^= 1
    log.write_bytes(data)
    assert "log" in refused(copy).sentence
    assert isinstance(refused(copy, write=False), DatabaseDamaged)


@pytest.mark.parametrize("content", [b"", b"\0" * 20, b"\0" * 4096], ids=["empty", "begun", "zeros"])
def test_a_log_that_a_power_cut_never_let_begin(path: Path, content: bytes) -> None:
    open_database(path).close()
    Path(f"{path}-wal").write_bytes(content)
    db = open_database(path)
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()


def test_a_log_without_its_database(path: Path) -> None:
    copy = unfolded(path)
    copy.unlink()
    assert "it is gone" in refused(copy).sentence


def test_newer(path: Path) -> None:
    db = open_database(path)
    db.execute("PRAGMA user_version = 99")
    db.execute("UPDATE meta SET value = 98 WHERE key = 'min_reader'")
    db.close()
    assert isinstance(refused(path), DatabaseNewer)
    assert isinstance(refused(path, write=False), DatabaseNewer)
    assert "Install that release again" in refused(path).hint


def test_newer_but_made_for_us_too(path: Path) -> None:
    db = open_database(path)
    db.execute("PRAGMA user_version = 99")
    for (table,) in db.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql LIKE '%STRICT'"
    ).fetchall():
        # Names that other tables have too, so that a join which does not say whose it means fails.
        for column in ("id", "name", "printer", "time", "body", "last_seen", "sha256", "novelty"):
            with contextlib.suppress(sqlite3.OperationalError):
                db.execute(f"ALTER TABLE {table} ADD COLUMN {column} TEXT DEFAULT 'new'")
    db.execute("CREATE TABLE novelty (a TEXT) STRICT")
    db.close()
    db = open_database(path)
    assert migrate.version(db) == 99
    everything(db)
    db.close()


def everything(db: sqlite3.Connection) -> None:
    """Each kind of row written, read, replaced and taken away."""
    printer = add_printer(db, plan=b"plan", evidence=[("mac", "m")])
    known = printers.get(db, printer)
    assert known is not None
    printers.save(db, msgspec.structs.replace(known, plan=b"other", evidence=[], failures=1))
    assert printers.all_printers(db)[0].plan == b"other"
    assert printers.all_printers(db)[0].evidence == []
    for at in (0, 900):
        readings.save_full(db, printer, stamp(at), full(at))
        readings.save_raw(db, printer, moment(at), [("1.3", 2, at)])
    readings.save_change(db, printer, stamp(1000), difference(full(900), full(1000, 7)))
    readings.confirm(db, printer, {"status": moment(1100)})
    assert len(list(readings.history(db, printer, moment(0), moment(9999)))) == 3
    assert readings.meter_series(db, printer, "total", moment(0))[-1][1] == 7
    assert not readings.full_due(db, printer, stamp(1200))
    assert readings.raw(db, printer) == (moment(900), [("1.3", 2, 900)])
    assert list(readings.all_latest(db)) == [printer]
    outbox.add_readings(db, "PL", [Record(printer=printer, stamp=stamp(0), full=full(0))])
    outbox.add_event(db, "PL", stamp(0), "e", "info", printer, {})
    rows = outbox.waiting(db)
    ids = [ledger.sending(db, row, row.topic, "h", moment(1)) for row in rows]
    ledger.sending_other(db, "hb", "hb", b"{}", "", "h", moment(1))
    done = Acknowledgement(box="PL", stream=outbox.stream(db), seqs=[r.seq for r in rows], time=moment(2))
    assert ledger.acknowledge(db, done) == 2
    assert all(e is not None and e.json for e in (ledger.entry(db, id) for id in ids))
    assert len(ledger.entries(db)) == 3
    for n in (1, 2):
        assert settings.put(db, "snmp.retries", n, "you") == n
        sessions.set_secret(db, "password", str(n))
    assert not sessions.set_secret_once(db, "password", "3")
    sessions.begin(db, "t", 1.0, 1000.0)
    sessions.failed(db, "a", 1.0)
    assert sessions.find(db, "t", 2.0) is not None
    assert sessions.failures(db, 0.0) == [1.0]
    events.add(db, stamp(0), "e", "info", printer, {})
    assert events.recent(db, printer=printer)[0].code == "e"
    settings.reset(db, "snmp.retries")
    assert readings.prune(db, moment(2000)) == 1
    assert ledger.prune(db, 7, now=4e9) == 3
    assert events.prune(db, moment(1)) == 1


def test_busy(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_S", 0.1)
    one, other = open_database(path), open_database(path)
    with transaction(one):
        with pytest.raises(DatabaseBusy):
            settings.put(other, "snmp.retries", 1, "you")
        assert settings.load(other)["snmp.retries"] == 2  # who reads is never kept waiting
    settings.put(other, "snmp.retries", 1, "you")
    one.close()
    other.close()


def test_opening_waits_for_who_prepares(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "LOCK_S", 0.1)
    with database._locked(path), pytest.raises(DatabaseBusy):
        open_database(path)
    open_database(path).close()


def test_a_transaction_is_all_or_nothing(db: sqlite3.Connection) -> None:
    with pytest.raises(ZeroDivisionError):
        _half(db, 1)
    assert printers.all_printers(db) == []
    with transaction(db):
        kept = add_printer(db, 1)
        with pytest.raises(ZeroDivisionError):
            _half(db, 2)
    assert [p.id for p in printers.all_printers(db)] == [kept]


def _half(db: sqlite3.Connection, n: int) -> None:
    with transaction(db):
        add_printer(db, n)
        raise ZeroDivisionError


def test_a_wrong_statement_is_our_fault(db: sqlite3.Connection) -> None:
    with pytest.raises(StoreError) as caught, transaction(db):
        db.execute("SELECT nothing FROM nowhere")
    assert caught.value.code == "store-failed"
    assert not db.in_transaction


def test_no_pages_left(db: sqlite3.Connection, printer: str) -> None:
    """A limit of SQLite's own stands in for the disk where nobody may mount one."""
    readings.save_full(db, printer, stamp(0), full(0))
    pages = db.execute("PRAGMA page_count").fetchone()[0]
    db.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(DiskFull):
        readings.save_raw(db, printer, moment(0), [("1.3", 4, os.urandom(20_000))])
    assert not db.in_transaction
    assert readings.latest(db, printer) == full(0)
    db.execute("PRAGMA max_page_count = 1000000")
    readings.save_raw(db, printer, moment(0), [("1.3", 4, os.urandom(20_000))])


MOUNTED = """
import os, subprocess, sys
from appliance.model.errors import StoreError
from appliance.store import readings, printers
from appliance.store.database import open_database
from tests.store.conftest import full, moment, stamp
folder = sys.argv[1]
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "none", folder], check=True)
path = f"{folder}/platen.db"
db = open_database(path)
printers.save(db, printers.Printer(id="p", address="192.0.2.1"))
kept = -1
try:
    for at in range(5000):
        readings.save_full(db, "p", stamp(at), full(at, at))
        kept = at
except StoreError as e:
    assert e.code == "disk-full", e
else:
    raise SystemExit("the disk never filled")
assert readings.latest(db, "p").meters[0].value == kept
db.close()
open(f"{folder}/fill", "wb").close()
try:
    with open(f"{folder}/fill", "wb", buffering=0) as fill:
        while True:
            fill.write(bytes(4096))
except OSError:
    pass
try:
    open_database(f"{folder}/other.db")
except StoreError as e:
    assert e.code == "disk-full", e
else:
    raise SystemExit("a database was made on a full disk")
assert [f for f in os.listdir(folder) if f.startswith("other")] == ["other.db.lock"], os.listdir(folder)
os.unlink(f"{folder}/fill")
db = open_database(path)
assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
assert len(list(readings.history(db, "p", moment(0), moment(9999)))) == kept + 1
db.close()
subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
try:
    open_database(path)
except StoreError as e:
    assert e.code == "database-read-only", e
else:
    raise SystemExit("a read-only disk was taken")
print("kept", kept + 1)
"""


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("unshare"), reason="only root may mount a disk to fill"
)
def test_a_disk_that_fills_up_and_one_that_is_read_only(tmp_path: Path) -> None:
    command = ["unshare", "-m", sys.executable, "-c", MOUNTED, str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if "unshare failed" in result.stderr or "CalledProcessError: Command '['mount'" in result.stderr:
        pytest.skip("this container may not mount")
    assert result.returncode == 0, result.stderr
    assert int(result.stdout.split()[1]) > 50


def test_a_file_that_may_only_be_read(path: Path) -> None:
    open_database(path).close()
    if os.geteuid() != 0:
        path.chmod(0o440)
        assert refused(path).code == "database-read-only"
        return
    # Root may write anything, so somebody else asks.
    shutil.chown(path.parent, 65534)
    path.chmod(0o444)
    Path(f"{path}.lock").chmod(0o666)
    code = (
        "import os; from appliance.store.database import open_database\n"
        f"os.setgid(65534); os.setuid(65534); open_database({str(path)!r})"
    )
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "database-read-only" in asked.stderr, asked.stderr


def test_a_log_that_is_laid_out_is_written_in_place(path: Path) -> None:
    with contextlib.closing(open_database(path)) as db:
        database.lay_out_log(db, path)
        log = path.with_name(f"{path.name}-wal")
        assert log.stat().st_size == database.LOG_OCTETS
        for n in range(30):
            settings.put(db, "poll.full_s", 1000 + n, "you")
        assert log.stat().st_size == database.LOG_OCTETS
        # As after a power cut: the log is there, and its index is not.
        copy = path.with_name("copy.db")
        shutil.copyfile(path, copy)
        shutil.copyfile(log, copy.with_name("copy.db-wal"))
    with contextlib.closing(open_database(copy)) as db:
        assert settings.load(db)["poll.full_s"] == 1029
        database.lay_out_log(db, copy)
        settings.put(db, "poll.full_s", 2000, "you")
        assert settings.load(db)["poll.full_s"] == 2000


def test_a_log_is_laid_out_beside_others_who_write(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add = (
        "import sys; from pathlib import Path; from appliance.store import settings, database;"
        "db = database.open_database(Path(sys.argv[1])); print(flush=True);"
        "[settings.put(db, 'poll.full_s', 1000 + n, 'you') for n in range(400)]; "
        "print(settings.version(db), flush=True); sys.stdin.read()"
    )
    with contextlib.closing(open_database(path)) as db:
        began = settings.version(db)
        other = subprocess.Popen(
            [sys.executable, "-c", add, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert other.stdout
        other.stdout.readline()
        log = path.with_name(f"{path.name}-wal")
        for _ in range(20):
            monkeypatch.setattr(database, "LOG_OCTETS", database.LOG_OCTETS + 65_536)
            database.lay_out_log(db, path)
        assert log.stat().st_size >= database.LOG_OCTETS
        assert int(other.stdout.readline()) == began + 400
        other.kill()
        other.communicate()
        assert settings.load(db)["poll.full_s"] == 1399
        assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"


def test_a_log_that_finds_no_room_stays_as_it_is(path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with contextlib.closing(open_database(path)) as db:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
        try:
            database.lay_out_log(db, path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        settings.put(db, "poll.full_s", 1234, "you")
        assert settings.load(db)["poll.full_s"] == 1234
