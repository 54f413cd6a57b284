# SPDX-License-Identifier: Apache-2.0
"""`python -m appliance.uplink --state DIR --run DIR`: the uplink as a process."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from appliance.host import journal
from appliance.host.paths import Paths
from appliance.model.errors import PlatenError
from appliance.uplink.service import Timing, Uplink


def main(arguments: list[str] | None = None, *, timing: Timing | None = None) -> int:
    """Runs until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(
        prog="python -m appliance.uplink", description="Sends what waits to the dealer."
    )
    parser.add_argument(
        "--state", type=Path, required=True, help="where the box keeps what survives a restart"
    )
    parser.add_argument("--run", type=Path, required=True, help="where the control sockets are")
    options = parser.parse_args(arguments)
    journal.set_up("uplink")
    try:
        asyncio.run(_run(Paths(options.state, options.run), timing))
    except PlatenError as error:
        print(f"platen: {error}", file=sys.stderr)
        return error.exit_status
    return 0


async def _run(paths: Paths, timing: Timing | None) -> None:
    paths.make()
    uplink = Uplink(paths, timing=timing)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, uplink.stop)
    await uplink.run()


if __name__ == "__main__":
    raise SystemExit(main())
