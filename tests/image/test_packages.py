# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.model.errors import UsageError
from image import packages
from image.packages import Package

HASH = "ab" * 32


def package(name: str, version: str = "1.0-1") -> Package:
    return Package(name, version, "arm64", HASH, 7)


def test_the_lock_in_the_tree_is_whole() -> None:
    locked = packages.read_lock(packages.LOCK.read_text())
    names = [p.name for p in locked]
    assert len(names) == len(set(names)) > 100
    want = packages.wanted()
    assert set(want.packages + want.boot_packages) <= set(names)
    assert not set(want.without) & set(names)
    assert packages.write_lock(locked) == packages.LOCK.read_text()


def test_the_boards_wifi_keeps_its_firmware() -> None:
    """Debian's files for the Pi 3, 3 B+, 4, 5 and Zero 2 W are links from brcm/ into cypress/: both ends are needed."""
    leave = packages.wanted().leave["paths"]
    for name in ("43430-sdio.bin", "43430-sdio.clm_blob", "43455-sdio.bin", "43455-sdio.clm_blob"):
        for path in (f"usr/lib/firmware/brcm/brcmfmac{name}", f"usr/lib/firmware/cypress/cyfmac{name}"):
            assert not [p for p in leave if fnmatch.fnmatch(path, p)], path
    assert [p for p in leave if fnmatch.fnmatch("usr/lib/firmware/cypress/cyfmac4356-pcie.bin", p)]


@given(
    st.lists(
        st.builds(
            Package,
            name=st.from_regex(r"[a-z0-9][a-z0-9+.-]{1,20}", fullmatch=True),
            version=st.from_regex(r"([0-9]:)?[0-9][A-Za-z0-9.+~-]{0,20}", fullmatch=True),
            architecture=st.sampled_from(["all", "arm64"]),
            sha256=st.from_regex(r"[0-9a-f]{64}", fullmatch=True),
            size=st.integers(0, 1 << 40),
        ),
        unique=True,
    )
)
def test_what_was_written_is_read(chosen: list[Package]) -> None:
    assert packages.read_lock(packages.write_lock(chosen)) == sorted(chosen)


@pytest.mark.parametrize(
    "line", ["openssl", f"openssl 3.5 arm64 {HASH} many", f"openssl 3.5 arm64 {HASH} 7 more"]
)
def test_a_line_that_is_no_package_is_named(line: str) -> None:
    with pytest.raises(UsageError, match="Line 2"):
        packages.read_lock(f"# a comment\n{line}\n")


def test_drift_names_what_came_went_and_changed() -> None:
    before = [package("bash"), package("openssl", "3.5.6"), package("old")]
    now = [package("bash"), package("openssl", "3.5.7"), package("young")]
    assert packages.drift(before, now) == [
        "old 1.0-1 -> (none)",
        "openssl 3.5.6 -> 3.5.7",
        "young (none) -> 1.0-1",
    ]
    assert packages.drift(now, now) == []


def test_an_epoch_is_written_in_a_file_name_as_apt_does() -> None:
    assert package("dmsetup", "2:1.02-1").file == "dmsetup_2%3a1.02-1_arm64.deb"
