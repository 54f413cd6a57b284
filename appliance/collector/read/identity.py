# SPDX-License-Identifier: Apache-2.0
"""Who a printer says it is: the "printer" section of a reading (RFC 1213, RFC 2790, RFC 3805, vendors' own)."""

from __future__ import annotations

import re

from appliance.collector.read import extract, sources
from appliance.collector.read.profile import DEVICE_IDS, SYS_DESCR, SYS_OBJECT_ID, Facts, Profile, Source
from appliance.collector.read.values import Row, Values
from appliance.model.reading import Firmware, PrinterFacts
from appliance.model.serials import placeholder

SYS_UPTIME = "1.3.6.1.2.1.1.3.0"
SYS_CONTACT = "1.3.6.1.2.1.1.4.0"
SYS_NAME = "1.3.6.1.2.1.1.5.0"
SYS_LOCATION = "1.3.6.1.2.1.1.6.0"
SYSTEM = (SYS_DESCR, SYS_OBJECT_ID, SYS_UPTIME, SYS_CONTACT, SYS_NAME, SYS_LOCATION)

IF_ENTRY = "1.3.6.1.2.1.2.2.1"
IF_TYPE, IF_PHYS_ADDRESS = 3, 6
ETHERNET = (6, 7, 26, 62, 69, 71, 117)
"""IANAifType: Ethernet by its several numbers, and IEEE 802.11 (71)."""

HR_DEVICE_ENTRY = "1.3.6.1.2.1.25.3.2.1"
HR_DEVICE_PRINTER = "1.3.6.1.2.1.25.3.1.5"
HR_PRINTER_STATUS = "1.3.6.1.2.1.25.3.5.1.1"
PRT_GENERAL = "1.3.6.1.2.1.43.5.1.1"
PRT_LOCALIZATION = "1.3.6.1.2.1.43.7.1.1"
PRT_TABLES = (
    "1.3.6.1.2.1.43.5.1.1",
    "1.3.6.1.2.1.43.10.2.1",
    "1.3.6.1.2.1.43.11.1.1",
    "1.3.6.1.2.1.43.8.2.1",
    "1.3.6.1.2.1.43.9.2.1",
    "1.3.6.1.2.1.43.18.1.1",
    "1.3.6.1.2.1.43.16.5.1",
)


def device_index(values: Values) -> int | None:
    """hrDeviceIndex of the printer. The Printer-MIB's own rows decide (HP OfficeJets use 0 there, without a row in
    hrDeviceTable), then the first device whose type is printer."""
    for table in PRT_TABLES:
        indices = values.indices(table)
        if indices:
            return indices[0][0] if table == PRT_GENERAL or len(indices[0]) > 1 else None
    for index in values.indices(HR_DEVICE_ENTRY):
        if values.oid(Row(values, HR_DEVICE_ENTRY, index).oid(2)) == HR_DEVICE_PRINTER:
            return index[0]
    return None


def host_index(values: Values, device: int | None) -> int:
    """The printer's index in the tables of RFC 2790. The same as in the Printer-MIB, but for agents that index that
    with a device their hrDeviceTable does not have: then the first printer there."""
    device = 1 if device is None else device
    if values.get(f"{HR_DEVICE_ENTRY}.2.{device}") or values.get(f"{HR_PRINTER_STATUS}.{device}"):
        return device
    for index in values.indices(HR_DEVICE_ENTRY):
        if values.oid(Row(values, HR_DEVICE_ENTRY, index).oid(2)) == HR_DEVICE_PRINTER:
            return index[0]
    found = [rest[0] for rest, _ in values.under(HR_PRINTER_STATUS)]
    return found[0] if found else device


def charset(values: Values, device: int | None) -> int | None:
    """MIBenum of the current localisation's character set (prtGeneralCurrentLocalization)."""
    device = 1 if device is None else device
    current = values.integer(f"{PRT_GENERAL}.2.{device}") or 1
    return values.integer(f"{PRT_LOCALIZATION}.4.{device}.{current}")


