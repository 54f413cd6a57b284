# SPDX-License-Identifier: Apache-2.0
"""`python -m appliance.update [gate|usb|floor-check]`: the update service, the gate of each boot, a plugged-in stick,
and the question RAUC asks before it installs."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from appliance.host import journal
from appliance.host.paths import Paths
from appliance.model.errors import PlatenError

FOLDER = Path("/var/lib/platen-update")


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 done, 1 or 70 an error, 3 refused by floor-check, 4 the box restarts because of the gate."""
    parser = argparse.ArgumentParser(prog="python -m appliance.update", description="The box's updates.")
    parser.add_argument("--state", type=Path, default=Path("/var/lib/platen"), help="the box's shared state")
    parser.add_argument("--run", type=Path, default=Path("/run/platen"), help="where the control sockets are")
    parser.add_argument("--data", type=Path, default=FOLDER, help="this service's own state")
    parser.add_argument("--bus", help="address of the message bus, instead of the system's")
    parser.add_argument(
        "--restart-file",
        type=Path,
        default=Path("/run/platen-update/restart"),
        help="written to ask for a restart",
    )
    commands = parser.add_subparsers(dest="command")
    gate = commands.add_parser("gate", help="confirm or take back the version that runs")
    gate.add_argument("--deadline", type=float, help="seconds until a version on trial is taken back")
    usb = commands.add_parser("usb", help="hand the bundles of a mounted stick to the service")
    usb.add_argument("--folder", type=Path, required=True)
    commands.add_parser("floor-check", help="RAUC's pre-install handler")
    options = parser.parse_args(arguments)
    journal.set_up("gate" if options.command == "gate" else "update")
    try:
        return _run(options)
    except PlatenError as error:
        print(f"platen: {error}", file=sys.stderr)
        return error.exit_status


def _run(options: argparse.Namespace) -> int:
    if options.command == "floor-check":
        from appliance.update import floor

        return floor.check(options.data)
    paths = Paths(options.state, options.run)
    if options.command == "usb":
        from appliance.host import control

        call = control.call(
            paths.socket("update"), "platen.update.Usb", {"folder": str(options.folder)}, timeout_s=900
        )
        asyncio.run(call)
        return 0
    from appliance.update.look import Places

    places = Places(paths=paths, folder=options.data, restart=options.restart_file)
    if options.command == "gate":
        from appliance.update import keeper

        timing = keeper.Timing() if options.deadline is None else keeper.Timing(deadline_s=options.deadline)
        return 0 if asyncio.run(keeper.Keeper(places, timing, options.bus).run()) else 4
    return asyncio.run(_serve(places, options.bus))


async def _serve(places: object, bus: str | None) -> int:
    from appliance.host import activation
    from appliance.update.look import Places
    from appliance.update.service import Update

    assert isinstance(places, Places)
    places.spool.mkdir(mode=0o2770, parents=True, exist_ok=True)
    update = Update(places, bus_address=bus)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, update.stop)
    await update.run(next(iter(activation.passed()), None))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
