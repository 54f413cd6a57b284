# SPDX-License-Identifier: Apache-2.0
"""What follows from platen.toml, in the words of those who read it: networkd itself where there is one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from appliance.provision.effect import network_files, run_files
from appliance.provision.installer import Installer, Proxy, Wifi

NETWORKD = Path("/usr/lib/systemd/systemd-networkd")
FIXED = Installer(
    addresses=["192.168.7.50/24", "fd00:7::50/64"],
    gateways=["192.168.7.1", "fd00:7::1"],
    dns=["192.168.7.1"],
    ntp=["192.168.7.2"],
)
WIFI = Wifi('Büro"\n}', 'ge"heim #1', "DE")


def test_automatic_by_default() -> None:
    files = network_files(Installer())
    assert list(files) == ["10-platen-wired.network"]
    text = files["10-platen-wired.network"].text
    assert "DHCP=yes" in text
    assert "UseDNS=yes" in text
    assert "Address=" not in text
    assert all(not f.text for f in run_files(Installer()).values())


def test_one_fixed_family_leaves_the_other_automatic() -> None:
    four = network_files(Installer(addresses=["10.0.0.2/24"], gateways=["10.0.0.1"], dns=[]))[
        "10-platen-wired.network"
    ]
    assert "DHCP=ipv6\nIPv6AcceptRA=yes\nLinkLocalAddressing=ipv6\n" in four.text
    six = network_files(Installer(addresses=["fd00::2/64"]))["10-platen-wired.network"]
    assert "DHCP=ipv4\nIPv6AcceptRA=yes\n" in six.text


def test_the_address_is_the_wifis_where_there_is_one() -> None:
    files = network_files(
        Installer(addresses=["10.0.0.2/24"], gateways=["10.0.0.1"], dns=[], wifi=WIFI, vlan=20)
    )
    assert [n for n, f in files.items() if "Address=10.0.0.2/24" in f.text] == ["11-platen-wifi.network"]


def test_secrets_are_for_few() -> None:
    files = run_files(Installer(proxy=Proxy("p.example", 3128, "u", "a@b:c$d%"), wifi=WIFI))
    assert "http_proxy=http://u:a%40b%3Ac%24d%25@p.example:3128\n" in files["platen/proxy.env"].text
    assert files["platen/proxy.ports"].text == "3128\n"
    assert (files["platen/proxy.env"].mode, files["platen/proxy.env"].group) == (0o640, True)
    supplicant = files["platen/wpa_supplicant.conf"]
    assert supplicant.mode == 0o600
    lines = supplicant.text.splitlines()
    assert f"\tssid={WIFI.ssid.encode().hex()}" in lines, "nothing in a name ends its line"
    assert '\tpsk="ge"heim #1"' in lines, "wpa_supplicant reads up to the last quote"


@pytest.mark.skipif(
    not NETWORKD.exists() or os.geteuid() != 0, reason="networkd and root are in the Debian 13 root"
)
@pytest.mark.parametrize(
    "wanted", [Installer(), FIXED, Installer(vlan=20), Installer(wifi=WIFI, dns=[])], ids=repr
)
def test_networkd_knows_every_word(wanted: Installer, tmp_path: Path) -> None:
    said = _networkd(tmp_path, wanted, "exec timeout 2 $networkd 2>&1")
    assert "up0" in said, "it did run"
    for complaint in ("Unknown key", "Unknown section", "ignoring.", "Failed to parse", "Invalid"):
        assert complaint not in said.replace("Failed to get cgroup path, ignoring: No medium found.", "")


@pytest.mark.skipif(
    not NETWORKD.exists() or os.geteuid() != 0, reason="networkd and root are in the Debian 13 root"
)
def test_networkd_gives_the_link_its_address(tmp_path: Path) -> None:
    said = _networkd(
        tmp_path,
        FIXED,
        """
        timeout 20 $networkd 2>/dev/null &
        for i in $(seq 100); do
            ip -br addr show end0 | grep -q fd00:7::50 && ip route | grep -q default && break
            sleep 0.1
        done
        ip -br addr show end0; ip route; ip -6 route; kill %1
        """,
    )
    assert "192.168.7.50/24" in said
    assert "fd00:7::50/64" in said
    assert "default via 192.168.7.1 dev end0" in said
    assert "default via fd00:7::1 dev end0" in said


def _networkd(tmp_path: Path, wanted: Installer, script: str) -> str:
    """What `script` prints in a network of its own, with the files in place and a cable plugged in."""
    for name, file in network_files(wanted).items():
        (tmp_path / name).write_text(file.text)
    unshare = shutil.which("unshare")
    assert unshare is not None
    setup = f"""
        networkd={NETWORKD}
        umount -l /sys; mount -t sysfs -o ro sysfs /sys  # or it waits for udev
        mount -t tmpfs tmpfs /run
        mkdir -p /run/systemd/network /run/systemd/netif; chown systemd-network: /run/systemd/netif
        cp {tmp_path}/*.net* /run/systemd/network/
        ip link set lo up; ip link add end0 type veth peer name up0; ip link set up0 up
        """
    run = subprocess.run(
        [unshare, "-nm", "bash", "-c", textwrap.dedent(setup) + textwrap.dedent(script)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "C", "PYTHON": sys.executable},
        timeout=60,
    )
    return run.stdout + run.stderr
