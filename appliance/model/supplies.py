# SPDX-License-Identifier: Apache-2.0
"""What a supply's level honestly says (RFC 3805, prtMarkerSuppliesMaxCapacity and prtMarkerSuppliesLevel).

-1 "other": no restriction, -2 "unknown", -3 "some": there is some supply, or some space left, but not how much.
None of these is a percentage. A percentage exists only of a positive capacity and a level from 0 to it.
"""

from __future__ import annotations

from appliance.model.reading import Basis, SupplyClass, SupplyState

LOW_PERCENT = 10


def judge(
    class_: SupplyClass,
    capacity: int | None,
    level: int | None,
    *,
    counts: str | None = None,
    steps: tuple[int, ...] = (),
) -> tuple[int | None, SupplyState, Basis]:
    """(percent, state, basis) of one supply. Percent is what is left: of the supply, or of a receptacle's space.

    `counts` says what a receptacle's level counts: "remaining" space, as RFC 3805 has it, or what is "filled", as
    many printers do. It is a fact of the model that a profile states; where none does, the RFC is followed for
    the number, and near either end, where the two readings would say opposite things, the state stays unknown.
    `steps` are the only percentages a printer with a coarse gauge ever reports.
    """
    if level is None or level in (-1, -2) or level < -3:
        return None, "unknown", "unknown"
    if level == -3:
        return None, "ok", "some"
    # Some agents go a little over a full cartridge; more than that is not a gauge of this capacity.
    if capacity is None or capacity <= 0 or level > capacity * 1.02:
        return None, "unknown", "unknown"
    percent = max(min(round(100 * level / capacity), 100), 1 if level else 0)
    basis: Basis = "coarse" if percent in steps else "measured"
    if class_ != "receptacleThatIsFilled":
        return percent, "empty" if percent == 0 else "low" if percent <= LOW_PERCENT else "ok", basis
    if counts == "filled":
        percent = 100 - percent
    if counts is None and not LOW_PERCENT < percent < 100 - LOW_PERCENT:
        return percent, "unknown", basis
    return percent, "full" if percent == 0 else "near_full" if percent <= LOW_PERCENT else "ok", basis
