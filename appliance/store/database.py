# SPDX-License-Identifier: Apache-2.0
"""Opening the database, and the transaction everything is written in.

Writers run with synchronous=FULL: SQLite's usual NORMAL may forget the last commits at a power cut, and then
a sequence number that the dealer has already stored would be given to another reading, which the dealer would
drop as a repetition. A file that is damaged is never repaired, replaced or deleted here; a person decides.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sqlite3
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from appliance.model.errors import DatabaseBusy, DatabaseDamaged, DiskFull, StoreError
from appliance.store import migrate

Connection = sqlite3.Connection
"""What every function of this package takes, for the annotations of those who call it through a Worker."""

APPLICATION_ID = 0x504C544E
"""In the file's header: a database of this program ("PLTN")."""

PAGE_SIZE = 1024
"""Small, because a commit writes whole pages and most commits change a few small rows. docs/store.md has
figures."""

CHECKPOINT_PAGES = 4000
"""The log grows to about 4 MB before it is folded into the file: a page changed often is then written there
once."""

LOG_OCTETS = 32 + (CHECKPOINT_PAGES + 500) * (PAGE_SIZE + 24)
"""What the log comes to before it is begun anew: its header, and each page with one of its own."""

BUSY_S = 10.0
"""How long a statement waits for another process's transaction."""

LOCK_S = 60.0
"""How long opening waits for another process that creates or migrates."""


def open_database(path: Path | str, *, write: bool = True) -> sqlite3.Connection:
    """A connection in autocommit mode with today's schema; created if `write` and there is none.

    Raises DatabaseDamaged, DatabaseNewer, DatabaseBusy, DiskFull, or StoreError with the code
    database-missing, database-old (only a writer migrates) or database-read-only. The file is left as it is
    in every one of them.
    """
    path = Path(path)
    with _reported(path), _locked(path) if write else contextlib.nullcontext():
        if not path.exists():
            _absent(path, write)
        _inspect(path)
        if write and not os.access(path, os.W_OK):
            raise StoreError(
                f"{path} cannot be written to",
                hint="Check its owner and mode, and that the disk is not mounted read-only",
                code="database-read-only",
            )
        db = _connect(path, write)
        try:
            if write:
                migrate.migrate(db, path)
            elif migrate.version(db) < migrate.STEPS[-1].number:
                raise StoreError(
                    f"{path} has an older schema",
                    hint="Start the box's services, which bring it up to date",
                    code="database-old",
                )
        except BaseException:
            db.close()
            raise
        return db


def lay_out_log(db: sqlite3.Connection, path: Path) -> None:
    """Give the log its full size, in zeros. A commit then lands where the file has room already, and the file
    system has nothing to note in its own journal, which costs a card more than the commit itself. SQLite takes
    what follows the last commit for nothing, zeros as well. On a full disk the log stays as it is."""
    with transaction(db), contextlib.suppress(OSError), _beside(path, "-wal").open("r+b") as file:
        # Nobody else writes the log within this transaction, and it ends where its file does.
        missing = LOG_OCTETS - file.seek(0, os.SEEK_END)
        if missing > 0:
            file.write(bytes(missing))
            file.flush()
            os.fsync(file.fileno())


@contextlib.contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All of it or nothing. Inside another one it is a part of that: undone alone if it fails, kept only if
    the outer one commits. sqlite3's errors come out as StoreError."""
    begin, keep, undo = (
        ("SAVEPOINT part", "RELEASE part", "ROLLBACK TO part; RELEASE part")
        if db.in_transaction
        else ("BEGIN IMMEDIATE", "COMMIT", "ROLLBACK")
    )
    with wrapped():
        db.execute(begin)
        try:
            yield db
            db.execute(keep)
        except BaseException:
            # On a full disk SQLite may have rolled everything back by itself.
            if db.in_transaction:
                for statement in undo.split("; "):
                    db.execute(statement)
            raise


@contextlib.contextmanager
def wrapped(path: Path | None = None) -> Iterator[None]:
    """The border: sqlite3's errors go no further, they become StoreError."""
    try:
        yield
    except sqlite3.Error as e:
        raise store_error(e, path) from e


def store_error(error: sqlite3.Error, path: Path | None = None) -> StoreError:
    """The error a person can understand, by SQLite's primary result code (sqlite3.h)."""
    name = str(path) if path else "The database"
    code = getattr(error, "sqlite_errorcode", 0)
    if code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return DatabaseBusy(f"{name} is held by another process", hint="It was tried for a while; try again")
    if code & 0xFF == sqlite3.SQLITE_FULL or code == _SHM_SIZE:
        return DiskFull(f"There is no space left to write {path or 'the database'}")
    if code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return damaged(name, str(error))
    if code & 0xFF == sqlite3.SQLITE_READONLY:
        return StoreError(
            f"{name} cannot be written to",
            hint="Check its owner and mode, and that the disk is not mounted read-only",
            code="database-read-only",
        )
    if code & 0xFF == sqlite3.SQLITE_CANTOPEN:
        return StoreError(
            f"{name} cannot be opened",
            hint="Check that its folder exists, and owner and mode",
            code="database-missing",
        )
    if code & 0xFF == sqlite3.SQLITE_IOERR:
        return StoreError(
            f"{name} could not be read or written ({getattr(error, 'sqlite_errorname', 'SQLITE_IOERR')})",
            hint="The disk or card may be failing: make a copy of it now",
            code="disk-failing",
        )
    return StoreError(
        f"{name} refused a statement: {error}", hint="This is a fault of ours; please report it"
    )


