# SPDX-License-Identifier: Apache-2.0
"""The networks this machine is attached to, by netlink. The only module that imports pyroute2, and only when
asked.

Calls block for some milliseconds (the first one for the import): use a thread.
"""

from __future__ import annotations

import ipaddress
from typing import Any

import msgspec

from appliance.model.errors import PlatenError
from appliance.model.targets import allowed

_WIDEST = 22
"""A wider prefix (a /16 of some campus) is not searched unasked: only the /24 around the own address is."""

_AF_INET = 2
_IFF_UP, _IFF_LOOPBACK = 0x1, 0x8
_OPERATIONAL = ("UP", "UNKNOWN")
"""IF-MIB ifOperStatus as the kernel has it; virtual links never say more than UNKNOWN."""


class Link(msgspec.Struct, frozen=True):
    """An interface with a private IPv4 address. `search` is the prefix worth looking for printers in."""

    interface: str
    address: ipaddress.IPv4Address
    network: ipaddress.IPv4Network
    search: ipaddress.IPv4Network


def attached() -> list[Link]:
    """Links that are up and carry a private address, in the kernel's order, each searched prefix once."""
    with _netlink() as ipr:
        up = {
            link["index"]: link.get("IFLA_IFNAME")
            for link in ipr.get_links()
            if link["flags"] & _IFF_UP
            and not link["flags"] & _IFF_LOOPBACK
            and link.get("IFLA_OPERSTATE") in _OPERATIONAL
        }
        rows = [
            (up[row["index"]], row.get("IFA_LOCAL") or row.get("IFA_ADDRESS"), row["prefixlen"])
            for row in ipr.get_addr(family=_AF_INET)
            if row["index"] in up
        ]
    found: dict[ipaddress.IPv4Network, Link] = {}
    for name, text, length in rows:
        address = ipaddress.IPv4Address(text)
        if length > 30 or not allowed(address):  # a point-to-point link has no neighbours to find
            continue
        network = ipaddress.IPv4Network((address, length), strict=False)
        search = network if length >= _WIDEST else ipaddress.IPv4Network((address, 24), strict=False)
        found.setdefault(search, Link(name, address, network, search))
    return list(found.values())


class _netlink:
    """pyroute2's IPRoute, its errors as one of ours."""

    def __enter__(self) -> Any:
        try:
            from pyroute2 import IPRoute  # type: ignore[import-untyped]

            self._ipr = IPRoute()
        except (ImportError, OSError) as e:
            raise _failed(e) from e
        return self._ipr

    def __exit__(self, kind: Any, value: Any, trace: Any) -> None:
        self._ipr.close()
        if value is not None and not isinstance(value, PlatenError) and isinstance(value, Exception):
            raise _failed(value) from value


def _failed(e: Exception) -> PlatenError:
    return PlatenError(
        f"The network links cannot be listed: {e}", hint="Name a range instead", code="no-links"
    )
