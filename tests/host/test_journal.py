# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import logging, sys
from appliance.host import journal
journal.set_up("collector", debug=None)
log = logging.getLogger("appliance.collector")
log.debug("fine print")
log.info("printer %s says %r", "10.0.0.1", "x")
log.warning("a\\nb\\x1b[2Jc")
try:
    1 / 0
except ZeroDivisionError:
    log.exception("it broke")
"""


def run(tmp_path: Path, **env: str) -> list[str]:
    path = tmp_path / "log"
    with path.open("w") as stderr:
        stat = os.fstat(stderr.fileno())
        env = {k: v.format(here=f"{stat.st_dev}:{stat.st_ino}") for k, v in env.items()}
        clean = {k: v for k, v in os.environ.items() if k not in ("JOURNAL_STREAM", "PLATEN_DEBUG")}
        subprocess.run([sys.executable, "-c", PROGRAM], stderr=stderr, check=True, env={**clean, **env})
    return path.read_text().splitlines()


def test_one_line_each(tmp_path: Path) -> None:
    lines = run(tmp_path)
    assert lines[0] == "info: printer 10.0.0.1 says 'x'"
    assert lines[1] == r"warning: a\nb\x1b[2Jc"
    assert lines[2] == "error: it broke"
    assert all(line.startswith("    ") for line in lines[3:])
    assert "ZeroDivisionError: division by zero" in lines[-1]


def test_debug(tmp_path: Path) -> None:
    assert run(tmp_path, PLATEN_DEBUG="1")[0] == "debug: fine print"


def test_under_systemd_each_line_carries_its_priority(tmp_path: Path) -> None:
    """What journald does with stderr where systemd-python is missing (sd-daemon(3))."""
    try:
        import systemd.journal  # noqa: F401
    except ImportError:
        pass
    else:
        pytest.skip("systemd-python is installed: records go to the journal itself")
    lines = run(tmp_path, JOURNAL_STREAM="{here}")
    assert lines[0] == "<6>info: printer 10.0.0.1 says 'x'"
    assert all(line.startswith("<3>") for line in lines[2:])


def test_a_stale_journal_stream_is_not_believed(tmp_path: Path) -> None:
    assert run(tmp_path, JOURNAL_STREAM="1:2")[0].startswith("info:")


SEND = """
import logging, sys, types
sent = []
class Handler(logging.Handler):  # as python3-systemd's: the record's own fields are sent along
    def __init__(self, **fields):
        super().__init__()
    def emit(self, record):
        sent.append({k: v for k, v in record.__dict__.items() if k.isupper()})
module = types.ModuleType("systemd.journal"); module.JournalHandler = Handler
sys.modules.update({"systemd": types.ModuleType("systemd"), "systemd.journal": module})
from appliance.host import journal
journal.set_up("collector")
log = logging.getLogger("x")
log.warning("no", extra=journal.message(journal.Message.ACCESS_DENIED, PLATEN_SLOT="a"))
log.warning("plain")
print(sent == [{"MESSAGE_ID": journal.Message.ACCESS_DENIED.value, "PLATEN_SLOT": "a"}, {}], file=sys.stdout)
"""


def test_a_message_carries_its_id_and_fields(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as stderr:
        stat = os.fstat(stderr.fileno())
        env = {**os.environ, "JOURNAL_STREAM": f"{stat.st_dev}:{stat.st_ino}"}
        done = subprocess.run(
            [sys.executable, "-c", SEND], stdout=subprocess.PIPE, stderr=stderr, check=True, env=env
        )
    assert done.stdout == b"True\n"
