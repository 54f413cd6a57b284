# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable

import pytest

from appliance.collector.read.profile import MeterRule, MeterTable, Profile, Profiles, Source, load_profiles
from appliance.model.reading import Reading

Read = Callable[..., Reading]
P = "1.3.6.1.4.1.99999"


@pytest.fixture(scope="module")
def profiles() -> Profiles:
    return load_profiles()


def values(reading: Reading) -> dict[str, int]:
    return {m.name: m.value for m in reading.meters}


@pytest.mark.parametrize(
    ("lines", "total", "unit"),
    [
        ("marker.3.1.1|2|7\nmarker.4.1.1|65|4939", 4939, "impressions"),
        ("marker.3.1.1|2|8\nmarker.4.1.1|65|10", 10, "sheets"),
        ("marker.4.1.1|65|10", 10, "unknown"),
        ("marker.4.1.1|65|0", 0, "unknown"),
        ("marker.4.1.1|2|-1", None, None),
        ("marker.4.1.1|65|4294967295", None, None),
        ("marker.4.1.1|4|10", 10, "unknown"),
        ("marker.4.1.1|4|none", None, None),
        ("marker.4.1.1|4|--10", None, None),
        ("marker.4.1.1|4|²", None, None),
        ("marker.4.1.1|4x|3130302000", 100, "unknown"),
        ("marker.3.1.1|2|7", None, None),
        ("marker.3.0.1|2|7\nmarker.4.0.1|65|12", 12, "impressions"),
        # Four drums in tandem: each counts the pages it took part in.
        ("marker.3.1.1|2|7\nmarker.4.1.1|65|261\nmarker.3.1.2|2|7\nmarker.4.1.2|65|174", 261, "impressions"),
    ],
)
def test_the_total_of_the_printer_mib(read: Read, lines: str, total: int | None, unit: str | None) -> None:
    found = read(lines).meters
    assert [(m.name, m.value, m.unit) for m in found] == (
        [("total", total, unit)] if total is not None else []
    )


RULES = Profile(
    vendor="Acme",
    meters=[
        MeterRule(name="print.monochrome", add=[Source(oid=f"{P}.1.0")], subtract=[Source(oid=f"{P}.2.0")]),
        MeterRule(name="scan", add=[Source(oid=f"{P}.3.0"), Source(oid=f"{P}.4.0")]),
        MeterRule(name="scan", add=[Source(oid=f"{P}.3.0")]),
        MeterRule(name="total", add=[Source(oid=f"{P}.5.0")], unit="sheets"),
    ],
)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("private.99999.1.0|65|100\nprivate.99999.2.0|65|30", {"print.monochrome": 70}),
        ("private.99999.1.0|65|100", {}),  # half of a difference is no meter
        ("private.99999.1.0|65|1\nprivate.99999.2.0|65|30", {}),  # nor is a negative one
        ("private.99999.3.0|65|5\nprivate.99999.4.0|65|6", {"scan": 11}),
        ("private.99999.3.0|65|5", {"scan": 5}),
        ("private.99999.3.0|65|5\nprivate.99999.4.0|2|-1", {"scan": 5}),
        ("marker.4.1.1|65|9\nprivate.99999.5.0|65|8", {"total": 8}),
        ("marker.4.1.1|65|9\nprivate.99999.5.0|65|4294967295", {"total": 9}),
    ],
)
def test_a_profiles_rules(read: Read, lines: str, expected: dict[str, int]) -> None:
    assert values(read(lines, profile=RULES)) == expected


def test_what_was_worked_out_says_so_and_from_what(read: Read) -> None:
    found = {m.name: m for m in read(
        "private.99999.1.0|65|9\nprivate.99999.2.0|65|4\nprivate.99999.5.0|65|8", profile=RULES
    ).meters}  # fmt: skip
    assert found["print.monochrome"].derived
    assert found["print.monochrome"].source == f"{P}.1.0 - {P}.2.0"
    assert not found["total"].derived
    assert found["total"].source == f"{P}.5.0"
    assert list(found) == ["total", "print.monochrome"]


def test_rows_by_their_keys_and_rows_that_add_up(read: Read) -> None:
    rows = {"Full": "copy.full_color", "Single": "copy.full_color", "7": "fax"}
    profile = Profile(vendor="Acme", meter_tables=[MeterTable(keys=f"{P}.1", values=f"{P}.2", rows=rows)])
    found = read(
        "private.99999.1.1|4|Full\nprivate.99999.2.1|65|10",
        "private.99999.1.2|4|Single\nprivate.99999.2.2|65|5",
        "private.99999.1.9|2|7\nprivate.99999.2.9|65|3",
        "private.99999.1.4|4|Jams\nprivate.99999.2.4|65|99",
        "private.99999.1.5|4|Full",
        profile=profile,
    )
    assert values(found) == {"copy.full_color": 15, "fax": 3}
    assert [m.derived for m in found.meters] == [True, False]


def test_ricohs_rows_go_by_type_code_wherever_they_stand(read: Read, profiles: Profiles) -> None:
    table = "private.367.3.2.1.2.19.5.1"
    found = read(
        f"{table}.2.62|2|10\n{table}.9.62|2|1000",
        f"{table}.2.3|2|402\n{table}.9.3|2|20\n{table}.2.4|2|403\n{table}.9.4|2|300",
        profile=profiles.get("ricoh"),
    )
    assert values(found) == {"total": 1000, "print.full_color": 320}


def test_kyoceras_paper_sizes_go_by_name(read: Read, profiles: Profiles) -> None:
    table = "private.1347.42.2.1.1.1"
    found = read(
        f"{table}.2.1.1|4|A4\n{table}.6.1.1|2|70",
        f"{table}.2.1.2|4|Ledger\n{table}.6.1.2|2|5",
        f"{table}.2.1.3|4|A3\n{table}.6.1.3|2|6",
        profile=profiles.get("kyocera"),
    )
    assert values(found) == {"total.large": 11}
