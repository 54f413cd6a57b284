# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools

import pytest

from appliance.collector.ask.spans import AHEAD, Spans, after
from appliance.collector.wire.value import INTEGER, Varbind, oid_key

ROOT = (1, 3, 6, 1)


@pytest.mark.parametrize(
    ("root", "behind"),
    [
        ((1, 3, 6), (1, 3, 7)),
        ((1, 3, 0xFFFFFFFF), (1, 4)),
        ((1, 0xFFFFFFFF, 0xFFFFFFFF), (2,)),
        ((0xFFFFFFFF,), (3,)),
    ],
)
def test_what_lies_behind(root: tuple[int, ...], behind: tuple[int, ...]) -> None:
    assert after(root) == behind


def say(spans: Spans, oid: str) -> bool:
    span = spans.next(1)[0]
    return spans.answer(span, span.low, Varbind(oid, INTEGER, 1))


def test_a_step_from_column_to_column_cuts_what_is_left() -> None:
    spans = Spans([(ROOT, after(ROOT))])
    say(spans, "1.3.6.1.5.1.1")
    assert len(spans.next(99)) == 1
    say(spans, "1.3.6.1.5.2.1")
    cut = spans.next(99)
    assert len(cut) == 1 + AHEAD
    # They lie one behind the other and cover what is left of the root.
    assert [s.high for s in cut] == [(*ROOT, 5, c) for c in range(3, 3 + AHEAD)] + [after(ROOT)]
    assert all(a.high > b.low for a, b in itertools.pairwise(cut))


def test_an_answer_far_ahead_ends_the_empty_spans_before_it() -> None:
    spans = Spans([(ROOT, after(ROOT))])
    say(spans, "1.3.6.1.5.1.1")
    say(spans, "1.3.6.1.5.2.1")
    say(spans, "1.3.6.1.5.9.1")
    assert spans.next(1)[0].low == oid_key("1.3.6.1.5.9.1")
    assert len(spans.found) == 3
    say(spans, "1.3.7")
    assert spans.next(1) == []


def test_circles_are_told_and_left_step_by_step() -> None:
    spans = Spans([(ROOT, after(ROOT))])
    say(spans, "1.3.6.1.5.1.1")
    lows = []
    while span := next(iter(spans.next(1)), None):
        lows.append(span.low)
        assert not spans.answer(span, span.low, Varbind("1.3.6.1.5.1.1", INTEGER, 1))
    assert lows == [
        (1, 3, 6, 1, 5, 1, 1),
        (1, 3, 6, 1, 5, 1, 1, 0),
        (1, 3, 6, 1, 5, 1, 2),
        (1, 3, 6, 1, 5, 1, 3),
        (1, 3, 6, 1, 5, 1, 4),
        (1, 3, 6, 1, 5, 2),
        (1, 3, 6, 1, 6),
    ]


def test_columns_of_the_largest_numbers_are_not_cut_beyond_them() -> None:
    spans = Spans([(ROOT, after(ROOT))])
    say(spans, "1.3.6.1.4294967293.1")
    say(spans, "1.3.6.1.4294967294.1")
    assert max(a for s in spans.next(99) for a in s.low) <= 0xFFFFFFFF
