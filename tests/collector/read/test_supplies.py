# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from appliance.collector.read.profile import GENERIC, Profile, Profiles, Source, SupplyRule, load_profiles
from appliance.model.reading import Reading

Read = Callable[..., Reading]


@pytest.fixture(scope="module")
def profiles() -> Profiles:
    return load_profiles()


@pytest.mark.parametrize(
    ("capacity", "level", "percent", "state", "basis"),
    [
        (15000, 7500, 50, "ok", "measured"),
        (100, 10, 10, "low", "measured"),
        (100, 0, 0, "empty", "measured"),
        (25000, 20, 1, "low", "measured"),  # some is left: never rounded to nothing
        (-2, -3, None, "ok", "some"),
        (100, -3, None, "ok", "some"),
        (-2, -2, None, "unknown", "unknown"),
        (100, -1, None, "unknown", "unknown"),
        (-2, 50, None, "unknown", "unknown"),  # not a percentage of anything
        (0, 0, None, "unknown", "unknown"),
        (100, 280, None, "unknown", "unknown"),
        (100, -100, None, "unknown", "unknown"),
        (100, 101, 100, "ok", "measured"),
    ],
)
def test_special_values_stay_what_they_are(
    read: Read, capacity: int, level: int, percent: int | None, state: str, basis: str
) -> None:
    [supply] = read(
        f"supply.4.1.1|2|3\nsupply.5.1.1|2|3\nsupply.8.1.1|2|{capacity}\nsupply.9.1.1|2|{level}"
    ).supplies
    assert (supply.capacity, supply.level) == (capacity, level)
    assert (supply.percent, supply.state, supply.basis) == (percent, state, basis)


@pytest.mark.parametrize(
    ("counts", "level", "percent", "state"),
    [
        ("remaining", 67, 67, "ok"),
        ("remaining", 0, 0, "full"),
        ("remaining", 5, 5, "near_full"),
        ("filled", 95, 5, "near_full"),
        ("filled", 100, 0, "full"),
        (None, 67, 67, "ok"),
        (None, 0, 0, "unknown"),  # full or empty? no profile says which way this printer counts
        (None, 100, 100, "unknown"),
    ],
)
def test_which_way_a_receptacle_counts_is_a_fact_of_the_profile(
    read: Read, counts: str | None, level: int, percent: int, state: str
) -> None:
    profile = msgspec.structs.replace(GENERIC, receptacle=counts)
    [box] = read(
        f"supply.4.1.1|2|4\nsupply.5.1.1|2|4\nsupply.8.1.1|2|100\nsupply.9.1.1|2|{level}", profile=profile
    ).supplies
    assert (box.class_, box.percent, box.state) == ("receptacleThatIsFilled", percent, state)


def test_colour_by_colorant_then_words_then_letter(read: Read) -> None:
    found = read(
        "colorant.4.1.1|4|cyan",
        "supply.3.1.1|2|1\nsupply.5.1.1|2|3\nsupply.6.1.1|4|Toner Nr. 1",
        "supply.5.1.3|2|3\nsupply.6.1.3|4|Gelber Toner",
        "supply.5.1.4|2|3\nsupply.6.1.4|4|TK-8527K",
        "supply.5.1.5|2|15\nsupply.6.1.5|4|Fuser 220V-C",
        "supply.3.1.6|2|1\nsupply.4.1.6|2|4\nsupply.5.1.6|2|4\nsupply.6.1.6|4|Resttonerbehälter",
    )
    assert [s.color for s in found.supplies] == ["cyan", "yellow", "black", None, None]


@pytest.mark.parametrize(
    ("description", "kind"),
    [
        ("Resttonerbehälter", "wasteToner"),
        ("Tonerauffangeinheit", "wasteToner"),
        ("Fixierkit", "fuser"),
        ("Trommel Schwarz", "opc"),
        ("Imaging Drum HP CF219A", "opc"),
        ("Transfer Belt", "transferUnit"),
        ("Black Cartridge HP CF410A", "other"),
    ],
)
def test_a_type_of_other_is_looked_for_in_the_description(read: Read, description: str, kind: str) -> None:
    [supply] = read(f"supply.5.1.1|2|1\nsupply.6.1.1|4|{description}\nsupply.9.1.1|2|1").supplies
    assert supply.type == kind


def test_rows_with_columns_missing_and_bad(read: Read) -> None:
    found = read(
        "supply.6.1.1|4|Only a name",
        "supply.9.1.2|2|30",
        "supply.8.1.3|4|many\nsupply.9.1.3|2|30\nsupply.6.1.3|4x|4be46665",
        "supply.8.1.4|4|100\nsupply.9.1.4|4|30",  # numbers as text: Pantum
    )
    assert [s.percent for s in found.supplies] == [None, None, None, 30]
    assert [s.description for s in found.supplies] == ["Only a name", None, "Käfe", None]
    assert {n.code for n in found.notes} == {"bad-value", "charset"}


