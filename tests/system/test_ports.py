# SPDX-License-Identifier: Apache-2.0
"""What can be reached on the box, and whom the box can reach: tried from outside, and from inside each service."""

from __future__ import annotations

import json
import re

import pytest

from tests.system import measure, qemu, wire
from tests.system.box import Box, State
from tests.system.lab import ATTACKER, BROKER, ELSEWHERE, TENANT, Lab
from tests.system.visitor import Visitor

OPEN_TCP, OPEN_UDP = {80}, {5353}
"""docs/box.md. 68/udp answers DHCP servers only; 162/udp opens when traps are switched on."""

UDP_TRIED = "53,67-69,111,123,137,138,161,162,500,514,520,546,631,1900,3702,5353,5355,9100,10000,41641,51820"

_OPEN = re.compile(r'<port protocol="(?:tcp|udp)" portid="(\d+)"><state state="open"')

_TRY = """
import ctypes, json, os, pwd, socket, sys, time
unit, user = sys.argv[1:3]
targets = json.load(sys.stdin)
libc = ctypes.CDLL(None, use_errno=True)
if unit != "-":
    pid = os.popen(f"systemctl show --value -p MainPID {unit}").read().strip()
    assert pid not in ("", "0"), f"{unit} does not run"
    group = os.popen(f"systemctl show --value -p ControlGroup {unit}").read().strip()
    net = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    with open(f"/sys/fs/cgroup{group}/cgroup.procs", "w") as procs:
        procs.write(str(os.getpid()))
    assert libc.setns(net, 0x40000000) == 0, os.strerror(ctypes.get_errno())
if user != "root":
    who = pwd.getpwnam(user)
    os.setgroups([]); os.setgid(who.pw_gid); os.setuid(who.pw_uid)
tried = []
for protocol, address, port in targets:
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM)
    s.settimeout(1.5)
    own, said = 0, "sent"
    try:
        s.connect((address, port))
        if protocol == "udp":
            s.send(b"is anybody there")
    except OSError as error:
        said = type(error).__name__
    try:
        own = s.getsockname()[1]
    except OSError:
        pass
    tried.append([protocol, address, port, own, said])
    s.close()
time.sleep(0.5)
print(json.dumps(tried))
"""

LAN, OUT = ATTACKER, ELSEWHERE
TARGETS = [
    *(("tcp", LAN, port) for port in (22, 53, 80, 443, 515, 631, 1883, 8883, 9100)),
    *(("udp", LAN, port) for port in (53, 67, 123, 161, 162, 514, 5353)),
    *(("tcp", OUT, port) for port in (25, 53, 80, 443, 8883)),
    *(("udp", OUT, port) for port in (53, 123, 161, 443)),
]
MAY = {
    "collector": {("udp", LAN, 161), ("tcp", LAN, 80), ("tcp", LAN, 443), ("tcp", LAN, 631)},
    "uplink": {("tcp", where, port) for where in (LAN, OUT) for port in (443, 8883)},
    "webui": set(),
    "update": set(),
    "gate": set(),
    "stream": {("tcp", where, 443) for where in (LAN, OUT)},
    "resolved": {(how, where, 53) for how in ("tcp", "udp") for where in (LAN, OUT)},
    "timesyncd": {("udp", where, 123) for where in (LAN, OUT)},
    "networkd": set(),
    "root": set(),
}
WHO = {
    "collector": ("platen-collector.service", "platen-collector"),
    "uplink": ("platen-uplink.service", "platen-uplink"),
    "webui": ("platen-webui.service", "platen-webui"),
    "update": ("platen-update.service", "platen-update"),
    "gate": ("-", "platen-update"),
    "stream": ("-", "platen-stream"),
    "resolved": ("systemd-resolved.service", "systemd-resolve"),
    "timesyncd": ("systemd-timesyncd.service", "systemd-timesync"),
    "networkd": ("systemd-networkd.service", "systemd-network"),
    "root": ("-", "root"),
}
"""Unit whose control group and network it is tried from, and the account."""


def scan(lab: Lab, address: str, *more: str) -> set[int]:
    """Ports that answer, from the attacker's place."""
    command = ["nmap", "-n", "-Pn", "-oX", "-", "--max-retries", "1", *more, address]
    return {int(n) for n in _OPEN.findall(lab.on("attacker", *command, timeout=300))}


