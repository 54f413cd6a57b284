# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.webui import svg

DAY = 86_400.0


def test_no_line_from_one_point():
    assert svg.chart({"total": [(5.0, 1.0)]}, 0, 10) is None


def test_no_line_in_the_first_hour():
    assert svg.chart({"total": [(0.0, 1.0), (3000.0, 2.0)]}, -DAY, 3000.0) is None


def test_a_value_holds_until_the_next():
    drawn = svg.chart({"total": [(0.0, 0.0), (10 * DAY, 100.0)]}, 0, 10 * DAY)
    assert drawn is not None
    path = drawn.lines[0].path
    assert path.startswith(f"M{drawn.left:g} {drawn.bottom:g}H{drawn.right:g}V")
    assert path.endswith(f"V{drawn.top:g}")


def test_bounds_that_are_given_are_kept():
    drawn = svg.chart({"a": [(0.0, 40.0), (9 * DAY, 60.0)]}, 0, 9 * DAY, low=0, high=100)
    assert drawn is not None
    assert (drawn.values[0].value, drawn.values[-1].value) == (0, 100)


@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_scale_is_round_and_holds_both_ends(a: float, b: float):
    low, high = min(a, b), max(a, b)
    bottom, top, step = svg.scale(low, high)
    assert bottom <= low + 1e-6 * high
    assert top >= high - 1e-6 * high
    assert step >= 1
    assert 1 <= round((top - bottom) / step) <= 6


@given(st.lists(st.tuples(st.floats(0, 29 * DAY), st.floats(0, 1e7)), min_size=2, max_size=40))
def test_every_point_lies_in_the_plot(points: list[tuple[float, float]]):
    drawn = svg.chart({"x": sorted(points)}, 0, 30 * DAY)
    assert drawn is not None
    for part in drawn.lines[0].path[1:].replace("H", " ").replace("V", " ").split()[1:]:
        assert -0.2 <= float(part) <= drawn.width + 0.2


def test_a_short_past_fills_the_width_and_is_told_in_hours():
    drawn = svg.chart({"x": [(29 * DAY, 1.0), (30 * DAY, 5.0)]}, 0, 30 * DAY)
    assert drawn is not None
    assert drawn.fine
    assert drawn.times[0].value == 29 * DAY
    assert drawn.times[-1].value == 30 * DAY
