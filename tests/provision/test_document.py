# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from appliance.provision.document import MOST, MOST_MISTAKES, parse

TEXT = '[network]\r\nhostname = "büro"\r\n\r\n[wifi]\r\n  ssid="x"\r\n'


@pytest.mark.parametrize(
    "data",
    [
        TEXT.encode(),
        TEXT.encode("utf-8-sig"),
        TEXT.encode("cp1252"),
        b"\xff\xfe" + TEXT.encode("utf-16-le"),
        b"\xfe\xff" + TEXT.encode("utf-16-be"),
        TEXT.encode("utf-16-le"),
        TEXT.encode("utf-16-be"),
        TEXT.replace("\r\n", "\n").encode(),
        TEXT.replace("\r\n", "\r").encode(),
    ],
    ids=["utf-8", "bom", "ansi", "utf-16-le", "utf-16-be", "le-bare", "be-bare", "lf", "cr"],
)
def test_whatever_notepad_saves(data: bytes) -> None:
    document = parse(data)
    assert document.problems == []
    assert document.values == {"network": {"hostname": "büro"}, "wifi": {"ssid": "x"}}
    assert document.place("network.hostname") == (2, 1)
    assert document.place("wifi.ssid") == (5, 3)
    assert document.place("wifi.country") == (4, 2), "its table's, where it has no line"
    assert document.place("proxy.url") == (1, 1)
    span = document.spans["wifi.ssid"]
    at = document.offset(span)
    assert data[at : at + len("x".encode(document.encoding))] == "x".encode(document.encoding)


def test_blanks_pasted_from_a_web_page() -> None:
    assert parse('[wifi]\nssid\u00a0= "x"'.encode()).values == {"wifi": {"ssid": "x"}}


@pytest.mark.parametrize(
    ("line", "en", "de"),
    [
        ("address = 192.168.1.5/24", "in quotes", "Anführungszeichen"),
        ("address = „192.168.1.5/24“", "straight quotes", "gerade"),
        ("address 192.168.1.5/24", "not of the form", "nicht die Form"),
        (r'user = "OFFICE\peter"', "backslash", "Backslash"),
        ('address = "192.168.1.5/24', "closed", "geschlossen"),
        ('hostname = "a"\nhostname = "b"', "twice", "doppelt"),
    ],
)
def test_a_mistake_in_plain_words(line: str, en: str, de: str) -> None:
    document = parse(f"[network]\n{line}\n".encode())
    (problem,) = document.problems
    assert problem.line == 2 + line.count("\n")
    assert en in problem.text()
    assert de in problem.text(german=True)


def test_all_mistakes_at_once() -> None:
    data = b'[network]\naddress = 1.2.3.4\nhostname = "ok"\ndns 9.9.9.9\n[wifi\nssid = "x"\n'
    document = parse(data)
    assert [p.line for p in document.problems] == [2, 4, 5]
    assert document.values["network"]["hostname"] == "ok"


def test_bounds() -> None:
    (problem,) = parse(b"#" * (MOST + 1)).problems
    assert "64 KiB" in problem.en
    assert "64 KiB" in problem.de
    assert parse(b"#" * MOST).problems == []
    assert len(parse(b"x\n" * 20_000).problems) == MOST_MISTAKES
    assert parse(b"a = " + b"[" * 60_000).problems
    assert parse(b"").values == {}


def test_no_value_is_quoted_in_a_mistake() -> None:
    for line in (
        'passphrase = "s3cr3t',
        "passphrase = s3cr3t",
        'passphrase = "s3cr3t" x',
        r'passphrase = "s3cr3t\q"',
    ):
        for problem in parse(f"[wifi]\n{line}\n".encode()).problems:
            assert "s3cr3t" not in problem.text() + problem.text(german=True)
