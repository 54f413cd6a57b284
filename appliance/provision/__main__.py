# SPDX-License-Identifier: Apache-2.0
"""`python -m appliance.provision --firmware DIR --data DIR --state DIR --network DIR`: once at each start, as root."""

from __future__ import annotations

import argparse
import grp
import os
import pwd
import shutil
import sys
from pathlib import Path

from appliance.host import journal, notify
from appliance.host.paths import Paths
from appliance.model.errors import Fault, PlatenError
from appliance.provision.files import Firmware, Owner
from appliance.provision.personal import Places
from appliance.provision.service import Box, start

UPLINK = "platen-uplink"
GROUP = "platen"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m appliance.provision", description="Brings into force what people put on the card."
    )
    for name, text, default in (
        ("firmware", "where the card's firmware partition is mounted", None),
        ("data", "the data partition", None),
        ("state", "what the services share", None),
        ("network", "where systemd-networkd reads the files of this start", "/run/systemd/network"),
        ("run", "what does not survive a restart", "/run"),
    ):
        parser.add_argument(f"--{name}", type=Path, required=default is None, default=default, help=text)
    options = parser.parse_args(arguments)
    journal.set_up("provision")
    # The database and what SQLite makes beside it is for the services' group.
    os.umask(0o007)
    try:
        shared, uplink = _owners()
        paths = Paths(options.state, options.run / "platen")
        outcome = start(
            Box(
                firmware=Firmware(options.firmware),
                places=Places(paths, options.data, shared, uplink),
                network=options.network,
                run=options.run,
                wifi=shutil.which("wpa_supplicant", path="/usr/sbin:/sbin") is not None,
            )
        )
    except PlatenError as error:
        print(f"platen: {error}", file=sys.stderr)
        return error.exit_status
    notify.status(f"network: {outcome.using}; mistakes in platen.toml: {len(outcome.problems)}")
    return 0


def _owners() -> tuple[Owner | None, Owner | None]:
    """Of what all services share, and of the keys. Who is not root (a developer) keeps everything."""
    if os.geteuid() != 0:
        return None, None
    try:
        user, group = pwd.getpwnam(UPLINK), grp.getgrnam(GROUP)
    except KeyError as missing:
        raise Fault(f"A user or group is not there: {missing}", hint="systemd-sysusers makes it") from None
    return Owner(0, group.gr_gid), Owner(user.pw_uid, group.gr_gid)


if __name__ == "__main__":
    raise SystemExit(main())
