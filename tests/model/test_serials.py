# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.model.serials import normalised, placeholder


@pytest.mark.parametrize(
    ("serial", "is_one"),
    [
        ("XXXXXXXX", True),
        ("0000000000", True),
        ("1234567890", True),
        ("NULL", True),
        ("serial number", True),
        ("N/A", True),
        ("", True),
        ("ab", True),
        ("VNCRC81164", False),
        ("0505570190", False),
        ("AA2M020125223", False),
    ],
)
def test_placeholders(serial: str, is_one: bool) -> None:
    assert placeholder(serial) is is_one


@pytest.mark.parametrize(
    ("serial", "expected"),
    [("00RH28-y67852", "RH28Y67852"), (" 0505570190 ", "505570190"), ("0000", None), (None, None)],
)
def test_as_serials_are_compared(serial: str | None, expected: str | None) -> None:
    assert normalised(serial) == expected


@given(st.text(max_size=30))
def test_normalising_twice_changes_nothing(serial: str) -> None:
    once = normalised(serial)
    assert once is None or normalised(once) in (once, None)
