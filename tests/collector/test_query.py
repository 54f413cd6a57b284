# SPDX-License-Identifier: Apache-2.0
"""What `platen query` does, short of the command line itself."""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.collector import query
from appliance.collector.page import bar, number, page
from appliance.model.errors import NameUnknown, NoAnswer, NotAPrinter, PlatenError, RecordingError, UsageError
from appliance.model.reading import Alert, PrinterFacts, Reading, Supply
from appliance.simulate.command import load
from appliance.simulate.server import Server

TESTS = Path(__file__).parents[1]
WALK = TESTS / "printers" / "kyocera-taskalfa-3554ci" / "walk.snmprec"


def run(*argv: str) -> int:
    parser = argparse.ArgumentParser()
    query.add_arguments(parser)
    return query.run(parser.parse_args(argv))


@contextmanager
def answering(walk: Path, behaviour: str = "") -> Iterator[str]:
    """HOST:PORT of a simulated printer in a thread of its own: `run` has its own event loop."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ready, loop = threading.Event(), asyncio.new_event_loop()
    end = asyncio.Event()

    async def serve() -> None:
        async with Server(load([f"{walk}{behaviour}"], f"127.0.0.1:{port}"), port):
            ready.set()
            await end.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(10), "the simulated printer did not start"
    try:
        yield f"127.0.0.1:{port}"
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join()
        loop.close()


def test_a_recording_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--walk", str(WALK), "--json") == 0
    out = capsys.readouterr().out
    found = json.loads(out)
    assert out.count("\n") == 1
    assert found["schema"] == "platen.reading/1"
    assert found["printer"]["serial"] == "R7F1Z04418"
    assert found["traffic"]["packets_sent"] == 0
    assert {s["class"] for s in found["supplies"]} == {"supplyThatIsConsumed", "receptacleThatIsFilled"}


def test_a_recording_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--walk", str(WALK)) == 0
    out = capsys.readouterr().out
    for words in ("Kyocera TASKalfa 3554ci", "R7F1Z04418", "149 621", "TK-8375C", "LOW", "█", "Trays"):
        assert words in out
    assert all(len(line) < 120 for line in out.splitlines())


def test_raw_lines_read_back(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run("--walk", str(WALK), "--raw") == 0
    again = tmp_path / "again.snmprec"
    again.write_text(capsys.readouterr().out)
    assert run("--walk", str(again), "--json") == 0
    assert json.loads(capsys.readouterr().out)["printer"]["serial"] == "R7F1Z04418"


def test_over_the_network(capsys: pytest.CaptureFixture[str]) -> None:
    with answering(WALK) as host:
        assert run(host, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["address"] == "127.0.0.1"
    assert 0 < found["traffic"]["packets_sent"] == found["traffic"]["packets_received"] <= 30


def test_version_1_is_tried_where_2c_finds_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    with answering(WALK, ",v1") as host:
        assert run(host, "--json", "--timeout", "0.3", "--retries", "0") == 0
        assert json.loads(capsys.readouterr().out)["printer"]["serial"] == "R7F1Z04418"
        with pytest.raises(NoAnswer):
            run(host, "--snmp", "2c", "--timeout", "0.3", "--retries", "0")


@pytest.mark.parametrize(
    ("argv", "error", "code"),
    [
        ((), UsageError, "bad-usage"),
        (("192.168.1.1", "--walk", "x"), UsageError, "bad-usage"),
        (("192.168.1.1:0",), UsageError, "bad-target"),
        (("192.168.1.1:",), UsageError, "bad-target"),
        (("192.168.1.0/24",), UsageError, "bad-target"),
        (("[fe80::1",), UsageError, "bad-target"),
        (("8.8.8.8",), UsageError, "public-address"),
        (("not a name",), UsageError, "bad-target"),
        (("no-such-printer.invalid",), NameUnknown, "name-unknown"),
        (("127.0.0.1:1", "--timeout", "0.1", "--retries", "0"), NoAnswer, "no-answer"),
        (("192.168.1.1", "--timeout", "0"), UsageError, "bad-usage"),
        (("192.168.1.1", "--snmp", "3"), UsageError, "bad-usage"),
        (("--walk", "/no/such/file"), RecordingError, "bad-recording"),
    ],
)
def test_what_cannot_be_done(argv: tuple[str, ...], error: type[PlatenError], code: str) -> None:
    with pytest.raises(error) as caught:
        run(*argv)
    assert caught.value.code == code
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "rubbish\n", "1.3.6|4\n", "1.3.6.1|99|x\n", "1.3.6.1|4x|zz\n"]
)
def test_what_is_no_recording(tmp_path: Path, text: str) -> None:
    file = tmp_path / "x.snmprec"
    file.write_text(text)
    with pytest.raises(RecordingError) as caught:
        run("--walk", str(file))
    assert caught.value.exit_status == 2


def test_a_recording_of_something_else() -> None:
    walk = TESTS / "other_devices" / "switch-24-port" / "walk.snmprec"
    with pytest.raises(NotAPrinter) as caught:
        run("--walk", str(walk))
    assert caught.value.exit_status == 1


def test_keys_come_from_files_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = tmp_path / "key"
    key.write_text("a secret phrase\nand more\n")
    assert query._secret(str(key), "NO_SUCH", "Key") == "a secret phrase"
    monkeypatch.setenv("PLATEN_AUTH_KEY", "another phrase")
    assert query._secret(None, "PLATEN_AUTH_KEY", "Key") == "another phrase"
    with pytest.raises(UsageError) as caught:
        query._secret(str(tmp_path / "none"), "PLATEN_AUTH_KEY", "Key")
    assert "another phrase" not in str(caught.value)


def test_a_profile_of_ones_own_and_a_broken_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "kyocera.toml").write_text('vendor = "Mine"\n[match]\nsys_object_id = ["1.3.6.1.4.1.1347"]\n')
    (tmp_path / "bad.toml").write_text("colour = 1\n")
    assert run("--walk", str(WALK), "--json", "--profiles", str(tmp_path)) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["printer"]["vendor"] == "Mine"
    assert err.startswith("platen: bad-profile: bad.toml: ")
    assert err.count("\n") == 1


def test_a_replay_imports_nothing_heavy() -> None:
    """Start-up is what a person waits for, and on the box an import costs ten times what it costs here."""
    script = (
        "import argparse, sys\n"
        "from appliance.collector import query\n"
        "p = argparse.ArgumentParser(); query.add_arguments(p)\n"
        f"query.run(p.parse_args(['--walk', {str(WALK)!r}, '--json']))\n"
        "heavy = {'pysnmp', 'pyasn1', 'pyroute2', 'cryptography', 'paho', 'aiohttp', 'jinja2', 'sqlite3'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=TESTS.parent,
        timeout=60,
    )
    assert done.stderr.strip() == "[]"


# --- the page ---


def test_bars_and_numbers() -> None:
    assert bar(100) == "█" * 20
    assert bar(0) == "░" * 20
    assert bar(1).count("█") == 1
    assert bar(None) == "·" * 20
    assert number(1234567) == "1 234 567"


def test_a_page_of_next_to_nothing() -> None:
    found = page(
        Reading(time="2026-11-21T12:00:00Z", clock="synchronised", address="::1", printer=PrinterFacts())
    )
    assert "unknown make and model" in found


def test_a_printer_cannot_move_the_cursor() -> None:
    evil = "\x1b[2J\x07Toner\nFake line"
    supply = Supply(
        index="1.1", class_="supplyThatIsConsumed", type="toner", color=None, description=evil, part_number=None,
        serial=None, unit=None, capacity=None, level=None, percent=None, state="unknown", basis="unknown",
    )  # fmt: skip
    alert = Alert(
        index=1, code=1, code_name="other", severity="critical", training="other", group="other", group_index=1,
        location=1, description=evil, ticks=None, time=None,
    )  # fmt: skip
    found = page(
        Reading(
            time="2026-11-21T12:00:00Z", clock="synchronised", address="::1",
            printer=PrinterFacts(model=evil, hostname=evil), supplies=[supply], alerts=[alert],
        )
    )  # fmt: skip
    assert "\x1b" not in found
    assert "\x07" not in found
    assert not any(line.startswith("Fake") for line in found.splitlines())
