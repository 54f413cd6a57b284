# SPDX-License-Identifier: Apache-2.0
"""How a finding names printers."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.store.printers import Printer

MOST = 3


def shown(printer: Printer) -> str:
    """The name somebody gave it, else its model, and its address."""
    name = printer.name or printer.model or printer.hostname
    return f"{name} ({printer.address})" if name else printer.address


def listed(names: Sequence[str]) -> str:
    """The first few, and how many more."""
    more = f" + {len(names) - MOST}" if len(names) > MOST else ""
    return ", ".join(names[:MOST]) + more
