# SPDX-License-Identifier: Apache-2.0
"""The root: Debian's part, the locked Python packages, our own code, and rootfs/ over all of it."""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Mapping
from pathlib import Path

from image.progress import step
from image.python import byte_code
from image.run import run

ROOT = Path(__file__).parent.parent
LIB = "usr/lib/platen"
SUPPORT_YEARS = 5
"""From the commit on. What the EU's Cyber Resilience Act asks for at least, and Debian 13 with its LTS has."""

_LAUNCHER = """\
#!/bin/sh
export STATE_DIRECTORY=/var/lib/platen RUNTIME_DIRECTORY=/run/platen
exec /usr/bin/python3 -c 'import sys; from appliance.cli import main; sys.exit(main())' "$@"
"""


def build(
    base: Path,
    site: Path,
    keys: Path,
    documents: Mapping[str, str],
    version: str,
    epoch: int,
    to: Path,
    *,
    floor: str | None = None,
) -> None:
    """`to` becomes the tree of the root slot. `documents` go to /usr/share/platen, for the page to show. `floor`: the
    oldest version that may follow this one."""
    with step("copying the base"):
        run("cp", "-a", "--reflink=auto", f"{base}/root", to)
    lib = to / LIB
    lib.mkdir(parents=True)
    with step("adding Python packages and our own code"):
        run("cp", "-a", site, lib / "site")
        shutil.copytree(ROOT / "appliance", lib / "appliance", ignore=shutil.ignore_patterns("__pycache__"))
        # Found by every Python program of the box, whatever its environment.
        path = to / "usr/lib/python3/dist-packages/platen.pth"
        path.write_text("/usr/lib/platen\n/usr/lib/platen/site\n")
        launcher = to / "usr/bin/platen"
        launcher.write_text(_LAUNCHER)
        launcher.chmod(0o755)
        run("cp", "-a", "--no-preserve=ownership", f"{ROOT}/rootfs/.", to)
        shutil.copy(keys / "keyring.pem", to / "etc/rauc/keyring.pem")
        (to / "usr/share/platen").mkdir(exist_ok=True)
        for name, text in documents.items():
            (to / "usr/share/platen" / name).write_text(text)
    release(to, version, epoch, floor)
    with step("making users, presets and byte code"):
        run("systemd-sysusers", f"--root={to}")
        run("systemctl", f"--root={to}", "preset-all")
        byte_code(lib / "appliance", f"/{LIB}/appliance")
    catalog(to)


def catalog(to: Path) -> None:
    """What `journalctl -x` looks messages up in, made here once instead of on every start of every box: there its
    place is on the data partition, and tmpfiles.d links it to this one, under dm-verity."""
    made = to / "var/lib/systemd/catalog"
    run("journalctl", f"--root={to}", "--update-catalog")
    shutil.move(made / "database", to / LIB / "catalog")
    made.rmdir()
    made.parent.rmdir()
    made.parent.parent.rmdir()


def support_end(epoch: int) -> str:
    """The day on which security updates for what was made then end."""
    made = datetime.datetime.fromtimestamp(epoch, datetime.UTC).date()
    day = min(made.day, 28)  # 29 February has no anniversary
    return made.replace(year=made.year + SUPPORT_YEARS, day=day).isoformat()


def release(to: Path, version: str, epoch: int, floor: str | None) -> None:
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
        "DEBIAN_VERSION": debian["DEBIAN_VERSION_FULL"]
        if "DEBIAN_VERSION_FULL" in debian
        else debian["VERSION_ID"],
        "SUPPORT_END": support_end(epoch),
    }
    if floor is not None:
        ours["PLATEN_FLOOR"] = floor
    path.write_text("".join(f"{key}={value}\n" for key, value in ours.items()))
    (to / "usr/lib/clock-epoch").write_text(f"{epoch}\n")
