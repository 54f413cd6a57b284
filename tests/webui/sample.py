# SPDX-License-Identifier: Apache-2.0
"""A box with a believable office: fourteen printers, a month of history, reports sent and waiting, and the two
other services answering on their sockets."""

from __future__ import annotations

import random
import sqlite3
import time
from typing import Any

import msgspec

from appliance.host import control
from appliance.host.paths import Paths
from appliance.model.clock import Stamp, rfc3339
from appliance.model.errors import NoAnswer
from appliance.model.messages import HEARTBEAT, STATE, Acknowledgement, Heartbeat, Record, State
from appliance.model.reading import (
    SECTIONS,
    Alert,
    Cover,
    Firmware,
    Input,
    Meter,
    Output,
    PrinterFacts,
    Reading,
    Status,
    Storage,
    Supply,
    Traffic,
    difference,
)
from appliance.model.supplies import judge
from appliance.store import ledger, outbox, printers, readings, settings
from appliance.store.printers import Printer

BOX = "PL-7K2M-Q4XT"
CODE = "8F3K-W9TZ"
PASSWORD = "korrekt pferd batterie"
BOOT = "5b0c7a0e-33a1-4c35-9c5d-8d0d6f7a1a11"

_OFFICE = (
    ("Reception", "Ground floor", "Kyocera", "ECOSYS M5526cdw", "cmyk", 48_211, (62, 18, 71, 40)),
    ("Accounting", "1st floor", "Brother", "HL-L8360CDW", "cmyk", 103_954, (8, 55, 33, 47)),
    ("", "1st floor", "HP", "Color LaserJet MFP M480", "cmyk", 21_500, (80, 75, 66, 71)),
    ("Warehouse", "Hall 2", "Lexmark", "MS826de", "k", 512_330, (0,)),
    ("Design", "2nd floor", "Epson", "WF-C17590 Series", "cmyk", 422_294, (34, 38, 35, 90)),
    ("Meeting room", "2nd floor", "Canon", "LBP6670", "k", 9_120, (-3,)),
    ("Dispatch", "Hall 1", "Zebra", "ZT410", "", 0, ()),
    ("Management", "3rd floor", "Ricoh", "IM C3000", "cmyk", 88_402, (-3, -3, -2, 60)),
    ("Copy room", "Ground floor", "Konica Minolta", "bizhub C250i", "cmyk", 310_771, (45, 52, 61, 58)),
    ("Lab", "Basement", "OKI", "C532", "cmyk", 15_020, (22, 30, 28, 41)),
    ("Sales", "1st floor", "Xerox", "VersaLink C405", "cmyk", 67_310, (51, 47, 12, 39)),
    ("HR", "3rd floor", "Samsung", "SL-M4070FR", "k", 40_008, (73,)),
    ("Workshop", "Hall 2", "Brother", "HL-L6400DW", "k", 230_114, (44,)),
    ("Archive", "Basement", "Kyocera", "ECOSYS P2040dw", "k", 5_402, (91,)),
)
_COLORS = {"c": "cyan", "m": "magenta", "y": "yellow", "k": "black"}


def printer_ids() -> list[str]:
    return [f"{n:016x}" for n in range(1, len(_OFFICE) + 1)]


