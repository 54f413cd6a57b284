# SPDX-License-Identifier: Apache-2.0
"""Everything the demo needs, laid out in one folder, nothing started yet."""

from __future__ import annotations

import os
import re
import socket
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from appliance.cli_box import services
from appliance.host import identity
from appliance.host.paths import Paths
from appliance.model.errors import UsageError
from appliance.model.settings import Value
from appliance.store import sessions, settings
from appliance.store.database import open_database
from appliance.supervise import Program
from demo import lan, pki
from demo.broker import ACCOUNT, Broker, free_port, program

TENANT = "demo"
LOOPBACK = "127.0.0.1"
PAGE_PORT, PORTAL_PORT = 8631, 8632

FASTER: dict[str, Value] = {
    "discovery.rate": 200,
    "discovery.every_h": 1,
    "poll.status_s": 15,
    "poll.full_s": 120,
    "poll.at_once": 16,
    "store.commit_s": 1,
    "uplink.heartbeat_s": 10,
}
"""A box in an office takes its time; somebody who watches should see something happen."""


_SERIAL = re.compile(rb"^1\.3\.6\.1\.2\.1\.43\.5\.1\.1\.17\.1\|4x?\|(\S{5,})", re.MULTILINE)
"""prtGeneralSerialNumber in a recording."""


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """TCP on 127.0.0.1, but for `snmp`: UDP on every simulated address."""

    page: int
    portal: int
    broker: int
    snmp: int


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """`around` starts before the box, as a network is there before what is plugged in. `expected` are the addresses
    of the simulated printers. `setup_code` is None once the page has a password."""

    folder: Path
    paths: Paths
    box_id: str
    setup_code: str | None
    ports: Ports
    around: list[Program]
    box: list[Program]
    expected: frozenset[str]

    @property
    def page(self) -> str:
        return f"http://{LOOPBACK}:{self.ports.page}/"

    @property
    def portal(self) -> str:
        return f"http://{LOOPBACK}:{self.ports.portal}/"

    @property
    def portal_database(self) -> Path:
        return self.folder / "portal" / "fleet.db"


def prepare(folder: Path, ports: Ports, *, walks: Path | None) -> Stage:
    """Keys, configuration and settings in `folder`, which may hold those of a run before. UsageError where Mosquitto
    is missing or may not enter `folder`."""
    program()
    paths = Paths.of(folder / "box")
    paths.make()
    who = identity.load_or_create(paths)
    authority = pki.Authority(folder / "authority")
    portal = authority.client("portal")
    pki.install(authority, authority.client(who.box_id), paths.keys)
    broker = Broker(folder / "broker", tenant=TENANT, boxes=[who.box_id], host=LOOPBACK, port=ports.broker)
    broker.prepare(authority)
    code = None if _set_up(paths, ports) else who.setup_code
    words = list(_each_once(lan.arguments(walks=walks)))
    python = [sys.executable, "-m"]
    portal_options = {
        "state": folder / "portal",
        "tenant": TENANT,
        "broker": f"{LOOPBACK}:{ports.broker}",
        "listen": f"{LOOPBACK}:{ports.portal}",
        "ca": authority.certificate,
        "cert": portal.certificate,
        "key": portal.key,
    }
    around = [
        Program(
            name="broker",
            command=broker.command,
            # By the supervisor, not by Mosquitto itself, which would then outlive us.
            user=ACCOUNT if os.geteuid() == 0 else None,
        ),
        Program(
            name="lan",
            command=[
                *python,
                "appliance.simulate",
                "--live",
                "--listen",
                f"{lan.NETWORK[1]}:{ports.snmp}",
                *words,
            ],
            ready_on="listening at",
        ),
        Program(
            name="portal",
            command=[*python, "fleet.cli", *_options(portal_options)],
        ),
    ]
    return Stage(
        folder=folder,
        paths=paths,
        box_id=who.box_id,
        setup_code=code,
        ports=ports,
        around=around,
        box=services(paths, f"{LOOPBACK}:{ports.page}"),
        expected=frozenset(_printers(words)),
    )


def choose_ports(page: int | None = None, portal: int | None = None) -> tuple[Ports, list[str]]:
    """The ports asked for, UsageError where one is taken; else the usual ones, or free ones and a sentence why."""
    said: list[str] = []

    def choose(name: str, wanted: int | None, usual: int) -> int:
        if wanted is not None:
            if not _free(wanted):
                raise UsageError(
                    f"Port {wanted} for the {name} is taken", hint="Choose another", code="port-taken"
                )
            return wanted
        if _free(usual):
            return usual
        other = free_port(LOOPBACK)
        said.append(f"Port {usual} is taken, so the {name} is at {other}.")
        return other

    ports = Ports(
        page=choose("box's page", page, PAGE_PORT),
        portal=choose("dealer's portal", portal, PORTAL_PORT),
        broker=free_port(LOOPBACK),
        snmp=_free_udp_port(),
    )
    return ports, said


def _options(values: dict[str, object]) -> Iterator[str]:
    for name, value in values.items():
        yield from (f"--{name}", str(value))


def _set_up(paths: Paths, ports: Ports) -> bool:
    """Put the demo's settings; whether the page has its password already."""
    own: dict[str, Value] = {
        "discovery.ranges": [str(lan.NETWORK)],
        "snmp.port": ports.snmp,
        "uplink.host": LOOPBACK,
        "uplink.port": ports.broker,
        "uplink.tenant": TENANT,
    }
    db = open_database(paths.database)
    try:
        for key, value in (FASTER | own).items():
            settings.put(db, key, value, "installer")
        return sessions.secret(db, "password") is not None
    finally:
        db.close()


def _each_once(words: Iterable[str]) -> Iterator[str]:
    """Without recordings of one and the same printer, which the box would rightly show once."""
    seen: set[bytes] = set()
    for word in words:
        file = Path(word.split(",")[0])
        found = _SERIAL.search(file.read_bytes())
        if found is None or found[1] not in seen:
            yield word
        if found is not None:
            seen.add(found[1])


def _printers(words: list[str]) -> Iterator[str]:
    """Addresses of those words of demo.lan that stand for printers."""
    for word in words:
        file, *how = word.split(",")
        if "other_devices" not in Path(file).parts:
            yield next(h.removeprefix("at=") for h in how if h.startswith("at="))


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def _free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])
