# SPDX-License-Identifier: Apache-2.0
"""The connection's states under every order of events."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from appliance.model.errors import BrokerUnreachable, CertificateMismatch
from appliance.uplink.machine import Backoff, Machine

BACKOFF = Backoff(first_s=1, most_s=900, stable_s=300)


def _machine(chance: float = 0.999) -> Machine:
    machine = Machine(BACKOFF, lambda: chance)
    assert machine.configure(wanted=True, paused=False, changed=False, now=0) == ["connect"]
    return machine


def test_nothing_set_means_off() -> None:
    machine = Machine(BACKOFF, lambda: 0.5)
    assert machine.configure(wanted=False, paused=False, changed=True, now=1) == []
    assert machine.state == "off"
    assert machine.retry(2) == []
    assert machine.tick(9999) == []


def test_waits_double_up_to_a_quarter_of_an_hour() -> None:
    machine, now, waits = _machine(), 0.0, []
    for _ in range(14):
        machine.lost(machine.generation, BrokerUnreachable("No answer"), now)
        assert machine.next_try is not None
        waits.append(machine.next_try - now)
        now = machine.next_try
        assert machine.tick(now - 0.001) == []
        assert machine.tick(now) == ["connect"]
    assert [round(w) for w in waits] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 511, 899, 899, 899, 899]


def test_the_whole_range_below_the_ceiling_is_used() -> None:
    machine = _machine(chance=0.0)
    machine.lost(machine.generation, None, 50)
    assert machine.next_try == 50


def test_a_broker_that_accepts_and_kicks_is_not_hammered() -> None:
    machine, now = _machine(), 0.0
    for expected in (1, 2, 4, 8):
        machine.connected(machine.generation, now)
        now += 299
        machine.lost(machine.generation, BrokerUnreachable("Kicked"), now)
        assert machine.next_try is not None
        assert round(machine.next_try - now) == expected
        now = machine.next_try
        machine.tick(now)
    machine.connected(machine.generation, now)
    machine.lost(machine.generation, None, now + 300)
    assert machine.next_try is not None
    assert round(machine.next_try - now - 300) == 1


def test_changed_keys_are_tried_at_once_and_pause_hangs_up() -> None:
    machine = _machine()
    machine.connected(machine.generation, 1)
    assert machine.configure(wanted=True, paused=False, changed=False, now=2) == []
    assert machine.configure(wanted=True, paused=False, changed=True, now=3) == ["disconnect", "connect"]
    assert machine.configure(wanted=True, paused=True, changed=False, now=4) == ["disconnect"]
    assert machine.state == "paused"
    assert machine.configure(wanted=True, paused=True, changed=False, now=5) == []
    assert machine.since == 4


def test_retry_goes_at_once_but_forgets_no_failure() -> None:
    machine = _machine()
    error = CertificateMismatch("Another authority")
    machine.lost(machine.generation, error, 1)
    assert machine.error is error
    assert machine.retry(1.1) == ["connect"]
    assert machine.failures == 1


class Any(RuleBasedStateMachine):
    """Whatever happens in whatever order: at most one connection, none unwanted, no attempt before its time."""

    def __init__(self) -> None:
        super().__init__()
        self.draw = 0.5
        self.machine = Machine(BACKOFF, lambda: self.draw)
        self.now = 0.0
        self.open: int | None = None
        self.since_connected: float | None = None

    def _do(self, actions: list[str]) -> None:
        for action in actions:
            if action == "connect":
                assert self.open is None, "two connections at once"
                self.open = self.machine.generation
            else:
                assert self.open is not None, "hung up without a connection"
                self.open = None
            self.since_connected = None

    @rule(wanted=st.booleans(), paused=st.booleans(), changed=st.booleans())
    def configure(self, wanted: bool, paused: bool, changed: bool) -> None:
        self._do(self.machine.configure(wanted=wanted, paused=paused, changed=changed, now=self.now))
        assert (self.open is not None) <= (wanted and not paused)

    @rule(seconds=st.floats(min_value=0, max_value=2000))
    def passes(self, seconds: float) -> None:
        before, due = self.machine.state, self.machine.next_try
        self.now += seconds
        actions = self.machine.tick(self.now)
        assert bool(actions) == (before == "waiting" and due is not None and self.now >= due)
        self._do(actions)

    @precondition(lambda self: self.open is not None)
    @rule()
    def accepted(self) -> None:
        was = self.machine.state
        self._do(self.machine.connected(self.open or 0, self.now))
        assert self.machine.state == "connected"
        if was == "connecting":
            self.since_connected = self.now

    @precondition(lambda self: self.open is not None)
    @rule(draw=st.floats(min_value=0, max_value=1, exclude_max=True))
    def lost(self, draw: float) -> None:
        self.draw = draw
        failures = self.machine.failures
        stable = self.since_connected is not None and self.now - self.since_connected >= BACKOFF.stable_s
        self._do(self.machine.lost(self.open or 0, BrokerUnreachable("Gone"), self.now))
        self.open = self.since_connected = None
        assert self.machine.failures == (1 if stable else failures + 1)
        assert self.machine.next_try is not None
        assert 0 <= self.machine.next_try - self.now <= BACKOFF.most_s

    @rule(age=st.integers(min_value=1, max_value=3))
    def news_of_an_older_connection(self, age: int) -> None:
        before = (self.machine.state, self.machine.failures, self.machine.next_try)
        self._do(self.machine.lost(self.machine.generation - age, None, self.now))
        self._do(self.machine.connected(self.machine.generation - age, self.now))
        assert (self.machine.state, self.machine.failures, self.machine.next_try) == before

    @rule()
    def retry(self) -> None:
        was = self.machine.state
        actions = self.machine.retry(self.now)
        assert bool(actions) == (was == "waiting")
        self._do(actions)

    @invariant()
    def a_connection_exists_exactly_where_the_state_says(self) -> None:
        assert (self.open is not None) == (self.machine.state in ("connecting", "connected"))

    @invariant()
    def waiting_always_ends(self) -> None:
        assert (self.machine.next_try is not None) == (self.machine.state == "waiting")


TestAny = Any.TestCase
TestAny.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
