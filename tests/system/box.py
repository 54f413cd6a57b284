# SPDX-License-Identifier: Apache-2.0
"""The box under test: QEMU in a container, seen from outside as a person or a dealer would, and from inside.

It is in one state at a time, as a board under labgrid's Strategy: `transition` brings it to another by the steps
between.
"""

from __future__ import annotations

import contextlib
import enum
import http.client
import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import msgspec

from tests.system import qemu, wire
from tests.system.agent_client import Agent, Result
from tests.system.lab import UPDATES, Lab

MIB = 1024 * 1024
CARD = 4096 * MIB
BOX_ID, SETUP_CODE = "PL-0TST-B0X1", "TEST-C0DE"
BOOT_S = 300
"""The slowest boot to ready under TCG on two busy cores; from power-on to a reading it may take 180."""

ROLLBACK_S = 300
INSTALL_S = 420
UNITS = ("platen-collector.service", "platen-uplink.service", "platen-webui.socket")

_CALL = """
import json, socket, sys
service, request = sys.argv[1], sys.stdin.read()
s = socket.socket(socket.AF_UNIX)
s.settimeout(60)
s.connect(f"/run/platen/{service}.sock")
s.sendall(request.encode() + b"\\0")
data = b""
while not data.endswith(b"\\0"):
    piece = s.recv(65536)
    if not piece:
        break
    data += piece
print(data.rstrip(b"\\0").decode())
"""


class State(enum.Enum):
    OFF = "off"
    BOOTING = "booting"
    READY = "ready"
    INSTALLING = "installing"
    SLOT_A = "slot a, committed"
    SLOT_B = "slot b, committed"
    ROLLED_BACK = "back on the slot before"
    RESCUE = "rescue"


UP = {State.READY, State.SLOT_A, State.SLOT_B, State.ROLLED_BACK}


class ControlError(Exception):
    """What a service of the box answered instead of a result."""

    def __init__(self, code: str, parameters: dict[str, Any]) -> None:
        super().__init__(f"{code}: {parameters.get('sentence', parameters)}")
        self.code, self.parameters = code, parameters


class InstallationFailed(Exception):
    """The status says why."""


class Page(msgspec.Struct, frozen=True):
    """What the box's web server answered."""

    status: int
    text: str
    headers: dict[str, str]


