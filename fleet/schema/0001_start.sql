-- SPDX-License-Identifier: Apache-2.0
-- Times are RFC 3339 in UTC. `heard` and `received` are the portal's clock, `time` is the box's.

CREATE TABLE boxes (
    box TEXT PRIMARY KEY,
    first_heard TEXT NOT NULL,
    last_heard TEXT,
    online INTEGER,                 -- NULL until a birth or a will was seen
    online_since TEXT,
    version TEXT,
    heartbeat TEXT,                 -- the last one, as JSON
    heartbeat_heard TEXT,
    heartbeat_every REAL,           -- seconds between them, as observed (fleet.pulse)
    duplicates INTEGER NOT NULL DEFAULT 0,
    refused INTEGER NOT NULL DEFAULT 0
) STRICT;

-- A box that lost its database starts a new stream; `id` keeps them in the order they appeared.
CREATE TABLE streams (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    box TEXT NOT NULL REFERENCES boxes (box),
    stream TEXT NOT NULL,
    first_heard TEXT NOT NULL,
    taken_to INTEGER NOT NULL DEFAULT 0,  -- every number up to here was settled, and its row is gone
    UNIQUE (box, stream)
) STRICT;

-- Every sequence number that was taken or refused: the reason why twice is once. A box sends again whatever it holds
-- no answer to, even after years on a shelf, so no number is ever forgotten: old rows without a gap before them become
-- streams.taken_to.
CREATE TABLE messages (
    stream_id INTEGER NOT NULL REFERENCES streams (id),
    seq INTEGER NOT NULL,
    schema TEXT NOT NULL,
    received TEXT NOT NULL,
    octets INTEGER NOT NULL,
    refused TEXT,                   -- why, or NULL where it was taken
    PRIMARY KEY (stream_id, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE records (
    stream_id INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    idx INTEGER NOT NULL,
    printer TEXT NOT NULL,
    time TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('full', 'change')),
    body TEXT NOT NULL,
    PRIMARY KEY (stream_id, seq, idx)
) STRICT, WITHOUT ROWID;

CREATE TABLE printers (
    box TEXT NOT NULL REFERENCES boxes (box),
    printer TEXT NOT NULL,
    latest TEXT NOT NULL,           -- fleet.latest.Latest as JSON
    heard TEXT NOT NULL,
    PRIMARY KEY (box, printer)
) STRICT, WITHOUT ROWID;

CREATE TABLE meters (
    box TEXT NOT NULL,
    printer TEXT NOT NULL,
    name TEXT NOT NULL,
    time TEXT NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (box, printer, name, time)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    box TEXT NOT NULL,
    stream_id INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    printer TEXT,
    time TEXT NOT NULL,
    code TEXT NOT NULL,
    severity TEXT NOT NULL,
    fields TEXT NOT NULL,
    UNIQUE (stream_id, seq)
) STRICT;
CREATE INDEX events_by_printer ON events (box, printer, id);

CREATE TABLE refusals (
    id INTEGER PRIMARY KEY,
    received TEXT NOT NULL,
    box TEXT,
    topic TEXT NOT NULL,
    reason TEXT NOT NULL,
    octets INTEGER NOT NULL
) STRICT;
