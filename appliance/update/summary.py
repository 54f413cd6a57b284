# SPDX-License-Identifier: Apache-2.0
"""What is told to everybody else: the page and the portal, from the state and what is going on. Pure."""

from __future__ import annotations

from appliance.model.messages import Software
from appliance.update.state import State

OPERATIONS = ("idle", "fetching", "checking", "installing", "restart-due", "trial")


def software(
    state: State, *, version: str, slot: str, trial: bool, operation: str = "idle", percent: int | None = None
) -> Software:
    """`operation` and `percent`: of the service at this moment; what the state says of itself is added."""
    attempt, last = state.attempt, state.last
    if operation == "idle" and attempt is not None:
        operation = "trial" if trial else "restart-due" if attempt.stage == "installed" else "idle"
    error, coming = None, attempt or state.offer
    if last is not None and last.result == "failed":
        error = f"{last.code}: {last.sentence}"[:500]
    return Software(
        version=version,
        slot=slot.lower(),
        trial=trial,
        operation=operation,
        percent=percent,
        next_version=coming.version if coming is not None else None,
        floor=state.floor,
        error=error,
        rollback=state.rollback,
    )