def reading(n: int, at: float, *, used: float = 0.0) -> Reading:
    """Printer `n` at that moment, `used` of its month (0 to 1) before the figures of today."""
    _, place, vendor, model, inks, total, levels = _OFFICE[n]
    back = 1.0 - used
    total -= round(total * 0.012 * back)
    supplies = [
        _supply(i, ink, level, back) for i, (ink, level) in enumerate(zip(inks, levels, strict=True), 1)
    ]
    if vendor in ("Kyocera", "Epson"):
        kind = "wasteInk" if vendor == "Epson" else "wasteToner"
        supplies.append(
            _row(len(supplies) + 1, "receptacleThatIsFilled", kind, None, "Waste container", 100, 90)
        )
        supplies.append(
            _row(len(supplies) + 1, "supplyThatIsConsumed", "fuser", None, "Fuser unit", 200_000, 146_000)
        )
    meters = (
        [Meter(name="total", value=total, unit="impressions", source="1.3.6.1.2.1.43.10.2.1.4.1.1")]
        if total
        else []
    )
    if inks == "cmyk":
        parts = {
            "total.monochrome": 0.42,
            "total.full_color": 0.58,
            "total.duplex": 0.31,
            "print": 0.71,
            "print.monochrome": 0.3,
            "print.full_color": 0.41,
            "copy": 0.29,
            "scan": 0.12,
        }
        meters += [
            Meter(name=k, value=round(total * v), unit="impressions", source="profile", derived=k == "print")
            for k, v in parts.items()
        ]
    state, alerts, errors = "idle", [], []
    if model == "MS826de":
        errors = ["noToner"]
        alerts = [
            _alert(
                1,
                1101,
                "markerTonerEmpty",
                "critical",
                "untrained",
                "markerSupplies",
                "Replace black toner",
                at - 3600,
            )
        ]
    if model == "WF-C17590 Series":
        alerts = [
            _alert(
                1,
                808,
                "inputMediaSupplyEmpty",
                "warning",
                "untrained",
                "input",
                "Paper cassette 3 empty",
                at - 900,
            ),
            _alert(
                2,
                1107,
                "markerWasteInkReceptacleAlmostFull",
                "warning",
                "trained",
                "markerSupplies",
                None,
                None,
            ),
        ]
    time_ = rfc3339(at)
    return Reading(
        time=time_,
        clock="synchronised",
        address=f"192.168.10.{20 + n}",
        printer=PrinterFacts(
            vendor=vendor,
            model=model,
            serial=f"X59F0{n:02}6782",
            mac=f"ac:18:26:a4:93:{n:02x}",
            hostname=f"PRN{n:02}",
            location=place,
            contact="IT, ext. 210",
            sys_object_id="1.3.6.1.4.1.1248.1.2.2.1.1.1",
            color=inks == "cmyk",
            firmware=[Firmware("system", "46.38.GA08P9"), Firmware("PCL", "20240827")],
        ),
        status=Status(printer=state, device="running", errors=errors, display=["Ready"]),
        meters=meters,
        supplies=supplies,
        alerts=alerts,
        inputs=[
            Input(
                index="1.1",
                type="sheetFeedManual",
                dim_unit="micrometers",
                media_dim_feed_dir_chosen=297_000,
                media_dim_x_feed_dir_chosen=210_000,
                capacity_unit="sheets",
                max_capacity=100,
                current_level=0,
                status=["availableAndIdle"],
                name="MP Tray",
                media_type="stationery",
            ),
            Input(
                index="1.2",
                type="sheetFeedAutoRemovableTray",
                dim_unit="micrometers",
                media_dim_feed_dir_chosen=297_000,
                media_dim_x_feed_dir_chosen=210_000,
                capacity_unit="sheets",
                max_capacity=250,
                current_level=-3,
                status=["availableAndIdle"],
                name="Cassette 1",
                media_type="stationery",
            ),
            Input(
                index="1.3",
                type="sheetFeedAutoRemovableTray",
                capacity_unit="sheets",
                max_capacity=500,
                current_level=-2,
                status=["unavailable"],
            ),
        ],
        outputs=[
            Output(
                index="1.1",
                type="unRemovableBin",
                capacity_unit="sheets",
                max_capacity=150,
                remaining_capacity=-3,
                name="Face-down tray",
                status=["availableAndIdle"],
            )
        ],
        covers=[
            Cover(index="1.1", description="Front cover", status="coverClosed"),
            Cover(index="1.2", description="Rear cover", status="coverClosed"),
        ],
        storage=[
            Storage(index="1", type="ram", descr="RAM", allocation_units=1024, size=524_288, used=201_000)
        ],
        traffic=Traffic(packets_sent=14, packets_received=14, bytes_sent=4_210, bytes_received=8_702),
        times=dict.fromkeys(SECTIONS, time_),
        uptime_ticks=8_640_000,
        profile="epson",
    )


def fill(db: sqlite3.Connection, now: float) -> None:
    """The office, its month, and the dealer's portal."""
    settings.put(db, "uplink.host", "portal.example.com", "dealer")
    settings.put(db, "uplink.tenant", "muster-ag", "dealer")
    settings.put(db, "poll.status_s", 600, "you")
    for n, (name, place, vendor, model, _, total, _) in enumerate(_OFFICE):
        silent = model == "SL-M4070FR"
        seen = now - (5 * 3600 if silent else 130 + 11 * n)
        printers.save(
            db,
            Printer(
                id=printer_ids()[n],
                address=f"192.168.10.{20 + n}",
                vendor=vendor,
                model=model,
                serial=f"X59F0{n:02}6782",
                name=name or None,
                location=place,
                snmp_version="2c",
                state="silent" if silent else "paused" if model == "C532" else "active",
                first_seen=rfc3339(now - 40 * 86400),
                last_seen=rfc3339(seen),
                last_tried=rfc3339(now - 90),
                last_error="no-answer" if silent else None,
                last_error_text="192.168.10.31 did not answer" if silent else None,
                failures=9 if silent else 0,
            ),
        )
        _history(db, n, now, seen, steps=30 if total else 0)
    varbinds = [(f"1.3.6.1.2.1.43.11.1.1.{c}.1.{i}", 2, 40 + i) for c in range(2, 10) for i in range(1, 7)]
    varbinds += [
        ("1.3.6.1.2.1.1.1.0", 4, b"EPSON Built-in 11b/g/n"),
        ("1.3.6.1.4.1.1248.1.2.2.1.1.1.3.1", 4, bytes(range(40))),
    ]
    varbinds += [(f"1.3.6.1.4.1.1248.1.2.2.44.{i}", 4, f"value {i}".encode()) for i in range(500)]
    readings.save_raw(db, printer_ids()[4], rfc3339(now - 4000), varbinds)
    _reports(db, now)


