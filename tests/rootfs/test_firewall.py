# SPDX-License-Identifier: Apache-2.0
"""The firewall with real packets: a box and a LAN, each a network namespace."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rootfs.conftest import USERS

BOX, LAN = f"platen-box-{os.getpid()}", f"platen-lan-{os.getpid()}"
"""Network namespaces of this run: another run may have its own."""

TCP = (22, 53, 80, 443, 631, 8883, 9100)
UDP = (53, 67, 123, 161, 162, 5353)
OPEN = {
    "collector": {("tcp", 80), ("tcp", 443), ("tcp", 631), ("udp", 161)},
    "uplink": {("tcp", 443), ("tcp", 8883)},
    "stream": {("tcp", 443)},
    "webui": set(),
    "update": set(),
    "root": set(),
    "systemd-resolve": {("tcp", 53), ("udp", 53)},
    "systemd-timesync": {("udp", 123)},
    "systemd-network": set(),
}

# Echoes on every port it is told, until its input ends.
LISTEN = """
import selectors, socket, sys, json
tcp, udp, address = json.loads(sys.argv[1])
selector = selectors.DefaultSelector()
for port in tcp:
    selector.register(socket.create_server((address, port)), selectors.EVENT_READ, "tcp")
for port in udp:
    sock = socket.socket(type=socket.SOCK_DGRAM); sock.bind((address, port))
    selector.register(sock, selectors.EVENT_READ, "udp")
selector.register(sys.stdin, selectors.EVENT_READ, "end")
print("up", flush=True)
while True:
    for key, _ in selector.select():
        if key.data == "end": raise SystemExit
        if key.data == "tcp": key.fileobj.accept()[0].close()
        else: key.fileobj.sendto(*key.fileobj.recvfrom(100))
