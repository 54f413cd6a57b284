# SPDX-License-Identifier: Apache-2.0
"""`platen update`: the box's own software, from the command line."""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from appliance.cli import Commands, Progress, Run, plain
from appliance.host.paths import Paths
from appliance.model.errors import ServiceDown, UpdateError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

LOOK_S = 0.5
BUSY = ("fetching", "checking", "installing")
WORDS = {
    "fetching": "copying from the stick",
    "checking": "checking signature and version",
    "installing": "installing",
    "restart-due": "installed, the restart is due",
    "trial": "on trial",
    "idle": "idle",
}
_NOTES = {
    "cancel": ("Cancel", "Cancelled. What runs is untouched."),
    "discard": ("Discard", "Forgotten."),
    "restart": ("Restart", "The box restarts now."),
    "acknowledge": ("Acknowledge", "Noted."),
}


def add(commands: Commands) -> None:
    commands.add(
        "update",
        _arguments,
        summary="show and install the box's own software",
        text="""
            The box keeps two copies of its software. An update is written into the one that does not run and is
            started on trial. It stays when the services run, the page answers, at least half of the printers that
            answered before still do, and the portal can be reached if it could before; otherwise the box goes back
            to the version it had, within five minutes, and says why.

            status (or no word) shows the version, both copies, what goes on, and what became of the last update.
            install takes a bundle (a .raucb file) or an https address, of which only what differs is downloaded.
            Without one it installs what waits, from a stick for example. It shows progress until the bundle is
            written; the restart follows at night, or at once with --restart. cancel ends an installation or drops
            what is installed and not yet started. discard forgets what waits. restart starts what is installed.
            acknowledge takes the note about the last rollback off the page.

            Only bundles in RAUC's verity format, signed by the maker of the box and made for this board, are taken.
            One below the floor is never taken; an older one above it only with --allow-downgrade.""",
        examples="""
            platen update
            platen update install platen-rpi-arm64-1.5.0.raucb
            platen update install https://updates.example.com/platen-rpi-arm64-1.5.0.raucb --restart
            platen update install older.raucb --allow-downgrade
            platen update status --json
            """,
        status="0  done; for install: written, and the next to start\n"
        "1  refused or failed (the code says why), or the update service does not answer",
    )


def _arguments(parser: argparse.ArgumentParser) -> Run:
    parser.add_argument(
        "what",
        nargs="?",
        choices=("status", "install", *_NOTES),
        default="status",
        metavar="status|install|cancel|discard|restart|acknowledge",
    )
    parser.add_argument("source", nargs="?", metavar="FILE|ADDRESS", help="for install")
    parser.add_argument("--restart", action="store_true", help="restart as soon as it is installed")
    parser.add_argument(
        "--allow-downgrade", action="store_true", help="an older version, not below the floor"
    )
    parser.add_argument("--again", action="store_true", help="the version that runs, once more")
    parser.add_argument("--no-wait", action="store_true", help="return when the installation has begun")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument(
        "--state", type=Path, metavar="DIR", help="state directory (default ~/.local/state/platen)"
    )
    return _update


async def _update(args: argparse.Namespace) -> int:
    if args.what != "install" and (
        args.source or args.restart or args.allow_downgrade or args.again or args.no_wait
    ):
        raise UsageError(
            f"'{args.what}' takes no file and no such option", hint="They belong to 'platen update install'"
        )
    box = _Box(Paths.of(args.state))
    if args.what == "install":
        status = await _install(box, args)
    elif args.what in _NOTES:
        method, done = _NOTES[args.what]
        await box.ask(method)
        if not args.json:
            print(done)
            return 0
        status = await box.ask("Status")
    else:
        status = await box.ask("Status")
    if args.json:
        print(msgspec.json.encode(status).decode())
    else:
        print("\n".join(plain(line) for line in told(status)))
    return 0


class _Box:
    def __init__(self, paths: Paths) -> None:
        self._socket = paths.socket("update")

    async def ask(self, method: str, timeout_s: float = 30.0, **parameters: Any) -> dict[str, Any]:
        from appliance.host import control

        try:
            return await control.call(self._socket, f"platen.update.{method}", parameters, timeout_s)
        except ServiceDown as e:
            if e.code != "service-down":
                raise
            raise ServiceDown(
                "The update service is not there",
                hint="Only a box with two copies of its software has one; elsewhere update as you installed",
            ) from None


