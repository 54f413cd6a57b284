# SPDX-License-Identifier: Apache-2.0
"""Update bundles, good and bad, made from the one that `make image` has built."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.system.lab import TREE, Lab

_HOME = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
CACHE = Path(os.environ.get("PLATEN_CACHE") or Path(_HOME, "platen"))
"""As in tools/debian13: development keys lie there."""

SIGNER, STRANGER = "root-1-signer", "stranger"


class Bundles:
    """`folder` is below the lab's, because the tools run in a container that sees nothing else."""

    def __init__(self, lab: Lab, built: Path) -> None:
        self.lab, self.built = lab, built
        self.folder = lab.folder / "bundles"
        self._content = self.folder / "content"
        shutil.copytree(CACHE / "keys", self.folder / "keys")
        shutil.copyfile(built, self.folder / "built.raucb")
        lab.tool("unsquashfs", "-q", "-n", "-d", "/lab/bundles/content", "/lab/bundles/built.raucb")
        self._manifest = (self._content / "manifest.raucm").read_text()
        self.version = _value(self._manifest, "version")
        # Somebody else's keys, of the same kind.
        openssl = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 3650 -subj /CN=stranger"
        lab.tool(
            "sh", "-c", f"cd /lab/bundles/keys && {openssl} -keyout {STRANGER}.key -out {STRANGER}.crt 2>&1"
        )

    def make(
        self,
        name: str,
        *,
        signer: str = SIGNER,
        change: Callable[[Path], None] | None = None,
        **manifest: str,
    ) -> Path:
        """A bundle of the same content; `manifest` has other values of [update], `change` gets the folder of what is
        packed and may write other files into it."""
        work = self.folder / "work"
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(self._content, work, copy_function=os.link)
        (work / "manifest.raucm").unlink()
        for index in work.glob("*.block-hash-index"):
            index.unlink()
        text = re.sub(r"^(sha256|size|verity-\w+|adaptive)=.*\n", "", self._manifest, flags=re.MULTILINE)
        for key, value in manifest.items():
            text, times = re.subn(rf"^{key}=.*$", f"{key}={value}", text, flags=re.MULTILINE)
            assert times == 1, f"no {key} in the manifest"
        if change is not None:
            change(work)
        (work / "manifest.raucm").write_text(text)
        bundle = self.folder / f"{name}.raucb"
        bundle.unlink(missing_ok=True)
        pair = f"/lab/bundles/keys/{signer}"
        fast = "--mksquashfs-args=-comp gzip -Xcompression-level 1"
        where = ("/lab/bundles/work", f"/lab/bundles/{bundle.name}")
        self.lab.tool("rauc", "bundle", fast, f"--cert={pair}.crt", f"--key={pair}.key", *where)
        shutil.rmtree(work)
        return bundle

    def unbootable(self, version: str) -> Path:
        """The kernel starts and finds nothing to go on with: it panics, three times."""

        def change(work: Path) -> None:
            copy = work / "boot.vfat.new"
            shutil.copyfile(work / "boot.vfat", copy)
            copy.replace(work / "boot.vfat")
            (work.parent / "nothing").write_bytes(bytes(65536))
            boot = f"/lab/bundles/{work.name}/boot.vfat"
            self.lab.tool("mcopy", "-o", "-i", boot, "/lab/bundles/nothing", "::/initrd")

        return self.make("unbootable", change=change, version=version)

    def flipped(self, sound: Path, at: float) -> Path:
        """That bundle with one octet of its payload changed, at that part of its length. An adaptive one would be
        installed, and rightly, where the octet is in a block that the box has already."""
        bundle = self.folder / f"flipped-{at:g}.raucb"
        shutil.copyfile(sound, bundle)
        with bundle.open("r+b") as file:
            place = int(bundle.stat().st_size * at)
            file.seek(place)
            (old,) = file.read(1)
            file.seek(place)
            file.write(bytes((old ^ 0x40,)))
        return bundle

    def cut(self, at: float) -> Path:
        """The first part of the built bundle."""
        bundle = self.folder / f"cut-{at:g}.raucb"
        shutil.copyfile(self.built, bundle)
        os.truncate(bundle, int(bundle.stat().st_size * at))
        return bundle


def build(version: str, overlay: Path | None = None) -> Path:
    """A whole image of another version by the same tool as the first; with `overlay`, files are put over its root. The
    bundle of it."""
    to = TREE / "build/test-image/built"
    command = ["tools/image", "bundle", "--version", version, "--to", str(to.relative_to(TREE))]
    if overlay is not None:
        inside = TREE / "build/test-image/overlay"  # the tool sees nothing outside the tree
        shutil.rmtree(inside, ignore_errors=True)
        shutil.copytree(overlay, inside)
        command += ["--overlay", str(inside.relative_to(TREE))]
    done = subprocess.run(command, cwd=TREE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return to / f"platen-{version}-arm64.raucb"


def following(version: str, step: int = 1) -> str:
    """The version that comes after."""
    core = [int(n) for n in re.split(r"[-+]", version)[0].split(".")]
    core[-1] += step
    return ".".join(map(str, core))


def _value(manifest: str, key: str) -> str:
    found = re.search(rf"^{key}=(.*)$", manifest, re.MULTILINE)
    assert found
    return found[1].strip()
