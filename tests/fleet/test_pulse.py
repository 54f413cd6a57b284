# SPDX-License-Identifier: Apache-2.0
"""A box that speaks once an hour is not silent."""

from __future__ import annotations

import msgspec

from appliance.model.messages import Heartbeat
from contract.samples import EXAMPLES
from fleet.pulse import interval, patience


def _beat(mono: float, boot: str = "a") -> Heartbeat:
    example = EXAMPLES["heartbeat"]
    assert isinstance(example, Heartbeat)
    return msgspec.structs.replace(
        example, stamp=msgspec.structs.replace(example.stamp, mono=mono, boot_id=boot)
    )


def test_the_interval_is_what_the_box_does() -> None:
    assert interval(None, _beat(5), None) is None
    assert interval(_beat(5), _beat(3_605), None) == 3_600
    assert interval(_beat(5), _beat(3_605, "b"), 300) == 300, "another boot counts anew"
    assert interval(_beat(5), _beat(90_000), None) == 3_600, "it was away, not slow"
    assert patience(None) == patience(60) == 900
    assert patience(3_600) == 10_800


def test_one_quick_heartbeat_does_not_shorten_it_and_many_do() -> None:
    every: float | None = 3_600.0
    every = interval(_beat(0), _beat(7), every)
    assert patience(every) > 2 * 3_600
    for n in range(1, 40):
        every = interval(_beat(7 + 60 * (n - 1)), _beat(7 + 60 * n), every)
    assert every == 60