def _history(db: sqlite3.Connection, n: int, now: float, seen: float, steps: int) -> None:
    last = reading(n, now - 30 * 86400, used=0.0)
    readings.save_full(db, printer_ids()[n], stamp(now - 30 * 86400), last)
    dice, used = random.Random(n), 0.0
    for step in range(1, steps + 1):
        at = seen if step == steps else now - (30 - step) * 86400
        used = 1.0 if step == steps else min(used + dice.uniform(0, 2 / steps), 0.98)
        new = reading(n, at, used=used)
        readings.save_change(db, printer_ids()[n], stamp(at), difference(last, new))
        last = new


def _reports(db: sqlite3.Connection, now: float) -> None:
    name = outbox.stream(db)
    for n in range(36):
        at = now - (36 - n) * 600
        records = [Record(printer=printer_ids()[n % 14], stamp=stamp(at), full=reading(n % 14, at))]
        if n % 9 == 4:
            outbox.add_event(db, BOX, stamp(at), "alert.raised", "warning", printer_ids()[4], {"code": 808})
        else:
            outbox.add_readings(db, BOX, records)
        row = outbox.waiting(db, 0, 1)[0]
        if n < 34:
            ledger.sending(db, row, f"v1/muster-ag/{BOX}/{row.topic}", "portal.example.com", rfc3339(at + 1))
            refused = {str(row.seq): "schema unknown"} if n == 20 else {}
            ack = Acknowledgement(
                box=BOX, stream=name, seqs=[] if refused else [row.seq], refused=refused, time=rfc3339(at + 2)
            )
            ledger.acknowledge(db, ack)
    beat = Heartbeat(
        box=BOX,
        stamp=stamp(now - 120),
        printers=14,
        answering=12,
        waiting=2,
        problems=2,
        uptime_s=86_400,
        disk_free_mb=5_120,
    )
    for schema, topic, message in (
        (STATE, "state", State(box=BOX, online=True, stamp=stamp(now - 90_000), version="0.1.0")),
        (HEARTBEAT, "hb", beat),
    ):
        ledger.sending_other(
            db,
            schema,
            f"v1/muster-ag/{BOX}/{topic}",
            msgspec.json.encode(message),
            "",
            "portal.example.com",
            rfc3339(now - 120),
        )


def stamp(at: float) -> Stamp:
    return Stamp(
        time=rfc3339(at), clock="synchronised", boot_id=BOOT, mono=max(at - time.time() + 90 * 86400, 0.0)
    )


def _supply(i: int, ink: str, level: int, back: float) -> Supply:
    color = _COLORS[ink]
    if level > 0:
        level = min(100, round(level + 55 * back))
    return _row(i, "supplyThatIsConsumed", "toner", color, f"TK-524{ink.upper()}", 100, level)


def _row(i: int, class_: Any, kind: str, color: str | None, text: str, capacity: int, level: int) -> Supply:
    percent, state, basis = judge(class_, capacity, level, counts="filled")
    return Supply(
        index=f"1.{i}",
        class_=class_,
        type=kind,
        color=color,
        description=text,
        part_number=None,
        serial=None,
        unit="percent" if capacity == 100 else "impressions",
        capacity=capacity,
        level=level,
        percent=percent,
        state=state,
        basis=basis,
    )


def _alert(
    i: int, code: int, name: str, severity: str, training: str, group: str, text: str | None, at: float | None
) -> Alert:
    return Alert(
        index=i,
        code=code,
        code_name=name,
        severity=severity,
        training=training,
        group=group,
        group_index=1,
        location=3,
        description=text,
        ticks=1,
        time=None if at is None else rfc3339(at),
    )


