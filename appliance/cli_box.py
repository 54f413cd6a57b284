# SPDX-License-Identifier: Apache-2.0
"""`platen run`, `platen settings` and `platen status`: the box on this machine."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from appliance.cli import Commands, Run, plain, table
from appliance.host.paths import SERVICES, Paths
from appliance.model.errors import ServiceDown, StoreError, UsageError

if TYPE_CHECKING:
    from appliance.model.settings import Setting, Value
    from appliance.supervise import Program, Supervisor

LISTEN = "127.0.0.1:8631"
HIDDEN = "(not shown)"


def add(commands: Commands) -> None:
    _add_run(commands)
    _add_settings(commands)
    _add_status(commands)


# --- run ---


def _add_run(commands: Commands) -> None:
    commands.add(
        "run",
        _run_arguments,
        summary="run the box's services on this machine, on the real network",
        text="""
            Starts collector, uplink and webui as separate processes, keeps them running, and stops them in order
            on Ctrl-C or SIGTERM. It looks for printers on the attached networks, or where the setting
            discovery.ranges says, and shows them on its page.

            Until a password is set, the setup code that it prints opens the page once. What it knows lies in the
            state directory: $STATE_DIRECTORY, else ~/.local/state/platen. On the box itself systemd runs the same
            services.""",
        examples="""
            platen run
            platen run --state /srv/platen --listen 192.168.1.5:8631
            platen settings set discovery.ranges 192.168.1.0/24,10.0.4.0/22
            """,
        status="0  stopped as asked\n1  it is running already",
    )


def _run_arguments(parser: argparse.ArgumentParser) -> Run:
    _add_state(parser)
    parser.add_argument(
        "--listen", default=LISTEN, metavar="HOST:PORT", help=f"where the page is (default {LISTEN})"
    )
    parser.add_argument("--quiet", action="store_true", help="show the services' warnings only")
    return _run


async def _run(args: argparse.Namespace) -> int:
    from appliance.supervise import Supervisor, stop_signals

    paths = Paths.of(args.state)
    with prepared(paths) as code, stop_signals() as stop:
        supervisor = Supervisor(Log(quiet=args.quiet))
        try:
            if not await start_unless(stop, supervisor, services(paths, args.listen)):
                return 0
            print(f"Page        http://{args.listen}/")
            if code:
                print(f"Setup code  {code}   opens the page once, to set its password")
            print(f"State       {paths.state}\nCtrl-C stops it.", flush=True)
            await stop.wait()
        finally:
            await supervisor.close()
    return 0


@contextlib.contextmanager
def prepared(paths: Paths) -> Iterator[str | None]:
    """The state directory, made, held by this process alone, its database opened once and in order. Yields the
    setup code while the page has no password."""
    from appliance.host import identity
    from appliance.store import sessions
    from appliance.store.database import open_database

    paths.make()
    with _held(paths):
        code = identity.load_or_create(paths).setup_code
        db = open_database(paths.database)
        try:
            set_already = sessions.secret(db, "password") is not None
        finally:
            db.close()
        yield None if set_already else code


def services(paths: Paths, listen: str) -> list[Program]:
    """The box's services as programs."""
    from appliance.supervise import Program

    def program(name: str, *more: str) -> Program:
        where = ("--state", str(paths.state), "--run", str(paths.run))
        return Program(name=name, command=[sys.executable, "-m", f"appliance.{name}", *where, *more])

    return [program(name, *(("--listen", listen) if name == "webui" else ())) for name in SERVICES]


async def start_unless(stop: asyncio.Event, supervisor: Supervisor, programs: list[Program]) -> bool:
    """Start all at once and wait until each is ready; False where `stop` came first."""

    async def start() -> None:
        await asyncio.gather(*(supervisor.start(p) for p in programs))

    starting, stopping = asyncio.create_task(start()), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            return False
        await starting
        return True
    finally:
        for task in (starting, stopping):
            task.cancel()
        await asyncio.gather(starting, stopping, return_exceptions=True)


class Log:
    """What the services write, to stderr or `file`: time, name, line."""

    def __init__(self, *, quiet: bool = False, file: Any = None) -> None:
        self._quiet = quiet
        self._file = file or sys.stderr

    def __call__(self, name: str, line: str) -> None:
        if self._quiet and line.startswith(("info:", "debug:")):
            return
        with contextlib.suppress(OSError, ValueError):
            print(f"{time.strftime('%H:%M:%S')} {name:<9} {plain(line)}", file=self._file, flush=True)


