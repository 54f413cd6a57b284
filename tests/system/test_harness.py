# SPDX-License-Identifier: Apache-2.0
"""The harness' own parts that need neither container nor QEMU."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import threading
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.collector.wire import snmprec
from tests.system import qemu, wire
from tests.system.agent_client import Agent
from tests.system.lab import OFFICE, TREE, another

AGENT = Path(qemu.__file__).parent / "agent.py"
LONGEST_NAME = 55
"""QEMU's FW_CFG_MAX_FILE_PATH without its NUL."""


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    """The agent, with a terminal in place of the serial port and a thread in place of QEMU."""
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    start = f"import runpy, os; m = runpy.run_path({str(AGENT)!r}); m['serve']({theirs})"
    process = subprocess.Popen([sys.executable, "-c", start], pass_fds=[theirs])
    os.close(theirs)
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "a"))
    server.listen()

    def carry(read: int, write: int) -> None:
        try:
            while data := os.read(read, 65536):
                os.write(write, data)
        except OSError:
            pass

    def connect() -> None:
        peer, _ = server.accept()
        back = threading.Thread(target=carry, args=(ours, peer.fileno()), daemon=True)
        back.start()
        carry(peer.fileno(), ours)
        peer.detach()

    threading.Thread(target=connect, daemon=True).start()
    found = Agent(tmp_path / "a")
    yield found
    process.kill()
    process.wait()
    found.close()
    server.close()


def test_a_command_and_what_it_wrote(agent: Agent) -> None:
    found = agent.run("echo out; echo err >&2; cat; exit 3", input="in\n")
    assert (found.rc, found.out) == (3, "out\nerr\nin\n")
    assert len(agent.run("head -c 300000 /dev/zero | tr '\\0' x").out) == 300_000


def test_a_command_that_takes_too_long_is_ended(agent: Agent) -> None:
    assert agent.run("echo a; sleep 30; echo b", timeout=1).rc == 124
    assert agent.run("echo still here").out == "still here\n"


def test_nobody_there_is_a_timeout(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError):
        Agent(tmp_path / "none").run("true", timeout=0.2, grace=0.2)


def test_credentials_fit_where_they_go() -> None:
    for name, text in qemu.credentials().items():
        assert len(f"opt/io.systemd.credentials/{name}") <= LONGEST_NAME
        assert len(text.encode()) < 1024 * 1024


def test_the_boards_get_no_pci() -> None:
    words = qemu.arguments(qemu.Options(machine="raspi3b", firmware="/f", tree="/t"))
    assert "if=sd,format=raw,file=/lab/box/disk.img,cache=writeback" in words
    assert not [w for w in words if "virtio" in w]


def test_writes_are_logged_where_asked() -> None:
    words = " ".join(qemu.arguments(qemu.Options(write_log="/lab/box/log")))
    assert "driver=blklogwrites,node-name=logged,file=card,log.driver=file,log.filename=/lab/box/log" in words
    assert "virtio-blk-pci,drive=logged" in words


def test_the_capture_is_read_as_it_was_written(tmp_path: Path) -> None:
    mac = bytes.fromhex(qemu.MAC.replace(":", ""))
    ip = bytes((0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2))
    tcp = struct.pack(">HHIIBBHHH", 40000, 443, 1, 0, 0x50, 0x02, 100, 0, 0)
    frames = [b"\xff" * 6 + mac + b"\x08\x00" + ip + tcp, mac + b"\xee" * 6 + b"\x08\x00" + ip + tcp]
    file = tmp_path / "c"
    head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65536, 1)
    body = b"".join(struct.pack("<IIII", 0, 0, len(f), len(f)) + f for f in frames)
    file.write_bytes(head + body + b"half a rec")
    (packet,) = wire.sent(file, qemu.MAC)
    assert packet == wire.Packet("tcp", "10.0.0.1", "10.0.0.2", 40000, 443, True)
    assert list(wire.sent(file, qemu.MAC, since=len(head + body))) == []


def test_the_ledger_of_pulled_plugs_has_each_seed_once() -> None:
    text = (TREE / "tests/system/seeds.txt").read_text()
    rows = [line.split() for line in text.splitlines() if not line.startswith("#")]
    for seed, commit, step, seconds, result, *_ in rows:
        assert int(seed) > 0
        assert commit
        assert step
        assert float(seconds) >= 0
        assert result in ("good", "bad")
    assert len({row[0] for row in rows}) == len(rows)


@pytest.mark.parametrize("name", OFFICE)
def test_another_device_of_the_same_model(name: str) -> None:
    text = (TREE / f"tests/printers/{name}/walk.snmprec").read_text()
    changed = another(text, 42)
    old, new = (list(snmprec.load(t, name=name)) for t in (text, changed))
    assert [v.oid for v in old] == [v.oid for v in new]
    differ = {a.oid for a, b in zip(old, new, strict=True) if a != b}
    assert "1.3.6.1.2.1.43.5.1.1.17.1" in differ
    assert any(oid.startswith("1.3.6.1.2.1.2.2.1.6.") for oid in differ)
    assert json.dumps(sorted(differ))
