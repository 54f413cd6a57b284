# SPDX-License-Identifier: Apache-2.0
"""How many rows are on their way, and when they go again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.uplink.window import Patience, Window

PATIENCE = Patience(first_s=60, most_s=900)


def test_a_full_window_sends_nothing_more() -> None:
    window = Window(3, PATIENCE)
    for seq in (1, 2, 3):
        window.sent(seq, 0)
    assert window.free == 0
    window.answered([2])
    assert window.free == 1
    assert window.unanswered == [1, 3]
    assert window.highest == 3


def test_rows_go_again_after_a_minute_then_less_and_less_often() -> None:
    window = Window(20, PATIENCE)
    window.sent(7, 0)
    assert _waits(window, 6) == [60, 120, 240, 480, 900, 900]


def test_a_row_that_nobody_heard_goes_again_soon() -> None:
    window = Window(20, PATIENCE)
    window.sent(7, 0)
    window.unheard(7)
    assert _waits(window, 4, unheard=True) == [2, 4, 8, 16]
    window.answered([7])
    window.unheard(7)
    assert window.overdue(10_000) == []
    window.sent(8, 0)
    assert window.overdue(59) == [], "what was heard is given its time"
    window.unheard(8)
    assert window.overdue(2) == [8], "an answer restored this patience too"


def _waits(window: Window, count: int, *, unheard: bool = False) -> list[int]:
    """Whole seconds between the times row 7 falls due."""
    waits, last, now = [], 0, 0
    while len(waits) < count:
        now += 1
        if window.overdue(now) == [7]:
            waits.append(now - last)
            last = now
            window.sent(7, now)
            if unheard:
                window.unheard(7)
    return waits


def test_an_answer_restores_patience_and_an_unknown_one_does_not() -> None:
    window = Window(20, PATIENCE)
    window.sent(1, 0)
    window.sent(2, 0)
    assert window.overdue(60) == [1, 2]
    for seq in (1, 2):
        window.sent(seq, 60)
    window.answered([99])
    assert window.overdue(121) == []
    window.answered([1])
    assert window.overdue(121) == [2]


def test_a_new_connection_starts_from_the_oldest_and_minds_the_brokers_limit() -> None:
    window = Window(20, PATIENCE)
    window.sent(5, 0)
    window.open(4)
    assert (window.highest, window.free, window.unanswered) == (0, 4, [])
    window.open(65_535)
    assert window.size == 20


@given(
    st.lists(st.tuples(st.sampled_from(["send", "answer", "late", "open"]), st.integers(1, 30)), max_size=80)
)
def test_never_more_than_the_window_and_nothing_is_forgotten(steps: list[tuple[str, int]]) -> None:
    window, acknowledged, now = Window(5, PATIENCE), set[int](), 0.0
    for what, number in steps:
        now += number
        if what == "send" and window.free:
            window.sent(window.highest + 1, now)
        elif what == "answer":
            window.answered([number])
            acknowledged.add(number)
        elif what == "late":
            for seq in window.overdue(now):
                window.sent(seq, now)
        elif what == "open":
            window.open()
            acknowledged.clear()
        assert len(window.unanswered) <= 5
        # Whatever was sent on this connection is either answered or still watched.
        assert set(range(1, window.highest + 1)) <= acknowledged | set(window.unanswered)
