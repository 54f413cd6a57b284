# SPDX-License-Identifier: Apache-2.0
"""Lines over time, as numbers that a template draws. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

Point = tuple[float, float]

SHORTEST_S = 3600.0
"""A past shorter than this makes no line worth looking at."""

WIDTH, HEIGHT = 400, 180
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 4, 10, 24


class Tick(msgspec.Struct, frozen=True):
    """A labelled position on an axis, in the drawing's units; `value` is what the label says."""

    at: float
    value: float


class Line(msgspec.Struct, frozen=True):
    """`path` of an SVG path element."""

    key: str
    path: str


class Chart(msgspec.Struct, frozen=True):
    """A drawing of `width` × `height`; the plot lies between `left`, `right`, `top` and `bottom`. `fine`: the
    times are hours of a day or two rather than days."""

    width: int
    height: int
    left: float
    right: float
    top: float
    bottom: float
    lines: list[Line]
    times: list[Tick]
    values: list[Tick]
    fine: bool


def chart(
    series: dict[str, Sequence[Point]],
    since: float,
    until: float,
    *,
    low: float | None = None,
    high: float | None = None,
) -> Chart | None:
    """Stairs through (Unix time, value) points, because a value holds until the next one. None where no series
    has two points or all of it is younger than SHORTEST_S. Bounds that are not given come from the values."""
    drawn = {key: points for key, points in series.items() if len(points) >= 2}
    if not drawn or until <= since:
        return None
    values = [v for points in drawn.values() for _, v in points]
    bottom, top, step = scale(min(values) if low is None else low, max(values) if high is None else high)
    since = max(since, min(points[0][0] for points in drawn.values()))
    if until - since < SHORTEST_S:
        return None
    across = (WIDTH - _LEFT - _RIGHT) / (until - since)
    up = (HEIGHT - _TOP - _BOTTOM) / (top - bottom)

    def place(point: Point) -> tuple[float, float]:
        return round(_LEFT + (point[0] - since) * across, 1), round(
            HEIGHT - _BOTTOM - (point[1] - bottom) * up, 1
        )

    lines = []
    for key, points in drawn.items():
        start, *rest = [place(point) for point in points]
        path = f"M{start[0]:g} {start[1]:g}" + "".join(f"H{x:g}V{y:g}" for x, y in rest)
        lines.append(Line(key, path))
    step_s = (until - since) / 4
    times = [Tick(place((since + n * step_s, bottom))[0], since + n * step_s) for n in range(5)]
    count = round((top - bottom) / step)
    grid = [Tick(place((since, bottom + n * step))[1], bottom + n * step) for n in range(count + 1)]
    return Chart(
        WIDTH,
        HEIGHT,
        _LEFT,
        WIDTH - _RIGHT,
        _TOP,
        HEIGHT - _BOTTOM,
        lines,
        times,
        grid,
        until - since < 4 * 86400,
    )


def scale(low: float, high: float) -> tuple[float, float, float]:
    """(lowest, highest, step): round numbers around `low` and `high`, two to five steps apart."""
    span = max(high - low, 1.0)
    raw = span / 4
    size = 10.0 ** math.floor(math.log10(raw))
    step = max(next(size * m for m in (1, 2, 2.5, 5, 10) if size * m >= raw * 0.999), 1.0)
    if step != int(step):
        step = math.ceil(step)
    bottom = math.floor(low / step) * step
    top = math.ceil(high / step) * step
    return bottom, top if top > bottom else bottom + step, step
