# SPDX-License-Identifier: Apache-2.0
"""One installation from its file or address to the restart that is due, and the look at a plugged-in stick."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

from appliance.host import clock, ports
from appliance.host.journal import Message, message
from appliance.host.rauc import Bundle, Installer, Progress
from appliance.model.errors import BundleBroken, InstallFailed, NothingToDo, PlatenError, Stalled, UpdateBusy
from appliance.update import look, policy, state, version
from appliance.update.journal import Journal
from appliance.update.keeper import wish
from appliance.update.look import Places
from appliance.update.spool import Spool, bundles
from appliance.update.state import Attempt, Offer

log = logging.getLogger("platen.update")

Show = Callable[[str, int | None, str], None]
"""Gets the operation, how far it is, and RAUC's words for what it does."""


LET_GO, LOOK_S = 100, 0.2
"""How often root is looked for to have ended RAUC, and with what pause in seconds."""


class Work:
    """What the service does in a task of its own; one of them at a time. `cancelled`: RAUC cannot be stopped, so what
    it writes is taken back when it is done."""

    def __init__(
        self,
        places: Places,
        journal: Journal,
        spool: Spool,
        rauc: Callable[[], Awaitable[Installer]],
        show: Show,
    ) -> None:
        self._places = places
        self._journal = journal
        self._spool = spool
        self._rauc = rauc
        self._show = show
        self.cancelled = False

    async def install(
        self,
        source: str,
        *,
        origin: policy.Source,
        downgrade: bool,
        again: bool,
        checked: asyncio.Future[Bundle],
    ) -> None:
        bundle: Bundle | None = None
        try:
            self._show("checking", None, "")
            bundle = await self._checked(source, downgrade=downgrade, again=again)
            if not checked.done():
                checked.set_result(bundle)
            await self._write(source, bundle)
            if self.cancelled:
                attempt = self._journal.read().attempt
                if attempt is not None:
                    await self.take_back(attempt)
            else:
                log.info(
                    "version %s is installed from %s; it runs after a restart",
                    bundle.version,
                    origin,
                    extra=message(Message.UPDATE_INSTALLED, PLATEN_VERSION=bundle.version),
                )
        except asyncio.CancelledError:
            self._failed(
                InstallFailed("It was cancelled", code="install-cancelled", hint=""), bundle, checked
            )
            raise
        except PlatenError as error:
            self._failed(error, bundle, checked)
            if isinstance(error, Stalled):
                await self._let_go()
        except Exception:
            log.exception("the installation failed")
            self._failed(InstallFailed("The installation failed by a fault of ours"), bundle, checked)
        finally:
            self.cancelled = False
            self._spool.remove(source)
            await self._reach(None)
            self._show("idle", None, "")

    async def _let_go(self) -> None:
        """RAUC waits for a silent server for ever, and for nobody else meanwhile: root ends it
        (platen-rauc-stop.path). Whatever it had begun to write is marked bad since it began."""
        log.warning("RAUC is ended: it still waits for the server")
        with contextlib.suppress(PlatenError):
            wish(self._places.stop_rauc)
            for _ in range(LET_GO):
                if not await asyncio.to_thread(self._places.stop_rauc.exists):
                    return
                await asyncio.sleep(LOOK_S)
        log.error("RAUC could not be ended; a restart of the box will")

    async def _checked(self, source: str, *, downgrade: bool, again: bool) -> Bundle:
        if self._spool.holds(source):
            self._spool.check(source)
        installer = await self._rauc()
        if await installer.busy():
            raise UpdateBusy("Something is being installed already, by hand")
        await self._reach(source)
        bundle = await installer.inspect(source)
        box = policy.Box(
            compatible=await installer.compatible(),
            version=look.running_version(self._places),
            floor=self._journal.read().floor,
            slot_sizes=look.slot_sizes(await installer.slots()),
        )
        policy.judge(bundle, box, downgrade=downgrade, again=again)
        return bundle

    async def _reach(self, source: str | None) -> None:
        """Have the firewall let RAUC through to the address; no further than usual without one."""
        port = urlsplit(source).port if source is not None and not self._spool.holds(source) else None
        try:
            if not await ports.want(self._places.paths, "update", None if port == 443 else port):
                log.warning("the firewall did not open port %s", port)
        except PlatenError as e:
            log.warning("the firewall could not be asked for port %s: %s", port, e)

    async def _write(self, source: str, bundle: Bundle) -> None:
        installer = await self._rauc()
        target = next(
            (s.bootname for s in await installer.slots() if s.bootname and s.state == "inactive"), None
        )
        if target is None:
            raise InstallFailed("This box has no other slot to install into")
        attempt = Attempt(
            version=bundle.version,
            origin_version=look.running_version(self._places),
            slot=target,
            origin=look.slot(self._places),
            stage="began",
            started=clock.now().time,
            boot_id=clock.boot_id(),
            floor=bundle.floor,
            before=await look.before(self._places),
        )
        self._journal.change(lambda s: state.begin(s, attempt))
        self._show("installing", 0, "")
        try:
            await installer.install(source, self._progressed)
        except BundleBroken:
            if not self._spool.holds(source):
                # Of a server that has gone the kernel says the same as of damage: "input/output error".
                await installer.inspect(source)
            raise
        before = await look.before(self._places)
        self._journal.change(lambda s: state.installed(s, before))

    async def take_back(self, attempt: Attempt) -> None:
        """Of what was installed and must not start: the boot loader first, then our note."""
        try:
            await (await self._rauc()).mark("bad", "other")
        except PlatenError as e:
            log.error("the cancelled version could not be marked bad; the gate will take it back: %s", e)
            return
        self._journal.change(
            lambda s: state.failed(s, "install-cancelled", state.CAUSES["cancelled"], clock.now().time)
        )
        log.info("version %s was cancelled; its slot is empty", attempt.version)

    def _failed(self, error: PlatenError, bundle: Bundle | None, checked: asyncio.Future[Bundle]) -> None:
        log.error("the installation ended: %s", error)
        tried = bundle.version if bundle is not None else ""
        if not isinstance(error, NothingToDo):
            self._journal.change(
                lambda s: state.failed(s, error.code, error.sentence, clock.now().time, tried)
            )
        if not checked.done():
            checked.set_exception(error)
            checked.exception()  # whoever asked may have stopped waiting

    async def from_stick(self, folder: Path, *, install: bool, found: asyncio.Future[str | None]) -> None:
        """Copies and checks the stick's bundles one by one and keeps the newest that may be installed."""
        best: tuple[Bundle, Path] | None = None
        try:
            self._show("fetching", None, "")
            refusal: PlatenError | None = None
            for path in bundles(folder):
                try:
                    copy = await self._spool.copy(path)
                except PlatenError as error:
                    refusal = error
                    continue
                try:
                    bundle = await self._checked(str(copy), downgrade=False, again=False)
                except PlatenError as error:
                    log.warning("%s on the stick: %s", path.name[:80], error)
                    refusal = error
                    self._spool.remove(str(copy))
                    continue
                if best is not None and version.older(bundle.version, best[0].version):
                    self._spool.remove(str(copy))
                    continue
                if best is not None:
                    self._spool.remove(str(best[1]))
                best = (bundle, copy)
            if best is not None:
                bundle, copy = best
                self._offer(bundle, str(copy))
            elif refusal is not None and not isinstance(refusal, NothingToDo):
                code, sentence = refusal.code, refusal.sentence
                self._journal.change(lambda s: state.failed(s, code, sentence, clock.now().time))
        finally:
            if not found.done():
                found.set_result(best[0].version if best is not None else None)
            self._show("idle", None, "")
        if best is not None and install:
            checked: asyncio.Future[Bundle] = asyncio.get_running_loop().create_future()
            await self.install(str(best[1]), origin="usb", downgrade=False, again=False, checked=checked)

    def _offer(self, bundle: Bundle, source: str) -> None:
        old = self._journal.read().offer
        if old is not None and old.source != source:
            self._spool.remove(old.source)
        offer = Offer(version=bundle.version, source=source, origin="usb", time=clock.now().time)
        self._journal.change(lambda s: state.offered(s, offer))
        log.info("version %s waits for a person's word, from a stick", bundle.version)

    def _progressed(self, progress: Progress) -> None:
        self._show("installing", progress.percent, progress.text)
