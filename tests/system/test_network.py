# SPDX-License-Identifier: Apache-2.0
"""The office stands before the box is plugged in: what the other tests rest on."""

from __future__ import annotations

from tests.system.lab import ATTACKER, BROKER, ELSEWHERE, HOSTS, OFFICE, PREFIX, UPDATES, Lab

_SNMP = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(5)
ask = "302602010104067075626c6963a019020101020100020100300e300c06082b060102010101000500"
s.sendto(bytes.fromhex(ask), (sys.argv[1], 161))
print(len(s.recv(1500)))
"""
_NAME = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(5)
name = b"".join(bytes([len(p)]) + p.encode() for p in sys.argv[2].split("."))
s.sendto(bytes.fromhex("000101000001000000000000") + name + bytes.fromhex("0000010001"), (sys.argv[1], 53))
print(socket.inet_ntoa(s.recv(512)[-4:]))
"""
_HTTPS = """
import ssl, sys, urllib.request as u
c = ssl.create_default_context(cafile="/lab/authority/ca.crt")
r = u.Request(sys.argv[1], headers={"Range": sys.argv[2]})
with u.urlopen(r, context=c, timeout=5) as a: print(a.status, a.headers["Content-Range"], a.read())
"""
_TIME = """
import socket, struct, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(5)
s.sendto(b"\\x23" + bytes(39) + b"12345678", (sys.argv[1], 123)); a = s.recv(100)
assert a[24:32] == b"12345678", a
print(abs(struct.unpack(">I", a[40:44])[0] - 2208988800 - time.time()) < 2)
"""


def test_printers_answer(lab: Lab) -> None:
    for number in range(17, 17 + len(OFFICE)):
        assert int(lab.on("attacker", "python3", "-c", _SNMP, f"{PREFIX}{number}")) > 40


def test_names_and_addresses_come_from_the_office(lab: Lab) -> None:
    for name in (BROKER, UPDATES):
        assert lab.on("attacker", "python3", "-c", _NAME, f"{PREFIX}2", name).strip() == HOSTS[name]
    found = lab.on(
        "attacker",
        "nmap",
        "--script",
        "broadcast-dhcp-discover",
        "--script-args",
        "timeout=2",
        "-e",
        "eth0",
        timeout=60,
    )
    assert f"Router: {ATTACKER}" in found
    assert f"NTP Servers: {HOSTS[UPDATES]}" in found


def test_updates_come_in_ranges_and_the_time_is_right(lab: Lab) -> None:
    (lab.folder / "http/www/word").write_bytes(bytes(range(100)))
    got = lab.on("portal", "python3", "-c", _HTTPS, f"https://{HOSTS[UPDATES]}/plain/word", "bytes=10-12")
    assert got.strip() == "206 bytes 10-12/100 b'\\n\\x0b\\x0c'"
    assert lab.served("/plain/word")[-1]["octets"] == 3
    assert lab.on("attacker", "python3", "-c", _TIME, HOSTS[UPDATES]).strip() == "True"


def test_the_broker_takes_the_portal_and_nobody_without_a_certificate(lab: Lab) -> None:
    tls = [
        "--cafile",
        "/lab/authority/ca.crt",
        "-h",
        BROKER,
        "-p",
        "8883",
        "-t",
        "v1/office/x/state",
        "-W",
        "2",
    ]
    who = ["--cert", "/lab/authority/portal.crt", "--key", "/lab/authority/portal.key"]
    assert "Timed out" in lab.on("portal", "mosquitto_sub", *tls, *who, check=False)
    assert "Timed out" not in lab.on("portal", "mosquitto_sub", *tls, check=False)


def test_who_sends_elsewhere_meets_the_attacker(lab: Lab) -> None:
    lab.on("attacker", "ping", "-c", "1", "-W", "2", ELSEWHERE)
