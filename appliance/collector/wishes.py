# SPDX-License-Identifier: Apache-2.0
"""What others may ask of the collector over its control socket: methods `platen.collector.*`."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from appliance.collector import search
from appliance.collector.roster import Known
from appliance.collector.scan import NONE
from appliance.collector.service import Collector, mono
from appliance.host.control import Handler, Parameters
from appliance.model.errors import NoAnswer, PlatenError, PrinterError, UsageError
from appliance.model.targets import Span, parse

MOST_TARGETS = 64

T = TypeVar("T")


def handlers(collector: Collector) -> Mapping[str, Handler]:
    """By method."""
    wishes = _Wishes(collector)
    return {
        f"platen.collector.{name}": handler
        for name, handler in {
            "Status": wishes.status,
            "Scan": wishes.scan,
            "ScanStatus": wishes.scan_status,
            "ScanStop": wishes.scan_stop,
            "PollNow": wishes.poll_now,
            "Test": wishes.test,
            "SetPrinter": wishes.set_printer,
            "Reload": wishes.reload,
        }.items()
    }


class _Scan(msgspec.Struct, forbid_unknown_fields=True):
    targets: list[str] | None = None


class _PollNow(msgspec.Struct, forbid_unknown_fields=True):
    printer: str


class _Test(msgspec.Struct, forbid_unknown_fields=True):
    address: str


class _SetPrinter(msgspec.Struct, forbid_unknown_fields=True):
    printer: str
    name: str | msgspec.UnsetType | None = msgspec.UNSET
    location: str | msgspec.UnsetType | None = msgspec.UNSET
    paused: bool | msgspec.UnsetType = msgspec.UNSET


class _Wishes:
    def __init__(self, collector: Collector) -> None:
        self._c = collector

    async def status(self, parameters: Parameters) -> Parameters:
        c, now = self._c, mono()
        known = [k.row for k in c.roster]
        total = c.budget.total(now)
        each = {row.id: c.budget.spent(row.id, now) for row in known}
        scan = c.discovery.scan
        return {
            "printers": len(known),
            "answering": sum(r.state == "active" and not r.failures and bool(r.last_seen) for r in known),
            "silent": sum(r.state == "silent" for r in known),
            "paused": sum(r.state == "paused" for r in known),
            "scan": scan.summary() if scan else None,
            "problems": _problems(c),
            "budget": {
                "packets_hour": total.packets,
                "bytes_hour": total.octets,
                "allowed_packets_hour": c.budget.allowed.packets,
                "allowed_bytes_hour": c.budget.allowed.octets,
                "printers": {
                    id: {"packets_hour": a.packets, "bytes_hour": a.octets}
                    for id, a in each.items()
                    if a.packets
                },
            },
            "unwritten": len(c.writer),
        }

    async def scan(self, parameters: Parameters) -> Parameters:
        targets = _parameters(parameters, _Scan).targets
        if targets is not None and not 0 < len(targets) <= MOST_TARGETS:
            raise UsageError(f"A search takes 1 to {MOST_TARGETS} targets")
        self._c.discovery.wish(targets)
        return {}

    async def scan_status(self, parameters: Parameters) -> Parameters:
        scan = self._c.discovery.scan
        return scan.report() if scan else dict(NONE)

    async def scan_stop(self, parameters: Parameters) -> Parameters:
        self._c.discovery.stop()
        return {}

    async def poll_now(self, parameters: Parameters) -> Parameters:
        c = self._c
        known = self._known(_parameters(parameters, _PollNow).printer)
        if c.is_excluded(known.row.address):
            raise _excluded(known.row.address)
        if wait := c.budget.wait_s(known.row.id, mono()):
            raise PlatenError(
                f"{known.title} was asked enough for this hour",
                hint=f"Try again in {max(round(wait / 60), 1)} min",
                code="over-budget",
            )
        traffic = await c.visit(known, "full")
        await c.commit_now()
        return {"time": known.row.last_seen, "traffic": msgspec.to_builtins(traffic)}

    async def test(self, parameters: Parameters) -> Parameters:
        text = _parameters(parameters, _Test).address
        target = parse(text)
        if isinstance(target, Span) and len(target) != 1:
            raise UsageError("A test takes one address or name")
        spans, errors = await search.resolve([text])
        if errors:
            raise errors[0]
        address = str(spans[0].first)
        if self._c.is_excluded(address):
            raise _excluded(address)
        return {"reading": msgspec.to_builtins(await self._read(address))}

    async def _read(self, address: str) -> Any:
        c = self._c
        known = c.roster.at(address)
        failed: PrinterError | None = None
        for community in range(len(c.access.communities)):
            for version in ("2c", "1"):
                visit, error, traffic = await search.read_first(
                    address,
                    c.access,
                    c.profiles,
                    port=known.row.port if known else None,
                    version=version,
                    community=community,
                    line=c.line,
                )
                if known is not None:
                    c.budget.spend(known.row.id, traffic, mono())
                if visit is not None:
                    return visit.reading
                failed = failed or error
                if not isinstance(error, NoAnswer):
                    assert error is not None
                    raise error
        assert failed is not None
        raise failed

    async def set_printer(self, parameters: Parameters) -> Parameters:
        wish = _parameters(parameters, _SetPrinter)
        known = self._known(wish.printer)
        texts = {"name": wish.name, "location": wish.location}
        changes = {key: _text(key, value) for key, value in texts.items() if value is not msgspec.UNSET}
        if changes:
            self._c.roster.change(known, **changes)
        if wish.paused is not msgspec.UNSET:
            self._c.set_paused(known, wish.paused)
        await self._c.commit_now()
        return {}

    async def reload(self, parameters: Parameters) -> Parameters:
        await self._c.reload()
        return {}

    def _known(self, printer: str) -> Known:
        known = self._c.roster.get(printer)
        if known is None:
            raise UsageError(f"There is no printer {printer[:64]!r}", code="no-such-printer")
        return known


def _parameters(parameters: Parameters, kind: Callable[..., T]) -> T:
    try:
        return msgspec.convert(parameters, type=kind)  # type: ignore[no-any-return]
    except msgspec.ValidationError as e:
        raise UsageError(f"The parameters are not right: {e}", code="bad-parameters") from None


def _text(key: str, value: object) -> str | None:
    if value is None:
        return None
    text = str(value).strip()
    if len(text) > 255 or not text.isprintable():
        raise UsageError(f"The {key} takes up to 255 printable characters")
    return text or None


def _excluded(address: str) -> PlatenError:
    return PlatenError(
        f"{ipaddress.ip_address(address)} is excluded, so it is never asked",
        hint="Take it out of the excluded addresses first",
        code="excluded",
    )


def _problems(c: Collector) -> list[dict[str, object]]:
    """What a person should look after, the box's own troubles first."""
    problems: list[dict[str, object]] = []

    def add(code: str, sentence: str, hint: str = "", printer: str | None = None) -> None:
        problem: dict[str, object] = {"code": code, "sentence": sentence, "hint": hint}
        problems.append(problem if printer is None else {**problem, "printer": printer})

    if c.store_problem is not None:
        waits = f"; {len(c.writer)} readings and events wait in memory" if len(c.writer) else ""
        left_out = f", {c.writer.left_out} found no room" if c.writer.left_out else ""
        add(c.store_problem.code, c.store_problem.sentence + waits + left_out, c.store_problem.hint)
    for error in (*c.profiles.refused, *c.discovery.problems):
        add(error.code, error.sentence, error.hint)
    now = mono()
    for known in c.roster:
        row = known.row
        if known.question is not None:
            add("conflict", known.question, "Look at both printers; nothing was merged", row.id)
        if row.state == "silent":
            seen = f" since {row.last_seen}" if row.last_seen else ""
            why = f": {row.last_error_text}" if row.last_error_text else ""
            hint = (
                "It is found again when it answers at another address"
                if known.displaced
                else "Check that it is switched on and connected; it is asked again by itself"
            )
            add(row.last_error or "no-answer", f"{known.title} has not been read{seen}{why}", hint, row.id)
        if wait := c.budget.wait_s(row.id, now):
            minutes = max(round(wait / 60), 1)
            add(
                "over-budget",
                f"{known.title} was asked enough for this hour",
                f"It rests {minutes} min",
                row.id,
            )
    return problems
