# SPDX-License-Identifier: Apache-2.0
"""What systemd itself says of the units, and that nothing else starts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rootfs.conftest import ROOTFS, UNITS, Run

INSTANCES = {
    "platen-usb@.service": "platen-usb@sda1.service",
    "platen-wifi@.service": "platen-wifi@wlan0.service",
}
OURS = sorted(INSTANCES.get(p.name, p.name) for p in UNITS.iterdir() if p.is_file())
SERVICES = [name for name in OURS if name.endswith(".service")]

# Tenths of `systemd-analyze security`. The long-running ones keep 1.5; the others are root for a moment at boot.
MOST = 15
MORE = {
    "platen-provision.service": 21,  # writes for several users and remounts the firmware partition
    "platen-wifi@wlan0.service": 21,  # sets up an interface, and listens to raw frames on it
    "platen-usb@sda1.service": 43,  # mounts for everybody too
    "platen-data.service": 43,  # mounts for everybody, so it has no mount namespace
    "platen-reboot.service": 100,  # runs nothing: it is the restart
}


@pytest.mark.parametrize("unit", OURS)
def test_systemd_understands_it(inside: Run, unit: str) -> None:
    done = inside("systemd-analyze", "verify", "--man=no", "--recursive-errors=one", unit)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("unit", SERVICES)
def test_sandbox(inside: Run, unit: str) -> None:
    most = str(MORE.get(unit, MOST))
    done = inside("systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={most}", unit)
    assert done.returncode == 0, done.stdout
    assert "Overall exposure level" in done.stdout


@pytest.mark.parametrize("unit", [u for u in SERVICES if re.search("collector|uplink|webui|update", u)])
def test_a_service_is_watched_bounded_and_started_again(unit: str) -> None:
    text = (UNITS / unit).read_text()
    for line in (
        "Type=notify",
        "WatchdogSec=",
        "Restart=",
        "RestartSteps=",
        "MemoryMax=",
        "StartLimitIntervalSec=0",
    ):
        assert re.search(f"^{line}", text, re.M), line
    assert re.search(r"^User=platen-", text, re.M)


@pytest.mark.parametrize("unit", ["platen-uplink.service", "platen-update.service"])
def test_who_wishes_for_ports_comes_after_who_grants_them(unit: str) -> None:
    after = re.findall(r"^After=(.*)$", (UNITS / unit).read_text(), re.M)
    assert "platen-ports.service" in " ".join(after).split()


def test_what_starts(tree: Path) -> None:
    """The preset names all of it; nothing that Debian brings along joins in."""
    links = {p for p in (tree / "etc/systemd/system").glob("*.*/*") if p.is_symlink()}
    # The root that the tests run in has a console, the image does not; a masked unit starts nothing.
    started = {p.name for p in links} - {p.name for p in links if p.name.startswith("getty@")}
    assert (
        started
        == {
            "var.mount",
            "var-lib-platen.mount",
            "var-lib-platen\\x2dupdate.mount",
            "var-lib-rauc.mount",
            "var-lib-systemd.mount",
            "platen-data.service",
            "platen-factory-reset.service",
            "platen-factory-reset-request.path",
            "platen-reboot.path",
            "platen-rauc-stop.path",
            "platen-provision.service",
            "platen-ports.service",
            "platen-ports-uplink.path",
            "platen-ports-update.path",
            "platen-collector.service",
            "platen-uplink.service",
            "platen-webui.service",
            "platen-webui.socket",
            "platen-update.socket",
            "platen-gate.service",
            "nftables.service",
            "systemd-networkd.service",
            "systemd-networkd.socket",
            "systemd-network-generator.service",
            "systemd-networkd-wait-online.service",
        }
        - masked()
    )


def masked() -> set[str]:
    folder = ROOTFS / "etc/systemd/system"
    return {p.name for p in folder.iterdir() if p.is_symlink() and os.readlink(p) == "/dev/null"}


def test_what_is_masked_exists(tree: Path) -> None:
    """A name with a slip of the pen would mask nothing."""
    # sysinit and others want them by name; Debian splits some off into packages that the tests do without.
    elsewhere = {"autovt@.service", "container-getty@.service"}
    known = {p.name for p in (tree / "usr/lib/systemd/system").iterdir()} | elsewhere
    assert masked() - known == set()


def test_every_message_is_in_the_catalogue(inside: Run, tree: Path) -> None:
    from appliance.host.journal import Message

    text = (ROOTFS / "usr/lib/systemd/catalog/platen.catalog").read_text()
    explained = re.findall(r"^-- ([0-9a-f]{32})$", text, re.M)
    assert len(explained) == len(set(explained))
    script = (ROOTFS / "usr/lib/platen/data-partition").read_text()
    sent = {m.value for m in Message} | set(re.findall(r"\b[0-9a-f]{32}\b", script))
    assert set(explained) == sent
    sources = [p.read_text() for p in (ROOTFS.parent / "appliance").rglob("*.py")]
    for message in Message:
        assert any(f"Message.{message.name}" in s for s in sources), f"nobody sends {message.name}"
    done = inside("journalctl", "--update-catalog")
    assert done.returncode == 0, done.stdout
    listed = inside("journalctl", "--list-catalog").stdout
    assert sent <= set(re.findall(r"^([0-9a-f]{32}) Platen:", listed, re.M)), listed


MDWE = """
import ctypes
PR_SET_MDWE, REFUSE_EXEC_GAIN = 65, 1
if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0):
    raise SystemExit(77)
import mmap
try:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    raise SystemExit("it is not in force")
except PermissionError:
    pass
import argon2, aiohttp, jinja2, msgspec, paho.mqtt.client, pyroute2, sqlite3, zstandard
from pysnmp.hlapi.v3arch import asyncio
from cryptography.hazmat.primitives.asymmetric import ec
argon2.PasswordHasher().verify(argon2.PasswordHasher().hash("x"), "x")
ec.generate_private_key(ec.SECP256R1())
from appliance.host import clock
clock.now()
import appliance.collector.service, appliance.uplink.service, appliance.webui.service
"""


def test_python_works_without_memory_that_is_both_writable_and_executable() -> None:
    """MemoryDenyWriteExecute=: libffi falls back to something else, or a library does not load at all."""
    done = subprocess.run([sys.executable, "-c", MDWE], capture_output=True, text=True, check=False)
    if done.returncode == 77:
        pytest.skip("this kernel has no PR_SET_MDWE")
    assert (done.returncode, done.stderr) == (0, "")
