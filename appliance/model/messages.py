# SPDX-License-Identifier: Apache-2.0
"""Everything that crosses the wire between a box and its dealer, as versioned structs.

Topics hang under `v1/{tenant}/{box}/` (MQTT 5): `state` (retained; birth and will), `t` readings,
`ev` events, `hb` heartbeat go up; `ack` comes down. `contract/` holds the JSON Schemas made from these.
Readings and events share one stream of sequence numbers, which never repeats: the dealer stores each
(box, stream, seq) once, however often it arrives, and answers with an acknowledgement; only then does
the box forget its copy.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from appliance.model.clock import Stamp
from appliance.model.reading import Change, Reading

READINGS = "platen.readings/1"
EVENT = "platen.event/1"
STATE = "platen.state/1"
HEARTBEAT = "platen.heartbeat/1"
ACKNOWLEDGEMENT = "platen.acknowledgement/1"

TOPIC = {READINGS: "t", EVENT: "ev", STATE: "state", HEARTBEAT: "hb", ACKNOWLEDGEMENT: "ack"}
"""Last level of the topic, by schema."""

COMPRESS_ABOVE = 512
"""Bodies over this many octets travel as zstd (user property `enc=zstd`); below, the frame costs more than it saves."""

MAX_BODY = 64 * 1024
"""A message body never exceeds this many octets before compression is undone by the receiver's own limit."""

MAX_DECODED = 1024 * 1024
"""A receiver refuses to unpack more than this."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One printer's news. `printer` is the box's own id of it; `full` comes once a day and first of all,
    `change` says what differs from the record before."""

    printer: str
    stamp: Stamp
    full: Reading | None = None
    change: Change | None = None


class Readings(msgspec.Struct, frozen=True, kw_only=True):
    """A batch of records, in the order they were read."""

    schema: str = READINGS
    box: str
    stream: str
    seq: int
    records: list[Record]


Severity = Literal["info", "warning", "critical"]


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened. `code` is dotted and stable ("printer.found", "alert.raised"); `fields` are its
    facts, keyed by name."""

    schema: str = EVENT
    box: str
    stream: str
    seq: int
    stamp: Stamp
    code: str
    severity: Severity
    printer: str | None = None
    fields: dict[str, str | int | float | bool | None] = {}


class Rollback(msgspec.Struct, frozen=True, kw_only=True):
    """An update that did not stay. `cause` is stable ("gate-printers", "did-not-start"), `sentence` its words in
    English; `version` was tried, `kept` runs instead."""

    version: str
    kept: str
    cause: str
    sentence: str
    time: str


class Software(msgspec.Struct, frozen=True, kw_only=True):
    """What the box runs and what becomes of its updates. `slot` "a" or "b"; `trial`: it still has to prove itself.
    `operation`: idle, fetching, checking, installing, restart-due (`next_version` is installed) or trial. `error`:
    code and sentence of the last installation that was refused or failed. `floor`: nothing older is installed."""

    version: str
    slot: str = ""
    trial: bool = False
    operation: str = "idle"
    percent: int | None = None
    next_version: str | None = None
    floor: str | None = None
    error: str | None = None
    rollback: Rollback | None = None


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Birth (`online` true) and will (`online` false, published by the broker). Said again when `software`, which
    only a box with slots has, becomes something else."""

    schema: str = STATE
    box: str
    online: bool
    stamp: Stamp
    version: str | None = None
    stream: str | None = None
    capabilities: list[str] = []
    software: Software | None = None


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """Six numbers that tell silence from trouble. `problems` counts what the box's own checks find wrong: network,
    clock, the card's files, printers, supplies, portal, certificate, database, disk, updates."""

    schema: str = HEARTBEAT
    box: str
    stamp: Stamp
    printers: int
    answering: int
    waiting: int
    problems: int
    uptime_s: int
    disk_free_mb: int


class Acknowledgement(msgspec.Struct, frozen=True, kw_only=True):
    """The dealer has stored these sequence numbers for good. A message it can never take is listed in
    `refused` with the reason, so that it is shown at the box and does not block the rest."""

    schema: str = ACKNOWLEDGEMENT
    box: str
    stream: str
    seqs: list[int]
    refused: dict[str, str] = {}
    time: str


Up = Readings | Event | State | Heartbeat
MESSAGES: dict[str, type[msgspec.Struct]] = {
    READINGS: Readings,
    EVENT: Event,
    STATE: State,
    HEARTBEAT: Heartbeat,
    ACKNOWLEDGEMENT: Acknowledgement,
}
