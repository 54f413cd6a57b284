# SPDX-License-Identifier: Apache-2.0
"""The command line as a person meets it: as a process, by what it prints and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import pytest

from appliance import cli
from appliance.collector import query
from appliance.model.errors import PlatenError, TargetError

COMMANDS = ("discover", "query", "record", "simulate", "run", "settings", "bench", "status", "update")


def platen(
    *words: str, status: int | None = 0, stdin: str = "", **env: str
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "appliance.cli", *words],
        capture_output=True,
        text=True,
        input=stdin,
        timeout=60,
        env={**os.environ, **env},
    )
    if status is not None:
        assert done.returncode == status, done.stderr
    return done


def one_line(done: subprocess.CompletedProcess[str], code: str) -> str:
    """What went wrong: one line of the agreed form, and no traceback."""
    assert done.stderr.startswith(f"platen: {code}: "), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_version_and_help() -> None:
    assert platen("--version").stdout == "platen 0.1.0\n"
    top = platen("--help").stdout
    for command in COMMANDS:
        assert f"\n    {command} " in top


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command(command: str) -> None:
    text = platen(command, "--help").stdout
    assert f"usage: platen {command}" in text
    assert f"\n  platen {command}" in text.split("examples:")[1]
    assert "  70  a fault of ours" in text.split("exit status:")[1]
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((), "bad-usage"),
        (("nonsense",), "bad-usage"),
        (("query",), "bad-usage"),
        (("query", "--jsn", "10.0.0.1"), "bad-usage"),
        (("query", "10.0.0.1", "--walk", "x"), "bad-usage"),
        (("query", "8.8.8.8"), "public-address"),
        (("query", "10.0.0.1-10.0.0.9"), "bad-target"),
        (("query", "10.0.0.1:99999"), "bad-target"),
        (("query", "10.0.0.1", "--timeout", "-1"), "bad-usage"),
        (("query", "10.0.0.1", "--community", ""), "bad-usage"),
        (("query", "10.0.0.1", "--profiles", "/nowhere"), "bad-usage"),
        (("query", "10.0.0.1", "--snmp", "3"), "bad-usage"),
        (("query", "--walk", "/nowhere/x.snmprec"), "bad-recording"),
        (("discover", "10.0.0.9-10.0.0.1"), "range-reversed"),
        (("discover", "10.0.0.0/8"), "range-too-large"),
        (("discover", "1.1.1.0/24"), "public-address"),
        (("discover", "10.0.0.1", "--rate", "0"), "bad-usage"),
        (("discover", "10.0.0.1", "--retries", "99"), "bad-usage"),
        (("record", "10.0.0.1"), "bad-usage"),
        (("settings", "get"), "bad-usage"),
        (("settings", "get", "no.such"), "bad-setting"),
        (("bench", "nonsense"), "bad-usage"),
        (("simulate", "/nowhere/x.snmprec"), "bad-recording"),
    ],
)
def test_bad_usage(words: tuple[str, ...], code: str) -> None:
    one_line(platen(*words, status=2), code)


def test_no_answer(free_address: str) -> None:
    done = platen("query", f"{free_address}:1", "--timeout", "0.1", "--retries", "0", status=1)
    one_line(done, "no-answer")
    done = platen("discover", free_address, "--port", "1", "--rate", "1000", status=1)
    assert "no printers" in done.stderr


def test_name_that_does_not_resolve() -> None:
    one_line(platen("query", "no-such-printer.invalid", status=1), "name-unknown")


@pytest.fixture
def free_address() -> str:
    """Where nobody stands: no two processes share it."""
    return f"127.60.{os.getpid() % 250}.9"


# --- faults and interruptions ---


def test_a_fault_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(*_: object) -> int:
        raise ZeroDivisionError("no\nluck")

    monkeypatch.delenv("PLATEN_DEBUG", raising=False)
    monkeypatch.setattr("appliance.cli._run", broken)
    assert cli.main(["status"]) == 70
    err = capsys.readouterr().err
    assert err.startswith("platen: fault: ZeroDivisionError: no luck. This is a fault of ours")
    assert err.count("\n") == 1
    assert cli.main(["status", "--debug"]) == 70
    assert "Traceback" in capsys.readouterr().err
    monkeypatch.setenv("PLATEN_DEBUG", "1")
    assert cli.main(["status"]) == 70
    assert "Traceback" in capsys.readouterr().err


def test_an_error_cannot_move_the_cursor(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def rude(*_: object) -> int:
        raise PlatenError("evil\x1b[2J\r\nname", code="x")

    monkeypatch.setattr("appliance.cli._run", rude)
    assert cli.main(["status"]) == 70
    assert capsys.readouterr().err == "platen: x: evil [2J  name.\n"


def test_interrupted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("appliance.cli._run", interrupted)
    assert cli.main(["status"]) == 130
    assert capsys.readouterr().err == ""


async def test_ctrl_c_while_asking() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.setblocking(False)
        # A shell has what it starts in the background ignore Ctrl-C, and its children inherit that.
        child = await asyncio.create_subprocess_exec(
            "env", "--default-signal=INT",
            sys.executable, "-m", "appliance.cli", "query", f"127.0.0.1:{silent.getsockname()[1]}", "--timeout", "60",
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        async with asyncio.timeout(30):
            await asyncio.get_running_loop().sock_recv(silent, 1_500)
            # It asks, and goes to wait. CPython sees a signal in the instant between its last look and select(2) only
            # after the wait; a second Ctrl-C would do.
            await asyncio.sleep(0.3)
            child.send_signal(signal.SIGINT)
            out, err = await child.communicate()
    assert (child.returncode, out, err) == (130, b"", b"")


def test_a_closed_pipe_is_no_fault(tmp_path: Path) -> None:
    shown = f"{sys.executable} -m appliance.cli settings --state {tmp_path}"
    script = f'{shown} | true; echo "${{PIPESTATUS[0]}}"'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("141\n", "")


def test_full_output_device() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "appliance.cli", "settings", "--state", "/nowhere"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 70
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_any_locale() -> None:
    platen("query", "--help", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")


# --- settings ---


def test_settings(tmp_path: Path) -> None:
    state = ("--state", str(tmp_path / "s"))
    assert platen("settings", "get", "poll.status_s", *state).stdout == "900\n"
    assert not (tmp_path / "s").exists()
    assert platen("settings", "set", "poll.status_s", "60", *state).stdout == "60\n"
    assert platen("settings", "get", "poll.status_s", *state).stdout == "60\n"
    ranges = platen("settings", "set", "discovery.ranges", "10.0.0.0/24, 10.1.0.1", *state).stdout
    assert ranges == "10.0.0.0/24, 10.1.0.1\n"
    rows = json.loads(platen("settings", "--json", *state).stdout)
    assert rows["poll.status_s"]["value"] == 60
    assert rows["poll.status_s"]["source"] == "you"
    assert rows["poll.full_s"]["source"] == "default"
    assert any(
        line.split() == ["poll.status_s", "60", "s", "you"]
        for line in platen("settings", *state).stdout.splitlines()
    )
    platen("settings", "reset", "poll.status_s", *state)
    assert platen("settings", "get", "poll.status_s", *state).stdout == "900\n"


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("10.0.0.9-10.0.0.1", "range-reversed"),
        ("10.0.0.0/8", "range-too-large"),
        ("8.8.8.8", "public-address"),
    ],
)
@pytest.mark.parametrize("key", ["discovery.ranges", "discovery.exclude"])
def test_a_target_that_is_none_is_not_set(tmp_path: Path, key: str, target: str, code: str) -> None:
    one_line(platen("settings", "set", key, target, "--state", str(tmp_path), status=2), code)
    assert platen("settings", "get", key, "--state", str(tmp_path)).stdout == "-\n"


def test_a_setting_out_of_bounds_changes_nothing(tmp_path: Path) -> None:
    state = ("--state", str(tmp_path / "s"))
    one_line(platen("settings", "set", "poll.status_s", "1", *state, status=2), "bad-setting")
    assert platen("settings", "get", "poll.status_s", *state).stdout == "900\n"


def test_octets_that_are_no_utf8_are_no_fault(free_address: str, tmp_path: Path) -> None:
    words = ("--community", "gr\udcfcn", "--timeout", "0.1", "--retries", "0")
    one_line(platen("query", f"{free_address}:1", *words, status=1), "no-answer")
    assert "no printers" in platen("discover", free_address, "--port", "1", *words, status=1).stderr
    state = ("--state", str(tmp_path))
    one_line(platen("settings", "set", "snmp.communities", "gr\udcfcn", *state, status=2), "bad-setting")


def test_secrets_are_never_shown(tmp_path: Path) -> None:
    state = ("--state", str(tmp_path / "s"))
    done = platen("settings", "set", "snmp.communities", "-", *state, stdin="hush-hush,other\n")
    for words in (("list",), ("get", "snmp.communities"), ("list", "--json")):
        assert "hush" not in done.stdout + platen("settings", *words, *state).stdout


def test_status_where_nothing_runs(tmp_path: Path) -> None:
    one_line(platen("status", "--state", str(tmp_path), status=1), "service-down")
    done = platen("status", "--json", "--state", str(tmp_path), status=1)
    assert json.loads(done.stdout) == {"collector": None, "uplink": None}


def test_a_damaged_database_is_named_and_kept(tmp_path: Path) -> None:
    (tmp_path / "platen.db").write_bytes(b"garbage" * 1000)
    one_line(platen("settings", "--state", str(tmp_path), status=70), "database-damaged")
    one_line(platen("run", "--state", str(tmp_path), status=70), "database-damaged")
    assert (tmp_path / "platen.db").read_bytes() == b"garbage" * 1000


# --- run ---


def test_run(free_address: str) -> None:
    """The box's services on this machine: page, setup code, status, one at a time, an orderly end."""
    state = Path(tempfile.mkdtemp(prefix="pr"))
    words = ("--state", str(state))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    platen("settings", "set", "discovery.ranges", free_address, *words)
    platen("settings", "set", "snmp.port", "1", *words)
    box = subprocess.Popen(
        [sys.executable, "-m", "appliance.cli", "run", *words, "--listen", f"127.0.0.1:{port}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert box.stdout is not None
        said = "".join(iter(box.stdout.readline, "Ctrl-C stops it.\n"))
        assert f"http://127.0.0.1:{port}/" in said
        code = (state / "identity" / "setup-code").read_text().strip()
        assert code in said
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
            assert answer.status == 200
        assert "Printers  0" in platen("status", *words).stdout
        assert json.loads(platen("status", "--json", *words).stdout)["uplink"]["state"] == "off"
        one_line(platen("run", *words, status=1), "already-running")
        box.send_signal(signal.SIGINT)
        out, err = box.communicate(timeout=30)
        assert box.returncode == 0, err
        assert "Traceback" not in out + err
        assert code not in err
        one_line(platen("status", *words, status=1), "service-down")
        assert [p.name for p in (state / "run").iterdir()] == []
    finally:
        box.kill()
        box.wait()
        shutil.rmtree(state)


def test_run_on_a_taken_port(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        done = platen("run", "--quiet", "--state", str(tmp_path / "s"), "--listen", listen, status=70)
    assert done.stderr.splitlines()[-1].startswith("platen: service-failed: webui ended with status ")
    assert listen in done.stderr


# --- targets ---


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("10.0.0.1", ("10.0.0.1", 161)),
        ("10.0.0.1:1161", ("10.0.0.1", 1161)),
        ("printer.example", ("printer.example", 161)),
        ("printer.example:162", ("printer.example", 162)),
        ("fe80::1", ("fe80::1", 161)),
        ("[fd00::1]:1161", ("fd00::1", 1161)),
        ("[fd00::1]", ("fd00::1", 161)),
    ],
)
def test_split_port(text: str, parts: tuple[str, int]) -> None:
    assert query.split_port(text) == parts


@pytest.mark.parametrize(
    "text", ["10.0.0.1:", "10.0.0.1:0", "10.0.0.1:x", "[fd00::1]x", "10.0.0.1:65536", "h:²"]
)
def test_split_port_refuses(text: str) -> None:
    with pytest.raises(TargetError):
        query.split_port(text)


# --- progress ---


def test_progress_is_for_terminals_only(free_address: str) -> None:
    words = [sys.executable, "-m", "appliance.cli", "discover", free_address, "--port", "1", "--rate", "1000"]
    quiet = subprocess.run(words, capture_output=True, text=True)
    assert "\r" not in quiet.stderr
    outer, inner = pty.openpty()
    child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=inner)
    os.close(inner)
    shown = b""
    while True:
        try:
            chunk = os.read(outer, 4096)
        except OSError:
            break
        if not chunk:
            break
        shown += chunk
    child.communicate()
    os.close(outer)
    assert b"0 of 1 asked" in shown


HEAVY = (
    "pysnmp",
    "pyasn1",
    "paho",
    "aiohttp",
    "pyroute2",
    "cryptography",
    "jinja2",
    "zstandard",
    "argon2",
    "sqlite3",
)


@pytest.mark.parametrize("words", [("--version",), ("query", "--help"), ("query", "--walk", "/nowhere")])
def test_nothing_heavy_is_imported_without_need(words: tuple[str, ...]) -> None:
    program = (
        "import sys; from appliance import cli\n"
        "try: cli.main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == "[]"
