# SPDX-License-Identifier: Apache-2.0
"""`python -m appliance.simulate`: the command on its own, as tests and benchmarks start it."""

from __future__ import annotations

import argparse
import sys

from appliance.model.errors import PlatenError
from appliance.simulate import command


def main() -> int:
    """Exit status as of `platen simulate`."""
    parser = argparse.ArgumentParser("platen simulate", formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_arguments(parser)
    try:
        return command.run(parser.parse_args())
    except PlatenError as e:
        print(f"platen: {e}", file=sys.stderr)
        return e.exit_status


if __name__ == "__main__":
    sys.exit(main())
