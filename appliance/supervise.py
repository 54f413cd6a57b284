# SPDX-License-Identifier: Apache-2.0
"""Starts processes, waits until they are ready, restarts them, stops them, leaves none behind.

On the box systemd does all this (Type=notify, Restart=, KillMode=). This stands in for it where there
is none: `platen run`, the demo and the tests. A child says READY=1 and STATUS= the same way to both
(host.notify).
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import pwd
import secrets
import signal
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from appliance.model.errors import Fault

Output = Callable[[str, str], None]
"""Gets (name, line) of everything a child writes, and of what happens to it."""

State = Literal["starting", "ready", "waiting", "stopped"]
"""waiting: it ended, and is started again after the back-off."""


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """What to run under `name`, as `user` where root is to give way to an account. It has `ready_s` to say
    READY=1 for the first time and `stop_s` to obey SIGTERM; after a death it is started again in `again_s`,
    twice that, and so on up to `most_s`, and from `again_s` anew once it was up for `stable_s`. One that knows no
    READY=1 is ready when it writes a line that starts with `ready_on`."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str] = {}
    user: str | None = None
    ready_on: str | None = None
    ready_s: float = 60
    stop_s: float = 10
    again_s: float = 0.25
    most_s: float = 30
    stable_s: float = 20


class Supervisor:
    """Owns the processes it started. Use it in one event loop, on the main thread."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._children: dict[str, _Child] = {}

    async def start(self, program: Program) -> None:
        """Start it and return once it is ready. Fault when it ends by itself before it ever was (it would
        not do better the next time), or is not ready in time. One that somebody kills is started again."""
        if program.name in self._children:
            raise ValueError(f"{program.name} is there already")
        child = self._children[program.name] = _Child(program, self._output)
        try:
            await child.start()
        except BaseException:
            await self.stop(program.name)
            raise

    async def stop(self, name: str) -> None:
        """SIGTERM, then SIGKILL after its bound. Returns when it is gone."""
        await self._children.pop(name).stop()

    async def close(self) -> None:
        """Stop all, the last one started first."""
        for name in reversed(list(self._children)):
            await self.stop(name)

    def states(self) -> dict[str, tuple[State, str]]:
        """State and STATUS text of each child, in the order they were started."""
        return {name: (c.state, c.status) for name, c in self._children.items()}

    def pid(self, name: str) -> int | None:
        """Process id, or None while it does not run."""
        return self._children[name].pid


@contextlib.contextmanager
def stop_signals() -> Iterator[asyncio.Event]:
    """An event that SIGINT, SIGTERM or SIGHUP sets. From then on a second Ctrl-C interrupts the stopping
    too."""
    loop, event = asyncio.get_running_loop(), asyncio.Event()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def stop() -> None:
        event.set()
        loop.remove_signal_handler(signal.SIGINT)

    for number in numbers:
        loop.add_signal_handler(number, stop)
    try:
        yield event
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


_LONGEST_LINE = 8_192
_LAST_LINES = 5
_HEARD = 64
_KILLED_WHILE_STARTING = 5
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class _Child:
    def __init__(self, program: Program, output: Output) -> None:
        self.program = program
        self.state: State = "starting"
        self.status = ""
        self.pid: int | None = None
        self._output = output
        self._address = f"platen-{secrets.token_hex(8)}"
        self._ready = asyncio.Event()
        self._failed: Fault | None = None
        self._last: deque[str] = deque(maxlen=_LAST_LINES)
        self._heard: deque[tuple[int, bytes]] = deque(maxlen=_HEARD)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._keep_running(), name=f"supervise {self.program.name}")
        ready = asyncio.create_task(self._ready.wait())
        try:
            await asyncio.wait(
                (ready, self._task), timeout=self.program.ready_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            ready.cancel()
        if self._ready.is_set():
            return
        if self._task.done():
            self._task.result()
        if self._failed is None:
            self._failed = self._fault(f"was not ready within {self.program.ready_s:g} s")
        raise self._failed

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self.state = "stopped"

    async def _keep_running(self) -> None:
        program, wait_s, killed = self.program, self.program.again_s, 0
        with self._listening():
            while True:
                started = time.monotonic()
                status = await self._run_once()
                if not self._ready.is_set():
                    killed += 1
                    if status >= 0 or killed == _KILLED_WHILE_STARTING:
                        self._failed = self._fault(f"{_ending(status)} before it was ready")
                        return
                if time.monotonic() - started >= program.stable_s:
                    wait_s = program.again_s
                self.state = "waiting"
                self._output(program.name, f"{_ending(status)}; starting it again in {wait_s:g} s")
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, program.most_s)

    async def _run_once(self) -> int:
        """Start it, pass on its output until it ends, return its exit status, negative for a signal."""
        self.state, self.status = "starting", ""
        self._last.clear()
        self._heard.clear()
        parent = os.getpid()

        def dies_with_us() -> None:
            # Runs between fork and exec. The kernel then kills the child when we are gone, however we went
            # (prctl(2)).
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)

        # Here and not by the program itself: the kernel forgets whom a process dies with when it changes its
        # user.
        as_user: dict[str, Any] = {}
        if self.program.user is not None:
            account = pwd.getpwnam(self.program.user)
            as_user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        try:
            process = await asyncio.create_subprocess_exec(
                *self.program.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env={**os.environ, **self.program.env, "NOTIFY_SOCKET": f"@{self._address}"},
                limit=_LONGEST_LINE,
                start_new_session=True,  # a Ctrl-C in the terminal is ours to answer, in order
                preexec_fn=dies_with_us,
                **as_user,
            )
        except OSError as e:
            self._last.append(f"{self.program.command[0]}: {e.strerror}")
            return 127
        self.pid = process.pid
        self._listen()
        output = asyncio.create_task(self._pass_on(process))
        try:
            return await process.wait()
        except asyncio.CancelledError:
            await self._terminate(process)
            raise
        finally:
            self.pid = None
            # What it left in the pipe; a grandchild that keeps the pipe open is not waited for.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(output, 1)

    async def _terminate(self, process: asyncio.subprocess.Process) -> None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), self.program.stop_s)
            except (TimeoutError, asyncio.CancelledError):
                self._output(self.program.name, f"did not stop within {self.program.stop_s:g} s; killed")
                process.kill()
                await process.wait()

    async def _pass_on(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while True:
            try:
                line = await process.stdout.readuntil(b"\n")
            except asyncio.IncompleteReadError as e:
                line = e.partial
                if not line:
                    return
            except asyncio.LimitOverrunError as e:
                line = await process.stdout.readexactly(min(e.consumed, _LONGEST_LINE))
            text = line.decode("utf-8", "replace").rstrip()
            if text:
                self._last.append(text)
                self._output(self.program.name, text)
            if self.program.ready_on is not None and text.startswith(self.program.ready_on):
                self._is_ready()

    @contextlib.contextmanager
    def _listening(self) -> Iterator[None]:
        """The socket where READY=1 arrives. It is abstract, so that a child of any user reaches it; whoever
        sends is known by the kernel, so that only the child itself is believed."""
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            sock.bind(f"\0{self._address}")
            sock.setblocking(False)
            loop.add_reader(sock, self._notified, sock)
            try:
                yield
            finally:
                loop.remove_reader(sock)

    def _notified(self, sock: socket.socket) -> None:
        ucred = struct.Struct("3i")  # pid, uid, gid (unix(7))
        try:
            message, ancillary, _, _ = sock.recvmsg(4_096, socket.CMSG_SPACE(ucred.size))
        except OSError:
            return
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
                self._heard.append((ucred.unpack(data)[0], message))
        self._listen()

    def _listen(self) -> None:
        """Take what the child has said; what others said, or the one before it, is dropped. A quick child speaks
        before we know its process id, so that its words have to wait for it."""
        if self.pid is None:
            return
        for pid, message in self._heard:
            if pid != self.pid:
                continue
            lines = message.decode("utf-8", "replace").split("\n")
            facts = dict(line.split("=", 1) for line in lines if "=" in line)
            if "STATUS" in facts:
                self.status = facts["STATUS"]
            if facts.get("READY") == "1":
                self._is_ready()
        self._heard.clear()

    def _is_ready(self) -> None:
        self.state = "ready"
        self._ready.set()

    def _fault(self, what: str) -> Fault:
        said = f"; it said: {self._last[-1]}" if self._last else ""
        return Fault(f"{self.program.name} {what}{said}", hint="", code="service-failed")


def _ending(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"