def test_a_scan_finds_the_documented_ports_only(box: Box, lab: Lab) -> None:
    box.transition(State.READY)
    address = box.address()
    tcp = scan(lab, address, "-sS", "-p-", "--min-rate", "4000")
    udp = scan(lab, address, "-sU", "-p", UDP_TRIED, "--min-rate", "50")
    measure.show(f"{address}: open are tcp {sorted(tcp)}, udp {sorted(udp)}; 65535 and a choice tried")
    assert tcp == OPEN_TCP
    assert udp <= OPEN_UDP


def test_the_same_by_ipv6(box: Box, lab: Lab) -> None:
    box.transition(State.READY)
    row = re.search(r"^(fe80\w{28}) \w\w 40 20 \w\w +(?!lo)", box.run("cat /proc/net/if_inet6"), re.MULTILINE)
    assert row, "the box has no address of IPv6"
    text = row[1]
    address = ":".join(text[n : n + 4] for n in range(0, 32, 4)) + "%eth0"
    assert scan(lab, address, "-6", "-sS", "-p-", "--min-rate", "4000") == OPEN_TCP


def test_nothing_else_listens(box: Box) -> None:
    """Behind the firewall there is nothing that a mistake in it would lay open."""
    box.transition(State.READY)
    listening = set()
    for kind, state in (("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07")):
        for row in box.run(f"cat /proc/net/{kind}").splitlines()[1:]:
            local, _, now = row.split()[1:4]
            address, port = local.rsplit(":", 1)
            loopback = address in ("0100007F", "3500007F", "3600007F") or address == "0" * 24 + "01000000"
            if now == state and not loopback:
                listening.add((kind[:3], int(port, 16)))
    measure.show(f"listening beyond loopback: {sorted(listening)}")
    assert {port for kind, port in listening if kind == "tcp"} <= OPEN_TCP
    assert {port for kind, port in listening if kind == "udp"} <= OPEN_UDP | {68, 546}


@pytest.mark.parametrize("service", sorted(WHO))
def test_a_service_reaches_what_it_may_and_nothing_else(service: str, box: Box) -> None:
    box.transition(State.READY)
    box.page("/login")  # starts the page
    box.status()  # and the update service
    since, tried = wire.size(box.folder / "wire.pcap"), []
    reached: set[tuple[str, str, int]] = set()
    for _ in range(
        3
    ):  # on a busy machine a first packet may still wait for its neighbour's address when it is given up
        tried += json.loads(box.python(_TRY, *WHO[service], input=json.dumps(TARGETS), timeout=120))
        left = {(p.protocol, p.destination, p.port, p.source_port) for p in box.sent(since)}
        reached = {(kind, to, port) for kind, to, port, own, _ in tried if (kind, to, port, own) in left}
        if reached >= MAY[service]:
            break
    # Where the kernel chose no port, nothing can have been sent; and nothing of the kind must have come from elsewhere.
    refused = len(TARGETS) - len(reached)
    measure.show(
        f"{service} as {WHO[service][1]}: {refused} of {len(TARGETS)} did not leave the box; {sorted(reached)} did"
    )
    assert reached == MAY[service]


def test_a_broker_on_another_port_is_let_through_while_it_is_set(box: Box) -> None:
    box.transition(State.READY)
    visitor = Visitor(box.address())
    visitor.enter(box.setup_code)
    ours = {"uplink.host": BROKER, "uplink.tenant": TENANT, "uplink.heartbeat_s": "300"}

    def reaches(port: int) -> None:
        since = wire.size(box.folder / "wire.pcap")
        visitor.post("/settings", "/settings", group="uplink", **ours, **{"uplink.port": str(port)})
        box.until(lambda: any(p.port == port for p in box.sent(since)), 60, f"nothing goes to port {port}")

    reaches(8885)
    reaches(8883)
    box.until(lambda: "8885" not in box.run("cat /run/platen-ports/opened"), 60, "the port stays open")


def test_the_capture_would_show_it(box: Box) -> None:
    """With the firewall taken away, the same attempt leaves the box: the tests above can fail."""
    box.transition(State.READY)
    box.run("nft flush ruleset")
    try:
        since = wire.size(box.folder / "wire.pcap")
        target = ["tcp", ATTACKER, 9100]
        (tried,) = json.loads(box.python(_TRY, "-", "root", input=json.dumps([target])))
        assert any(p.port == 9100 and p.source_port == tried[3] for p in box.sent(since)), qemu.MAC
    finally:
        box.run("systemctl restart nftables")
