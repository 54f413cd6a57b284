# SPDX-License-Identifier: Apache-2.0
"""What is in an image, for a program to read: SPDX 2.3 and CycloneDX 1.6, in plain JSON.
The same for the same contents."""

from __future__ import annotations

import datetime
import email
import json
import tomllib
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from image import layout, licences
from image.licences import Declared
from image.packages import Package
from image.python import UNUSED

_NOT_SAID = "NOASSERTION"


class Part(msgspec.Struct, frozen=True, order=True):
    """One thing that was put in, as its makers name it. `sha256` is that of the .deb or the wheel."""

    name: str
    version: str
    purl: str
    supplier: str
    declared: Declared = Declared()
    sha256: str | None = None
    note: str = ""

    @property
    def reference(self) -> str:
        """The part's name within a document."""
        return str(uuid.uuid5(uuid.UUID(layout.EPOCH_UUID), self.purl))


class Contents(msgspec.Struct, frozen=True):
    """All of an image, and when (seconds since 1970) it was made."""

    version: str
    architecture: str
    epoch: int
    parts: Sequence[Part]

    @property
    def identity(self) -> uuid.UUID:
        words = [self.version, self.architecture, str(self.epoch)]
        words += [f"{p.purl} {p.sha256}" for p in self.parts]
        return uuid.uuid5(uuid.UUID(layout.EPOCH_UUID), "\n".join(words))

    @property
    def time(self) -> str:
        return datetime.datetime.fromtimestamp(self.epoch, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def purl(kind: str, name: str, version: str, **qualifiers: str) -> str:
    """A package URL in its canonical form."""
    text = f"pkg:{kind}/{quote(name, safe='/')}@{quote(version, safe=':')}"
    asked = "&".join(f"{k}={quote(v, safe=':')}" for k, v in sorted(qualifiers.items()))
    return f"{text}?{asked}" if asked else text


def debian(
    packages: Iterable[Package], control: Mapping[str, Mapping[str, str]], doc: Path, boot: Sequence[str]
) -> list[Part]:
    """`control`: fields of each package. `doc`: NAME/copyright of each. `boot`: packages that are not in the root."""
    found = []
    for package in packages:
        # "upstream" is the source package: what Debian's security tracker goes by.
        source = control.get(package.name, {}).get("Source", "").partition(" ")[0]
        qualifiers = {"arch": package.architecture, "distro": "debian-13"}
        if source and source != package.name:
            qualifiers["upstream"] = source
        text = doc / package.name / "copyright"
        declared = Declared()
        if text.exists():
            declared = licences.of_debian(package.name, text.read_text(errors="replace"))
        found.append(
            Part(
                name=package.name,
                version=package.version,
                purl=purl("deb", f"debian/{package.name}", package.version, **qualifiers),
                supplier="Organization: Debian",
                declared=declared,
                sha256=package.sha256,
                note="On the partition that the board starts from" if package.name in boot else "",
            )
        )
    return found


def python(site: Path, lock: Path) -> list[Part]:
    """The packages of `site` (a folder with dist-infos), less those of which nothing is left, with the hashes of their
    wheels from uv.lock."""
    wheels = _wheels(lock)
    found = []
    for info in sorted(site.glob("*.dist-info")):
        metadata = email.message_from_string((info / "METADATA").read_text())
        name, version = metadata["Name"], metadata["Version"]
        normal = name.lower().replace("_", "-").replace(".", "-")
        if normal in UNUSED and f"{normal}-*.dist-info" in UNUSED[normal]:
            continue
        tags = email.message_from_string((info / "WHEEL").read_text()).get_all("Tag", [])
        found.append(
            Part(
                name=normal,
                version=version,
                purl=purl("pypi", normal, version),
                supplier=_NOT_SAID,
                declared=licences.of_python(metadata),
                sha256=wheels.get((normal, version, frozenset(tags))),
            )
        )
    return found


def own(version: str) -> Part:
    return Part(
        "platen", version, purl("generic", "platen", version), "Organization: Platen", Declared("Apache-2.0")
    )


def _wheels(lock: Path) -> dict[tuple[str, str, frozenset[str]], str]:
    """SHA-256 by name, version and tags of each wheel in uv.lock."""
    found = {}
    for package in tomllib.loads(lock.read_text())["package"]:
        for wheel in package.get("wheels", ()):
            file = wheel["url"].rpartition("/")[2].removesuffix(".whl")
            pythons, abis, platforms = (part.split(".") for part in file.split("-")[-3:])
            tags = frozenset(f"{p}-{a}-{f}" for p in pythons for a in abis for f in platforms)
            found[package["name"], package["version"], tags] = wheel["hash"].removeprefix("sha256:")
    return found


def spdx(contents: Contents) -> str:
    """SPDX 2.3 as JSON."""
    image = f"platen-{contents.version}-{contents.architecture}"
    packages: list[dict[str, Any]] = [
        {
            "SPDXID": "SPDXRef-Image",
            "name": image,
            "versionInfo": contents.version,
            "downloadLocation": _NOT_SAID,
            "filesAnalyzed": False,
            "primaryPackagePurpose": "FIRMWARE",
            "licenseConcluded": _NOT_SAID,
            "licenseDeclared": _NOT_SAID,
            "copyrightText": _NOT_SAID,
            "supplier": "Organization: Platen",
        }
    ]
    relations = [_relation("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-Image")]
    texts: dict[str, str] = {}
    for part in contents.parts:
        identity = f"SPDXRef-{part.reference}"
        row: dict[str, Any] = {
            "SPDXID": identity,
            "name": part.name,
            "versionInfo": part.version,
            "downloadLocation": _NOT_SAID,
            "filesAnalyzed": False,
            "licenseConcluded": _NOT_SAID,
            "licenseDeclared": part.declared.expression or _NOT_SAID,
            "copyrightText": _NOT_SAID,
            "supplier": part.supplier,
            "externalRefs": [
                {
                    "referenceCategory": "PACKAGE-MANAGER",
                    "referenceType": "purl",
                    "referenceLocator": part.purl,
                }
            ],
        }
        if part.sha256:
            row["checksums"] = [{"algorithm": "SHA256", "checksumValue": part.sha256}]
        if part.note:
            row["comment"] = part.note
        packages.append(row)
        relations.append(_relation("SPDXRef-Image", "CONTAINS", identity))
        texts |= part.declared.texts
    document = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": image,
        "documentNamespace": f"urn:uuid:{contents.identity}",
        "creationInfo": {"created": contents.time, "creators": ["Tool: platen-image"]},
        "packages": packages,
        "hasExtractedLicensingInfos": [
            {
                "licenseId": key,
                "name": key.removeprefix("LicenseRef-").rpartition("-")[0],
                "extractedText": texts[key],
            }
            for key in sorted(texts)
        ],
        "relationships": relations,
    }
    return _json(document)


