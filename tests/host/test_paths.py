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
