# SPDX-License-Identifier: Apache-2.0
"""RAUC with the box's configuration, on a bus with the box's policy: who may ask it to install."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rootfs.conftest import USERS

# As Debian's own system.conf: methods are denied unless a policy of the service allows them.
BUS = """<busconfig><type>system</type><listen>unix:path=/run/test-bus</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><deny own="*"/><deny send_type="method_call"/>
<allow send_destination="org.freedesktop.DBus"/><allow send_type="method_return"/><allow send_type="error"/>
<allow send_type="signal"/><allow receive_type="method_call"/><allow receive_type="method_return"/>
<allow receive_type="error"/><allow receive_type="signal"/></policy>
<includedir>/usr/share/dbus-1/system.d</includedir></busconfig>"""

ENVIRONMENT = "#!/bin/sh\nprintf 'BOOT_ORDER=A B\\nBOOT_A_LEFT=9\\nBOOT_B_LEFT=0\\n'\n"


@pytest.fixture(scope="module")
def bus(tree: Path) -> Iterator[Path]:
    """The tree, with a bus and RAUC running in it."""
    for program in ("rauc", "dbus-daemon", "dbus-send", "openssl"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not here")
    key = ["-keyout", "/dev/null", "-out", "/etc/rauc/keyring.pem", "-subj", "/CN=test"]
    inside = ["chroot", str(tree)]
    subprocess.run(
        [*inside, "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *key],
        check=True,
        capture_output=True,
    )
    for name, text, mode in (
        ("run/bus.conf", BUS, 0o644),
        ("usr/local/bin/fw_printenv", ENVIRONMENT, 0o755),
        ("usr/lib/platen/pre-install", "#!/bin/sh\n", 0o755),
    ):
        if not (tree / name).exists():
            (tree / name).write_text(text)
            (tree / name).chmod(mode)
    (tree / "var/lib/rauc").mkdir(parents=True, exist_ok=True)
    daemon = subprocess.Popen([*inside, "dbus-daemon", "--config-file=/run/bus.conf", "--nofork"])
    for _ in range(50):
        if (tree / "run/test-bus").exists():
            break
        time.sleep(0.1)
    environment = [
        "env",
        "DBUS_SYSTEM_BUS_ADDRESS=unix:path=/run/test-bus",
        "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin",
    ]
    rauc = subprocess.Popen([*inside, *environment, "rauc", "service", "--override-boot-slot=A"])
    try:
        for _ in range(50):
            if ask(tree, 0).returncode == 0:
                break
            time.sleep(0.1)
        yield tree
    finally:
        for process in (rauc, daemon):
            process.terminate()
            process.wait()


def ask(tree: Path, uid: int) -> subprocess.CompletedProcess[str]:
    """RAUC's answer to a user who asks which slots there are."""
    method = ["/", "de.pengutronix.rauc.Installer.GetSlotStatus"]
    return subprocess.run(
        [
            "dbus-send",
            f"--bus=unix:path={tree}/run/test-bus",
            "--print-reply",
            "--dest=de.pengutronix.rauc",
            *method,
        ],
        user=uid,
        group=uid,
        extra_groups=[],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("uid", [0, USERS["update"]])
def test_root_and_the_update_service_may(bus: Path, uid: int) -> None:
    answer = ask(bus, uid)
    assert answer.returncode == 0, answer.stderr
    for text in ("rootfs.0", "boot.1", "/dev/disk/by-partlabel/root_b", '"booted"', '"inactive"'):
        assert text in answer.stdout


@pytest.mark.parametrize("name", ["collector", "uplink", "webui", "stream"])
def test_nobody_else_may(bus: Path, name: str) -> None:
    answer = ask(bus, USERS[name])
    assert answer.returncode != 0
    assert "AccessDenied" in answer.stderr
