# SPDX-License-Identifier: Apache-2.0
"""The service on its control socket, with a RAUC that replays (see conftest), and the gate of the next boot."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.host import control, ports, software
from appliance.host import rauc as rauc_door
from appliance.host.journal import Message
from appliance.host.paths import Paths
from appliance.host.systemd1 import Unit
from appliance.model.errors import Fault, PlatenError
from appliance.store import settings
from appliance.store.database import open_database
from appliance.update import floor, keeper, look, state
from appliance.update.journal import Journal
from appliance.update.keeper import Keeper
from appliance.update.look import Places
from appliance.update.service import Timing, Update
from tests.update.conftest import RUNNING, Environment, Replay

QUICK = Timing(idle_s=0.4, look_s=0.05, told_s=0.0)


class Box:
    """A box's files, and its service while `serving`."""

    def __init__(self, folder: Path, run: Path, address: str) -> None:
        self.address = address
        self.places = Places(
            paths=Paths(folder / "state", run),
            folder=folder / "update",
            restart=run / "restart",
            reset=run / "factory-reset",
            stop_rauc=run / "stop-rauc",
            cmdline=folder / "cmdline",
            os_release=folder / "os-release",
            page=("127.0.0.1", 9),
            units=("platen-collector.service",),
        )
        self.places.paths.make()
        self.places.spool.mkdir(parents=True)
        self.boots("A")
        self.journal = Journal(self.places.folder)
        self.update: Update | None = None
        self._tasks: list[asyncio.Task[None]] = []
        open_database(self.places.paths.database).close()

    def boots(self, slot: str, *, trial: bool = False, version: str = RUNNING, floor: str = "") -> None:
        self.places.cmdline.write_text(f"quiet rauc.slot={slot} platen.slot=x platen.trial={int(trial)}\n")
        declared = f"PLATEN_FLOOR={floor}\n" if floor else ""
        self.places.os_release.write_text(
            f'ID=platen\nIMAGE_VERSION="{version}"\nSUPPORT_END=2031-11-30\n{declared}'
        )

    def start(self, timing: Timing | None = None) -> asyncio.Task[None]:
        self.update = Update(
            self.places, timing=timing or Timing(look_s=0.05, told_s=0.0), bus_address=self.address
        )
        task = asyncio.create_task(self.update.run())
        self._tasks.append(task)
        return task

    async def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        for _ in range(100):
            if self.places.paths.socket("update").exists():
                break
            await asyncio.sleep(0.01)
        return await control.call(self.places.paths.socket("update"), f"platen.update.{method}", parameters)

    async def until(self, what: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        status: dict[str, Any] = {}
        for _ in range(300):
            status = await self.ask("Status")
            if what(status):
                return status
            await asyncio.sleep(0.01)
        raise AssertionError(status)

    async def news(self, what: Callable[[Any], bool]) -> Any:
        """What the portal is told, once `what` holds: it is written after Status has it."""
        for _ in range(300):
            if what(told := self.portal_news()):
                return told
            await asyncio.sleep(0.01)
        raise AssertionError(told)

    def spool(self, octets: bytes = b"bundle") -> str:
        path = self.places.spool / "0123456789abcdef.raucb"
        path.write_bytes(octets)
        return str(path)

    def spooled(self) -> list[str]:
        return os.listdir(self.places.spool)

    def set(self, key: str, value: object) -> None:
        db = open_database(self.places.paths.database)
        settings.put(db, key, value, "you")
        db.close()

    def portal_news(self) -> Any:
        return software.read(self.places.paths.software)

    async def close(self) -> None:
        for task in self._tasks:
            if self.update is not None:
                self.update.stop()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait_for(task, 5)


@pytest.fixture
async def box(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, bus_address: str, replay: Replay
) -> AsyncIterator[Box]:
    made = Box(tmp_path, tmp_path_factory.mktemp("r"), bus_address)
    yield made
    await made.close()


async def refusal(box: Box, method: str = "Install", **parameters: Any) -> str:
    with pytest.raises(PlatenError) as error:
        await box.ask(method, **parameters)
    return error.value.code


async def test_a_server_on_another_port_is_let_through_while_it_is_needed(
    box: Box, replay: Replay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, wishes = tmp_path / "opened", []
    opened.write_text("update \n")
    monkeypatch.setattr(ports, "OPENED", opened)

    async def root() -> None:
        while True:
            await asyncio.sleep(0.01)
            with contextlib.suppress(FileNotFoundError):
                said = box.places.paths.ports("update").read_text().strip()
                if wishes[-1:] != [(said, len(replay.sources))]:
                    wishes.append((said, len(replay.sources)))
                (tmp_path / "opened.new").write_text(f"update {said}\n")
                (tmp_path / "opened.new").rename(opened)  # as open-ports does: never half of it

    granting = asyncio.create_task(root())
    box.start()
    replay.hold.clear()
    await box.ask("Install", source="https://updates.example:8443/x.raucb")
    replay.hold.set()
    await box.until(lambda s: s["operation"] == "restart-due")
    granting.cancel()
    assert wishes[0] == ("8443", 0), "before RAUC asks the server"
    assert wishes[-1] == ("", 2)


async def test_a_file_is_installed_and_removed(box: Box, replay: Replay) -> None:
    box.start()
    replay.hold.clear()
    source = box.spool()
    assert await box.ask("Install", source=source, origin="page") == {"version": "1.5.0"}
    status = await box.until(lambda s: s["operation"] == "installing")
    assert status["next_version"] == "1.5.0"
    assert await refusal(box, source=source) == "update-busy"
    assert await refusal(box, "Room", size=5) == "update-busy"
    before = box.journal.read().attempt
    assert before is not None
    assert (before.slot, before.origin, before.stage, before.floor) == ("B", "A", "began", "1.3.0")
    replay.hold.set()
    status = await box.until(lambda s: s["operation"] == "restart-due")
    assert box.spooled() == []
    assert status["restart"] == "night"
    assert status["primary"] == "boot.1"
    assert [s["version"] for s in status["slots"] if s["state"] == "booted"] == [RUNNING]
    assert status["support_end"] == "2031-11-30"
    assert box.portal_news().operation == "restart-due"
    assert not box.places.restart.exists()
    await box.ask("Restart")
    assert box.places.restart.exists()


async def test_a_restart_is_answered_although_the_loop_looks_too(box: Box) -> None:
    box.start()
    await box.ask("Install", source=box.spool())
    await box.until(lambda s: s["operation"] == "restart-due")
    assert box.update is not None
    real = box.update._settings

    async def slow() -> Any:
        """A busy disk: the loop is still reading while somebody asks."""
        await asyncio.sleep(0.2)
        return await real()

    box.update._settings = slow  # type: ignore[method-assign]
    await asyncio.sleep(0.1)
    await box.ask("Restart")
    assert box.places.restart.exists()


async def test_progress_is_told(box: Box, replay: Replay) -> None:
    seen = set()
    real = software.write

    def write(path: Path, told: Any) -> None:
        seen.add((told.operation, told.percent))
        real(path, told)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(software, "write", write)
        box.start()
        await box.ask("Install", source="https://updates.example/x.raucb")
        await box.until(lambda s: s["operation"] == "restart-due")
    assert replay.sources == ["https://updates.example/x.raucb"] * 2
    percents = [p for o, p in seen if o == "installing" and p is not None]
    assert {0, 40, 80, 100} <= set(percents)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A quarter of a second without a step or an octet is a stall; the folder stands for /sys/block."""
    monkeypatch.setattr(rauc_door, "LOOK_S", 0.05)
    monkeypatch.setattr(rauc_door, "STALL_S", 0.25)
    monkeypatch.setattr(rauc_door, "_BLOCK", tmp_path / "block")
    (tmp_path / "block/nbd0").mkdir(parents=True)
    return tmp_path / "block/nbd0/stat"


async def test_a_server_that_falls_silent_is_not_waited_for(
    box: Box, replay: Replay, impatient: Path
) -> None:
    replay.hold.clear()
    box.start()
    await box.ask("Install", source="https://updates.example/x.raucb")
    status = await box.until(lambda s: bool(s["last_error"]))
    assert status["last_error"]["code"] == "download-stalled"
    for _ in range(100):
        if box.places.stop_rauc.exists():
            break
        await asyncio.sleep(0.01)
    assert box.places.stop_rauc.read_bytes(), "RAUC is to be ended"
    assert (await box.ask("Status"))["operation"] == "installing", "until it is"
    box.places.stop_rauc.unlink()
    await box.until(lambda s: s["operation"] == "idle")


async def test_rauc_is_left_alone_where_it_gave_up_itself(box: Box, replay: Replay) -> None:
    replay.error = "Failed to stream bundle https://updates.example/x.raucb: Operation timed out"
    box.start()
    await box.ask("Install", source="https://updates.example/x.raucb")
    status = await box.until(lambda s: bool(s["last_error"]) and s["operation"] == "idle")
    assert status["last_error"]["code"] == "download-stalled"
    assert not box.places.stop_rauc.exists()


async def test_of_a_file_no_server_is_to_blame(box: Box, replay: Replay, impatient: Path) -> None:
    replay.hold.clear()
    box.start()
    await box.ask("Install", source=box.spool())
    status = await box.until(lambda s: bool(s["last_error"]) and s["operation"] == "idle")
    assert status["last_error"]["code"] == "install-failed"
    assert "server" not in status["last_error"]["sentence"]
    assert not box.places.stop_rauc.exists()


@pytest.mark.parametrize(
    ("source", "later", "code"),
    [
        (
            "https://updates.example/x.raucb",
            "failed to configure streaming: server not responding",
            "download-gone",
        ),
        ("https://updates.example/x.raucb", "", "bundle-broken"),
        ("", "server not responding", "bundle-broken"),
    ],
)
async def test_a_server_that_has_gone_is_not_a_damaged_bundle(
    box: Box, replay: Replay, source: str, later: str, code: str
) -> None:
    replay.hold.clear()
    box.start()
    await box.ask("Install", source=source or box.spool())
    replay.error = (
        "Failed updating slot boot.1: Failed to copy data: Error reading from file: Input/output error"
    )
    replay.inspect_error = later
    replay.hold.set()
    status = await box.until(lambda s: bool(s["last_error"]))
    assert status["last_error"]["code"] == code


async def test_a_slow_server_is_waited_for(box: Box, replay: Replay, impatient: Path) -> None:
    replay.hold.clear()
    box.start()
    await box.ask("Install", source="https://updates.example/x.raucb")
    for sectors in range(12):  # no step of RAUC's for three times as long, and octets all the while
        impatient.write_text(f"1 0 {sectors * 8} 0 0 0 0 0 0 0 0\n")  # noqa: ASYNC240 - a few octets
        await asyncio.sleep(0.07)
    replay.hold.set()
    status = await box.until(lambda s: s["operation"] == "restart-due")
    assert status["last_error"] is None


async def test_it_restarts_at_once_where_the_setting_says_so(box: Box) -> None:
    box.set("update.restart", "now")
    box.start()
    await box.ask("Install", source=box.spool())
    for _ in range(200):
        if box.places.restart.exists():
            break
        await asyncio.sleep(0.01)
    assert box.places.restart.exists()
    attempt = box.journal.read().attempt
    assert attempt is not None
    assert attempt.stage == "installed"


@pytest.mark.parametrize(
    ("changes", "parameters", "code"),
    [
        ({"version": "1.3.9"}, {}, "bundle-downgrade"),
        ({"version": "1.2.9"}, {"allow_downgrade": True}, "bundle-too-old"),
        ({"version": RUNNING}, {}, "already-there"),
        ({"size": 262_145}, {}, "bundle-too-large"),
        (
            {"inspect_error": "signature verification failed: Verify error: self-signed certificate"},
            {},
            "bundle-untrusted",
        ),
        (
            {"error": "Failed updating slot rootfs.1: No space left on device"},
            {},
            "bundle-too-large",
        ),
        ({}, {"source": "http://updates.example/x"}, "bad-address"),
        ({}, {"source": "https://me:secret@updates.example/x"}, "bad-address"),
        ({}, {"source": "https:///x"}, "bad-address"),
        ({}, {"source": "https://updates.example:99999/x"}, "bad-address"),
        ({}, {"source": "https://a b/"}, "bad-address"),
        ({}, {"source": "https://updates.example/" + "x" * 3000}, "bad-address"),
        ({}, {"source": "/etc/passwd"}, "bad-address"),
        ({}, {"source": "SPOOL/../../state.json"}, "bad-address"),
        ({}, {"source": "SPOOL/none.raucb"}, "bundle-broken"),
        ({}, {"source": None}, "nothing-to-do"),
    ],
)
async def test_refusals(
    box: Box, replay: Replay, changes: dict[str, Any], parameters: dict[str, Any], code: str
) -> None:
    for name, value in changes.items():
        setattr(replay, name, value)
    box.journal.change(lambda s: msgspec.structs.replace(s, floor="1.3.0"))
    box.start()
    await box.ask("Status")
    source = box.spool()
    asked = {"source": source, **parameters}
    if isinstance(asked["source"], str):
        asked["source"] = asked["source"].replace("SPOOL", str(box.places.spool))
    if "error" in changes:
        await box.ask("Install", **asked)
    else:
        assert await refusal(box, **asked) == code
    if code not in ("bad-address", "nothing-to-do", "already-there"):
        status = await box.until(lambda s: s["last_error"] is not None)
        assert status["last_error"]["code"] == code
        assert (await box.news(lambda told: told.error is not None)).error.startswith(code)
        assert box.journal.read().attempt is None
    if asked["source"] == source:
        await box.until(lambda s: s["operation"] == "idle")
        assert box.spooled() == []
    assert replay.environment.values()["BOOT_A_LEFT"] == "9"


async def test_nothing_is_installed_on_trial(box: Box) -> None:
    box.boots("A", trial=True)
    box.journal.change(lambda s: state.begin(s, attempt(slot="A", stage="trial")))
    box.start()
    await box.ask("Status")
    assert await refusal(box, source=box.spool()) == "on-trial"
    assert await refusal(box, "Usb", folder="/nowhere") == "on-trial"


async def test_a_version_that_was_confirmed_may_be_followed_at_once(box: Box, replay: Replay) -> None:
    """In the boot in which it proved itself, of which the kernel's command line says "trial" to the end."""
    box.boots("A", trial=True)
    box.start()
    await box.ask("Install", source=box.spool())
    status = await box.until(lambda s: s["operation"] == "restart-due")
    assert not status["trial"]
    await box.ask("Cancel")
    assert box.journal.read().attempt is None
    assert replay.marks == [("bad", "other")]


async def test_cancelled_while_rauc_writes(box: Box, replay: Replay) -> None:
    box.start()
    replay.hold.clear()
    await box.ask("Install", source=box.spool())
    await box.until(lambda s: s["operation"] == "installing")
    await box.ask("Cancel")
    attempt = box.journal.read().attempt
    assert attempt is not None
    assert attempt.cause == "cancelled"
    replay.hold.set()
    status = await box.until(lambda s: s["operation"] == "idle")
    assert replay.marks == [("bad", "other")]
    assert replay.environment.values()["BOOT_ORDER"] == "A"
    assert status["last"]["result"] == "cancelled"
    assert box.journal.read().attempt is None
    assert await refusal(box, "Cancel") == "nothing-to-do"


async def test_cancelled_before_the_restart(box: Box, replay: Replay) -> None:
    box.start()
    await box.ask("Install", source=box.spool())
    await box.until(lambda s: s["operation"] == "restart-due")
    await box.ask("Cancel")
    assert replay.environment.values()["BOOT_ORDER"] == "A"
    assert (await box.ask("Status"))["operation"] == "idle"
    assert await refusal(box, "Restart") == "nothing-to-do"


async def test_it_ends_when_idle_and_takes_a_passed_socket(
    box: Box, tmp_path_factory: pytest.TempPathFactory
) -> None:
    leftover = box.places.spool / "half.raucb"
    leftover.write_bytes(b"x")
    os.utime(leftover, (1, 1))
    uploading = box.places.spool / "now.raucb"
    uploading.write_bytes(b"x")
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(box.places.paths.socket("update")))
    sock.listen()
    update = Update(box.places, timing=QUICK, bus_address=box.address)
    run = asyncio.create_task(update.run(sock))
    assert (await box.ask("Status"))["version"] == RUNNING
    assert not leftover.exists()
    assert uploading.exists()
    await asyncio.wait_for(run, 5)
    assert box.places.paths.socket("update").exists(), "systemd listens on"


async def test_it_does_not_end_while_a_restart_is_due(box: Box) -> None:
    run = box.start(QUICK)
    await box.ask("Install", source=box.spool())
    await box.until(lambda s: s["operation"] == "restart-due")
    await asyncio.sleep(1)
    assert not run.done()


async def test_room_is_checked_before_a_file_is_written(box: Box) -> None:
    box.start()
    path = Path((await box.ask("Room", size=1000))["path"])
    assert path.parent == box.places.spool
    assert await refusal(box, "Room", size=1 << 40) == "bundle-too-large"
    assert await refusal(box, "Room", size=0) == "no-size"
    assert await refusal(box, "Room", size="much") == "no-size"


# -- sticks


def stick(folder: Path, replay: Replay, **versions: str) -> Path:
    folder = folder / "stick"
    folder.mkdir()
    for name, version in versions.items():
        octets = f"{name} ".ljust(100, "x").encode() + bytes(1000)
        (folder / f"{name.replace('_', '.')}.raucb").write_bytes(octets)
        replay.versions[octets[:100]] = version
    (folder / "holiday.jpg").write_bytes(b"x")
    (folder / ".hidden.raucb").write_bytes(b"x")
    (folder / "link.raucb").symlink_to("/etc/passwd")
    (folder / "folder.raucb").mkdir()
    return folder


async def test_a_stick_s_newest_acceptable_bundle_is_offered(
    box: Box, replay: Replay, tmp_path: Path
) -> None:
    box.journal.change(lambda s: msgspec.structs.replace(s, floor="1.3.0"))
    folder = stick(tmp_path, replay, old="1.2.0", platen_1_5_0="1.5.0", claims_9_9_9="1.4.5", same=RUNNING)
    box.start()
    assert await box.ask("Usb", folder=str(folder)) == {"version": "1.5.0"}
    status = await box.until(lambda s: s["operation"] == "idle")
    assert status["offer"] == {"version": "1.5.0", "origin": "usb"}
    assert status["next_version"] == "1.5.0"
    assert len(list(box.places.spool.iterdir())) == 1
    await box.ask("Install")
    await box.until(lambda s: s["operation"] == "restart-due")
    assert list(box.places.spool.iterdir()) == []


async def test_a_stick_installs_by_itself_only_where_the_setting_says_so(
    box: Box, replay: Replay, tmp_path: Path
) -> None:
    box.set("update.usb", "off")
    folder = stick(tmp_path, replay, new="1.5.0")
    box.start()
    assert await box.ask("Usb", folder=str(folder)) == {"version": None}
    assert replay.sources == []
    box.set("update.usb", "automatic")
    assert await box.ask("Usb", folder=str(folder)) == {"version": "1.5.0"}
    await box.until(lambda s: s["operation"] == "restart-due")


async def test_a_stick_with_nothing_good_says_why(box: Box, replay: Replay, tmp_path: Path) -> None:
    box.journal.change(lambda s: msgspec.structs.replace(s, floor="1.3.0"))
    folder = stick(tmp_path, replay, old="1.2.0")
    box.start()
    assert await box.ask("Usb", folder=str(folder)) == {"version": None}
    assert (await box.ask("Status"))["last_error"]["code"] == "bundle-too-old"
    assert await box.ask("Usb", folder="/nowhere") == {"version": None}
    await box.until(lambda s: s["operation"] == "idle")
    assert list(box.places.spool.iterdir()) == []


# -- the gate


def attempt(**changes: Any) -> state.Attempt:
    usual = state.Attempt(
        version="1.5.0", origin_version=RUNNING, slot="B", origin="A", stage="installed",
        started="2026-11-21T08:00:00Z", boot_id="before", floor="1.3.0",
        before=state.Before(printers=4, portal=True),
    )  # fmt: skip
    return msgspec.structs.replace(usual, **changes)


class Services:
    """Collector and uplink as far as the gate asks them, a page, and systemd's word about units."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.answering = 4
        self.portal = "connected"
        self.active = "active"
        self._servers: list[control.Server] = []
        self._page: asyncio.Server | None = None

    async def open(self, patch: pytest.MonkeyPatch) -> None:
        async def collector(_: dict[str, Any]) -> dict[str, Any]:
            return {"printers": 4, "answering": self.answering}

        async def uplink(_: dict[str, Any]) -> dict[str, Any]:
            return {"state": self.portal}

        async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 303 See Other\r\nContent-Length: 0\r\n\r\n")
            writer.close()

        async def unit(_: object, name: str) -> Unit:
            return Unit(name=name, active=self.active, sub="running", since=time.monotonic() - 100)

        paths = self.box.places.paths
        for name, answer in (("collector", collector), ("uplink", uplink)):
            self._servers.append(await control.serve(paths.socket(name), {f"platen.{name}.Status": answer}))
        self._page = await asyncio.start_server(page, "127.0.0.1", 0)
        port = self._page.sockets[0].getsockname()[1]
        self.box.places = msgspec.structs.replace(self.box.places, page=("127.0.0.1", port))
        patch.setattr(look.systemd1, "unit", unit)

    async def close(self) -> None:
        for server in self._servers:
            await server.close()
        if self._page is not None:
            self._page.close()


@pytest.fixture
async def services(box: Box, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Services]:
    made = Services(box)
    await made.open(monkeypatch)
    yield made
    await made.close()


def gate(box: Box, deadline_s: float = 0.3) -> Keeper:
    timing = keeper.Timing(deadline_s=deadline_s, look_s=0.02, boot_s=0.2)
    return Keeper(box.places, timing, box.address)


def on_trial(box: Box, replay: Replay, **changes: Any) -> None:
    box.boots("B", trial=True, version="1.5.0")
    replay.booted = "B"
    replay.environment.set(BOOT_ORDER="B A", BOOT_B_LEFT="2")
    box.journal.change(lambda s: state.begin(s, attempt(**changes)))


def sent(caplog: pytest.LogCaptureFixture) -> dict[str, str]:
    """Messages that the catalogue explains, with the version each is about."""
    return {
        r.__dict__["MESSAGE_ID"]: r.__dict__["PLATEN_VERSION"]
        for r in caplog.records
        if "MESSAGE_ID" in r.__dict__
    }


async def test_what_became_of_an_update_is_in_the_journal_by_id(
    box: Box, replay: Replay, services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    box.start()
    await box.ask("Install", source=box.spool())
    await box.until(lambda s: s["operation"] == "restart-due")
    assert sent(caplog) == {Message.UPDATE_INSTALLED: "1.5.0"}
    caplog.clear()
    on_trial(box, replay)
    assert await gate(box).run() is True
    assert sent(caplog) == {Message.UPDATE_CONFIRMED: "1.5.0"}
    caplog.clear()
    box.journal.change(lambda s: state.begin(s, attempt(stage="trial", cause="gate-page")))
    box.boots("A")
    replay.environment.set(BOOT_ORDER="A", BOOT_B_LEFT="0")
    await gate(box).run()
    assert sent(caplog) == {Message.UPDATE_TAKEN_BACK: "1.5.0"}
    assert caplog.records[0].__dict__["PLATEN_CAUSE"] == "gate-page"
    caplog.clear()
    await gate(box).run()
    assert sent(caplog) == {}, "told once"


async def test_a_factory_reset_is_asked_of_systemd(box: Box) -> None:
    box.start()
    await box.ask("FactoryReset")
    assert box.places.reset.exists()
    assert not box.places.restart.exists()


async def test_no_factory_reset_into_new_software(box: Box, replay: Replay) -> None:
    """The printers that answered before are what it is judged by, and they would be forgotten."""
    box.start()
    await box.ask("Install", source=box.spool())
    await box.until(lambda s: s["operation"] == "restart-due")
    with pytest.raises(PlatenError) as refused:
        await box.ask("FactoryReset")
    assert refused.value.code == "restart-waits"
    on_trial(box, replay)
    with pytest.raises(PlatenError) as refused:
        await box.ask("FactoryReset")
    assert refused.value.code == "on-trial"
    assert not box.places.reset.exists()


async def test_the_gate_confirms(box: Box, replay: Replay, services: Services) -> None:
    on_trial(box, replay)
    assert await gate(box).run() is True
    assert replay.marks == [("good", "booted")]
    now = box.journal.read()
    assert now.attempt is None
    assert now.floor == "1.3.0"
    assert now.last is not None
    assert now.last.result == "confirmed"
    assert box.portal_news().trial is False
    assert not box.places.restart.exists()


@pytest.mark.parametrize(
    ("trouble", "cause"),
    [
        ({"answering": 1}, "gate-printers"),
        ({"portal": "waiting"}, "gate-portal"),
        ({"active": "failed"}, "gate-services"),
    ],
)
async def test_the_gate_takes_back_and_the_next_boot_tells(
    box: Box, replay: Replay, services: Services, trouble: dict[str, Any], cause: str
) -> None:
    on_trial(box, replay)
    for name, value in trouble.items():
        setattr(services, name, value)
    assert await gate(box).run() is False
    assert replay.marks == [("bad", "booted")]
    assert box.places.restart.exists()
    box.boots("A")
    replay.booted = "A"
    assert await gate(box).run() is True
    now = box.journal.read()
    assert now.rollback is not None
    assert (now.rollback.version, now.rollback.kept, now.rollback.cause) == ("1.5.0", RUNNING, cause)
    assert box.portal_news().rollback == now.rollback
    box.start()
    status = await box.ask("Status")
    assert status["last_rollback"]["cause"] == cause
    await box.ask("Acknowledge")
    assert (await box.ask("Status"))["last_rollback"] is None
    assert box.portal_news().rollback is None


async def test_a_version_that_never_started_is_told(box: Box, replay: Replay, services: Services) -> None:
    box.journal.change(lambda s: state.begin(s, attempt()))
    replay.environment.set(BOOT_ORDER="B A", BOOT_B_LEFT="0")
    assert await gate(box).run() is True
    rollback = box.journal.read().rollback
    assert rollback is not None
    assert rollback.cause == "did-not-start"
    assert replay.marks == []


async def test_the_gate_waits_for_slow_printers(box: Box, replay: Replay, services: Services) -> None:
    on_trial(box, replay)
    services.answering = 0
    run = asyncio.create_task(gate(box, deadline_s=5).run())
    await asyncio.sleep(0.2)
    assert replay.marks == []
    services.answering = 2
    assert await run is True


async def test_without_a_boot_loader_s_word_it_goes_back(
    box: Box, replay: Replay, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_trial(box, replay)

    async def mark(*_: object) -> None:
        raise Fault("no")

    monkeypatch.setattr(keeper.Installer, "mark", mark)
    assert await gate(box).run() is False
    attempt = box.journal.read().attempt
    assert attempt is not None
    assert attempt.cause == "gate-loader"
    assert box.places.restart.exists()


async def test_a_usual_boot_is_noted_and_costs_one_write(
    box: Box, replay: Replay, services: Services
) -> None:
    box.boots("A", floor="1.1.0")
    assert await gate(box).run() is True
    assert replay.environment.log.read_text() == "BOOT_SEEN=0\n"
    assert replay.marks == []
    assert box.journal.read().floor == "1.1.0", "a freshly written card has the floor of its image"
    assert await gate(box).run() is True
    assert replay.environment.log.read_text() == "BOOT_SEEN=0\n"


async def test_the_gate_leaves_an_update_that_waits_for_its_restart(
    box: Box, replay: Replay, services: Services
) -> None:
    box.journal.change(lambda s: state.begin(s, attempt()))
    replay.environment.set(BOOT_ORDER="B A", BOOT_B_LEFT="3")
    assert await gate(box).run() is True
    assert replay.marks == []
    assert replay.environment.values()["BOOT_ORDER"] == "B A"
    assert box.journal.read().attempt is not None


async def test_an_environment_that_cannot_be_read_is_no_reason_to_guess(
    box: Box, replay: Replay, environment: Environment
) -> None:
    box.journal.change(lambda s: state.begin(s, attempt()))
    environment.file.unlink()
    with pytest.raises(Fault):
        await gate(box).run()
    assert box.journal.read().rollback is None


# -- RAUC's question


@pytest.mark.parametrize(
    ("manifest", "status"),
    [
        ("[update]\nversion=1.3.0\n", 0),
        ("[update]\nversion=1.2.9\n", 3),
        ("[update]\nversion=2.0.0%s\n", 3),
        ("[update]\n", 3),
        ("nonsense", 3),
        (None, 3),
    ],
)
def test_the_floor_holds_for_rauc_install_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, manifest: str | None, status: int
) -> None:
    Journal(tmp_path).change(lambda s: msgspec.structs.replace(s, floor="1.3.0"))
    mounted = tmp_path / "bundle"
    mounted.mkdir()
    if manifest is not None:
        (mounted / "manifest.raucm").write_text(manifest)
    monkeypatch.setenv("RAUC_BUNDLE_MOUNT_POINT", str(mounted))
    assert floor.check(tmp_path) == status
