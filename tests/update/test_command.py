# SPDX-License-Identifier: Apache-2.0
"""`platen update` against the real service and a RAUC that replays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from appliance import cli, cli_update
from appliance.model.errors import PlatenError, ServiceDown, UsageError
from tests.update.conftest import RUNNING, Replay
from tests.update.test_service import Box, box

__all__ = ["box"]


@pytest.fixture
def platen(box: Box, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(box.places.paths.run))
    monkeypatch.setattr(cli_update, "LOOK_S", 0.02)

    async def run(*words: str) -> int:
        line = ["update", *words, "--state", str(box.places.paths.state)]
        args = cli.parser(line).parse_args(line)
        return int(await args.run(args))

    return run


async def test_a_file_is_copied_installed_and_told(
    box: Box, platen: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "new.raucb"
    file.write_bytes(b"new " * 1000)
    box.start()
    await box.ask("Status")
    assert await platen("install", str(file)) == 0
    said = capsys.readouterr().out
    assert f"Version   {RUNNING} in copy A" in said
    assert "installed, the restart is due 1.5.0" in said
    assert box.spooled() == []
    assert file.exists()
    assert await platen("restart") == 0
    assert box.places.restart.exists()


async def test_status_as_json_is_what_the_service_says(
    box: Box, platen: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    box.start()
    await box.ask("Status")
    assert await platen("--json") == 0
    assert json.loads(capsys.readouterr().out)["version"] == RUNNING


async def test_what_fails_while_it_is_written_fails_the_command(
    box: Box, replay: Replay, platen: Any
) -> None:
    replay.error = "Failed updating slot rootfs.1: No space left on device"
    box.start()
    await box.ask("Status")
    with pytest.raises(PlatenError) as error:
        await platen("install", "https://updates.example/x.raucb")
    assert error.value.code == "bundle-too-large"
    assert error.value.exit_status == 1


async def test_a_refused_file_leaves_no_copy(box: Box, replay: Replay, platen: Any, tmp_path: Path) -> None:
    replay.version = "1.0.0"
    file = tmp_path / "old.raucb"
    file.write_bytes(b"old")
    box.start()
    await box.ask("Status")
    with pytest.raises(PlatenError) as error:
        await platen("install", str(file))
    assert error.value.code == "bundle-downgrade"
    assert box.spooled() == []
    with pytest.raises(UsageError):
        await platen("install", str(tmp_path / "none.raucb"))


@pytest.mark.parametrize("words", [("status", "x"), ("cancel", "--restart"), ("restart", "--again")])
async def test_options_belong_to_install(platen: Any, words: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        await platen(*words)


async def test_where_there_is_no_update_service_it_says_so(platen: Any) -> None:
    with pytest.raises(ServiceDown) as error:
        await platen()
    assert "update as you installed" in error.value.hint
