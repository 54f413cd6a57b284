# SPDX-License-Identifier: Apache-2.0
"""A real Debian snmpd on a free loopback port: v1, v2c, v3 with several algorithms, and a context."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

USERS = {
    # user: (auth protocol, privacy protocol), as snmpd spells them
    "md5des": ("MD5", "DES"),
    "shaaes": ("SHA", "AES"),
    "sha256aes": ("SHA-256", "AES"),
    "sha512aes256": ("SHA-512", "AES-256"),
    "authonly": ("SHA-256", None),
    "nothing": (None, None),
}
AUTH_KEY = "authentication pass"
PRIV_KEY = "privacy passphrase"
CONTEXT = "tray"
PRINTER = "printer"


@dataclass
class Snmpd:
    """`engine` is the engine id snmpd was given; None lets it make one. `behind`: HOST:PORT of a printer that answers
    in the context PRINTER."""

    directory: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    engine: str | None = None
    behind: str | None = None

    def start(self) -> None:
        config = [
            "rocommunity public 127.0.0.1",
            "rocommunity6 public ::1",
            'sysDescr "a test of SNMP"',
            f"proxy -Cn {CONTEXT} -v 2c -c public 127.0.0.1:{self.port} .1.3.6.1.2.1",
            "maxGetbulkRepeats 100",
        ]
        if self.behind:
            config.append(f"proxy -Cn {PRINTER} -v 2c -c public {self.behind} .1.3")
            config.append(f"rouser -s usm sha256aes priv .1 {PRINTER}")
        if self.engine:
            config.append(f"exactEngineID 0x{self.engine}")
        for user, (auth, priv) in USERS.items():
            words = [f"createUser {user}"]
            if auth:
                words.append(f'{auth} "{AUTH_KEY}"')
            if priv:
                words.append(f'{priv} "{PRIV_KEY}"')
            config.append(" ".join(words))
            level = "priv" if priv else "auth" if auth else "noauth"
            config.append(f"rouser {user} {level}")
            config.append(f"rouser -s usm {user} {level} .1 {CONTEXT}")
        (self.directory / "snmpd.conf").write_text("\n".join(config) + "\n")
        self.process = subprocess.Popen(
            [
                shutil.which("snmpd", path="/usr/sbin:/usr/bin:/sbin") or "snmpd",
                *("-f", "-C", "-Lf", str(self.directory / "log"), "-c", str(self.directory / "snmpd.conf")),
                *("-I", "-smux", f"udp:127.0.0.1:{self.port}", f"udp6:[::1]:{self.port}"),
            ],
            env={
                **os.environ,
                "SNMP_PERSISTENT_DIR": str(self.directory / "state"),
                "SNMPCONFPATH": "/nonexistent",
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 20
        while (
            self.net_snmp("snmpget", "-v2c", "-cpublic", "-t0.3", "-r0", "1.3.6.1.2.1.1.3.0", check=False)
            == ""
        ):
            assert self.process.poll() is None, (self.directory / "log").read_text()
            assert time.monotonic() < deadline, (self.directory / "log").read_text()
            time.sleep(0.05)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def net_snmp(self, tool: str, *arguments: str, check: bool = True) -> str:
        """What one of net-snmp's own tools prints: numeric, strings in hex."""
        run = subprocess.run(
            [tool, "-OnextU", *arguments[:-1], f"127.0.0.1:{self.port}", arguments[-1]],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={**os.environ, "SNMPCONFPATH": "/nonexistent", "MIBS": ""},
        )
        assert run.returncode == 0 or not check, run.stderr
        return run.stdout if run.returncode == 0 else ""


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def make_snmpd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Snmpd]]:
    made: list[Snmpd] = []

    def make(engine: str | None = None, behind: str | None = None) -> Snmpd:
        directory = tmp_path_factory.mktemp("snmpd")
        (directory / "state").mkdir()
        made.append(Snmpd(directory, free_port(), engine=engine, behind=behind))
        made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture(scope="session")
def snmpd(make_snmpd: Callable[..., Snmpd]) -> Snmpd:
    return make_snmpd()
