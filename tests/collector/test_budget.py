# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.collector.budget import HOUR_S, Amount, Budget, allowance
from appliance.model.reading import Traffic

spends = st.lists(
    st.tuples(st.floats(0, 600), st.sampled_from("abc"), st.integers(0, 200), st.integers(0, 60_000)),
    max_size=60,
)


def traffic(packets: int, octets: int) -> Traffic:
    return Traffic(
        packets_sent=packets, packets_received=0, bytes_sent=octets // 2, bytes_received=octets - octets // 2
    )


@given(spends)
def test_the_last_hour_is_counted_to_within_five_minutes(steps: list[tuple[float, str, int, int]]) -> None:
    budget = Budget(Amount(1_000, 100_000))
    now, log = 0.0, []
    for gap, printer, packets, octets in steps:
        now += gap
        budget.spend(printer, traffic(packets, octets), now)
        log.append((now, printer, packets, octets))
    for printer in "abc":
        surely = sum(k for at, p, k, _ in log if p == printer and at > now - HOUR_S + 300)
        atmost = sum(k for at, p, k, _ in log if p == printer and at > now - HOUR_S)
        assert surely <= budget.spent(printer, now).packets <= atmost
    assert budget.total(now) == sum((budget.spent(p, now) for p in "abc"), Amount())


@given(spends, st.integers(1, 500), st.integers(1, 100_000))
def test_after_the_wait_it_is_within(
    steps: list[tuple[float, str, int, int]], packets: int, octets: int
) -> None:
    budget = Budget(Amount(packets, octets))
    now = 0.0
    for gap, printer, sent, size in steps:
        now += gap
        budget.spend(printer, traffic(sent, size), now)
    for printer in "abc":
        wait = budget.wait_s(printer, now)
        assert 0 <= wait <= HOUR_S
        assert (wait == 0) == budget.spent(printer, now).within(budget.allowed)
        assert budget.spent(printer, now + wait + 1e-6).within(budget.allowed)


def test_a_printer_of_300_objects_keeps_within_what_the_settings_ask_for() -> None:
    budget = Budget(allowance(status_s=900, full_s=86_400))
    budget.spend("p", traffic(60, 24_000), 0.0)
    for n in range(96):
        assert budget.wait_s("p", 900.0 * n) == 0
        budget.spend("p", traffic(4, 1_300), 900.0 * n)
    often = Budget(allowance(status_s=5, full_s=30))
    for n in range(1_500):
        assert often.wait_s("p", 5.0 * n) == 0
        often.spend("p", traffic(14, 13_000) if n % 6 == 0 else traffic(4, 1_300), 5.0 * n)


def test_a_flood_waits() -> None:
    budget = Budget(allowance(status_s=900, full_s=86_400))
    budget.spend("p", traffic(5_000, 100_000), 10.0)
    assert 3_000 < budget.wait_s("p", 20.0) <= HOUR_S
    assert budget.wait_s("other", 20.0) == 0