def cyclonedx(contents: Contents) -> str:
    """CycloneDX 1.6 as JSON."""
    top = str(contents.identity)
    components = []
    for part in contents.parts:
        row: dict[str, Any] = {
            "type": "application" if part.purl.startswith("pkg:generic/") else "library",
            "bom-ref": part.reference,
            "name": part.name,
            "version": part.version,
            "purl": part.purl,
        }
        if part.supplier != _NOT_SAID:
            row["supplier"] = {"name": part.supplier.partition(": ")[2]}
        if part.sha256:
            row["hashes"] = [{"alg": "SHA-256", "content": part.sha256}]
        if part.declared.expression:
            row["licenses"] = [{"expression": part.declared.expression, "acknowledgement": "declared"}]
        if part.note:
            row["description"] = part.note
        components.append(row)
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{contents.identity}",
        "version": 1,
        "metadata": {
            "timestamp": contents.time,
            "tools": {
                "components": [{"type": "application", "name": "platen-image", "version": contents.version}]
            },
            "component": {
                "type": "firmware",
                "bom-ref": top,
                "name": f"platen-{contents.architecture}",
                "version": contents.version,
            },
        },
        "components": components,
        "dependencies": [{"ref": top, "dependsOn": sorted(p.reference for p in contents.parts)}],
    }
    return _json(document)


def _relation(one: str, kind: str, other: str) -> dict[str, str]:
    return {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def texts(packages: Iterable[Package], doc: Path, common: Path, site: Path, own_licence: Path) -> str:
    """Every licence text of the image, each once."""
    found = [("platen", own_licence)]
    found += [(p.name, doc / p.name / "copyright") for p in packages]
    found += [
        (f"/usr/share/common-licenses/{p.name}", p) for p in sorted(common.iterdir()) if not p.is_symlink()
    ]
    for info in sorted(site.glob("*.dist-info")):
        found += [(info.name.removesuffix(".dist-info"), p) for p in sorted((info / "licenses").rglob("*"))]
    return licences.collected((what, p.read_text(errors="replace")) for what, p in found if p.is_file())
