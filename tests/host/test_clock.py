# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import time
from pathlib import Path

import pytest

from appliance.host import clock
from appliance.model.clock import unix


def test_now() -> None:
    before, stamp, after = time.time(), clock.now(), time.time()
    assert before - 0.001 <= unix(stamp.time) <= after
    assert stamp.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert stamp.mono == pytest.approx(time.clock_gettime(time.CLOCK_BOOTTIME), abs=1)
    assert clock.now().mono >= stamp.mono


def test_the_kernel_is_really_asked() -> None:
    """The status word of adjtimex(2) is read from the right place: its undefined bits are zero."""
    status = clock._adjtimex_status()
    if status is None:
        pytest.skip("adjtimex is not allowed here")
    assert 0 <= status < 0x10000


@pytest.mark.parametrize(
    ("status", "mark", "quality"),
    [
        (0x0040, True, "unsynchronised"),
        (0x2001, False, "synchronised"),
        (0x2041, True, "unsynchronised"),
        (None, True, "synchronised"),
        (None, False, "unsynchronised"),
    ],
)
def test_quality(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, status: int | None, mark: bool, quality: str
) -> None:
    path = tmp_path / "synchronized"
    if mark:
        path.touch()
    monkeypatch.setattr(clock, "_TIMESYNC", str(path))
    monkeypatch.setattr(clock, "_adjtimex_status", lambda: status)
    assert clock.quality() == quality
