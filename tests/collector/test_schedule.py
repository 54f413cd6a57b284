# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.collector.schedule import (
    CATCH_UP_S,
    DOUBLINGS,
    RETRY_S,
    SILENT_AFTER,
    Due,
    Schedule,
    phase,
)

DAY = 86_400.0
ids = st.lists(st.text("abcdef0123456789", min_size=4, max_size=12), min_size=1, max_size=12, unique=True)
bounded = settings(max_examples=30, deadline=None)
intervals = st.floats(5, DAY)


def run(schedule: Schedule, start: float, end: float, *, answers: bool = True) -> list[tuple[float, Due]]:
    """What a service that looks whenever something is due would ask from `start` to `end`, at no cost of time."""
    asked = []
    now = start
    while True:
        for due in schedule.take(now, 1_000):
            asked.append((now, due))
            if answers:
                schedule.done(due.printer, due.kind, now)
            else:
                schedule.failed(due.printer, now)
        following = schedule.next_at()
        now = min(now + 30.0, end if following is None else max(following, now + 1e-6))
        if now >= end:
            return asked


@bounded
@given(ids, intervals, st.floats(0, 1e7))
def test_first_reading_comes_soon_after_a_start(printers: list[str], status_s: float, now: float) -> None:
    schedule = Schedule(status_s=status_s, full_s=DAY)
    for p in printers:
        schedule.add(p, now, full_age=10.0)
    first: dict[str, float] = {}
    for at, due in run(schedule, now, now + 20.0):
        first.setdefault(due.printer, at)
    assert set(first) == set(printers)
    assert max(first.values()) - now <= CATCH_UP_S


@bounded
@given(ids, st.floats(5, 3_600), st.floats(0, 1e7))
def test_each_interval_holds_one_status_poll(printers: list[str], status_s: float, now: float) -> None:
    schedule = Schedule(status_s=status_s, full_s=30 * DAY)
    for p in printers:
        schedule.add(p, now, full_age=10.0)
    run(schedule, now, now + 2 * status_s)
    polls = Counter(d.printer for _, d in run(schedule, now + 2 * status_s, now + 12 * status_s))
    assert all(9 <= polls[p] <= 11 for p in printers), polls


