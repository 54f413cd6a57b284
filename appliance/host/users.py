# SPDX-License-Identifier: Apache-2.0
"""The box's users: each service runs as its own (rootfs/usr/lib/sysusers.d/platen.conf)."""

from __future__ import annotations

import contextlib
import pwd


def uids(*services: str) -> frozenset[int]:
    """Those of the users `platen-SERVICE`. Elsewhere than on the box there are none, and all services run as one
    user."""
    found = set()
    for service in services:
        with contextlib.suppress(KeyError):
            found.add(pwd.getpwnam(f"platen-{service}").pw_uid)
    return frozenset(found)
