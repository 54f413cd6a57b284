# SPDX-License-Identifier: Apache-2.0
"""Is the box well? One small check per file, NN_name.py, each a pure `check(facts) -> Result | None`.

The page shows the results, the uplink counts them, an update waits for them. Whoever asks gathers the Facts;
nothing here reads a disk, a socket or a clock.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable

from appliance.health.facts import Facts
from appliance.health.result import LIGHTS, Light, Result, State, worst

__all__ = ["LIGHTS", "Facts", "Light", "Result", "State", "lights", "problems", "run_all"]


def run_all(facts: Facts) -> list[Result]:
    """What every check says, in the order of their file names. A check that does not apply says nothing."""
    results = (check(facts) for check in _checks())
    return [r for r in results if r is not None]


def problems(results: Iterable[Result]) -> list[Result]:
    """Those a person should read, the gravest first."""
    rank: dict[State, int] = {"critical": 0, "warning": 1, "unknown": 2, "ok": 3}
    return sorted((r for r in results if r.state in ("critical", "warning")), key=lambda r: rank[r.state])


def lights(results: Iterable[Result]) -> dict[Light, State]:
    """The state of each of LIGHTS: the worst of its checks, unknown where none spoke."""
    found = list(results)
    return {light: worst(r.state for r in found if r.light == light) for light in LIGHTS}


def _checks() -> list[Callable[[Facts], Result | None]]:
    names = sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name[:2].isdigit())
    return [importlib.import_module(f"{__name__}.{name}").check for name in names]
