# SPDX-License-Identifier: Apache-2.0
"""What was asked, counted by the side that answers: the neutral figures of the benchmarks."""

from __future__ import annotations

import json
import os
import tempfile
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from appliance.collector.wire.message import GET, GETBULK, GETNEXT

SCHEMA = "platen.simulate/1"

_KINDS = {GET: "get", GETNEXT: "getnext", GETBULK: "getbulk", 0xA3: "set"}
_MOST_UNSERVED = 1 << 20


class Counts:
    """Of one served address."""

    def __init__(self) -> None:
        self.requests = dict.fromkeys([*_KINDS.values(), "other"], 0)
        self.packets_received = self.packets_sent = 0
        self.bytes_received = self.bytes_sent = 0
        self.refused = 0
        self.overlaps = 0
        self.restarts = 0
        self.most_per_second = 0
        self._arrivals: deque[int] = deque()

    def received(self, octets: int, arrived_ns: int) -> int:
        """Count one datagram in. Returns how many came within the last second, this one included."""
        self.packets_received += 1
        self.bytes_received += octets
        arrivals = self._arrivals
        arrivals.append(arrived_ns)
        while arrivals[0] <= arrived_ns - 1_000_000_000:
            arrivals.popleft()
        self.most_per_second = max(self.most_per_second, len(arrivals))
        return len(arrivals)

    def asked(self, pdu_type: int, known: bool) -> None:
        """Count one request. `known` is False for octets, communities and versions this device does not know."""
        self.requests[_KINDS.get(pdu_type, "other")] += 1
        self.refused += not known

    def sent(self, octets: int) -> None:
        """Count one datagram out."""
        self.packets_sent += 1
        self.bytes_sent += octets

    def report(self) -> dict[str, Any]:
        return {
            "requests": self.requests,
            "packets_received": self.packets_received,
            "packets_sent": self.packets_sent,
            "bytes_received": self.bytes_received,
            "bytes_sent": self.bytes_sent,
            "refused": self.refused,
            "overlaps": self.overlaps,
            "restarts": self.restarts,
            "most_per_second": self.most_per_second,
        }


class Unserved:
    """Datagrams to addresses at which nothing stands, as a sweep sends them."""

    def __init__(self) -> None:
        self.packets = self.octets = 0
        self.addresses: set[bytes] = set()

    def received(self, address: bytes, octets: int) -> None:
        self.packets += 1
        self.octets += octets
        if len(self.addresses) < _MOST_UNSERVED:
            self.addresses.add(address)


def report(counts: Mapping[str, tuple[str, Counts]], unserved: Unserved) -> dict[str, Any]:
    """All of it as one JSON object; `counts` maps an address to the device's name and figures."""
    devices = {address: {"name": name, **figures.report()} for address, (name, figures) in counts.items()}
    total: dict[str, Any] = {"requests": dict.fromkeys([*_KINDS.values(), "other"], 0)}
    for device in devices.values():
        for key, value in device.items():
            if key == "requests":
                for kind, number in value.items():
                    total["requests"][kind] += number
            elif key == "most_per_second":
                total[key] = max(total.get(key, 0), value)
            elif key != "name":
                total[key] = total.get(key, 0) + value
    silent = {"packets": unserved.packets, "bytes": unserved.octets, "addresses": len(unserved.addresses)}
    return {"schema": SCHEMA, "total": total, "unserved": silent, "devices": devices}


def write(path: Path, figures: Mapping[str, Any]) -> None:
    """Put the report at `path` whole or not at all."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=path.name, delete=False) as out:
        json.dump(figures, out, indent=1)
        out.write("\n")
    os.chmod(out.name, 0o644)
    os.replace(out.name, path)
