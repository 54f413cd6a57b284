# SPDX-License-Identifier: Apache-2.0
"""The command, from a bad line to a clean end."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from appliance.model.errors import UsageError
from fleet.cli import main, parse
from tests.uplink.peers import TENANT, Street, until

FILES = ["--ca", "ca.crt", "--cert", "p.crt", "--key", "p.key", "--tenant", TENANT]


def _line(tmp_path: Path, **changes: str) -> list[str]:
    said = {"--state": str(tmp_path / "portal"), "--broker": "127.0.0.1:8883", **changes}
    return [*FILES, *(word for pair in said.items() for word in pair)]


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "[::]", "example.org"])
def test_pages_for_everybody_are_refused(
    tmp_path: Path, host: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(_line(tmp_path, **{"--listen": f"{host}:8632"})) == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("platen-fleet: public-address: The portal has no logins yet")
    assert "\n" not in said
    assert not (tmp_path / "portal").exists()


@pytest.mark.parametrize("text", ["127.0.0.1", ":8632", "127.0.0.1:0", "127.0.0.1:99999", "127.0.0.1:x", ""])
def test_an_endpoint_that_is_none(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError):
        parse(_line(tmp_path, **{"--listen": text}))


@pytest.mark.parametrize("text", ["127.0.0.1:1", "[::1]:1", "localhost:1", "127.9.9.9:1"])
def test_loopback_is_fine(tmp_path: Path, text: str) -> None:
    assert parse(_line(tmp_path, **{"--listen": text})).listen_port == 1


def test_an_account_with_wildcards_is_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        parse([*_line(tmp_path), "--tenant", "+"])


def test_missing_certificates_are_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(_line(tmp_path)) == 1
    assert capsys.readouterr().err.startswith(
        "platen-fleet: certificate-mismatch: The portal's certificate files"
    )


async def test_a_taken_port_is_said(street: Street) -> None:
    street.broker.start()
    with socket.socket() as other:
        other.bind(("127.0.0.1", street.portal.port))
        other.listen()
        street.portal.start()
        assert street.portal.child is not None
        assert street.portal.child.wait(20) == 2
    assert "cannot be listened on" in street.portal.log.read_text()


async def test_it_starts_without_a_broker_and_ends_in_order(street: Street) -> None:
    street.portal.start()
    await until(lambda: street.portal.status() is not None)
    assert street.portal.connected() is False
    assert "The broker cannot be reached" in street.portal.get("/")[2]
    street.broker.start()
    await until(street.portal.connected)
    assert street.portal.stop() == 0
