# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.model.reading import Alert, Input, Status, Storage, Supply
from appliance.webui import mibnames, vocabulary, wording
from appliance.webui.i18n import Locale
from tests.webui import sample

EN, DE = Locale("en"), Locale("de")


def supply(**facts) -> Supply:
    usual = {
        "index": "1.1",
        "class_": "supplyThatIsConsumed",
        "type": "toner",
        "color": "cyan",
        "description": "TK-5240C",
        "part_number": None,
        "serial": None,
        "unit": "percent",
        "capacity": 100,
        "level": 62,
        "percent": 62,
        "state": "ok",
        "basis": "measured",
    }
    return Supply(**{**usual, **facts})


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({}, "62%"),
        ({"percent": 0, "level": 0}, "0%"),
        ({"percent": 50, "basis": "coarse"}, "about 50%"),
        ({"percent": None, "level": -3, "basis": "some"}, "some left"),
        (
            {"percent": None, "level": -3, "basis": "some", "class_": "receptacleThatIsFilled"},
            "some space left",
        ),
        ({"percent": None, "level": -2, "basis": "unknown"}, "unknown"),
        ({"percent": None, "level": None, "basis": "unknown"}, "unknown"),
        (
            {"percent": None, "level": 4000, "capacity": -2, "unit": "impressions", "basis": "unknown"},
            "4,000 pages left",
        ),
        ({"percent": 10, "class_": "receptacleThatIsFilled"}, "10% space left"),
    ],
)
def test_levels_in_words(facts: dict, text: str):
    assert wording.supply_level(EN, supply(**facts)) == text


def test_names_follow_the_order_of_the_language():
    assert wording.supply_name(EN, supply()) == "Cyan toner"
    assert wording.supply_name(DE, supply()) == "Toner Cyan"
    assert wording.supply_name(EN, supply(type="wasteToner", color=None)) == "Waste toner container"
    assert wording.supply_name(EN, supply(type="unheardOf")) == "TK-5240C"
    assert wording.supply_name(EN, supply(type="unheardOf", description=None)) == "Supply 1.1"


@given(st.text(min_size=1, max_size=40))
def test_a_keyword_of_no_table_is_still_shown(keyword: str):
    assert wording.plain(EN, {}, keyword)


def test_keywords_are_split_into_words():
    assert wording.plain(EN, {}, "someNewState") == "some new state"


def alert(**facts) -> Alert:
    usual = {
        "index": 1,
        "code": 8,
        "code_name": "jam",
        "severity": "critical",
        "training": "untrained",
        "group": "mediaPath",
        "group_index": 1,
        "location": 0,
        "description": "Paper jam",
        "ticks": None,
        "time": None,
    }
    return Alert(**{**usual, **facts})


def test_alerts_speak_the_readers_language_not_the_printers():
    assert wording.alert(DE, alert(description="Bourrage papier")) == "Papierstau"
    assert wording.alert(EN, alert(code_name="vendorThing", description="Call service")) == "Call service"
    assert wording.alert(EN, alert(code_name="vendorThing", description=None)) == "vendor thing"


@pytest.mark.parametrize(
    ("level", "capacity", "text"),
    [
        (-3, 250, "some left"),
        (-2, 250, "unknown"),
        (None, None, "unknown"),
        (0, 250, "empty"),
        (120, 250, "120 of 250 sheets"),
        (80, -2, "80 sheets"),
    ],
)
def test_trays(level: int | None, capacity: int | None, text: str):
    assert wording.amount(EN, level, capacity, "sheets") == text


def test_usual_sizes_have_names():
    a4 = Input(
        index="1",
        dim_unit="micrometers",
        media_dim_feed_dir_chosen=297_000,
        media_dim_x_feed_dir_chosen=210_000,
    )
    letter = Input(
        index="1",
        dim_unit="tenThousandthsOfInches",
        media_dim_feed_dir_declared=110_000,
        media_dim_x_feed_dir_declared=85_000,
    )
    odd = Input(
        index="1",
        dim_unit="micrometers",
        media_dim_feed_dir_chosen=500_000,
        media_dim_x_feed_dir_chosen=100_000,
    )
    assert wording.media_size(EN, a4) == "A4"
    assert wording.media_size(EN, letter) == "Letter"
    assert wording.media_size(EN, odd) == "100 × 500 mm"
    assert (
        wording.media_size(EN, Input(index="1", dim_unit="micrometers", media_dim_feed_dir_chosen=-2)) == ""
    )


def test_storage():
    assert (
        wording.storage(EN, Storage(index="1", allocation_units=1024, size=1000, used=500))
        == "512\u00a0kB of 1.0\u00a0MB used"
    )
    assert wording.storage(EN, Storage(index="1")) == "unknown"


@pytest.mark.parametrize(
    ("oid", "name"),
    [
        ("1.3.6.1.2.1.43.11.1.1.9.1.3", "prtMarkerSuppliesLevel.1.3"),
        ("1.3.6.1.2.1.43.8.2.1.13.1.2", "prtInputName.1.2"),
        ("1.3.6.1.2.1.43.5.1.1.17.1", "prtGeneralSerialNumber.1"),
        ("1.3.6.1.2.1.25.3.5.1.2.1", "hrPrinterDetectedErrorState.1"),
        ("1.3.6.1.2.1.1.5.0", "sysName.0"),
        ("1.3.6.1.4.1.1248.1.2", None),
        ("1", None),
    ],
)
def test_names_of_objects(oid: str, name: str | None):
    assert mibnames.name(oid) == name


def test_a_printer_that_says_toner_is_low_is_asked_which():
    reading = sample.reading(1, 1_795_262_400.0, used=1.0)
    low = msgspec.structs.replace(reading, status=Status(printer="idle", errors=["lowToner", "lowPaper"]))
    assert wording.condition(EN, low) == ("note", "Cyan toner is low, paper is low")
    silent = msgspec.structs.replace(low, supplies=[])
    assert wording.condition(EN, silent) == ("note", "Toner is low, paper is low")
    stopped = msgspec.structs.replace(reading, status=Status(printer="other", errors=["lowToner", "jammed"]))
    assert wording.condition(EN, stopped) == ("bad", "Paper is jammed")


def test_several_conditions_make_one_sentence():
    errors = ["noToner", "offline", "doorOpen"]
    reading = msgspec.structs.replace(
        sample.reading(1, 1_795_262_400.0), status=Status(printer="other", errors=errors), supplies=[]
    )
    assert wording.condition(EN, reading)[1] == "Toner is empty, switched to offline, a cover is open"
    assert wording.condition(DE, reading)[1] == "Toner leer, auf offline geschaltet, eine Abdeckung ist offen"


@pytest.mark.parametrize("error", vocabulary.ERRORS)
def test_german_keeps_capitals_for_nouns_only(error: str):
    german = DE.gettext(vocabulary.ERRORS[error])
    inner = DE.joined(["Toner leer", german]).partition(", ")[2]
    nouns = ("Toner", "Papierstau")
    assert inner[0].isupper() == german.startswith(nouns)