def test_many_printers_spread_over_the_interval() -> None:
    schedule = Schedule(status_s=900, full_s=DAY)
    for n in range(240):
        schedule.add(f"printer-{n}", 0.0, full_age=DAY / 2)
    run(schedule, 0.0, 1_800.0)
    tenths = Counter(int(at // 90) for at, _ in run(schedule, 1_800.0, 2_700.0))
    assert sum(tenths.values()) >= 236
    assert max(tenths.values()) <= 44  # 24 each, were it perfectly even
    schedule.configure(2_700.0, status_s=3_600, full_s=DAY)
    fulls = Counter(int(at // 3_600) for at, d in run(schedule, 2_700.0, 2_700.0 + DAY) if d.kind == "full")
    assert sum(fulls.values()) >= 236
    assert max(fulls.values()) <= 26  # 10 an hour


@bounded
@given(st.text(min_size=1), st.text(min_size=1))
def test_a_place_is_made_from_the_id_alone(a: str, b: str) -> None:
    assert 0 <= phase(a) < 1
    assert (phase(a) == phase(b)) == (a == b)


@bounded
@given(ids, st.floats(900, 3_600))
def test_full_once_a_day(printers: list[str], status_s: float) -> None:
    schedule = Schedule(status_s=status_s, full_s=DAY)
    for p in printers:
        schedule.add(p, 0.0)
        schedule.done(p, "full", 0.0)
    fulls = Counter(d.printer for _, d in run(schedule, 0.0, 5 * DAY) if d.kind == "full")
    assert all(4 <= fulls[p] <= 6 for p in printers)


def test_after_a_restart_full_only_when_it_is_due() -> None:
    schedule = Schedule(status_s=900, full_s=DAY)
    schedule.add("fresh", 0.0, full_age=100.0)
    schedule.add("stale", 0.0, full_age=2 * DAY)
    schedule.add("never", 0.0)
    asked = run(schedule, 0.0, 901.0)
    assert {d.printer for _, d in asked if d.kind == "full"} == {"stale", "never"}
    assert {d.printer for at, d in asked if at < 20} == {"fresh", "stale", "never"}


def test_a_silent_printer_is_asked_less_and_less() -> None:
    schedule = Schedule(status_s=900, full_s=DAY)
    schedule.add("p", 0.0, full_age=0.0)
    asked = [at for at, d in run(schedule, 0.0, 30 * DAY, answers=False)]
    assert len(asked) == SILENT_AFTER + DOUBLINGS
    gaps = [b - a for a, b in pairwise(asked)]
    assert gaps[: SILENT_AFTER - 1] == pytest.approx([RETRY_S] * (SILENT_AFTER - 1))
    assert all(b == pytest.approx(2 * a) for a, b in pairwise(gaps[SILENT_AFTER - 1 :]))
    assert schedule.next_at() is None

    schedule.wish("p", 30 * DAY)
    assert schedule.take(30 * DAY, 8) == [Due("p", "status")], "once per discovery"
    schedule.failed("p", 30 * DAY)
    assert schedule.next_at() is None

    schedule.wish("p", 31 * DAY)
    schedule.take(31 * DAY, 8)
    schedule.done("p", "status", 31 * DAY)
    back = run(schedule, 31 * DAY, 31 * DAY + 3_600)
    assert len(back) >= 3, "once it answers, its usual interval is back"


def test_what_failed_is_not_asked_for_everything() -> None:
    schedule = Schedule(status_s=900, full_s=DAY)
    schedule.add("p", 0.0, full_age=2 * DAY, failures=1)
    assert {d.kind for _, d in run(schedule, 0.0, 10 * DAY, answers=False)} == {"status"}


@bounded
@given(ids, st.floats(3_600, 30 * DAY))
def test_sleep_does_not_end_in_a_herd(printers: list[str], asleep: float) -> None:
    schedule = Schedule(status_s=900, full_s=DAY)
    for p in printers:
        schedule.add(p, 0.0, full_age=0.0)
    run(schedule, 0.0, 1_800.0)
    woke = 1_800.0 + asleep
    asked = run(schedule, woke, woke + CATCH_UP_S + 1)
    assert {d.printer for _, d in asked} == set(printers)
    assert all(at - woke >= phase(d.printer) * CATCH_UP_S - 1e-3 for at, d in asked)


@bounded
@given(ids, st.floats(-1e6, -10))
def test_a_clock_that_jumps_back_stops_nothing(printers: list[str], jump: float) -> None:
    schedule = Schedule(status_s=900, full_s=DAY)
    for p in printers:
        schedule.add(p, 2e6, full_age=0.0)
    run(schedule, 2e6, 2e6 + 1_800)
    now = 2e6 + 1_800 + jump
    # A jump of some hours leaves places within a silent printer's longest interval; never further.
    asked = {d.printer for _, d in run(schedule, now, now + 900 * 2 ** (DOUBLINGS + 1) + 900)}
    assert asked == set(printers)


@bounded
@given(ids, st.floats(5, DAY), st.floats(5, DAY))
def test_new_intervals_are_in_force_at_once(printers: list[str], before: float, after: float) -> None:
    schedule = Schedule(status_s=before, full_s=30 * DAY)
    for p in printers:
        schedule.add(p, 0.0, full_age=0.0)
    run(schedule, 0.0, CATCH_UP_S + 1)
    now = CATCH_UP_S + 2
    schedule.configure(now, status_s=after, full_s=30 * DAY)
    following = schedule.next_at()
    assert following is not None
    asked = {d.printer for _, d in run(schedule, now, now + 1.5 * after + 1)}
    assert asked == set(printers)


def test_pause_and_resume() -> None:
    schedule = Schedule(status_s=900, full_s=DAY)
    schedule.add("p", 0.0, paused=True)
    assert run(schedule, 0.0, 10 * DAY) == []
    schedule.resume("p", 10 * DAY)
    assert schedule.take(10 * DAY, 8)[0].printer == "p"
    schedule.pause("p")
    schedule.done("p", "status", 10 * DAY)
    assert schedule.next_at() is None


def test_what_is_taken_is_not_handed_out_twice() -> None:
    schedule = Schedule(status_s=60, full_s=DAY)
    for n in range(20):
        schedule.add(f"p{n}", 0.0, full_age=0.0)
    first = schedule.take(CATCH_UP_S, 8)
    assert len(first) == 8
    second = schedule.take(CATCH_UP_S, 100)
    assert len(second) == 12
    assert not {d.printer for d in first} & {d.printer for d in second}
    assert schedule.take(CATCH_UP_S + 1, 100) == []
    schedule.postpone(first[0].printer, 500.0)
    assert schedule.next_at() == 500.0


def test_somebody_else_at_its_address() -> None:
    schedule = Schedule(status_s=60, full_s=DAY)
    schedule.add("p", 0.0)
    schedule.rest("p")
    assert run(schedule, 0.0, DAY) == []
    schedule.configure(DAY, status_s=5, full_s=DAY)
    assert schedule.next_at() is None


@bounded
@given(st.lists(st.tuples(st.sampled_from(["done", "full", "failed", "postpone", "pause", "resume", "wish", "sleep"]),
                          st.floats(0, 5_000)), max_size=60))  # fmt: skip
def test_whatever_happens_a_printer_is_never_lost(steps: list[tuple[str, float]]) -> None:
    schedule = Schedule(status_s=300, full_s=3_600)
    schedule.add("p", 0.0)
    now, paused = 0.0, False
    for step, seconds in steps:
        now += seconds * (100 if step == "sleep" else 1)
        taken = schedule.take(now, 1)
        assert not (taken and paused)
        if step == "pause":
            schedule.pause("p")
            paused = True
        elif step == "resume":
            schedule.resume("p", now)
            paused = False
        elif step == "wish":
            schedule.wish("p", now)
        if taken:
            if step in ("done", "full"):
                schedule.done("p", "full" if step == "full" else "status", now)
            elif step == "postpone":
                schedule.postpone("p", now + seconds)
            else:
                schedule.failed("p", now)
    schedule.resume("p", now)
    schedule.wish("p", now)
    # Which of the two readings is due depends on how long it all took.
    assert [due.printer for due in schedule.take(now + 1, 1)] == ["p"] or schedule.next_at() is not None
