# SPDX-License-Identifier: Apache-2.0
"""Every finding of every check, and the lights they make."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from appliance import health
from appliance.health.facts import Card, Certificate, Collector, Disk, Error, Facts, Mistake, Uplink, status
from appliance.model.clock import Stamp, rfc3339
from appliance.model.messages import Rollback, Software
from appliance.model.reading import PrinterFacts, Reading, Supply
from appliance.store.printers import Printer

NOW = 1_800_000_000.0
DAY = 86_400


def ago(seconds: float) -> str:
    return rfc3339(NOW - seconds)


def printer(n: int = 1, *, seen: float = 60, **more: Any) -> Printer:
    return Printer(id=f"p{n}", address=f"10.0.0.{n}", model="X100", last_seen=ago(seen), **more)


def reading(state: str, percent: int | None = 0) -> Reading:
    supply = Supply(
        index="1.1", class_="supplyThatIsConsumed", type="toner", color="black", description="Black Toner",
        part_number=None, serial=None, unit="percent", capacity=100, level=0, percent=percent, state=state,
        basis="measured",
    )  # fmt: skip
    return Reading(
        time=ago(60), clock="synchronised", address="10.0.0.1", printer=PrinterFacts(), supplies=[supply]
    )


UP = Uplink(
    state="connected",
    since=ago(5 * DAY),
    host="mqtt.example",
    certificate=Certificate(not_after=rfc3339(NOW + 60 * DAY)),
)
WELL = Facts(
    now=Stamp(time=rfc3339(NOW), clock="synchronised", boot_id="b", mono=90_000),
    addresses=["192.168.1.5"],
    collector=Collector(printers=2, answering=2),
    uplink=UP,
    disk=Disk(free_mb=9_000, total_mb=16_000),
    last_commit=ago(30),
    printers=[printer(1), printer(2)],
    readings={"p1": reading("ok", 60)},
)
REFUSED = Error(code="broker-unreachable", sentence="The broker refused", hint="Wait")


def but(**changes: Any) -> Facts:
    return msgspec.structs.replace(WELL, **changes)


def up(**changes: Any) -> Facts:
    return but(uplink=msgspec.structs.replace(UP, **changes))


def test_all_well_lights_four_lamps() -> None:
    results = health.run_all(WELL)
    assert {r.state for r in results} == {"ok"}
    assert health.lights(results) == dict.fromkeys(("network", "printers", "portal", "software"), "ok")
    assert health.problems(results) == []


SOFTWARE = Software(version="1.4.0", slot="a")
BACK = Rollback(version="1.5.0", kept="1.4.0", cause="gate-page", sentence="", time=ago(60))


def software(**changes: Any) -> Facts:
    return but(software=msgspec.structs.replace(SOFTWARE, **changes))


def card(using: Any, personalisation: str = "", *, mistakes: int = 2) -> Facts:
    mistake = Mistake(line=3, key="network.dns", en="{This} is no address.", de="{Das} ist keine Adresse.")
    return but(card=Card(using=using, problems=[mistake] * mistakes, personalisation=personalisation))


CASES: list[tuple[Facts, str, str]] = [
    (software(rollback=BACK, error="x: y"), "update.rolled_back", "software warning dealer"),
    (software(error="bundle-broken: It is broken"), "update.failed", "software warning you"),
    (
        software(error="bundle-broken: It is broken", operation="installing"),
        "update.ok",
        "software ok nobody",
    ),
    (software(trial=True, operation="trial"), "update.trial", "software ok nobody"),
    (software(), "update.ok", "software ok nobody"),
    (card("kept"), "installer.mistakes", "network warning you"),
    (card("automatic"), "installer.mistakes", "network warning you"),
    (card("file"), "installer.partly", "network warning you"),
    (
        card("file", "already-personalised: The card is for PL-A. Reset it.", mistakes=0),
        "personalisation.refused",
        "portal warning dealer",
    ),
    (but(addresses=None), "network.unknown", "network unknown nobody"),
    (but(addresses=[]), "network.none", "network critical you"),
    (
        but(now=msgspec.structs.replace(WELL.now, clock="unsynchronised")),
        "clock.unsynchronised",
        "network warning you",
    ),
    (
        but(now=msgspec.structs.replace(WELL.now, clock="unsynchronised", mono=5)),
        "clock.starting",
        "network ok nobody",
    ),
    (but(collector=None), "collector.dead", "software critical dealer"),
    (but(printers=[]), "printers.none", "printers warning you"),
    (but(printers=[printer(1), printer(2, seen=4 * DAY)]), "printers.silent", "printers warning you"),
    (
        but(printers=[printer(1, seen=5000), printer(2, seen=5000)]),
        "printers.all_silent",
        "printers critical you",
    ),
    (
        but(printers=[printer(1, state="active")], readings={"p1": reading("empty")}),
        "supplies.empty",
        "printers warning you",
    ),
    (but(readings={"p1": reading("full")}), "supplies.empty", "printers warning you"),
    (but(uplink=None), "portal.dead", "portal critical dealer"),
    (up(state="off"), "portal.off", "portal ok nobody"),
    (up(state="paused", waiting=3), "portal.paused", "portal warning you"),
    (up(state="connecting", since=ago(5)), "portal.connecting", "portal ok nobody"),
    (up(state="waiting", since=ago(60), error=REFUSED), "portal.unreachable", "portal warning you"),
    (up(state="waiting", since=ago(4 * DAY), error=REFUSED), "portal.unreachable", "portal critical you"),
    (
        up(state="connecting", since=ago(5), waiting=9, oldest=ago(4 * DAY)),
        "portal.unreachable",
        "portal critical you",
    ),
    (
        up(state="waiting", error=msgspec.structs.replace(REFUSED, code="certificate-mismatch")),
        "portal.certificate",
        "portal critical dealer",
    ),
    (up(waiting=7, oldest=ago(7300)), "portal.unacknowledged", "portal warning dealer"),
    (up(certificate=None), "certificate.none", "portal critical dealer"),
    (
        up(certificate=Certificate(not_after=rfc3339(NOW + 3.5 * DAY))),
        "certificate.soon",
        "portal warning dealer",
    ),
    (up(certificate=Certificate(not_after=ago(1))), "certificate.expired", "portal critical dealer"),
    (up(certificate=Certificate(not_after="soon")), "certificate.unreadable", "portal unknown nobody"),
    (
        but(database_error=Error(code="database-damaged", sentence="It is damaged", hint="Copy it")),
        "database.damaged",
        "software critical dealer",
    ),
    (
        but(database_error=Error(code="disk-full", sentence="No space", hint="Free some")),
        "database.disk_full",
        "software critical you",
    ),
    (but(last_commit=ago(5 * 3600)), "database.stale", "software warning dealer"),
    (but(disk=None), "disk.unknown", "software unknown nobody"),
    (but(disk=Disk(free_mb=300, total_mb=8000)), "disk.low", "software warning you"),
    (but(disk=Disk(free_mb=10, total_mb=8000)), "disk.full", "software critical you"),
    (but(disk=Disk(free_mb=60, total_mb=64, memory=True)), "disk.memory", "software critical dealer"),
]


@pytest.mark.parametrize(("facts", "key", "what"), CASES, ids=[case[1] for case in CASES])
def test_finding(facts: Facts, key: str, what: str) -> None:
    light, state, who = what.split()
    results = health.run_all(facts)
    found = next(r for r in results if r.key == key)
    assert (found.light, found.state, found.who_fixes) == (light, state, who)
    assert "{" not in found.text.replace("{This}", "")
    assert health.lights(results)[found.light] == state
    if state in ("warning", "critical"):
        assert found in health.problems(results)
        assert found.action
    # One trouble, one finding: nothing else lights up.
    others = [r for r in results if r.state not in ("ok", state) or (r.state != "ok" and r.key != key)]
    assert others == []


def test_every_key_of_the_source_is_covered() -> None:
    """A finding nobody tested is a sentence nobody read."""
    import appliance.health

    root = next(iter(appliance.health.__path__))
    from pathlib import Path

    keys = {
        k for f in Path(root).glob("[0-9]*.py") for k in re.findall(r'"([a-z]+\.[a-z_]+)"', f.read_text())
    }
    tested = {case[1] for case in CASES} | {r.key for r in health.run_all(WELL)}
    assert keys <= tested


def test_a_long_list_is_cut() -> None:
    many = [printer(0)] + [printer(n, seen=9 * DAY) for n in range(1, 9)]
    found = next(r for r in health.run_all(but(printers=many)) if r.key == "printers.silent")
    assert found.fields["count"] == 8
    assert found.text.count("X100") == 3
    assert "+ 5" in found.text


def test_paused_and_archived_printers_are_nobodys_trouble() -> None:
    quiet = [printer(1), printer(2, seen=9 * DAY, state="paused"), printer(3, seen=9 * DAY, state="archived")]
    assert health.problems(health.run_all(but(printers=quiet))) == []


def test_gravest_first() -> None:
    found = health.problems(
        health.run_all(but(disk=Disk(free_mb=10, total_mb=80), printers=[], addresses=[]))
    )
    assert [r.state for r in found] == ["critical", "critical", "warning"]


def test_status_answers_are_taken_as_they_come() -> None:
    answer = {
        "state": "waiting", "since": ago(60), "host": "h", "port": 8883, "next_try_s": 3, "waiting": 1,
        "waiting_bytes": 9, "oldest": ago(9), "last_ack": None,
        "error": {"code": "broker-unreachable", "sentence": "no", "hint": ""},
        "certificate": {"subject": "CN=PL", "issuer": "CN=CA", "not_after": ago(-DAY)},
    }  # fmt: skip
    found = status(answer, Uplink)
    assert found is not None
    assert found.error is not None
    assert found.error.code == "broker-unreachable"
    assert status(
        {"printers": 3, "answering": 2, "silent": 1, "scan": None, "problems": []}, Collector
    ) == Collector(printers=3, answering=2)
    assert status({"state": "sleeping"}, Uplink) is None
