# SPDX-License-Identifier: Apache-2.0
"""In a network namespace of the test's own, so that the kernel answers and nothing outside is touched."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

PROGRAM = """
import json
from appliance.host import links
print(json.dumps([[l.interface, str(l.address), str(l.network), str(l.search)] for l in links.attached()]))
"""


def inside(*commands: str) -> list[list[str]]:
    make = (
        "link() { ip link add name $1 type veth peer name ${1}_; ip link set $1 up; ip link set ${1}_ up; }\n"
    )
    script = "set -e\n" + make + "\n".join(commands) + f"\nexec {sys.executable} -c '{PROGRAM}'"
    done = subprocess.run(["unshare", "-n", "sh", "-c", script], capture_output=True, text=True, check=True)
    links: list[list[str]] = json.loads(done.stdout)
    return links


@pytest.fixture(scope="module", autouse=True)
def namespaces() -> None:
    if not (shutil.which("unshare") and shutil.which("ip")):
        pytest.skip("needs unshare and ip")
    made = subprocess.run(["unshare", "-n", "ip", "link", "add", "v0", "type", "veth"], capture_output=True)
    if made.returncode:
        pytest.skip("may not make network namespaces here")


def test_nothing_attached() -> None:
    assert inside() == []


def test_prefixes() -> None:
    links = inside(
        "ip link set lo up",
        "link lan && ip addr add 192.168.7.9/24 dev lan",
        "link wide && ip addr add 10.20.30.40/16 dev wide",
        "link four && ip addr add 172.16.9.1/22 dev four",
    )
    assert links == [
        ["lan", "192.168.7.9", "192.168.7.0/24", "192.168.7.0/24"],
        ["wide", "10.20.30.40", "10.20.0.0/16", "10.20.30.0/24"],
        ["four", "172.16.9.1", "172.16.8.0/22", "172.16.8.0/22"],
    ]


def test_what_is_not_searched() -> None:
    """Public addresses, links that are down, point-to-point links; and a prefix that two links share,
    twice."""
    links = inside(
        "link pub && ip addr add 8.8.4.4/24 dev pub",
        "link off0 && ip link set off0 down && ip addr add 192.168.1.1/24 dev off0",
        "link tun && ip addr add 10.8.0.2/32 dev tun",
        "link one && ip addr add 10.1.1.1/24 dev one",
        "ip addr add 10.1.1.2/24 dev one",
    )
    assert links == [["one", "10.1.1.1", "10.1.1.0/24", "10.1.1.0/24"]]
