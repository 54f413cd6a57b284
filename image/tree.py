# SPDX-License-Identifier: Apache-2.0
"""The root: Debian's part, the locked Python packages, our own code, and rootfs/ over all of it."""

from __future__ import annotations

import shutil
from pathlib import Path

from image.progress import step
from image.run import run

ROOT = Path(__file__).parent.parent
LIB = "usr/lib/platen"

_LAUNCHER = """\
#!/bin/sh
export STATE_DIRECTORY=/var/lib/platen RUNTIME_DIRECTORY=/run/platen
exec /usr/bin/python3 -c 'import sys; from appliance.cli import main; sys.exit(main())' "$@"
"""


def build(base: Path, site: Path, keys: Path, version: str, epoch: int, to: Path) -> None:
    """`to` becomes the tree of the root slot."""
    with step("copying the base"):
        run("cp", "-a", "--reflink=auto", f"{base}/root", to)
    lib = to / LIB
    lib.mkdir(parents=True)
    with step("adding Python packages and our own code"):
        run("cp", "-a", site, lib / "site")
        for left_out in ("bin", "include"):
            shutil.rmtree(lib / "site" / left_out, ignore_errors=True)
        shutil.copytree(ROOT / "appliance", lib / "appliance", ignore=shutil.ignore_patterns("__pycache__"))
        # Found by every Python program of the box, whatever its environment.
        path = to / "usr/lib/python3/dist-packages/platen.pth"
        path.write_text("/usr/lib/platen\n/usr/lib/platen/site\n")
        launcher = to / "usr/bin/platen"
        launcher.write_text(_LAUNCHER)
        launcher.chmod(0o755)
        run("cp", "-a", "--no-preserve=ownership", f"{ROOT}/rootfs/.", to)
        shutil.copy(keys / "keyring.pem", to / "etc/rauc/keyring.pem")
    _release(to, version, epoch)
    with step("making users, presets and byte code"):
        run("systemd-sysusers", f"--root={to}")
        run("systemctl", f"--root={to}", "preset-all")
        # Unchecked: the root is read-only, and times in it are all the same.
        for folder in (lib, to / "usr/lib/python3.13", to / "usr/lib/python3"):
            run("python3", "-m", "compileall", "-q", "-j2", "--invalidation-mode=unchecked-hash", "-s", to, "-p", "/", folder)


def _release(to: Path, version: str, epoch: int) -> None:
    """os-release(5), and systemd's lower bound for the clock."""
    path = to / "usr/lib/os-release"
    debian = dict(line.split("=", 1) for line in path.read_text().splitlines() if "=" in line)
    ours = {
        "NAME": '"Platen"',
        "PRETTY_NAME": f'"Platen {version}"',
        "ID": "platen",
        "ID_LIKE": "debian",
        "VERSION_ID": f'"{version}"',
        "IMAGE_ID": "platen",
        "IMAGE_VERSION": f'"{version}"',
        "DEBIAN_VERSION": debian["DEBIAN_VERSION_FULL"] if "DEBIAN_VERSION_FULL" in debian else debian["VERSION_ID"],
    }
    path.write_text("".join(f"{key}={value}\n" for key, value in ours.items()))
    (to / "usr/lib/clock-epoch").write_text(f"{epoch}\n")
