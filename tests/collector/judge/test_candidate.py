# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from appliance.collector.judge.candidate import verdict

ENTERPRISES = "1.3.6.1.4.1."


@pytest.mark.parametrize(
    ("arcs", "expected"),
    [
        ("1347.41", "printer"),
        ("11.2.3.9.1", "printer"),
        ("11.2.3.7.8.5.2", "other"),  # an HP switch
        ("11.2.3.90", "unknown"),  # a prefix ends at an arc, not inside one
        ("1248.1.1.2.1.3.5", "printer"),
        ("1248.4.1", "other"),  # an Epson projector
        ("674.10898.2.100", "printer"),
        ("674.10895.3000", "other"),  # a Dell switch
        ("8072.3.2.10", "generic"),
        ("311.1.1.3.1.1", "other"),
        ("9.1.516", "other"),
        ("99999.1", "unknown"),
    ],
)
def test_by_the_longest_prefix(arcs: str, expected: str) -> None:
    assert verdict(ENTERPRISES + arcs) == expected


@pytest.mark.parametrize("oid", [None, "", "0.0", "1.3.6.1.2.1.1", "rubbish"])
def test_what_says_nothing_is_unknown(oid: str | None) -> None:
    assert verdict(oid) == "unknown"
