# SPDX-License-Identifier: Apache-2.0
"""`python -m appliance.collector --state DIR --run DIR`: the service as a process."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
from pathlib import Path

from appliance.collector import wishes
from appliance.collector.service import Collector
from appliance.host import control, identity, journal, notify, users
from appliance.host.paths import Paths
from appliance.model.errors import PlatenError, StoreError
from appliance.store.database import lay_out_log

log = logging.getLogger(__name__)


def main() -> int:
    """Exit status: 0 stopped as asked, else that of the error (model.errors)."""
    parser = argparse.ArgumentParser(prog="platen-collector")
    parser.add_argument("--state", type=Path, required=True, metavar="DIR", help="what survives a restart")
    parser.add_argument("--run", type=Path, required=True, metavar="DIR", help="sockets")
    args = parser.parse_args()
    journal.set_up("collector")
    try:
        asyncio.run(serve(Paths(args.state, args.run)))
    except PlatenError as e:
        log.critical("%s", e)
        return e.exit_status
    except Exception:
        log.critical("a fault of ours", exc_info=True)
        return 70
    return 0


async def serve(paths: Paths) -> None:
    """Until SIGTERM or SIGINT."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    paths.make()
    box = identity.box_id(paths)
    collector = Collector(paths.database, paths.state / "discovery.json", box)
    await collector.start()
    server = await control.serve(
        paths.socket("collector"),
        wishes.handlers(collector),
        uids=users.uids("webui"),
        readers=users.uids("uplink", "update"),
    )
    running = asyncio.create_task(collector.run())
    ended = asyncio.create_task(stopping.wait())
    try:
        notify.ready(f"{len(collector.roster)} printers known")
        try:
            await collector.worker.run(lay_out_log, paths.database)
        except StoreError as e:
            log.warning("the log stays as it is: %s", e)
        await asyncio.wait({running, ended}, return_when=asyncio.FIRST_COMPLETED)
        notify.stopping()
    finally:
        running.cancel()
        ended.cancel()
        await server.close()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await collector.stop()


if __name__ == "__main__":
    sys.exit(main())
