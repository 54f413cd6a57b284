# SPDX-License-Identifier: Apache-2.0
"""RAUC's pre-install handler: the version floor holds for `rauc install` by hand, too.

RAUC has mounted the bundle by then, its signature verified, and names the place in $RAUC_BUNDLE_MOUNT_POINT. The
manifest there is the one that was signed; the handler's environment does not tell the version.
"""

from __future__ import annotations

import configparser
import os
import sys
from pathlib import Path

from appliance.host.rauc import FLOOR_STATUS
from appliance.model.errors import BundleBroken, PlatenError
from appliance.update import policy
from appliance.update.journal import Journal

_MOST = 64 * 1024


def check(folder: Path) -> int:
    """0 where the bundle may be installed, else FLOOR_STATUS. `folder` holds the update service's state."""
    try:
        policy.below_floor(manifest_version(os.environ.get("RAUC_BUNDLE_MOUNT_POINT", "")), _floor(folder))
    except PlatenError as error:
        print(f"platen: {error}", file=sys.stderr)
        return FLOOR_STATUS
    return 0


def manifest_version(mounted: str) -> str:
    """The version in the manifest of the bundle that is mounted there. BundleBroken."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        with open(Path(mounted, "manifest.raucm"), encoding="utf-8") as file:
            parser.read_string(file.read(_MOST))
        return parser.get("update", "version")
    except (OSError, UnicodeDecodeError, configparser.Error):
        raise BundleBroken("The bundle's manifest cannot be read") from None


def _floor(folder: Path) -> str | None:
    return Journal(folder).read().floor
