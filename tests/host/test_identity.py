# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.host.identity import Identity, box_id, load_or_create
from appliance.host.paths import Paths
from appliance.model.errors import DiskFull, Fault

CODE = r"[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}"


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path / "state", tmp_path / "run")


def test_made_once_then_the_same(paths: Paths) -> None:
    first = load_or_create(paths)
    assert re.fullmatch(f"PL-{CODE}", first.box_id)
    assert re.fullmatch(CODE, first.setup_code)
    assert load_or_create(paths) == first
    assert sorted(p.name for p in paths.identity.iterdir()) == ["box-id", "setup-code"]
    for path in paths.identity.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600


def test_the_box_id_alone_needs_no_setup_code(paths: Paths) -> None:
    first = box_id(paths)
    assert load_or_create(paths).box_id == first
    (paths.identity / "setup-code").unlink()
    assert box_id(paths) == first
    assert not (paths.identity / "setup-code").exists()


def test_two_boxes_differ(tmp_path: Path) -> None:
    many = {load_or_create(Paths(tmp_path / str(n), tmp_path)).box_id for n in range(20)}
    assert len(many) == 20


def test_repr_hides_the_setup_code() -> None:
    assert "AAAA" not in repr(Identity("PL-0000-0000", "AAAA-BBBB"))


def test_services_that_start_together_agree(paths: Paths) -> None:
    """All of them race for the first start; the files hold one answer."""
    program = (
        "import sys; from pathlib import Path\n"
        "from appliance.host.identity import load_or_create; from appliance.host.paths import Paths\n"
        "sys.stdin.read(1); i = load_or_create(Paths(Path(sys.argv[1]), Path('/x')))\n"
        "print(i.box_id, i.setup_code)"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(paths.state)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for child in children:
        assert child.stdin is not None
        child.stdin.write("x")
        child.stdin.flush()
    answers = {child.communicate()[0] for child in children}
    assert len(answers) == 1
    assert answers.pop().split() == [load_or_create(paths).box_id, load_or_create(paths).setup_code]


STEPS = ("open", "fchmod", "write", "fsync", "close", "rename")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("nth", [1, 2])
def test_killed_at_each_step(paths: Paths, step: str, nth: int) -> None:
    """A process that dies in the middle leaves nothing that the next one trips over, and nothing changes its
    answer once it was given."""
    program = f"""
import os, signal, sys
from pathlib import Path
from appliance.host import identity
from appliance.host.paths import Paths
real, count = os.{step}, 0
def dying(*args, **kwargs):
    global count
    if sys._getframe(1).f_code.co_name == "_write":
        count += 1
        if count == {nth}:
            if {step!r} == "write":
                real(args[0], args[1][:3])
            os.kill(os.getpid(), signal.SIGKILL)
    return real(*args, **kwargs)
identity.os.{step} = dying
identity.load_or_create(Paths(Path(sys.argv[1]), Path("/x")))
"""
    died = subprocess.run([sys.executable, "-c", program, str(paths.state)], check=False)
    assert died.returncode == -9
    before = {p.name: p.read_text() for p in paths.identity.iterdir() if not p.name.endswith(".new")}
    found = load_or_create(paths)
    assert re.fullmatch(f"PL-{CODE}", found.box_id)
    assert sorted(p.name for p in paths.identity.iterdir()) == ["box-id", "setup-code"]
    for name, text in before.items():
        assert (paths.identity / name).read_text() == text
    assert load_or_create(paths) == found


@pytest.mark.parametrize("content", [b"", b"PL-IIII-0000\n", b"PL-0000-0000\n" * 20, b"\xff" * 12])
def test_a_damaged_file_is_not_replaced(paths: Paths, content: bytes) -> None:
    load_or_create(paths)
    (paths.identity / "box-id").write_bytes(content)
    with pytest.raises(Fault, match="does not hold"):
        load_or_create(paths)
    assert (paths.identity / "box-id").read_bytes() == content


def test_full_disk(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(DiskFull, match="No space"):
        load_or_create(paths)
    monkeypatch.undo()
    load_or_create(paths)
