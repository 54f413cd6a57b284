# SPDX-License-Identifier: Apache-2.0
"""`platen-image`: makes images and bundles, and prepares them for a dealer."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from appliance.model.errors import PlatenError
from image import build_cli

MODULES = (build_cli,)
"""Each adds its subcommands with `add`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0, 2 bad usage, 1 or 70 as the error says."""
    parser = argparse.ArgumentParser(prog="platen-image", description=__doc__)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in MODULES:
        module.add(commands)
    args = parser.parse_args(arguments)
    try:
        return int(args.run(args))
    except PlatenError as error:
        if os.environ.get("PLATEN_DEBUG"):
            raise
        print(f"platen-image: {error}", file=sys.stderr)
        return error.exit_status


if __name__ == "__main__":
    sys.exit(main())