@contextlib.contextmanager
def _held(paths: Paths) -> Iterator[None]:
    fd = os.open(paths.state / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ServiceDown(
                f"The box of {paths.state} is running already",
                hint="Stop it, or give --state",
                code="already-running",
            ) from None
        yield
    finally:
        os.close(fd)


def _add_state(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--state", type=Path, metavar="DIR", help="state directory (default ~/.local/state/platen)"
    )


# --- settings ---


def _add_settings(commands: Commands) -> None:
    commands.add(
        "settings",
        _settings_arguments,
        summary="show and change what the box is set to",
        text="""
            Without a word it lists every setting with its value and who set it. A running box takes a change over
            within two seconds. The values of secret settings are never shown.""",
        examples="""
            platen settings
            platen settings get poll.status_s
            platen settings set discovery.ranges 192.168.1.0/24,192.168.2.1-192.168.2.50
            platen settings set snmp.communities - < communities.txt
            platen settings reset poll.status_s
            """,
    )


def _settings_arguments(parser: argparse.ArgumentParser) -> Run:
    parser.add_argument(
        "what",
        nargs="?",
        choices=("list", "get", "set", "reset"),
        default="list",
        metavar="list|get|set|reset",
    )
    parser.add_argument("key", nargs="?", metavar="KEY", help="such as poll.status_s")
    parser.add_argument("value", nargs="?", metavar="VALUE", help="lists with commas; - reads it from stdin")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    _add_state(parser)
    return _settings


def _settings(args: argparse.Namespace) -> int:
    from appliance.model.settings import SETTINGS
    from appliance.store import settings

    needs = {"list": 0, "get": 1, "set": 2, "reset": 1}[args.what]
    if sum(word is not None for word in (args.key, args.value)) != needs:
        form = {"list": "", "get": " KEY", "set": " KEY VALUE", "reset": " KEY"}[args.what]
        raise UsageError(
            f"It is 'platen settings {args.what}{form}'", hint="'platen settings --help' shows examples"
        )
    if args.key is not None and args.key not in SETTINGS:
        raise UsageError(
            f"There is no setting {args.key!r}", hint="'platen settings' lists them", code="bad-setting"
        )
    value = sys.stdin.read(65_536).rstrip("\n") if args.value == "-" else args.value
    paths = Paths.of(args.state)
    with _opened(paths, write=args.what in ("set", "reset")) as db:
        if args.what == "set":
            settings.put(db, args.key, value, "you")
        elif args.what == "reset":
            settings.reset(db, args.key)
        rows = [_row(db, s) for s in SETTINGS.values() if args.key in (None, s.key)]
    if args.json:
        print(msgspec.json.encode({r["key"]: r for r in rows}).decode())
    elif args.what == "list":
        print(table([(r["key"], plain(_written(r["value"])), r["unit"] or "", r["source"]) for r in rows]))
    else:
        print(plain(_written(rows[0]["value"])))
    return 0


@contextlib.contextmanager
def _opened(paths: Paths, *, write: bool) -> Iterator[Any]:
    """The database; to look at a box that never ran, an empty one that is forgotten."""
    import tempfile

    from appliance.store.database import open_database

    with contextlib.ExitStack() as stack:
        if write:
            paths.make()
        try:
            db = open_database(paths.database, write=write)
        except StoreError as e:
            if e.code != "database-missing" or write:
                raise
            db = open_database(Path(stack.enter_context(tempfile.TemporaryDirectory())) / "empty.db")
        stack.callback(db.close)
        yield db


def _row(db: Any, setting: Setting) -> dict[str, Any]:
    from appliance.store import settings

    source = settings.sources(db).get(setting.key, "default")
    value = HIDDEN if setting.secret else settings.load(db)[setting.key]
    return {"key": setting.key, "value": value, "unit": setting.unit, "source": source, "help": setting.help}


def _written(value: Value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) or "-" if isinstance(value, list) else str(value) or "-"


# --- status ---


def _add_status(commands: Commands) -> None:
    commands.add(
        "status",
        _status_arguments,
        summary="how the box on this machine is",
        text="Asks the running services how they are: printers, the connection to the dealer, and problems.",
        examples="""
            platen status
            platen status --json | jq .uplink.waiting
            """,
        status="0  the services run\n1  one of them does not",
    )


def _status_arguments(parser: argparse.ArgumentParser) -> Run:
    _add_state(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object: collector, uplink")
    return _status


async def _status(args: argparse.Namespace) -> int:
    from appliance.host.control import call

    paths = Paths.of(args.state)
    answers: dict[str, Any] = {}
    down: list[ServiceDown] = []
    for name in ("collector", "uplink"):
        try:
            answers[name] = await call(paths.socket(name), f"platen.{name}.Status")
        except ServiceDown as e:
            answers[name] = None
            down.append(e)
    if args.json:
        print(msgspec.json.encode(answers).decode())
    else:
        print("\n".join(plain(line) for line in _told(answers)))
    if down:
        raise down[0]
    return 0


def _told(answers: dict[str, Any]) -> Iterator[str]:
    if collector := answers["collector"]:
        silent = f", {collector['silent']} silent" if collector.get("silent") else ""
        yield f"Printers  {collector['printers']}, of which {collector['answering']} answer{silent}"
        scan = collector.get("scan")
        if scan and scan.get("running"):
            yield f"Looking   {scan['asked']} of {scan['total']} addresses, {scan['rate']} a second"
        for problem in collector.get("problems", []):
            yield f"Problem   {problem['code']}: {problem['sentence']}. {problem.get('hint', '')}".rstrip()
    if uplink := answers["uplink"]:
        where = f" to {uplink['host']}:{uplink['port']}" if uplink.get("host") else ""
        yield f"Dealer    {uplink['state']}{where}, {uplink['waiting']} messages wait"
        if error := uplink.get("error"):
            yield f"Problem   {error['code']}: {error['sentence']}. {error.get('hint', '')}".rstrip()
