# SPDX-License-Identifier: Apache-2.0
"""This side of tests/system/agent.py: commands to the box over the socket that QEMU connects to its serial port."""

from __future__ import annotations

import itertools
import json
import socket
import struct
import time
from pathlib import Path
from typing import Any

import msgspec


class Result(msgspec.Struct, frozen=True):
    """`rc` is 124 where the box ended the command for its timeout."""

    rc: int
    out: str
    boot: str


class Agent:
    """Speaks to whichever boot of the box answers. TimeoutError where none does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._numbers = itertools.count(time.time_ns())
        self._socket: socket.socket | None = None

    def run(self, cmd: str, *, timeout: float = 60, input: str = "", grace: float = 15) -> Result:
        """One command. After a timeout the connection is dropped, and with it what was not yet read: a command must
        not run later, on another boot."""
        number = next(self._numbers)
        request = {"id": number, "cmd": cmd, "timeout": timeout, "input": input}
        data = json.dumps(request).encode()
        end = time.monotonic() + timeout + grace
        try:
            if self._socket is None:
                self._connect(end)
            assert self._socket
            self._socket.settimeout(max(end - time.monotonic(), 0.01))
            self._socket.sendall(struct.pack(">I", len(data)) + data)
            while (answer := self._answer(end))["id"] != number:
                pass  # to a question that nobody waits for any more
        except (OSError, EOFError) as error:
            self.close()
            raise TimeoutError(f"the box does not answer to {cmd[:80]!r}: {error}") from None
        return Result(answer["rc"], answer["out"], answer["boot"])

    def close(self) -> None:
        """The next command connects anew."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connect(self, end: float) -> None:
        while True:
            self._socket = socket.socket(socket.AF_UNIX)
            try:
                self._socket.connect(str(self.path))
                return
            except OSError:
                self.close()
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)

    def _answer(self, end: float) -> dict[str, Any]:
        (length,) = struct.unpack(">I", self._read(4, end))
        found: dict[str, Any] = json.loads(self._read(length, end))
        return found

    def _read(self, octets: int, end: float) -> bytes:
        assert self._socket
        data = b""
        while len(data) < octets:
            self._socket.settimeout(max(end - time.monotonic(), 0.01))
            piece = self._socket.recv(min(octets - len(data), 1 << 20))
            if not piece:
                raise EOFError("the machine is gone")
            data += piece
        return data
