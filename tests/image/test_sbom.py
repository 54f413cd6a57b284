# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from image import sbom
from image.packages import Package

ROOT = Path(__file__).parent.parent.parent
HASH = "ab" * 32


@pytest.fixture
def contents(tmp_path: Path) -> sbom.Contents:
    doc, site = tmp_path / "doc", tmp_path / "site"
    (doc / "libexample1").mkdir(parents=True)
    (doc / "libexample1/copyright").write_text(
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n"
        "Files: *\nLicense: GPL-2+ and strange\n\nLicense: strange\n Keep it strange.\n"
    )
    for name, version in (("msgspec", "9.9"), ("pycparser", "3.0")):
        info = site / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(
            f"Name: {name}\nVersion: {version}\nLicense-Expression: BSD-3-Clause\n\n"
        )
        (info / "WHEEL").write_text("Tag: py3-none-any\n\n")
    (tmp_path / "uv.lock").write_text(
        '[[package]]\nname = "msgspec"\nversion = "9.9"\n'
        'wheels = [{ url = "https://example.org/msgspec-9.9-py2.py3-none-any.whl",'
        ' hash = "sha256:00" }, { url = "https://example.org/msgspec-9.9-py3-none-any.whl", hash = "sha256:'
        + HASH
        + '" }]\n'
    )
    packages = [
        Package("libexample1", "2:1.0+dfsg-1~deb13u1", "arm64", HASH, 7),
        Package("u-boot-rpi", "2025.01", "arm64", HASH, 8),
    ]
    parts = [
        sbom.own("1.2.3"),
        *sbom.debian(packages, {"libexample1": {"Source": "example (1.0)"}}, doc, ["u-boot-rpi"]),
        *sbom.python(site, tmp_path / "uv.lock"),
    ]
    return sbom.Contents("1.2.3", "arm64", 1_700_000_000, parts)


def test_what_is_there_is_listed_with_its_hash_and_its_source(contents: sbom.Contents) -> None:
    by_name = {p.name: p for p in contents.parts}
    # pycparser is in the lock, but nothing of it is left in the image.
    assert by_name.keys() == {"platen", "libexample1", "u-boot-rpi", "msgspec"}
    assert by_name["msgspec"].sha256 == HASH
    assert by_name["libexample1"].sha256 == HASH
    assert "upstream=example" in by_name["libexample1"].purl
    assert by_name["u-boot-rpi"].declared.expression is None
    assert by_name["u-boot-rpi"].note


def test_package_urls_are_canonical(contents: sbom.Contents) -> None:
    for part in contents.parts:
        assert PackageURL.from_string(part.purl).to_string() == part.purl
    url = PackageURL.from_string(next(p.purl for p in contents.parts if p.name == "libexample1"))
    assert (url.type, url.namespace, url.version) == ("deb", "debian", "2:1.0+dfsg-1~deb13u1")


def test_spdx_is_what_its_own_library_calls_valid(contents: sbom.Contents, tmp_path: Path) -> None:
    (tmp_path / "a.spdx.json").write_text(sbom.spdx(contents))
    document = parse_file(str(tmp_path / "a.spdx.json"))
    assert validate_full_spdx_document(document) == []
    assert {p.name for p in document.packages} == {"platen-1.2.3-arm64", *(p.name for p in contents.parts)}
    assert len(document.extracted_licensing_info) == 1


def test_cyclonedx_is_valid_by_its_schema(contents: sbom.Contents) -> None:
    text = sbom.cyclonedx(contents)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    document = json.loads(text)
    assert document["metadata"]["timestamp"] == "2023-11-14T22:13:20Z"
    assert {c["bom-ref"] for c in document["components"]} == set(document["dependencies"][0]["dependsOn"])


def test_the_same_contents_are_the_same_octets_and_others_are_not(contents: sbom.Contents) -> None:
    again = msgspec.structs.replace(contents)
    later = msgspec.structs.replace(contents, epoch=contents.epoch + 1)
    assert sbom.spdx(contents) == sbom.spdx(again)
    assert contents.identity != later.identity
    fewer = msgspec.structs.replace(contents, parts=contents.parts[1:])
    assert contents.identity != fewer.identity
