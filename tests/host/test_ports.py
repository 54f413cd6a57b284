# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from appliance.host import ports
from appliance.host.paths import Paths


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path, tmp_path)


async def test_without_a_firewall_of_ours_nothing_is_asked(paths: Paths, tmp_path: Path) -> None:
    assert await ports.want(paths, "uplink", 1234, opened=tmp_path / "missing")
    assert not paths.ports("uplink").exists()


async def test_it_waits_until_root_has_opened_it(paths: Paths, tmp_path: Path) -> None:
    opened = tmp_path / "opened"
    opened.write_text("uplink \nupdate 22 \n")
    assert await ports.want(paths, "uplink", None, opened=opened), "there is nothing to change"
    assert not paths.ports("uplink").exists()

    async def root() -> None:
        while True:
            await asyncio.sleep(0.02)
            with contextlib.suppress(FileNotFoundError):
                opened.write_text(f"uplink {paths.ports('uplink').read_text().strip()} \nupdate 22 \n")

    granting = asyncio.create_task(root())
    assert await ports.want(paths, "uplink", 1234, opened=opened)
    assert paths.ports("uplink").stat().st_mode & 0o777 == 0o644, "root has no right to read others' files"
    assert await ports.want(paths, "uplink", None, opened=opened)
    assert paths.ports("uplink").read_text() == "\n"
    granting.cancel()


async def test_a_wish_is_repeated_and_at_last_given_up(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports, "WAIT_S", 0.5)
    monkeypatch.setattr(ports, "_AGAIN_S", 0.1)
    opened = tmp_path / "opened"
    opened.write_text("uplink 9 \nupdate \n")
    seen = set()

    async def watch() -> None:
        while True:
            with contextlib.suppress(FileNotFoundError):
                seen.add(paths.ports("uplink").stat().st_ino)
            await asyncio.sleep(0.01)

    watching = asyncio.create_task(watch())
    assert not await ports.want(paths, "uplink", 1234, opened=opened)
    watching.cancel()
    assert len(seen) > 1
