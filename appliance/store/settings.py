# SPDX-License-Identifier: Apache-2.0
"""Settings that differ from their defaults, and who set them. Types and limits stand in model.settings."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from typing import Literal

import msgspec

from appliance.model.errors import SettingError
from appliance.model.settings import SETTINGS, Value, check
from appliance.model.targets import parse
from appliance.store.database import transaction

Source = Literal["you", "dealer", "installer"]


def load(db: sqlite3.Connection, secrets: Collection[str] = ()) -> dict[str, Value]:
    """Every setting by its key, the default where nothing was set. A secret one (snmp.communities) is in it
    only when `secrets` names it. A stored value that is no longer allowed counts as not set."""
    values: dict[str, Value] = {
        s.key: list(s.default) if isinstance(s.default, list) else s.default
        for s in SETTINGS.values()
        if not s.secret or s.key in secrets
    }
    for key, text in db.execute("SELECT key, value FROM setting"):
        if key in values:
            try:
                values[key] = check(key, msgspec.json.decode(text))
            except (SettingError, msgspec.DecodeError):
                continue
    return values


def value(db: sqlite3.Connection, key: str) -> Value:
    """One setting by its name, secret or not. SettingError where there is none of that name."""
    if key not in SETTINGS:
        raise SettingError(f"There is no setting {key!r}")
    return load(db, (key,))[key]


def sources(db: sqlite3.Connection) -> dict[str, str]:
    """Who set it ("you", "dealer", "installer"), of every setting that is not at its default."""
    return dict(db.execute("SELECT key, source FROM setting ORDER BY key"))


def put(db: sqlite3.Connection, key: str, value: object, source: Source) -> Value:
    """Sets it, after model.settings.check, and returns what it is now. SettingError and TargetError change
    nothing."""
    checked = check(key, value)
    if SETTINGS[key].targets and isinstance(checked, list):
        for target in checked:
            parse(target)
    text = msgspec.json.encode(checked).decode()
    with transaction(db):
        if db.execute("SELECT value, source FROM setting WHERE key = ?", (key,)).fetchone() != (text, source):
            db.execute(
                "INSERT INTO setting (key, value, source) VALUES (?, ?, ?)"
                " ON CONFLICT (key) DO UPDATE SET value = excluded.value, source = excluded.source",
                (key, text, source),
            )
            _changed(db)
    return checked


def reset(db: sqlite3.Connection, key: str) -> None:
    """Back to the default."""
    with transaction(db):
        if db.execute("DELETE FROM setting WHERE key = ?", (key,)).rowcount:
            _changed(db)


def version(db: sqlite3.Connection) -> int:
    """A number that grows whenever a setting changes; cheap to ask for."""
    return int(db.execute("SELECT value FROM meta WHERE key = 'settings_version'").fetchone()[0])


def _changed(db: sqlite3.Connection) -> None:
    db.execute("UPDATE meta SET value = value + 1 WHERE key = 'settings_version'")
