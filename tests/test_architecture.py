# SPDX-License-Identifier: Apache-2.0
"""The house stands as docs/architecture.md draws it: dependencies point one way, and each library has one door."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PARTS = ("appliance", "fleet", "benchmarks", "demo", "contract", "image")

# Who may import whom, by longest prefix. A package may always import itself.
MAY = {
    "appliance.model": set(),
    "appliance.host": {"appliance.model"},
    "appliance.store": {"appliance.model"},
    "appliance.health": {"appliance.model", "appliance.store"},
    "appliance.collector.wire": {"appliance.model"},
    "appliance.collector.ask": {"appliance.model", "appliance.collector.wire"},
    "appliance.collector.read": {"appliance.model", "appliance.collector.wire"},
    "appliance.collector.judge": {"appliance.model", "appliance.store.printers"},
    "appliance.collector": {"appliance.model", "appliance.host", "appliance.store", "appliance.health"},
    "appliance.uplink": {"appliance.model", "appliance.host", "appliance.store", "appliance.health"},
    "appliance.webui": {"appliance.model", "appliance.host", "appliance.store", "appliance.health"},
    "appliance.update": {"appliance.model", "appliance.host", "appliance.store"},
    "appliance.provision": {"appliance.model", "appliance.host", "appliance.store"},
    "appliance.simulate": {"appliance.model", "appliance.collector.wire"},
    "fleet": {"appliance.model"},
    "contract": {"appliance.model"},
    "image": {"appliance.model"},
}
# The tools on top may use everything below them.
ON_TOP = {"appliance", "appliance.supervise", "appliance.cli", "benchmarks", "demo"}

DOORS = {
    "pysnmp": {"appliance.collector.ask.v3"},
    "pyasn1": {"appliance.collector.ask.v3"},
    "paho": {"appliance.uplink.connection", "fleet.ingest"},
    "pyroute2": {"appliance.host.links"},
    "dbus_fast": {"appliance.host.bus"},
    "systemd": {"appliance.host.notify", "appliance.host.journal"},
    "sqlite3": {"appliance.store", "fleet.store"},
    "jinja2": {"appliance.webui", "fleet"},
    "aiohttp": {"appliance.webui", "fleet"},
    "fpdf": {"image.label"},
    "PIL": {"image.label"},
    "segno": {"image.label"},
}
PURE = (
    "appliance.model",
    "appliance.collector.wire",
    "appliance.collector.read",
    "appliance.collector.judge",
    "appliance.provision.document",
    "appliance.provision.installer",
    "appliance.provision.effect",
    "appliance.provision.words",
)
IO = {"socket", "asyncio", "sqlite3", "subprocess", "time", "os", "ssl", "select", "threading", "urllib"}


@functools.cache
def modules() -> dict[str, Path]:
    found = {}
    for part in PARTS:
        for path in (ROOT / part).rglob("*.py"):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports in full"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def own_rule(name: str) -> str | None:
    return max((p for p in MAY if within(name, p)), key=len, default=None)


@pytest.mark.parametrize("name", sorted(modules()))
def test_dependencies_point_one_way(name: str) -> None:
    rule = own_rule(name)
    if rule is None:
        # Which packages stand on top is said here, so that a new one has to be placed.
        assert any(name == top or (top != "appliance" and name.startswith(top)) for top in ON_TOP), (
            f"place {name}"
        )
        return
    for target in imports(modules()[name]):
        if target.split(".")[0] not in PARTS:
            continue
        allowed = {rule, "appliance.__version__", *MAY[rule]}
        assert any(within(target, a) for a in allowed), f"{name} imports {target}"


@pytest.mark.parametrize("library", sorted(DOORS))
def test_each_library_has_one_door(library: str) -> None:
    users = {n for n, p in modules().items() if any(within(t, library) for t in imports(p))}
    outside = {n for n in users if not any(within(n, door) for door in DOORS[library])}
    # A benchmark names the peer it is measured beside.
    assert {n for n in outside if not within(n, "benchmarks")} == set()


@pytest.mark.parametrize("name", sorted(n for n in modules() if n.startswith(PURE)))
def test_pure_parts_do_no_io(name: str) -> None:
    found = {t for t in imports(modules()[name]) if t.split(".")[0] in IO}
    assert {t for t in found if not within(t, "urllib.parse")} == set()


def test_nothing_can_write_to_a_printer() -> None:
    """No SNMP SET (PDU tag 0xA3) is ever built, and no raw printing port is named."""
    for name, path in modules().items():
        if within(name, "appliance.simulate"):
            continue  # counts the SETs that it refuses
        tree = ast.parse(path.read_text())
        numbers = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and type(n.value) is int}
        assert not numbers & {0xA3, 9100, 515}, f"{name} names {numbers & {0xA3, 9100, 515}}"
        called = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
        assert not called & {"set_cmd", "setCmd"}, name


@pytest.mark.parametrize("name", sorted(modules()))
def test_a_file_fits_in_the_head(name: str) -> None:
    lines = modules()[name].read_text().splitlines()
    assert len(lines) <= 500, f"{name}: {len(lines)} lines"
    assert not lines or lines[0].startswith(("# SPDX-License-Identifier: Apache-2.0", "#!")), name


def test_no_folder_is_an_empty_shell() -> None:
    for package in (p.parent for p in modules().values() if p.name == "__init__.py"):
        assert [f for f in package.iterdir() if f.name != "__init__.py" and f.name != "__pycache__"], package
