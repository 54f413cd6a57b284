# SPDX-License-Identifier: Apache-2.0
"""The table of settings. The store, the page and the command line all derive from it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from appliance.model.errors import SettingError

Value = bool | int | str | list[str]


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One row. `help` is a plain sentence for the page; `secret` values are never shown, logged or sent;
    `targets` are addresses, ranges, prefixes and names (model.targets)."""

    key: str
    type: Literal["bool", "int", "text", "choice", "texts"]
    default: Value
    help: str
    unit: str | None = None
    minimum: int | None = None
    maximum: int | None = None
    choices: tuple[str, ...] = ()
    most: int = 64
    secret: bool = False
    targets: bool = False


_TABLE = (
    Setting(key="discovery.ranges", type="texts", default=[], targets=True, help="Where to look for printers: addresses, ranges and prefixes. Empty means the attached network."),
    Setting(key="discovery.exclude", type="texts", default=[], targets=True, help="Never ask these addresses anything."),
    Setting(key="discovery.rate", type="int", default=20, minimum=1, maximum=10_000, unit="addresses/s", help="How fast to look."),
    Setting(key="discovery.every_h", type="int", default=24, minimum=1, maximum=24 * 30, unit="h", help="How often to look for new printers."),
    Setting(key="snmp.communities", type="texts", default=["public"], most=8, secret=True, help="SNMP v1/v2c read communities, tried in this order."),
    Setting(key="snmp.port", type="int", default=161, minimum=1, maximum=65_535, help="UDP port that printers answer SNMP on."),
    Setting(key="snmp.timeout_ms", type="int", default=2_000, minimum=200, maximum=30_000, unit="ms", help="How long to wait for a printer's answer."),
    Setting(key="snmp.retries", type="int", default=2, minimum=0, maximum=5, help="How often to ask again when no answer comes."),
    Setting(key="poll.status_s", type="int", default=900, minimum=5, maximum=86_400, unit="s", help="How often to read status, levels and meters."),
    Setting(key="poll.full_s", type="int", default=86_400, minimum=30, maximum=7 * 86_400, unit="s", help="How often to read everything."),
    Setting(key="poll.at_once", type="int", default=8, minimum=1, maximum=64, help="How many printers to ask at the same time, one request each."),
    Setting(key="store.commit_s", type="int", default=300, minimum=1, maximum=900, unit="s", help="How long readings may wait in memory before they are written together."),
    Setting(key="store.keep_days", type="int", default=400, minimum=7, maximum=3_650, unit="days", help="How long readings are kept on the box."),
    Setting(key="uplink.host", type="text", default="", help="The dealer's broker. Empty: nothing leaves the building."),
    Setting(key="uplink.port", type="int", default=8883, minimum=1, maximum=65_535, help="The broker's port."),
    Setting(key="uplink.tenant", type="text", default="", help="The dealer's account that this box belongs to."),
    Setting(key="uplink.heartbeat_s", type="int", default=300, minimum=5, maximum=3_600, unit="s", help="How often to say that the box is alive."),
    Setting(key="uplink.paused", type="bool", default=False, help="Hold everything back; it waits on the box."),
    Setting(key="ledger.keep_days", type="int", default=90, minimum=7, maximum=3_650, unit="days", help="How long to keep a copy of what left the building."),
    Setting(key="update.mode", type="choice", default="automatic", choices=("automatic", "notify", "off"), help="What happens when the dealer offers new software: install it, show it here only, or ignore it."),
    Setting(key="update.usb", type="choice", default="notify", choices=("notify", "automatic", "off"), help="What happens when a USB stick with new software is plugged in: show it here, install it at once, or ignore it."),
    Setting(key="update.restart", type="choice", default="night", choices=("night", "now"), help="When the box restarts into new software that was installed by itself."),
    Setting(key="update.night_from", type="int", default=1, minimum=0, maximum=23, unit="o'clock", help="From when on it may restart at night, by the box's clock."),
    Setting(key="update.night_to", type="int", default=5, minimum=0, maximum=23, unit="o'clock", help="Until when it may restart at night, by the box's clock."),
    Setting(key="page.language", type="choice", default="auto", choices=("auto", "en", "de"), help="Language of this page; auto follows the browser."),
)  # fmt: skip

SETTINGS: dict[str, Setting] = {s.key: s for s in _TABLE}


_WHOLE = re.compile(r"-?[0-9]{1,18}")


def number(values: Mapping[str, Value], key: str) -> int:
    """The value of a setting of type int."""
    value = values[key]
    assert isinstance(value, int)
    return value


def text(values: Mapping[str, Value], key: str) -> str:
    """The value of a setting of type text or choice."""
    value = values[key]
    assert isinstance(value, str)
    return value


def texts(values: Mapping[str, Value], key: str) -> list[str]:
    """The value of a setting of type texts."""
    value = values[key]
    assert isinstance(value, list)
    return value


def check(key: str, value: Any) -> Value:
    """`value` as the setting holds it, or SettingError. Text is accepted where it can only mean one thing."""
    row = SETTINGS.get(key)
    if row is None:
        raise SettingError(f"There is no setting {key!r}", hint="'platen settings' lists them")
    if row.type == "int":
        if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise SettingError(f"{key} takes a whole number", hint=f"The default is {row.default}")
        low, high = row.minimum, row.maximum
        if (low is not None and value < low) or (high is not None and value > high):
            raise SettingError(
                f"{key} takes {low} to {high}, not {value}", hint=f"The default is {row.default}"
            )
        return value
    if row.type == "bool":
        words = {
            "true": True,
            "yes": True,
            "on": True,
            "1": True,
            "false": False,
            "no": False,
            "off": False,
            "0": False,
        }
        if isinstance(value, str):
            value = words.get(value.strip().lower())
        if not isinstance(value, bool):
            raise SettingError(f"{key} takes yes or no")
        return value
    if row.type == "texts":
        if isinstance(value, str):
            value = [v.strip() for v in value.replace(",", "\n").splitlines() if v.strip()]
        if not isinstance(value, list) or not all(
            isinstance(v, str) and 0 < len(v) <= 255 and v.isprintable() for v in value
        ):
            raise SettingError(f"{key} takes a list of texts of up to 255 printable characters")
        if len(value) > row.most:
            raise SettingError(f"{key} takes up to {row.most} entries, not {len(value)}")
        return value
    if not isinstance(value, str) or len(value) > 255 or not value.isprintable():
        raise SettingError(f"{key} takes a text of up to 255 printable characters")
    if row.type == "choice" and value not in row.choices:
        raise SettingError(f"{key} takes one of {', '.join(row.choices)}")
    return value