class Box:
    """One machine with one card. `good` and `bad` are what `transition` installs to get elsewhere."""

    def __init__(self, lab: Lab, image: Path, *, options: qemu.Options | None = None) -> None:
        self.lab, self.image = lab, image
        self.folder = lab.folder / "box"
        self.options = options or qemu.Options()
        self.state = State.OFF
        self.good: Path | None = None
        self.bad: Path | None = None
        self.box_id, self.setup_code = BOX_ID, SETUP_CODE
        self.agent = Agent(self.folder / "agent.sock")
        self.began = 0.0
        """When the power came (monotonic)."""
        self._mark = 0
        self._boot_id = ""
        self._offsets: dict[str, int] = {}

    # --- the card ---

    @property
    def disk(self) -> Path:
        return self.folder / "disk.img"

    def flash(self, *, size: int = CARD, personal: bool = True) -> None:
        """A new card: the image, and what a dealer's tool puts onto it."""
        self.transition(State.OFF)
        subprocess.run(["cp", "--sparse=always", self.image, self.disk], check=True)
        os.truncate(self.disk, size)
        if personal:
            self.lab.allow(self.box_id)
            files = self.lab.personal(self.box_id, self.setup_code)
            self.put("platen", files)

    def put(self, folder: str, files: dict[str, bytes]) -> None:
        """Writes files onto the card's FAT partition, as another computer would. The power has to be off."""
        assert self.state is State.OFF
        beside = self.folder / "put"
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir()
        for name, data in files.items():
            (beside / name).write_bytes(data)
        fat = f"/lab/box/disk.img@@{self.offset('firmware')}"
        script = f"mmd -i {fat} -D s ::/{folder} </dev/null; mcopy -i {fat} -o /lab/box/put/* ::/{folder}/"
        self.lab.tool("sh", "-c", script)
        shutil.rmtree(beside)

    def get(self, name: str) -> str:
        """A file of the FAT partition; "" where there is none. The power has to be off."""
        assert self.state is State.OFF
        fat = f"/lab/box/disk.img@@{self.offset('firmware')}"
        return self.lab.tool("sh", "-c", f"mtype -i {fat} ::/{name} 2>/dev/null || true")

    def offset(self, partition: str) -> int:
        """Where a partition begins, in octets, by its name in the partition table."""
        if not self._offsets:
            table = json.loads(self.lab.tool("sfdisk", "--json", "/lab/box/disk.img"))["partitiontable"]
            self._offsets = {p["name"]: p["start"] * 512 for p in table["partitions"] if "name" in p}
        return self._offsets[partition]

    # --- power ---

    def boot(self) -> None:
        """The power comes. What the machine says on its serial line is in `serial()`."""
        assert self.state is State.OFF
        for name, text in qemu.credentials().items():
            (self.folder / name).write_text(text)
        (self.folder / "arguments").write_text("\n".join(qemu.arguments(self.options)) + "\n")
        self._mark = self._logged()
        if self.options.write_log:  # QEMU makes none
            (self.folder / Path(self.options.write_log).name).write_bytes(b"")
        self.agent.close()
        for name in ("agent.sock", "serial.sock"):
            (self.folder / name).unlink(missing_ok=True)
        self.began = time.monotonic()
        self.lab.compose("up", "-d", "--no-deps", "box")
        self.state = State.BOOTING

    def cut_power(self) -> None:
        """The plug is pulled. What QEMU had handed to the host's kernel stays written; `write_log` is for the rest."""
        self.lab.compose("kill", "-s", "KILL", "box", check=False)
        self.agent.close()
        self.state = State.OFF

    def stop(self) -> None:
        """QEMU ends in order, its log of writes whole. For the box it is a power cut."""
        self.lab.compose("kill", "-s", "TERM", "box")
        self.until(lambda: not self._running(), 60, "no end")
        self.cut_power()

    def reboot(self, timeout: float = BOOT_S) -> float:
        """Asks the box to restart and waits until it is ready. Seconds."""
        began = time.monotonic()
        self.run("(sleep 0.5; systemctl reboot) >/dev/null 2>&1 &")
        self.wait_other_boot(timeout)
        self.wait_ready(timeout)
        return time.monotonic() - began

    def elapsed(self) -> float:
        """Seconds since the power came."""
        return time.monotonic() - self.began

    # --- waiting ---

    def wait_agent(self, timeout: float = BOOT_S) -> None:
        """Until some boot of the box answers."""
        end = time.monotonic() + timeout
        while True:
            self._alive()
            try:
                self._boot_id = self.agent.run("true", timeout=5, grace=5).boot
                return
            except TimeoutError:
                if time.monotonic() > end:
                    raise TimeoutError(
                        f"no answer in {timeout:g} s; serial line: {self.serial()[-2000:]}"
                    ) from None

    def wait_other_boot(self, timeout: float = BOOT_S) -> None:
        """Until another boot than the last one seen answers."""
        before, end = self._boot_id, time.monotonic() + timeout
        while True:
            self.wait_agent(max(end - time.monotonic(), 1))
            if self._boot_id != before:
                return
            if time.monotonic() > end:
                raise TimeoutError(f"no restart in {timeout:g} s; serial line: {self.serial()[-2000:]}")
            time.sleep(1)

    def wait_ready(self, timeout: float = BOOT_S) -> float:
        """Until the services are up and the boot is through. Seconds since the power came."""
        end = time.monotonic() + timeout
        self.wait_agent(timeout)
        # Its exit status is 0 as soon as one of them is active.
        names = ("multi-user.target", *UNITS)
        check = f"systemctl is-active {' '.join(names)}"
        while (found := self.agent.run(check, timeout=30)).out.split() != ["active"] * len(names):
            if time.monotonic() > end:
                failed = self.run(
                    "systemctl --failed --no-pager; systemctl list-jobs --no-pager", check=False
                )
                raise TimeoutError(f"not ready in {timeout:g} s: {found.out}\n{failed}")
            time.sleep(1)
        self.state = State.READY
        return self.elapsed()

    def wait_serial(self, pattern: str, timeout: float = BOOT_S) -> re.Match[str]:
        """Until the serial line has said it since the power came."""
        end = time.monotonic() + timeout
        while not (found := re.search(pattern, self.serial())):
            self._alive()
            if time.monotonic() > end:
                raise TimeoutError(f"{pattern!r} was not said in {timeout:g} s: {self.serial()[-2000:]}")
            time.sleep(0.5)
        return found

    def until(self, check: Any, timeout: float, what: str, pause: float = 1) -> Any:
        """Until `check()` is true; its value. TimeoutError says `what` did not happen."""
        end = time.monotonic() + timeout
        while not (found := check()):
            if time.monotonic() > end:
                raise TimeoutError(f"{what}: not in {timeout:g} s")
            time.sleep(pause)
        return found

    # --- asking ---

    def run(self, cmd: str, *, timeout: float = 60, input: str = "", check: bool = True) -> str:
        """A shell command in the box, as root; what it wrote."""
        found: Result = self.agent.run(cmd, timeout=timeout, input=input)
        if check and found.rc:
            raise AssertionError(f"{cmd!r} in the box: {found.rc}\n{found.out}")
        return found.out

    def python(self, script: str, *words: str, input: str = "", timeout: float = 60) -> str:
        """A script on the box's Python."""
        self.run("cat > /run/platen-test.py", input=script)
        return self.run(f"python3 -I /run/platen-test.py {' '.join(words)}", input=input, timeout=timeout)

    def control(self, service: str, method: str, **parameters: object) -> dict[str, Any]:
        """A wish to one of the services over its control socket, as root. ControlError as it says."""
        request = json.dumps({"method": method, "parameters": parameters})
        answer = json.loads(self.python(_CALL, service, input=request))
        if "error" in answer:
            raise ControlError(answer["error"], answer.get("parameters", {}))
        found: dict[str, Any] = answer.get("parameters", {})
        return found

    def status(self) -> dict[str, Any]:
        """What the update service says."""
        return self.control("update", "platen.update.Status")

    def failed(self) -> dict[str, Any] | None:
        """Why the installation that was begun has ended; None while it goes on."""
        status = self._idle(self.status())
        if status is None or not status["last_error"]:
            return None
        self.state = State.READY
        return dict(status["last_error"])

    def boot_id(self) -> str:
        return self.agent.run("true").boot

    def agent_gone(self) -> bool:
        """Whether the boot that was last seen is over, or about to be."""
        try:
            found = self.agent.run("systemctl is-system-running", timeout=4, grace=2)
        except TimeoutError:
            return True
        return found.boot != self._boot_id or "stopping" in found.out

    def slot(self) -> str:
        """ "a" or "b", as the boot script chose."""
        found = re.search(r"platen\.slot=([ab])\b", self.run("cat /proc/cmdline"))
        assert found
        return found[1]

    def version(self) -> str:
        """IMAGE_VERSION of the running slot."""
        return self.run('. /usr/lib/os-release; printf %s "$IMAGE_VERSION"')

    def address(self, timeout: float = 60) -> str:
        """The IPv4 address that it has from the office's DHCP."""
        return str(self.until(lambda: dict(self.lab.leases()).get(qemu.MAC), timeout, "no lease for the box"))

    def page(
        self, path: str = "/", *, timeout: float = 20, method: str = "GET", body: bytes | None = None
    ) -> Page:
        """One request to the box's page from a computer in the office. OSError where nothing answers."""
        connection = http.client.HTTPConnection(self.address(), 80, timeout=timeout)
        try:
            connection.request(method, path, body=body)
            answer = connection.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return Page(answer.status, answer.read().decode(errors="replace"), headers)
        except http.client.HTTPException as error:
            raise ConnectionError(str(error)) from None
        finally:
            connection.close()

    def sent(self, since: int = 0) -> list[wire.Packet]:
        """What left its network card."""
        return list(wire.sent(self.folder / "wire.pcap", qemu.MAC, since))

    def serial(self) -> str:
        """What the serial line said since the power came."""
        log = self.folder / "serial.log"
        return log.read_bytes()[self._mark :].decode(errors="replace") if log.exists() else ""

    # --- updates ---

    def serve(self, bundle: Path, mode: str = "plain", name: str | None = None) -> str:
        """The HTTPS address at which the dealer's server offers it (modes: tests/system/server.py)."""
        name = name or bundle.name
        there = self.lab.folder / "http/www" / name
        if not there.exists():
            shutil.copyfile(bundle, there)
        return f"https://{UPDATES}/{mode}/{name}"

    def begin_install(self, source: str, **more: object) -> None:
        """Asks for an update from an address or a file of the box; it restarts as soon as it can."""
        assert self.state in UP
        self.control("update", "platen.update.Install", source=source, restart=True, **more)
        self.state = State.INSTALLING

    def refused(self, source: str, *, timeout: float = INSTALL_S, **more: object) -> dict[str, Any]:
        """Asks for an update that must not succeed; `code` and `sentence` of the answer, or of the status later."""
        before = self.status()["last_error"]
        try:
            self.begin_install(source, **more)
        except ControlError as error:
            return {"code": error.code, **error.parameters}
        status = self.until(lambda: self._idle(self.status()), timeout, "the installation does not end", 2)
        self.state = State.READY
        found = status["last_error"]
        assert found, f"it was installed: {status}"
        assert found != before, f"it was installed: {status}"
        return dict(found)

    def install(
        self, bundle: Path, *, mode: str = "plain", timeout: float = INSTALL_S, **more: object
    ) -> float:
        """Streams an update from the dealer's server and returns on its first boot that is ready: seconds until the
        other boot answered."""
        began = time.monotonic()
        self.begin_install(self.serve(bundle, mode), **more)
        self.wait_restart(timeout)
        took = time.monotonic() - began
        self.wait_ready()
        return took

    def wait_restart(self, timeout: float = INSTALL_S) -> None:
        """Until an installation has led to another boot; AssertionError as soon as it has failed."""
        before, end = self._boot_id, time.monotonic() + timeout
        while True:
            self.wait_agent(max(end - time.monotonic(), 1))
            if self._boot_id != before:
                return
            with contextlib.suppress(
                TimeoutError, AssertionError, json.JSONDecodeError
            ):  # it may go down just now
                said = self.status()
                if said["operation"] == "idle" and said["last_error"]:
                    raise InstallationFailed(str(said["last_error"]))
            if time.monotonic() > end:
                raise TimeoutError(f"not installed in {timeout:g} s: {self.serial()[-1000:]}")
            time.sleep(2)

    def wait_committed(self, timeout: float = ROLLBACK_S) -> State:
        """Until the running slot is no longer on trial."""
        self.until(lambda: not self.status()["trial"], timeout, "the slot stays on trial", 2)
        self.state = State.SLOT_A if self.slot() == "a" else State.SLOT_B
        return self.state

    # --- states ---

    def transition(self, target: State) -> None:
        """Goes there from wherever it is."""
        if target is self.state or (target is State.READY and self.state in UP):
            return
        step = {
            State.OFF: self.cut_power,
            State.BOOTING: self._to_booting,
            State.READY: self._to_ready,
            State.INSTALLING: self._to_installing,
            State.SLOT_A: lambda: self._to_slot("a"),
            State.SLOT_B: lambda: self._to_slot("b"),
            State.ROLLED_BACK: self._to_rolled_back,
            State.RESCUE: self._to_rescue,
        }[target]
        step()
        assert self.state is target, f"{self.state} instead of {target}"

    def _to_booting(self) -> None:
        self.transition(State.OFF)
        self.boot()

    def _to_ready(self) -> None:
        if self.state is State.RESCUE:
            # There is nothing to start on that card any more.
            self.flash()
        if self.state is State.INSTALLING:
            self.cut_power()
        if self.state is State.OFF:
            self.boot()
        self.wait_ready()

    def _to_installing(self) -> None:
        assert self.good, "nothing to install"
        self.transition(State.READY)
        self.begin_install(self.serve(self.good))

    def _to_slot(self, slot: str) -> None:
        self.transition(State.READY)
        if self.slot() != slot:
            assert self.good, "nothing to install"
            self.install(self.good)
        self.wait_committed()

    def _to_rolled_back(self) -> None:
        assert self.bad, "nothing bad to install"
        self.transition(State.READY)
        before = self.slot()
        self.begin_install(self.serve(self.bad))
        self.wait_restart(INSTALL_S + ROLLBACK_S)
        self.wait_ready()
        self.until(
            lambda: self.slot() == before and self.status()["last_rollback"], ROLLBACK_S, "no way back", 2
        )
        self.state = State.ROLLED_BACK

    def _to_rescue(self) -> None:
        self.transition(State.READY)
        self.run("fw_setenv BOOT_A_LEFT 0; fw_setenv BOOT_B_LEFT 0; sync")
        self.cut_power()
        self.boot()
        self.wait_serial(r"starting the rescue page")
        self.until(self.rescue_answers, BOOT_S, "the rescue page does not answer", 2)
        self.state = State.RESCUE

    def rescue_answers(self) -> bool:
        """Whether the page of a box that has nothing left to start is there."""
        try:
            return "rescue" in self.page("/").text.lower()
        except OSError:
            return False

    def _idle(self, status: dict[str, Any]) -> dict[str, Any] | None:
        return status if status["operation"] in ("idle", "restart-due") else None

    def _alive(self) -> None:
        assert self._running(), (
            f"QEMU has ended:\n{self.lab.compose('logs', '--no-color', 'box', check=False)[-2000:]}"
        )

    def _running(self) -> bool:
        return bool(self.lab.compose("ps", "-q", "--status", "running", "box", check=False).strip())

    def _logged(self) -> int:
        log = self.folder / "serial.log"
        return log.stat().st_size if log.exists() else 0
