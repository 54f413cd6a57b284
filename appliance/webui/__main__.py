# SPDX-License-Identifier: Apache-2.0
"""`python -m appliance.webui --state DIR --run DIR [--listen HOST:PORT] [--name NAME]... [--brand DIR]`"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from appliance.host import journal
from appliance.host.paths import Paths
from appliance.model.errors import PlatenError


def main() -> int:
    parser = argparse.ArgumentParser(prog="appliance.webui", description="The box's local page.")
    parser.add_argument("--state", type=Path, required=True, help="what survives a restart")
    parser.add_argument("--run", type=Path, required=True, help="sockets of the services")
    parser.add_argument(
        "--listen", default="127.0.0.1:8631", metavar="HOST:PORT", help="unless systemd passes a socket"
    )
    parser.add_argument("--name", action="append", default=[], help="another name that the box is reached by")
    parser.add_argument("--brand", type=Path, metavar="DIR", help="the dealer's name, logo and colours")
    options = parser.parse_args()
    journal.set_up("webui")
    from appliance.webui import service  # after the log is set up: aiohttp takes half a second on a small box

    try:
        paths = Paths(options.state, options.run)
        asyncio.run(service.main(paths, options.listen, options.name, options.brand))
    except PlatenError as error:
        print(f"platen: {error}", file=sys.stderr)
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
