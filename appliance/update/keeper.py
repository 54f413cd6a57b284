# SPDX-License-Identifier: Apache-2.0
"""The gate, run once at every boot (platen-gate.service): confirms a version on trial or takes it back, notes that a
committed one came this far, and finds out what became of an update that is not there."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

import msgspec

from appliance.host import files, notify, software, uboot
from appliance.host.bus import Bus
from appliance.host.journal import Message, message
from appliance.host.rauc import Installer
from appliance.model.errors import PlatenError
from appliance.update import gate, look, state, summary
from appliance.update.journal import Journal
from appliance.update.look import Places
from appliance.update.state import Before, Boot, State

log = logging.getLogger("platen.update")


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds. `deadline_s` counts from the gate's start; `look_s` between two looks; `boot_s`: how long the boot
    loader's environment may be unreadable (its partition may come late)."""

    deadline_s: float = gate.DEADLINE_S
    look_s: float = 3.0
    boot_s: float = 30.0


class Keeper:
    """One boot's gate."""

    def __init__(self, places: Places, timing: Timing | None = None, bus_address: str | None = None) -> None:
        self._places = places
        self._timing = timing or Timing()
        self._address = bus_address
        self._journal = Journal(places.folder)
        self._bus: Bus | None = None
        self._began = time.monotonic()

    async def run(self) -> bool:
        """False where the box restarts because of what was found."""
        try:
            boot = await self._boot()
            now, step = State(), "none"

            def arrive(old: State) -> State:
                nonlocal step
                new, step = state.arrived(old, boot)
                return new

            before = self._journal.read()
            now = self._journal.change(arrive)
            self._tell(boot, now)
            if before.rollback != now.rollback and now.rollback is not None:
                log.error(
                    "version %s was taken back, %s runs: %s: %s",
                    now.rollback.version,
                    now.rollback.kept,
                    now.rollback.cause,
                    now.rollback.sentence,
                    extra=message(
                        Message.UPDATE_TAKEN_BACK,
                        PLATEN_VERSION=now.rollback.version,
                        PLATEN_CAUSE=now.rollback.cause,
                    ),
                )
            kept = True
            if step == "gate":
                kept = await self._judge(boot, now)
            elif step == "refuse":
                kept = await self._refuse(boot)
            if not boot.trial and boot.environment.seen:
                await uboot.seen()
            return kept
        finally:
            if self._bus is not None:
                self._bus.close()

    async def _boot(self) -> Boot:
        while True:
            try:
                return await look.boot(self._places)
            except PlatenError:
                if time.monotonic() - self._began > self._timing.boot_s:
                    raise
                await asyncio.sleep(1)

    async def _judge(self, boot: Boot, now: State) -> bool:
        before = now.attempt.before if now.attempt is not None else Before()
        told = ""
        while True:
            elapsed = time.monotonic() - self._began
            seen = await look.sight(self._places, await self._connected())
            verdict = gate.decide(seen, before, elapsed_s=elapsed, deadline_s=self._timing.deadline_s)
            text = ", ".join(f"{c.name} {c.text}".strip() for c in verdict.checks if not c.good)
            if text != told:
                told = text
                log.info("version %s on trial, still missing: %s", boot.version, text or "nothing")
            notify.status(f"trial of {boot.version}: {text or 'all well'}")
            if verdict.word == "good":
                if await self._confirm(boot):
                    return True
                if elapsed >= self._timing.deadline_s:
                    return await self._give_up(boot, "gate-loader")
            elif verdict.cause is not None:
                return await self._give_up(boot, verdict.cause)
            await asyncio.sleep(self._timing.look_s)

    async def _confirm(self, boot: Boot) -> bool:
        """First the boot loader, then our memory: between the two a confirmed slot is told by the loader alone."""
        try:
            await Installer(await self._must()).mark("good", "booted")
        except PlatenError as e:
            log.warning("the version on trial could not be marked good: %s", e)
            return False
        now = self._journal.change(lambda s: state.confirmed(s, boot))
        log.info(
            "version %s is confirmed; the floor is %s",
            boot.version,
            now.floor or "not set",
            extra=message(Message.UPDATE_CONFIRMED, PLATEN_VERSION=boot.version),
        )
        self._tell(msgspec.structs.replace(boot, trial=False), now)
        return True

    async def _give_up(self, boot: Boot, cause: str) -> bool:
        """First our memory, then the boot loader: the cause must be known on the other side."""
        self._journal.change(lambda s: state.refused(s, cause))
        log.error("version %s is taken back: %s: %s", boot.version, cause, state.CAUSES.get(cause, ""))
        return await self._refuse(boot)

    async def _refuse(self, boot: Boot) -> bool:
        attempt = self._journal.read().attempt
        here = attempt is None or attempt.slot == boot.slot
        try:
            await Installer(await self._must()).mark("bad", "booted" if here else "other")
        except PlatenError as e:
            # Its tries are counted down by every start; the other slot comes when they are used up.
            log.error("the version could not be marked bad: %s", e)
        if here:
            wish(self._places.restart)
            return False
        now = self._journal.change(lambda s: state.arrived(s, boot)[0])
        self._tell(boot, now)
        return True

    async def _must(self) -> Bus:
        bus = await self._connected()
        return bus if bus is not None else await Bus.open(self._address)

    async def _connected(self) -> Bus | None:
        if self._bus is None:
            try:
                self._bus = await Bus.open(self._address)
            except PlatenError:
                return None
        return self._bus

    def _tell(self, boot: Boot, now: State) -> None:
        told = summary.software(now, version=boot.version, slot=boot.slot, trial=boot.trial)
        try:
            software.write(self._places.paths.software, told)
        except PlatenError as e:
            log.warning("%s", e)


def wish(path: Path) -> None:
    """Ask root for what `path` stands for: a .path unit waits for this file, so that this service needs no right to
    do it. DiskFull."""
    path.parent.mkdir(parents=True, exist_ok=True)
    files.replace(path, b"update\n")
