# SPDX-License-Identifier: Apache-2.0
"""Users, groups and modes: who of the services can open what."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rootfs.conftest import PLATEN, USERS, Run

SEEN = ("collector", "uplink", "webui", "update")


def entries(path: Path) -> dict[str, list[str]]:
    return {line.split(":")[0]: line.split(":") for line in path.read_text().splitlines()}


def test_numbers_are_fixed(tree: Path) -> None:
    users, groups = entries(tree / "etc/passwd"), entries(tree / "etc/group")
    assert {name: int(users[f"platen-{name}"][2]) for name in USERS} == USERS
    assert {name: int(groups[f"platen-{name}"][2]) for name in USERS} == USERS
    assert int(groups["platen"][2]) == PLATEN
    assert sorted(groups["platen"][3].split(",")) == sorted(f"platen-{s}" for s in SEEN)
    for name in USERS:
        assert users[f"platen-{name}"][6] == "/usr/sbin/nologin"
    for name in ("systemd-network", "systemd-resolve", "systemd-timesync", "messagebus"):
        assert name in users


@pytest.fixture
def state(tree: Path, inside: Run) -> Iterator[Path]:
    """/var/lib/platen with an identity and a key, as provision leaves them: root's, readable by nobody else."""
    folder = tree / "var/lib/platen"
    for name in ("identity", "keys"):
        (folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in ("identity/box-id", "identity/setup-code", "keys/operational.key"):
        (folder / name).write_text(name)
        (folder / name).chmod(0o600)
    done = inside("systemd-tmpfiles", "--create", "/usr/lib/tmpfiles.d/platen.conf")
    assert done.returncode == 0, done.stdout
    yield folder
    subprocess.run(["rm", "-rf", str(folder)], check=True)


def as_service(tree: Path, name: str, program: str, *arguments: str) -> str:
    """What `program` prints when it runs in the tree with the user and groups that systemd would give it."""
    uid = USERS[name]
    groups = [PLATEN] if name in SEEN else []
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        user=uid,
        group=uid,
        extra_groups=groups,
        umask=0o077,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or done.stderr


OPEN = """
import sys
for path in sys.argv[1:]:
    try:
        open(path).close()
        print("yes", end=" ")
    except PermissionError:
        print("no", end=" ")
"""


@pytest.mark.parametrize(
    ("service", "box_id", "setup_code", "key"),
    [
        ("collector", "yes", "no", "no"),
        ("uplink", "yes", "no", "yes"),
        ("webui", "yes", "yes", "no"),
        ("update", "yes", "no", "no"),
        ("stream", "no", "no", "no"),
    ],
)
def test_who_reads_what(
    tree: Path, state: Path, service: str, box_id: str, setup_code: str, key: str
) -> None:
    names = ("identity/box-id", "identity/setup-code", "keys/operational.key")
    answer = as_service(tree, service, OPEN, *(str(state / name) for name in names))
    assert answer == f"{box_id} {setup_code} {key}"


def test_nobody_renames_the_box(tree: Path, state: Path) -> None:
    program = (
        "import os, sys\ntry: os.unlink(sys.argv[1]); print('gone')\nexcept PermissionError: print('no')"
    )
    for service in SEEN:
        assert as_service(tree, service, program, str(state / "identity/box-id")) == "no"


def test_modes(tree: Path, state: Path) -> None:
    run = tree / "run/platen"
    assert (run.stat().st_mode & 0o7777, run.stat().st_uid, run.stat().st_gid) == (0o3770, 0, PLATEN)
    assert (state.stat().st_mode & 0o7777, state.stat().st_uid, state.stat().st_gid) == (0o2770, 0, PLATEN)
    lock = (tree / "run/lock/fw_printenv.lock").stat()
    # Root's, or the kernel refuses it to root in a sticky folder (fs.protected_regular).
    assert (lock.st_mode & 0o7777, lock.st_uid, lock.st_gid) == (0o660, 0, USERS["update"])
    key = (state / "keys/operational.key").stat()
    assert (key.st_mode & 0o7777, key.st_uid) == (0o600, USERS["uplink"])


DATABASE = """
import sys
from pathlib import Path
from appliance.host.paths import Paths
from appliance.store import settings
from appliance.store.database import open_database
paths = Paths(Path(sys.argv[1]), Path(sys.argv[2]))
paths.make()
db = open_database(paths.database)
settings.put(db, "poll.status_s", int(sys.argv[3]), "you")
print(settings.load(db)["poll.status_s"])
db.close()
"""


def test_they_share_one_database(tree: Path, state: Path) -> None:
    """Whoever comes first makes it; the others write to it, to its log too, and the last one removes that."""
    for n, service in enumerate(("uplink", "webui", "collector", "uplink", "webui")):
        value = str(600 + 60 * n)
        assert as_service(tree, service, DATABASE, str(state), str(tree / "run/platen"), value) == value
    for path in state.glob("platen.db*"):
        assert (path.stat().st_gid, path.stat().st_mode & 0o777) == (PLATEN, 0o660), path


BIND = """
import socket, sys, os
sock = socket.socket(socket.AF_UNIX)
try:
    sock.bind(sys.argv[1])
    os.chmod(sys.argv[1], 0o660)
    print("bound")
    if len(sys.argv) > 2: os.unlink(sys.argv[2])
except OSError as e:
    print(e.strerror)
"""


def test_a_socket_belongs_to_who_made_it(tree: Path, state: Path) -> None:
    run = tree / "run/platen"
    path = run / "x.sock"
    path.unlink(missing_ok=True)
    os.chdir(run)  # a socket's path has little room
    try:
        assert (
            as_service(tree, "collector", f"import os; os.chdir({str(run)!r})\n" + BIND, "x.sock") == "bound"
        )
        assert path.stat().st_gid == PLATEN
        unlink = "import os, sys\ntry: os.unlink(sys.argv[1]); print('gone')\nexcept OSError as e: print(e.strerror)"
        assert as_service(tree, "webui", unlink, str(path)) == "Operation not permitted"
        assert as_service(tree, "stream", OPEN, str(path)) == "no"
    finally:
        os.chdir("/")
        path.unlink(missing_ok=True)


def test_the_page_leaves_bundles_for_the_update_service(tree: Path, state: Path) -> None:
    folder = tree / "var/lib/platen-update"
    put = (
        "import os, sys\nos.umask(0o027)  # as UMask= in the unit\n"
        "try: open(sys.argv[1], 'x').close(); print('yes')\nexcept OSError: print('no')"
    )
    try:
        assert as_service(tree, "webui", put, str(folder / "spool/upload")) == "yes"
        assert as_service(tree, "webui", put, str(folder / "state.json")) == "no"
        assert as_service(tree, "stream", put, str(folder / "spool/other")) == "no"
        take = "import os, sys; open(sys.argv[1]).close(); os.unlink(sys.argv[1]); print('yes')"
        assert as_service(tree, "update", take, str(folder / "spool/upload")) == "yes"
    finally:
        subprocess.run(["rm", "-rf", str(folder)], check=True)


def test_the_names_in_code_are_the_names_here(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from appliance.host import users

    rows = entries(tree / "etc/passwd")

    def getpwnam(name: str) -> pwd.struct_passwd:
        row = rows[name]
        return pwd.struct_passwd((row[0], row[1], int(row[2]), int(row[3]), row[4], row[5], row[6]))

    monkeypatch.setattr(pwd, "getpwnam", getpwnam)
    assert users.uids(*USERS) == frozenset(USERS.values())
    assert users.uids("nobody-of-that-name") == frozenset()