def test_an_index_without_its_device(read: Read) -> None:
    [supply] = read("supply.8.1|2|100\nsupply.9.1|2|40\nsupply.6.1|4|Toner").supplies
    assert (supply.index, supply.percent) == ("1", 40)


def test_parts_and_serials_in_descriptions(read: Read) -> None:
    found = read(
        "supply.6.1.1|4|Black Cartridge HP CF410A",
        "supply.6.1.2|4|TK-8527K",
        "supply.6.1.3|4|Black Toner Cartridge S/N:CRUM-17021234567",
        "supply.6.1.4|4|Imaging Unit",
    ).supplies
    assert [s.part_number for s in found] == ["CF410A", "TK-8527K", None, None]
    assert [s.serial for s in found] == [None, None, "CRUM-17021234567", None]


TONER = SupplyRule(
    type="toner", color="black", description="Toner", level=[Source(oid="1.3.6.1.4.1.99999.1.0")]
)


@pytest.mark.parametrize(
    ("standard", "percents"),
    [
        ("", [44]),
        ("supply.5.1.1|2|21\nsupply.6.1.1|4|Black\nsupply.8.1.1|2|-2\nsupply.9.1.1|2|-3", [44]),
        ("supply.5.1.1|2|21\nsupply.6.1.1|4|Black\nsupply.8.1.1|2|100\nsupply.9.1.1|2|40", [40]),
        ("supply.5.1.1|2|21\nsupply.6.1.1|4|Cyan\nsupply.8.1.1|2|100\nsupply.9.1.1|2|40", [40, 44]),
        ("supply.5.1.1|2|15\nsupply.6.1.1|4|Fuser\nsupply.8.1.1|2|100\nsupply.9.1.1|2|40", [40, 44]),
    ],
)
def test_a_private_gauge_completes_the_printer_mib(read: Read, standard: str, percents: list[int]) -> None:
    profile = Profile(vendor="Acme", supplies=[TONER], name="acme")
    found = read(standard, "private.99999.1.0|2|44", profile=profile)
    assert [s.percent for s in found.supplies] == percents


def test_ricohs_table_names_what_the_printer_mib_leaves_empty(read: Read, profiles: Profiles) -> None:
    ricoh = "private.367.3.2.1.2.24.1.1"
    found = read(
        "colorant.4.1.1|4|black\ncolorant.4.1.2|4|cyan",
        "supply.3.1.1|2|1\nsupply.5.1.1|2|3\nsupply.6.1.1|4|\nsupply.8.1.1|2|100\nsupply.9.1.1|2|60",
        "supply.3.1.2|2|2\nsupply.5.1.2|2|3\nsupply.6.1.2|4|\nsupply.8.1.2|2|100\nsupply.9.1.2|2|-3",
        f"{ricoh}.3.1|4|Black Toner\n{ricoh}.5.1|2|60",
        f"{ricoh}.3.2|4|Cyan Toner\n{ricoh}.5.2|2|-100",
        profile=profiles.get("ricoh"),
    ).supplies
    assert [(s.description, s.percent, s.state) for s in found] == [
        ("Black Toner", 60, "ok"),
        ("Cyan Toner", 0, "empty"),
    ]


def test_brothers_percentages(read: Read, profiles: Profiles) -> None:
    table = "private.2435.2.3.9.4.2.1.5.5.8.0"
    found = read(
        f"{table}|4x|31010400000001" + "6f010400001c20" + "41010400002260" + "81010400000050" + "ff",
        profile=profiles.get("brother"),
    ).supplies
    assert [(s.type, s.color, s.percent) for s in found] == [("toner", "black", 72), ("opc", None, 88)]
    [coarse] = read(f"{table}|4x|8101040000005041" + "010103ff", profile=profiles.get("brother")).supplies
    assert (coarse.percent, coarse.basis) == (80, "coarse")
    ink = read(
        "private.2435.2.3.9.1.1.7.0|4|MFG:Brother;MDL:DCP-J132W;",
        f"{table}|4x|4101040000245431010400000001" + "6f010400001bbc" + "ff",
        profile=profiles.get("brother"),
    ).supplies
    assert [(s.type, s.percent) for s in ink] == [
        ("inkCartridge", 71)
    ]  # an inkjet's drum record means nothing


def test_a_table_without_end_is_cut(read: Read) -> None:
    found = read("\n".join(f"supply.9.1.{n}|2|5" for n in range(1, 400)))
    assert len(found.supplies) == 200
    assert "table-cut" in {n.code for n in found.notes}
