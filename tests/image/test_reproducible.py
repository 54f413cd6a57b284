# SPDX-License-Identifier: Apache-2.0
"""Two builds of one commit, in other folders and at other times, are the same octets. Runs in the Debian 13 root
through `make test-image`."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from image import build, cli_build

pytestmark = [
    pytest.mark.image,
    pytest.mark.timeout(900),
    pytest.mark.skipif("PLATEN_SITE" not in os.environ, reason="made by tools/image"),
]
NAME = "platen-9.8.7-test-arm64"


def built(to: Path) -> build.Built:
    return build.build(build.Options(**cli_build.environment(), to=to, version="9.8.7-test"))


@pytest.fixture(scope="module")
def two() -> Iterator[list[tuple[Path, build.Built]]]:
    # Not below /tmp, which is memory here.
    beside = cli_build.environment()["cache"] / f"test-{os.getpid()}"
    folders = [beside / "one", beside / "another folder" / "deeper"]
    try:
        found = [(folders[0], built(folders[0]))]
        time.sleep(3)  # FAT counts in steps of two seconds
        old = os.umask(0o077)
        try:
            found.append((folders[1], built(folders[1])))
        finally:
            os.umask(old)
        yield found
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def payload(bundle: Path) -> str:
    """SHA-256 of the bundle's squashfs: all that it carries. What follows is the tree of dm-verity, whose salt RAUC
    draws anew each time, and the signature over the tree's root, which is another each time by the nature of ECDSA."""
    said = subprocess.run(["unsquashfs", "-s", bundle], check=True, capture_output=True, text=True).stdout
    match = re.search(r"Filesystem size (\d+) bytes", said)
    assert match is not None, said
    with bundle.open("rb") as file:
        return hashlib.sha256(file.read(int(match[1]))).hexdigest()


def test_two_builds_are_the_same_octets(two: list[tuple[Path, build.Built]]) -> None:
    (_, one), (_, other) = two
    differing = {name for name in one.files if one.files[name] != other.files[name]}
    assert differing <= {f"{NAME}.raucb"}
    assert one.files.keys() == other.files.keys()
    assert f"{NAME}.img" in one.files


def test_the_bundles_carry_the_same_octets(two: list[tuple[Path, build.Built]]) -> None:
    (here, _), (there, _) = two
    assert payload(here / f"{NAME}.raucb") == payload(there / f"{NAME}.raucb")
    for name in (
        "boot.vfat",
        "root.img",
        "boot.vfat.block-hash-index",
        "root.img.block-hash-index",
        "manifest.raucm",
    ):
        contents = [
            subprocess.run(
                ["unsquashfs", "-cat", at / f"{NAME}.raucb", name], check=True, capture_output=True
            ).stdout
            for at in (here, there)
        ]
        assert contents[0] == contents[1] != b"", name


def test_it_is_as_small_as_promised(two: list[tuple[Path, build.Built]]) -> None:
    _, found = two[0]
    assert found.root <= 250_000_000
    assert found.sizes[f"{NAME}.img.zst"] <= 120_000_000


def test_a_build_on_a_prepared_base_takes_less_than_a_minute(two: list[tuple[Path, build.Built]]) -> None:
    """The application is taken in anew by every build. Measured alone on two cores; here with room for neighbours."""
    _, second = two[1]
    assert sum(second.seconds.values()) < 120, second.seconds


def test_hashes_are_those_of_the_files(two: list[tuple[Path, build.Built]]) -> None:
    here, _ = two[0]
    subprocess.run(["sha256sum", "--quiet", "-c", f"{NAME}.sha256"], cwd=here, check=True)


def test_the_parts_lists_are_valid_and_know_every_package(two: list[tuple[Path, build.Built]]) -> None:
    here, _ = two[0]
    document = parse_file(str(here / f"{NAME}.spdx.json"))
    assert validate_full_spdx_document(document) == []
    text = (here / f"{NAME}.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    components = json.loads(text)["components"]
    assert {c["name"] for c in components} == {p.name for p in document.packages} - {NAME}
    assert {"platen", "u-boot-rpi", "raspi-firmware", "rauc", "cryptography", "openssl-provider-legacy"} - {
        c["name"] for c in components
    } == {"openssl-provider-legacy"}
    assert all(c.get("hashes") for c in components if c["name"] != "platen"), "a package without its hash"
    licences = (here / f"{NAME}.licences.txt").read_text()
    for words in ("GNU GENERAL PUBLIC LICENSE", "Broadcom", "Apache License", "cryptography-"):
        assert words in licences


def test_bmaptool_copies_the_image(two: list[tuple[Path, build.Built]]) -> None:
    here, _ = two[0]
    card, image = here / "card", here / f"{NAME}.img.zst"
    subprocess.run(
        ["bmaptool", "--quiet", "copy", image, "--bmap", here / f"{NAME}.bmap", card],
        check=True,
    )
    said = subprocess.run(["sfdisk", "--verify", card], check=True, capture_output=True, text=True)
    assert "No errors detected" in said.stdout
