# SPDX-License-Identifier: Apache-2.0
"""`make demo`: the whole way of a reading on this machine, from simulated printers to the dealer's page.

A LAN of recorded printers on loopback addresses, the box's services, a broker with mutual TLS and the dealer's
portal, each a process of its own. Ctrl-C stops all of it and nothing stays behind.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import os
import shutil
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from appliance.cli import Progress
from appliance.cli_box import Log, start_unless
from appliance.model.errors import PlatenError, UsageError
from appliance.supervise import Supervisor, stop_signals
from demo import stage
from demo.stage import Stage
from demo.tally import Count, Tally, listed

DEADLINE_S = 120
PREFIX = "platen-demo-"
RECORDINGS = Path(__file__).parent.parent.parent / "shared" / "walks" / "printers"
"""Recordings of real printers, where they lie beside the clone."""


def main() -> int:
    """Exit status: 0 stopped as asked, or with --once all there; 1 not all there in time; 2 and 70 as everywhere."""
    args = _parser().parse_args()
    try:
        with folder(args.state) as where:
            return asyncio.run(_demo(args, where))
    except PlatenError as e:
        print(f"platen: {e}", file=sys.stderr)
        return e.exit_status
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "demo", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--once", action="store_true", help="end as soon as all printers stand on both pages")
    parser.add_argument(
        "--state", type=Path, metavar="DIR", default=os.environ.get("KEEP") or None,
        help="keep everything there, and go on from there (or KEEP=DIR)",
    )  # fmt: skip
    parser.add_argument(
        "--walks", metavar="DIR", default=os.environ.get("WALKS"),
        help='also simulate these recordings (or WALKS=DIR; "none" for none)',
    )  # fmt: skip
    parser.add_argument(
        "--port", type=int, metavar="N", help=f"of the box's page (default {stage.PAGE_PORT})"
    )
    parser.add_argument(
        "--portal-port", type=int, metavar="N", help=f"of the portal (default {stage.PORTAL_PORT})"
    )
    parser.add_argument(
        "--deadline", type=float, default=DEADLINE_S, metavar="S", help=f"default {DEADLINE_S} s"
    )
    parser.add_argument("--verbose", action="store_true", help="show what the processes write")
    return parser


async def _demo(args: argparse.Namespace, where: Path) -> int:
    ports, said = stage.choose_ports(args.port, args.portal_port)
    for sentence in said:
        print(sentence)
    set_up = stage.prepare(where, ports, walks=_walks(args.walks))
    output = _Output(where / "log", verbose=args.verbose)
    supervisor = Supervisor(output)
    tally = Tally(set_up)
    began = time.monotonic()
    print(
        f"Starting a LAN of {len(set_up.expected)} printers, the box, a broker and the dealer's portal ...",
        flush=True,
    )
    with stop_signals() as stop:
        try:
            for programs in (set_up.around, set_up.box):
                if not await start_unless(stop, supervisor, programs):
                    return 0
            _tell(set_up)
            there = await _until_all_there(set_up, tally, stop, began + args.deadline)
            if stop.is_set() and not args.once:
                return 0
            if not there:
                _explain(await tally.count(), set_up, supervisor, output, args.deadline)
            if args.once:
                return 0 if there else 1
            if there:
                print(
                    f"All {len(set_up.expected)} printers stand on both pages after {time.monotonic() - began:.0f} s."
                )
            print("Ctrl-C stops everything.", flush=True)
            await _watch(set_up, tally, supervisor, stop)
            return 0
        finally:
            print("Stopping ...", flush=True)
            await supervisor.close()
            await tally.close()
            output.close()


def _tell(set_up: Stage) -> None:
    print(f"\n  The box's page     {set_up.page}")
    if set_up.setup_code:
        print(f"  Setup code         {set_up.setup_code}   opens it once, to set a password")
    print(f"  The dealer's page  {set_up.portal}")
    print(f"  This box is        {set_up.box_id}\n", flush=True)


async def _until_all_there(set_up: Stage, tally: Tally, stop: asyncio.Event, end: float) -> bool:
    progress, said = Progress(), ""
    try:
        while not stop.is_set() and time.monotonic() < end:
            count = await tally.count()
            line = _line(count, set_up)
            progress.show(line)
            if not sys.stderr.isatty() and line != said:
                print(line, flush=True)
                said = line
            if set_up.expected <= count.box & count.portal:
                return True
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 1)
        return False
    finally:
        progress.clear()


def _line(count: Count, set_up: Stage) -> str:
    expected = set_up.expected
    on_page, at_dealer = len(count.box & expected), len(count.portal & expected)
    return f"{on_page} of {len(expected)} printers on the box's page, {at_dealer} at the dealer"


async def _watch(set_up: Stage, tally: Tally, supervisor: Supervisor, stop: asyncio.Event) -> None:
    """One line that stays true, until Ctrl-C."""
    progress = Progress()
    while not stop.is_set():
        count = await tally.count()
        down = [name for name, (state, _) in supervisor.states().items() if state != "ready"]
        trouble = f"; {', '.join(down)} not ready" if down else ""
        progress.show(
            f"{_line(count, set_up)}; {count.delivered} messages delivered, {count.waiting} wait{trouble}"
        )
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 2)
    progress.clear()


def _explain(count: Count, set_up: Stage, supervisor: Supervisor, output: _Output, deadline: float) -> None:
    print(f"After {deadline:g} s: {_line(count, set_up)}.", file=sys.stderr)
    if missing := set_up.expected - count.box:
        print(f"Not on the box's page: {listed(missing)}", file=sys.stderr)
    if missing := (set_up.expected & count.box) - count.portal:
        print(f"Not at the dealer: {listed(missing)} ({count.waiting} messages wait)", file=sys.stderr)
    for name, (state, status) in supervisor.states().items():
        print(f"{name:<10} {state} {status}", file=sys.stderr)
    print("The last lines of the log:", *output.last, sep="\n  ", file=sys.stderr)


class _Output:
    """What the processes write goes to a file, and to the screen if asked for; that one died is always shown."""

    def __init__(self, path: Path, *, verbose: bool) -> None:
        self.last: deque[str] = deque(maxlen=15)
        self._file = path.open("a", encoding="utf-8")
        self._log, self._screen = Log(file=self._file), Log()
        self._verbose = verbose

    def __call__(self, name: str, line: str) -> None:
        self._log(name, line)
        self.last.append(f"{name} {line}")
        if self._verbose or "; starting it again in " in line:
            self._screen(name, line)

    def close(self) -> None:
        self._file.close()


@contextlib.contextmanager
def folder(keep: Path | None) -> Iterator[Path]:
    """`keep`, made if missing; else a new one that is gone afterwards. Held by a lock, so that one which a killed demo
    left behind can be told from one in use, and is removed here."""
    if keep is not None:
        keep = keep.absolute()
        keep.mkdir(parents=True, exist_ok=True)
        with _lock(keep):
            yield keep
        return
    _sweep_up()
    made = Path(tempfile.mkdtemp(prefix=PREFIX))
    made.chmod(0o711)  # Mosquitto's account passes through it to its own folder
    try:
        with _lock(made):
            yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextlib.contextmanager
def _lock(where: Path) -> Iterator[None]:
    fd = os.open(where / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"Another demo runs in {where}", hint="Stop it", code="already-running"
            ) from None
        yield
    finally:
        os.close(fd)


def _sweep_up() -> None:
    for left in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError, UsageError):
            if left.lstat().st_uid == os.geteuid() and (left / "lock").exists():
                with _lock(left):
                    shutil.rmtree(left)


def _walks(wanted: str | None) -> Path | None:
    if wanted is None:
        return RECORDINGS if RECORDINGS.is_dir() else None
    if wanted == "none":
        return None
    if not Path(wanted).is_dir():
        raise UsageError(f"{wanted} is not a folder of recordings", hint="'none' for none")
    return Path(wanted)


if __name__ == "__main__":
    sys.exit(main())
