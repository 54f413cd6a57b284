# SPDX-License-Identifier: Apache-2.0
"""Printers, settings, events and sessions."""

from __future__ import annotations

import sqlite3

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from appliance.model.errors import Fault, SettingError
from appliance.model.settings import SETTINGS
from appliance.store import events, migrate, printers, readings, sessions, settings
from appliance.store.database import open_database, transaction
from appliance.store.printers import Printer

from .conftest import add_printer, full, moment, stamp

TEXT = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
PRINTERS = st.builds(
    Printer,
    id=st.sampled_from(["a", "b", "c"]),
    address=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    port=st.integers(1, 65535),
    vendor=TEXT,
    model=TEXT,
    name=TEXT,
    community_index=st.none() | st.integers(0, 7),
    plan=st.none() | st.binary(max_size=300),
    state=st.sampled_from(["active", "silent", "paused", "archived"]),
    last_seen=TEXT,
    last_error_text=TEXT,
    failures=st.integers(0, 10**6),
    evidence=st.lists(
        st.tuples(st.sampled_from(["serial", "mac"]), st.text("xyz", max_size=2)), unique=True
    ).map(sorted),
)


@given(st.lists(PRINTERS, max_size=8))
@limits(max_examples=80, deadline=None)
def test_printers_come_back_as_last_saved(saved: list[Printer]) -> None:
    db = sqlite3.connect(":memory:", isolation_level=None)
    migrate.migrate(db, None)  # type: ignore[arg-type]  # a new one makes no snapshot
    last: dict[str, Printer] = {}
    for printer in saved:
        printers.save(db, printer)
        last[printer.id] = printer
    assert {p.id: p for p in printers.all_printers(db, archived=True)} == last
    assert {p.id for p in printers.all_printers(db)} == {p.id for p in last.values() if p.state != "archived"}
    for id in "abc":
        assert printers.get(db, id) == last.get(id)
    db.close()


def test_saving_the_same_again_writes_nothing(db: sqlite3.Connection) -> None:
    printer = Printer(
        id="a", address="192.0.2.1", plan=b"plan" * 99, evidence=[("serial", "x"), ("mac", "y")]
    )
    printers.save(db, printer)
    before = db.total_changes
    printers.save(db, printer)
    assert db.total_changes == before
    printers.save(db, msgspec.structs.replace(printer, last_seen=moment(5)))
    assert db.total_changes == before + 1


def test_printers_keep_the_order_they_were_found_in(db: sqlite3.Connection) -> None:
    ids = [add_printer(db, n) for n in range(9)]
    assert [p.id for p in printers.all_printers(db)] == ids
    assert len({printers.new_id() for _ in range(999)}) == 999


# --- settings


def test_defaults(db: sqlite3.Connection) -> None:
    found = settings.load(db)
    assert found == {s.key: s.default for s in SETTINGS.values() if not s.secret}
    assert settings.sources(db) == {}
    assert settings.version(db) == 0


def test_put_reset_and_who_did_it(db: sqlite3.Connection) -> None:
    assert settings.put(db, "poll.status_s", "300", "dealer") == 300
    assert settings.put(db, "discovery.ranges", "10.0.0.0/24, 10.0.1.0/24", "you") == [
        "10.0.0.0/24",
        "10.0.1.0/24",
    ]
    assert settings.load(db)["discovery.ranges"] == ["10.0.0.0/24", "10.0.1.0/24"]
    assert settings.sources(db) == {"discovery.ranges": "you", "poll.status_s": "dealer"}
    settings.reset(db, "poll.status_s")
    assert settings.load(db)["poll.status_s"] == 900
    assert settings.sources(db) == {"discovery.ranges": "you"}


def test_the_marker_moves_with_every_change_and_only_then(db: sqlite3.Connection) -> None:
    seen = [settings.version(db)]
    settings.put(db, "snmp.retries", 1, "you")
    seen.append(settings.version(db))
    settings.put(db, "snmp.retries", 3, "you")
    seen.append(settings.version(db))
    settings.reset(db, "snmp.retries")
    seen.append(settings.version(db))
    assert seen == sorted(set(seen))
    settings.reset(db, "snmp.retries")
    settings.put(db, "snmp.port", 161, "you")
    at = settings.version(db)
    settings.put(db, "snmp.port", 161, "you")
    assert settings.version(db) == at


def test_the_marker_is_seen_by_others(db: sqlite3.Connection, path: object) -> None:
    other = open_database(str(path))
    settings.put(db, "snmp.retries", 1, "you")
    assert settings.version(other) == settings.version(db)
    other.close()


@pytest.mark.parametrize(("key", "value"), [("poll.status_s", 1), ("poll.status_s", "soon"), ("nothing", 1)])
def test_a_wrong_value_changes_nothing(db: sqlite3.Connection, key: str, value: object) -> None:
    with pytest.raises(SettingError):
        settings.put(db, key, value, "you")
    assert settings.version(db) == 0
    assert settings.sources(db) == {}


