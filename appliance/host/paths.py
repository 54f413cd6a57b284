# SPDX-License-Identifier: Apache-2.0
"""Where things lie. One place names them; nothing else joins these paths."""

from __future__ import annotations

import hashlib
import os
import tempfile
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

    @classmethod
    def of(cls, state: Path | None = None) -> Paths:
        """Those of one state directory; without one of systemd's ($STATE_DIRECTORY), else of this user's. The
        run directory follows from it, so that every command finds the services of that state."""
        if state is None:
            given = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
            state = Path(given) if given else Path.home() / ".local/state/platen"
        state = state.absolute()
        if given := os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]:
            return cls(state, Path(given))
        paths = cls(state, state / "run")
        if paths._longest_socket() > _MOST:
            # A socket's path has little room, and people have deep folders.
            mark = hashlib.sha256(str(state).encode()).hexdigest()[:12]
            paths = cls(state, Path(tempfile.gettempdir()) / f"platen-{os.getuid()}-{mark}")
        return paths

    @property
    def database(self) -> Path:
        return self.state / "platen.db"

    @property
    def identity(self) -> Path:
        """Directory of `box-id` and `setup-code`."""
        return self.state / "identity"

    @property
    def keys(self) -> Path:
        """Directory of `operational.key`, `operational.crt` and `ca.crt`; of `claim-code` where the dealer wrote one
        onto the card."""
        return self.state / "keys"

    @property
    def software(self) -> Path:
        """What the update service last said of itself (host.software): it sleeps most of the time. The gate writes it
        at each boot, so that it need not survive one."""
        return self.run / "software.json"

    def socket(self, service: str) -> Path:
        return self.run / f"{service}.sock"

    def ports(self, service: str) -> Path:
        """The ports that a service wishes to reach beyond the usual ones (host.ports)."""
        return self.run / f"{service}.ports"

    def make(self) -> None:
        """Create what is missing, for this user only; what exists (systemd's directories) keeps its mode.
        UsageError where that cannot be."""
        if self._longest_socket() > _MOST:
            raise UsageError(
                f"The run directory {self.run} has too long a name for a socket", hint="Give a shorter one"
            )
        for directory in (self.state, self.run, self.identity, self.keys):
            if directory.is_dir():
                continue  # on the box most of them belong to root or to another service
            try:
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as e:
                raise UsageError(
                    f"{directory} cannot be made: {e.strerror or e}", hint="Choose another"
                ) from e
        if self.run.stat().st_uid not in (0, os.getuid()):
            raise UsageError(f"{self.run} belongs to somebody else", hint="Choose another state directory")

    def _longest_socket(self) -> int:
        return max(len(str(self.socket(s)).encode()) for s in SERVICES)