"""
# Which of these ports of an address answer.
ASK = """
import os, socket, sys, json
tcp, udp, address, uid = json.loads(sys.argv[1])
os.setgroups([]); os.setgid(uid); os.setuid(uid)
answered = []
for kind, ports in (("tcp", tcp), ("udp", udp)):
    for port in ports:
        sock = socket.socket(type=socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
        sock.settimeout(0.3)
        try:
            sock.connect((address, port))
            if kind == "udp":
                sock.send(b"x"); sock.recv(10)
            answered.append([kind, port])
        except OSError:
            pass
print(json.dumps(answered))
"""


class Net:
    def __init__(self, tree: Path) -> None:
        self.tree = tree

    def run(self, where: str, *command: str) -> str:
        return subprocess.run(
            ["ip", "netns", "exec", where, *command], capture_output=True, text=True, check=True
        ).stdout

    def nft(self, *command: str) -> str:
        return self.run(BOX, "chroot", str(self.tree), "nft", *command)

    def ask(
        self, where: str, address: str, uid: int = 0, tcp: object = TCP, udp: object = UDP
    ) -> set[tuple[str, int]]:
        """The ports of `address` that answer a process in `where`."""
        answer = self.run(where, sys.executable, "-c", ASK, json.dumps([tcp, udp, address, uid]))
        return {(kind, port) for kind, port in json.loads(answer)}

    def refused(self, which: str) -> int:
        return int(
            json.loads(self.nft("-j", "list", "counter", "inet", "platen", which))["nftables"][1]["counter"][
                "packets"
            ]
        )


@pytest.fixture(scope="module")
def net(tree: Path) -> Iterator[Net]:
    if shutil.which("ip") is None or subprocess.run(["unshare", "--net", "true"], check=False).returncode:
        pytest.skip("no network namespaces here")
    listeners: list[subprocess.Popen[str]] = []
    try:
        net = Net(tree)
        for where in (BOX, LAN):
            subprocess.run(["ip", "netns", "add", where], check=True)
        link = ["type", "veth", "peer", "name", "lan0", "netns", LAN]
        subprocess.run(["ip", "-n", BOX, "link", "add", "eth0", *link], check=True)
        for where, name, addresses in (
            (BOX, "eth0", ("192.168.7.2/24",)),
            (LAN, "lan0", ("192.168.7.1/24", "203.0.113.1/24")),
        ):
            for address in addresses:
                subprocess.run(["ip", "-n", where, "addr", "add", address, "dev", name], check=True)
            for device in (name, "lo"):
                subprocess.run(["ip", "-n", where, "link", "set", device, "up"], check=True)
        subprocess.run(["ip", "-n", BOX, "route", "add", "default", "via", "192.168.7.1"], check=True)
        net.nft("-c", "-f", "/etc/nftables.conf")
        net.nft("-f", "/etc/nftables.conf")
        for where in (BOX, LAN):
            listener = subprocess.Popen(
                [
                    "ip",
                    "netns",
                    "exec",
                    where,
                    sys.executable,
                    "-c",
                    LISTEN,
                    json.dumps([TCP, UDP, "0.0.0.0"]),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            listeners.append(listener)
            assert listener.stdout is not None
            assert listener.stdout.readline() == "up\n"
        yield net
    finally:
        for listener in listeners:
            listener.communicate()
        for where in (BOX, LAN):
            subprocess.run(["ip", "netns", "delete", where], check=False, capture_output=True)


def uid(tree: Path, name: str) -> int:
    if name == "root":
        return 0
    rows = (line.split(":") for line in (tree / "etc/passwd").read_text().splitlines())
    return USERS[name] if name in USERS else next(int(r[2]) for r in rows if r[0] == name)


@pytest.mark.parametrize("name", sorted(OPEN))
def test_out(net: Net, tree: Path, name: str) -> None:
    assert net.ask(BOX, "192.168.7.1", uid(tree, name)) == OPEN[name]


def test_out_to_public_addresses(net: Net, tree: Path) -> None:
    assert net.ask(BOX, "203.0.113.1", USERS["collector"]) == set()
    assert net.ask(BOX, "203.0.113.1", USERS["uplink"]) == OPEN["uplink"]


def test_in(net: Net) -> None:
    before = net.refused("refused_in")
    # What was sent from port 5353 or comes back is answered; nothing else is even refused.
    assert net.ask(LAN, "192.168.7.2") == {("tcp", 80), ("udp", 5353)}
    assert net.refused("refused_in") > before
    net.run(LAN, "ping", "-c", "1", "-W", "2", "192.168.7.2")


def test_what_is_refused_is_counted(net: Net) -> None:
    before = net.refused("refused_out")
    net.ask(BOX, "192.168.7.1", USERS["webui"], tcp=[443], udp=[])
    assert net.refused("refused_out") > before


def test_own_services_are_reached_on_loopback(net: Net) -> None:
    assert ("tcp", 80) in net.ask(BOX, "127.0.0.1", USERS["update"])


def test_the_documented_switches(net: Net, tree: Path) -> None:
    """Traps."""
    net.nft("add", "element", "inet", "platen", "open_udp", "{ 162 }")
    try:
        assert ("udp", 162) in net.ask(LAN, "192.168.7.2")
    finally:
        net.nft("delete", "element", "inet", "platen", "open_udp", "{ 162 }")
    assert ("udp", 162) not in net.ask(LAN, "192.168.7.2")


@pytest.fixture
def wishes(net: Net, tree: Path) -> Iterator[Wishes]:
    run = tree / "run/platen"
    run.mkdir(parents=True, exist_ok=True)
    yield Wishes(net, run)
    shutil.rmtree(run)
    run.mkdir()
    Wishes(net, run).granted()


class Wishes:
    """The files in /run/platen, and root who looks at them."""

    def __init__(self, net: Net, run: Path) -> None:
        self.net, self.run = net, run

    def say(self, name: str, text: str, owner: int) -> None:
        path = self.run / f"{name}.ports"
        path.unlink(missing_ok=True)
        path.write_text(text)
        os.chown(path, owner, -1)

    def granted(self) -> list[str]:
        script = ("chroot", str(self.net.tree), "/usr/lib/platen/open-ports", "/run/platen", "/run/opened")
        self.net.run(BOX, *script)
        return (self.net.tree / "run/opened").read_text().splitlines()

    def reached(self, name: str) -> set[int]:
        return {port for _, port in self.net.ask(BOX, "203.0.113.1", USERS[name], udp=[])}


def test_a_broker_on_another_port(wishes: Wishes) -> None:
    wishes.say("uplink", "22\n", USERS["uplink"])
    assert wishes.granted() == ["uplink 22 ", "update "]
    assert wishes.reached("uplink") == {22, 443, 8883}
    assert wishes.reached("stream") == {443}
    wishes.say("uplink", "9100\n", USERS["uplink"])
    wishes.granted()
    assert wishes.reached("uplink") == {443, 8883, 9100}, "the old one is closed"
    wishes.say("uplink", "\n", USERS["uplink"])
    assert wishes.granted() == ["uplink ", "update "]
    assert wishes.reached("uplink") == {443, 8883}


def test_an_update_server_and_a_proxy_on_other_ports(wishes: Wishes) -> None:
    wishes.say("update", "8883", USERS["update"])
    wishes.say("proxy", "22\n", 0)
    assert wishes.granted() == ["uplink ", "update 8883 "]
    assert wishes.reached("stream") == {22, 443, 8883}
    assert wishes.reached("uplink") == {443, 8883}
    assert wishes.reached("update") == set()


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "65536",
        "22x",
        "-22",
        "022",
        "22,53",
        "1e3",
        "99999999",
        "",
        "{22};flush",
        "*",
        "$(id)",
    ],
)
def test_what_is_no_port_opens_none(wishes: Wishes, text: str) -> None:
    wishes.say("uplink", text, USERS["uplink"])
    assert wishes.granted() == ["uplink ", "update "]
    assert wishes.reached("uplink") == {443, 8883}


def test_only_the_service_itself_wishes_and_one_port(wishes: Wishes, tmp_path: Path) -> None:
    wishes.say("uplink", "22", USERS["webui"])
    wishes.say("proxy", "22", USERS["collector"])
    (wishes.run / "update.ports").symlink_to("uplink.ports")
    assert wishes.granted() == ["uplink ", "update "]
    (wishes.run / "update.ports").unlink()
    wishes.say("uplink", "22 53 80 9100", USERS["uplink"])
    assert wishes.granted() == ["uplink 22 ", "update "]
    assert wishes.reached("uplink") == {22, 443, 8883}
