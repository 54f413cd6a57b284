# SPDX-License-Identifier: Apache-2.0
"""What time it is, and how far to believe it."""

from __future__ import annotations

import ctypes
import functools
import os
import time

from appliance.model.clock import Stamp, rfc3339
from appliance.model.reading import Clock

_STA_UNSYNC = 0x0040
_TIMESYNC = "/run/systemd/timesync/synchronized"


def now() -> Stamp:
    """This moment. `mono` counts from boot, time asleep included (CLOCK_BOOTTIME)."""
    return Stamp(
        time=rfc3339(time.time()),
        clock=quality(),
        boot_id=boot_id(),
        mono=round(time.clock_gettime(time.CLOCK_BOOTTIME), 3),
    )


@functools.cache
def boot_id() -> str:
    """The kernel's name of this boot, a UUID (random(4))."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def quality() -> Clock:
    """Whether something disciplines the clock: the kernel's own word (adjtimex(2), STA_UNSYNC), which lapses
    when time servers were out of reach for some hours; where that is not allowed, systemd-timesyncd's
    mark."""
    status = _adjtimex_status()
    synchronised = os.path.exists(_TIMESYNC) if status is None else not status & _STA_UNSYNC
    return "synchronised" if synchronised else "unsynchronised"


class _Timex(ctypes.Structure):
    """struct timex as far as `status`; the kernel writes the rest of its 208 octets into `_rest`."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("_rest", ctypes.c_char * 256),
    )


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _adjtimex_status() -> int | None:
    """The status bits, or None where a sandbox forbids the call. `modes` 0 only reads."""
    timex = _Timex()
    try:
        result = _libc().adjtimex(ctypes.byref(timex))
    except (AttributeError, OSError):
        return None
    return None if result < 0 else int(timex.status)