def damaged(name: str, how: str) -> DatabaseDamaged:
    """`how`, and what to do about it."""
    return DatabaseDamaged(
        f"{name} is damaged: {how}",
        hint="It was left as it is. Copy it and the files beside it away, then put a snapshot in its place"
        " or move it aside to begin with an empty one",
    )


# SQLITE_IOERR_SHMSIZE: the shared index of the log could not grow, which is a full disk.
_SHM_SIZE = sqlite3.SQLITE_IOERR | (19 << 8)

_MAGIC = b"SQLite format 3\0"


def _absent(path: Path, write: bool) -> None:
    log = _beside(path, "-wal")
    if log.exists() and log.stat().st_size:
        raise damaged(str(path), f"it is gone, but its log {log.name} is there")
    if not write:
        raise StoreError(
            f"There is no database at {path}", hint="Start the box's services first", code="database-missing"
        )
    _create(path)


def _create(path: Path) -> None:
    """Under another name first: a power cut in the middle must not leave a half-made file in its place."""
    unfinished = _beside(path, ".new")
    for leftover in (
        unfinished,
        _beside(unfinished, "-wal"),
        _beside(unfinished, "-shm"),
        _beside(unfinished, "-journal"),
    ):
        leftover.unlink(missing_ok=True)
    # Made by us, because SQLite would make it readable by everybody; its log and index take over this mode.
    os.close(_shared(unfinished, os.O_EXCL))
    try:
        db = sqlite3.connect(unfinished, isolation_level=None)
        try:
            db.execute(f"PRAGMA page_size = {PAGE_SIZE}")
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            migrate.migrate(db, unfinished)
            db.execute("PRAGMA journal_mode = WAL")
        finally:
            db.close()
        migrate.sync(unfinished)
        unfinished.replace(path)
        migrate.sync(path.parent)
    finally:
        unfinished.unlink(missing_ok=True)


def _inspect(path: Path) -> None:
    """Looks before anything could write: a read-only handle cannot fold a log into a broken file."""
    with path.open("rb") as file:
        head = file.read(100)
    if not head:
        raise damaged(str(path), "it is empty")
    if len(head) < 100 or head[:16] != _MAGIC:
        raise damaged(str(path), "it is not a database")
    if struct.unpack(">I", head[68:72])[0] != APPLICATION_ID:
        raise damaged(str(path), "it is a database of another program")
    _inspect_log(path)
    db = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=BUSY_S, isolation_level=None)
    try:
        found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise damaged(str(path), " ".join(str(found).split()))
        if migrate.version(db) < 1:
            raise damaged(str(path), "it has no schema")
        migrate.refuse_newer(db, path)
    finally:
        db.close()


def _inspect_log(path: Path) -> None:
    """SQLite takes a log with a broken header for an empty one, and the commits in it would go unnoticed."""
    if _log_broken(path):
        time.sleep(0.05)  # another process may have been writing just those octets
        if _log_broken(path):
            raise damaged(str(path), "its log has a broken header")


def _log_broken(path: Path) -> bool:
    """The header is synced before the first commit, so after a power cut it is whole, or nothing but zeros
    follow it (https://sqlite.org/fileformat2.html#walformat)."""
    try:
        with _beside(path, "-wal").open("rb") as file:
            head = file.read(32)
            if len(head) == 32 and _log_header_holds(head):
                return False
            return any(rest.strip(b"\0") for rest in iter(lambda: file.read(1 << 20), b""))
    except FileNotFoundError:
        return False


def _log_header_holds(head: bytes) -> bool:
    magic = struct.unpack(">I", head[:4])[0]
    if magic not in (0x377F0682, 0x377F0683):
        return False
    words = struct.unpack(">6I" if magic & 1 else "<6I", head[:24])
    first = second = 0
    for a, b in zip(words[::2], words[1::2], strict=True):
        first = (first + a + second) & 0xFFFFFFFF
        second = (second + b + first) & 0xFFFFFFFF
    return (first, second) == struct.unpack(">2I", head[24:])


def _connect(path: Path, write: bool) -> sqlite3.Connection:
    db = sqlite3.connect(
        f"file:{quote(str(path))}?mode={'rw' if write else 'ro'}",
        uri=True,
        timeout=BUSY_S,
        isolation_level=None,
    )
    try:
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA temp_store = MEMORY")  # the root file system is read-only, and a card should rest
        if write:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
            db.execute(f"PRAGMA journal_size_limit = {4 * CHECKPOINT_PAGES * PAGE_SIZE}")
        else:
            db.execute("PRAGMA query_only = ON")
    except BaseException:
        db.close()
        raise
    return db


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process at a time creates or migrates; the others wait here."""
    handle = _shared(_beside(path, ".lock"))
    try:
        end = time.monotonic() + LOCK_S
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise DatabaseBusy(
                        f"Another process is still preparing {path}", hint="Try again"
                    ) from None
                time.sleep(0.02)
        yield
    finally:
        os.close(handle)


def _shared(path: Path, flags: int = 0) -> int:
    """A handle of a file that all services may write, each its own user of one group, whatever the umask."""
    handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | flags, 0o660)
    if os.fstat(handle).st_uid == os.geteuid():
        os.fchmod(handle, 0o660)
    return handle


@contextlib.contextmanager
def _reported(path: Path) -> Iterator[None]:
    """sqlite3's and the system's errors as StoreError, with the file's name."""
    try:
        with wrapped(path):
            yield
    except OSError as e:
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"There is no space left to write {path}") from e
        read_only = e.errno in (errno.EROFS, errno.EACCES, errno.EPERM)
        raise StoreError(
            f"{path} cannot be opened: {os.strerror(e.errno or 0)}",
            hint="Check that its folder exists, who may write there, and that the disk is not read-only",
            code="database-read-only" if read_only else "database-missing",
        ) from e


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)
