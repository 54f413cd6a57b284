# SPDX-License-Identifier: Apache-2.0
"""The share of the fuzzing that every test run pays for, and whether the fuzzer would notice."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.__main__ import BLOCK, blocks, shares
from tests.fuzz.mutate import Mutator
from tests.fuzz.parsers import PARSERS, Parser
from tests.fuzz.run import FINDINGS, fuzz, save, try_once

ROOT = Path(__file__).parent.parent.parent
EXECUTIONS = 200_000


def run(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.fuzz
def test_the_snmp_codec_survives_200_000_mutated_packets() -> None:
    text = run("--executions", str(EXECUTIONS), "--parser", "snmp-message")
    assert re.search(r"^snmp-message +200,000 +[\d,]+ +0$", text, re.MULTILINE), text


@pytest.mark.fuzz
def test_every_other_parser_survives_some() -> None:
    others = [n for n in PARSERS if n != "snmp-message"]
    text = run("--executions", str(5_000 * len(others)), *(w for n in others for w in ("--parser", n)))
    for name in others:
        assert re.search(rf"^{name} +5,000 +[\d,]+ +0$", text, re.MULTILINE), text


@pytest.mark.parametrize("name", PARSERS)
def test_seeds_are_good_inputs(name: str) -> None:
    parser = PARSERS[name]
    for seed in parser.seeds:
        parser.call(seed)
        assert len(seed) <= parser.most


def test_what_was_once_found_stays_mended() -> None:
    for path in sorted(FINDINGS.glob("*/*.bin")):
        assert try_once(PARSERS[path.parent.name], path.read_bytes()) is None, path


# --- would it notice?


def parser(call: Any) -> Parser:
    return Parser("planted", [b"0123456789" * 4], call, (ValueError,))


def test_an_exception_that_is_not_declared_is_found() -> None:
    def call(data: bytes) -> None:
        if data and data[-1] == 0x80:
            raise KeyError("planted")
        raise ValueError("as declared")

    result = fuzz(parser(call), 2_000, seed=1)
    assert [f.why for f in result.findings] == ["KeyError: 'planted'"]
    assert try_once(parser(call), result.findings[0].data) == "KeyError: 'planted'"


def test_a_hang_is_found() -> None:
    hung = False

    def call(data: bytes) -> None:
        nonlocal hung
        while data.endswith(b"\xff") and not hung:
            try:
                while True:
                    time.sleep(0.01)
            except Exception:  # noqa: S110  # a blanket of the parser itself does not hide it
                pass
            finally:
                hung = True

    result = fuzz(parser(call), 2_000, seed=1)
    assert ["Hang" in f.why for f in result.findings] == [True]


def test_memory_is_bounded() -> None:
    code = (
        "from tests.fuzz.run import bound_memory, fuzz\n"
        "from tests.fuzz.parsers import Parser\n"
        "bound_memory()\n"
        "greedy = Parser('greedy', [b'x'], lambda data: bytearray(1 << 29), ())\n"
        "print([f.why for f in fuzz(greedy, 3, 1).findings])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "MemoryError" in done.stdout, done.stderr


def test_the_same_seed_makes_the_same_inputs_and_another_makes_others() -> None:
    seeds = PARSERS["snmp-message"].seeds
    one, same, other = (Mutator(seeds, s, 4_096) for s in (5, 5, 6))
    made = [one.next() for _ in range(500)]
    assert made == [same.next() for _ in range(500)]
    assert made != [other.next() for _ in range(500)]
    assert len(set(made)) > 400
    assert max(map(len, made)) <= 4_096


def test_mutations_reach_beyond_the_outer_shell() -> None:
    """Many inputs are accepted, and of the refused ones most were refused deep inside."""
    seen: dict[str, int] = {}
    mutator = Mutator(PARSERS["snmp-message"].seeds, 1, 4_096)
    for _ in range(3_000):
        try:
            PARSERS["snmp-message"].call(mutator.next())
            seen["accepted"] = seen.get("accepted", 0) + 1
        except ValueError as e:
            why = re.sub(r"\d+", "", str(e))
            seen[why] = seen.get(why, 0) + 1
    assert seen["accepted"] > 150
    assert len(seen) > 15


def test_a_finding_is_kept_once(tmp_path: Path) -> None:
    def call(data: bytes) -> None:
        raise KeyError

    finding = fuzz(parser(call), 5, seed=1).findings[0]
    path = save("planted", finding, tmp_path)
    assert save("planted", finding, tmp_path) == path
    assert path.read_bytes() == finding.data
    assert [p.name for p in (tmp_path / "planted").iterdir()] == [path.name]


def test_every_execution_is_dealt_out() -> None:
    for total in (1, 7, 200_000, 10_000_000):
        dealt = shares(total, list(PARSERS))
        assert sum(dealt.values()) == total
        assert dealt["snmp-message"] >= total // 2
    assert sum(blocks(3 * BLOCK + 1)) == 3 * BLOCK + 1
    assert blocks(0) == []