def test_secrets_only_by_name(db: sqlite3.Connection) -> None:
    settings.put(db, "snmp.communities", ["s3cret"], "you")
    assert "snmp.communities" not in settings.load(db)
    assert "s3cret" not in repr((settings.load(db), settings.sources(db)))
    assert settings.load(db, ("snmp.communities",))["snmp.communities"] == ["s3cret"]
    assert settings.value(db, "snmp.communities") == ["s3cret"]
    with pytest.raises(SettingError):
        settings.value(db, "nothing")


def test_what_another_release_allowed_counts_as_not_set(db: sqlite3.Connection) -> None:
    for key, text in (("poll.status_s", "1"), ("snmp.retries", "{"), ("future.thing", "true")):
        db.execute("INSERT INTO setting VALUES (?, ?, 'you')", (key, text))
    found = settings.load(db)
    assert (found["poll.status_s"], found["snmp.retries"]) == (900, 2)
    assert "future.thing" not in found


def test_a_default_cannot_be_spoilt_by_who_got_it(db: sqlite3.Connection) -> None:
    ranges = settings.load(db)["discovery.ranges"]
    assert isinstance(ranges, list)
    ranges.append("10.0.0.0/8")
    assert settings.load(db)["discovery.ranges"] == []


# --- events


def test_events_newest_first(db: sqlite3.Connection) -> None:
    printer = add_printer(db)
    first = events.add(
        db, stamp(1), "printer.found", "info", printer, {"address": "192.0.2.1", "n": 1, "x": None}
    )
    second = events.add(db, stamp(2, boot="other"), "box.started", "warning", None, {})
    newest, oldest = events.recent(db)
    assert (oldest.id, newest.id) == (first, second)
    assert oldest.stamp == stamp(1)
    assert newest.stamp.boot_id == "other"
    assert oldest.fields == {"address": "192.0.2.1", "n": 1, "x": None}
    assert [e.id for e in events.recent(db, printer=printer)] == [first]
    assert [e.id for e in events.recent(db, before=second)] == [first]
    assert [e.id for e in events.recent(db, limit=1)] == [second]
    assert events.prune(db, moment(2)) == 1
    assert [e.id for e in events.recent(db)] == [second]


# --- sessions


def test_a_session_from_login_to_logout(db: sqlite3.Connection) -> None:
    sessions.begin(db, "token", 100.0, 1000.0, "Firefox")
    found = sessions.find(db, "token", 200.0)
    assert found == sessions.Session(created=100.0, used=100.0, expires=1000.0, label="Firefox")
    assert sessions.find(db, "other", 200.0) is None
    assert sessions.find(db, "token", 1000.0) is None
    sessions.end(db, "token")
    assert sessions.find(db, "token", 200.0) is None


def test_tokens_do_not_lie_in_the_file(db: sqlite3.Connection) -> None:
    sessions.begin(db, "the-token-itself", 0, 10)
    assert "the-token-itself" not in "\n".join(db.iterdump())


def test_use_is_noted_now_and_then(db: sqlite3.Connection) -> None:
    sessions.begin(db, "token", 0.0, 1000.0)
    before = db.total_changes
    sessions.touch(db, "token", sessions.TOUCH_S - 1, 2000.0)
    assert db.total_changes == before
    sessions.touch(db, "token", sessions.TOUCH_S + 1, 2000.0)
    found = sessions.find(db, "token", 1500.0)
    assert found is not None
    assert found.used == sessions.TOUCH_S + 1


def test_everybody_out_but_me(db: sqlite3.Connection) -> None:
    for token in ("a", "b", "c"):
        sessions.begin(db, token, 0, 10)
    assert sessions.end_all(db, but="b") == 2
    assert sessions.find(db, "b", 5) is not None
    assert sessions.end_all(db) == 1


def test_the_first_password_wins(db: sqlite3.Connection) -> None:
    assert sessions.secret(db, "password") is None
    assert sessions.set_secret_once(db, "password", "hash 1")
    assert not sessions.set_secret_once(db, "password", "hash 2")
    assert sessions.secret(db, "password") == "hash 1"
    sessions.set_secret(db, "password", "hash 3")
    assert sessions.secret(db, "password") == "hash 3"
    sessions.set_secret(db, "password", None)
    assert sessions.secret(db, "password") is None


def test_guesses_are_counted_by_source(db: sqlite3.Connection) -> None:
    for at in (1.0, 2.0, 3.0):
        sessions.failed(db, "10.0.0.1", at)
    sessions.failed(db, "10.0.0.2", 2.5)
    assert sessions.failures(db, 2.0) == [2.0, 2.5, 3.0]
    assert sessions.failures(db, 0.0, "10.0.0.1") == [1.0, 2.0, 3.0]
    sessions.forgive(db, "10.0.0.1")
    assert sessions.failures(db, 0.0) == [2.5]
    sessions.begin(db, "old", 0, 50)
    sessions.prune(db, 100_000.0)
    assert sessions.failures(db, 0.0) == []
    assert db.execute("SELECT count(*) FROM session").fetchone() == (0,)


def test_nothing_is_kept_of_a_printer_that_is_unknown(db: sqlite3.Connection) -> None:
    for act in (
        lambda: readings.confirm(db, "nobody", {"status": moment(0)}),
        lambda: readings.save_raw(db, "nobody", moment(0), []),
        lambda: readings.save_full(db, "nobody", stamp(0), full(0)),
    ):
        with pytest.raises(Fault), transaction(db):
            act()
