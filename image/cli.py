# SPDX-License-Identifier: Apache-2.0
"""`platen-image`: makes images, and makes them the dealer's own. A module of MODULES adds each of its commands."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import NoReturn

from appliance import __version__
from appliance.model.errors import PlatenError, UsageError

MODULES = ("image.cli_personalise",)
"""Each has `add(commands)`, which adds parsers whose default `run` takes the options and returns an exit status. What
needs a library of its own is imported when the command is run, not before."""


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message[:1].upper() + message[1:], hint=f"'{self.prog} --help' shows how")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 done, 2 it cannot be done as asked, 70 a fault of ours."""
    try:
        options = _parser().parse_args(arguments)
        return int(options.run(options))
    except PlatenError as error:
        print(f"platen-image: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        return 130


def _parser() -> Parser:
    top = Parser(prog="platen-image", description="Makes images of the box, and makes them the dealer's own.")
    top.add_argument("--version", action="version", version=f"platen-image {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=Parser)
    for name in MODULES:
        importlib.import_module(name).add(commands)
    return top


if __name__ == "__main__":
    sys.exit(main())
