# SPDX-License-Identifier: Apache-2.0
"""One believable message of each kind, as values. `contract.generate` writes them to examples/."""

from __future__ import annotations

from appliance.model.clock import Stamp
from appliance.model.messages import (
    Acknowledgement,
    Event,
    Heartbeat,
    Readings,
    Record,
    Rollback,
    Software,
    State,
)
from appliance.model.reading import (
    Alert,
    Change,
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
)

BOX = "PL-7K3M-Q9WD"
STREAM = "b4f1c2a07d5e4c3d"
PRINTER = "p-3fk2m8"
_TIME = "2026-11-21T08:15:30.250Z"
_LATER = "2026-11-21T08:30:31.020Z"
_SECTIONS = ("printer", "status", "meters", "supplies", "alerts", "inputs", "outputs", "covers", "storage")


def _stamp(time: str, mono: float) -> Stamp:
    return Stamp(time=time, clock="synchronised", boot_id="5d0c2f8e-4b61-4a8f-9f0e-3c1d7a5b9e20", mono=mono)


def _toner(index: str, color: str, description: str, level: int, percent: int) -> Supply:
    return Supply(
        index=index,
        class_="supplyThatIsConsumed",
        type="tonerCartridge",
        color=color,
        description=description,
        part_number=None,
        serial=None,
        unit="impressions",
        capacity=12000,
        level=level,
        percent=percent,
        state="low" if percent <= 10 else "ok",
        basis="measured",
    )


_WASTE = Supply(
    index="1.5",
    class_="receptacleThatIsFilled",
    type="wasteToner",
    color=None,
    description="Waste toner box",
    part_number=None,
    serial=None,
    unit="percent",
    capacity=100,
    level=-3,
    percent=None,
    state="ok",
    basis="some",
)

READING = Reading(
    time=_TIME,
    clock="synchronised",
    address="192.168.1.20",
    printer=PrinterFacts(
        vendor="Kyocera",
        model="ECOSYS M6635cidn",
        serial="VXA0100001",
        mac="00:17:c8:00:00:01",
        hostname="front-desk",
        location="Reception",
        sys_object_id="1.3.6.1.4.1.1347.41",
        firmware=[Firmware("system", "2V8_2000.003.104")],
        color=True,
    ),
    status=Status(printer="idle", device="running", display=["Ready."]),
    meters=[
        Meter(name="total", value=48213, unit="impressions", source="1.3.6.1.2.1.43.10.2.1.4.1.1"),
        Meter(
            name="total.full_color",
            value=20011,
            unit="impressions",
            source="1.3.6.1.4.1.1347.42.3.1.2.1.1.1.3",
        ),
    ],
    supplies=[
        _toner("1.1", "cyan", "TK-5280C", 7680, 64),
        _toner("1.2", "magenta", "TK-5280M", 4920, 41),
        _toner("1.3", "yellow", "TK-5280Y", 960, 8),
        _toner("1.4", "black", "TK-5280K", 10440, 87),
        _WASTE,
    ],
    alerts=[
        Alert(
            index=12,
            code=1104,
            code_name="markerTonerAlmostEmpty",
            severity="warning",
            training="untrained",
            group="markerSupplies",
            group_index=3,
            location=3,
            description="Yellow toner is low",
            ticks=8123400,
            time="2026-11-21T07:02:11.000Z",
        )
    ],
    inputs=[
        Input(
            index="1.1",
            type="sheetFeedAutoRemovableTray",
            max_capacity=500,
            current_level=-3,
            name="Cassette 1",
        )
    ],
    outputs=[
        Output(index="1.1", type="removableBin", max_capacity=250, remaining_capacity=-2, name="Inner tray")
    ],
    covers=[Cover(index="1.1", description="Front cover", status="coverClosed")],
    storage=[Storage(index="1", type="ram", descr="RAM", allocation_units=1024, size=524288, used=171008)],
    traffic=Traffic(packets_sent=9, packets_received=9, bytes_sent=3107, bytes_received=6644),
    times=dict.fromkeys(_SECTIONS, _TIME),
    uptime_ticks=8566300,
    profile="kyocera",
)

_CHANGE = Change(
    time=_LATER,
    clock="synchronised",
    address="192.168.1.20",
    status=Status(printer="printing", device="running", display=["Printing..."]),
    meters=[
        Meter(name="total", value=48219, unit="impressions", source="1.3.6.1.2.1.43.10.2.1.4.1.1"),
        Meter(
            name="total.full_color",
            value=20013,
            unit="impressions",
            source="1.3.6.1.4.1.1347.42.3.1.2.1.1.1.3",
        ),
    ],
    times={"status": _LATER, "meters": _LATER, "supplies": _LATER, "alerts": _LATER},
    uptime_ticks=8656377,
)

EXAMPLES = {
    "reading": READING,
    "readings": Readings(
        box=BOX,
        stream=STREAM,
        seq=41,
        records=[
            Record(printer=PRINTER, stamp=_stamp(_TIME, 61234.5), full=READING),
            Record(printer=PRINTER, stamp=_stamp(_LATER, 62135.27), change=_CHANGE),
        ],
    ),
    "event": Event(
        box=BOX,
        stream=STREAM,
        seq=42,
        stamp=_stamp(_LATER, 62135.3),
        code="supply.low",
        severity="warning",
        printer=PRINTER,
        fields={"supply": "TK-5280Y", "color": "yellow", "percent": 8},
    ),
    "state": State(
        box=BOX,
        online=True,
        stamp=_stamp(_TIME, 61230.0),
        version="0.1.0",
        stream=STREAM,
        capabilities=["zstd"],
        software=Software(
            version="0.1.0",
            slot="a",
            floor="0.1.0",
            rollback=Rollback(
                version="0.2.0",
                kept="0.1.0",
                cause="gate-printers",
                sentence="Fewer than half of the printers that answered before still did",
                time=_TIME,
            ),
        ),
    ),
    "will": State(box=BOX, online=False, stamp=_stamp(_TIME, 61230.0), version="0.1.0", stream=STREAM),
    "heartbeat": Heartbeat(
        box=BOX,
        stamp=_stamp(_LATER, 62140.0),
        printers=12,
        answering=11,
        waiting=0,
        problems=1,
        uptime_s=62140,
        disk_free_mb=5810,
    ),
    "acknowledgement": Acknowledgement(
        box=BOX,
        stream=STREAM,
        seqs=[41, 42],
        refused={"40": "The body is not JSON"},
        time="2026-11-21T08:30:31.410Z",
    ),
}
