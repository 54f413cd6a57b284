# SPDX-License-Identifier: Apache-2.0
"""Where things lie. One place names them; nothing else joins these paths."""

from __future__ import annotations

from pathlib import Path

import msgspec

from appliance.model.errors import UsageError

SERVICES = ("collector", "uplink", "webui")
"""The resident services, in the order they start."""

_MOST = 107
"""Octets of a socket's path (unix(7): sun_path holds 108 with its NUL)."""


class Paths(msgspec.Struct, frozen=True):
    """`state` survives a restart, `run` does not."""

    state: Path
    run: Path

    @property
    def database(self) -> Path:
        return self.state / "platen.db"

    @property
    def identity(self) -> Path:
        """Directory of `box-id` and `setup-code`."""
        return self.state / "identity"

    @property
    def keys(self) -> Path:
        """Directory of `operational.key`, `operational.crt` and `ca.crt`."""
        return self.state / "keys"

    def socket(self, service: str) -> Path:
        return self.run / f"{service}.sock"

    def make(self) -> None:
        """Create what is missing, for this user only; what exists (systemd's directories) keeps its mode.
        UsageError where that cannot be."""
        longest = max(len(str(self.socket(s)).encode()) for s in SERVICES)
        if longest > _MOST:
            raise UsageError(
                f"The run directory {self.run} has too long a name for a socket", hint="Give a shorter one"
            )
        for directory in (self.state, self.run, self.identity, self.keys):
            try:
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as e:
                raise UsageError(f"{directory} cannot be made: {e.strerror}", hint="Choose another") from None