class Stand:
    """Collector and uplink as far as the page can tell: real sockets, canned answers, every call noted."""

    def __init__(self, paths: Paths, now: float) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.scan: dict[str, Any] = {
            "running": False,
            "asked": 0,
            "total": 0,
            "rate": 0,
            "started": None,
            "finished": None,
            "eta_s": None,
            "found": [],
        }
        self.fail: dict[str, Exception] = {}
        self.collector: dict[str, Any] = {
            "printers": 14,
            "answering": 12,
            "silent": 1,
            "problems": [],
            "budget": {
                "packets_hour": 610,
                "bytes_hour": 190_000,
                "allowed_packets_hour": 600,
                "allowed_bytes_hour": 400_000,
                "printers": {printer_ids()[4]: {"packets_hour": 44, "bytes_hour": 13_900}},
            },
        }
        self.uplink: dict[str, Any] = {
            "state": "connected",
            "since": rfc3339(now - 7200),
            "host": "portal.example.com",
            "port": 8883,
            "error": None,
            "next_try_s": None,
            "waiting": 2,
            "waiting_bytes": 2_900,
            "oldest": rfc3339(now - 600),
            "last_ack": rfc3339(now - 125),
            "certificate": {"subject": BOX, "issuer": "Example CA", "not_after": rfc3339(now + 60 * 86400)},
        }
        self.update: dict[str, Any] = {
            "version": "0.1.0",
            "slot": "a",
            "operation": "idle",
            "floor": "0.1.0",
            "slots": [
                {"bootname": "A", "state": "booted", "version": "0.1.0", "good": True},
                {"bootname": "B", "state": "inactive", "version": "0.2.0", "good": False},
            ],
            "last": {
                "version": "0.2.0",
                "result": "rolled-back",
                "time": rfc3339(now - 4000),
                "code": "gate-printers",
                "sentence": "Fewer than half of the printers that answered before still did",
            },
            "last_rollback": {
                "version": "0.2.0",
                "kept": "0.1.0",
                "cause": "gate-printers",
                "sentence": "Fewer than half of the printers that answered before still did",
                "time": rfc3339(now - 4000),
            },
            "support_end": "2031-11-30",
        }
        self.spool = paths.run
        self._paths = paths
        self._servers: list[control.Server] = []

    async def open(self, *services: str) -> None:
        methods = {
            "collector": (
                "Status",
                "Scan",
                "ScanStatus",
                "ScanStop",
                "PollNow",
                "Test",
                "SetPrinter",
                "Reload",
            ),
            "uplink": ("Status", "Retry", "Reload"),
            "update": (
                "Status",
                "Room",
                "Install",
                "Cancel",
                "Discard",
                "Restart",
                "Acknowledge",
                "FactoryReset",
            ),
        }
        for service in services or tuple(methods):
            handlers = {f"platen.{service}.{m}": self._handler(f"{service}.{m}") for m in methods[service]}
            self._servers.append(await control.serve(self._paths.socket(service), handlers))

    async def close(self) -> None:
        for server in self._servers:
            await server.close()
        self._servers.clear()

    def _handler(self, method: str) -> control.Handler:
        async def answer(parameters: dict[str, Any]) -> dict[str, Any]:
            self.calls.append((method, parameters))
            if method in self.fail:
                raise self.fail[method]
            if method == "collector.Status":
                return {**self.collector, "scan": self.scan}
            if method == "collector.ScanStatus":
                return self.scan
            if method == "collector.Test":
                return {"reading": msgspec.to_builtins(reading(4, time.time(), used=1.0))}
            if method == "uplink.Status":
                return self.uplink
            if method == "update.Status":
                return self.update
            if method == "update.Room":
                return {"path": str(self.spool / f"{len(self.calls)}.raucb")}
            return {}

        return answer


def searching(now: float) -> dict[str, Any]:
    """A search half way through."""
    found = [
        {
            "address": "192.168.10.24",
            "printer": printer_ids()[4],
            "vendor": "Epson",
            "model": "WF-C17590 Series",
            "verdict": "known",
        },
        {
            "address": "192.168.10.40",
            "printer": printer_ids()[0],
            "vendor": "HP",
            "model": "LaserJet M507",
            "verdict": "printer",
        },
        {
            "address": "192.168.10.1",
            "vendor": "MikroTik",
            "model": None,
            "verdict": "other",
            "code": "not-a-printer",
            "sentence": "192.168.10.1 is not a printer",
        },
        {
            "address": "192.168.10.77",
            "vendor": None,
            "model": None,
            "verdict": "failed",
            "code": "bad-reply",
            "sentence": "192.168.10.77 answered nonsense",
        },
    ]
    return {
        "running": True,
        "asked": 131,
        "total": 254,
        "rate": 20,
        "started": rfc3339(now - 7),
        "finished": None,
        "eta_s": 6.2,
        "found": found,
    }


__all__ = ["NoAnswer", "Stand", "fill", "printer_ids", "reading", "searching"]
