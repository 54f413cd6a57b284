# SPDX-License-Identifier: Apache-2.0
"""`platen query --snmp 3` against Debian's snmpd with a user of authPriv, SHA-256 and AES-128."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from appliance import cli
from tests.collector.ask.conftest import AUTH_KEY, CONTEXT, PRINTER, PRIV_KEY, Snmpd
from tests.collector.test_query import WALK, answering

Ask = Callable[..., tuple[int, str, str]]


@pytest.fixture
def ask(snmpd: Snmpd, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ask:
    """The command with the right user and keys, and what is given instead: (exit status, stdout, stderr)."""

    def run(
        *words: str, user: str = "sha256aes", auth: str = AUTH_KEY, priv: str = PRIV_KEY
    ) -> tuple[int, str, str]:
        monkeypatch.setenv("PLATEN_AUTH_KEY", auth)
        monkeypatch.setenv("PLATEN_PRIV_KEY", priv)
        common = ["query", f"127.0.0.1:{snmpd.port}", "--snmp", "3", "--user", user, "--timeout", "1"]
        status = cli.main([*common, "--retries", "0", *words])
        out, err = capsys.readouterr()
        return status, out, err

    return run


def test_a_server_that_lets_us_in_is_no_printer(ask: Ask) -> None:
    status, out, err = ask()
    assert (status, out) == (1, "")
    assert err.startswith("platen: not-a-printer: 127.0.0.1 is not a printer: it calls itself ")
    assert "a test of SNMP" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"user": "nobody"}, "unknown-user"),
        ({"auth": "not this key"}, "wrong-authentication-key"),
        ({"priv": "not this key"}, "wrong-privacy-key"),
        ({"user": "authonly"}, "wrong-security-level"),
    ],
)
def test_what_was_wrong_is_said_and_no_key_with_it(ask: Ask, wrong: dict[str, str], code: str) -> None:
    status, out, err = ask(**wrong)
    assert (status, out) == (1, "")
    assert err.startswith(f"platen: {code}: 127.0.0.1 (port ")
    assert err.count("\n") == 1
    assert not any(key in err for key in (AUTH_KEY, PRIV_KEY, "not this key"))


def test_contexts_have_names(ask: Ask) -> None:
    assert ask("--context", "nowhere")[2].startswith("platen: unknown-context: ")
    assert ask("--context", CONTEXT)[2].startswith("platen: not-a-printer: ")


def test_a_key_that_is_too_short_is_bad_usage(ask: Ask) -> None:
    status, _, err = ask(auth="short")
    assert status == 2
    assert err.startswith("platen: bad-usage: These SNMPv3 parameters cannot be used: a key has eight")


def test_a_printer_is_read_as_by_version_2c(
    make_snmpd: Callable[..., Snmpd], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PLATEN_AUTH_KEY", AUTH_KEY)
    monkeypatch.setenv("PLATEN_PRIV_KEY", PRIV_KEY)
    with answering(WALK) as printer:
        agent = make_snmpd(behind=printer)
        v3 = ["--snmp", "3", "--user", "sha256aes", "--context", PRINTER]
        found = []
        for words in ([f"127.0.0.1:{agent.port}", *v3], [printer]):
            assert cli.main(["query", "--json", *words]) == 0
            found.append(json.loads(capsys.readouterr().out))
        agent.stop()
    for section in ("printer", "meters", "supplies", "inputs", "outputs", "covers", "storage"):
        assert found[0][section] == found[1][section], section
    assert found[0]["supplies"]
    assert found[0]["notes"] == found[1]["notes"] == []
