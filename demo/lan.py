# SPDX-License-Identifier: Apache-2.0
"""The office that `make demo` simulates: which device stands at which address, and how it behaves."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

NETWORK = ipaddress.IPv4Network("127.77.0.0/24")
RECORDINGS = Path(__file__).parent.parent / "tests"
FIRST_WALK = 101
"""Host number of the first recording that is not this project's own."""


class Host(NamedTuple):
    """`number` is the last octet; `recording` a folder below tests/; `how` the simulator's words."""

    number: int
    recording: str
    how: str = ""


LAN = (
    Host(2, "other_devices/switch-24-port"),
    Host(5, "other_devices/linux-server"),
    Host(6, "other_devices/nas-4-bay"),
    Host(7, "other_devices/ups-1500"),
    Host(8, "other_devices/windows-print-server"),
    Host(9, "other_devices/ip-camera"),
    Host(10, "other_devices/projector"),
    Host(21, "printers/kyocera-taskalfa-3554ci"),
    Host(22, "printers/kyocera-ecosys-p3155dn"),  # its toner is empty
    Host(23, "printers/kyocera-ecosys-m5526cdw"),
    Host(31, "printers/hp-laserjet-m507"),
    Host(32, "printers/hp-color-laserjet-mfp-m480"),
    Host(33, "printers/hp-officejet-pro-8610"),
    Host(34, "printers/hp-laserjet-p2055dn", "v1"),
    Host(41, "printers/brother-hl-l6400dw"),
    Host(42, "printers/brother-mfc-l8900cdw"),
    Host(43, "printers/brother-mfc-7840w", "no-bulk"),
    Host(51, "printers/epson-wf-c579r"),
    Host(52, "printers/epson-et-16650", "sleep=3"),
    Host(61, "printers/lexmark-ms431dn", "max-varbinds=20"),
    Host(62, "printers/lexmark-cx625ade"),  # paper jam
    Host(71, "printers/ricoh-im-c3000", "delay=0.4,jitter=0.3"),
    Host(72, "printers/canon-ir-adv-c3830"),
    Host(73, "printers/konica-minolta-bizhub-c360i"),
    Host(74, "printers/xerox-versalink-c7130"),
    Host(75, "printers/samsung-sl-m4070fr"),
    Host(76, "printers/oki-c650dn", "loss=0.15"),
    Host(77, "printers/sharp-mx-3061"),
    Host(78, "printers/zebra-zt411"),
)


def printers() -> int:
    """How many printers the office has of its own."""
    return sum(host.recording.startswith("printers/") for host in LAN)


def arguments(*, walks: Path | None = None) -> Iterator[str]:
    """FILE,at=ADDRESS,... words for `platen simulate`: the office, then the recordings below `walks`, as many as
    the network has room for."""
    for host in LAN:
        word = f"{RECORDINGS / host.recording / 'walk.snmprec'},at={NETWORK[host.number]}"
        yield f"{word},{host.how}" if host.how else word
    if walks is not None:
        numbers = range(FIRST_WALK, NETWORK.num_addresses - 1)
        # A comma would end the file's name there.
        files = (f for f in sorted(walks.rglob("*.snmprec")) if "," not in str(f))
        for number, file in zip(numbers, files, strict=False):
            yield f"{file},at={NETWORK[number]}"
