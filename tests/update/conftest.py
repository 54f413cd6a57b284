# SPDX-License-Identifier: Apache-2.0
"""A private message bus, RAUC's real service on slots that are files, real signed bundles, and a RAUC that replays.

This kernel may have no dm-verity, so a real RAUC goes as far as opening a bundle here: signatures, manifests, slot
states and marks are real, and so is every refusal up to there. What only an installation brings about (its progress,
its end) is replayed by `Replay`, a D-Bus service of a few lines that says what RAUC 1.13 was recorded to say.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import textwrap
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus

COMPATIBLE = "platen-rpi-arm64"
RUNNING = "1.4.0"


@pytest.fixture
def bus_address(tmp_path: Path) -> Iterator[str]:
    """A message bus of this test's own."""
    if shutil.which("dbus-daemon") is None:
        pytest.skip("needs dbus-daemon")
    daemon = subprocess.Popen(
        ["dbus-daemon", "--session", "--nofork", "--print-address=1", f"--address=unix:path={tmp_path}/bus"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert daemon.stdout is not None
    address = daemon.stdout.readline().strip()
    yield address
    daemon.terminate()
    daemon.wait(10)


class Bundles:
    """Signed with a CA of its own; `make` as `rauc bundle` does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("signer", "stranger"):
            self._run(
                "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30",
                "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.crt",
            )  # fmt: skip
        self._made: dict[str, Path] = {}

    @property
    def keyring(self) -> Path:
        return self.folder / "signer.crt"

    def make(
        self,
        name: str,
        *,
        version: str = "1.5.0",
        compatible: str = COMPATIBLE,
        format: str = "verity",
        signer: str = "signer",
        size: int = 131_072,
        floor: str = "1.3.0",
    ) -> Path:
        path = self.folder / f"{name}.raucb"
        if name in self._made:
            return path
        content = self.folder / f"{name}.content"
        content.mkdir()
        (content / "rootfs.img").write_bytes(os.urandom(size))
        (content / "boot.img").write_bytes(os.urandom(65_536))
        (content / "manifest.raucm").write_text(
            textwrap.dedent(f"""\
                [update]
                compatible={compatible}
                version={version}

                [bundle]
                format={format}

                [meta.platen]
                floor={floor}

                [image.rootfs]
                filename=rootfs.img
                adaptive=block-hash-index

                [image.boot]
                filename=boot.img
                """)
        )
        self._run("rauc", "bundle", f"--cert={signer}.crt", f"--key={signer}.key", str(content), str(path))
        self._made[name] = path
        return path

    def _run(self, *command: str) -> None:
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True)


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Bundles:
    for needed in ("rauc", "openssl", "mksquashfs"):
        if shutil.which(needed) is None:
            pytest.skip(f"needs {needed}: run it in the Debian 13 root")
    return Bundles(tmp_path_factory.mktemp("bundles"))


class Environment:
    """fw_printenv and fw_setenv over a file, first in $PATH."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "environment"
        self.log = folder / "environment.log"
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.set(BOOT_ORDER="A B", BOOT_A_LEFT="9", BOOT_B_LEFT="9", BOOT_SEEN="1")
        self._tool("fw_printenv", f'[ -n "$1" ] || exec cat {self.file}; exec grep "^$1=" {self.file}')
        self._tool(
            "fw_setenv",
            f'echo "$1=$2" >> {self.log}; grep -v "^$1=" {self.file} > {self.file}.new;'
            f' echo "$1=$2" >> {self.file}.new; mv {self.file}.new {self.file}',
        )

    def _tool(self, name: str, script: str) -> None:
        (self.bin / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.bin / name).chmod(0o755)

    def set(self, **values: str) -> None:
        self.file.write_text("".join(f"{k}={v}\n" for k, v in {**self.values(), **values}.items()))

    def values(self) -> dict[str, str]:
        if not self.file.exists():
            return {}
        return dict(line.split("=", 1) for line in self.file.read_text().splitlines())


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    made = Environment(tmp_path)
    monkeypatch.setenv("PATH", f"{made.bin}:{os.environ['PATH']}")
    return made


class Rauc:
    """The real service."""

    def __init__(self, folder: Path, address: str, environment: Environment, bundles: Bundles) -> None:
        self.address = address
        self.log = folder / "rauc.log"
        self._folder = folder
        slots = ""
        for n, bootname in enumerate("AB"):
            for kind, size, more in (
                ("boot", 131_072, f"bootname={bootname}"),
                ("rootfs", 262_144, f"parent=boot.{n}"),
            ):
                device = folder / f"{kind}.{n}"
                device.write_bytes(bytes(size))
                slots += f"[slot.{kind}.{n}]\ndevice={device}\ntype=raw\n{more}\n"
        (folder / "rauc").mkdir()
        (folder / "system.conf").write_text(
            f"[system]\ncompatible={COMPATIBLE}\nbootloader=uboot\nbundle-formats=verity\nboot-attempts=9\n"
            f"boot-attempts-primary=3\nmin-bundle-version=0.1.0\ndata-directory={folder}/rauc\n"
            f"mountprefix={folder}/mnt\n[keyring]\npath={bundles.keyring}\n"
            f"[streaming]\nsandbox-user=nobody\n{slots}"
        )
        self.process: subprocess.Popen[bytes] | None = None

    async def start(self, booted: str = "A") -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: ASYNC220 - it only begins here
                ["rauc", "-c", "system.conf", f"--override-boot-slot={booted}", "service"],
                cwd=self._folder,
                env={
                    **os.environ,
                    "DBUS_STARTER_BUS_TYPE": "session",
                    "DBUS_SESSION_BUS_ADDRESS": self.address,
                },
                stdout=log,
                stderr=log,
            )
        bus = await MessageBus(bus_address=self.address).connect()
        until = time.monotonic() + 20
        try:
            while time.monotonic() < until:
                with contextlib.suppress(Exception):
                    await bus.introspect("de.pengutronix.rauc", "/", timeout=1)
                    return
                await asyncio.sleep(0.05)
        finally:
            bus.disconnect()
        raise AssertionError(self.log.read_text())

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None


@pytest.fixture
async def rauc(
    tmp_path: Path, bus_address: str, environment: Environment, bundles: Bundles
) -> AsyncIterator[Rauc]:
    made = Rauc(tmp_path, bus_address, environment, bundles)
    await made.start()
    yield made
    made.stop()


NAME = "de.pengutronix.rauc"
INTERFACE = f"{NAME}.Installer"


class Replay:
    """Says what RAUC 1.13 says, as recorded from it; `script` is what an installation goes through: (percent, text)
    steps, and at the end `error` or nothing."""

    RECORDED = (
        (0, "Installing"),
        (0, "Determining slot states"),
        (20, "Determining slot states done."),
        (20, "Checking bundle"),
        (20, "Verifying signature"),
        (40, "Verifying signature done."),
        (40, "Checking bundle done."),
        (40, "Checking manifest contents"),
        (60, "Checking manifest contents done."),
        (60, "Determining target install group"),
        (80, "Determining target install group done."),
        (80, "Updating slots"),
        (80, "Checking slot boot.1 (boot)"),
        (90, "Copying image to boot.1 done."),
        (99, "Copying image to rootfs.1 done."),
        (100, "Installing done."),
    )

    def __init__(self, bus: MessageBus, environment: Environment, folder: Path) -> None:
        self.environment = environment
        self.error = ""
        self.inspect_error = ""
        self.version = "1.5.0"
        self.versions: dict[bytes, str] = {}
        self.size = 131_072
        self.booted = "A"
        self.hold = asyncio.Event()
        self.hold.set()
        self.sources: list[str] = []
        self.marks: list[tuple[str, str]] = []
        self._bus, self._folder = bus, folder
        self._properties: dict[str, Variant] = {}
        self._set(Operation="idle", LastError="", Compatible=COMPATIBLE)
        self._task: asyncio.Task[None] | None = None
        for n in range(2):
            for kind in ("boot", "rootfs"):
                (folder / f"{kind}.{n}").write_bytes(bytes(262_144))
        bus.add_message_handler(self._called)

    def _called(self, message: Message) -> Message | bool:
        if message.message_type != MessageType.METHOD_CALL or message.path != "/":
            return False
        if message.member == "GetAll":
            return Message.new_method_return(message, "a{sv}", [dict(self._properties)])
        try:
            signature, body = getattr(self, f"_{message.member}")(*message.body)
        except Refused as refusal:
            name = "org.gtk.GDBus.UnmappedGError.Quark._g_2dio_2derror_2dquark.Code30"
            return Message.new_error(message, name, str(refusal))
        return Message.new_method_return(message, signature, body)

    def _InspectBundle(self, source: str, _: Any) -> tuple[str, list[Any]]:
        self.sources.append(source)
        _refuse(self.inspect_error)
        found = self.version
        if source.startswith("/"):
            start = Path(source).read_bytes()[:100]
            _refuse("" if start else "Invalid bundle format: Bundle size (0) is too small")
            found = self.versions.get(start, found)
        facts = {"version": Variant("s", found), "compatible": Variant("s", COMPATIBLE)}
        images = [
            {"slot-class": Variant("s", "rootfs"), "size": Variant("t", self.size)},
            {"slot-class": Variant("s", "boot"), "size": Variant("t", 65_536)},
        ]
        info = {
            "update": Variant("v", Variant("a{sv}", facts)),
            "bundle": Variant("v", Variant("a{sv}", {"format": Variant("s", "verity")})),
            "images": Variant("v", Variant("aa{sv}", images)),
            "meta": Variant("v", Variant("a{sa{ss}}", {"platen": {"floor": "1.3.0"}})),
        }
        return "a{sv}", [info]

    def _InstallBundle(self, source: str, _: Any) -> tuple[str, list[Any]]:
        _refuse("Already processing a different method" if self._operation != "idle" else "")
        self.sources.append(source)
        self._set(Operation="installing")
        self._task = asyncio.get_running_loop().create_task(self._install())
        return "", []

    async def _install(self) -> None:
        self.environment.set(BOOT_ORDER="A", BOOT_B_LEFT="0")
        for percent, text in self.RECORDED:
            await self.hold.wait()
            self._properties["Progress"] = Variant("(isi)", [percent, text, 1])
            await self._changed("Progress")
        if not self.error:
            self.environment.set(BOOT_ORDER="B A", BOOT_B_LEFT="3")
        self._set(Operation="idle", LastError=self.error)
        await self._changed("Operation", "LastError")
        await self._signal(INTERFACE, "Completed", "i", [1 if self.error else 0])

    def _Mark(self, state: str, slot: str) -> tuple[str, list[Any]]:
        self.marks.append((state, slot))
        other = "A" if self.booted == "B" else "B"
        name = self.booted if slot == "booted" else other
        order = self.environment.values()["BOOT_ORDER"].split()
        if state == "good":
            self.environment.set(**{f"BOOT_{name}_LEFT": "9"})
        else:
            kept = " ".join(s for s in order if s != name)
            self.environment.set(**{"BOOT_ORDER": kept, f"BOOT_{name}_LEFT": "0"})
        return "ss", [f"boot.{'AB'.index(name)}", "marked"]

    def _GetSlotStatus(self) -> tuple[str, list[Any]]:
        found = []
        for n, bootname in enumerate("AB"):
            here = bootname == self.booted
            for kind in ("boot", "rootfs"):
                facts = {"class": kind, "device": str(self._folder / f"{kind}.{n}")}
                facts["state"] = ("booted" if kind == "boot" else "active") if here else "inactive"
                if kind == "boot":
                    facts |= {"bootname": bootname, "boot-status": "good"}
                found.append([f"{kind}.{n}", {k: Variant("s", v) for k, v in facts.items()}])
        return "a(sa{sv})", [found]

    def _GetPrimary(self) -> tuple[str, list[Any]]:
        return "s", [f"boot.{'AB'.index(self.environment.values()['BOOT_ORDER'][0])}"]

    @property
    def _operation(self) -> str:
        return str(self._properties["Operation"].value)

    def _set(self, **values: str) -> None:
        self._properties |= {k: Variant("s", v) for k, v in values.items()}

    async def _changed(self, *names: str) -> None:
        changed = {n: self._properties[n] for n in names}
        body = [INTERFACE, changed, []]
        await self._signal("org.freedesktop.DBus.Properties", "PropertiesChanged", "sa{sv}as", body)

    async def _signal(self, interface: str, member: str, signature: str, body: list[Any]) -> None:
        await self._bus.send(Message.new_signal("/", interface, member, signature, body))


class Refused(Exception):
    pass


def _refuse(text: str) -> None:
    if text:
        raise Refused(text)


@pytest.fixture
async def replay(tmp_path: Path, bus_address: str, environment: Environment) -> AsyncIterator[Replay]:
    """A RAUC that replays, on the private bus."""
    bus = await MessageBus(bus_address=bus_address).connect()
    service = Replay(bus, environment, tmp_path)
    await bus.request_name(NAME)
    yield service
    bus.disconnect()