def facts(values: Values) -> Facts:
    """What the choice of a profile rests on."""
    device = device_index(values)
    makers = (device_id(values, oid).get("MFG") for oid in DEVICE_IDS)
    return Facts(
        sys_object_id=values.oid(SYS_OBJECT_ID),
        sys_descr=values.text(SYS_DESCR),
        device_descr=values.text(f"{HR_DEVICE_ENTRY}.3.{host_index(values, device)}"),
        makers=tuple(dict.fromkeys(m for m in makers if m)),
        values=values,
    )


def device_id(values: Values, oid: str) -> dict[str, str]:
    octets = values.octets(oid) if oid in values else None
    return extract.device_id(octets) if octets else {}


def printer(values: Values, profile: Profile, said: Facts) -> PrinterFacts:
    """The section, but for `color`, which supplies and markers tell."""
    device = device_index(values)
    device = 1 if device is None else device
    rules = profile.printer
    vendor = brand(profile, said)
    ids = {k: v for oid in reversed(DEVICE_IDS) for k, v in device_id(values, oid).items()}
    model = (
        sources.text(values, rules.model)
        or said.device_descr
        or ids.get("MDL")
        or values.text(f"{PRT_GENERAL}.16.{device}")
        or sources.text(values, rules.fallback_model)
    )
    serial = (
        sources.text(values, rules.serial)
        or values.text(f"{PRT_GENERAL}.17.{device}")
        or ids.get("SN")
        or sources.text(values, rules.fallback_serial)
    )
    return PrinterFacts(
        vendor=vendor,
        model=bare_model(model, vendor, profile),
        serial=serial if serial and not placeholder(serial) else None,
        mac=sources.text(values, rules.mac) or mac_address(values),
        hostname=values.text(SYS_NAME) or sources.text(values, rules.hostname),
        location=values.text(SYS_LOCATION) or sources.text(values, rules.location),
        contact=values.text(SYS_CONTACT),
        asset_number=sources.text(values, rules.asset_number),
        sys_object_id=said.sys_object_id,
        firmware=firmware(values, profile),
    )


def brand(profile: Profile, said: Facts) -> str | None:
    """The name the device goes by: one of the profile's brands where it says so, else the vendor; of a printer
    without a profile, the maker in its IEEE 1284 device id."""
    for words in said.texts:
        for name, pattern in profile.brands.items():
            if re.search(pattern, words):
                return name
    if profile.vendor is None and said.makers:
        return said.makers[0]
    return profile.vendor


def bare_model(model: str | None, vendor: str | None, profile: Profile) -> str | None:
    """The model without the vendor's name in front of it."""
    if model is None:
        return None
    for word in sorted(filter(None, (vendor, profile.vendor, *profile.aliases)), key=len, reverse=True):
        if model.lower().startswith(word.lower() + " "):
            model = model[len(word) :].strip()
            break
    return model or None


def mac_address(values: Values) -> str | None:
    """ifPhysAddress of the first real Ethernet or wireless interface; addresses made up locally come last."""
    ranked: list[tuple[bool, int, str]] = []
    for position, index in enumerate(values.indices(IF_ENTRY)):
        row = Row(values, IF_ENTRY, index)
        kind, octets = row.integer(IF_TYPE), row.octets(IF_PHYS_ADDRESS)
        if octets is None or len(octets) != 6 or len(set(octets)) == 1 or octets[0] & 1:
            continue
        if kind is None or kind in ETHERNET:
            ranked.append((bool(octets[0] & 2), position, octets.hex(":")))
    return min(ranked)[2] if ranked else None


def firmware(values: Values, profile: Profile) -> list[Firmware]:
    found: list[Firmware] = []
    for rule in profile.printer.firmware:
        if rule.source is not None:
            version = sources.text(values, [rule.source])
            if version:
                found.append(Firmware(rule.name, version))
        if rule.names and rule.versions:
            for rest, oid in values.under(rule.names):
                part = values.text(oid)
                version = sources.text(values, [Source(oid=".".join([rule.versions, *map(str, rest)]))])
                if version and part and not (rule.skip and re.search(rule.skip, f"{part}={version}")):
                    found.append(Firmware(part, version))
    return list(dict.fromkeys(found))