async def _install(box: _Box, args: argparse.Namespace) -> dict[str, Any]:
    """The status when it is written, or has begun with --no-wait."""
    source = args.source
    progress = Progress()
    try:
        spooled = None
        if source is not None and "://" not in source:
            spooled = source = await _spool(box, Path(source), progress.show)
        wanted = {
            "allow_downgrade": args.allow_downgrade,
            "again": args.again,
            "restart": args.restart,
            "origin": "command",
        }
        try:
            await box.ask("Install", **wanted, **({"source": source} if source is not None else {}))
        except UpdateError:
            if spooled is not None:
                await asyncio.to_thread(Path(spooled).unlink, missing_ok=True)
            raise
        while True:
            status = await box.ask("Status")
            if args.no_wait or status["operation"] not in BUSY:
                break
            progress.show(_going_on(status))
            await asyncio.sleep(LOOK_S)
    finally:
        progress.clear()
    error = status.get("last_error")
    if not args.no_wait and status["operation"] == "idle" and error:
        from appliance.model.errors import InstallFailed

        raise InstallFailed(error["sentence"], code=error["code"])
    return status


async def _spool(box: _Box, path: Path, show: Callable[[str], None]) -> str:
    """A copy of the file where the update service may read it."""
    try:
        size = (await asyncio.to_thread(path.stat)).st_size
        target = str((await box.ask("Room", size=size))["path"])
        await asyncio.to_thread(_copy, path, target, size, show)
    except OSError as e:
        raise UsageError(f"{e.filename or path} cannot be copied: {e.strerror}", hint="Use sudo") from e
    return target


def _copy(path: Path, target: str, size: int, show: Callable[[str], None]) -> None:
    done = 0
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with path.open("rb") as source, os.fdopen(os.open(target, flags, 0o660), "wb") as copy:
        while done < size and (piece := source.read(min(1 << 20, size - done))):
            copy.write(piece)
            done += len(piece)
            show(f"copying {100 * done // size} %")
        copy.flush()
        os.fsync(copy.fileno())


def told(status: dict[str, Any]) -> Iterator[str]:
    """Status in lines."""
    trial = ", on trial" if status.get("trial") else ""
    slot = f" in copy {status['slot'].upper()}" if status.get("slot") else ""
    yield f"Version   {status['version']}{slot}{trial}"
    for row in status.get("slots", []):
        state = "running" if row["state"] == "booted" else "usable" if row.get("good") else "not usable"
        yield f"Copy {row['bootname']}    {row.get('version') or 'unknown'}, {state}"
    yield f"Now       {_going_on(status)}"
    if offer := status.get("offer"):
        yield f"Waiting   {offer['version']}, from {offer['origin']}: 'platen update install'"
    if status.get("restart"):
        when = "within moments" if status["restart"] == "now" else "at night, or with 'platen update restart'"
        yield f"Restart   {when}"
    if floor := status.get("floor"):
        yield f"Floor     {floor}: nothing older is installed"
    if until := status.get("support_end"):
        yield f"Support   until {until}"
    if back := status.get("last_rollback"):
        yield f"Rollback  {back['version']} did not stay: {back['cause']}: {back['sentence']} ({back['time']})"
    elif last := status.get("last"):
        said = f": {last['code']}: {last['sentence']}" if last.get("code") else ""
        yield f"Last      {last['version'] or 'an installation'} {last['result']}{said} ({last['time']})"
    if trouble := status.get("trouble"):
        yield f"Problem   {trouble['code']}: {trouble['sentence']}"


def _going_on(status: dict[str, Any]) -> str:
    word = WORDS.get(status["operation"], status["operation"])
    version = (
        f" {status['next_version']}" if status["operation"] != "idle" and status.get("next_version") else ""
    )
    percent = f", {status['percent']} %" if status.get("percent") is not None else ""
    return f"{word}{version}{percent}"
