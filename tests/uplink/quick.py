# SPDX-License-Identifier: Apache-2.0
"""The uplink as a process whose hours pass in moments: `python -m tests.uplink.quick --state DIR --run DIR`."""

from __future__ import annotations

from appliance.uplink.__main__ import main
from appliance.uplink.machine import Backoff
from appliance.uplink.service import Timing
from appliance.uplink.window import Patience

QUICK = Timing(
    backoff=Backoff(first_s=0.1, most_s=1.0, stable_s=3.0),
    patience=Patience(first_s=1.0, most_s=4.0),
    keepalive_s=30,
    will_delay_s=2,
    connect_s=5.0,
    progress_s=2.0,
    look_s=0.1,
    settings_s=0.2,
    software_s=0.2,
)

if __name__ == "__main__":
    raise SystemExit(main(timing=QUICK))
