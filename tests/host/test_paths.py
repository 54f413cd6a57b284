# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from appliance.host.paths import Paths
from appliance.model.errors import UsageError


def test_names(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "state", tmp_path / "run")
    assert paths.database == tmp_path / "state/platen.db"
    assert paths.identity == tmp_path / "state/identity"
    assert paths.keys == tmp_path / "state/keys"
    assert paths.socket("collector") == tmp_path / "run/collector.sock"


def test_make_is_private_and_leaves_what_exists(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o750)
    paths = Paths(tmp_path / "state", tmp_path / "run")
    paths.make()
    paths.make()
    assert paths.state.stat().st_mode & 0o777 == 0o750
    for made in (paths.run, paths.identity, paths.keys):
        assert made.stat().st_mode & 0o777 == 0o700


def test_run_directory_too_long_for_a_socket(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="too long"):
        Paths(tmp_path, tmp_path / ("r" * 100)).make()


def test_state_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    with pytest.raises(UsageError, match="cannot be made"):
        Paths(tmp_path / "state", tmp_path / "run").make()


def test_run_follows_from_the_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.setenv("HOME", "/home/someone")
    assert Paths.of() == Paths(
        Path("/home/someone/.local/state/platen"), Path("/home/someone/.local/state/platen/run")
    )
    assert Paths.of(Path("/srv/p")) == Paths(Path("/srv/p"), Path("/srv/p/run"))
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/platen:/var/lib/other")
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/platen")
    assert Paths.of() == Paths(Path("/var/lib/platen"), Path("/run/platen"))


def test_a_deep_state_still_has_sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    deep, other = (tmp_path / ("d" * 100) / name for name in "ab")
    paths = Paths.of(deep)
    assert len(str(paths.socket("collector"))) < 107
    assert paths.run == Paths.of(deep).run != Paths.of(other).run
    paths.make()
    paths.run.rmdir()


def test_a_run_directory_of_somebody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = Paths(tmp_path / "s", tmp_path / "r")
    paths.make()
    monkeypatch.setattr("os.getuid", lambda: 4242)
    if paths.run.stat().st_uid:
        with pytest.raises(UsageError, match="somebody else"):
            paths.make()
    else:
        paths.make()
