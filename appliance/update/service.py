# SPDX-License-Identifier: Apache-2.0
"""The update service: takes what page, command, stick and dealer offer, checks it, lets RAUC install it, and restarts
the box when it is time. It is started by its socket and ends when nothing is left to do."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from appliance.host import clock, control, notify, software, users
from appliance.host.bus import Bus
from appliance.host.rauc import Bundle, Installer
from appliance.model.errors import (
    DownloadFailed,
    NothingToDo,
    OnTrial,
    PlatenError,
    UpdateBusy,
    UpdateError,
)
from appliance.model.settings import SETTINGS, Value
from appliance.store import settings
from appliance.store.worker import Worker
from appliance.update import look, policy, state, summary
from appliance.update.journal import Journal
from appliance.update.keeper import wish
from appliance.update.look import Places
from appliance.update.spool import Spool
from appliance.update.state import State
from appliance.update.work import Work

log = logging.getLogger("platen.update")

MOST_ADDRESS = 2048
ANSWER_S = 20.0
"""How long Install waits for the checks before it answers that they go on."""


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds. `told_s`: at most so often is progress written to the file that the portal's news come from."""

    idle_s: float = 60.0
    look_s: float = 15.0
    told_s: float = 20.0


class Update:
    """The service; `run` ends when it is idle or `stop` is called."""

    def __init__(
        self, places: Places, *, timing: Timing | None = None, bus_address: str | None = None
    ) -> None:
        self._places = places
        self._timing = timing or Timing()
        self._address = bus_address
        self._journal = Journal(places.folder)
        self._spool = Spool(places.spool)
        self._worker = Worker(places.paths.database, write=False)
        self._bus: Bus | None = None
        self._installer: Installer | None = None
        self._operation, self._percent, self._text = "idle", None, ""  # type: str, int | None, str
        self._task: asyncio.Task[None] | None = None
        self._work = Work(places, self._journal, self._spool, self._rauc, self._show)
        self._asked = False
        self._since = time.monotonic()
        self._used = time.monotonic()
        self._told = 0.0
        self._stopping = asyncio.Event()
        self._restarting = asyncio.Lock()

    async def run(self, passed: socket.socket | None = None) -> None:
        """Serves until there is nothing left to do, or `stop`."""
        kept = self._journal.read()
        self._spool.clear(*([kept.offer.source] if kept.offer else []))
        methods: dict[str, Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]] = {
            "Status": self._answer_status,
            "Room": self._answer_room,
            "Install": self._answer_install,
            "Usb": self._answer_usb,
            "Cancel": self._answer_cancel,
            "Discard": self._answer_discard,
            "Restart": self._answer_restart,
            "Acknowledge": self._answer_acknowledge,
            "FactoryReset": self._answer_factory_reset,
        }
        server = await control.serve(
            self._places.paths.socket("update"),
            {f"platen.update.{name}": self._used_by(method) for name, method in methods.items()},
            uids=users.uids("webui"),
            readers=users.uids("uplink"),
            passed=passed,
        )
        alive = asyncio.create_task(notify.keep_alive())
        self._tell(always=True)
        notify.ready("idle")
        try:
            while not self._stopping.is_set() and not self._idle():
                async with self._restarting:
                    await self._restart_when_due()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._timing.look_s):
                        await self._stopping.wait()
        finally:
            notify.stopping()
            alive.cancel()
            await server.close()
            if self._task is not None:
                self._task.cancel()
                await asyncio.gather(self._task, return_exceptions=True)
            if self._bus is not None:
                self._bus.close()
            await self._worker.close()

    def stop(self) -> None:
        """Ends `run` soon. RAUC goes on with what it does."""
        self._stopping.set()

    # -- what may be asked

    async def _answer_status(self, _: dict[str, Any]) -> dict[str, Any]:
        now = self._journal.read()
        told = self._summary(now)
        slots: list[dict[str, Any]] = []
        primary, trouble = None, None
        if self._operation in ("idle", "restart-due", "trial"):  # RAUC answers nothing else meanwhile
            try:
                installer = await self._rauc()
                slots = [
                    {
                        "name": s.name,
                        "bootname": s.bootname,
                        "state": s.state,
                        "version": told.version if s.state == "booted" else s.version,
                        "good": s.good,
                        "installed": s.installed,
                    }
                    for s in await installer.slots()
                    if s.bootname
                ]
                primary = await installer.primary()
            except PlatenError as e:
                trouble = {"code": e.code, "sentence": e.sentence, "hint": e.hint}
        error = None
        if now.last is not None and now.last.result in ("failed", "cancelled"):
            error = {"code": now.last.code, "sentence": now.last.sentence, "time": now.last.time}
        built: dict[str, Any] = msgspec.to_builtins(told)
        release = look.os_release(self._places)
        return {
            **built,
            "text": self._text,
            "slots": slots,
            "primary": primary,
            "trouble": trouble,
            "last_error": error,
            "last": msgspec.to_builtins(now.last),
            "last_rollback": msgspec.to_builtins(now.rollback),
            "offer": now.offer and {"version": now.offer.version, "origin": now.offer.origin},
            "restart": await self._restart_words(),
            "support_end": _day(release.get("SUPPORT_END", "")),
        }

    async def _answer_room(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Where a file of `size` octets may be put, by who may write there."""
        size = parameters.get("size")
        if not isinstance(size, int) or isinstance(size, bool) or size <= 0:
            raise UpdateError("The size of the file is not known", code="no-size", hint="")
        self._must_be_free()
        return {"path": str(self._spool.place(size))}

    async def _answer_install(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Starts an installation from `source`, a file of the spool or an https address; from the offer without
        one. What is wrong with it is raised here when it is found within some seconds; later it is in Status."""
        flags = {k: parameters.get(k) is True for k in ("allow_downgrade", "again", "restart")}
        source, origin = parameters.get("source"), parameters.get("origin")
        if source is None:
            offer = self._journal.read().offer
            if offer is None:
                raise NothingToDo("No new software waits", hint="Give a file or an address")
            source = offer.source
        source = self._source(str(source))
        self._must_be_free()
        self._asked = flags["restart"]
        checked: asyncio.Future[Bundle] = asyncio.get_running_loop().create_future()
        self._begin(
            self._work.install(
                source,
                origin=origin if origin in ("page", "usb", "address", "dealer", "command") else "command",
                downgrade=flags["allow_downgrade"],
                again=flags["again"],
                checked=checked,
            )
        )
        try:
            async with asyncio.timeout(ANSWER_S):
                bundle = await asyncio.shield(checked)
        except TimeoutError:
            return {"version": None}
        return {"version": bundle.version}

    async def _answer_usb(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """A stick is mounted at `folder`: takes its newest acceptable bundle as the settings say. Answers when the
        stick may be pulled out."""
        folder = Path(str(parameters.get("folder", "")))
        values = await self._settings()
        if policy.deed("usb", values) == "nothing":
            return {"version": None}
        self._must_be_free()
        found: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._begin(
            self._work.from_stick(folder, install=policy.deed("usb", values) == "install", found=found)
        )
        return {"version": await asyncio.shield(found)}

    async def _answer_cancel(self, _: dict[str, Any]) -> dict[str, Any]:
        """Ends what goes on. RAUC cannot be stopped while it writes a slot; that slot is then marked bad when it
        is done, and never started."""
        now = self._journal.read()
        if self._task is not None and self._operation in ("checking", "fetching"):
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        elif now.attempt is not None and not self._on_trial(now):
            self._work.cancelled = True
            now = self._journal.change(lambda s: state.refused(s, "cancelled"))
            if self._task is None and now.attempt is not None:
                await self._work.take_back(now.attempt)
                self._tell(always=True)
        else:
            raise NothingToDo("Nothing is being installed", hint="")
        return {}

    async def _answer_discard(self, _: dict[str, Any]) -> dict[str, Any]:
        """Forgets the offer."""
        offer = self._journal.read().offer
        if offer is None:
            raise NothingToDo("No new software waits", hint="")
        self._journal.change(lambda s: state.offered(s, None))
        self._spool.remove(offer.source)
        self._tell(always=True)
        return {}

    async def _answer_restart(self, _: dict[str, Any]) -> dict[str, Any]:
        """Restart now into what is installed."""
        # The loop in `run` looks at the same moment; if it restarted first, this answer would not get out.
        async with self._restarting:
            if not self._due():
                raise NothingToDo("Nothing is installed that a restart would start", hint="")
            self._asked = True
            await self._restart_when_due()
        return {}

    async def _answer_acknowledge(self, _: dict[str, Any]) -> dict[str, Any]:
        self._journal.change(state.acknowledged)
        self._tell(always=True)
        return {}

    async def _answer_factory_reset(self, _: dict[str, Any]) -> dict[str, Any]:
        """Have the box restart and empty its data partition. Not into new software: of a box that knows no printers
        any more nobody could say whether they still answer."""
        self._must_be_free()
        if self._due():
            raise UpdateBusy(
                "New software is installed and waits for its restart",
                hint="Restart into it first, or cancel it",
                code="restart-waits",
            )
        log.warning("a factory reset was asked for; the box restarts")
        wish(self._places.reset)
        return {}

    def _used_by(self, method: control.Handler) -> control.Handler:
        async def answer(parameters: dict[str, Any]) -> dict[str, Any]:
            self._used = time.monotonic()
            return await method(parameters)

        return answer

    # -- one thing at a time

    def _begin(self, work: Any) -> None:
        self._task = asyncio.create_task(work)
        self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if self._task is task:
            self._task = None
        self._used = time.monotonic()
        if not task.cancelled() and task.exception() is not None:
            log.error("an installation ended unexpectedly", exc_info=task.exception())

    def _must_be_free(self) -> None:
        if self._on_trial(self._journal.read()):
            raise OnTrial(f"Version {look.running_version(self._places)} still has to prove itself")
        if self._task is not None:
            raise UpdateBusy("Something is being installed already")

    def _source(self, source: str) -> str:
        if self._spool.holds(source):
            return source
        parts = urlsplit(source) if len(source) <= MOST_ADDRESS and source.isascii() else None
        try:
            fits = (
                parts is not None
                and source.isprintable()
                and " " not in source
                and parts.scheme == "https"
                and bool(parts.hostname)
                and (parts.port is None or parts.port > 0)
                and parts.username is None
                and parts.password is None
            )
        except ValueError:
            fits = False
        if not fits:
            raise DownloadFailed(
                "That is not an address of the form https://HOST/PATH",
                hint="A name and a password do not belong into it",
                code="bad-address",
            )
        return source

    # -- restarting

    def _due(self) -> bool:
        attempt = self._journal.read().attempt
        return (
            attempt is not None
            and attempt.stage == "installed"
            and attempt.cause is None
            and attempt.boot_id == clock.boot_id()
            and self._task is None
        )

    async def _restart_when_due(self) -> None:
        if self._stopping.is_set() or not self._due():
            return
        now = clock.now()
        due = policy.restart_due(
            await self._settings(),
            asked=self._asked,
            hour=time.localtime().tm_hour,
            clock=now.clock,
            waited_s=time.monotonic() - self._since,
        )
        if not due:
            return
        before = await look.before(self._places)
        self._journal.change(lambda s: state.installed(s, before))
        self._tell(always=True)
        log.info("restarting into the new version")
        wish(self._places.restart)
        self._stopping.set()

    async def _restart_words(self) -> str | None:
        """ "now" or "night" while a restart is due."""
        if not self._due():
            return None
        return str((await self._settings())["update.restart"])

    async def _settings(self) -> dict[str, Value]:
        try:
            return await self._worker.run(settings.load)
        except PlatenError:
            return {s.key: s.default for s in SETTINGS.values()}  # without a database the defaults hold

    # -- telling

    def _idle(self) -> bool:
        return self._task is None and not self._due() and time.monotonic() - self._used >= self._timing.idle_s

    async def _rauc(self) -> Installer:
        if self._installer is None:
            self._bus = await Bus.open(self._address)
            self._installer = Installer(self._bus, self._places.trust)
        return self._installer

    def _show(self, operation: str, percent: int | None, text: str) -> None:
        changed = operation != self._operation
        self._operation, self._percent, self._text = operation, percent, text
        if changed:
            self._since = time.monotonic()
        notify.status(operation if percent is None else f"{operation}, {percent} %")
        self._tell(always=changed)

    def _tell(self, *, always: bool = False) -> None:
        if not always and time.monotonic() - self._told < self._timing.told_s:
            return
        self._told = time.monotonic()
        try:
            software.write(self._places.paths.software, self._summary(self._journal.read()))
        except PlatenError as e:
            log.warning("%s", e)

    def _on_trial(self, now: State) -> bool:
        """What runs has still to prove itself. The kernel's command line says so until the next restart, even after it
        has, and another version may have been installed meanwhile."""
        return (
            look.on_trial(self._places)
            and now.attempt is not None
            and now.attempt.slot == look.slot(self._places)
        )

    def _summary(self, now: State) -> Any:
        return summary.software(
            now,
            version=look.running_version(self._places),
            slot=look.slot(self._places),
            trial=self._on_trial(now),
            operation=self._operation,
            percent=self._percent,
        )


def _day(text: str) -> str | None:
    """SUPPORT_END as os-release(5) wants it, or None."""
    return text if re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])", text) else None
