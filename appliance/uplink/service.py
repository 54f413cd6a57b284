# SPDX-License-Identifier: Apache-2.0
"""The uplink: one loop that minds settings, connection, outbox, answers and heartbeats, in that order.

Everything that leaves is a row of the ledger first, committed. Everything that waits is a row of the outbox, and
goes only when the portal says that it has it. So the process may end at any instruction, and costs only time.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from typing import Any

import msgspec

from appliance import __version__
from appliance.host import clock, control, journal, notify, ports, software, users
from appliance.host.identity import box_id
from appliance.host.journal import Message
from appliance.host.paths import Paths
from appliance.model import messages
from appliance.model.errors import BrokerUnreachable, LinkError, PlatenError, StoreError
from appliance.model.messages import Acknowledgement, State
from appliance.model.settings import Value, number, text
from appliance.store import ledger, outbox, settings
from appliance.store.database import Connection as Database
from appliance.store.database import transaction
from appliance.store.worker import Worker
from appliance.uplink import certificate
from appliance.uplink.certificate import Keys
from appliance.uplink.connection import (
    RECEIVE_MAXIMUM,
    Connection,
    Endpoint,
    Incoming,
    Lost,
    News,
    Opened,
    Publication,
    Stored,
)
from appliance.uplink.machine import Action, Backoff, Machine
from appliance.uplink.pulse import heartbeat
from appliance.uplink.window import Patience, Window

log = logging.getLogger("platen.uplink")

ROW_EXPIRY_S = 30 * 86_400
HEARTBEAT_EXPIRY_S = 3_600
LEAST_KEEPALIVE_S = 30
CAPABILITIES = ["zstd"]


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """Every duration, in seconds, so that tests can let an hour pass in a moment. `progress_s`: how long the broker
    may leave everything unanswered before the connection counts as dead."""

    backoff: Backoff = Backoff()
    patience: Patience = Patience()
    keepalive_s: int = 240
    will_delay_s: int = 90
    connect_s: float = 20.0
    progress_s: float = 60.0
    look_s: float = 1.0
    settings_s: float = 2.0
    prune_s: float = 3_600.0
    software_s: float = 30.0


class Uplink:
    """The service. `run` ends when `stop` is called; its errors are shown, logged and tried again."""

    def __init__(
        self, paths: Paths, *, timing: Timing | None = None, chance: Callable[[], float] = random.random
    ) -> None:
        self._paths = paths
        self._timing = timing or Timing()
        self._keys = Keys(
            paths.keys / "operational.key", paths.keys / "operational.crt", paths.keys / "ca.crt"
        )
        self._machine = Machine(self._timing.backoff, chance)
        self._window = Window(RECEIVE_MAXIMUM, self._timing.patience)
        self._worker = Worker(paths.database)
        self._news: asyncio.Queue[tuple[int, News]] = asyncio.Queue()
        self._wake = asyncio.Event()
        self._connection: Connection | None = None
        self._endpoint: Endpoint | None = None
        self._settings: dict[str, Value] = {}
        self._seen: tuple[Any, ...] = ()
        self._stream = ""
        self._box = ""
        self._flying: dict[int, int | None] = {}
        self._progress = 0.0
        self._keepalive_s = self._timing.keepalive_s
        self._open = False
        self._next: dict[str, float] = {"settings": 0.0, "heartbeat": 0.0, "prune": 0.0, "software": 0.0}
        self._told = (0, 0)
        self._last_ack: str | None = None
        self._trouble: PlatenError | None = None
        self._since = ""
        self._shown: tuple[str, str | None] = ("", None)
        self._retry = False
        self._stopping = False

    async def run(self) -> None:
        """Serves until `stop`."""
        self._box = box_id(self._paths)
        self._loop = asyncio.get_running_loop()
        server = await control.serve(
            self._paths.socket("uplink"),
            {"platen.uplink.Status": self._answer_status, "platen.uplink.Retry": self._answer_retry},
            uids=users.uids("webui"),
            readers=users.uids("update"),
        )
        keep_alive = asyncio.create_task(notify.keep_alive())
        notify.ready()
        wait = self._timing.look_s
        try:
            while not self._stopping:
                try:
                    await self._round()
                    self._trouble, wait = None, self._timing.look_s
                except StoreError as error:
                    # Nothing is sent that the ledger could not note first; what waits keeps waiting.
                    if self._trouble is None:
                        log.error("%s", error, extra=journal.message(Message.DATABASE_REFUSES))
                    self._trouble, wait = error, min(max(wait, 1.0) * 2, 30.0)
                self._show()
                await self._pause(wait)
        finally:
            notify.stopping()
            keep_alive.cancel()
            await server.close()
            await self._act(self._machine.stop(time.monotonic()))
            await self._worker.close()

    def stop(self) -> None:
        """Ends `run` soon."""
        self._stopping = True
        self._wake.set()

    async def _round(self) -> None:
        now = time.monotonic()
        if now >= self._next["settings"]:
            self._next["settings"] = now + self._timing.settings_s
            await self._look_at_settings(now)
        while not self._news.empty():
            generation, news = self._news.get_nowait()
            if generation == self._machine.generation and self._connection is not None:
                await self._handle(generation, news)
        now = time.monotonic()
        retry, self._retry = self._retry, False
        await self._act(self._machine.retry(now) if retry else self._machine.tick(now))
        if self._open:
            await self._send(now)
        if now >= self._next["prune"] and clock.quality() == "synchronised":
            self._next["prune"] = now + self._timing.prune_s
            await self._worker.run(ledger.prune, number(self._settings, "ledger.keep_days"))

    async def _pause(self, longest: float) -> None:
        """Until something happens or something is due."""
        if not self._news.empty():
            return
        due = [self._next["settings"], time.monotonic() + longest]
        if self._machine.next_try is not None:
            due.append(self._machine.next_try)
        try:
            async with asyncio.timeout(max(0.01, min(due) - time.monotonic())):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    # -- settings and connection

    async def _look_at_settings(self, now: float) -> None:
        version = await self._worker.run(settings.version)
        seen = (version, self._keys.marks())
        if seen == self._seen:
            return
        self._stream = await self._worker.run(outbox.stream)
        self._settings = await self._worker.run(settings.load)
        host = text(self._settings, "uplink.host")
        endpoint = Endpoint(
            host=host,
            port=number(self._settings, "uplink.port"),
            tenant=text(self._settings, "uplink.tenant"),
            box=self._box,
            keys=self._keys,
        )
        changed = endpoint != self._endpoint or (bool(self._seen) and seen[1] != self._seen[1])
        self._seen, self._endpoint = seen, endpoint
        paused = bool(self._settings["uplink.paused"])
        await self._act(self._machine.configure(wanted=bool(host), paused=paused, changed=changed, now=now))

    async def _act(self, actions: list[Action]) -> None:
        for action in actions:
            if action == "disconnect":
                await self._hang_up()
            else:
                await self._dial()

    async def _hang_up(self) -> None:
        connection, self._connection, self._open = self._connection, None, False
        self._flying.clear()
        if connection is not None:
            await asyncio.to_thread(connection.close)

    async def _dial(self) -> None:
        """Begins an attempt; what keeps it from beginning is told like any other failure."""
        generation, endpoint = self._machine.generation, self._endpoint
        assert endpoint is not None
        try:
            if not _is_name(endpoint.tenant):
                raise BrokerUnreachable(
                    "The dealer's account (uplink.tenant) is not set or not a name",
                    hint="The dealer knows it",
                    code="account-missing",
                )
            certificate.check(self._keys, self._box, synchronised=clock.quality() == "synchronised")
        except LinkError as error:
            self._machine.lost(generation, error, time.monotonic())
            return
        if not await ports.want(self._paths, "uplink", _unusual(endpoint.port)):
            log.warning("the firewall did not open port %d", endpoint.port)
        will = msgspec.structs.replace(self._state(online=False), delay_s=self._timing.will_delay_s)

        def before() -> None:
            # On paho's thread: the will goes out with the first packet, so it is noted before that.
            note = asyncio.run_coroutine_threadsafe(self._note(will), self._loop)
            note.result(self._timing.connect_s)

        def news(item: News) -> None:
            self._loop.call_soon_threadsafe(self._news_came, generation, item)

        self._connection = Connection(
            endpoint,
            will,
            keepalive_s=self._keepalive_s,
            connect_s=self._timing.connect_s,
            before=before,
            news=news,
        )
        self._connection.start()

    def _news_came(self, generation: int, item: News) -> None:
        self._news.put_nowait((generation, item))
        self._wake.set()

    async def _handle(self, generation: int, news: News) -> None:
        now = time.monotonic()
        self._progress = now
        match news:
            case Opened(receive_maximum, maximum_packet):
                if maximum_packet is not None and maximum_packet < messages.MAX_BODY + 1024:
                    await self._lose(
                        generation, BrokerUnreachable("The broker takes only smaller messages"), now
                    )
                    return
                self._machine.connected(generation, now)
                self._window.open(receive_maximum)
                self._open = True
                self._next["heartbeat"] = now
                await self._born(now)
            case Stored(mid, error, heard):
                seq = self._flying.pop(mid, None)
                if error is not None:
                    await self._lose(generation, error, now)
                elif seq is not None and not heard:
                    self._window.unheard(seq)
            case Incoming(topic, body):
                if self._endpoint is not None and topic == self._endpoint.topic("ack"):
                    await self._answered(body)
            case Lost(error, silent):
                if silent:
                    # Something on the way forgets quiet connections: speak up more often.
                    self._keepalive_s = max(LEAST_KEEPALIVE_S, self._keepalive_s // 2)
                await self._lose(generation, error, now)

    async def _lose(self, generation: int, error: LinkError, now: float) -> None:
        await self._hang_up()
        self._machine.lost(generation, error, now)

    # -- what goes out

    async def _send(self, now: float) -> None:
        if self._flying and now - self._progress >= self._timing.progress_s:
            assert self._endpoint is not None
            silent = BrokerUnreachable(f"{self._endpoint.host} stopped answering")
            await self._lose(self._machine.generation, silent, now)
            return
        if now >= self._next["heartbeat"]:
            self._next["heartbeat"] = now + number(self._settings, "uplink.heartbeat_s")
            beat = await heartbeat(self._box, self._paths, self._worker, await self._answer_status({}))
            await self._say(self._publication(beat, messages.HEARTBEAT, qos=0, expiry_s=HEARTBEAT_EXPIRY_S))
        if self._told != software.mark(self._paths.software) and now >= self._next["software"]:
            await self._born(now)
        for seq in self._window.overdue(now):
            if seq not in self._flying.values():
                await self._rows(seq - 1, 1, only=seq)
            else:
                self._window.sent(seq, now)
        while self._open and self._window.free and await self._rows(self._window.highest, self._window.free):
            pass

    async def _rows(self, after: int, limit: int, only: int | None = None) -> int:
        """Sends rows of the outbox, noted first; how many."""
        assert self._endpoint is not None
        endpoint = self._endpoint
        rows = await self._worker.run(_note_rows, after, limit, only, endpoint, clock.now().time)
        if only is not None and not rows:
            self._window.answered([only])
        for row in rows:
            if self._connection is None:
                break
            publication = Publication(
                topic=endpoint.topic(row.topic),
                schema=row.schema,
                body=row.body,
                encoding=row.encoding,
                expiry_s=ROW_EXPIRY_S,
                row=(self._stream, row.seq),
            )
            self._hand_over(publication, row.seq)
            self._window.sent(row.seq, time.monotonic())
        return len(rows)

    async def _say(self, publication: Publication) -> None:
        await self._note(publication)
        self._hand_over(publication, None)

    async def _born(self, now: float) -> None:
        """Says that we are here and what we run: at first, and again when the software becomes something else."""
        self._told = software.mark(self._paths.software)
        self._next["software"] = now + self._timing.software_s
        await self._say(self._state(online=True))

    def _hand_over(self, publication: Publication, seq: int | None) -> None:
        if self._connection is None:
            return
        if not self._flying:
            self._progress = time.monotonic()
        mid = self._connection.publish(publication)
        if publication.qos:
            self._flying[mid] = seq

    async def _note(self, publication: Publication) -> None:
        assert self._endpoint is not None
        where = f"{self._endpoint.host}:{self._endpoint.port}"
        await self._worker.run(
            ledger.sending_other,
            publication.schema,
            publication.topic,
            publication.body,
            publication.encoding,
            where,
            clock.now().time,
        )

    def _state(self, *, online: bool) -> Publication:
        state = State(
            box=self._box,
            online=online,
            stamp=clock.now(),
            version=__version__,
            stream=self._stream,
            capabilities=CAPABILITIES,
            software=software.read(self._paths.software) if online else None,
        )
        return self._publication(state, messages.STATE, retain=True)

    def _publication(self, message: msgspec.Struct, schema: str, **how: Any) -> Publication:
        assert self._endpoint is not None
        body, encoding = outbox.finished(message)
        topic = self._endpoint.topic(messages.TOPIC[schema])
        return Publication(topic=topic, schema=schema, body=body, encoding=encoding, **how)

    # -- what comes in

    async def _answered(self, body: bytes) -> None:
        try:
            ack = msgspec.json.decode(body, type=Acknowledgement)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            log.warning("an acknowledgement could not be read: %s", error)
            return
        if ack.schema != messages.ACKNOWLEDGEMENT or ack.box != self._box or ack.stream != self._stream:
            log.warning("an acknowledgement is not for this box and stream")
            return
        for seq, why in list(ack.refused.items())[:20]:
            log.warning(
                "the portal refuses message %.20s: %.200s",
                seq,
                why,
                extra=journal.message(Message.PORTAL_REFUSES),
            )
        try:
            await self._worker.run(ledger.acknowledge, ack)
        except (ValueError, OverflowError) as error:
            log.warning("an acknowledgement makes no sense: %s", error)
            return
        refused = [int(s) for s in ack.refused if s.isascii() and s.isdigit() and len(s) < 19]
        self._window.answered([*ack.seqs, *refused])
        self._last_ack = clock.now().time

    # -- what is shown

    def _show(self) -> None:
        error = self._trouble or self._machine.error
        shown = (self._machine.state, str(error) if error else None)
        if shown == self._shown:
            return
        if self._machine.state != self._shown[0]:
            self._since = clock.now().time
        self._shown = shown
        state, sentence = shown
        log.log(
            logging.WARNING if sentence else logging.INFO, "%s%s", state, f": {sentence}" if sentence else ""
        )
        notify.status(f"{state}: {sentence}" if sentence else state)

    async def _answer_status(self, _: dict[str, Any]) -> dict[str, Any]:
        waiting: int | None = None
        octets: int | None = None
        oldest: str | None = None
        trouble = self._trouble
        try:
            waiting, octets, oldest = await self._worker.run(outbox.count)
        except StoreError as failure:
            trouble = failure
        error = trouble or self._machine.error
        found = await asyncio.to_thread(certificate.read, self._keys.certificate)
        due = self._machine.next_try
        return {
            "state": self._machine.state,
            "since": self._since or None,
            "host": self._endpoint.host if self._endpoint else "",
            "port": self._endpoint.port if self._endpoint else 0,
            "error": error and {"code": error.code, "sentence": error.sentence, "hint": error.hint},
            "next_try_s": None if due is None else round(max(0.0, due - time.monotonic()), 1),
            "waiting": waiting,
            "waiting_bytes": octets,
            "oldest": oldest,
            "last_ack": self._last_ack,
            "certificate": found
            and {"subject": found.subject, "issuer": found.issuer, "not_after": found.not_after},
        }

    async def _answer_retry(self, _: dict[str, Any]) -> dict[str, Any]:
        self._retry = True
        self._wake.set()
        return {}


def _note_rows(
    db: Database, after: int, limit: int, only: int | None, endpoint: Endpoint, now: str
) -> list[outbox.Row]:
    rows = [r for r in outbox.waiting(db, after, limit) if only is None or r.seq == only]
    if not rows:
        return []
    with transaction(db):
        for row in rows:
            ledger.sending(db, row, endpoint.topic(row.topic), f"{endpoint.host}:{endpoint.port}", now)
    return rows


def _unusual(port: int) -> int | None:
    """The port where it is not one that the firewall has open for us anyway."""
    return None if port in (443, 8883) else port


def _is_name(tenant: str) -> bool:
    return 0 < len(tenant) <= 64 and tenant.isprintable() and not set(tenant) & set("/+#")
