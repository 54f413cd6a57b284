# SPDX-License-Identifier: Apache-2.0
"""The main job, end to end: `python -m demo` as a process, with real Mosquitto and real SNMP on loopback."""

from __future__ import annotations

import asyncio
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.host.control import call
from appliance.host.paths import Paths
from appliance.model.errors import PlatenError
from appliance.store import settings
from appliance.store.database import open_database
from demo import lan
from demo.stage import Ports, choose_ports
from demo.tally import Difference, compare

ROOT = Path(__file__).parent.parent
NAMES = {
    "broker": "mosquitto",
    "lan": "appliance.simulate",
    "portal": "fleet.cli",
    "collector": "appliance.collector",
    "uplink": "appliance.uplink",
    "webui": "appliance.webui",
}

pytestmark = [
    pytest.mark.skipif(
        shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin") is None, reason="no broker"
    ),
    pytest.mark.timeout(300),
]


class Demo:
    """A demo that runs. Its lines are read as they come."""

    def __init__(self, *words: str) -> None:
        ports = free_ports()
        self.page, self.portal = f"http://127.0.0.1:{ports.page}/", f"http://127.0.0.1:{ports.portal}/"
        where = ["--port", str(ports.page), "--portal-port", str(ports.portal), "--walks", "none"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "demo", *where, *words],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={k: v for k, v in os.environ.items() if k not in ("KEEP", "WALKS")},
        )
        self.said = ""

    def until(self, text: str) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line
            if text in line:
                return
            if line.startswith("After "):
                break
        self.process.send_signal(signal.SIGINT)
        self.end()
        pytest.fail(f"{text!r} was not said:\n{self.said}")

    def end(self) -> int:
        self.said += self.process.communicate(timeout=60)[0]
        return self.process.returncode

    def children(self) -> dict[str, int]:
        """Process ids by name; a dead one is not among them."""
        found = {}
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        for pid in map(int, listed.split()):
            try:
                command = Path(f"/proc/{pid}/cmdline").read_bytes().decode()
            except OSError:
                continue
            found |= {name: pid for name, word in NAMES.items() if word in command}
        return found


def free_ports() -> Ports:
    """Not the usual ones, which another test or a demo may have."""
    from demo.broker import free_port

    return choose_ports(free_port(), free_port())[0]


@pytest.fixture
def start() -> Iterator[Callable[..., Demo]]:
    started: list[Demo] = []

    def begin(*words: str) -> Demo:
        started.append(Demo(*words))
        return started[-1]

    yield begin
    for demo in started:
        demo.process.kill()
        demo.process.wait()


@pytest.fixture
def state() -> Iterator[Path]:
    """A folder that Mosquitto's account may enter, which pytest's own are not."""
    path = Path(tempfile.mkdtemp(prefix="pd"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


def wait_for(condition: Callable[[], object], within: float = 30) -> None:
    end = time.monotonic() + within
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_from_nothing_to_both_pages_and_back(start: Callable[..., Demo]) -> None:
    demo = start()
    demo.until("Ctrl-C stops everything")
    assert f"All {lan.printers()} printers stand on both pages" in demo.said
    assert demo.page in demo.said
    assert re.search(r"Setup code +[0-9A-Z]{4}-[0-9A-Z]{4} ", demo.said)
    with urllib.request.urlopen(demo.page, timeout=10) as answer:
        assert answer.status == 200
    with urllib.request.urlopen(demo.portal, timeout=10) as answer:
        assert re.search(r"PL-[0-9A-Z]{4}-[0-9A-Z]{4}", answer.read().decode())
    children = demo.children()
    assert set(children) == set(NAMES)
    [folder] = {Path(p).parent for p in _arguments(children["broker"]) if p.endswith("mosquitto.conf")}
    assert folder.exists()
    demo.process.send_signal(signal.SIGINT)
    assert demo.end() == 0, demo.said
    assert "Traceback" not in demo.said
    assert not any(map(alive, children.values()))
    assert not folder.parent.exists()


def _arguments(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")


def test_a_killed_demo_leaves_no_process_and_the_next_one_sweeps_up(start: Callable[..., Demo]) -> None:
    first = start()
    first.until("This box is")
    children = first.children()
    assert set(children) == set(NAMES)
    [conf] = [p for p in _arguments(children["broker"]) if p.endswith("mosquitto.conf")]
    first.process.kill()
    first.process.wait()
    wait_for(lambda: not any(map(alive, children.values())))
    assert Path(conf).exists()
    second = start("--once", "--deadline", "0.1")
    assert second.end() == 1
    assert not Path(conf).exists()
    assert re.search(
        rf"After 0.1 s: \d+ of {lan.printers()} printers on the box's page, \d+ at the dealer", second.said
    )
    assert "Not on the box's page: 127.77.0." in second.said


def test_a_taken_port(start: Callable[..., Demo]) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        demo = start("--port", str(taken.getsockname()[1]))
        assert demo.end() == 2
    assert demo.said.startswith("platen: port-taken: ")
    assert demo.said.count("\n") == 1


def quiet(state: Path) -> None:
    """No poll from now on, so that what is on its way can arrive."""
    db = open_database(state / "box/platen.db")
    try:
        for key, value in (
            ("poll.status_s", 86_400),
            ("poll.full_s", 7 * 86_400),
            ("discovery.every_h", 720),
        ):
            settings.put(db, key, value, "installer")
    finally:
        db.close()


def searches_again(state: Path) -> bool:
    try:
        asyncio.run(call(Paths.of(state / "box").socket("collector"), "platen.collector.Scan"))
    except PlatenError:
        return False  # it is starting, or still at the search before
    return True


@pytest.mark.parametrize("seed", [int(s) for s in os.environ.get("SEEDS", "1").split(",")])
def test_kill_anything_at_any_time(start: Callable[..., Demo], state: Path, seed: int) -> None:
    """Each process is killed twice, at seeded moments, the first time while printers are still being found. All come
    back, and the dealer ends with every reading exactly once."""
    demo = start("--state", str(state), "--deadline", "150")
    demo.until("This box is")
    box = re.search(r"PL-[0-9A-Z]{4}-[0-9A-Z]{4}", demo.said)
    assert box is not None
    moments = random.Random(seed)
    for _ in range(2):
        for name in moments.sample(sorted(NAMES), len(NAMES)):
            time.sleep(moments.uniform(0.1, 2.5))
            wait_for(lambda name=name: name in demo.children())  # type: ignore[misc]
            os.kill(demo.children()[name], signal.SIGKILL)
    # Printers that were off while the box looked are found when it looks again, as a person would tell it to.
    wait_for(lambda: searches_again(state))
    demo.until(f"All {lan.printers()} printers stand on both pages")
    wait_for(lambda: set(demo.children()) == set(NAMES))
    time.sleep(moments.uniform(1, 4))
    quiet(state)
    found: list[Difference] = []

    def exactly_once() -> bool:
        found.append(compare(state / "box/platen.db", state / "portal/fleet.db", box[0]))
        return found[-1].none

    try:
        # What a killed broker forgot is sent again when the box has waited a minute for the dealer's answer.
        wait_for(exactly_once, 100)
    except AssertionError:
        pytest.fail(f"seed {seed}: {found[-1]}\n" + "\n".join(found[-1].strange))
    assert found[-1].readings >= lan.printers()
    demo.process.send_signal(signal.SIGINT)
    assert demo.end() == 0, demo.said
    assert "Traceback" not in demo.said
    assert "Traceback" not in (state / "log").read_text()
