# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable

import pytest

from appliance.collector.read.profile import Profile, Profiles, load_profiles
from appliance.model.reading import Firmware, Reading

Read = Callable[..., Reading]


@pytest.fixture(scope="module")
def profiles() -> Profiles:
    return load_profiles()


PRINTER = "device.2.{0}|6|1.3.6.1.2.1.25.3.1.5\ndevice.3.{0}|4|Acme P1\nhrprinter.1.{0}|2|4\ndevice.5.{0}|2|3"


@pytest.mark.parametrize("index", [0, 1, 2, 7])
def test_the_printers_device_index_is_found_not_assumed(read: Read, index: int) -> None:
    found = read(
        "device.2.1|6|1.3.6.1.2.1.25.3.1.3\ndevice.3.1|4|A processor" if index != 1 else "",
        PRINTER.format(index),
        f"general.17.{index}|4|SN12345",
        f"supply.9.{index}.1|2|50\nsupply.8.{index}.1|2|100\nsupply.6.{index}.1|4|Toner",
    )
    assert (found.printer.model, found.printer.serial) == ("Acme P1", "SN12345")
    assert (found.status.printer, found.status.device) == ("printing", "warning")
    assert [s.percent for s in found.supplies] == [50]


def test_an_index_of_its_own_in_the_printer_mib(read: Read) -> None:
    """HP OfficeJets index the Printer-MIB with 0 and hrDeviceTable with 1."""
    found = read(PRINTER.format(1), "general.17.0|4|SN12345\nsupply.9.0.1|2|5\nsupply.8.0.1|2|10")
    assert found.printer.serial == "SN12345"
    assert found.printer.model == "Acme P1"
    assert found.status.printer == "printing"
    assert [s.percent for s in found.supplies] == [50]


def test_rows_of_another_device_are_left_alone(read: Read) -> None:
    found = read(
        "general.17.2|4|SN12345", "supply.9.1.1|2|5\nsupply.8.1.1|2|10", "supply.9.2.1|2|5\nsupply.8.2.1|2|5"
    )
    assert [(s.index, s.percent) for s in found.supplies] == [("2.1", 100)]


def test_unknown_is_none_never_empty(read: Read) -> None:
    facts = read("sys.5.0|4|\nsys.6.0|4|  \ngeneral.17.1|4|0000000000").printer
    assert (facts.hostname, facts.location, facts.serial, facts.mac, facts.color) == (None,) * 5


@pytest.mark.parametrize(
    ("lines", "mac"),
    [
        ("if.3.1|2|24\nif.6.1|4x|\nif.3.2|2|6\nif.6.2|4x|0017c83fb8e3", "00:17:c8:3f:b8:e3"),
        ("if.3.1|2|6\nif.6.1|4x|000000000000\nif.3.2|2|71\nif.6.2|4x|0017c83fb8e3", "00:17:c8:3f:b8:e3"),
        ("if.3.1|2|6\nif.6.1|4x|fada0c7739f0\nif.3.2|2|6\nif.6.2|4x|f8da0c77b9f0", "f8:da:0c:77:b9:f0"),
        ("if.3.1|2|6\nif.6.1|4x|ffffffffffff", None),
        ("if.3.1|2|24\nif.6.1|4x|0017c83fb8e3", None),
        ("if.6.1|4x|aabbcc87b4a5", "aa:bb:cc:87:b4:a5"),
        ("if.3.1|2|6\nif.6.1|4|not a mac", None),
    ],
)
def test_mac_of_a_real_interface(read: Read, lines: str, mac: str | None) -> None:
    assert read(lines).printer.mac == mac


@pytest.mark.parametrize(
    ("name", "lines", "model", "serial"),
    [
        (
            "dell",
            "device.2.1|6|1.3.6.1.2.1.25.3.1.5\ndevice.3.1|4|Dell S5830dn 7XQ1R92 LW62.DN4.P636\n"
            "general.17.1|4|7XQ1R92-297-63",
            "S5830dn",
            "7XQ1R92",
        ),
        ("ricoh", "sys.1.0|4|SAVIN MP C4503 1.18 / SAVIN Network Printer C model", "MP C4503", None),
        ("oki", "sys.1.0|4|OKI OkiLAN 8500e Rev.01.23: Attached to MC342 Rev.02.70 : x", "MC342", None),
        (
            "samsung",
            "sys.1.0|4|Samsung CLX-3170 Series;V1.00;S/N AAKQ123456",
            "CLX-3170 Series",
            "AAKQ123456",
        ),
        (
            "hp",
            "sys.1.0|4|HP ETHERNET MULTI-ENVIRONMENT,SN:VNC1234567,PID:HP LaserJet 1",
            "LaserJet 1",
            "VNC1234567",
        ),
        (
            "lexmark",
            "sys.1.0|4|TOSHIBA e-STUDIO305CS version NH63.GM kernel 3.0 All-N-1",
            "e-STUDIO305CS",
            None,
        ),
        ("fujifilm", "sys.1.0|4|FUJI XEROX ApeosPort-VI C4471;ESS1.0.217", "ApeosPort-VI C4471", None),
        (
            "hp",
            "private.11.2.3.9.4.2.1.1.3.3.0|4x|0115564e43\nprivate.11.2.3.9.4.2.1.1.3.2.0|4x|01154850204c4a",
            "LJ",
            None,  # "VNC" alone is too short to be a serial
        ),
    ],
)
def test_each_vendors_ways(
    read: Read, profiles: Profiles, name: str, lines: str, model: str, serial: str | None
) -> None:
    facts = read(lines, profile=profiles.get(name)).printer
    assert (facts.model, facts.serial) == (model, serial)


def test_firmware_as_a_list(read: Read, profiles: Profiles) -> None:
    epson = "private.1248.1.2.2.2.1.1"
    facts = read(
        f"{epson}.2.1.1|4|GL29P8\n{epson}.3.1.1|4|Main FW",
        f"{epson}.2.1.2|4|VPA9267822\n{epson}.3.1.2|4|Serial No",
        f"{epson}.2.1.3|4|08.74\n{epson}.3.1.3|4|Network FW",
        profile=profiles.get("epson"),
    ).printer
    assert facts.firmware == [Firmware("Main FW", "GL29P8"), Firmware("Network FW", "08.74")]


@pytest.mark.parametrize(
    ("lines", "color"),
    [
        ("marker.6.1.1|2|4", True),
        ("marker.6.1.1|2|1", False),
        ("supply.5.1.1|2|3\nsupply.6.1.1|4|Cyan Toner", True),
        ("supply.5.1.1|2|3\nsupply.6.1.1|4|Black Toner", False),
        ("supply.5.1.1|2|3\nsupply.6.1.1|4|Cartridge 719", None),
        ("supply.5.1.1|2|15\nsupply.6.1.1|4|Fuser", None),
        ("", None),
    ],
)
def test_whether_it_prints_in_colour(read: Read, lines: str, color: bool | None) -> None:
    assert read(lines, profile=Profile(vendor="Acme")).printer.color is color
