# SPDX-License-Identifier: Apache-2.0
"""What left the box, from the capture that QEMU makes at its network card: the box itself has no say in it."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterator
from pathlib import Path

import msgspec

PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmp6"}


class Packet(msgspec.Struct, frozen=True):
    """One packet of IP. `syn` says that it opens a TCP connection; ports are 0 where the protocol has none."""

    protocol: str
    source: str
    destination: str
    source_port: int
    port: int
    syn: bool


def size(file: Path) -> int:
    """Where the capture ends now, for `sent`."""
    return file.stat().st_size if file.exists() else 0


def sent(file: Path, mac: str, since: int = 0) -> Iterator[Packet]:
    """IP packets from that MAC, from octet `since` on. The last one may still be on its way to the file."""
    data = file.read_bytes()
    (magic,) = struct.unpack_from("<I", data)
    assert magic == 0xA1B2C3D4, hex(magic)
    at, me = max(since, 24), bytes.fromhex(mac.replace(":", ""))
    while at + 16 <= len(data):
        (kept,) = struct.unpack_from("<8xI", data, at)
        frame = data[at + 16 : at + 16 + kept]
        at += 16 + kept
        if len(frame) == kept and frame[6:12] == me and (packet := _packet(frame)):
            yield packet


def _packet(frame: bytes) -> Packet | None:
    kind, ip = int.from_bytes(frame[12:14], "big"), frame[14:]
    if kind == 0x0800 and len(ip) >= 20:
        protocol, payload = ip[9], ip[(ip[0] & 15) * 4 :]
        source, destination = (str(ipaddress.IPv4Address(ip[n : n + 4])) for n in (12, 16))
    elif kind == 0x86DD and len(ip) >= 40:
        protocol, payload = ip[6], ip[40:]
        source, destination = (str(ipaddress.IPv6Address(ip[n : n + 16])) for n in (8, 24))
    else:
        return None
    ports = (0, 0)
    if protocol in (6, 17) and len(payload) >= 4:
        ports = struct.unpack_from(">HH", payload)
    syn = protocol == 6 and len(payload) > 13 and payload[13] & 0x12 == 0x02
    return Packet(PROTOCOLS.get(protocol, str(protocol)), source, destination, *ports, syn)
