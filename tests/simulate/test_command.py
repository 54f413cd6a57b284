# SPDX-License-Identifier: Apache-2.0
"""Bad input ends in one clear sentence and exit status 2."""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.model.errors import PlatenError, RecordingError, UsageError
from appliance.simulate import command

from .conftest import KYOCERA, ROOT


def run(*args: str, under: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*under, sys.executable, "-m", "appliance.simulate", *args],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1.3.6.1.2.1.1.1.0|4|fine\nnonsense\n", "line 2: not OID|TAG|VALUE"),
        ("1.3.6.1.x|4|fine\n", "line 1: '1.3.6.1.x' is not an OID"),
        ("1.3.6.1.2.1.1.1.0|99|fine\n", "line 1: tag 99"),
        ("1.3.6.1.2.1.1.3.0|67|soon\n", "line 1: "),
        ("1.3.6.1.2.1.1.1.0|4x|0g\n", "line 1: "),
        ("1.3.6.1.2.1.1.3.0|67|4294967296\n", "line 1: 4294967296 does not fit type 67"),
        ("1.3.6.1.2.1.1.7.0|2|2147483648\n", "line 1: 2147483648 does not fit type 2"),
        ("1.3.9999999999.1|2|1\n", "line 1: "),
        ("9.9.9|2|1\n", "line 1: "),
        ("# nothing but words\n", "holds nothing"),
        ("", "holds nothing"),
    ],
)
def test_a_broken_recording_is_named_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "broken.snmprec"
    file.write_text(text)
    with pytest.raises(RecordingError) as caught:
        command.load([str(file)])
    assert str(file) in str(caught.value)
    assert says in str(caught.value)


def test_a_broken_recording_ends_the_command(tmp_path: Path) -> None:
    file = tmp_path / "broken.snmprec"
    file.write_text("1.3|4|x\n1.3.6.1.2.1.1.1.0;4;fine\n")
    ended = run(str(KYOCERA), str(file))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"platen: bad-recording: {file}, line 2: not OID|TAG|VALUE.")
    assert ended.stderr.count("\n") == 1


def test_a_file_that_is_not_there() -> None:
    ended = run("/nowhere/x.snmprec")
    assert ended.returncode == 2
    assert "/nowhere/x.snmprec cannot be read: No such file or directory" in ended.stderr


def test_a_port_that_is_taken() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        ended = run(str(KYOCERA), "--listen", f"127.0.0.1:{port}")
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"platen: address-in-use: UDP port {port} is taken")


def test_an_address_that_is_not_ours() -> None:
    ended = run(str(KYOCERA), "--listen", "192.0.2.1:1161")
    assert ended.returncode == 2
    assert "192.0.2.1 is not an address of this machine" in ended.stderr


def test_a_port_for_root_only() -> None:
    # Root without this one capability is like anybody else.
    drop = ("setpriv", "--bounding-set=-net_bind_service", "--inh-caps=-net_bind_service")
    ended = run(str(KYOCERA), "--listen", "127.0.0.1:161", under=drop if os.geteuid() == 0 else ())
    assert ended.returncode == 2
    assert "root only" in ended.stderr


@pytest.mark.parametrize(
    "text", ["", "127.0.0.1:", "127.0.0.1:70000", "printer:161", "::1:161", "300.1.1.1:161"]
)
def test_where_to_listen_is_checked(text: str) -> None:
    with pytest.raises(UsageError):
        command.parse_listen(text)


def test_a_place_for_the_counts_that_is_not_there() -> None:
    ended = run(str(KYOCERA), "--stats", "/nowhere/counts.json")
    assert ended.returncode == 2
    assert "/nowhere/counts.json cannot be written" in ended.stderr


def test_two_at_one_address() -> None:
    with pytest.raises(UsageError, match=r"both answer at 127\.0\.0\.1"):
        command.load([str(KYOCERA), f"{KYOCERA},at=127.0.0.1"])


def test_a_range_that_runs_out_of_addresses() -> None:
    with pytest.raises(PlatenError):
        command.load([f"{KYOCERA},at=255.255.255.255", str(KYOCERA)])


def test_a_file_may_have_a_comma_in_its_name(tmp_path: Path) -> None:
    file = tmp_path / "a,v1.snmprec"
    file.write_text("1.3.6.1.2.1.1.1.0|4|x\n")
    assert command.load([str(file)])[0].behaviour.v1 is False


def test_help_says_what_there_is() -> None:
    parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_arguments(parser)
    text = parser.format_help()
    words = ("--listen", "--live", "--between-jobs", "--stats", "delay=SECONDS", "wrong-source")
    for word in (*words, "SIGUSR1", "SIGUSR2"):
        assert word in text
