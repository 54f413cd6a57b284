# SPDX-License-Identifier: Apache-2.0
"""As tests.uplink.quick, but it leaves the portal all the time it has in the field."""

from __future__ import annotations

import msgspec

from appliance.uplink.__main__ import main
from appliance.uplink.window import Patience
from tests.uplink.quick import QUICK

if __name__ == "__main__":
    raise SystemExit(main(timing=msgspec.structs.replace(QUICK, patience=Patience())))
