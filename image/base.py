# SPDX-License-Identifier: Apache-2.0
"""The part of the image that is Debian: packages unpacked, pruned and finished, without running any of their code.

Maintainer scripts of another architecture need an emulator, take ten minutes and leave traces of the machine they
ran on. What they would do for the few packages here is done natively instead (docs/decisions/0010)."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from image import kernel
from image.packages import Package, Wanted
from image.progress import step
from image.run import run

USERS = ("root", "daemon", "nobody")
"""Of Debian's static users. The others come from sysusers.d, as far as their packages are there."""


def build(packages: Sequence[Package], debs: Path, want: Wanted, to: Path) -> None:
    """Makes `to`/root (the tree), `to`/kernel (vmlinuz, dtbs) and `to`/firmware (files for the FAT partition)."""
    boot = set(want.boot_packages)
    leave = want.leave["paths"]
    root, pi = to / "root", to / "boot-packages"
    root.mkdir(parents=True)
    pi.mkdir()
    with step(f"unpacking {len(packages)} packages"):
        # base-files first: it brings the links from /bin, /lib and /sbin into /usr.
        for package in sorted(packages, key=lambda p: (p.name != "base-files", p.name)):
            _unpack(debs / package.file, pi if package.name in boot else root, leave)
    with step("pruning kernel modules"):
        kernel.take(root, to / "kernel", (Path(__file__).parent / "boot/modules.txt").read_text())
    with step("finishing the base"):
        _prune_documentation(root)
        _finish(root)
    _firmware(pi, to / "firmware")
    shutil.rmtree(pi)


def _unpack(deb: Path, to: Path, leave: Iterable[str]) -> None:
    excludes = [f"--exclude=./{pattern}" for pattern in leave]
    script = 'dpkg-deb --fsys-tarfile "$0" | tar -x -C "$1" --numeric-owner --keep-directory-symlink --wildcards "${@:2}"'
    run("bash", "-o", "pipefail", "-c", script, deb, to, *excludes)


def _prune_documentation(root: Path) -> None:
    """Of /usr/share/doc only the licences stay."""
    for path in sorted((root / "usr/share/doc").rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif path.name != "copyright":
            path.unlink()


def _finish(root: Path) -> None:
    """What the maintainer scripts of these packages would have done."""
    etc, share = root / "etc", root / "usr/share"
    # base-passwd
    passwd = (share / "base-passwd/passwd.master").read_text().splitlines()
    kept = [line.split(":") for line in passwd if line.split(":")[0] in USERS]
    lines = [":".join([name, "x", uid, gid, text, home, "/usr/sbin/nologin"]) for name, _, uid, gid, text, home, _ in kept]
    _write(etc / "passwd", "\n".join(lines) + "\n")
    group = (share / "base-passwd/group.master").read_text().replace(":*:", ":x:")
    _write(etc / "group", group)
    _write(etc / "shadow", "".join(f"{name}:!*:1::::::\n" for name in USERS), 0o640)
    _write(etc / "gshadow", "", 0o640)
    # base-files, libc-bin, tzdata, systemd-resolved
    shutil.copy(share / "libc-bin/nsswitch.conf", etc / "nsswitch.conf")
    _link(etc / "localtime", "../usr/share/zoneinfo/Etc/UTC")
    _link(etc / "resolv.conf", "../run/systemd/resolve/stub-resolv.conf")
    _write(etc / "hosts", "127.0.0.1 localhost\n::1 localhost\n")
    _write(etc / "hostname", "platen\n")
    # What the initrd mounts the box's own id over.
    _write(etc / "machine-id", "")
    _link(etc / "mtab", "../proc/self/mounts")
    # wireless-regdb
    for name in ("regulatory.db", "regulatory.db.p7s"):
        _link(root / "usr/lib/firmware" / name, f"{name}-debian")
    # ca-certificates
    certificates = sorted((share / "ca-certificates/mozilla").glob("*.crt"))
    _write(etc / "ssl/certs/ca-certificates.crt", "".join(c.read_text().rstrip("\n") + "\n" for c in certificates))
    # Mount points, and nothing in /var: it is made anew at each boot.
    shutil.rmtree(root / "var", ignore_errors=True)
    shutil.rmtree(root / "boot", ignore_errors=True)
    for name in ("var", "data", "firmware", "proc", "sys", "dev", "run", "tmp", "root"):
        (root / name).mkdir(exist_ok=True)


def _firmware(unpacked: Path, to: Path) -> None:
    """The files that the Pi's own firmware looks for, and U-Boot."""
    to.mkdir()
    for name in ("bootcode.bin", "start.elf", "fixup.dat", "start4.elf", "fixup4.dat", "LICENCE.broadcom"):
        for path in unpacked.rglob(name):
            shutil.copy(path, to / name)
    shutil.copy(unpacked / "usr/lib/u-boot/rpi_arm64/u-boot.bin", to / "u-boot.bin")


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def _link(path: Path, target: str) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)
