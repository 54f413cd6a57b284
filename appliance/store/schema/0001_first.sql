-- SPDX-License-Identifier: Apache-2.0
-- One writer for each group: the collector writes printer*, contact, evidence, reading, raw, boot, event and adds to
-- outbox; the uplink writes ledger and takes from outbox; the page writes setting, secret, session and attempt.
-- Moments are RFC 3339 text in UTC with milliseconds, so that they sort as text.

CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value ANY NOT NULL
) WITHOUT ROWID, STRICT;

-- The oldest schema whose code may still open this database.
INSERT INTO meta VALUES ('min_reader', 1), ('settings_version', 0), ('stream', lower(hex(randomblob(8))));

CREATE TABLE setting (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL,                     -- JSON
    source TEXT NOT NULL                     -- you, dealer, installer
) WITHOUT ROWID, STRICT;

CREATE TABLE printer (
    no INTEGER PRIMARY KEY,                  -- never leaves this database; id does
    id TEXT NOT NULL UNIQUE,
    address TEXT NOT NULL,
    port INTEGER NOT NULL,
    vendor TEXT,
    model TEXT,
    serial TEXT,
    mac TEXT,
    hostname TEXT,
    name TEXT,
    location TEXT,
    profile TEXT,
    snmp_version TEXT,
    community_index INTEGER,
    state TEXT NOT NULL,                     -- active, silent, paused, archived
    first_seen TEXT
) STRICT;

-- What changes at every poll stands apart from what hardly ever does: fifty of these rows share a few pages.
CREATE TABLE contact (
    printer INTEGER PRIMARY KEY REFERENCES printer,
    last_seen TEXT,
    last_tried TEXT,
    last_error TEXT,
    last_error_text TEXT,
    failures INTEGER NOT NULL DEFAULT 0,
    times TEXT NOT NULL DEFAULT '{}'         -- JSON: section to the moment it was last read and found unchanged
) STRICT;

CREATE TABLE printer_plan (
    printer INTEGER PRIMARY KEY REFERENCES printer,
    body BLOB NOT NULL                       -- zstd
) STRICT;

CREATE TABLE evidence (
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    printer INTEGER NOT NULL REFERENCES printer,
    PRIMARY KEY (kind, value, printer)
) WITHOUT ROWID, STRICT;
CREATE INDEX evidence_printer ON evidence (printer);

CREATE TABLE boot (
    no INTEGER PRIMARY KEY,
    boot_id TEXT NOT NULL UNIQUE
) STRICT;

-- One printer's readings lie together, in the order they were made, whatever its clock said.
CREATE TABLE reading (
    printer INTEGER NOT NULL REFERENCES printer,
    n INTEGER NOT NULL,
    time TEXT NOT NULL,
    boot INTEGER NOT NULL REFERENCES boot,
    mono REAL NOT NULL,
    base INTEGER NOT NULL,                   -- n of the full reading this change builds on; its own n if it is one
    sections INTEGER NOT NULL,               -- bit i set: section i of model.reading.SECTIONS is in the body
    body BLOB NOT NULL,                      -- zstd of JSON; a change's dictionary is the JSON of its base
    PRIMARY KEY (printer, n)
) WITHOUT ROWID, STRICT;

CREATE TABLE raw (
    printer INTEGER PRIMARY KEY REFERENCES printer,
    time TEXT NOT NULL,
    body BLOB NOT NULL                       -- zstd of MessagePack [[oid, tag, value], ...]
) STRICT;

CREATE TABLE event (
    id INTEGER PRIMARY KEY,
    time TEXT NOT NULL,
    clock TEXT NOT NULL,
    boot INTEGER NOT NULL REFERENCES boot,
    mono REAL NOT NULL,
    code TEXT NOT NULL,
    severity TEXT NOT NULL,
    printer TEXT,
    fields TEXT NOT NULL                     -- JSON
) STRICT;
CREATE INDEX event_printer ON event (printer, id) WHERE printer IS NOT NULL;

-- AUTOINCREMENT: a number is never given twice, though every row be gone.
CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    schema TEXT NOT NULL,
    encoding TEXT NOT NULL,                  -- zstd or nothing
    created TEXT NOT NULL,
    body BLOB NOT NULL                       -- exactly what will be sent
) STRICT;

CREATE TABLE ledger (
    id INTEGER PRIMARY KEY,
    seq INTEGER,                             -- null: state and heartbeat, which nobody acknowledges
    schema TEXT NOT NULL,
    topic TEXT NOT NULL,
    host TEXT NOT NULL,
    time TEXT NOT NULL,                      -- last handed to the connection
    attempts INTEGER NOT NULL,
    encoding TEXT NOT NULL,
    size INTEGER NOT NULL,
    sha256 BLOB NOT NULL,
    acknowledged TEXT,
    refused TEXT,
    body BLOB                                -- null while outbox still holds it
) STRICT;
CREATE INDEX ledger_kind ON ledger (schema, id);
CREATE INDEX ledger_open ON ledger (seq) WHERE seq IS NOT NULL AND acknowledged IS NULL;

CREATE TABLE secret (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL                      -- a password hash, never a password
) WITHOUT ROWID, STRICT;

CREATE TABLE session (
    token BLOB PRIMARY KEY,                  -- SHA-256 of what the browser holds
    created REAL NOT NULL,                   -- Unix seconds, here and below
    used REAL NOT NULL,
    expires REAL NOT NULL,
    label TEXT NOT NULL
) WITHOUT ROWID, STRICT;

CREATE TABLE attempt (
    source TEXT NOT NULL,
    time REAL NOT NULL
) STRICT;
CREATE INDEX attempt_source ON attempt (source, time);
